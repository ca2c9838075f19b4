//! Every test of this module on data without an effect: how often it finds one.
//!
//! Each rate is held between bounds that a correct test leaves once in ten thousand runs (normal approximation of the binomial); seeds are fixed.

use super::*;
use crate::Matrix;
use crate::random::Stream;

/// Fails unless the number of rejections in `n` data sets fits the rate.
#[track_caller]
fn holds(what: &str, rejections: usize, n: usize, rate: f64) {
    let (expected, deviation) = (n as f64 * rate, (n as f64 * rate * (1.0 - rate)).sqrt());
    println!("{what}: {rejections} of {n} at {rate}");
    let found = rejections as f64;
    assert!(
        (found - expected).abs() <= 3.9 * deviation,
        "{what}: {rejections} false positives in {n} data sets, {expected} ± {deviation:.1} are right"
    );
}

/// Fails when there are more rejections than the rate allows; there may be fewer.
#[track_caller]
fn at_most(what: &str, rejections: usize, n: usize, rate: f64) {
    let bound = n as f64 * rate + 3.9 * (n as f64 * rate * (1.0 - rate)).sqrt();
    println!("{what}: {rejections} of {n} at most {rate}");
    assert!(rejections as f64 <= bound, "{what}: {rejections} false positives in {n} data sets, at most {bound:.0} are right");
}

/// The number of data sets in which `found` says that there is an effect.
fn count(n: usize, seed: u64, found: impl Fn(&Stream) -> bool) -> usize {
    let stream = Stream::new(seed);
    (0..n as u64).filter(|&number| found(&stream.split_index(number))).count()
}

fn normals(n: usize, stream: &Stream) -> Vec<f64> {
    let mut stream = stream.split("values");
    (0..n).map(|_| stream.normal()).collect()
}

fn difference_of_means(values: &[f64], labels: &[usize]) -> f64 {
    values.iter().zip(labels).map(|(value, &label)| if label == 1 { *value } else { -value }).sum::<f64>().abs()
}

#[test]
fn permutation_p_values_are_uniform() {
    let labels: Vec<usize> = (0..16).map(|trial| trial % 2).collect();
    let p = |stream: &Stream| {
        let values = normals(16, stream);
        permute_labels(&labels, 99, &stream.split("permutations"), |labels| difference_of_means(&values, labels)).unwrap().p
    };
    let mut all: Vec<f64> = (0..600).map(|number| p(&Stream::new(1).split_index(number))).collect();
    for rate in [0.05, 0.2, 0.5] {
        holds("label permutation", all.iter().filter(|p| **p <= rate + 1e-12).count(), 600, rate);
    }
    // Without the one of (1 + b) / (1 + m) p would be 0 now and then.
    all.sort_by(f64::total_cmp);
    assert!(all[0] >= 0.01);
}

#[test]
fn flipped_signs_hold_their_rate_for_skewed_spreads_too() {
    let found = |stream: &Stream| {
        // Symmetric around zero, with a heavy tail.
        let values: Vec<f64> = normals(14, stream).into_iter().map(|value| value.powi(3)).collect();
        flip_signs(&values, 99, &stream.split("signs"), |values| mean(values).abs()).unwrap().p <= 0.05 + 1e-12
    };
    holds("sign flip", count(600, 2, found), 600, 0.05);
}

/// Statistics of ten tests that depend on each other, as observed and under 99 permutations.
fn family(stream: &Stream) -> (Vec<f64>, Matrix) {
    let common = normals(20, &stream.split("common"));
    let values: Vec<Vec<f64>> = (0..10)
        .map(|test| normals(20, &stream.split_index(test)).iter().zip(&common).map(|(own, common)| own + 0.7 * common).collect())
        .collect();
    let labels: Vec<usize> = (0..20).map(|trial| trial % 2).collect();
    let statistics = |labels: &[usize]| values.iter().map(|values| difference_of_means(values, labels)).collect::<Vec<f64>>();
    let draws: Vec<Vec<f64>> = (0..99)
        .map(|number| {
            let order = stream.split("draws").split_index(number).permutation(20);
            statistics(&order.into_iter().map(|place| labels[place]).collect::<Vec<_>>())
        })
        .collect();
    (statistics(&labels), Matrix::from_rows(&draws).unwrap())
}

#[test]
fn corrections_for_many_tests_hold_the_chance_of_any_false_discovery() {
    let n = 400;
    let stream = Stream::new(3);
    let (mut uncorrected, mut largest, mut rate, mut stepwise) = (0, 0, 0, 0);
    for number in 0..n as u64 {
        let (observed, null) = family(&stream.split_index(number));
        let any = |p: &[f64]| usize::from(p.iter().any(|p| *p <= 0.05 + 1e-12));
        let p: Vec<f64> = observed.iter().enumerate().map(|(test, &value)| p_value(value, &null.column(test))).collect();
        uncorrected += any(&p);
        largest += any(&max_statistic(&observed, &null).unwrap());
        // Where nothing is true, the rate of false discoveries is the chance of any.
        rate += any(&benjamini_hochberg(&p).unwrap());
        stepwise += any(&holm(&p).unwrap());
    }
    holds("max-statistic", largest, n, 0.05);
    at_most("Benjamini–Hochberg", rate, n, 0.05);
    at_most("Holm", stepwise, n, 0.05);
    // The test could fail: without a correction it does.
    assert!(uncorrected as f64 > 0.2 * n as f64, "{uncorrected}");
}

#[test]
fn benjamini_hochberg_holds_its_rate_where_half_of_the_effects_are_true() {
    // p values of 20 tests: 10 uniform, 10 small. The mean share of false discoveries is 0.1 · 10/20 at a level of 0.1.
    let stream = Stream::new(4);
    let shares: Vec<f64> = (0..400)
        .map(|number| {
            let mut stream = stream.split_index(number);
            let p: Vec<f64> = (0..20).map(|test| if test < 10 { stream.uniform() } else { 0.02 * stream.uniform() }).collect();
            let rejected: Vec<usize> =
                benjamini_hochberg(&p).unwrap().iter().enumerate().filter(|(_, p)| **p <= 0.1).map(|(test, _)| test).collect();
            rejected.iter().filter(|test| **test < 10).count() as f64 / rejected.len().max(1) as f64
        })
        .collect();
    let (share, error) = (mean(&shares), standard_deviation(&shares, 1) / 20.0);
    assert!((share - 0.05).abs() <= 3.9 * error, "{share} ± {error}");
}

#[test]
fn the_hierarchical_bootstrap_holds_its_rate_and_the_plain_one_does_not() {
    let level: Vec<usize> = (0..200).map(|place| place / 10).collect();
    let values = |stream: &Stream| {
        let groups = normals(20, &stream.split("groups"));
        normals(200, stream).iter().zip(&level).map(|(own, &group)| own + groups[group]).collect::<Vec<f64>>()
    };
    let misses = |levels: &[&[usize]], stream: &Stream| {
        let found = hierarchical_bootstrap(&values(stream), levels, 199, &stream.split("resamples"), mean).unwrap();
        found.p_value(0.0) <= 0.05 + 1e-12
    };
    // Resampling inside groups too makes the interval a little wider, few groups a little narrower.
    at_most("hierarchical bootstrap", count(300, 5, |stream| misses(&[&level], stream)), 300, 0.06);
    assert!(count(100, 5, |stream| misses(&[], stream)) > 25);
}

#[test]
fn cluster_tests_hold_the_chance_of_any_false_cluster() {
    let grid = Neighbours::grid(&[25]);
    // Smooth noise, as signals have it.
    let smooth = |stream: &Stream| {
        let white = normals(12 * 29, stream);
        Matrix::from_fn(12, 25, |row, point| white[row * 29 + point..row * 29 + point + 5].iter().sum())
    };
    let groups: Vec<usize> = (0..12).map(|observation| observation % 2).collect();
    let one = |stream: &Stream| cluster_test_one_sample(&smooth(stream), &grid, 2.2, 59, &stream.split("draws")).unwrap();
    let two = |stream: &Stream| cluster_test_two_samples(&smooth(stream), &groups, &grid, 2.23, 59, &stream.split("draws")).unwrap();
    let any = |test: &ClusterTest| test.clusters.iter().any(|cluster| cluster.p <= 0.05 + 1e-12);
    holds("cluster test of one sample", count(400, 6, |stream| any(&one(stream))), 400, 0.05);
    holds("cluster test of two samples", count(400, 7, |stream| any(&two(stream))), 400, 0.05);
    // The test could fail: points beyond the threshold alone are found far more often.
    assert!(count(100, 6, |stream| one(stream).statistic.iter().any(|t| t.abs() > 2.2)) > 20);
}

#[test]
fn corrected_reliability_is_nothing_on_noise_and_its_permutations_hold_their_rate() {
    let reliability = |first: &[f64], second: &[f64]| spearman_brown(pearson(first, second).unwrap(), 2.0).unwrap();
    let mut sum = 0.0;
    let stream = Stream::new(8);
    let rejections = (0..400)
        .filter(|&number| {
            let stream = stream.split_index(number);
            let (first, second) = (normals(30, &stream.split("first")), normals(30, &stream.split("second")));
            let places: Vec<usize> = (0..30).collect();
            let shuffled = |order: &[usize]| reliability(&first, &order.iter().map(|&place| second[place]).collect::<Vec<_>>());
            let test = permute_labels(&places, 59, &stream.split("draws"), shuffled).unwrap();
            sum += test.observed;
            test.p <= 0.05 + 1e-12
        })
        .count();
    holds("Spearman–Brown", rejections, 400, 0.05);
    // 2r / (1 + r) ≈ 2r − 2r²: a little below zero on average, −2 / 29.
    assert!((sum / 400.0 + 2.0 / 29.0).abs() < 0.07, "{}", sum / 400.0);
}
