//! `ingest.recording`: continuous signals of a file become a recording.

use super::{Damaged, FILE, Stated, Unsaid, document, rate_of, refused};
use crate::condition::chosen;
use arrow::buffer::ScalarBuffer;
use neuroflow_compute::map::map_file;
use neuroflow_data::{Kind, Recording, Samples};
use neuroflow_formats::{Options, Signals};
use neuroflow_stage::params::{Either, Hertz};
use neuroflow_stage::{Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError, Value, params, words};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// The stage `ingest.recording`.
pub struct RecordingOfFile;

words! {
    /// What to do with channels that are marked as bad.
    pub enum Bad {
        /// Read them like all others.
        Keep = "keep" {},
        /// Leave them out.
        LeaveOut = "leave_out" {},
    }
}

params! {
    /// Parameters of `ingest.recording`.
    pub struct RecordingOfFileParams {
        /// Which recording, by its path in the file as `neuroflow inspect` shows it; empty for the only one.
        of: String = "";
        /// Only channels with these names; `*` and `?` stand for any characters and one. All when empty.
        channels: Vec<String> = Value::List(Vec::new());
        /// What to do with channels that the file, or `channels.tsv` of a BIDS tree, marks as bad.
        bad: Bad = Value::word("keep");
        /// The sampling rate, of a folder that does not say it (suite2p, Phy).
        rate: Either<Stated, Hertz> = Value::word("stated");
        /// The recording's name in messages; empty for none.
        session: String = "";
        /// What to do with a file that is cut short or damaged, and yet can be read in part: `refuse` it, or `accept` what can be read.
        damaged: Damaged = Value::word("refuse");
    }
}

const DOC: &str = r#"Reads channels as they are stored, each with its unit, rate and times; nothing is scaled, filled or filtered. EDF, BDF, GDF, BrainVision, EEGLAB, FIF,
NWB series, suite2p folders; channels of different rates may stand side by side. `channels` chooses by name, with `*` and `?`;
`bad = leave_out` leaves out those that FIF or the `channels.tsv` of a BIDS tree marks as bad.

A recording takes the room of its file. Where only some of it is needed, `ingest.epoch` of a file cuts trials without reading the rest.

```nf
pipeline reading "Signals"
input run = edf("run.edf")
eeg = ingest.recording(run, channels = ["EEG C*"])
cues = ingest.events(run)
trials = ingest.epoch(eeg, cues, window = 0 s .. 1 s)
report reading { trials }
```"#;

impl Stage for RecordingOfFile {
    type Params = RecordingOfFileParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.recording",
            version: 3,
            summary: "Reads continuous signals from a file.",
            doc: DOC,
            inputs: vec![InputSpec::one("file", &[Kind::File, Kind::Dir], "", FILE)],
            outputs: vec![OutputSpec::new("recording", Kind::Recording, "channel × sample", "The channels, as they are stored.")],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &RecordingOfFileParams, context: &Context) -> Result<Outputs, StageError> {
        context.cancel.check()?;
        let document = document(
            inputs,
            &Unsaid {
                reader: None,
                options: Options { rate: rate_of(&params.rate), ..Options::default() },
                damaged: params.damaged.clone(),
            },
        )?;
        let signals = document.signals(&params.of).map_err(refused)?;
        let names: Vec<String> = signals.channels().iter().map(|channel| channel.name.clone()).collect();
        let mut chosen = chosen(&names, &params.channels, &params.session, "channel")?;
        if params.bad == (Bad::LeaveOut {}) {
            let bad = document.bad_channels().map_err(refused)?;
            chosen.retain(|&channel| names.get(channel).is_none_or(|name| !bad.contains(name)));
            if chosen.is_empty() {
                let reason = format!("all {} channels that are chosen are marked as bad", bad.len());
                return Err(StageError::refused_with_help(reason, "choose others with `channels`, or write `bad = keep`"));
            }
        }
        let samples = chosen.iter().map(|&channel| signals.samples(channel)).sum::<u64>();
        let recording = match &context.scratch {
            Some(scratch) if samples > LARGE => put_aside(signals.as_ref(), &chosen, &params.session, scratch, context)?,
            _ => signals.recording(document.contents().format, &params.session, &chosen).map_err(refused)?,
        };
        context.cancel.check()?;
        Outputs::new().with("recording", recording)
    }
}

/// Samples from which on a recording is put together in a file instead of in memory.
const LARGE: u64 = 16 << 20;

/// A recording whose samples stand in a file of the step's own, written a channel at a time and mapped: however long it is, memory holds one channel. Nobody
/// else writes that file, and nobody at all once it is mapped.
fn put_aside(signals: &dyn Signals, chosen: &[usize], session: &str, scratch: &Path, context: &Context) -> Result<Recording, StageError> {
    let failed = |error: std::io::Error| {
        StageError::refused_with_help(format!("samples can't be put aside: {error}"), "free space on the disk of the cache")
    };
    let path = scratch.join("samples");
    let mut file = BufWriter::with_capacity(1 << 20, File::create_new(&path).map_err(failed)?);
    let (mut channels, mut empty) = (Vec::with_capacity(chosen.len()), None);
    for (done, &position) in chosen.iter().enumerate() {
        context.cancel.check()?;
        context.progress.report(done as u64, chosen.len() as u64);
        let stored = signals.stored(position).map_err(refused)?;
        let (bytes, none) = match &stored {
            Samples::I16(samples) => (samples.inner().as_slice(), Samples::I16(Vec::new().into())),
            Samples::I32(samples) => (samples.inner().as_slice(), Samples::I32(Vec::new().into())),
            Samples::F32(samples) => (samples.inner().as_slice(), Samples::F32(Vec::new().into())),
            Samples::F64(samples) => (samples.inner().as_slice(), Samples::F64(Vec::new().into())),
        };
        if empty.get_or_insert_with(|| none.clone()) != &none {
            return Err(StageError::refused_with_help("the channels store their samples in different ways", "choose channels of one sort"));
        }
        file.write_all(bytes).map_err(failed)?;
        if let Some(channel) = signals.channels().get(position) {
            channels.push((channel.clone(), stored.len()));
        }
    }
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    let length = file.metadata().map_err(failed)?.len();
    let mapped = map_file(&File::open(&path).map_err(failed)?, length).map_err(failed)?;
    let all: usize = channels.iter().map(|(_, length)| *length).sum();
    let block = match empty {
        Some(Samples::I16(_)) => Samples::I16(ScalarBuffer::new(mapped, 0, all)),
        Some(Samples::I32(_)) => Samples::I32(ScalarBuffer::new(mapped, 0, all)),
        Some(Samples::F32(_)) => Samples::F32(ScalarBuffer::new(mapped, 0, all)),
        _ => Samples::F64(ScalarBuffer::new(mapped, 0, all)),
    };
    Ok(Recording::of_block(session, channels, block)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::{Channel, Typed};
    use neuroflow_formats::{Format, FormatError};
    use std::ops::Range;

    struct Two([Channel; 2]);

    impl Signals for Two {
        fn channels(&self) -> &[Channel] {
            &self.0
        }

        fn samples(&self, channel: usize) -> u64 {
            3 + channel as u64
        }

        fn read(&self, _channel: usize, _samples: Range<u64>, _into: &mut Vec<f64>) -> Result<(), FormatError> {
            Ok(())
        }

        fn stored(&self, channel: usize) -> Result<Samples, FormatError> {
            Ok(Samples::I16((0..self.samples(channel) as i16).collect::<Vec<_>>().into()))
        }
    }

    #[test]
    fn what_is_put_aside_is_what_stands_in_memory() {
        let two = Two([Channel::new("a", "uV", 10.0), Channel::new("b", "uV", 20.0)]);
        let folder = tempfile::tempdir().unwrap();
        let aside = put_aside(&two, &[1, 0], "s", folder.path(), &Context::quiet(0)).unwrap();
        let inside = two.recording(Format::Edf, "s", &[1, 0]).unwrap();
        assert_eq!(aside, inside);
        assert_eq!(aside.into_artifact().unwrap().encode().unwrap(), inside.into_artifact().unwrap().encode().unwrap());
    }
}
