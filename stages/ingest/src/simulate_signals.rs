//! `ingest.simulate_signals`: a continuous session whose truth is known.
//!
//! For what: the steps from continuous recordings to trials run, and can be tried, without any file. Promises: the same seed gives the same bytes; everything
//! says in its sources that it is simulated. Refuses: sessions of more than 100 million samples.

use neuroflow_data::random::Stream;
use neuroflow_data::{Channel, Events, Kind, Recording, Samples, Spikes, Table, columns};
use neuroflow_stage::{Context, Exactness, Inputs, OutputSpec, Outputs, Seconds, Signature, Stage, StageError, Value, params};
use std::f64::consts::TAU;

/// The stage `ingest.simulate_signals`.
pub struct SimulateSignals;

/// What simulated signals say of their origin.
pub const SOURCE: &str = "simulated: ingest.simulate_signals (continuous session with known truth)";

/// Seconds from one event to the next.
const EVERY: f64 = 2.0;
/// Samples a second of the potentials, and of the cells.
const FAST: f64 = 250.0;
const SLOW: f64 = 30.0;
/// What is left of a cell's calcium after one sample.
const DECAY: f64 = 0.95;
const MOST_VALUES: f64 = 1e8;

params! {
    /// Parameters of `ingest.simulate_signals`.
    pub struct SimulateSignalsParams {
        /// How long the session lasts.
        duration: Seconds = Value::seconds(60.0), in 10.0..=100000.0;
        /// The number of units, which are also the cells.
        units: usize = 6, in 1.0..=10000.0;
        /// The number of channels of potentials.
        channels: usize = 8, in 2.0..=10000.0;
    }
}

const DOC: &str = r#"An event every 2 s, `left` and `right` by turns, and:

* `spikes`: Poisson units of 5 spikes a second with a refractory period of 2 ms. For half a second after an event, odd units triple their rate for `left` and even
  ones for `right`.
* `recording`: potentials in µV at 250 Hz: a rhythm of 10 Hz that is weaker after events in the first half of the channels for `left` and in the second for
  `right`, noise, mains hum of 50 Hz, and two blinks of 200 µV.
* `fluorescence`: a cell for each unit at 30 Hz: calcium of its spikes (0.95 is left after a sample), on a baseline of 100, with noise and some of the motion.
* `motion`: two signals that walk about, on the samples of the fluorescence.

```nf
pipeline simulated "A continuous session"
session = ingest.simulate_signals()
trials = ingest.epoch(session.recording, session.events, window = -500 ms .. 1 s)
report simulated { trials }
```"#;

impl Stage for SimulateSignals {
    type Params = SimulateSignalsParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.simulate_signals",
            version: 1,
            summary: "Simulates a continuous session: potentials, spikes, fluorescence, motion and events.",
            doc: DOC,
            inputs: Vec::new(),
            outputs: vec![
                OutputSpec::new("recording", Kind::Recording, "channel × sample", "Potentials."),
                OutputSpec::new("events", Kind::Events, "", "Events `left` and `right`."),
                OutputSpec::new("spikes", Kind::Spikes, "", "Spikes of units."),
                OutputSpec::new("fluorescence", Kind::Recording, "channel × sample", "Fluorescence of the same units."),
                OutputSpec::new("motion", Kind::Recording, "channel × sample", "Motion, on the samples of the fluorescence."),
            ],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, _inputs: &Inputs, params: &SimulateSignalsParams, context: &Context) -> Result<Outputs, StageError> {
        let duration = params.duration.0;
        let values = duration * (FAST * params.channels as f64 + SLOW * (params.units + 2) as f64);
        if values > MOST_VALUES {
            return Err(StageError::refused_with_help(
                format!("the session would have {values:.0} samples; at most {MOST_VALUES:.0} are simulated"),
                "use a shorter `duration`, or fewer `channels` and `units`",
            ));
        }
        let stream = Stream::new(context.seed);
        let times: Vec<f64> = (0..).map(|event| 1.0 + EVERY * f64::from(event)).take_while(|time| time + 1.0 <= duration).collect();
        let labels: Vec<String> = (0..times.len()).map(|event| if event % 2 == 0 { "left" } else { "right" }.to_owned()).collect();
        let mut events = Events::new(times.clone(), vec![Some(0.5); times.len()], &labels)?;
        events.sources.insert(SOURCE.into());
        context.cancel.check()?;
        let trains: Vec<Vec<f64>> =
            (0..params.units).map(|unit| train(unit, duration, &times, stream.split("spikes").split_index(unit as u64))).collect();
        let spikes = spikes(&trains, duration)?;
        context.cancel.check()?;
        let recording = potentials(params.channels, duration, &times, &stream.split("potentials"))?;
        context.cancel.check()?;
        let motion = walk(duration, &stream.split("motion"));
        let fluorescence = fluorescence(&trains, &motion, &stream.split("fluorescence"))?;
        let motion = motion.into_iter().zip(["x", "y"]).map(|(values, name)| channel(name, "misc", "um", SLOW, values)).collect();
        Outputs::new()
            .with("recording", recording)?
            .with("events", events)?
            .with("spikes", spikes)?
            .with("fluorescence", fluorescence)?
            .with("motion", simulated(motion)?)
    }
}

/// Whether an event of the kind that a half likes (0 is `left`) was within half a second before a time.
fn driven(half: usize, time: f64, events: &[f64]) -> bool {
    let after = events.partition_point(|event| *event <= time);
    after.checked_sub(1).is_some_and(|event| event % 2 == half && events.get(event).is_some_and(|start| time - start < 0.5))
}

fn train(unit: usize, duration: f64, events: &[f64], mut stream: Stream) -> Vec<f64> {
    // Thinning: candidates at the highest rate, of which as many are kept as the rate of the moment asks for.
    let mut times = Vec::new();
    let (mut time, mut last) = (0.0, f64::NEG_INFINITY);
    loop {
        time += stream.exponential() / 15.0;
        if time >= duration {
            return times;
        }
        let kept = stream.uniform() < if driven(unit % 2, time, events) { 1.0 } else { 1.0 / 3.0 };
        if kept && time - last > 0.002 {
            times.push(time);
            last = time;
        }
    }
}

fn spikes(trains: &[Vec<f64>], duration: f64) -> Result<Spikes, StageError> {
    let names: Vec<String> = (1..=trains.len()).map(|unit| format!("unit{unit}")).collect();
    let prefers: Vec<&str> = (0..trains.len()).map(|unit| if unit % 2 == 0 { "left" } else { "right" }).collect();
    let units = Table::from_columns(vec![columns::from_texts("unit", &names), columns::from_texts("prefers", &prefers)])?;
    let mut ends = Vec::with_capacity(trains.len());
    let mut all: Vec<f64> = Vec::new();
    for train in trains {
        all.extend(train);
        ends.push(all.len());
    }
    let mut spikes = Spikes::new("signals", units, &ends, all)?;
    spikes.observed = vec![(0.0, duration)];
    spikes.sources.insert(SOURCE.into());
    Ok(spikes)
}

fn potentials(channels: usize, duration: f64, events: &[f64], stream: &Stream) -> Result<Recording, StageError> {
    let n = (duration * FAST) as usize;
    let made = (0..channels).map(|place| {
        let mut own = stream.split_index(place as u64);
        let phase = TAU * own.uniform();
        let half = usize::from(2 * place >= channels);
        let value = |sample: usize| {
            let time = sample as f64 / FAST;
            let rhythm = if driven(half, time, events) { 3.0 } else { 10.0 };
            let blink = [0.31, 0.73].iter().any(|share| (time - share * duration).abs() < 0.1);
            rhythm * (TAU * 10.0 * time + phase).sin() + 2.0 * (TAU * 50.0 * time).sin() + if blink { 200.0 } else { 0.0 }
        };
        let values = (0..n).map(|sample| value(sample) + 5.0 * own.normal()).collect();
        channel(&format!("E{}", place + 1), "eeg", "uV", FAST, values)
    });
    simulated(made.collect())
}

/// Two signals that walk about and are drawn back to 0.
fn walk(duration: f64, stream: &Stream) -> [Vec<f64>; 2] {
    let n = (duration * SLOW) as usize;
    [0, 1].map(|place| {
        let mut own = stream.split_index(place);
        let mut at = 0.0;
        (0..n)
            .map(|_| {
                at = 0.98 * at + 0.2 * own.normal();
                at
            })
            .collect()
    })
}

fn fluorescence(trains: &[Vec<f64>], motion: &[Vec<f64>; 2], stream: &Stream) -> Result<Recording, StageError> {
    let made = trains.iter().enumerate().map(|(unit, train)| {
        let mut own = stream.split_index(unit as u64);
        let mut spikes = train.iter().peekable();
        let mut calcium = 0.0;
        let values = motion[0].iter().zip(&motion[1]).enumerate().map(|(sample, (x, y))| {
            calcium *= DECAY;
            while spikes.next_if(|spike| **spike < (sample + 1) as f64 / SLOW).is_some() {
                calcium += 10.0;
            }
            100.0 + calcium + 6.0 * x - 3.0 * y + 3.0 * own.normal()
        });
        channel(&format!("unit{}", unit + 1), "cells", "a.u.", SLOW, values.collect())
    });
    simulated(made.collect())
}

fn channel(name: &str, role: &str, unit: &str, rate: f64, values: Vec<f64>) -> (Channel, Samples) {
    (Channel { role: role.into(), ..Channel::new(name, unit, rate) }, Samples::F64(values.into()))
}

fn simulated(channels: Vec<(Channel, Samples)>) -> Result<Recording, StageError> {
    let mut recording = Recording::new("signals", channels)?;
    recording.sources.insert(SOURCE.into());
    Ok(recording)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run_with;
    use neuroflow_data::Responses;

    fn outputs() -> Outputs {
        run_with(&SimulateSignals, &[], &[]).unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_session_which_says_that_it_is_simulated() {
        let (first, second) = (outputs(), outputs());
        for name in ["recording", "events", "spikes", "fluorescence", "motion"] {
            assert_eq!(first.get(name).unwrap().encode().unwrap(), second.get(name).unwrap().encode().unwrap());
            assert!(first.get(name).unwrap().meta().sources.contains(SOURCE));
        }
    }

    #[test]
    fn what_was_planted_is_found_by_the_steps_of_this_topic() {
        let session = outputs();
        let of = |name: &str| session.get(name).unwrap().clone();
        let given = [("activity", of("spikes")), ("events", of("events"))];
        let params = [("window", Value::window(0.0, 0.5)), ("bin", Value::seconds(0.5)), ("measure", Value::word("rate"))];
        let responses: Responses = run_with(&crate::align::Align, &given, &params).unwrap().one("responses").unwrap();
        let labels = responses.trials().texts("label").unwrap();
        let mean = |unit: usize, label: &str| {
            let own: Vec<f64> =
                (0..labels.len()).filter(|&trial| labels[trial] == label).map(|trial| responses.trace(trial, unit)[0]).collect();
            own.iter().sum::<f64>() / own.len() as f64
        };
        assert!(mean(0, "left") > 1.8 * mean(0, "right") && mean(1, "right") > 1.8 * mean(1, "left"));
        let still: Recording = run_with(&crate::regress_out::RegressOut, &[("recording", of("fluorescence")), ("by", of("motion"))], &[])
            .unwrap()
            .one("recording")
            .unwrap();
        let motion: Recording = session.one("motion").unwrap();
        let r = |recording: &Recording| {
            let n = motion.channel(0).unwrap().1.len();
            neuroflow_compute::statistics::pearson(&recording.values(0, 0..n), &motion.values(0, 0..n)).unwrap()
        };
        assert!(r(&session.one("fluorescence").unwrap()) > 0.05 && r(&still).abs() < 1e-9);
        let bad: Events = run_with(&crate::artefacts::Artefacts, &[("recording", of("recording"))], &[("amplitude", 100.0.into())])
            .unwrap()
            .one("artefacts")
            .unwrap();
        assert_eq!(bad.len(), 16);
    }
}
