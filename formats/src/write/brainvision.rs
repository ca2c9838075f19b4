//! A recording as BrainVision: header, markers and samples, in the layout of "BrainVision Core Data Format 1.0" (Brain Products, 2018).
//!
//! Samples of 16 bits stay what they are, with the channel's gain as its resolution. All others are single precision: what needs more digits than that is
//! rounded to the nearest number of single precision. Times are those of the samples: the format has one rate, and no clock without a date, so a recording
//! with channels of several rates, with pauses, or that do not begin together is refused; times count from the first sample.

use neuroflow_data::formats::{Format, FormatError, Place};
use neuroflow_data::{Channel, Recording, Samples};
use std::fmt::Write;

/// The three files of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// `.vhdr`
    pub header: Vec<u8>,
    /// `.vmrk`
    pub markers: Vec<u8>,
    /// `.eeg`
    pub samples: Vec<u8>,
}

impl Files {
    /// Their endings, and what they hold; the header first.
    pub fn all(self) -> [(&'static str, Vec<u8>); 3] {
        [(".vhdr", self.header), (".vmrk", self.markers), (".eeg", self.samples)]
    }
}

/// Writes a recording for files that are called `name` (without an ending, and without a folder): header and markers name them.
///
/// # Errors
/// When the format can't hold it, see above; when a name of a channel or of the files has a line break.
pub fn recording(name: &str, recording: &Recording) -> Result<Files, FormatError> {
    let Some((first, samples)) = recording.channel(0) else { return Err(refused("there is no channel")) };
    let (rate, count) = (first.rate, samples.len());
    for position in 0..recording.len() {
        let Some((channel, samples)) = recording.channel(position) else { continue };
        if channel.rate.to_bits() != rate.to_bits() || samples.len() != count {
            let (of, other) = (channel.rate, &channel.name);
            return Err(refused(format!("`{}` has {count} samples at {rate} Hz, `{other}` {} at {of} Hz", first.name, samples.len())));
        }
        if channel.stretches.len() > 1 {
            return Err(refused(format!("channel `{}` has pauses", channel.name)));
        }
        // Times of the format count from the first sample, whenever that was.
        if channel.stretches != first.stretches {
            return Err(refused(format!("channels `{}` and `{}` do not begin at the same time", first.name, channel.name)));
        }
        if [&channel.name, &channel.unit].into_iter().any(|text| text.contains(['\n', '\r'])) {
            return Err(refused(format!("channel `{}` has a line break in its name or unit", channel.name.escape_debug())));
        }
    }
    if name.contains(['\n', '\r']) {
        return Err(refused(format!("a file can't be called `{}`", name.escape_debug())));
    }
    let short = (0..recording.len()).all(|position| {
        let of = recording.channel(position);
        of.is_some_and(|(channel, samples)| matches!(samples, Samples::I16(_)) && channel.offset == 0.0 && channel.gain != 0.0)
    });
    let header = header(name, recording, count, short).map_err(|_| refused("the header is too long"))?;
    let markers = format!(
        "Brain Vision Data Exchange Marker File, Version 1.0\r\n\r\n[Common Infos]\r\nCodepage=UTF-8\r\nDataFile={name}.eeg\r\n\r\n[Marker Infos]\r\n\
         Mk1=New Segment,,1,1,0\r\n"
    );
    Ok(Files { header: header.into_bytes(), markers: markers.into_bytes(), samples: multiplexed(recording, count, short) })
}

fn refused(reason: impl Into<String>) -> FormatError {
    FormatError::new(Format::BrainVision, Place::File, reason, "`--as nwb` holds every recording")
}

fn header(name: &str, recording: &Recording, count: usize, short: bool) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let rate = recording.channels().next().map_or(1.0, |channel| channel.rate);
    write!(text, "Brain Vision Data Exchange Header File Version 1.0\r\n\r\n[Common Infos]\r\nCodepage=UTF-8\r\n")?;
    write!(text, "DataFile={name}.eeg\r\nMarkerFile={name}.vmrk\r\nDataFormat=BINARY\r\nDataOrientation=MULTIPLEXED\r\n")?;
    write!(text, "NumberOfChannels={}\r\nSamplingInterval={}\r\nDataPoints={count}\r\n\r\n", recording.len(), 1e6 / rate)?;
    write!(text, "[Binary Infos]\r\nBinaryFormat={}\r\n\r\n[Channel Infos]\r\n", if short { "INT_16" } else { "IEEE_FLOAT_32" })?;
    for (position, channel) in recording.channels().enumerate() {
        let resolution = if short { channel.gain } else { 1.0 };
        write!(text, "Ch{}={},,{resolution},{}\r\n", position + 1, comma(&channel.name), comma(&unit(channel)))?;
    }
    Ok(text)
}

/// A comma separates fields; inside of one it is written otherwise.
fn comma(text: &str) -> String {
    text.replace(',', "\\1")
}

/// The unit as the format spells it. A field that is empty would mean microvolts.
fn unit(channel: &Channel) -> String {
    match channel.unit.as_str() {
        "uV" => "µV".into(),
        "" => "n/a".into(),
        other => other.to_owned(),
    }
}

/// All channels of one sample, then those of the next, in little endian.
fn multiplexed(recording: &Recording, count: usize, short: bool) -> Vec<u8> {
    /// So many samples of each channel are looked at in turn.
    const AT_ONCE: usize = 4096;
    let channels = recording.len();
    let size = if short { 2 } else { 4 };
    let mut bytes = vec![0; count * channels * size];
    let mut values = Vec::with_capacity(AT_ONCE);
    for (block, start) in bytes.chunks_mut(AT_ONCE * channels * size).zip((0..count).step_by(AT_ONCE)) {
        let range = start..(start + AT_ONCE).min(count);
        for position in 0..channels {
            let Some((channel, samples)) = recording.channel(position) else { continue };
            let places = block.chunks_exact_mut(size).skip(position).step_by(channels);
            match samples {
                Samples::I16(samples) if short => {
                    places.zip(&samples[range.clone()]).for_each(|(place, sample)| place.copy_from_slice(&sample.to_le_bytes()));
                }
                samples => {
                    values.clear();
                    samples.values(range.clone(), channel.gain, channel.offset, &mut values);
                    places.zip(&values).for_each(|(place, value)| place.copy_from_slice(&(*value as f32).to_le_bytes()));
                }
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::DiskFolder;
    use crate::document::Document;
    use neuroflow_data::formats::Limits;
    use proptest::prelude::*;
    use std::sync::Arc;

    /// Writes files and reads them again.
    fn again(files: &Files, name: &str) -> Recording {
        let folder = tempfile::tempdir().unwrap();
        for (ending, bytes) in files.clone().all() {
            std::fs::write(folder.path().join(format!("{name}{ending}")), bytes).unwrap();
        }
        let disk: Arc<dyn crate::source::Folder> = Arc::new(DiskFolder::new(folder.path()));
        let document = crate::brainvision::open(&disk, &format!("{name}.vhdr"), &Limits::default()).unwrap();
        assert!(document.contents().notes.is_empty() && document.contents().damage.is_empty(), "{:?}", document.contents());
        let signals = document.signals("").unwrap();
        signals.recording(Format::BrainVision, "x", &(0..signals.channels().len()).collect::<Vec<_>>()).unwrap()
    }

    fn channel(name: &str, gain: f64, offset: f64) -> Channel {
        Channel { gain, offset, ..Channel::new(name, "uV", 250.0) }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(stored in prop::collection::vec(any::<i16>(), 1..9000), gain in -1e6..1e6, offset in -1e3..1e3) {
            prop_assume!(gain != 0.0);
            let other: Vec<i16> = stored.iter().rev().copied().collect();
            let of = |offset| Recording::new("x", vec![
                (channel("Fp1, left", gain, offset), Samples::I16(stored.clone().into())),
                (channel("Fp2", 0.1, 0.0), Samples::I16(other.clone().into())),
            ]).unwrap();
            // As they were stored, to the bit.
            let (exact, count) = (of(0.0), stored.len());
            let read = again(&recording("run", &exact).unwrap(), "run");
            for position in 0..2 {
                prop_assert_eq!(read.values(position, 0..count), exact.values(position, 0..count));
            }
            prop_assert_eq!(&read.channel(0).unwrap().0.name, "Fp1, left");
            prop_assert_eq!(read.channel(0).unwrap().0.rate, 250.0);
            // With an offset, in single precision.
            let shifted = of(offset);
            let read = again(&recording("run", &shifted).unwrap(), "run");
            for (one, other) in read.values(0, 0..count).into_iter().zip(shifted.values(0, 0..count)) {
                prop_assert_eq!(one, f64::from(other as f32));
            }
        }
    }

    #[test]
    fn what_the_format_can_not_hold_is_refused() {
        let samples = || Samples::F32(vec![1.0, 2.0].into());
        let one = |change: fn(&mut Channel)| {
            let mut other = channel("b", 1.0, 0.0);
            change(&mut other);
            let all = vec![(channel("a", 1.0, 0.0), samples()), (other, samples())];
            recording("run", &Recording::new("x", all).unwrap()).map(|_| ()).map_err(|error| error.reason)
        };
        assert_eq!(one(|_| {}), Ok(()));
        assert!(one(|channel| channel.rate = 500.0).unwrap_err().contains("at 500 Hz"));
        assert!(one(|channel| channel.stretches[0].time = 3.0).unwrap_err().contains("begin at the same time"));
        assert!(one(|channel| channel.name = "a\nCh9=x".into()).unwrap_err().contains("line break"));
    }
}
