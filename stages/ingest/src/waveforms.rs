//! Waveforms of spikes in the recording that they were found in: the channel where a unit is largest, how far it stands out, how many of its spikes
//! are missing. Only short pieces are read around each spike, so that a recording of any length can be mapped.

use crate::quality::QualityParams;
use crate::recorded::{Common, each_channel, is_marks};
use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use neuroflow_compute::amplitudes::{amplitude_cutoff, noise_level};
use neuroflow_compute::statistics::median;
use neuroflow_data::{Recording, Spikes, columns};
use neuroflow_stage::{Context, StageError};
use std::ops::Range;

/// Samples of a channel that its noise is estimated from, in pieces spread evenly over it.
const NOISE_SAMPLES: usize = 500_000;
const NOISE_PIECES: usize = 20;

/// What is cut around a spike, in seconds, and how many spikes are averaged.
pub(crate) struct Window {
    before: f64,
    after: f64,
    most: usize,
}

impl Window {
    pub(crate) fn of(params: &QualityParams) -> Window {
        Window { before: params.before.0, after: params.after.0, most: usize::try_from(params.waveforms).unwrap_or(usize::MAX) }
    }
}

/// The farthest point of a unit's mean waveform on a channel.
#[derive(Clone, Copy)]
struct Peak {
    channel: usize,
    /// From the waveform's first sample.
    lag: usize,
    value: f64,
}

/// The columns `peak_channel`, `amplitude`, `snr` and `amplitude_cutoff`, a row for each unit.
///
/// # Errors
/// When the channels have no time line in common.
pub(crate) fn columns(
    spikes: &Spikes,
    recording: &Recording,
    window: &Window,
    context: &Context,
) -> Result<Vec<(Field, ArrayRef)>, StageError> {
    let channels: Vec<usize> = recording.channels().enumerate().filter(|(_, channel)| !is_marks(channel)).map(|(place, _)| place).collect();
    let common = Common::of(recording, &channels)?;
    let cuts: Vec<Vec<Range<usize>>> = (0..spikes.len()).map(|unit| cuts(spikes.times(unit), &common, window)).collect();
    // A channel at a time: its middle and noise, and how far each unit's mean waveform reaches on it.
    let seen = each_channel(channels.len(), context, |place| {
        let Some(channel) = channels.get(place).copied() else { return Ok((0.0, None, Vec::new())) };
        let quiet = pieces(recording, channel, common.samples);
        let (middle, noise) = (median(&quiet), noise_level(&quiet));
        let peaks = cuts.iter().map(|own| peak(recording, channel, &some_of(own, window.most), middle)).collect::<Vec<_>>();
        Ok((middle, noise, peaks))
    })?;
    let rows = each_channel(spikes.len(), context, |unit| {
        let all = seen.iter().filter_map(|(_, _, peaks)| peaks.get(unit).copied().flatten());
        let Some(best) = all.reduce(|best, other| if other.value.abs() > best.value.abs() { other } else { best }) else { return Ok(None) };
        let (middle, noise) = channels
            .iter()
            .position(|own| *own == best.channel)
            .and_then(|place| seen.get(place))
            .map_or((0.0, None), |seen| (seen.0, seen.1));
        let own = cuts.get(unit).map_or(&[][..], Vec::as_slice);
        let at_peak = |cut: &Range<usize>| recording.values(best.channel, cut.start + best.lag..cut.start + best.lag + 1).first().copied();
        let amplitudes: Vec<f64> = own.iter().filter_map(at_peak).map(|value| (value - middle) * best.value.signum()).collect();
        let snr = noise.filter(|noise| *noise > 0.0).map(|noise| best.value.abs() / noise);
        Ok(Some((best, snr, amplitude_cutoff(&amplitudes))))
    })?;
    let name = |channel: usize| recording.channel(channel).map_or("", |(channel, _)| channel.name.as_str());
    let names: Vec<&str> = rows.iter().map(|row| row.as_ref().map_or("", |(best, _, _)| name(best.channel))).collect();
    Ok(vec![
        columns::from_texts("peak_channel", &names),
        columns::from_optional_numbers("amplitude", rows.iter().map(|row| row.as_ref().map(|(best, _, _)| best.value.abs())).collect()),
        columns::from_optional_numbers("snr", rows.iter().map(|row| row.as_ref().and_then(|(_, snr, _)| *snr)).collect()),
        columns::from_optional_numbers(
            "amplitude_cutoff",
            rows.iter().map(|row| row.as_ref().and_then(|(_, _, missing)| *missing)).collect(),
        ),
    ])
}

/// The samples around each spike that lie within one stretch of the recording.
fn cuts(times: &[f64], common: &Common, window: &Window) -> Vec<Range<usize>> {
    let (before, after) = ((window.before * common.rate).round() as usize, (window.after * common.rate).round().max(1.0) as usize);
    let (spans, stretches) = (common.spans(), common.stretches());
    let cut = |time: &f64| {
        let place = spans.iter().position(|(start, end)| start <= time && time < end)?;
        let (stretch, start) = (stretches.get(place)?, spans.get(place)?.0);
        let at = stretch.start + ((time - start) * common.rate).round() as usize;
        let own = at.checked_sub(before)?..at.checked_add(after)?;
        (own.start >= stretch.start && own.end <= stretch.end).then_some(own)
    };
    times.iter().filter_map(cut).collect()
}

/// At most so many, spread evenly.
fn some_of(cuts: &[Range<usize>], most: usize) -> Vec<Range<usize>> {
    let count = cuts.len().min(most);
    (0..count).filter_map(|place| cuts.get(place * cuts.len() / count.max(1)).cloned()).collect()
}

fn peak(recording: &Recording, channel: usize, cuts: &[Range<usize>], middle: f64) -> Option<Peak> {
    let mut sums = vec![0.0; cuts.first()?.len()];
    for cut in cuts {
        sums.iter_mut().zip(recording.values(channel, cut.clone())).for_each(|(sum, value)| *sum += value);
    }
    let mut best: Option<Peak> = None;
    for (lag, sum) in sums.iter().enumerate() {
        let value = sum / cuts.len() as f64 - middle;
        if value.is_finite() && best.is_none_or(|best| value.abs() > best.value.abs()) {
            best = Some(Peak { channel, lag, value });
        }
    }
    best
}

/// Pieces of a channel, spread evenly over it.
fn pieces(recording: &Recording, channel: usize, samples: usize) -> Vec<f64> {
    if samples <= NOISE_SAMPLES {
        return recording.values(channel, 0..samples);
    }
    let length = NOISE_SAMPLES / NOISE_PIECES;
    let start = |piece: usize| (samples - length) / (NOISE_PIECES - 1) * piece;
    (0..NOISE_PIECES).flat_map(|piece| recording.values(channel, start(piece)..start(piece) + length)).collect()
}
