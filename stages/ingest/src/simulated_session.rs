//! One simulated session: an animal that runs and looks at gratings, and a population that is watched meanwhile.
//!
//! The activity of unit `u` in trial `i` at time `t` is
//!
//! ```text
//! x = baseline_u + g_i · r_u(θ_i) · k(t) + w_u L_c(u) + global + drift_u + behaviour_u + noise · (slow_u + white_u)
//! ```
//!
//! * `g`: gain shared by all units, log-normal over trials, larger when the animal runs (Goris, Movshon & Simoncelli 2014, Nat Neurosci 17:858; Niell &
//!   Stryker 2010, Neuron 65:472); `r_u`: see [`crate::population`]; `k`: the time course of a calcium indicator, nothing before onset;
//! * `L_c`: a fluctuation shared by the units of a community; `global`: one shared by all; `slow_u`: one of its own. All three are Ornstein–Uhlenbeck
//!   processes that run on through the session and know nothing of the stimulus;
//! * `drift_u`: a slow wave over the session, of another period and phase in each unit;
//! * `behaviour_u`: added by running and arousal, only where the session has the confound.
//!
//! In a session with the confound the animal's running and pupil depend on the direction shown, during the whole trial. Nothing else carries direction
//! before onset, and in an untuned session nothing does at all.

use crate::population::{self, Tuning, Unit};
use crate::session_columns::{bin_axis, covariates, trial_table};
use neuroflow_data::random::Stream;
use neuroflow_data::{Axis, Responses, Tensor};
use neuroflow_stage::{CancelToken, StageError};
use std::f64::consts::TAU;

/// What a session is like.
#[derive(Debug, Clone)]
pub(crate) struct Design {
    pub(crate) name: &'static str,
    pub(crate) n_units: usize,
    pub(crate) communities: usize,
    pub(crate) tuning: Tuning,
    /// By how many standard deviations running and arousal swing with direction; 0 for an animal that does not care.
    pub(crate) confound: f64,
    pub(crate) trials_per_direction: usize,
    pub(crate) noise: f64,
    /// Hz.
    pub(crate) sampling: f64,
}

/// Directions shown, in degrees.
pub(crate) const DIRECTIONS: [f64; 8] = [0.0, 45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0];
/// Seconds before and after onset; both ends have a bin.
const BEFORE: f64 = 1.0;
const AFTER: f64 = 2.0;
/// Seconds from the stimulus to the first response, and of its rise.
const LATENCY: f64 = 0.1;
const RISE: f64 = 0.4;
/// The share by which a response falls from 0.5 s to 2 s.
const ADAPTATION: f64 = 0.25;
/// Standard deviation of the shared gain's logarithm, and its change per standard deviation of running.
const GAIN: f64 = 0.25;
const GAIN_BY_RUNNING: f64 = 0.1;
/// Strengths, and correlation times in seconds, of what is added to the evoked response.
const GLOBAL: (f64, f64) = (0.2, 2.0);
const COMMUNITY_SECONDS: f64 = 0.4;
const SLOW: (f64, f64) = (0.5, 0.3);
const WHITE: f64 = 0.6;
const DRIFT: f64 = 0.2;

/// The number of bins of a trial at a sampling rate in Hz.
pub(crate) fn n_bins(sampling: f64) -> usize {
    bins_before(sampling) + (AFTER * sampling).round() as usize + 1
}

fn bins_before(sampling: f64) -> usize {
    (BEFORE * sampling).round() as usize
}

/// Simulates a session.
pub(crate) fn simulate(design: &Design, stream: &Stream, cancel: &CancelToken) -> Result<Responses, StageError> {
    let dt = 1.0 / design.sampling;
    let before = bins_before(design.sampling) as f64;
    let times: Vec<f64> = (0..n_bins(design.sampling)).map(|bin| (bin as f64 - before) * dt).collect();
    let directions = directions(design, stream);
    let animal = Animal::of(design, &directions, times.len(), dt, stream);
    let units = population::draw(design.n_units, design.communities, design.tuning, &stream.split("population"));
    let values = activity(design, &units, &directions, &animal, &times, stream, cancel)?;

    let n_trials = directions.len();
    let signals = vec![("speed".to_owned(), animal.speed), ("pupil".to_owned(), animal.pupil)];
    let animal = covariates(signals, n_trials, &times)?;
    let table = trial_table(&directions, Some(times.len() as f64 * dt))?;
    let axes = vec![Axis::count("trial", n_trials), population::axis(&units), bin_axis(times)];
    Ok(Responses::new(design.name, Tensor::new(axes, Some("z"), values)?, table, animal)?)
}

/// Every direction equally often, in random order.
fn directions(design: &Design, stream: &Stream) -> Vec<f64> {
    let mut directions: Vec<f64> = DIRECTIONS.iter().flat_map(|&direction| vec![direction; design.trials_per_direction]).collect();
    stream.split("directions").shuffle(&mut directions);
    directions
}

/// The animal: how much it runs and how aroused it is.
struct Animal {
    /// Of each trial, in standard deviations.
    running: Vec<f64>,
    arousal: Vec<f64>,
    /// `[trial × bin]`: speed in the recordings' units (about 0 to 1), pupil in standard deviations.
    speed: Vec<f64>,
    pupil: Vec<f64>,
}

impl Animal {
    fn of(design: &Design, directions: &[f64], n_bins: usize, dt: f64, stream: &Stream) -> Animal {
        let stream = stream.split("animal");
        let phase = TAU * stream.split("phase").uniform();
        let mut draws = stream.split("trials");
        let (mut running, mut arousal) = (Vec::new(), Vec::new());
        for direction in directions {
            let (sine, cosine) = (direction.to_radians() - phase).sin_cos();
            let own = draws.normal();
            // An animal that runs is aroused; the confound moves both, a quarter of a turn apart.
            running.push(own + design.confound * cosine);
            arousal.push(0.4 * own + 0.8 * draws.normal() + design.confound * sine);
        }
        let length = directions.len() * n_bins;
        let mut steps = Fluctuation::new(1.0, dt, stream.split("speed"));
        let mut wander = Fluctuation::new(1.0, dt, stream.split("pupil"));
        let of_trial = |levels: &[f64], sample: usize| levels.get(sample / n_bins.max(1)).copied().unwrap_or(0.0);
        let speed = (0..length).map(|sample| (0.1 * (1.0 + of_trial(&running, sample) + 0.5 * steps.next())).max(0.0)).collect();
        let pupil = (0..length).map(|sample| of_trial(&arousal, sample) + 0.5 * wander.next()).collect();
        Animal { running, arousal, speed, pupil }
    }
}

/// The activity `[trial × unit × bin]`.
fn activity(
    design: &Design,
    units: &[Unit],
    directions: &[f64],
    animal: &Animal,
    times: &[f64],
    stream: &Stream,
    cancel: &CancelToken,
) -> Result<Vec<f64>, StageError> {
    let (n_trials, n_units, n_bins, dt) = (directions.len(), units.len(), times.len(), 1.0 / design.sampling);
    let length = n_trials * n_bins;
    let course: Vec<f64> = times.iter().map(|&time| time_course(time)).collect();
    let mut draws = stream.split("gain");
    let gains: Vec<f64> = animal.running.iter().map(|running| (GAIN * draws.normal() + GAIN_BY_RUNNING * running).exp()).collect();
    let global = Fluctuation::new(GLOBAL.1, dt, stream.split("global")).take(length);
    let shared: Vec<Vec<f64>> = (0..design.communities)
        .map(|community| Fluctuation::new(COMMUNITY_SECONDS, dt, stream.split("community").split_index(community as u64)).take(length))
        .collect();

    let mut values = vec![0.0; n_trials * n_units * n_bins];
    for (position, unit) in units.iter().enumerate() {
        cancel.check()?;
        let own = stream.split("activity").split_index(position as u64);
        let mut slow = Fluctuation::new(SLOW.1, dt, own.split("slow"));
        let mut white = own.split("white");
        let mut drift = own.split("drift");
        let (waves, start) = (0.3 + 0.9 * drift.uniform(), drift.uniform());
        let community = shared.get(unit.community).map_or(&[][..], Vec::as_slice);
        for trial in 0..n_trials {
            let of = |levels: &[f64]| levels.get(trial).copied().unwrap_or(0.0);
            let evoked = of(&gains) * unit.response(of(directions).to_radians());
            let moved =
                if design.confound > 0.0 { unit.by_running * of(&animal.running) + unit.by_arousal * of(&animal.arousal) } else { 0.0 };
            let first = (trial * n_units + position) * n_bins;
            for (bin, value) in values.get_mut(first..first + n_bins).unwrap_or(&mut []).iter_mut().enumerate() {
                let sample = trial * n_bins + bin;
                let at = |signal: &[f64]| signal.get(sample).copied().unwrap_or(0.0);
                let wave = (TAU * (waves * sample as f64 / length as f64 + start)).sin();
                *value = unit.baseline
                    + evoked * course.get(bin).copied().unwrap_or(0.0)
                    + unit.membership * at(community)
                    + GLOBAL.0 * at(&global)
                    + DRIFT * std::f64::consts::SQRT_2 * wave
                    + moved
                    + design.noise * (SLOW.0 * slow.next() + WHITE * white.normal());
            }
        }
    }
    Ok(values)
}

/// The time course of an evoked response: nothing before the latency, then an exponential rise towards 1 and a slow fall while the stimulus lasts.
fn time_course(time: f64) -> f64 {
    if time <= LATENCY {
        return 0.0;
    }
    let fallen = ((time - 0.5) / (AFTER - 0.5)).clamp(0.0, 1.0);
    (1.0 - (-(time - LATENCY) / RISE).exp()) * (1.0 - ADAPTATION * fallen)
}

/// An Ornstein–Uhlenbeck process with variance 1, sampled exactly.
struct Fluctuation {
    /// Correlation of neighbouring samples.
    memory: f64,
    level: Option<f64>,
    draws: Stream,
}

impl Fluctuation {
    fn new(seconds: f64, dt: f64, draws: Stream) -> Fluctuation {
        Fluctuation { memory: (-dt / seconds).exp(), level: None, draws }
    }

    fn next(&mut self) -> f64 {
        let fresh = self.draws.normal();
        let level = self.level.map_or(fresh, |level| self.memory * level + (1.0 - self.memory * self.memory).sqrt() * fresh);
        self.level = Some(level);
        level
    }

    fn take(mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.next()).collect()
    }
}
