//! Times the kernels of representational geometry on two threads.
//!
//! `cargo run --release -p neuroflow-compute --example bench_geometry [name]`

#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Instant;

use neuroflow_compute::geometry::{
    Estimator, Likeness, Precision, TrianglePair, canonical_correlations, correlation_distances, linear_cka, svcca,
};
use neuroflow_compute::random::Stream;
use neuroflow_compute::ridge_path::{HeldOut, RidgeOptions, cross_validate};
use neuroflow_compute::{Matrix, with_threads};

fn normal(seed: u64, rows: usize, cols: usize) -> Matrix {
    let mut stream = Stream::new(seed);
    Matrix::from_fn(rows, cols, |_, _| stream.normal())
}

/// Prints the least time of several runs on two threads, and a number of the result.
fn line(name: &str, runs: usize, work: impl Fn() -> f64 + Sync) {
    if std::env::args().nth(1).is_some_and(|wanted| !name.contains(&wanted)) {
        return;
    }
    let mut least = f64::INFINITY;
    let mut value = 0.0;
    for _ in 0..runs {
        let start = Instant::now();
        value = black_box(with_threads(2, &work).unwrap());
        least = least.min(start.elapsed().as_secs_f64());
    }
    println!("| {name} | {least:.4} s | {value:.6} |");
}

fn main() {
    println!("| kernel | least of some runs | a value |\n|---|---|---|");
    let rows = normal(1, 500, 5000);
    line("correlation RDM 500 × 5000", 20, || correlation_distances(&rows).unwrap()[7]);
    let (x, y) = (correlation_distances(&normal(2, 500, 30)).unwrap(), correlation_distances(&normal(3, 500, 30)).unwrap());
    let mut stream = Stream::new(4);
    let draws: Vec<Vec<u32>> = (0..1000)
        .map(|_| {
            let mut counts = vec![0; 500];
            (0..500).for_each(|_| counts[stream.below(500) as usize] += 1);
            counts
        })
        .collect();
    for likeness in [Likeness::Spearman, Likeness::KendallTauA, Likeness::Cosine, Likeness::WhitenedPearson] {
        line(&format!("bootstrap 1000 of 500 {likeness:?}"), 2, || {
            let pair = TrianglePair::new(500, &x, &y, likeness).unwrap();
            pair.resampled_all(&draws).unwrap().into_iter().flatten().sum::<f64>()
        });
    }
    let (x, y) = (normal(5, 5000, 1000), normal(6, 5000, 1000));
    for precision in [Precision::Single, Precision::Double] {
        line(&format!("linear CKA 5000 × 1000 {precision:?}"), 10, || linear_cka(&x, &y, Estimator::Biased, precision).unwrap().unwrap());
    }
    line("CCA 5000 × 1000", 3, || canonical_correlations(&x, &y).unwrap().unwrap().correlations.iter().sum::<f64>() / 1000.0);
    line("SVCCA 5000 × 1000", 3, || svcca(&x, &y, 0.99).unwrap().unwrap().mean());
    if std::env::args().nth(1).is_none_or(|wanted| "ridge".contains(&wanted)) {
        let features = normal(7, 2000, 5000);
        let targets = normal(8, 2000, 10_000);
        let fold: Vec<usize> = (0..2000).map(|sample| sample * 5 / 2000).collect();
        let penalties: Vec<f64> = (0..10).map(|place| 10f64.powi(place)).collect();
        let options = RidgeOptions { intercept: false, standardise: false };
        line("ridge 2000 × 5000 to 10000, 10 penalties, 5 folds", 2, || {
            let scores = cross_validate(&features, &targets, &fold, &penalties, options, Precision::Single).unwrap();
            scores.mean(HeldOut::Explained).values().iter().sum::<f64>() / 1e5
        });
    }
}
