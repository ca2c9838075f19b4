//! `ingest.artefacts`: bad stretches of a recording as events.
//!
//! For what: blinks, movements, loose electrodes and muscles are found once and kept out of trials (`ingest.epoch(…, avoid)`) or listed. Promises: the recording is not
//! changed; one channel at a time is held. Refuses: criteria that no recording can meet, values that are not finite. From: `mne.preprocessing.annotate_amplitude` and
//! `annotate_muscle_zscore` (the idea; filters here are Butterworth).

use crate::recorded::{Common, each_channel, in_channel, is_marks};
use neuroflow_compute::signal::{Band, analytic_signal, butterworth};
use neuroflow_compute::statistics::{mean, median, standard_deviation};
use neuroflow_compute::with_threads;
use neuroflow_data::{Channel, Events, Kind, Recording, Table, columns};
use neuroflow_stage::params::{Either, Hertz};
use neuroflow_stage::{
    Context, Dimension, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Quantity, Seconds, Signature, Stage, StageError, Value, params,
    words,
};
use std::ops::Range;

/// The stage `ingest.artefacts`.
pub struct Artefacts;

words! {
    /// No such criterion.
    pub enum Nothing {
        /// Not looked for.
        None = "none" {},
    }
}

words! {
    /// Whether muscles are looked for.
    pub enum Muscle {
        /// Not looked for.
        None = "none" {},
        /// The amplitude in a band of high frequencies, in standard deviations of each channel, summed over channels and divided by the root of their number, and smoothed to 4 Hz.
        Band = "band" {
            /// The lower edge.
            low: Hertz = Quantity { value: 110.0, dimension: Dimension::Frequency };
            /// The upper edge.
            high: Hertz = Quantity { value: 140.0, dimension: Dimension::Frequency };
            /// Above this it is muscle.
            above: f64 = 4.0, in 0.0..=1e6;
        },
    }
}

params! {
    /// Parameters of `ingest.artefacts`.
    pub struct ArtefactsParams {
        /// Samples further than this from the channel's median, in its unit, are bad.
        amplitude: Either<Nothing, f64> = Value::word("none"), in 0.0..=1e12;
        /// Steps larger than this from one sample to the next, in the channel's unit, are bad.
        jump: Either<Nothing, f64> = Value::word("none"), in 0.0..=1e12;
        /// A channel that does not change for at least this long is bad.
        flat: Either<Nothing, Seconds> = Value::word("none"), in 0.0..=1e6;
        /// Whether muscles are looked for, over all channels together.
        muscle: Muscle = Value::word("none");
        /// Only channels with these names; `*` and `?` stand for any characters and one. All but marks (role `trig`) when empty.
        channels: Vec<String> = Value::List(Vec::new());
        /// What is added to both ends of a bad stretch.
        padding: Seconds = Value::seconds(0.0), in 0.0..=1e4;
        /// Bad stretches of one kind and channel that lie no further apart become one.
        join: Seconds = Value::seconds(0.1), in 0.0..=1e4;
    }
}

const DOC: &str = r#"Events of bad stretches: `time`, `duration`, `label` (`amplitude`, `jump`, `flat` or `muscle`), `channel` (empty for muscles, which are looked for over all channels
together) and `size`, the largest value that told: the distance from the median, the step, the duration, or the score. At least one criterion must be asked for.

A stretch never reaches over a pause. `ingest.epoch(recording, events, artefacts)` leaves out trials that touch one; one of a single channel counts when that channel
is among the chosen.

```nf
pipeline bad "Bad stretches"
session = ingest.simulate_signals()
bad = ingest.artefacts(session.recording, amplitude = 60.0, flat = 500 ms)
report bad { bad }
```"#;

impl Stage for Artefacts {
    type Params = ArtefactsParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.artefacts",
            version: 1,
            summary: "Finds bad stretches of a recording: amplitudes, jumps, flat channels, muscles.",
            doc: DOC,
            inputs: vec![InputSpec::one("recording", &[Kind::Recording], "channel × sample", "The recording.")],
            outputs: vec![OutputSpec::new("artefacts", Kind::Events, "", "An event for each bad stretch.")],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &ArtefactsParams, context: &Context) -> Result<Outputs, StageError> {
        let recording: Recording = inputs.one("recording")?;
        let nothing = |criterion: &Either<Nothing, f64>| matches!(criterion, Either::Left(_));
        if nothing(&params.amplitude)
            && nothing(&params.jump)
            && matches!(params.flat, Either::Left(_))
            && params.muscle == (Muscle::None {})
        {
            return Err(StageError::refused_with_help(
                "no criterion is asked for",
                "give at least one of `amplitude`, `jump`, `flat` and `muscle`, such as `amplitude = 150.0`",
            ));
        }
        let names: Vec<String> = recording.channels().map(|channel| channel.name.clone()).collect();
        let mut channels = crate::condition::chosen(&names, &params.channels, &recording.session, "channel")?;
        channels.retain(|&place| recording.channel(place).is_some_and(|(channel, _)| !is_marks(channel)));
        let one = |place: usize| -> Result<Vec<Bad>, StageError> {
            let place = channels.get(place).copied().unwrap_or(0);
            let Some((channel, stored)) = recording.channel(place) else { return Ok(Vec::new()) };
            let values = recording.values(place, 0..stored.len());
            if let Some(sample) = values.iter().position(|value| !value.is_finite()) {
                let message = format!("session `{}`, channel `{}`: sample {sample} is not finite", recording.session, channel.name);
                return Err(StageError::refused_with_help(message, "leave the channel out with `channels`"));
            }
            Ok(of_channel(channel, &values, params))
        };
        let mut found: Vec<Bad> = each_channel(channels.len(), context, one)?.concat();
        if let Muscle::Band { low, high, above } = &params.muscle {
            found.extend(muscles(&recording, &channels, Band::Pass(low.0, high.0), *above, params, context)?);
        }
        found.sort_by(|a, b| a.start.total_cmp(&b.start).then_with(|| a.channel.cmp(&b.channel)).then_with(|| a.label.cmp(b.label)));
        let table = Table::from_columns(vec![
            columns::from_numbers("time", found.iter().map(|bad| bad.start).collect()),
            columns::from_optional_numbers("duration", found.iter().map(|bad| Some(bad.end - bad.start)).collect()),
            columns::from_texts("label", &found.iter().map(|bad| bad.label).collect::<Vec<_>>()),
            columns::from_texts("channel", &found.iter().map(|bad| bad.channel.as_str()).collect::<Vec<_>>()),
            columns::from_numbers("size", found.iter().map(|bad| bad.size).collect()),
        ])?;
        let mut events = Events::from_table(table)?;
        events.sources.clone_from(&recording.sources);
        Outputs::new().with("artefacts", events)
    }
}

/// A bad stretch.
#[derive(Debug, Clone, PartialEq)]
struct Bad {
    start: f64,
    end: f64,
    label: &'static str,
    channel: String,
    size: f64,
}

/// Samples that are bad by one criterion, and how bad.
struct Run {
    samples: Range<usize>,
    size: f64,
}

/// Runs of samples whose score passes a limit.
fn above(scores: impl Iterator<Item = f64>, limit: f64) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (sample, score) in scores.enumerate().filter(|(_, score)| *score > limit) {
        match runs.last_mut() {
            Some(run) if run.samples.end == sample => {
                run.samples.end += 1;
                run.size = run.size.max(score);
            }
            _ => runs.push(Run { samples: sample..sample + 1, size: score }),
        }
    }
    runs
}

fn of_channel(channel: &Channel, values: &[f64], params: &ArtefactsParams) -> Vec<Bad> {
    let centre = median(values);
    let mut found = Vec::new();
    for (range, stretch) in crate::recorded::stretches(channel, values.len()).into_iter().zip(&channel.stretches) {
        let own = values.get(range).unwrap_or(&[]);
        let line = Line { time: stretch.time, rate: channel.rate, samples: own.len() };
        let mut add = |runs: Vec<Run>, label| found.extend(line.bad(runs, label, &channel.name, params));
        if let Either::Right(limit) = params.amplitude {
            add(above(own.iter().map(|value| (value - centre).abs()), limit), "amplitude");
        }
        if let Either::Right(limit) = params.jump {
            // The step into a sample counts as that sample.
            let steps = std::iter::once(0.0).chain(own.windows(2).map(|pair| (pair[1] - pair[0]).abs()));
            add(above(steps, limit), "jump");
        }
        if let Either::Right(least) = &params.flat {
            let mut runs: Vec<Run> = Vec::new();
            for sample in 1..own.len() {
                if own[sample] == own[sample - 1] {
                    match runs.last_mut() {
                        Some(run) if run.samples.end == sample => run.samples.end += 1,
                        _ => runs.push(Run { samples: sample - 1..sample + 1, size: 0.0 }),
                    }
                }
            }
            runs.retain_mut(|run| {
                run.size = run.samples.len() as f64 / channel.rate;
                run.size >= least.0 - 1e-9
            });
            add(runs, "flat");
        }
    }
    found
}

/// The time of a stretch.
struct Line {
    time: f64,
    rate: f64,
    samples: usize,
}

impl Line {
    /// Runs as bad stretches: padded, cut to the stretch, joined.
    fn bad(&self, runs: Vec<Run>, label: &'static str, channel: &str, params: &ArtefactsParams) -> Vec<Bad> {
        let whole = (self.time, self.time + self.samples as f64 / self.rate);
        let mut found: Vec<Bad> = Vec::new();
        for run in runs {
            let at = |sample: usize| self.time + sample as f64 / self.rate;
            let start = (at(run.samples.start) - params.padding.0).max(whole.0);
            let end = (at(run.samples.end) + params.padding.0).min(whole.1);
            match found.last_mut() {
                Some(last) if start - last.end <= params.join.0 + 1e-9 => {
                    last.end = last.end.max(end);
                    last.size = last.size.max(run.size);
                }
                _ => found.push(Bad { start, end, label, channel: channel.to_owned(), size: run.size }),
            }
        }
        found
    }
}

/// Stretches in which high frequencies are strong in many channels.
fn muscles(
    recording: &Recording,
    channels: &[usize],
    band: Band,
    limit: f64,
    params: &ArtefactsParams,
    context: &Context,
) -> Result<Vec<Bad>, StageError> {
    let common = Common::of(recording, channels)?;
    let refused = |error| crate::traces::refused(&recording.session, error);
    let filter = butterworth(4, band, common.rate).map_err(refused)?;
    let smooth = butterworth(4, Band::Low(4.0), common.rate).map_err(refused)?;
    let stretches = common.stretches();
    let mut score = vec![0.0; common.samples];
    // One channel after the other, so that only its amplitude and the sum are held.
    for &channel in channels {
        context.cancel.check()?;
        let mut amplitude = recording.values(channel, 0..common.samples);
        for (number, range) in stretches.iter().enumerate().filter(|(_, range)| !range.is_empty()) {
            let own = amplitude.get_mut(range.clone()).unwrap_or(&mut []);
            let envelope = with_threads(context.threads, || filter.zero_phase(own).and_then(|filtered| analytic_signal(&filtered)))
                .and_then(|envelope| envelope)
                .map_err(|error| in_channel(recording, channel, number, error))?;
            own.iter_mut().zip(envelope).for_each(|(value, complex)| *value = complex.norm());
        }
        let (centre, deviation) = (mean(&amplitude), standard_deviation(&amplitude, 0));
        if deviation > 0.0 {
            score.iter_mut().zip(amplitude).for_each(|(sum, value)| *sum += (value - centre) / deviation);
        }
    }
    let root = (channels.len() as f64).sqrt();
    let mut found = Vec::new();
    for (range, stretch) in stretches.into_iter().zip(&common.line.stretches).filter(|(range, _)| !range.is_empty()) {
        let own: Vec<f64> = score.get(range).unwrap_or(&[]).iter().map(|sum| sum / root).collect();
        let smoothed = smooth.zero_phase(&own).map_err(refused)?;
        let line = Line { time: stretch.time, rate: common.rate, samples: own.len() };
        found.extend(line.bad(above(smoothed.into_iter(), limit), "muscle", "", params));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{artifact, hertz, recording, run_with, said, with_pauses};

    fn found(recording: &Recording, params: &[(&str, Value)]) -> Vec<(f64, f64, String, String, f64)> {
        let events: Events = run_with(&Artefacts, &[("recording", artifact(recording))], params).unwrap().one("artefacts").unwrap();
        let table = events.table();
        let numbers = |name: &str| table.numbers(name).unwrap();
        let texts = |name: &str| table.texts(name).unwrap();
        (0..events.len())
            .map(|row| {
                (
                    numbers("time")[row],
                    numbers("duration")[row],
                    texts("label")[row].clone(),
                    texts("channel")[row].clone(),
                    numbers("size")[row],
                )
            })
            .collect()
    }

    fn alternating(n: usize) -> Vec<f64> {
        (0..n).map(|at| if at % 2 == 0 { 1.0 } else { -1.0 }).collect()
    }

    #[test]
    fn each_criterion_finds_what_it_is_for() {
        let (mut first, mut second) = (alternating(1000), alternating(1000));
        first[200..203].fill(80.0);
        first[205] = -90.0;
        second[500..560].fill(1.0);
        let recording = recording(100.0, &[first, second]);
        let amplitude = found(&recording, &[("amplitude", 50.0.into())]);
        assert_eq!(amplitude.len(), 1);
        assert!((amplitude[0].0 - 2.0).abs() < 1e-9 && (amplitude[0].1 - 0.06).abs() < 1e-9 && amplitude[0].3 == "C1");
        assert_eq!(found(&recording, &[("amplitude", 50.0.into()), ("join", Value::seconds(0.0))]).len(), 2);
        let jump = found(&recording, &[("jump", 30.0.into()), ("padding", Value::seconds(0.5))]);
        assert!(jump.len() == 1 && (jump[0].0 - 1.5).abs() < 1e-9 && (jump[0].4 - 91.0).abs() < 1e-9, "{jump:?}");
        let flat = found(&recording, &[("flat", Value::seconds(0.5))]);
        assert!(flat.len() == 1 && flat[0].3 == "C2" && (flat[0].0 - 5.0).abs() < 1e-9 && (flat[0].1 - 0.61).abs() < 0.011, "{flat:?}");
        assert!(found(&recording, &[("flat", Value::seconds(0.7))]).is_empty());
        assert!(said(run_with(&Artefacts, &[("recording", artifact(&recording))], &[])).contains("no criterion is asked for"));
    }

    #[test]
    fn nothing_reaches_over_a_pause() {
        let mut values = alternating(400);
        values[199] = 100.0;
        values[200] = 100.0;
        let recording = with_pauses(100.0, &[values], &[(0, 0.0), (200, 2.05)]);
        let found = found(&recording, &[("amplitude", 50.0.into()), ("padding", Value::seconds(1.0)), ("join", Value::seconds(0.01))]);
        assert_eq!(found.len(), 2);
        assert!((found[0].0 - 0.99).abs() < 1e-9 && (found[0].0 + found[0].1 - 2.0).abs() < 1e-9, "{found:?}");
        assert!((found[1].0 - 2.05).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn muscles_are_bursts_of_high_frequency_in_many_channels() {
        let burst = |at: usize| if (2000..2300).contains(&at) { 20.0 } else { 0.5 };
        let channel = |phase: f64| {
            (0..5000)
                .map(|at| burst(at) * (std::f64::consts::TAU * 125.0 * at as f64 / 500.0 + phase + (at as f64 * 0.013).sin()).sin())
                .collect()
        };
        let recording = recording(500.0, &[channel(0.0), channel(1.0), channel(2.0)]);
        let found = found(&recording, &[("muscle", Value::word("band"))]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!((found[0].0 - 4.0).abs() < 0.15 && (found[0].1 - 0.6).abs() < 0.25 && found[0].2 == "muscle", "{found:?}");
        let slow = crate::testing::recording(200.0, &[alternating(1000)]);
        let muscle = Value::call("band", vec![("low", hertz(110.0))]);
        assert!(
            said(run_with(&Artefacts, &[("recording", artifact(&slow))], &[("muscle", muscle)])).contains("half the sampling rate, 100 Hz")
        );
    }
}
