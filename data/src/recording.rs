//! Continuous signals: channels that were sampled side by side, each at its own rate.
//!
//! Samples stand as the file had them, whole numbers or floating point, and a channel says how they become values:
//! `value = sample × gain + offset`, in the channel's unit. So a recording takes no more room than its file, and nothing is rounded before it is used.

use crate::artifact::{Artifact, Meta, Typed};
use crate::columns;
use crate::error::DataError;
use crate::kind::Kind;
use arrow::array::{Array, ArrayRef, AsArray, LargeListArray, PrimitiveArray, RecordBatch};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, Float32Type, Float64Type, Int16Type, Int32Type, Schema};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// The samples of a channel, as they were stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Samples {
    /// 16 bits, as in EDF and BrainVision.
    I16(ScalarBuffer<i16>),
    /// 24 or 32 bits, as in BDF.
    I32(ScalarBuffer<i32>),
    /// Single precision.
    F32(ScalarBuffer<f32>),
    /// Double precision.
    F64(ScalarBuffer<f64>),
}

impl Samples {
    /// The number of samples.
    pub fn len(&self) -> usize {
        match self {
            Samples::I16(samples) => samples.len(),
            Samples::I32(samples) => samples.len(),
            Samples::F32(samples) => samples.len(),
            Samples::F64(samples) => samples.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `length` samples from `start` on, sharing the memory; both must lie in what is there.
    fn slice(&self, start: usize, length: usize) -> Samples {
        match self {
            Samples::I16(samples) => Samples::I16(samples.slice(start, length)),
            Samples::I32(samples) => Samples::I32(samples.slice(start, length)),
            Samples::F32(samples) => Samples::F32(samples.slice(start, length)),
            Samples::F64(samples) => Samples::F64(samples.slice(start, length)),
        }
    }

    /// Appends `sample × gain + offset` for each sample in `range`, cut to what is there.
    pub fn values(&self, range: Range<usize>, gain: f64, offset: f64, into: &mut Vec<f64>) {
        let range = range.start.min(self.len())..range.end.min(self.len());
        let range = range.start.min(range.end)..range.end;
        match self {
            Samples::I16(samples) => into.extend(samples[range].iter().map(|&sample| f64::from(sample) * gain + offset)),
            Samples::I32(samples) => into.extend(samples[range].iter().map(|&sample| f64::from(sample) * gain + offset)),
            Samples::F32(samples) => into.extend(samples[range].iter().map(|&sample| f64::from(sample) * gain + offset)),
            Samples::F64(samples) => into.extend(samples[range].iter().map(|&sample| sample * gain + offset)),
        }
    }
}

/// A stretch of a channel without a pause.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch {
    /// Its first sample, counted from 0 in the channel.
    pub first: u64,
    /// The time of that sample, in seconds on the recording's clock.
    pub time: f64,
}

/// What is known of a channel beside its samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// Its name, unique in the recording.
    pub name: String,
    /// What it records, in the words of BIDS in lower case: `eeg`, `ecog`, `seeg`, `eog`, `ecg`, `emg`, `meg`, `trig`, `misc`, …
    pub role: String,
    /// The unit of its values, such as `uV`; empty when the file does not say.
    pub unit: String,
    /// Samples a second.
    pub rate: f64,
    /// What a stored sample is multiplied by.
    pub gain: f64,
    /// What is added after that.
    pub offset: f64,
    /// Its stretches, in order; the first begins at sample 0. One for a recording without pauses.
    pub stretches: Vec<Stretch>,
}

impl Channel {
    /// A channel whose samples are its values, without pauses, from time 0.
    pub fn new(name: impl Into<String>, unit: impl Into<String>, rate: f64) -> Channel {
        let stretches = vec![Stretch { first: 0, time: 0.0 }];
        Channel { name: name.into(), role: "misc".into(), unit: unit.into(), rate, gain: 1.0, offset: 0.0, stretches }
    }

    /// The time of a sample, in seconds on the recording's clock. Past the last stretch's begin, time goes on at the channel's rate.
    pub fn time_of(&self, sample: u64) -> f64 {
        let after = self.stretches.partition_point(|stretch| stretch.first <= sample);
        let stretch = self.stretches.get(after.saturating_sub(1)).copied().unwrap_or(Stretch { first: 0, time: 0.0 });
        stretch.time + sample.saturating_sub(stretch.first) as f64 / self.rate
    }

    /// The first sample at or after a time, of a channel with `samples` samples; `samples` when there is none. A time within a thousandth of a
    /// sample's counts as that sample's.
    pub fn sample_at(&self, time: f64, samples: u64) -> u64 {
        let after = self.stretches.partition_point(|stretch| stretch.time <= time);
        let Some(stretch) = after.checked_sub(1).and_then(|place| self.stretches.get(place)) else { return 0 };
        let end = self.stretches.get(after).map_or(samples, |next| next.first);
        let steps = ((time - stretch.time) * self.rate - 1e-3).ceil().max(0.0);
        stretch.first.saturating_add(steps as u64).min(end).min(samples)
    }
}

/// Channels with their samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// The recording's name, for messages; empty when it has none.
    pub session: String,
    channels: Vec<(Channel, Samples)>,
    /// The samples of all channels, one after the other, where they stand so in memory: then they are written without a copy.
    block: Block,
    /// See [`Meta::sources`].
    pub sources: BTreeSet<String>,
}

/// Samples of all channels in one piece. Two recordings with the same channels are equal, wherever their samples stand.
#[derive(Debug, Clone, Default)]
struct Block(Option<Samples>);

impl PartialEq for Block {
    fn eq(&self, _other: &Block) -> bool {
        true
    }
}

const SAMPLES: &str = "samples";
const FIRSTS: &str = "stretch_first";
const TIMES: &str = "stretch_time";
const SESSION: &str = "session";

impl Recording {
    /// A recording of channels, whose samples must all be stored in the same way.
    ///
    /// # Errors
    /// When there is no channel, two have one name, a rate or scale is not a usable number, stretches do not begin at sample 0 and rise, or channels store
    /// their samples in different ways.
    pub fn new(session: impl Into<String>, channels: Vec<(Channel, Samples)>) -> Result<Recording, DataError> {
        let Some((_, first)) = channels.first() else { return Err(DataError::Invalid("a recording needs at least one channel".into())) };
        let mut names = BTreeSet::new();
        for (channel, samples) in &channels {
            let wrong = |what: String| Err(DataError::Invalid(format!("channel `{}` {what}", channel.name)));
            if !names.insert(channel.name.as_str()) {
                return wrong("is there twice".into());
            }
            if !(channel.rate.is_finite() && channel.rate > 0.0) {
                return wrong(format!("has a sampling rate of {} Hz", channel.rate));
            }
            if !channel.gain.is_finite() || !channel.offset.is_finite() {
                return wrong("has a scale that is not finite".into());
            }
            let rise = |pair: &[Stretch]| pair[0].first < pair[1].first && pair[0].time < pair[1].time;
            let begins = channel.stretches.first().is_some_and(|stretch| stretch.first == 0);
            if !begins || !channel.stretches.windows(2).all(rise) || channel.stretches.iter().any(|stretch| !stretch.time.is_finite()) {
                return wrong("has stretches that do not begin at its first sample or do not rise".into());
            }
            if std::mem::discriminant(samples) != std::mem::discriminant(first) {
                return wrong("stores its samples in another way than the first channel".into());
            }
        }
        Ok(Recording { session: session.into(), channels, block: Block::default(), sources: BTreeSet::new() })
    }

    /// A recording whose channels' samples stand one after the other in `block`: how many each has, and the block, which may be a mapped file.
    ///
    /// # Errors
    /// As [`Recording::new`]; and when the lengths do not add up to the block.
    pub fn of_block(session: impl Into<String>, channels: Vec<(Channel, usize)>, block: Samples) -> Result<Recording, DataError> {
        let all = channels.iter().try_fold(0usize, |sum, (_, length)| sum.checked_add(*length)).unwrap_or(usize::MAX);
        if all != block.len() {
            return Err(DataError::WrongLength { what: "samples of all channels".into(), expected: all, found: block.len() });
        }
        let mut start = 0;
        let parts = channels.into_iter().map(|(channel, length)| {
            let part = block.slice(start, length);
            start += length;
            (channel, part)
        });
        let recording = Recording::new(session, parts.collect())?;
        Ok(Recording { block: Block(Some(block)), ..recording })
    }

    /// The channels, in the file's order.
    pub fn channels(&self) -> impl ExactSizeIterator<Item = &Channel> {
        self.channels.iter().map(|(channel, _)| channel)
    }

    /// A channel and its samples, by position.
    pub fn channel(&self, position: usize) -> Option<(&Channel, &Samples)> {
        self.channels.get(position).map(|(channel, samples)| (channel, samples))
    }

    /// Where the channel of a name stands.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.channels.iter().position(|(channel, _)| channel.name == name)
    }

    /// The number of channels.
    pub fn len(&self) -> usize {
        self.channels.len()
    }

    /// Never true: a recording has a channel.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// The values of a channel at `samples` (cut to what is there), in its unit.
    pub fn values(&self, channel: usize, samples: Range<usize>) -> Vec<f64> {
        let mut values = Vec::new();
        if let Some((channel, stored)) = self.channels.get(channel) {
            stored.values(samples, channel.gain, channel.offset, &mut values);
        }
        values
    }
}

fn lists<T: ArrowPrimitiveType>(
    channels: &[(Channel, Samples)],
    block: Option<&Samples>,
    of: impl for<'s> Fn(&'s Samples) -> Option<&'s ScalarBuffer<T::Native>>,
) -> Result<ArrayRef, DataError> {
    let offsets = OffsetBuffer::<i64>::from_lengths(channels.iter().map(|(_, samples)| samples.len()));
    let buffers: Vec<&ScalarBuffer<T::Native>> = channels.iter().filter_map(|(_, samples)| of(samples)).collect();
    let values: ScalarBuffer<T::Native> = match (block.and_then(&of), buffers.as_slice()) {
        (Some(block), _) => block.clone(),
        (None, [only]) => (*only).clone(),
        (None, _) => {
            let mut all = Vec::with_capacity(buffers.iter().map(|buffer| buffer.len()).sum());
            buffers.iter().for_each(|buffer| all.extend_from_slice(buffer));
            all.into()
        }
    };
    let field = Arc::new(Field::new("item", T::DATA_TYPE, false));
    Ok(Arc::new(LargeListArray::try_new(field, offsets, Arc::new(PrimitiveArray::<T>::new(values, None)), None)?))
}

impl Typed for Recording {
    const KIND: Kind = Kind::Recording;

    fn into_artifact(self) -> Result<Artifact, DataError> {
        let channels = &self.channels;
        let texts = |name: &str, of: fn(&Channel) -> &str| {
            columns::from_texts(name, &channels.iter().map(|(channel, _)| of(channel)).collect::<Vec<_>>())
        };
        let numbers =
            |name: &str, of: fn(&Channel) -> f64| columns::from_numbers(name, channels.iter().map(|(channel, _)| of(channel)).collect());
        let stretches = || channels.iter().flat_map(|(channel, _)| channel.stretches.iter());
        let stretch_offsets = || OffsetBuffer::<i64>::from_lengths(channels.iter().map(|(channel, _)| channel.stretches.len()));
        let stretch_list = |values: Vec<f64>| -> Result<ArrayRef, DataError> {
            let field = Arc::new(Field::new("item", DataType::Float64, false));
            let values = Arc::new(PrimitiveArray::<Float64Type>::new(values.into(), None));
            Ok(Arc::new(LargeListArray::try_new(field, stretch_offsets(), values, None)?))
        };
        let block = self.block.0.as_ref();
        let samples = match channels.first() {
            Some((_, Samples::I16(_))) => {
                lists::<Int16Type>(channels, block, |samples| if let Samples::I16(own) = samples { Some(own) } else { None })
            }
            Some((_, Samples::I32(_))) => {
                lists::<Int32Type>(channels, block, |samples| if let Samples::I32(own) = samples { Some(own) } else { None })
            }
            Some((_, Samples::F32(_))) => {
                lists::<Float32Type>(channels, block, |samples| if let Samples::F32(own) = samples { Some(own) } else { None })
            }
            _ => lists::<Float64Type>(channels, block, |samples| if let Samples::F64(own) = samples { Some(own) } else { None }),
        }?;
        let list = |name: &str, array: ArrayRef| (Field::new(name, array.data_type().clone(), false), array);
        let pairs = vec![
            texts("channel", |channel| &channel.name),
            texts("role", |channel| &channel.role),
            texts("unit", |channel| &channel.unit),
            numbers("rate", |channel| channel.rate),
            numbers("gain", |channel| channel.gain),
            numbers("offset", |channel| channel.offset),
            list(FIRSTS, stretch_list(stretches().map(|stretch| stretch.first as f64).collect())?),
            list(TIMES, stretch_list(stretches().map(|stretch| stretch.time).collect())?),
            list(SAMPLES, samples),
        ];
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = pairs.into_iter().unzip();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?;
        let mut meta = Meta { sources: self.sources, ..Meta::default() };
        meta.attributes.insert(SESSION.into(), self.session.into());
        Ok(Artifact::from_batch(Kind::Recording, batch, meta))
    }

    fn from_artifact(artifact: &Artifact) -> Result<Recording, DataError> {
        let batch = artifact.batch_of(Kind::Recording)?;
        let (names, roles, units) = (columns::texts(batch, "channel")?, columns::texts(batch, "role")?, columns::texts(batch, "unit")?);
        let numbers = |name: &str| columns::numbers(batch, name);
        let (rates, gains, offsets) = (numbers("rate")?, numbers("gain")?, numbers("offset")?);
        let list = |name: &str| -> Result<&LargeListArray, DataError> {
            let array = columns::column(batch, name)?;
            array.as_list_opt::<i64>().filter(|list| list.null_count() == 0).ok_or_else(|| DataError::ColumnType {
                column: name.into(),
                expected: "a list for each channel",
                found: array.data_type().to_string(),
            })
        };
        let (firsts, times, samples) = (list(FIRSTS)?, list(TIMES)?, list(SAMPLES)?);
        let row = |list: &LargeListArray, channel: usize| -> Vec<f64> {
            list.value(channel).as_primitive_opt::<Float64Type>().map(|numbers| numbers.values().to_vec()).unwrap_or_default()
        };
        let mut channels = Vec::with_capacity(names.len());
        for (position, name) in names.into_iter().enumerate() {
            let (firsts, times) = (row(firsts, position), row(times, position));
            let stretches = firsts.into_iter().zip(times).map(|(first, time)| Stretch { first: first.max(0.0) as u64, time }).collect();
            let stored = samples.value(position);
            let stored = match stored.data_type() {
                DataType::Int16 => Samples::I16(stored.as_primitive::<Int16Type>().values().clone()),
                DataType::Int32 => Samples::I32(stored.as_primitive::<Int32Type>().values().clone()),
                DataType::Float32 => Samples::F32(stored.as_primitive::<Float32Type>().values().clone()),
                DataType::Float64 => Samples::F64(stored.as_primitive::<Float64Type>().values().clone()),
                other => {
                    return Err(DataError::ColumnType { column: SAMPLES.into(), expected: "samples as numbers", found: other.to_string() });
                }
            };
            let (role, unit) = (roles.get(position).cloned().unwrap_or_default(), units.get(position).cloned().unwrap_or_default());
            let at = |numbers: &[f64]| numbers.get(position).copied().unwrap_or(f64::NAN);
            channels.push((Channel { name, role, unit, rate: at(&rates), gain: at(&gains), offset: at(&offsets), stretches }, stored));
        }
        let session = artifact.meta().attributes.get(SESSION).and_then(|name| name.as_str()).unwrap_or_default();
        let mut recording = Recording::new(session, channels)?;
        recording.sources.clone_from(&artifact.meta().sources);
        Ok(recording)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::buffer::Buffer;

    fn channel(name: &str, rate: f64) -> Channel {
        Channel { role: "eeg".into(), gain: 0.5, offset: -1.0, ..Channel::new(name, "uV", rate) }
    }

    #[test]
    fn samples_in_one_piece_are_written_as_they_stand() {
        let channels = || vec![(channel("C3", 200.0), 3), (channel("C4", 100.0), 2)];
        let block = || Samples::I32(vec![1, 2, 3, 4, 5].into());
        let recording = Recording::of_block("s", channels(), block()).unwrap();
        assert_eq!(recording.channel(1).unwrap().1, &Samples::I32(vec![4, 5].into()));
        let apart = recording.channels.clone();
        assert_eq!(Recording::new("s", apart).unwrap().into_artifact().unwrap(), recording.into_artifact().unwrap());
        assert!(Recording::of_block("s", channels(), Samples::I32(vec![1, 2].into())).is_err());
    }

    #[test]
    fn a_recording_of_mixed_rates_and_pauses_comes_back_from_its_bytes() {
        let mut paused = channel("C4", 100.0);
        paused.stretches = vec![Stretch { first: 0, time: 0.25 }, Stretch { first: 2, time: 7.0 }];
        let channels =
            vec![(channel("C3", 200.0), Samples::I16(vec![1, 2, 3, 4].into())), (paused, Samples::I16(vec![i16::MIN, i16::MAX, 0].into()))];
        let recording = Recording::new("s1", channels).unwrap();
        let artifact = recording.clone().into_artifact().unwrap();
        let bytes = artifact.encode().unwrap();
        let back = Artifact::decode(Kind::Recording, &Buffer::from_vec(bytes.clone())).unwrap();
        assert_eq!(Recording::from_artifact(&back).unwrap(), recording);
        assert_eq!(back.encode().unwrap(), bytes);
        assert_eq!(recording.values(0, 1..9), [0.0, 0.5, 1.0]);
        assert_eq!(recording.values(1, 7..9), [0.0; 0]);
    }

    #[test]
    fn samples_have_times_across_pauses() {
        let mut paused = channel("C4", 100.0);
        paused.stretches = vec![Stretch { first: 0, time: 0.25 }, Stretch { first: 200, time: 7.0 }];
        assert_eq!(paused.time_of(100), 1.25);
        assert_eq!(paused.time_of(200), 7.0);
        assert_eq!(paused.time_of(250), 7.5);
        assert_eq!(paused.sample_at(0.0, 300), 0);
        assert_eq!(paused.sample_at(1.25, 300), 100);
        assert_eq!(paused.sample_at(1.251, 300), 101);
        // In the pause, the next sample is the first after it.
        assert_eq!(paused.sample_at(5.0, 300), 200);
        assert_eq!(paused.sample_at(7.5, 300), 250);
        assert_eq!(paused.sample_at(99.0, 300), 300);
    }

    #[test]
    fn what_is_no_recording_is_refused() {
        let one = || (channel("C3", 200.0), Samples::F32(vec![1.0].into()));
        let said = |channels| Recording::new("s", channels).unwrap_err().to_string();
        assert_eq!(said(vec![]), "a recording needs at least one channel");
        assert_eq!(said(vec![one(), one()]), "channel `C3` is there twice");
        assert_eq!(said(vec![(channel("C3", 0.0), one().1)]), "channel `C3` has a sampling rate of 0 Hz");
        let other = (channel("C4", 200.0), Samples::F64(vec![1.0].into()));
        assert_eq!(said(vec![one(), other]), "channel `C4` stores its samples in another way than the first channel");
    }
}
