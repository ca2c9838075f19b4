//! Small dense networks: training by Adam on softmax cross-entropy, on the CPU or wholly on the GPU.
//!
//! On the CPU the same seed gives the same bytes. On a GPU the same steps are done in the same order with the same units left out, but sums run in another order, so
//! results agree within rounding.
//! From: Kingma & Ba 2015 (Adam), Loshchilov & Hutter 2019 (weight decay apart from the gradient), He et al. 2015 (initial weights), Srivastava et al. 2014 (dropout).

use crate::gpu::network::Training;
use crate::gpu::{Gpu, GpuError};
use crate::single::{SingleRef, gemm};
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

/// One dense layer: weights `[input × output]`, row-major, and a bias for each output.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Layer {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) weights: Vec<f32>,
    pub(crate) biases: Vec<f32>,
}

/// A trained network.
pub struct Mlp {
    layers: Vec<Layer>,
}

/// Which hidden units a step leaves out: a hash of a key and the number of the unit in the batch, so that the CPU and the GPU leave out the same ones in any order.
#[derive(Debug, Clone)]
pub(crate) struct Dropout {
    stream: Stream,
    rate: f32,
}

impl Dropout {
    fn new(stream: Stream, rate: f32) -> Dropout {
        Dropout { stream, rate }
    }

    /// The key of a layer in a step, both counted from 0.
    pub(crate) fn key(&self, step: usize, layer: usize) -> u32 {
        (self.stream.split_index(step as u64).split_index(layer as u64).next_u64() >> 32) as u32
    }

    /// Draws of 24 bits below this leave a unit out.
    pub(crate) fn threshold(&self) -> u32 {
        (self.rate.clamp(0.0, 1.0) * 16_777_216.0) as u32
    }

    /// What the values of the other units are multiplied by.
    pub(crate) fn factor(&self) -> f32 {
        if self.rate > 0.0 { 1.0 / (1.0 - self.rate) } else { 1.0 }
    }

    /// Whether a unit stays.
    fn keeps(key: u32, unit: u32, threshold: u32) -> bool {
        mixed(mixed(unit ^ key).wrapping_add(key)) >> 8 >= threshold
    }
}

/// Mixes all bits into all bits: an xorshift and multiply hash (Wellons 2018, 0x7feb352d and 0x846ca68b).
fn mixed(bits: u32) -> u32 {
    let x = (bits ^ (bits >> 16)).wrapping_mul(0x7feb_352d);
    let x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

/// What Adam's two means of a step, counted from 0, are divided by because they start from zero.
pub(crate) fn corrections(step: usize) -> (f32, f32) {
    let steps = i32::try_from(step).unwrap_or(i32::MAX - 1) + 1;
    (1.0 - 0.9f32.powi(steps), 1.0 - 0.999f32.powi(steps))
}

/// `a · b` of shapes that the network itself made.
fn product(a: SingleRef<'_>, b: SingleRef<'_>) -> Vec<f32> {
    debug_assert_eq!(a.cols(), b.rows());
    gemm(a, b).unwrap_or_default()
}

/// A view of shapes that the network itself made.
fn view(values: &[f32], rows: usize, cols: usize) -> SingleRef<'_> {
    debug_assert_eq!(values.len(), rows * cols);
    SingleRef::of(values, rows, cols)
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

    fn step(&mut self, values: &mut [f32], gradient: &[f32], (one, two): (f32, f32), rate: f32, decay: f32) {
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((value, g), (first, second)) in values.iter_mut().zip(gradient).zip(moments) {
            *first = 0.9 * *first + 0.1 * g;
            *second = 0.999 * *second + 0.001 * g * g;
            *value -= rate * (*first / one / ((*second / two).sqrt() + 1e-8) + decay * *value);
        }
    }
}

impl Mlp {
    /// Trains on `x [observation × feature]`, row-major, with a class for each observation. `go_on` is asked after each epoch.
    ///
    /// # Errors
    /// When the GPU fails. Without a GPU only when `x` does not fill its rows, or a label is no class.
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
        if features * n != x.len() || labels.iter().any(|label| *label >= n_classes) {
            let reason = format!("{} values for {n} observations with classes below {n_classes}", x.len());
            return Err(GpuError::Shape { operation: "training", reason });
        }
        let layers = initial(features, n_classes, config, stream);
        let dropout = Dropout::new(stream.split("dropout"), config.dropout);
        let mut order = stream.split("order");
        if let Some(gpu) = gpu {
            let mut training = Training::new(gpu, x, labels, &layers, config, dropout)?;
            for _ in 0..config.epochs {
                training.epoch(&order.permutation(n))?;
                if !go_on() {
                    break;
                }
            }
            return Ok(Mlp { layers: training.finish()? });
        }
        let mut network = Mlp { layers };
        let mut moments: Vec<(Moments, Moments)> =
            network.layers.iter().map(|layer| (Moments::new(layer.weights.len()), Moments::new(layer.biases.len()))).collect();
        let mut number = 0;
        for _ in 0..config.epochs {
            for batch in order.permutation(n).chunks(config.batch.max(1)) {
                let rows: Vec<f32> = batch.iter().flat_map(|&row| x[row * features..(row + 1) * features].iter().copied()).collect();
                let targets: Vec<usize> = batch.iter().map(|&row| labels[row]).collect();
                network.step(rows, &targets, config, &mut moments, number, &dropout);
                number += 1;
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
        number: usize,
        dropout: &Dropout,
    ) {
        let m = targets.len();
        let last = self.layers.len() - 1;
        let (threshold, factor) = (dropout.threshold(), dropout.factor());
        // Forward: the input of each layer, dropout applied.
        let mut inputs = vec![rows];
        for (depth, layer) in self.layers.iter().enumerate() {
            let mut out = layer.forward(&inputs[depth], m);
            if depth < last {
                let key = dropout.key(number, depth);
                for (unit, value) in out.iter_mut().enumerate() {
                    *value = if Dropout::keeps(key, unit as u32, threshold) { value.max(0.0) * factor } else { 0.0 };
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
            let passed = view(&gradient, m, layer.outputs);
            let weights = product(view(input, m, layer.inputs).t(), passed);
            let mut biases = vec![0.0; layer.outputs];
            gradient.chunks_exact(layer.outputs).for_each(|row| biases.iter_mut().zip(row).for_each(|(sum, value)| *sum += value));
            if depth > 0 {
                let mut back = product(passed, view(&layer.weights, layer.inputs, layer.outputs).t());
                // Units that were off, by ReLU or dropout, pass nothing back; those that were on pass dropout's factor.
                back.iter_mut().zip(input).for_each(|(value, input)| *value = if *input > 0.0 { *value * factor } else { 0.0 });
                gradient = back;
            }
            let layer = &mut self.layers[depth];
            let left = corrections(number);
            moments[depth].0.step(&mut layer.weights, &weights, left, config.learning_rate, config.weight_decay);
            moments[depth].1.step(&mut layer.biases, &biases, left, config.learning_rate, 0.0);
        }
    }

    /// The probability of each class for each observation `[observation × class]`, on the CPU.
    pub fn probabilities(&self, x: &[f32], observations: usize) -> Vec<f32> {
        let mut values = x.to_vec();
        for (depth, layer) in self.layers.iter().enumerate() {
            let mut out = layer.forward(&values, observations);
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

/// The network before its first step: normal weights whose variance is two over the number of inputs, biases zero.
fn initial(features: usize, n_classes: usize, config: &MlpConfig, stream: &Stream) -> Vec<Layer> {
    let sizes: Vec<usize> = [features].into_iter().chain(config.hidden.iter().copied()).chain([n_classes]).collect();
    let mut start = stream.split("weights");
    let layers = sizes.windows(2).map(|pair| {
        let scale = (2.0 / pair[0].max(1) as f64).sqrt();
        let weights = (0..pair[0] * pair[1]).map(|_| (scale * start.normal()) as f32).collect();
        Layer { inputs: pair[0], outputs: pair[1], weights, biases: vec![0.0; pair[1]] }
    });
    layers.collect()
}

impl Layer {
    fn forward(&self, input: &[f32], m: usize) -> Vec<f32> {
        let mut out = product(view(input, m, self.inputs), view(&self.weights, self.inputs, self.outputs));
        out.chunks_exact_mut(self.outputs.max(1)).for_each(|row| row.iter_mut().zip(&self.biases).for_each(|(value, bias)| *value += bias));
        out
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
    use crate::gpu::Which;

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
    fn training_on_the_gpu_takes_the_same_steps() {
        let gpu = match Gpu::shared(Which::Any) {
            Ok(gpu) => gpu,
            Err(error) => {
                println!("skipped: {error}");
                return;
            }
        };
        let (x, labels) = exclusive_or(50);
        // Two hidden layers, a batch that does not divide the observations, weight decay and dropout.
        let config = MlpConfig { hidden: vec![16, 9], epochs: 3, batch: 16, weight_decay: 0.01, dropout: 0.3, ..config() };
        let on = |gpu| Mlp::train(&x, &labels, 2, &config, &Stream::new(3), gpu, || true).unwrap();
        let (device, host) = (on(Some(&gpu)), on(None));
        for (found, expected) in device.layers.iter().zip(&host.layers) {
            let pairs = found.weights.iter().zip(&expected.weights).chain(found.biases.iter().zip(&expected.biases));
            let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 2e-3, "{worst}");
        }
        let one = MlpConfig { epochs: 1, ..config.clone() };
        let train = || Mlp::train(&x, &labels, 2, &one, &Stream::new(3), Some(&gpu), || true).unwrap().layers;
        assert_eq!(train(), train());
    }

    #[test]
    fn the_gpu_learns_what_no_line_separates_and_stops_when_asked() {
        let Ok(gpu) = Gpu::shared(Which::Any) else { return };
        let (x, labels) = exclusive_or(200);
        let network = Mlp::train(&x, &labels, 2, &MlpConfig { epochs: 60, ..config() }, &Stream::new(1), Some(&gpu), || true).unwrap();
        assert!(accuracy(&network, &x, &labels) > 0.9);
        let mut asked = 0;
        let stop = || {
            asked += 1;
            asked < 2
        };
        Mlp::train(&x, &labels, 2, &config(), &Stream::new(1), Some(&gpu), stop).unwrap();
        assert_eq!(asked, 2);
    }

    #[test]
    fn dropout_leaves_out_its_share_and_other_units_in_each_step_and_layer() {
        let dropout = Dropout::new(Stream::new(5), 0.3);
        let kept = |key| (0..40_000).map(|unit| Dropout::keeps(key, unit, dropout.threshold())).collect::<Vec<_>>();
        let (first, second, deeper) = (kept(dropout.key(0, 0)), kept(dropout.key(1, 0)), kept(dropout.key(0, 1)));
        for mask in [&first, &second, &deeper] {
            let share = mask.iter().filter(|kept| **kept).count() as f64 / 40_000.0;
            // Four standard errors.
            assert!((share - 0.7).abs() < 0.0092, "{share}");
        }
        let agreement = |a: &[bool], b: &[bool]| a.iter().zip(b).filter(|(a, b)| a == b).count() as f64 / 40_000.0;
        for (a, b) in [(&first, &second), (&first, &deeper), (&second, &deeper)] {
            assert!((agreement(a, b) - 0.58).abs() < 0.01, "{}", agreement(a, b));
        }
        // Neighbours are independent too.
        assert!((agreement(&first[1..], &first[..39_999]) - 0.58).abs() < 0.01);
        let none = Dropout::new(Stream::new(5), 0.0);
        assert!((0..1000).all(|unit| Dropout::keeps(none.key(0, 0), unit, none.threshold())) && none.factor() == 1.0);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let train = |x: &[f32], labels: &[usize]| Mlp::train(x, labels, 2, &config(), &Stream::new(1), None, || true);
        assert!(train(&[1.0; 5], &[0, 1]).is_err() && train(&[1.0; 4], &[0, 2]).is_err());
    }
}
