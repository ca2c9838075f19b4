//! The clock of a series whose times stand one by one: a rate, and the stretches between pauses.
//!
//! Times are those of a recording when they lie on lines of one rate:
//!
//! - The step is the median of the differences between times that follow each other.
//! - A difference of more than one and a half steps is a pause; one of less than half a step is none of a recording. At most one difference in ten may be a
//!   pause, so that events do not pass for samples.
//! - The rate is the one that fits all stretches best (least squares). It is a whole number when that moves no time by more than the times are off already.
//! - A stretch begins at its first time as it stands in the file, and no time lies further than a tenth of a sample from its stretch's line.
//!
//! So times that were rounded to microseconds are as good as a rate, and times of licks, frames that come as they like, or a clock that drifts are not.

use neuroflow_data::Stretch;

/// How far a time may be off, in samples.
const OFF: f64 = 0.1;
/// A difference that is a pause, in steps, and the least that is a step.
const PAUSE: f64 = 1.5;
const LEAST: f64 = 0.5;
/// Differences for each pause, at least.
const APART: usize = 10;
/// Differences that the median is taken of, evenly spread.
const MEDIAN_OF: usize = 1 << 16;

/// A rate, and where its stretches begin.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Clock {
    pub rate: f64,
    pub stretches: Vec<Stretch>,
    /// The time of the last sample.
    pub last: f64,
}

impl Clock {
    /// The clock of so many samples at a rate.
    pub fn at_rate(rate: f64, start: f64, samples: u64) -> Clock {
        let last = start + samples.saturating_sub(1) as f64 / rate;
        Clock { rate, stretches: vec![Stretch { first: 0, time: start }], last }
    }

    /// The time of the first sample.
    pub fn first(&self) -> f64 {
        self.stretches.first().map_or(0.0, |stretch| stretch.time)
    }

    /// The clock that gives these times, if they are those of a recording.
    pub fn of(times: &[f64]) -> Option<Clock> {
        let (first, last) = (*times.first()?, *times.last()?);
        let step = median_step(times)?;
        if !(step.is_finite() && step > 0.0 && first.is_finite() && last.is_finite()) {
            return None;
        }
        let mut begins = vec![0usize];
        for (place, pair) in times.windows(2).enumerate() {
            let [one, next] = pair else { continue };
            let steps = (next - one) / step;
            if steps > PAUSE && steps.is_finite() {
                begins.push(place + 1);
                if (begins.len() - 1) * APART > times.len() - 1 {
                    return None;
                }
            } else if !(LEAST..=PAUSE).contains(&steps) {
                return None;
            }
        }
        let parts = || {
            begins.iter().enumerate().filter_map(|(number, &from)| times.get(from..begins.get(number + 1).copied().unwrap_or(times.len())))
        };
        let step = fitted(parts())?;
        let off = |step: f64| parts().map(|part| furthest(part, step)).fold(0.0, f64::max) / step;
        let found = off(step);
        if found.is_nan() || found > OFF {
            return None;
        }
        // Times are written in decimals, so a rate that may be whole is whole.
        let longest = parts().map(<[f64]>::len).max().unwrap_or(0) as f64;
        let (rate, whole) = (1.0 / step, (1.0 / step).round());
        let moved = (rate - whole).abs() / rate;
        let rate = if whole >= 1.0 && (moved <= 1e-9 || moved * longest <= found) && off(1.0 / whole) <= OFF { whole } else { rate };
        let stretches = begins.iter().filter_map(|&first| Some(Stretch { first: first as u64, time: *times.get(first)? })).collect();
        Some(Clock { rate, stretches, last })
    }
}

/// The median of the differences between times that follow each other.
fn median_step(times: &[f64]) -> Option<f64> {
    let every = times.len() / MEDIAN_OF + 1;
    let mut steps: Vec<f64> = times.windows(2).step_by(every).filter_map(|pair| Some(pair.get(1)? - pair.first()?)).collect();
    let middle = steps.len().checked_sub(1)? / 2;
    let (_, median, _) = steps.select_nth_unstable_by(middle, f64::total_cmp);
    Some(*median)
}

/// The step that fits all stretches best. It is found as a small correction, so that times without rounding give the step without rounding.
fn fitted<'t>(parts: impl Iterator<Item = &'t [f64]> + Clone) -> Option<f64> {
    let (mut span, mut steps) = (0.0, 0usize);
    for part in parts.clone() {
        span += part.last()? - part.first()?;
        steps += part.len() - 1;
    }
    let step = span / steps as f64;
    let (mut moment, mut weight) = (0.0, 0.0);
    for part in parts {
        let (first, middle) = (part.first()?, (part.len() - 1) as f64 / 2.0);
        for (place, time) in part.iter().enumerate() {
            let from_middle = place as f64 - middle;
            moment += from_middle * (time - first - place as f64 * step);
            weight += from_middle * from_middle;
        }
    }
    let step = step + moment / weight;
    (step.is_finite() && step > 0.0).then_some(step)
}

/// How far a time of a stretch is off at most, in seconds.
fn furthest(part: &[f64], step: f64) -> f64 {
    let first = part.first().copied().unwrap_or(0.0);
    part.iter().enumerate().map(|(place, time)| (time - first - place as f64 * step).abs()).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rounded(time: f64, unit: f64) -> f64 {
        (time / unit).round() * unit
    }

    #[test]
    fn rounded_times_give_the_rate_that_they_were_made_with() {
        for (rate, unit, samples) in
            [(30.0, 1e-6, 300), (30_000.0, 1e-6, 60_000), (1000.0, 1e-5, 5000), (250.0, 1e-4, 20), (24_414.062_5, 1e-7, 9000)]
        {
            let times: Vec<f64> = (0..samples).map(|sample| rounded(17.5 + f64::from(sample) / rate, unit)).collect();
            let clock = Clock::of(&times).unwrap();
            assert_eq!(clock.stretches, [Stretch { first: 0, time: times[0] }], "{rate}");
            assert_eq!(clock.last, times[times.len() - 1]);
            if rate.fract() == 0.0 {
                assert_eq!(clock.rate, rate);
            } else {
                // A rate that is not whole is not made so.
                assert!((clock.rate / rate - 1.0).abs() < 1e-8, "{}", clock.rate);
            }
        }
    }

    #[test]
    fn pauses_begin_stretches_at_the_times_that_the_file_has() {
        let mut times: Vec<f64> = (0..100).map(|sample| f64::from(sample) / 1000.0).collect();
        times.extend((0..40).map(|sample| 0.25 + f64::from(sample) / 1000.0));
        times.extend((0..1).map(|_| 3.0));
        times.extend((0..60).map(|sample| rounded(7.000_123_4 + f64::from(sample) / 1000.0, 1e-6)));
        let clock = Clock::of(&times).unwrap();
        let stretches = [(0, 0.0), (100, 0.25), (140, 3.0), (141, rounded(7.000_123_4, 1e-6))];
        assert_eq!(clock.stretches, stretches.map(|(first, time)| Stretch { first, time }));
        assert_eq!((clock.rate, clock.last), (1000.0, times[200]));
    }

    #[test]
    fn what_is_no_recording_stays_one_time_by_one() {
        let even = |count: usize| (0..count).map(|sample| sample as f64).collect::<Vec<f64>>();
        // A pause for every tenth difference is allowed, and no more.
        let paused = |each: usize| even(40).iter().map(|time| time + (*time as usize / each) as f64 * 3.0).collect::<Vec<f64>>();
        assert!(Clock::of(&paused(20)).is_some());
        assert!(Clock::of(&paused(5)).is_none());
        // A tenth of a sample is near enough, more is not; and neither is a clock that drifts.
        let shifted =
            |by: f64| even(40).iter().enumerate().map(|(place, time)| if place == 20 { time + by } else { *time }).collect::<Vec<f64>>();
        assert!(Clock::of(&shifted(0.09)).is_some() && Clock::of(&shifted(0.2)).is_none());
        assert!(Clock::of(&even(400).iter().map(|time| time + time * time * 1e-5).collect::<Vec<_>>()).is_none());
        let mut back = even(40);
        back[20..].iter_mut().for_each(|time| *time -= 10.0);
        for times in [
            vec![],
            vec![1.0],
            vec![0.0, 0.0],
            vec![0.0, 1.0, 3.0],
            vec![1.0, f64::NAN, 3.0],
            vec![0.0, 1.0, f64::INFINITY],
            vec![2.0, 1.0],
            back,
        ] {
            assert!(Clock::of(&times).is_none(), "{times:?}");
        }
        assert!(Clock::of(&[f64::MIN, f64::MAX]).is_none());
    }

    proptest! {
        #[test]
        fn any_times_are_answered_and_a_clock_gives_them_back(times in proptest::collection::vec(prop_oneof![any::<f64>(), 0.0..10.0f64, (0..50u8).prop_map(f64::from)], 0..60)) {
            for times in [times.clone(), { let mut times = times; times.sort_by(f64::total_cmp); times }] {
                if let Some(clock) = Clock::of(&times) {
                    let mut channel = neuroflow_data::Channel::new("a", "", clock.rate);
                    channel.stretches = clock.stretches;
                    for (place, time) in times.iter().enumerate() {
                        prop_assert!((channel.time_of(place as u64) - time).abs() * clock.rate <= 2.0 * OFF);
                    }
                }
            }
        }

        #[test]
        fn recordings_with_pauses_are_found(rate in 1.0..50_000.0f64, starts in proptest::collection::vec((0.01..100.0f64, 12..200usize), 1..6)) {
            let (mut times, mut begins, mut from) = (Vec::new(), Vec::new(), 0.0);
            for (gap, samples) in starts {
                from += gap + 2.0 / rate;
                begins.push(Stretch { first: times.len() as u64, time: from });
                times.extend((0..samples).map(|sample| from + sample as f64 / rate));
                from = times[times.len() - 1];
            }
            let clock = Clock::of(&times).unwrap();
            prop_assert_eq!(clock.stretches, begins);
            prop_assert!((clock.rate / rate - 1.0).abs() < 1e-6);
        }
    }
}
