//! `ingest.epoch`: stretches of a recording around events become responses `[trial × channel × sample]`.
//!
//! For what: evoked potentials, decoding from EEG, MEG, ECoG and LFP. Promises: the continuous channel is filtered before it is cut, each stretch by
//! itself; no window crosses a pause; one channel at a time is held in double precision, however long the recording is. Refuses: channels that do not go
//! together, windows that leave the recording (unless asked to drop them), values that are not finite. From: `mne.Epochs` (Gramfort et al. 2013),
//! whose samples these are, except that windows are half-open here.

mod clean;
mod parameters;

pub use parameters::{Baseline, EpochParams, Nothing, Reference};

use crate::condition::chosen;
use crate::cut::{Chosen, Dropped, Edges, choose, trial_columns};
use crate::recorded::{Common, each_channel};
use clean::Cleaner;
use neuroflow_data::{Axis, Events, Kind, Recording, Responses, Tensor};
use neuroflow_stage::params::Either;
use neuroflow_stage::{Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError};
use std::ops::Range;

/// The stage `ingest.epoch`.
pub struct Epoch;

const DOC: &str = r#"For each event, the samples of each chosen channel in a window around it. An event belongs to the sample nearest to its time, and the
window reaches from `round(start · rate)` to `round(end · rate)` samples from there, its end not included (MNE-Python includes it: `tmax` there is one
sample less than the end here). All columns of the events are kept as columns of the trials.

In this order, as far as asked for: the reference is taken off, the **continuous** channel is filtered (`high_pass`, `low_pass`, `notch`; Butterworth,
forwards and backwards, no shift in time; each stretch between pauses by itself), freed from what `decimate` can't hold, cut, and each trial's mean over
`baseline` is taken off. Trials are then left out when a channel's range within the window passes `peak_to_peak` or stays below `flat`, both in the
channel's unit, or when they touch one of the `avoid` events (such as those of `ingest.artefacts`). The output `dropped` lists them with the reason.

With `decimate = n`, every n-th sample is kept, counted from the event, after a low-pass at 0.8 of the new half rate, as `scipy.signal.decimate`.

```nf
pipeline potentials "A rhythm around events"
session = ingest.simulate_signals()
trials = ingest.epoch(session.recording, session.events, window = 0 s .. 1 s, high_pass = 8 Hz, low_pass = 30 Hz, reference = average)
report potentials { trials }
```"#;

impl Stage for Epoch {
    type Params = EpochParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.epoch",
            version: 2,
            summary: "Cuts a recording around events, after referencing and filtering it.",
            doc: DOC,
            inputs: vec![
                InputSpec::one("recording", &[Kind::Recording], "channel × sample", "The recording."),
                InputSpec::one("events", &[Kind::Events], "", "The events; one trial each."),
                InputSpec::optional(
                    "avoid",
                    &[Kind::Events],
                    "",
                    "Stretches that no trial may touch, such as those of `ingest.artefacts`.",
                ),
            ],
            outputs: vec![
                OutputSpec::new("responses", Kind::Responses, "trial × unit × bin", "The trials; units are channels, bins are samples."),
                OutputSpec::new("dropped", Kind::Table, "", "A row for each event that was left out, and why."),
            ],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &EpochParams, context: &Context) -> Result<Outputs, StageError> {
        let recording: Recording = inputs.one("recording")?;
        let events: Events = inputs.one("events")?;
        let avoid: Option<Events> = inputs.optional("avoid")?;
        let session = recording.session.as_str();
        let names: Vec<String> = recording.channels().map(|channel| channel.name.clone()).collect();
        let channels = chosen(&names, &params.channels, session, "channel")?;
        let common = Common::of(&recording, &channels)?;
        let frame = Frame::of(params, &common, session)?;
        let picked = choose(&events, &params.label, &params.r#where)?;
        let mut dropped = Dropped::default();
        let mut trials = within(&common, &frame, &picked, params, session, &mut dropped)?;
        if let Some(avoid) = &avoid {
            avoided(avoid, &recording, &channels, &common, &frame, &mut trials, &mut dropped)?;
        }
        dropped.some_left(trials.len())?;

        let cleaner = Cleaner::new(&recording, &channels, &common, params, context)?;
        let n = frame.offsets.len();
        let one = |place: usize| -> Result<Cut, StageError> {
            let values = cleaner.channel(channels.get(place).copied().unwrap_or(0))?;
            frame.cut(&values, &trials, params)
        };
        // Each channel is cut as soon as it is filtered; what is left of it is the trials.
        let cuts = each_channel(channels.len(), context, one)?;
        drop(cleaner);

        let mut kept = Vec::with_capacity(trials.len());
        for (place, trial) in trials.iter().enumerate() {
            let bad = cuts.iter().enumerate().find_map(|(channel, cut)| cut.bad.get(place).copied().flatten().map(|bad| (channel, bad)));
            match bad {
                None => kept.push(place),
                Some((channel, (Bad::NotFinite, _))) => return Err(not_finite(session, &names, &channels, channel, trial.row)),
                Some((channel, (reason, range))) => {
                    let name = channels.get(channel).and_then(|&channel| names.get(channel)).map_or("", String::as_str);
                    dropped.push(trial.row, reason.word(), format!("channel `{name}` has a range of {range}"));
                }
            }
        }
        dropped.some_left(kept.len())?;
        let mut values = Vec::with_capacity(kept.len() * channels.len() * n);
        for &trial in &kept {
            cuts.iter().for_each(|cut| values.extend_from_slice(cut.values.get(trial * n..(trial + 1) * n).unwrap_or(&[])));
        }
        let times = frame.offsets.iter().map(|&offset| offset as f64 / common.rate).collect();
        let axes = vec![Axis::count("trial", kept.len()), common.unit_axis(&recording, &channels), Axis::numbers("bin", Some("s"), times)];
        let rows: Vec<usize> = kept.iter().filter_map(|&place| trials.get(place)).map(|trial| trial.row).collect();
        let values = Tensor::new(axes, common.unit.as_deref(), values)?;
        let mut responses = Responses::new(session, values, trial_columns(&events, &rows)?, None)?;
        responses.sources = recording.sources.union(&events.sources).cloned().collect();
        Outputs::new().with("responses", responses)?.with("dropped", dropped.table(&events)?)
    }
}

fn not_finite(session: &str, names: &[String], channels: &[usize], channel: usize, row: usize) -> StageError {
    let name = channels.get(channel).and_then(|&channel| names.get(channel)).map_or("", String::as_str);
    StageError::refused_with_help(
        format!("session `{session}`: channel `{name}` has values that are not finite in the window of event {row} (counted from 0)"),
        "leave out the channel with `channels`, or the events with `where`",
    )
}

/// One event that may become a trial: its row, and the sample of its time.
struct Trial {
    row: usize,
    sample: usize,
}

/// Why a trial is bad in a channel.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Bad {
    NotFinite,
    PeakToPeak,
    Flat,
}

impl Bad {
    fn word(self) -> &'static str {
        match self {
            Bad::NotFinite => "not_finite",
            Bad::PeakToPeak => "peak_to_peak",
            Bad::Flat => "flat",
        }
    }
}

/// The trials of one channel, `[trial × sample]`, and what is wrong with each.
struct Cut {
    values: Vec<f64>,
    bad: Vec<Option<(Bad, f64)>>,
}

/// The samples of a window, counted from the event.
struct Frame {
    offsets: Vec<i64>,
    /// The first and the end of the window, before any is left out by decimation.
    reach: Range<i64>,
    /// Which of `offsets` are in the baseline.
    baseline: Vec<usize>,
}

impl Frame {
    fn of(params: &EpochParams, common: &Common, session: &str) -> Result<Frame, StageError> {
        let sample = |time: f64| (time * common.rate).round_ties_even() as i64;
        let reach = sample(params.window.start.0)..sample(params.window.end.0);
        let step = i64::try_from(params.decimate).unwrap_or(i64::MAX).max(1);
        let length = usize::try_from(reach.end.saturating_sub(reach.start)).unwrap_or(0);
        if length == 0 || length > common.samples {
            return Err(StageError::refused_with_help(
                format!(
                    "session `{session}`: a window of {} s is {length} samples at {} Hz, the recording has {}",
                    params.window.end.0 - params.window.start.0,
                    common.rate,
                    common.samples
                ),
                "choose a window of at least one sample that is shorter than the recording",
            ));
        }
        let first = reach.start.div_euclid(step) * step;
        let first = if first < reach.start { first + step } else { first };
        let offsets: Vec<i64> = (0..).map(|place| first + place * step).take_while(|offset| *offset < reach.end).collect();
        if offsets.is_empty() {
            return Err(StageError::refused_with_help(
                format!("session `{session}`: `decimate = {step}` leaves no sample of the window"),
                "use a longer window or a smaller factor",
            ));
        }
        let baseline = match &params.baseline {
            Baseline::None {} => Vec::new(),
            Baseline::Before { window } => {
                let (start, end) = (sample(window.start.0), sample(window.end.0));
                let inside: Vec<usize> =
                    offsets.iter().enumerate().filter(|(_, offset)| (start..end).contains(*offset)).map(|(place, _)| place).collect();
                if inside.is_empty() || start < reach.start || end > reach.end {
                    return Err(StageError::refused_with_help(
                        format!(
                            "session `{session}`: the baseline {} s .. {} s does not lie in the window {} s .. {} s",
                            window.start.0, window.end.0, params.window.start.0, params.window.end.0
                        ),
                        "choose a wider `window`, or a `baseline` within it",
                    ));
                }
                inside
            }
        };
        Ok(Frame { offsets, reach, baseline })
    }

    /// The samples of a window around a sample, when they are all there.
    fn around(&self, sample: usize, bounds: &Range<usize>) -> Option<Range<usize>> {
        let at = |offset: i64| i64::try_from(sample).ok()?.checked_add(offset).and_then(|place| usize::try_from(place).ok());
        let (first, end) = (at(self.reach.start)?, at(self.reach.end)?);
        (bounds.start <= first && end <= bounds.end).then_some(first..end)
    }

    /// The trials of a channel: cut, with the baseline taken off, and judged.
    fn cut(&self, channel: &[f64], trials: &[Trial], params: &EpochParams) -> Result<Cut, StageError> {
        let mut values = Vec::with_capacity(trials.len() * self.offsets.len());
        let mut bad = Vec::with_capacity(trials.len());
        for trial in trials {
            let begin = values.len();
            let at = |offset: &i64| usize::try_from(trial.sample as i64 + offset).ok().and_then(|place| channel.get(place)).copied();
            for offset in &self.offsets {
                values.push(at(offset).ok_or_else(|| StageError::Bug("a window beyond its channel".into()))?);
            }
            let own = values.get_mut(begin..).unwrap_or(&mut []);
            if !self.baseline.is_empty() {
                let mean = self.baseline.iter().filter_map(|&place| own.get(place)).sum::<f64>() / self.baseline.len() as f64;
                own.iter_mut().for_each(|value| *value -= mean);
            }
            bad.push(judge(own, params));
        }
        Ok(Cut { values, bad })
    }
}

/// What is wrong with a trial's trace, and its range.
fn judge(trace: &[f64], params: &EpochParams) -> Option<(Bad, f64)> {
    if trace.iter().any(|value| !value.is_finite()) {
        return Some((Bad::NotFinite, f64::NAN));
    }
    let (low, high) = trace.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)));
    let range = high - low;
    match (&params.peak_to_peak, &params.flat) {
        (Either::Right(most), _) if range > *most => Some((Bad::PeakToPeak, range)),
        (_, Either::Right(least)) if range < *least => Some((Bad::Flat, range)),
        _ => None,
    }
}

/// The events whose window lies within one stretch.
fn within(
    common: &Common,
    frame: &Frame,
    picked: &Chosen,
    params: &EpochParams,
    session: &str,
    dropped: &mut Dropped,
) -> Result<Vec<Trial>, StageError> {
    let (stretches, spans) = (common.stretches(), common.spans());
    let mut trials = Vec::with_capacity(picked.rows.len());
    for (&row, &time) in picked.rows.iter().zip(&picked.times) {
        // The stretch that goes on at that time; half a sample before the first belongs to it.
        let after = spans.partition_point(|(start, _)| *start - 0.5 / common.rate <= time);
        let place = after.saturating_sub(1);
        let found = stretches.get(place).zip(spans.get(place)).and_then(|(bounds, (start, _))| {
            let steps = ((time - start) * common.rate).round_ties_even();
            let sample = bounds.start.checked_add_signed(steps as isize)?;
            frame.around(sample, bounds).map(|_| sample)
        });
        match found {
            Some(sample) => trials.push(Trial { row, sample }),
            None => dropped.push(row, "window", "the window leaves the recording, or crosses a pause"),
        }
    }
    if params.edges == (Edges::Refuse {}) && dropped.len() > 0 {
        let spans = spans.iter().take(4).map(|(from, to)| format!("{from} s .. {to} s")).collect::<Vec<_>>().join(", ");
        return Err(StageError::refused_with_help(
            format!(
                "session `{session}`: the windows of {} of {} events leave the recording or cross a pause (it reaches over {spans}); the first is event {} \
                 (counted from 0)",
                dropped.len(),
                picked.rows.len(),
                dropped.first_row()
            ),
            "use a shorter window, or leave them out with `edges = drop`",
        ));
    }
    Ok(trials)
}

/// Leaves out trials that touch an event to avoid. One that names a channel counts only when that channel is chosen.
fn avoided(
    avoid: &Events,
    recording: &Recording,
    channels: &[usize],
    common: &Common,
    frame: &Frame,
    trials: &mut Vec<Trial>,
    dropped: &mut Dropped,
) -> Result<(), StageError> {
    let table = avoid.table();
    let has = |name: &str| table.column_names().iter().any(|column| column == name);
    let durations = if has("duration") { table.numbers("duration")? } else { vec![0.0; avoid.len()] };
    let of_channel = if has("channel") { table.texts("channel")? } else { Vec::new() };
    let mine = |name: &String| name.is_empty() || recording.position(name).is_none_or(|place| channels.contains(&place));
    let spans: Vec<(f64, f64, String)> = avoid
        .times()
        .into_iter()
        .zip(durations)
        .zip(avoid.labels())
        .enumerate()
        .filter(|(row, _)| of_channel.get(*row).is_none_or(mine))
        .map(|(_, ((time, duration), label))| (time, time + if duration.is_finite() { duration.max(0.0) } else { 0.0 }, label))
        .collect();
    trials.retain(|trial| {
        let at = |offset: i64| common.line.time_of(trial.sample as u64) + offset as f64 / common.rate;
        let (start, end) = (at(frame.reach.start), at(frame.reach.end));
        // A stretch without duration is a moment, and counts when it lies in the window.
        match spans.iter().find(|(from, to, _)| *from < end && (*to > start || (*from == *to && *from >= start))) {
            Some((from, _, label)) => {
                dropped.push(trial.row, "avoid", format!("`{label}` at {from} s"));
                false
            }
            None => true,
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests;
