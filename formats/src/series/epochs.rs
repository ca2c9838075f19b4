//! Trials cut out of a recording: an array `[trial × channel × time]` on the same layouts as recordings.

use super::Series;
use neuroflow_data::formats::{Format, FormatError, Place, RAISE_LIMIT};
use neuroflow_data::{Axis, Coordinates, Tensor};
use std::ops::Range;
use std::sync::Arc;

/// Trials of equal length. In the series they stand one after the other in each channel.
#[derive(Debug)]
pub(crate) struct Epochs {
    pub series: Arc<Series>,
    pub trials: u64,
    /// Samples of a trial.
    pub length: u64,
    /// The time of a trial's first sample, in seconds.
    pub begin: f64,
    pub rate: f64,
    /// A name for each trial, such as its event; none when the file does not say.
    pub labels: Vec<String>,
}

impl Epochs {
    /// Trials, channels, samples.
    pub(crate) fn shape(&self) -> Vec<u64> {
        vec![self.trials, self.series.channel_list().len() as u64, self.length]
    }

    /// The unit, when all channels share one; empty otherwise.
    pub(crate) fn unit(&self) -> &str {
        let mut units = self.series.channel_list().iter().map(|channel| channel.unit.as_str());
        let first = units.next().unwrap_or_default();
        if units.all(|unit| unit == first) { first } else { "" }
    }

    /// A part of the array, with trials, channels (named) and times (in seconds) as axes.
    pub(crate) fn tensor(&self, format: Format, path: &str, part: Option<&[Range<u64>]>) -> Result<Tensor, FormatError> {
        let wrong = |reason: String, help: &str| FormatError::new(format, Place::Object { path: path.into(), byte: None }, reason, help);
        let shape = self.shape();
        let ranges: Vec<Range<u64>> = part.map_or_else(|| shape.iter().map(|&length| 0..length).collect(), <[Range<u64>]>::to_vec);
        let fits = ranges.len() == shape.len()
            && ranges.iter().zip(&shape).all(|(range, length)| range.start <= range.end && range.end <= *length);
        let [trials, channels, times] = ranges.as_slice() else {
            return Err(wrong(format!("{} ranges were asked for, the array has 3 axes", ranges.len()), "give a range for each axis"));
        };
        if !fits {
            return Err(wrong(format!("the ranges {ranges:?} do not fit in {shape:?}"), "give ranges within the array"));
        }
        let length = |range: &Range<u64>| range.end - range.start;
        let bytes = ranges.iter().map(length).try_fold(8u64, u64::checked_mul).filter(|bytes| *bytes <= self.series.most);
        if bytes.is_none() {
            return Err(wrong(format!("the part {ranges:?} takes more memory than allowed"), RAISE_LIMIT));
        }
        let own: Vec<usize> = channels.clone().filter_map(|channel| usize::try_from(channel).ok()).collect();
        let mut values = Vec::with_capacity(usize::try_from(bytes.unwrap_or(0) / 8).unwrap_or(0));
        for trial in trials.clone() {
            let samples = trial * self.length + times.start..trial * self.length + times.end;
            for channel in self.series.values(&own, samples)? {
                values.extend_from_slice(&channel);
            }
        }
        let mut axes = vec![Axis::count("trial", usize::try_from(length(trials)).unwrap_or(0))];
        if self.labels.len() as u64 == self.trials
            && let Some(axis) = axes.first_mut()
        {
            let taken = trials.clone().filter_map(|trial| self.labels.get(usize::try_from(trial).ok()?).cloned());
            axis.properties.push(("label".into(), Coordinates::Labels(taken.collect())));
        }
        let names = own.iter().filter_map(|&channel| self.series.channel_list().get(channel)).map(|channel| channel.name.clone());
        axes.push(Axis::labels("channel", names.collect()));
        let clock = times.clone().map(|sample| self.begin + sample as f64 / self.rate);
        axes.push(Axis::numbers("time", Some("s"), clock.collect()));
        let unit = Some(self.unit()).filter(|unit| !unit.is_empty());
        Tensor::new(axes, unit, values).map_err(|error| wrong(error.to_string(), "read a smaller part"))
    }
}
