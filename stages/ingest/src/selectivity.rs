//! How selective a tuning curve is for direction and orientation.
//!
//! Two families of indices, each 0 for a flat curve and 1 for a response to one direction (orientation) only:
//!
//! * from the mean vector, `1 − circular variance`: `OSI = |Σ r(θ) e^(2iθ)| / Σ r(θ)`, `DSI = |Σ r(θ) e^(iθ)| / Σ r(θ)` (Ringach, Shapley & Hawken 2002,
//!   J Neurosci 22:5639; recommended by Mazurek, Kager & Van Hooser 2014, Front Neural Circuits 8:92, because it uses the whole curve);
//! * as ratio, `(preferred − orthogonal) / (preferred + orthogonal)` and `(preferred − null) / (preferred + null)` (Niell & Stryker 2008, J Neurosci
//!   28:7520), where the response to an orientation is the mean over its two directions.
//!
//! Both need responses that are not negative; negative means are set to 0 first, as in Mazurek et al. An index is missing when it has no meaning: no
//! response at all, conditions that are not evenly spaced (mean vector), or no condition at the opposite or orthogonal angle (ratio). Both are biased
//! upwards for noisy curves with few trials.

/// What angles the conditions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Circle {
    /// Directions of motion: 360° is the same as 0°.
    Direction,
    /// Orientations: 180° is the same as 0°.
    Orientation,
}

impl Circle {
    fn period(self) -> f64 {
        match self {
            Circle::Direction => 360.0,
            Circle::Orientation => 180.0,
        }
    }
}

/// Indices of one unit; what has no meaning for its curve is missing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Indices {
    /// Orientation selectivity, 1 − circular variance.
    pub(crate) osi: Option<f64>,
    /// Direction selectivity, 1 − circular variance.
    pub(crate) dsi: Option<f64>,
    /// Orientation selectivity as a ratio.
    pub(crate) osi_ratio: Option<f64>,
    /// Direction selectivity as a ratio.
    pub(crate) dsi_ratio: Option<f64>,
    /// Angle of the mean vector, in degrees: of direction, or of orientation where conditions are orientations.
    pub(crate) mean_angle: Option<f64>,
}

/// The indices of a curve of responses at `angles`, in degrees.
pub(crate) fn indices(circle: Circle, angles: &[f64], responses: &[f64]) -> Indices {
    let responses: Vec<f64> = responses.iter().map(|response| response.max(0.0)).collect();
    let total: f64 = responses.iter().sum();
    if total <= 0.0 {
        return Indices::default();
    }
    // The mean vector of angles multiplied by `harmonic`: length over the total, and angle.
    let vector = |harmonic: f64| {
        let (x, y) = angles.iter().zip(&responses).fold((0.0, 0.0), |(x, y), (angle, response)| {
            let (sine, cosine) = (harmonic * angle.to_radians()).sin_cos();
            (x + response * cosine, y + response * sine)
        });
        (x.hypot(y) / total, (y.atan2(x).to_degrees() / harmonic).rem_euclid(360.0 / harmonic))
    };
    let even = evenly_spaced(circle, angles);
    let at = |angle: f64| response_at(circle, angles, &responses, angle);
    let mut preferred = (0.0, f64::NEG_INFINITY);
    for (angle, response) in angles.iter().zip(&responses) {
        if *response > preferred.1 {
            preferred = (*angle, *response);
        }
    }
    let of_orientation = |angle: f64| match circle {
        Circle::Orientation => at(angle),
        Circle::Direction => Some((at(angle)? + at(angle + 180.0)?) / 2.0),
    };
    let osi_ratio = of_orientation(preferred.0).zip(of_orientation(preferred.0 + 90.0)).and_then(|(own, other)| ratio(own, other));
    match circle {
        Circle::Direction => Indices {
            osi: even.then(|| vector(2.0).0),
            dsi: even.then(|| vector(1.0).0),
            osi_ratio,
            dsi_ratio: at(preferred.0 + 180.0).and_then(|null| ratio(preferred.1, null)),
            mean_angle: even.then(|| vector(1.0).1),
        },
        Circle::Orientation => {
            Indices { osi: even.then(|| vector(2.0).0), osi_ratio, mean_angle: even.then(|| vector(2.0).1), ..Indices::default() }
        }
    }
}

fn ratio(own: f64, other: f64) -> Option<f64> {
    (own + other > 0.0).then(|| (own - other) / (own + other))
}

const SAME_ANGLE: f64 = 1e-6;

fn response_at(circle: Circle, angles: &[f64], responses: &[f64], wanted: f64) -> Option<f64> {
    let period = circle.period();
    let distance = |angle: f64| {
        let difference = (angle - wanted).rem_euclid(period);
        difference.min(period - difference)
    };
    angles.iter().zip(responses).find(|(angle, _)| distance(**angle) < SAME_ANGLE).map(|(_, response)| *response)
}

/// Whether the angles divide the circle into equal parts, at least three: only then has a flat curve no mean vector.
fn evenly_spaced(circle: Circle, angles: &[f64]) -> bool {
    let period = circle.period();
    let mut angles: Vec<f64> = angles.iter().map(|angle| angle.rem_euclid(period)).collect();
    angles.sort_by(f64::total_cmp);
    let step = period / angles.len() as f64;
    angles.len() >= 3 && angles.windows(2).all(|pair| matches!(pair, [a, b] if (b - a - step).abs() < SAME_ANGLE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DIRECTIONS: [f64; 8] = [0.0, 45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0];

    fn close(found: Option<f64>, expected: f64) {
        assert!(found.is_some_and(|found| (found - expected).abs() < 1e-12), "{found:?} and {expected}");
    }

    #[test]
    fn one_direction_alone_is_fully_selective() {
        let found = indices(Circle::Direction, &DIRECTIONS, &[0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        [found.osi, found.dsi, found.osi_ratio, found.dsi_ratio].into_iter().for_each(|index| close(index, 1.0));
        close(found.mean_angle, 90.0);
    }

    #[test]
    fn two_opposite_directions_are_orientation_selective_only() {
        let found = indices(Circle::Direction, &DIRECTIONS, &[0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
        [found.osi, found.osi_ratio].into_iter().for_each(|index| close(index, 1.0));
        [found.dsi, found.dsi_ratio].into_iter().for_each(|index| close(index, 0.0));
    }

    #[test]
    fn a_flat_curve_is_not_selective_and_silence_has_no_index() {
        let found = indices(Circle::Direction, &DIRECTIONS, &[0.7; 8]);
        [found.osi, found.dsi, found.osi_ratio, found.dsi_ratio].into_iter().for_each(|index| close(index, 0.0));
        assert_eq!(indices(Circle::Direction, &DIRECTIONS, &[0.0; 8]), Indices::default());
        assert_eq!(indices(Circle::Direction, &DIRECTIONS, &[-0.3; 8]), Indices::default());
    }

    #[test]
    fn a_cosine_curve_has_the_closed_form() {
        // r = 1 + a cos(θ − φ): the mean vector is a / 2 long and points to φ; preferred − null is 2a over 2 when φ is a condition.
        let curve = DIRECTIONS.map(|angle| 1.0 + 0.6 * (angle - 135.0).to_radians().cos());
        let found = indices(Circle::Direction, &DIRECTIONS, &curve);
        close(found.dsi, 0.3);
        close(found.osi, 0.0);
        close(found.dsi_ratio, 0.6);
        close(found.mean_angle, 135.0);
    }

    #[test]
    fn orientations_turn_in_half_a_circle() {
        let angles = [0.0, 45.0, 90.0, 135.0];
        let found = indices(Circle::Orientation, &angles, &angles.map(|angle: f64| 1.0 + (2.0 * (angle - 45.0)).to_radians().cos()));
        close(found.osi, 0.5);
        close(found.osi_ratio, 1.0);
        close(found.mean_angle, 45.0);
        assert_eq!((found.dsi, found.dsi_ratio), (None, None));
    }

    #[test]
    fn uneven_angles_have_no_mean_vector_but_ratios_where_the_opposite_is_there() {
        let found = indices(Circle::Direction, &[0.0, 10.0, 180.0], &[3.0, 1.0, 1.0]);
        assert_eq!((found.osi, found.dsi, found.osi_ratio), (None, None, None));
        close(found.dsi_ratio, 0.5);
    }

    proptest! {
        #[test]
        fn indices_lie_between_0_and_1_and_turn_with_the_curve(curve in proptest::collection::vec(0.0f64..5.0, 8), turn in 0usize..8) {
            prop_assume!(curve.iter().sum::<f64>() > 0.1);
            let found = indices(Circle::Direction, &DIRECTIONS, &curve);
            for index in [found.osi, found.dsi, found.dsi_ratio] {
                prop_assert!((-1e-12..=1.0 + 1e-12).contains(&index.unwrap()));
            }
            let mut turned = curve.clone();
            turned.rotate_right(turn);
            let other = indices(Circle::Direction, &DIRECTIONS, &turned);
            prop_assert!((found.osi.unwrap() - other.osi.unwrap()).abs() < 1e-12);
            prop_assert!((found.dsi.unwrap() - other.dsi.unwrap()).abs() < 1e-12);
        }
    }
}
