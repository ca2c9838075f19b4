//! What is measured: kernels by the device's own clock, whole algorithms by the host's, data sent and results read back included.

use std::time::Instant;

use neuroflow_compute::gpu::discriminant::{Sides, Systems};
use neuroflow_compute::gpu::kernels::fold::Fold;
use neuroflow_compute::gpu::kernels::{Binary, View};
use neuroflow_compute::gpu::ntf::hals;
use neuroflow_compute::gpu::permutation::permuted_shares;
use neuroflow_compute::gpu::{Buffer, Gpu, GpuError, Recording};
use neuroflow_compute::mlp::{Mlp, MlpConfig};
use neuroflow_compute::random::Stream;

/// Tries of each case; the shortest counts.
const TRIES: usize = 5;

/// One case: its sizes and the least that it needs.
pub(crate) struct Case {
    pub(crate) name: String,
    /// Multiplications and additions.
    pub(crate) operations: f64,
    /// Bytes that have to be read and written once.
    pub(crate) bytes: f64,
    kind: Kind,
}

/// What is run.
enum Kind {
    Product { m: usize, k: usize, n: usize },
    HalfProduct { m: usize, k: usize, n: usize },
    Batched { batches: usize, size: usize },
    Gram { rows: usize, cols: usize },
    Distances { rows: usize, cols: usize },
    Mttkrp { shape: [usize; 3], components: usize, mode: usize },
    Softmax { rows: usize, cols: usize },
    Sum { elements: usize },
    Add { elements: usize },
    Ntf { shape: [usize; 3], rank: usize, runs: usize, sweeps: usize },
    Network { observations: usize, features: usize, hidden: Vec<usize>, classes: usize, batch: usize },
    Permutations { observations: usize, features: usize, classes: usize, permutations: usize },
    Discriminants { trained: usize, tested: usize, features: usize, classes: usize, systems: usize },
}

/// A time, and whose clock it is from.
pub(crate) struct Measured {
    pub(crate) seconds: f64,
    pub(crate) by_device: bool,
}

/// All cases, in sizes for a graphics card or for a program that plays one.
pub(crate) fn all(large: bool) -> Vec<Case> {
    let pick = |card: usize, program: usize| if large { card } else { program };
    let size = pick(4096, 512);
    let shape = if large { [300, 300, 400] } else { [40, 50, 60] };
    let mut kinds = vec![
        Kind::Product { m: size, k: size, n: size },
        Kind::Product { m: pick(1024, 128), k: pick(1024, 128), n: pick(1024, 128) },
        Kind::Product { m: 64, k: pick(1 << 18, 1 << 14), n: 64 },
        Kind::HalfProduct { m: size, k: size, n: size },
        Kind::Batched { batches: pick(512, 64), size: pick(128, 32) },
        Kind::Gram { rows: pick(8192, 512), cols: pick(4096, 384) },
        Kind::Distances { rows: pick(4096, 384), cols: pick(512, 64) },
    ];
    kinds.extend((0..3).map(|mode| Kind::Mttkrp { shape, components: pick(160, 16), mode }));
    kinds.extend([
        Kind::Softmax { rows: pick(65_536, 1024), cols: 1000 },
        Kind::Softmax { rows: pick(1 << 20, 1 << 14), cols: 10 },
        Kind::Sum { elements: pick(1 << 26, 1 << 20) },
        Kind::Add { elements: pick(1 << 25, 1 << 20) },
        Kind::Ntf { shape, rank: pick(20, 4), runs: pick(8, 4), sweeps: pick(20, 2) },
        Kind::Network { observations: pick(25_600, 512), features: pick(784, 64), hidden: vec![pick(512, 32); 2], classes: 10, batch: 128 },
        Kind::Permutations { observations: pick(1000, 100), features: pick(1000, 50), classes: 8, permutations: pick(10_000, 200) },
        Kind::Discriminants {
            trained: pick(4000, 200),
            tested: pick(1000, 50),
            features: pick(500, 64),
            classes: pick(118, 8),
            systems: pick(64, 16),
        },
    ]);
    kinds.into_iter().map(Case::new).collect()
}

impl Case {
    fn new(kind: Kind) -> Case {
        let cubed = |m: usize, k: usize, n: usize| (2.0 * (m * n) as f64 * k as f64, 4.0 * (m * k + k * n + m * n) as f64);
        let (name, (operations, bytes)) = match &kind {
            Kind::Product { m, k, n } => (format!("product {m} × {k} × {n}"), cubed(*m, *k, *n)),
            Kind::HalfProduct { m, k, n } => {
                let (operations, bytes) = cubed(*m, *k, *n);
                (format!("product {m} × {k} × {n}, left half"), (operations, bytes - 2.0 * (m * k) as f64))
            }
            Kind::Batched { batches, size } => {
                let (operations, bytes) = cubed(*size, *size, *size);
                (format!("{batches} products {size} × {size} × {size}"), (*batches as f64 * operations, *batches as f64 * bytes))
            }
            // Half of the result follows from the other.
            Kind::Gram { rows, cols } => {
                (format!("gram {rows} × {cols}"), (cubed(*cols, *rows, *cols).0 / 2.0, 4.0 * (rows * cols + cols * cols) as f64))
            }
            Kind::Distances { rows, cols } => {
                let (operations, bytes) = cubed(*rows, *cols, *rows);
                (format!("squared distances {rows} × {cols}"), (1.5 * operations, bytes))
            }
            Kind::Mttkrp { shape: [i, j, k], components, mode } => {
                let operations = 2.0 * (i * j * k * components) as f64;
                (
                    format!("MTTKRP {i} × {j} × {k}, {components}, mode {mode}"),
                    (operations, 4.0 * (i * j * k + (i + j + k) * components) as f64),
                )
            }
            Kind::Softmax { rows, cols } => (format!("softmax {rows} × {cols}"), (5.0 * (rows * cols) as f64, 8.0 * (rows * cols) as f64)),
            Kind::Sum { elements } => (format!("sum of {elements}"), (*elements as f64, 4.0 * *elements as f64)),
            Kind::Add { elements } => (format!("x + y of {elements}"), (*elements as f64, 12.0 * *elements as f64)),
            Kind::Ntf { shape: [i, j, k], rank, runs, sweeps } => {
                let operations = 3.0 * 2.0 * (i * j * k * rank * runs * sweeps) as f64;
                (format!("NTF {i} × {j} × {k}, {runs} of rank {rank}, {sweeps}"), (operations, 4.0 * (3 * i * j * k * sweeps) as f64))
            }
            Kind::Network { observations, features, hidden, classes, batch } => {
                let sizes: Vec<usize> = [*features].into_iter().chain(hidden.iter().copied()).chain([*classes]).collect();
                let weights: usize = sizes.windows(2).map(|pair| pair[0] * pair[1]).sum();
                // Forward and two backward products; the first layer passes nothing back.
                let operations = 2.0 * *observations as f64 * (3 * weights - sizes[0] * sizes[1]) as f64;
                // Each step reads and writes the parameters and Adam's two means.
                let bytes = 4.0 * (7 * weights * observations.div_ceil(*batch)) as f64;
                (format!("network {sizes:?}, {} steps", observations.div_ceil(*batch)), (operations, bytes))
            }
            Kind::Permutations { observations, features, classes, permutations } => {
                // A sum needs one addition for each observation and feature, whatever the classes.
                let operations = (observations * features * permutations) as f64;
                let name = format!("{permutations} permutations, {observations} × {features}, {classes}");
                (name, (operations, 4.0 * (observations * permutations + features * permutations) as f64))
            }
            Kind::Discriminants { trained, tested, features, classes, systems } => {
                // Half of the scatters within and between classes, half of a third of a cube for the factor, two triangles a class, and the scores.
                let scatters = (trained + classes) * features * features;
                let solutions = features * features * features / 3 + 2 * features * features * classes;
                let operations = (systems * (scatters + solutions + 2 * tested * features * classes)) as f64;
                let bytes = 4.0 * ((trained + tested) * features + systems * (features * features + tested * classes)) as f64;
                (format!("{systems} discriminants, {trained} × {features}, {classes}"), (operations, bytes))
            }
        };
        Case { name, operations, bytes, kind }
    }

    /// The shortest of several tries, after one that compiles.
    pub(crate) fn measure(&self, gpu: &Gpu) -> Result<Measured, GpuError> {
        match &self.kind {
            Kind::Product { m, k, n } => {
                let (a, b) = (random(gpu, m * k)?, random(gpu, k * n)?);
                on_device(gpu, |recording| recording.product(View::new(&a, *m, *k), View::new(&b, *k, *n), 1))
            }
            Kind::HalfProduct { m, k, n } => {
                let (a, b) = (random(gpu, m * k)?, random(gpu, k * n)?);
                let mut recording = gpu.record();
                let Some(a) = recording.halved(&a)? else { return Err(GpuError::None("no half precision".into())) };
                recording.submit()?;
                on_device(gpu, |recording| recording.product(View::new(&a, *m, *k), View::new(&b, *k, *n), 1))
            }
            Kind::Batched { batches, size } => {
                let (a, b) = (random(gpu, batches * size * size)?, random(gpu, batches * size * size)?);
                on_device(gpu, |recording| recording.product(View::batched(&a, *size, *size), View::batched(&b, *size, *size), *batches))
            }
            Kind::Gram { rows, cols } => {
                let a = random(gpu, rows * cols)?;
                on_device(gpu, |recording| recording.gram(View::new(&a, *rows, *cols)))
            }
            Kind::Distances { rows, cols } => {
                let a = random(gpu, rows * cols)?;
                on_device(gpu, |recording| recording.squared_distances(View::new(&a, *rows, *cols), View::new(&a, *rows, *cols)))
            }
            Kind::Mttkrp { shape, components, mode } => {
                let tensor = random(gpu, shape.iter().product())?;
                let others: Vec<usize> = (0..3).filter(|other| other != mode).map(|other| shape[other] * components).collect();
                let (first, second) = (random(gpu, others[0])?, random(gpu, others[1])?);
                on_device(gpu, |recording| recording.mttkrp(&tensor, *shape, [&first, &second], *components, *mode))
            }
            Kind::Softmax { rows, cols } => {
                let x = random(gpu, rows * cols)?;
                on_device(gpu, |recording| recording.softmax_rows(&x, *rows, *cols))
            }
            Kind::Sum { elements } => {
                let x = random(gpu, *elements)?;
                on_device(gpu, |recording| recording.fold_all(&x, Fold::Sum))
            }
            Kind::Add { elements } => {
                let (x, y) = (random(gpu, *elements)?, random(gpu, *elements)?);
                on_device(gpu, |recording| recording.zip(&x, &y, Binary::Sum))
            }
            Kind::Ntf { shape, rank, runs, sweeps } => {
                let values = uniform(1, shape.iter().product());
                let start = |run: usize| [0, 1, 2].map(|mode| uniform((10 * run + mode) as u64, shape[mode] * rank));
                let starts: Vec<[Vec<f32>; 3]> = (0..*runs).map(start).collect();
                on_host(|| hals(gpu, *shape, &values, *rank, &starts, *sweeps).map(|_| ()))
            }
            Kind::Network { observations, features, hidden, classes, batch } => {
                let x = uniform(2, observations * features);
                let labels: Vec<usize> = (0..*observations).map(|at| at % classes).collect();
                let config =
                    MlpConfig { hidden: hidden.clone(), epochs: 1, batch: *batch, learning_rate: 1e-3, weight_decay: 0.0, dropout: 0.0 };
                on_host(|| Mlp::train(&x, &labels, *classes, &config, &Stream::new(1), Some(gpu), || true).map(|_| ()))
            }
            Kind::Permutations { observations, features, classes, permutations } => {
                let x = uniform(3, observations * features);
                let observed: Vec<u32> = (0..*observations).map(|at| (at % classes) as u32).collect();
                let mut stream = Stream::new(4);
                let mut labels = observed.clone();
                for _ in 1..*permutations {
                    labels.extend(stream.permutation(*observations).iter().map(|at| observed[*at]));
                }
                on_host(|| permuted_shares(gpu, &x, *features, &labels, *classes).map(|_| ()))
            }
            Kind::Discriminants { trained, tested, features, classes, systems } => {
                let (train, test) = (uniform(5, trained * features), uniform(6, tested * features));
                let mut total = vec![0.0; features * features];
                (0..*features).for_each(|feature| total[feature * (features + 1)] = *trained as f32);
                let sides = Sides::new(gpu, &train, &test, &total, *features, *classes)?;
                let systems = Systems {
                    shares: vec![1.0 / *trained as f32; *systems],
                    factors: uniform(7, systems * trained),
                    means: uniform(8, systems * classes * features),
                    roots: vec![0.0; systems * classes],
                    diagonal: vec![1.0; systems * features],
                };
                on_host(|| sides.begin(&systems)?.wait().map(|_| ()))
            }
        }
    }
}

fn on_device<'g>(gpu: &'g Gpu, record: impl Fn(&mut Recording<'g>) -> Result<Buffer, GpuError>) -> Result<Measured, GpuError> {
    let mut best = Measured { seconds: f64::INFINITY, by_device: true };
    for attempt in 0..=TRIES {
        let mut recording = gpu.record();
        record(&mut recording)?;
        let begin = Instant::now();
        let told = gpu.seconds_of(recording)?;
        let seconds = told.unwrap_or_else(|| begin.elapsed().as_secs_f64());
        if attempt > 0 && seconds > 0.0 && seconds < best.seconds {
            best = Measured { seconds, by_device: told.is_some() };
        }
    }
    Ok(best)
}

fn on_host(work: impl Fn() -> Result<(), GpuError>) -> Result<Measured, GpuError> {
    let mut seconds = f64::INFINITY;
    for attempt in 0..=TRIES.min(3) {
        let begin = Instant::now();
        work()?;
        if attempt > 0 {
            seconds = seconds.min(begin.elapsed().as_secs_f64());
        }
    }
    Ok(Measured { seconds, by_device: false })
}

fn uniform(seed: u64, count: usize) -> Vec<f32> {
    let mut stream = Stream::new(seed);
    (0..count).map(|_| stream.uniform() as f32).collect()
}

fn random(gpu: &Gpu, count: usize) -> Result<Buffer, GpuError> {
    gpu.upload(&uniform(count as u64, count))
}
