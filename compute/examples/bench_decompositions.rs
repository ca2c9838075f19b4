//! Times non-negative decompositions: a sweep of HALS, and the time to within 1 % of the error that many sweeps reach.
//!
//! `cargo run --release -p neuroflow-compute --example bench_decompositions`

#![allow(clippy::unwrap_used)]

use std::time::Instant;

use neuroflow_compute::nonnegative::{Entries, Hals, Stopping, hals, hals_single};
use neuroflow_compute::random::Stream;
use neuroflow_compute::tensor::{TensorRef, reconstruct};
use neuroflow_compute::threads::spent_ms;
use neuroflow_compute::{Matrix, with_threads};

fn main() {
    println!(
        "| tensor | rank | bits | ms a sweep, 1 thread | its processor ms | 2 threads | sweeps to 1 % | error | plain error |\n|---|---|---|---|---|---|---|---|---|"
    );
    for (shape, rank) in [([100, 100, 200], 8), ([100, 100, 200], 20), ([300, 300, 400], 8), ([300, 300, 400], 20)] {
        let mut stream = Stream::new(1);
        let planted: Vec<Matrix> = shape.iter().map(|&size| Matrix::from_fn(size, rank, |_, _| stream.uniform())).collect();
        let mut values = reconstruct(&planted).unwrap();
        let level = 0.1 * values.iter().sum::<f64>() / values.len() as f64;
        values.iter_mut().for_each(|value| *value += level * stream.uniform());
        let narrow: Vec<f32> = values.iter().map(|value| *value as f32).collect();
        let (tensor, narrow) = (TensorRef::new(&shape, &values).unwrap(), TensorRef::new(&shape, &narrow).unwrap());
        for bits in [64, 32] {
            let one = |method: Hals, stopping: Stopping| match bits {
                64 => hals(Entries::Dense(tensor), rank, method, stopping, Stream::new(2)).unwrap(),
                _ => hals_single(narrow, rank, method, stopping, Stream::new(2)).unwrap(),
            };
            let run = |method: Hals, sweeps: usize, threads: usize| {
                let stopping = Stopping { sweeps, tolerance: 0.0 };
                let (started, spent) = (Instant::now(), spent_ms());
                let found = with_threads(threads, || one(method, stopping)).unwrap();
                (started.elapsed().as_secs_f64() * 1e3, spent_ms() - spent, found.relative_error)
            };
            let plain = Hals { extrapolate: false, passes: 5 };
            // The difference of two runs leaves out the start and the norm.
            let sweep = |threads: usize| {
                let least = |sweeps: usize| {
                    let runs: Vec<_> = (0..4).map(|_| run(plain, sweeps, threads)).collect();
                    (runs.iter().map(|run| run.0).fold(f64::INFINITY, f64::min), runs.iter().map(|run| run.1).fold(f64::INFINITY, f64::min))
                };
                let (many, one) = (least(13), least(1));
                ((many.0 - one.0) / 12.0, (many.1 - one.1) / 12.0)
            };
            let (one, two) = (sweep(1), sweep(2));
            let best = run(Hals::default(), 60, 2).2;
            let enough = (1..60).find(|&sweeps| run(Hals::default(), sweeps, 2).2 <= 1.01 * best).unwrap_or(60);
            let unextrapolated = run(plain, 60, 2).2;
            println!(
                "| {shape:?} | {rank} | {bits} | {:.2} | {:.2} | {:.2} | {} | {best:.5} | {unextrapolated:.5} |",
                one.0,
                one.1,
                two.0,
                enough + 1
            );
        }
    }
}
