//! A bank of spatio-temporal Gabor filters and their motion energy (Adelson & Bergen 1985).

use crate::grating::Grating;
use neuroflow_data::random::Stream;
use std::f64::consts::{FRAC_PI_2, TAU};

/// A quadrature pair: two filters a quarter of a cycle apart, so that the sum of their squared outputs does not depend on phase.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    /// The direction of motion that it prefers, in degrees.
    pub(crate) direction: f64,
    /// Cycles across the picture.
    pub(crate) cycles: f64,
    even: Vec<f64>,
    odd: Vec<f64>,
}

impl Pair {
    /// A filter that prefers motion towards `direction`: a drifting grating under a Gaussian window, without mean, of unit length.
    fn designed(shape: Grating, direction: f64, cycles: f64) -> Pair {
        let grating = Grating { cycles, ..shape };
        let centre = (shape.size as f64 - 1.0) / 2.0;
        let width = shape.size as f64 / 5.0;
        let window =
            |row: usize, column: usize| (-((row as f64 - centre).powi(2) + (column as f64 - centre).powi(2)) / (2.0 * width * width)).exp();
        let part = |phase: f64| {
            let mut values = grating.film(direction, phase);
            for (at, value) in values.iter_mut().enumerate() {
                *value *= window((at / shape.size) % shape.size, at % shape.size);
            }
            unit_length(values)
        };
        Pair { direction, cycles, even: part(0.0), odd: part(FRAC_PI_2) }
    }

    /// Random weights of the same number and length.
    fn random(like: &Pair, mut stream: Stream) -> Pair {
        let mut draw = || unit_length((0..like.even.len()).map(|_| stream.normal()).collect());
        Pair { even: draw(), odd: draw(), ..like.clone() }
    }

    /// The energy of a film: squared outputs of both filters, summed.
    pub(crate) fn energy(&self, film: &[f64]) -> f64 {
        inner(&self.even, film).powi(2) + inner(&self.odd, film).powi(2)
    }

    /// The half-wave rectified output of the even filter.
    pub(crate) fn simple(&self, film: &[f64]) -> f64 {
        inner(&self.even, film).max(0.0)
    }
}

fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn unit_length(mut values: Vec<f64>) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    values.iter_mut().for_each(|value| *value -= mean);
    let norm = inner(&values, &values).sqrt().max(f64::MIN_POSITIVE);
    values.iter_mut().for_each(|value| *value /= norm);
    values
}

/// A bank over directions and spatial frequencies; with random weights when `random` is given.
pub(crate) fn bank(shape: Grating, directions: usize, frequencies: &[f64], random: Option<&Stream>) -> Vec<Pair> {
    let mut pairs = Vec::with_capacity(directions * frequencies.len());
    for &cycles in frequencies {
        for step in 0..directions {
            let designed = Pair::designed(shape, 360.0 * step as f64 / directions as f64, cycles);
            pairs.push(match random {
                Some(stream) => Pair::random(&designed, stream.split_index(pairs.len() as u64)),
                None => designed,
            });
        }
    }
    pairs
}

/// Phases over which responses are averaged: a grating's phase at onset is not part of the condition.
pub(crate) fn phases(count: usize) -> impl Iterator<Item = f64> {
    (0..count).map(move |step| TAU * step as f64 / count as f64)
}
