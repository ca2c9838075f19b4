//! Times products in single precision: `cargo run --release -p neuroflow-compute --example bench_single`

#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Instant;

use neuroflow_compute::random::Stream;
use neuroflow_compute::single::{SingleRef, gemm_into};
use neuroflow_compute::with_threads;

fn main() {
    println!("| product | 1 thread, GFLOP/s | 2 threads, GFLOP/s |\n|---|---|---|");
    for (m, k, n) in [(256, 256, 256), (1024, 1024, 1024), (4096, 4096, 4096), (128, 784, 512), (784, 128, 512)] {
        let mut stream = Stream::new(1);
        let mut random = |count: usize| (0..count).map(|_| stream.uniform() as f32).collect::<Vec<_>>();
        let (a, b) = (random(m * k), random(k * n));
        let (left, right) = (SingleRef::new(m, k, &a).unwrap(), SingleRef::new(k, n, &b).unwrap());
        let rate = |threads| {
            let mut product = vec![0.0; m * n];
            let mut once = || {
                let begin = Instant::now();
                with_threads(threads, || gemm_into(left, right, &mut product).unwrap()).unwrap();
                black_box(&product);
                begin.elapsed().as_secs_f64()
            };
            let runs = if m * k * n > 1 << 34 { 3 } else { 20 };
            once();
            2.0 * (m * k * n) as f64 / (0..runs).map(|_| once()).fold(f64::INFINITY, f64::min) / 1e9
        };
        println!("| {m} × {k} × {n} | {:.0} | {:.0} |", rate(1), rate(2));
    }
}
