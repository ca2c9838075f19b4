//! Statistics of spike trains: how regular a unit fires, and how much of it may be another unit's.
//!
//! A train is a slice of spike times in seconds that do not fall. Formulas are those of the cited papers, with the conventions of SpikeInterface's quality
//! metrics and of Elephant where those differ from the papers.

/// Spikes that follow another of the same train too soon, and what that says of its purity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Refractory {
    /// Intervals between neighbours that are shorter than the refractory period.
    pub violations: usize,
    /// The rate of the hypothetical other units over the unit's own (Hill et al. 2011, as in UltraMegaSort and SpikeInterface's `isi_violations_ratio`);
    /// may pass 1. None for a train without spikes.
    pub ratio: Option<f64>,
    /// Pairs of spikes, neighbours or not, that lie within the refractory period.
    pub pairs: usize,
    /// The share of spikes that come from other units (Llobet et al. 2022, SpikeInterface's `rp_contamination`): 1 when more pairs collide than any
    /// share explains. None for a train without spikes.
    pub contamination: Option<f64>,
}

/// Violations of the refractory period of a unit that was observed in several spans.
///
/// `trains` are its spikes in each span; `duration` is the length of all spans together; `refractory` the period in which no unit fires twice; `censored` the
/// period in which no second spike can be seen at all, which is shorter. All in seconds.
pub fn refractory_violations(trains: &[&[f64]], duration: f64, refractory: f64, censored: f64) -> Refractory {
    let spikes: usize = trains.iter().map(|train| train.len()).sum();
    let (mut violations, mut pairs) = (0, 0);
    for train in trains {
        violations += train.windows(2).filter(|pair| pair[1] - pair[0] < refractory).count();
        let mut first = 0;
        for (place, spike) in train.iter().enumerate() {
            while spike - train[first] > refractory {
                first += 1;
            }
            pairs += place - first;
        }
    }
    if spikes == 0 {
        return Refractory { violations, ratio: None, pairs, contamination: None };
    }
    let n = spikes as f64;
    let ratio = violations as f64 * duration / (2.0 * n * n * (refractory - censored));
    let discriminant = 1.0 - pairs as f64 * (duration - 2.0 * n * censored) / (n * n * (refractory - censored));
    let contamination = if discriminant >= 0.0 { 1.0 - discriminant.sqrt() } else { 1.0 };
    Refractory { violations, ratio: Some(ratio), pairs, contamination: Some(contamination) }
}

/// How regular a unit fires, from the intervals between its spikes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Regularity {
    /// The standard deviation of intervals (divided by n) over their mean; 1 for a Poisson process. Needs two intervals.
    pub cv: Option<f64>,
    /// The mean of `2 |b − a| / (b + a)` over neighbouring intervals (Holt et al. 1996). Needs two intervals.
    pub cv2: Option<f64>,
    /// Three times the mean of `((b − a) / (b + a))²` over neighbouring intervals (Shinomoto et al. 2003). Needs two intervals.
    pub lv: Option<f64>,
}

/// Regularity of a unit that was observed in several spans: no interval, and no pair of intervals, reaches from one to another.
pub fn regularity(trains: &[&[f64]]) -> Regularity {
    let intervals: Vec<Vec<f64>> = trains.iter().map(|train| train.windows(2).map(|pair| pair[1] - pair[0]).collect()).collect();
    let all: Vec<f64> = intervals.concat();
    if all.len() < 2 {
        return Regularity { cv: None, cv2: None, lv: None };
    }
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    let deviation = (all.iter().map(|interval| (interval - mean) * (interval - mean)).sum::<f64>() / all.len() as f64).sqrt();
    // Two spikes at one time twice in a row have no contrast.
    let contrasts: Vec<f64> = intervals
        .iter()
        .flat_map(|own| own.windows(2))
        .filter(|pair| pair[0] + pair[1] > 0.0)
        .map(|pair| (pair[1] - pair[0]).abs() / (pair[1] + pair[0]))
        .collect();
    let n = contrasts.len() as f64;
    let over = |value: f64| if contrasts.is_empty() { None } else { Some(value / n) };
    Regularity {
        cv: if mean > 0.0 { Some(deviation / mean) } else { None },
        cv2: over(2.0 * contrasts.iter().sum::<f64>()),
        lv: over(3.0 * contrasts.iter().map(|contrast| contrast * contrast).sum::<f64>()),
    }
}

/// The variance of spike counts (divided by n) over their mean, in windows of one length that fill each span from its begin; what is left at its end is
/// not counted. 1 for a Poisson process. None with fewer than two windows, or without a spike in them.
pub fn fano_factor(trains: &[&[f64]], spans: &[(f64, f64)], window: f64) -> Option<f64> {
    let counts: Vec<f64> = trains.iter().zip(spans).flat_map(|(train, span)| counts_in(train, *span, window)).collect();
    let n = counts.len() as f64;
    let mean = counts.iter().sum::<f64>() / n;
    if counts.len() < 2 || mean <= 0.0 {
        return None;
    }
    Some(counts.iter().map(|count| (count - mean) * (count - mean)).sum::<f64>() / n / mean)
}

/// The share of windows with a spike, as SpikeInterface's `presence_ratio`: spans count as if they followed each other without a pause, windows fill them
/// from the begin, and what is left at the end is not counted. None when there is no whole window.
pub fn presence_ratio(trains: &[&[f64]], spans: &[(f64, f64)], window: f64) -> Option<f64> {
    let duration: f64 = spans.iter().map(|(start, end)| end - start).sum();
    let windows = (duration / window + 1e-9).floor();
    if !(1.0..=1e8).contains(&windows) {
        return None;
    }
    let mut present = vec![false; windows as usize];
    let mut before = 0.0;
    for (train, (start, end)) in trains.iter().zip(spans) {
        for spike in *train {
            if let Some(present) = present.get_mut(((spike - start + before) / window) as usize) {
                *present = true;
            }
        }
        before += end - start;
    }
    Some(present.iter().filter(|present| **present).count() as f64 / windows)
}

/// The number of spikes in each whole window of a span.
fn counts_in(train: &[f64], (start, end): (f64, f64), window: f64) -> Vec<f64> {
    let windows = ((end - start) / window + 1e-9).floor().clamp(0.0, 1e8) as usize;
    let mut counts = vec![0.0; windows];
    for spike in train {
        if let Some(count) = counts.get_mut(((spike - start) / window) as usize) {
            *count += 1.0;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(found: Option<f64>, expected: f64) {
        assert!(found.is_some_and(|found| (found - expected).abs() < 1e-12), "{found:?} {expected}");
    }

    const ELEPHANT: [f64; 3] = [1.1186446117134465, 1.482056057397966, 2.0824782820070915];

    /// Spike times in seconds, spikes within 1 ms of each other among them.
    const TRAIN: [f64; 12] = [0.1, 0.1005, 0.1012, 0.35, 0.352, 0.9, 1.7, 1.7009, 2.4, 3.3, 3.31, 4.8];

    #[test]
    fn violations_are_those_of_spike_interface() {
        // The formulas of SpikeInterface 0.101 (`isi_violations`, `compute_refrac_period_violations`) in NumPy, by `reference/quality.py`.
        let found = refractory_violations(&[&TRAIN], 5.0, 0.0015, 0.0);
        assert_eq!((found.violations, found.pairs), (3, 4));
        close(found.ratio, 34.72222222222222);
        assert_eq!(found.contamination, Some(1.0));
        let sparse: Vec<f64> = (0..1000).map(|spike| f64::from(spike) * 0.03).chain([29.9705, 30.0002]).collect();
        let mut sparse = sparse;
        sparse.sort_by(f64::total_cmp);
        let found = refractory_violations(&[&sparse], 31.0, 0.0015, 0.0003);
        assert_eq!((found.violations, found.pairs), (1, 1));
        close(found.ratio, 31.0 / (2.0 * 1002.0 * 1002.0 * 0.0012));
        let discriminant: f64 = 1.0 - (31.0 - 2.0 * 1002.0 * 0.0003) / (1002.0 * 1002.0 * 0.0012);
        close(found.contamination, 1.0 - discriminant.sqrt());
    }

    #[test]
    fn regularity_is_that_of_elephant() {
        // NumPy 2.4.6 by Elephant's formulas: cv = std(isi)/mean(isi), cv2, lv of TRAIN.
        let found = regularity(&[&TRAIN]);
        close(found.cv, ELEPHANT[0]);
        close(found.cv2, ELEPHANT[1]);
        close(found.lv, ELEPHANT[2]);
        assert_eq!(regularity(&[&[1.0, 2.0], &[7.0]]), Regularity { cv: None, cv2: None, lv: None });
        let clock: Vec<f64> = (0..20).map(f64::from).collect();
        assert_eq!(regularity(&[&clock]), Regularity { cv: Some(0.0), cv2: Some(0.0), lv: Some(0.0) });
    }

    #[test]
    fn counts_per_window_have_their_variance_and_their_presence() {
        let spans = [(0.0, 5.0)];
        // Counts in windows of 1 s: 6, 2, 1, 2, 1.
        close(fano_factor(&[&TRAIN], &spans, 1.0), (36.0 + 4.0 + 1.0 + 4.0 + 1.0 - 5.0 * 2.4 * 2.4) / 5.0 / 2.4);
        close(presence_ratio(&[&TRAIN], &spans, 0.5), 6.0 / 10.0);
        assert_eq!((presence_ratio(&[&TRAIN], &spans, 60.0), fano_factor(&[&TRAIN], &spans, 4.0)), (None, None));
        assert_eq!(fano_factor(&[&[]], &spans, 1.0), None);
        // Two spans of 0.75 s follow each other: three windows of 0.5 s, of which the second holds the seam.
        close(presence_ratio(&[&[0.6], &[2.1]], &[(0.0, 0.75), (2.0, 2.75)], 0.5), 1.0 / 3.0);
    }

    proptest! {
        #[test]
        fn pairs_are_those_of_all_pairs(steps in prop::collection::vec(0u32..2000, 0..80), period in 1u32..40) {
            let mut train: Vec<f64> = steps.iter().map(|&step| f64::from(step) / 1024.0).collect();
            train.sort_by(f64::total_cmp);
            let period = f64::from(period) / 1024.0;
            let found = refractory_violations(&[&train], 2.0, period, 0.0);
            let pairs = (0..train.len()).flat_map(|a| (0..a).map(move |b| (a, b))).filter(|&(a, b)| train[a] - train[b] <= period).count();
            prop_assert_eq!(found.pairs, pairs);
        }
    }
}
