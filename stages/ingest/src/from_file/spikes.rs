//! `ingest.spikes`: sorted units and their spike times.

use super::{Damaged, FILE, Stated, Unsaid, document, rate_of, refused};
use neuroflow_data::Kind;
use neuroflow_formats::Options;
use neuroflow_formats::spike_text::TimeUnit;
use neuroflow_stage::params::{Either, Hertz};
use neuroflow_stage::{Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError, Value, params, words};

/// The stage `ingest.spikes`.
pub struct SpikesOfFile;

words! {
    /// The unit of times.
    pub enum Unit {
        /// Seconds.
        Seconds = "s" {},
        /// Thousandths of a second.
        Milliseconds = "ms" {},
        /// Millionths of a second.
        Microseconds = "us" {},
    }
}

params! {
    /// Parameters of `ingest.spikes`.
    pub struct SpikesOfFileParams {
        /// Which units, by its path in the file as `neuroflow inspect` shows it; empty for the only one.
        of: String = "";
        /// The sampling rate, of a folder that does not say it (Phy without `params.py`).
        rate: Either<Stated, Hertz> = Value::word("stated");
        /// The unit of times in a text.
        time_unit: Unit = Value::word("s");
        /// The recording's name in messages; empty for the file's own.
        session: String = "";
        /// What to do with a file that is cut short or damaged, and yet can be read in part: `refuse` it, or `accept` what can be read.
        damaged: Damaged = Value::word("refuse");
    }
}

const DOC: &str = r#"Gives a row for each unit, with the columns that the file has of units, and its spike times in seconds. NWB `units`, folders of Kilosort and Phy, spike times as text.

```nf
pipeline reading "Units"
input text = spike_text("spikes.txt")
units = ingest.spikes(text, time_unit = ms)
quality = ingest.quality(units)
report reading { quality }
```"#;

impl Stage for SpikesOfFile {
    type Params = SpikesOfFileParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.spikes",
            version: 2,
            summary: "Reads sorted units and their spike times from a file.",
            doc: DOC,
            inputs: vec![InputSpec::one("file", &[Kind::File, Kind::Dir], "", FILE)],
            outputs: vec![OutputSpec::new("spikes", Kind::Spikes, "", "The units with their spikes.")],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &SpikesOfFileParams, context: &Context) -> Result<Outputs, StageError> {
        context.cancel.check()?;
        let time_unit = match params.time_unit {
            Unit::Seconds {} => TimeUnit::Seconds,
            Unit::Milliseconds {} => TimeUnit::Milliseconds,
            Unit::Microseconds {} => TimeUnit::Microseconds,
        };
        let options = Options { rate: rate_of(&params.rate), time_unit, ..Options::default() };
        let unsaid = Unsaid { reader: Some("spike_text"), options, damaged: params.damaged.clone() };
        let mut spikes = document(inputs, &unsaid)?.spikes(&params.of).map_err(refused)?;
        if !params.session.is_empty() {
            spikes.session.clone_from(&params.session);
        }
        Outputs::new().with("spikes", spikes)
    }
}
