//! Times the CPU kernels and prints what they reach on 1 and on 2 threads.
//!
//! `cargo run --release -p neuroflow-compute --example bench_kernels`

#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Instant;

use neuroflow_compute::factor::{Cholesky, symmetric_eigen, thin_svd};
use neuroflow_compute::product::{gemm, gram};
use neuroflow_compute::random::Stream;
use neuroflow_compute::statistics::{correlation_of_rows, kendall_tau_a, ledoit_wolf};
use neuroflow_compute::tensor::{Contraction, TensorRef, mttkrp};
use neuroflow_compute::{Matrix, with_threads};

/// Least time of several runs in seconds, on this many threads.
fn seconds<R: Send>(threads: usize, runs: usize, work: impl Fn() -> R + Sync) -> f64 {
    let once = || {
        let start = Instant::now();
        black_box(with_threads(threads, &work).unwrap());
        start.elapsed().as_secs_f64()
    };
    once();
    (0..runs).map(|_| once()).fold(f64::INFINITY, f64::min)
}

/// One line of the table: time on 1 and 2 threads, their ratio, and the rate for so many floating-point operations.
fn line<R: Send>(name: &str, operations: f64, work: impl Fn() -> R + Sync) {
    let (one, two) = (seconds(1, 5, &work), seconds(2, 5, &work));
    println!("| {name} | {:.3} | {:.3} | {:.2} | {:.1} |", one * 1e3, two * 1e3, one / two, operations / one * 1e-9);
}

fn normal(seed: u64, rows: usize, cols: usize) -> Matrix {
    let mut stream = Stream::new(seed);
    Matrix::from_fn(rows, cols, |_, _| stream.normal())
}

fn main() {
    println!("| kernel | 1 thread, ms | 2 threads, ms | ratio | GFLOP/s on 1 |\n|---|---|---|---|---|");
    let cubed = |n: usize| (n * n * n) as f64;
    let (a, b) = (normal(1, 1024, 1024), normal(2, 1024, 1024));
    line("gemm 1024³", 2.0 * cubed(1024), || gemm(&a, &b).unwrap());
    line("gram 1024³", cubed(1024), || gram(&a));
    let samples = normal(3, 128, 56);
    line("Ledoit–Wolf 128 × 56", 2.0 * (128 * 56 * 56) as f64, || ledoit_wolf(&samples).unwrap());
    let square = gram(&normal(4, 600, 300));
    line("eigen 300", 9.0 * cubed(300), || symmetric_eigen(&square).unwrap());
    line("Cholesky 300", cubed(300) / 3.0, || Cholesky::new(&square).unwrap());
    let tall = normal(5, 500, 100);
    line("thin SVD 500 × 100", 14.0 * (500 * 100 * 100) as f64, || thin_svd(&tall).unwrap());
    let traces = normal(6, 500, 2000);
    line("correlations 500 × 2000", (500 * 500 * 2000) as f64, || correlation_of_rows(&traces));
    let (x, y) = (normal(7, 1, 10_000).into_values(), normal(8, 1, 10_000).into_values());
    line("Kendall τ of 10 000", 0.0, || kendall_tau_a(&x, &y).unwrap());
    for (shape, rank) in [([56, 128, 49], 8), ([300, 300, 400], 20)] {
        let values = normal(9, 1, shape.iter().product()).into_values();
        let factors: Vec<Matrix> = shape.iter().enumerate().map(|(mode, &size)| normal(10 + mode as u64, size, rank)).collect();
        let tensor = TensorRef::new(&shape, &values).unwrap();
        let operations = 2.0 * (values.len() * rank) as f64;
        for mode in 0..3 {
            line(&format!("MTTKRP {shape:?} rank {rank}, mode {mode}"), operations, || mttkrp(tensor, &factors, mode).unwrap());
        }
        line(&format!("MTTKRP {shape:?} rank {rank}, a sweep (modes 0 and 1 from one contraction)"), 2.0 * operations, || {
            let contraction = Contraction::new(tensor, &factors[2]).unwrap();
            let first = contraction.mttkrp(&factors[..2], 0).unwrap();
            let second = contraction.mttkrp(&factors[..2], 1).unwrap();
            (first, second, mttkrp(tensor, &factors, 2).unwrap())
        });
    }
}
