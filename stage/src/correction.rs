//! Corrected p values for one question that is asked at many places, such as the accuracy at many times.
//!
//! Three answers, for a score that is the better the larger it is. `max`: each place against the largest score over all places in each draw
//! (Westfall & Young 1993; Nichols & Holmes 2002). `fdr`: the p values of the places, adjusted after Benjamini & Hochberg 1995. `cluster`: places
//! that stand out and lie side by side are one cluster, which is compared with the largest cluster of each draw (Maris & Oostenveld 2007).
//!
//! They are here and not among the kernels because a null is joined without any (see `ARCHITECTURE.md`), and the null is given, not drawn.

use neuroflow_data::{ControlResult, Correction};

/// The corrected p of each place. `observed[place]`, `nulls[place][draw]`, as many draws for each place.
///
/// A value that is not a number counts against the score: an observed one has p = 1, one of a draw counts as the largest.
pub(crate) fn corrected(correction: Correction, observed: &[f64], nulls: &[Vec<f64>]) -> Vec<f64> {
    let p = |value: f64, null: Vec<f64>| if value.is_nan() { 1.0 } else { ControlResult::new("", value, null).p };
    match correction {
        Correction::Max => {
            let largest = largest_of_draws(nulls);
            observed.iter().map(|&value| p(value, largest.clone())).collect()
        }
        Correction::Fdr => adjusted(&observed.iter().zip(nulls).map(|(&value, null)| p(value, null.clone())).collect::<Vec<_>>()),
        Correction::Cluster { threshold, columns } => by_clusters(observed, nulls, threshold, columns.max(1)),
    }
}

/// Of each draw the largest value over places.
fn largest_of_draws(nulls: &[Vec<f64>]) -> Vec<f64> {
    let mut largest = vec![f64::NEG_INFINITY; nulls.first().map_or(0, Vec::len)];
    for null in nulls {
        // A draw without a number stays without one.
        let pairs = largest.iter_mut().zip(null);
        pairs.for_each(|(largest, value)| *largest = if largest.is_nan() || value.is_nan() { f64::NAN } else { largest.max(*value) });
    }
    largest
}

/// Benjamini and Hochberg's adjusted p values: the least n p / rank over all p that are not smaller.
fn adjusted(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let (mut adjusted, mut least) = (vec![1.0; p.len()], 1.0f64);
    for (rank, &place) in order.iter().enumerate().rev() {
        least = least.min(p[place] * p.len() as f64 / (rank as f64 + 1.0));
        adjusted[place] = least;
    }
    adjusted
}

/// Clusters of places whose z exceeds the threshold, by their mass, the sum of z.
///
/// z is taken over the draws *and* the data, so that all are treated alike: under the null hypothesis the data are one more draw, and p is exact. A
/// place where nothing varies has a z of 0. The places of a cluster have the p of the cluster, all others 1.
fn by_clusters(observed: &[f64], nulls: &[Vec<f64>], threshold: f64, columns: usize) -> Vec<f64> {
    let n_draws = nulls.first().map_or(0, Vec::len);
    let n_places = observed.len();
    // [row][place]: the data first, then the draws.
    let mut z = vec![vec![0.0; n_places]; n_draws + 1];
    for (place, (&value, null)) in observed.iter().zip(nulls).enumerate() {
        let all: Vec<f64> = std::iter::once(value).chain(null.iter().copied()).collect();
        let known: Vec<f64> = all.iter().copied().filter(|value| value.is_finite()).collect();
        let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
        let deviation = (known.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / known.len().max(1) as f64).sqrt();
        // The deviation of equal values is rounding.
        let varies = deviation > 1e-12 * known.iter().fold(0.0f64, |most, value| most.max(value.abs()));
        for (row, value) in all.into_iter().enumerate() {
            z[row][place] = match (value.is_finite(), varies) {
                (true, true) => (value - mean) / deviation,
                (true, false) => 0.0,
                // No number counts against the score: nothing in the data, everything in a draw.
                (false, _) => {
                    if row == 0 {
                        f64::NEG_INFINITY
                    } else {
                        f64::INFINITY
                    }
                }
            };
        }
    }
    let mass = |row: &[f64]| clusters(row, threshold, columns).into_iter().map(|cluster| cluster.1).fold(0.0f64, f64::max);
    let largest: Vec<f64> = z.iter().skip(1).map(|row| mass(row)).collect();
    let mut p = vec![1.0; n_places];
    for (places, mass) in z.first().map_or_else(Vec::new, |row| clusters(row, threshold, columns)) {
        let of_cluster = ControlResult::new("", mass, largest.clone()).p;
        places.into_iter().for_each(|place| p[place] = of_cluster);
    }
    p
}

/// The clusters of a grid of so many columns, with their mass: places above the threshold that touch along a row or a column.
fn clusters(z: &[f64], threshold: f64, columns: usize) -> Vec<(Vec<usize>, f64)> {
    let mut seen: Vec<bool> = z.iter().map(|value| *value <= threshold).collect();
    let mut found = Vec::new();
    for first in 0..z.len() {
        if seen[first] {
            continue;
        }
        seen[first] = true;
        let (mut places, mut next) = (vec![first], 0);
        while next < places.len() {
            let place = places[next];
            next += 1;
            let along_row = [(place % columns > 0).then(|| place - 1), ((place + 1) % columns > 0).then_some(place + 1)];
            let along_column = [place.checked_sub(columns), place.checked_add(columns)];
            for neighbour in along_row.into_iter().chain(along_column).flatten() {
                if seen.get(neighbour) == Some(&false) {
                    seen[neighbour] = true;
                    places.push(neighbour);
                }
            }
        }
        let mass = places.iter().map(|&place| z[place]).sum();
        found.push((places, mass));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::random::Stream;

    const LINE: Correction = Correction::Cluster { threshold: 1.645, columns: 20 };

    /// Smooth noise at 20 places: as observed, and in some draws; `nulls[place][draw]`.
    fn smooth(stream: &Stream, draws: usize) -> (Vec<f64>, Vec<Vec<f64>>) {
        let mut stream = stream.clone();
        let mut row = || {
            let white: Vec<f64> = (0..24).map(|_| stream.normal()).collect();
            (0..20).map(|place| white[place..place + 5].iter().sum::<f64>()).collect::<Vec<f64>>()
        };
        let observed = row();
        let draws: Vec<Vec<f64>> = (0..draws).map(|_| row()).collect();
        (observed, (0..20).map(|place| draws.iter().map(|draw| draw[place]).collect()).collect())
    }

    #[test]
    fn every_correction_holds_the_chance_of_any_false_discovery_where_nothing_is_true() {
        let n = 1000;
        let (mut max, mut fdr, mut cluster, mut none) = (0, 0, 0, 0);
        for number in 0..n {
            let (observed, nulls) = smooth(&Stream::new(7).split_index(number), 39);
            let any = |p: Vec<f64>| usize::from(p.iter().any(|p| *p <= 0.05 + 1e-12));
            max += any(corrected(Correction::Max, &observed, &nulls));
            // Of 20 places the smallest p must reach 0.05/20, which takes 399 draws.
            let (observed, nulls) = smooth(&Stream::new(9).split_index(number), 399);
            fdr += any(corrected(Correction::Fdr, &observed, &nulls));
            cluster += any(corrected(LINE, &observed, &nulls));
            let (observed, nulls) = smooth(&Stream::new(7).split_index(number), 39);
            none += any(observed.iter().zip(&nulls).map(|(value, null)| ControlResult::new("", *value, null.clone()).p).collect());
        }
        println!("of {n}: max {max}, fdr {fdr}, cluster {cluster}, uncorrected {none}");
        // 50 are right: 39 draws and the data are 40 alike, and two of them have p ≤ 0.05. Bounds that a right test leaves once in ten thousand runs.
        let right = |found: usize| (found as f64 - 50.0).abs() <= 3.9 * (1000.0 * 0.05 * 0.95f64).sqrt();
        assert!(right(max) && right(cluster), "max {max}, cluster {cluster}");
        // Neighbouring places are alike, so it finds less than 50 there, but something.
        assert!((5..=50 + 27).contains(&fdr), "fdr {fdr}");
        // The test could fail: without a correction it does.
        assert!(none > 200, "{none}");
    }

    #[test]
    fn a_wide_weak_effect_is_a_cluster_before_it_is_a_peak() {
        let (mut cluster, mut max) = (0, 0);
        for number in 0..200 {
            let (mut observed, nulls) = smooth(&Stream::new(8).split_index(number), 39);
            observed[5..15].iter_mut().for_each(|value| *value += 4.0);
            let hits = |p: &[f64]| usize::from(p[5..15].iter().any(|p| *p <= 0.05 + 1e-12));
            cluster += hits(&corrected(LINE, &observed, &nulls));
            max += hits(&corrected(Correction::Max, &observed, &nulls));
        }
        assert!(cluster > max && cluster > 100, "cluster {cluster}, max {max}");
    }

    #[test]
    fn adjusted_values_are_as_by_hand() {
        let found = adjusted(&[0.01, 0.04, 0.03, 0.5]);
        let expected = [0.04, 0.16 / 3.0, 0.16 / 3.0, 0.5];
        assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-15), "{found:?}");
        assert_eq!(adjusted(&[]), Vec::<f64>::new());
        assert_eq!(adjusted(&[1.0, 1.0]), [1.0, 1.0]);
    }

    #[test]
    fn clusters_touch_along_rows_and_columns_and_not_around_corners_or_ends() {
        let grid = [3.0, 3.0, 0.0, 0.0, 0.0, 3.0, 3.0, 0.0, 3.0];
        let places = |columns: usize| clusters(&grid, 2.0, columns).into_iter().map(|(places, _)| places).collect::<Vec<_>>();
        // 3 3 0 / 0 0 3 / 3 0 3
        assert_eq!(places(3), [vec![0, 1], vec![5, 8], vec![6]]);
        assert_eq!(places(9), [vec![0, 1], vec![5, 6], vec![8]]);
        assert_eq!(clusters(&grid, 2.0, 3)[0].1, 6.0);
        // Exactly at the threshold is not above it.
        assert!(clusters(&[2.0, 2.0], 2.0, 2).is_empty());
    }

    #[test]
    fn what_has_no_number_counts_against_the_score() {
        let nulls = vec![vec![0.0, 0.1, 0.2, 0.0], vec![0.1, 0.0, 0.2, 0.1]];
        let with_gap = vec![vec![0.0, f64::NAN, 0.2, 0.0], vec![0.1, 0.0, 0.2, 0.1]];
        let cluster = Correction::Cluster { threshold: 1.0, columns: 2 };
        for correction in [Correction::Max, Correction::Fdr, cluster] {
            let without = corrected(correction, &[9.0, 9.0], &nulls);
            assert!(without.iter().all(|p| (p - 0.2).abs() < 1e-15), "{correction:?} {without:?}");
            assert!(corrected(correction, &[9.0, 9.0], &with_gap)[0] > 0.3, "{correction:?}");
            assert_eq!(corrected(correction, &[f64::NAN, 9.0], &nulls)[0], 1.0, "{correction:?}");
            assert_eq!(corrected(correction, &[], &[]), Vec::<f64>::new());
        }
        // Nothing varies: no cluster, and no peak.
        let flat = vec![vec![0.5; 9]; 3];
        for correction in [Correction::Max, Correction::Fdr, cluster] {
            assert_eq!(corrected(correction, &[0.5; 3], &flat), [1.0; 3]);
        }
        // Without draws there is no p below 1.
        assert_eq!(corrected(cluster, &[9.0], &[vec![]]), [1.0]);
    }
}
