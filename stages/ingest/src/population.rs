//! The units of a simulated population: what each prefers, how strongly it answers, and whom it works with.
//!
//! Tuning is a mixture of two von Mises curves, one over direction and one over orientation, as in the usual description of V1 units under drifting
//! gratings (Swindale 1998, Biol Cybern 78:45): `r(θ) = s e^(κ (cos(θ − φ) − 1)) + (1 − s) e^(κ (cos 2(θ − φ) − 1))`.

use neuroflow_data::random::Stream;
use neuroflow_data::{Axis, Coordinates};
use std::f64::consts::TAU;

/// How well tuned the units of a session are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tuning {
    /// Median amplitude of the evoked response, in units of the noise; 0 for a session without stimulus information.
    pub(crate) amplitude: f64,
    /// Median concentration κ.
    pub(crate) concentration: f64,
}

/// One unit's truth.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unit {
    /// φ, in radians.
    preferred: f64,
    concentration: f64,
    amplitude: f64,
    /// s: 1 for direction tuning only, 0 for orientation tuning only.
    direction_share: f64,
    /// Level without stimulus.
    pub(crate) baseline: f64,
    /// Community, from 0.
    pub(crate) community: usize,
    /// Strength of the community's fluctuation in this unit.
    pub(crate) membership: f64,
    /// Added per standard deviation of running and of arousal where behaviour moves the unit itself.
    pub(crate) by_running: f64,
    pub(crate) by_arousal: f64,
}

/// The share of units that do not answer gratings at all.
const SILENT: f64 = 0.15;
/// Typical strength of a community's fluctuation.
const MEMBERSHIP: f64 = 0.6;
/// Typical strength of behaviour in a unit, in either direction.
const BY_BEHAVIOUR: f64 = 0.1;

impl Unit {
    /// Mean response to a direction in radians, at the peak of its time course and without gain.
    pub(crate) fn response(&self, direction: f64) -> f64 {
        let bump = |angle: f64| (self.concentration * (angle.cos() - 1.0)).exp();
        let turned = direction - self.preferred;
        self.amplitude * (self.direction_share * bump(turned) + (1.0 - self.direction_share) * bump(2.0 * turned))
    }
}

/// Draws `n` units in communities of sizes that differ by at most one, in shuffled order.
pub(crate) fn draw(n: usize, communities: usize, tuning: Tuning, stream: &Stream) -> Vec<Unit> {
    let mut community: Vec<usize> = (0..n).map(|unit| unit % communities.max(1)).collect();
    stream.split("communities").shuffle(&mut community);
    community
        .into_iter()
        .enumerate()
        .map(|(unit, community)| {
            let mut draws = stream.split("unit").split_index(unit as u64);
            let preferred = TAU * draws.uniform();
            let concentration = tuning.concentration * (0.3 * draws.normal()).exp();
            let strength = tuning.amplitude * (0.5 * draws.normal()).exp();
            let amplitude = if draws.uniform() < SILENT { 0.0 } else { strength };
            Unit {
                preferred,
                concentration,
                amplitude,
                direction_share: 0.3 + 0.7 * draws.uniform(),
                baseline: 0.2 * draws.uniform(),
                community,
                membership: MEMBERSHIP * (0.15 * draws.normal()).exp(),
                by_running: BY_BEHAVIOUR * draws.normal(),
                by_arousal: BY_BEHAVIOUR * draws.normal(),
            }
        })
        .collect()
}

/// The unit axis with the truth as properties. Angles are in degrees; untuned units have amplitude 0.
pub(crate) fn axis(units: &[Unit]) -> Axis {
    let labels = (1..=units.len()).map(|unit| format!("neuron{unit}")).collect();
    let numbers = |of: fn(&Unit) -> f64| Coordinates::Numbers(units.iter().map(of).collect());
    Axis::labels("unit", labels)
        .with_property("community", Coordinates::Labels(units.iter().map(|unit| format!("{}", unit.community + 1)).collect()))
        .with_property("preferred_direction", numbers(|unit| unit.preferred.to_degrees()))
        .with_property("amplitude", numbers(|unit| unit.amplitude))
        .with_property("concentration", numbers(|unit| unit.concentration))
        .with_property("direction_share", numbers(|unit| unit.direction_share))
        .with_property("baseline", numbers(|unit| unit.baseline))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_answers_most_to_its_preferred_direction() {
        let units = draw(40, 4, Tuning { amplitude: 1.0, concentration: 2.0 }, &Stream::new(1));
        for unit in units.iter().filter(|unit| unit.amplitude > 0.0) {
            let best = unit.response(unit.preferred);
            assert!((best - unit.amplitude).abs() < 1e-12);
            assert!((0..360).all(|degree| unit.response(f64::from(degree).to_radians()) <= best + 1e-12));
            assert!(unit.response(unit.preferred + std::f64::consts::PI) < best);
        }
    }

    #[test]
    fn communities_have_even_sizes_and_a_population_grows_without_changing() {
        let tuning = Tuning { amplitude: 1.0, concentration: 2.0 };
        let units = draw(30, 4, tuning, &Stream::new(1));
        let mut sizes = [0; 4];
        units.iter().for_each(|unit| sizes[unit.community] += 1);
        assert!(sizes.iter().all(|size| (7..=8).contains(size)), "{sizes:?}");
        let more = draw(31, 4, tuning, &Stream::new(1));
        assert!(units.iter().zip(&more).all(|(few, many)| few.preferred == many.preferred && few.baseline == many.baseline));
    }
}
