//! Training of a small dense network on the device: all steps without the host, one read-back at the end.
//!
//! Observations and labels are sent once, the order of an epoch as it comes. A step gathers its observations, goes forward (products, ReLU, dropout), takes the
//! gradient of the mean cross-entropy, goes backward, and lets Adam change all parameters. The formulas, the order of observations and the units that dropout leaves out are
//! those of [`crate::mlp`], so results agree within rounding.

use bytemuck::{Pod, Zeroable};

use super::kernels::View;
use super::{Buffer, Gpu, GpuError, Recording};
use crate::mlp::{Dropout, Layer, MlpConfig};

/// Steps that are sent at a time.
const STEPS: usize = 16;

/// A parameter array and Adam's memory of it.
struct Parameter {
    values: Buffer,
    first: Buffer,
    second: Buffer,
}

/// A network on the device.
pub(crate) struct Training<'g> {
    gpu: &'g Gpu,
    x: Buffer,
    labels: Buffer,
    features: usize,
    observations: usize,
    /// Weights `[inputs × outputs]` and biases of each layer.
    layers: Vec<(usize, usize, Parameter, Parameter)>,
    config: MlpConfig,
    dropout: Dropout,
    /// Steps so far.
    number: usize,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Activate {
    count: u32,
    units: u32,
    key: u32,
    threshold: u32,
    factor: f32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Back {
    count: u32,
    factor: f32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Adam {
    count: u32,
    rate: f32,
    decay: f32,
    first_left: f32,
    second_left: f32,
}

impl<'g> Training<'g> {
    /// Sends observations `[observation × feature]`, their classes, and the network to start with.
    pub(crate) fn new(
        gpu: &'g Gpu,
        x: &[f32],
        labels: &[usize],
        layers: &[Layer],
        config: &MlpConfig,
        dropout: Dropout,
    ) -> Result<Training<'g>, GpuError> {
        let classes: Vec<u32> = labels.iter().map(|label| *label as u32).collect();
        let mut recording = gpu.record();
        let mut parameter = |values: &[f32]| -> Result<Parameter, GpuError> {
            Ok(Parameter { values: gpu.upload(values)?, first: recording.zeros(values.len())?, second: recording.zeros(values.len())? })
        };
        let layers = layers
            .iter()
            .map(|layer| Ok((layer.inputs, layer.outputs, parameter(&layer.weights)?, parameter(&layer.biases)?)))
            .collect::<Result<Vec<_>, GpuError>>()?;
        recording.submit()?;
        let features = layers.first().map_or(0, |layer| layer.0);
        let (x, labels) = (gpu.upload(x)?, gpu.upload(&classes)?);
        Ok(Training { gpu, x, labels, features, observations: classes.len(), layers, config: config.clone(), dropout, number: 0 })
    }

    /// One pass over the observations in an order. Waits until at most the last steps are still on their way.
    pub(crate) fn epoch(&mut self, order: &[usize]) -> Result<(), GpuError> {
        let places: Vec<u32> = order.iter().map(|row| *row as u32).collect();
        let order = self.gpu.upload(&places)?;
        let batch = self.config.batch.max(1);
        let mut before: Option<wgpu::SubmissionIndex> = None;
        let firsts: Vec<usize> = (0..self.observations).step_by(batch).collect();
        for firsts in firsts.chunks(STEPS) {
            let mut recording = self.gpu.record();
            for &first in firsts {
                let rows = batch.min(self.observations - first);
                self.step(&mut recording, &order, first, rows)?;
            }
            let sent = recording.submit()?;
            if let Some(before) = before.replace(sent) {
                self.gpu.wait_for(Some(before))?;
            }
        }
        match before {
            Some(last) => self.gpu.wait_for(Some(last)),
            None => Ok(()),
        }
    }

    fn step(&mut self, recording: &mut Recording<'_>, order: &Buffer, first: usize, rows: usize) -> Result<(), GpuError> {
        let number = self.number;
        self.number += 1;
        let gpu = self.gpu;
        let last = self.layers.len() - 1;
        let input = gpu.empty(rows * self.features)?;
        let gather = gpu.kernel("gather", || include_str!("kernels/gather.wgsl").to_owned(), &[false, false, true])?;
        let sizes = [first as u32, rows as u32, self.features as u32, 0];
        recording.call_each(&gather, &sizes, &[&self.x, order, &input], rows * self.features)?;
        let mut inputs = vec![input];
        for (depth, (of, to, weights, biases)) in self.layers.iter().enumerate() {
            let out = recording.product(View::new(&inputs[depth], rows, *of), View::new(&weights.values, *of, *to), 1)?;
            if depth < last {
                let activate = gpu.kernel("activate", || include_str!("kernels/activate.wgsl").to_owned(), &[false, true])?;
                let (threshold, factor) = (self.dropout.threshold(), self.dropout.factor());
                let key = self.dropout.key(number, depth);
                let parameters = Activate { count: (rows * to) as u32, units: *to as u32, key, threshold, factor };
                recording.call_each(&activate, &parameters, &[&biases.values, &out], rows * to)?;
            } else {
                let loss = gpu.kernel("loss", || include_str!("kernels/loss.wgsl").to_owned(), &[false, false, false, true])?;
                let sizes = [first as u32, rows as u32, *to as u32, 0];
                recording.call_each(&loss, &sizes, &[&biases.values, order, &self.labels, &out], rows)?;
            }
            inputs.push(out);
        }
        let Some(mut gradient) = inputs.pop() else { return Ok(()) };
        for depth in (0..=last).rev() {
            let (of, to, weights, biases) = &self.layers[depth];
            let input = &inputs[depth];
            let of_weights = recording.product(View::new(input, rows, *of).t(), View::new(&gradient, rows, *to), 1)?;
            let of_biases = recording.sum_columns(&gradient, rows, *to)?;
            if depth > 0 {
                let back = recording.product(View::new(&gradient, rows, *to), View::new(&weights.values, *of, *to).t(), 1)?;
                let kernel = gpu.kernel("back", || include_str!("kernels/back.wgsl").to_owned(), &[false, true])?;
                let parameters = Back { count: (rows * of) as u32, factor: self.dropout.factor() };
                recording.call_each(&kernel, &parameters, &[input, &back], rows * of)?;
                gradient = back;
            }
            self.adam(recording, &of_weights, weights, number, self.config.weight_decay)?;
            self.adam(recording, &of_biases, biases, number, 0.0)?;
        }
        Ok(())
    }

    fn adam(&self, recording: &mut Recording<'_>, gradient: &Buffer, of: &Parameter, number: usize, decay: f32) -> Result<(), GpuError> {
        let kernel = self.gpu.kernel("adam", || include_str!("kernels/adam.wgsl").to_owned(), &[false, true, true, true])?;
        let (first_left, second_left) = crate::mlp::corrections(number);
        let parameters = Adam { count: of.values.len() as u32, rate: self.config.learning_rate, decay, first_left, second_left };
        recording.call_each(&kernel, &parameters, &[gradient, &of.values, &of.first, &of.second], of.values.len())
    }

    /// Reads the parameters of all layers back.
    pub(crate) fn finish(self) -> Result<Vec<Layer>, GpuError> {
        let arrays: Vec<&Buffer> = self.layers.iter().flat_map(|(_, _, weights, biases)| [&weights.values, &biases.values]).collect();
        let read = self.gpu.record().read(&arrays)?;
        let pairs = self.layers.iter().zip(read.chunks_exact(2));
        let layer = |((inputs, outputs, ..), pair): (&(usize, usize, Parameter, Parameter), &[Vec<f32>])| Layer {
            inputs: *inputs,
            outputs: *outputs,
            weights: pair[0].clone(),
            biases: pair[1].clone(),
        };
        Ok(pairs.map(layer).collect())
    }
}
