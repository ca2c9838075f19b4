//! Small dense networks: training by Adam on softmax cross-entropy, with products on the CPU or the GPU.
//!
//! On the CPU the same seed gives the same bytes. On a GPU sums run in another order, so results agree within rounding.
//! From: Kingma & Ba 2015 (Adam), He et al. 2015 (initial weights), Srivastava et al. 2014 (dropout).

use crate::gpu::{Gpu, GpuError};
use neuroflow_data::random::Stream;

/// How a network is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct MlpConfig {
    /// Units of each hidden layer.
    pub hidden: Vec<usize>,
    /// Passes over all observations.
    pub epochs: usize,
    /// Observations a step.
    pub batch: usize,
    /// Adam's step size.
    pub learning_rate: f32,
    /// How much weights shrink in each step, as a multiple of the step size.
    pub weight_decay: f32,
    /// The share of hidden units that is left out in each step.
    pub dropout: f32,
}

struct Layer {
    inputs: usize,
    outputs: usize,
    weights: Vec<f32>,
    biases: Vec<f32>,
}

/// A trained network.
pub struct Mlp {
    layers: Vec<Layer>,
}

/// `a [m × k] · b [k × n]`, row-major, on the CPU.
pub fn matmul(a: &[f32], b: &[f32], m: usize, k: usize, n: usize) -> Vec<f32> {
    let mut c = vec![0.0; m * n];
    for (row, out) in a.chunks_exact(k.max(1)).zip(c.chunks_exact_mut(n.max(1))) {
        for (x, line) in row.iter().zip(b.chunks_exact(n.max(1))) {
            out.iter_mut().zip(line).for_each(|(sum, y)| *sum += x * y);
        }
    }
    c
}

fn transposed(a: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| a[row * columns + column])).collect()
}

fn product(gpu: Option<&Gpu>, a: &[f32], b: &[f32], m: usize, k: usize, n: usize) -> Result<Vec<f32>, GpuError> {
    match gpu {
        Some(gpu) => gpu.matmul(a, b, m, k, n),
        None => Ok(matmul(a, b, m, k, n)),
    }
}

/// Adam's memory of one parameter array.
struct Moments {
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Moments {
    fn new(size: usize) -> Moments {
        Moments { first: vec![0.0; size], second: vec![0.0; size] }
    }

    fn step(&mut self, values: &mut [f32], gradient: &[f32], number: i32, rate: f32, decay: f32) {
        let (one, two) = (1.0 - 0.9f32.powi(number), 1.0 - 0.999f32.powi(number));
        for (at, value) in values.iter_mut().enumerate() {
            let g = gradient[at];
            self.first[at] = 0.9 * self.first[at] + 0.1 * g;
            self.second[at] = 0.999 * self.second[at] + 0.001 * g * g;
            *value -= rate * (self.first[at] / one / ((self.second[at] / two).sqrt() + 1e-8) + decay * *value);
        }
    }
}

impl Mlp {
    /// Trains on `x [observation × feature]`, row-major, with a class for each observation. `go_on` is asked after each epoch.
    ///
    /// # Errors
    /// When the GPU fails. Without a GPU it does not.
    pub fn train(
        x: &[f32],
        labels: &[usize],
        n_classes: usize,
        config: &MlpConfig,
        stream: &Stream,
        gpu: Option<&Gpu>,
        mut go_on: impl FnMut() -> bool,
    ) -> Result<Mlp, GpuError> {
        let n = labels.len();
        let features = x.len().checked_div(n).unwrap_or(0);
        let sizes: Vec<usize> = [features].into_iter().chain(config.hidden.iter().copied()).chain([n_classes]).collect();
        let mut start = stream.split("weights");
        let layers = sizes.windows(2).map(|pair| {
            let scale = (2.0 / pair[0].max(1) as f64).sqrt();
            let weights = (0..pair[0] * pair[1]).map(|_| (scale * start.normal()) as f32).collect();
            Layer { inputs: pair[0], outputs: pair[1], weights, biases: vec![0.0; pair[1]] }
        });
        let mut network = Mlp { layers: layers.collect() };
        let mut moments: Vec<(Moments, Moments)> =
            network.layers.iter().map(|layer| (Moments::new(layer.weights.len()), Moments::new(layer.biases.len()))).collect();
        let (mut order, mut drop) = (stream.split("order"), stream.split("dropout"));
        let mut number = 0;
        for _ in 0..config.epochs {
            for batch in order.permutation(n).chunks(config.batch.max(1)) {
                number += 1;
                let rows: Vec<f32> = batch.iter().flat_map(|&row| x[row * features..(row + 1) * features].iter().copied()).collect();
                let targets: Vec<usize> = batch.iter().map(|&row| labels[row]).collect();
                network.step(rows, &targets, config, &mut moments, number, &mut drop, gpu)?;
            }
            if !go_on() {
                break;
            }
        }
        Ok(network)
    }

    fn step(
        &mut self,
        rows: Vec<f32>,
        targets: &[usize],
        config: &MlpConfig,
        moments: &mut [(Moments, Moments)],
        number: i32,
        drop: &mut Stream,
        gpu: Option<&Gpu>,
    ) -> Result<(), GpuError> {
        let m = targets.len();
        let last = self.layers.len() - 1;
        // Forward: the input of each layer, dropout applied.
        let mut inputs = vec![rows];
        for (depth, layer) in self.layers.iter().enumerate() {
            let mut out = layer.forward(&inputs[depth], m, gpu)?;
            if depth < last {
                for value in &mut out {
                    *value = value.max(0.0);
                    if config.dropout > 0.0 {
                        *value *= if drop.uniform() < f64::from(config.dropout) { 0.0 } else { 1.0 / (1.0 - config.dropout) };
                    }
                }
            }
            inputs.push(out);
        }
        // Backward: softmax minus the target, averaged over the batch.
        let mut gradient = inputs.pop().unwrap_or_default();
        let classes = self.layers[last].outputs;
        for (row, target) in gradient.chunks_exact_mut(classes).zip(targets) {
            softmax(row);
            row[*target] -= 1.0;
            row.iter_mut().for_each(|value| *value /= m as f32);
        }
        for depth in (0..=last).rev() {
            let layer = &self.layers[depth];
            let input = &inputs[depth];
            let weights = product(gpu, &transposed(input, m, layer.inputs), &gradient, layer.inputs, m, layer.outputs)?;
            let mut biases = vec![0.0; layer.outputs];
            gradient.chunks_exact(layer.outputs).for_each(|row| biases.iter_mut().zip(row).for_each(|(sum, value)| *sum += value));
            if depth > 0 {
                let mut back =
                    product(gpu, &gradient, &transposed(&layer.weights, layer.inputs, layer.outputs), m, layer.outputs, layer.inputs)?;
                // Units that were off, by ReLU or dropout, pass nothing back; those that were on pass dropout's factor.
                let factor = if config.dropout > 0.0 { 1.0 / (1.0 - config.dropout) } else { 1.0 };
                back.iter_mut().zip(input).for_each(|(value, input)| *value = if *input > 0.0 { *value * factor } else { 0.0 });
                gradient = back;
            }
            let layer = &mut self.layers[depth];
            moments[depth].0.step(&mut layer.weights, &weights, number, config.learning_rate, config.weight_decay);
            moments[depth].1.step(&mut layer.biases, &biases, number, config.learning_rate, 0.0);
        }
        Ok(())
    }

    /// The probability of each class for each observation `[observation × class]`, on the CPU.
    pub fn probabilities(&self, x: &[f32], observations: usize) -> Vec<f32> {
        let mut values = x.to_vec();
        for (depth, layer) in self.layers.iter().enumerate() {
            let mut out = matmul(&values, &layer.weights, observations, layer.inputs, layer.outputs);
            layer.add_biases(&mut out);
            if depth + 1 < self.layers.len() {
                out.iter_mut().for_each(|value| *value = value.max(0.0));
            }
            values = out;
        }
        let classes = self.layers.last().map_or(1, |layer| layer.outputs).max(1);
        values.chunks_exact_mut(classes).for_each(softmax);
        values
    }
}

impl Layer {
    fn forward(&self, input: &[f32], m: usize, gpu: Option<&Gpu>) -> Result<Vec<f32>, GpuError> {
        let mut out = product(gpu, input, &self.weights, m, self.inputs, self.outputs)?;
        self.add_biases(&mut out);
        Ok(out)
    }

    fn add_biases(&self, out: &mut [f32]) {
        out.chunks_exact_mut(self.outputs.max(1)).for_each(|row| row.iter_mut().zip(&self.biases).for_each(|(value, bias)| *value += bias));
    }
}

fn softmax(row: &mut [f32]) {
    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    row.iter_mut().for_each(|value| *value = (*value - most).exp());
    let sum: f32 = row.iter().sum();
    row.iter_mut().for_each(|value| *value /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes that no line separates.
    fn exclusive_or(n: usize) -> (Vec<f32>, Vec<usize>) {
        let mut stream = Stream::new(4);
        let mut x = Vec::new();
        let mut labels = Vec::new();
        for _ in 0..n {
            let (a, b) = (stream.normal(), stream.normal());
            x.extend([a as f32, b as f32]);
            labels.push(usize::from(a * b > 0.0));
        }
        (x, labels)
    }

    fn config() -> MlpConfig {
        MlpConfig { hidden: vec![16], epochs: 120, batch: 16, learning_rate: 0.02, weight_decay: 0.0, dropout: 0.0 }
    }

    fn accuracy(network: &Mlp, x: &[f32], labels: &[usize]) -> f64 {
        let found = network.probabilities(x, labels.len());
        let right = found.chunks(2).zip(labels).filter(|(row, label)| usize::from(row[1] > row[0]) == **label).count();
        right as f64 / labels.len() as f64
    }

    #[test]
    fn what_no_line_separates_is_learned() {
        let (x, labels) = exclusive_or(200);
        let network = Mlp::train(&x, &labels, 2, &config(), &Stream::new(1), None, || true).unwrap();
        assert!(accuracy(&network, &x, &labels) > 0.95);
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_one_does_not() {
        let (x, labels) = exclusive_or(60);
        let config = MlpConfig { dropout: 0.2, epochs: 5, ..config() };
        let train = |seed| Mlp::train(&x, &labels, 2, &config, &Stream::new(seed), None, || true).unwrap().probabilities(&x, 60);
        assert_eq!(train(1), train(1));
        assert_ne!(train(1), train(2));
    }

    #[test]
    fn training_on_the_gpu_learns_the_same() {
        let gpu = match Gpu::shared() {
            Ok(gpu) => gpu,
            Err(error) => {
                println!("skipped: {error}");
                return;
            }
        };
        let (x, labels) = exclusive_or(48);
        let config = MlpConfig { epochs: 2, batch: 48, ..config() };
        let on = |gpu| Mlp::train(&x, &labels, 2, &config, &Stream::new(3), gpu, || true).unwrap().probabilities(&x, 48);
        let worst = on(Some(gpu)).iter().zip(on(None)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{worst}");
    }
}
