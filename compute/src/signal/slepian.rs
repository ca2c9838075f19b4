//! Slepian's sequences (discrete prolate spheroidal sequences): tapers with as much of their energy as possible inside a band.
//!
//! They are the eigenvectors of a symmetric tridiagonal matrix with well-separated eigenvalues (Slepian 1978; Percival & Walden 1993, sec. 8.3):
//! bisection finds the eigenvalues, inverse iteration the vectors, in time proportional to their length.

use super::fft::{RealFft, fast_length};
use super::fir::sinc;
use crate::random::Stream;
use crate::{ComputeError, Matrix};

/// Tapers, the best first.
#[derive(Debug, Clone, PartialEq)]
pub struct Slepian {
    /// The tapers `[taper × sample]`, of unit length; those of even number have a positive sum, those of odd number begin with a positive lobe.
    pub tapers: Matrix,
    /// The share of each taper's energy that lies inside the band.
    pub concentrations: Vec<f64>,
}

/// The first `count` tapers of `length` samples whose energy lies within ± `half_bandwidth / length` cycles a sample
/// (`scipy.signal.windows.dpss(length, half_bandwidth, count)`).
///
/// Refuses a half bandwidth outside of 0 to half the length, and no tapers or more than samples.
pub fn slepian(length: usize, half_bandwidth: f64, count: usize) -> Result<Slepian, ComputeError> {
    let refuse = |reason: String| Err(ComputeError::value("tapers", reason));
    if !(half_bandwidth > 0.0 && half_bandwidth < length as f64 / 2.0) {
        return refuse(format!("the half bandwidth is {half_bandwidth}; it lies between 0 and half the length, {}", length as f64 / 2.0));
    }
    if count == 0 || count > length {
        return refuse(format!("{count} tapers of {length} samples; from 1 to {length} are possible"));
    }
    let width = half_bandwidth / length as f64; // W
    let n = length as f64;
    let diagonal: Vec<f64> =
        (0..length).map(|place| ((n - 1.0 - 2.0 * place as f64) / 2.0).powi(2) * (2.0 * std::f64::consts::PI * width).cos()).collect();
    let beside: Vec<f64> = (1..length).map(|place| place as f64 * (n - place as f64) / 2.0).collect();
    let matrix = Tridiagonal { diagonal, beside };
    let mut tapers = Matrix::zeros(count, length);
    let mut stream = Stream::new(0).split("tapers");
    for (taper, value) in matrix.largest(count).into_iter().enumerate() {
        let mut vector: Vec<f64> = (0..length).map(|_| stream.normal()).collect();
        for _ in 0..4 {
            matrix.solve_shifted(value, &mut vector);
            let norm = crate::product::inner(&vector, &vector).sqrt();
            vector.iter_mut().for_each(|component| *component /= norm);
        }
        let positive = if taper % 2 == 0 {
            vector.iter().sum::<f64>() >= 0.0
        } else {
            let threshold = (1.0 / n).max(1e-7);
            vector.iter().find(|value| **value * **value > threshold).is_none_or(|value| *value > 0.0)
        };
        let sign = if positive { 1.0 } else { -1.0 };
        tapers.row_mut(taper).iter_mut().zip(&vector).for_each(|(target, value)| *target = sign * value);
    }
    // The share inside the band, by the autocorrelation (Percival & Walden 1993, p. 390).
    let fft = RealFft::new(fast_length(2 * length));
    let mut concentrations = Vec::with_capacity(count);
    for taper in tapers.row_iter() {
        let mut power = fft.forward(taper)?;
        power.iter_mut().for_each(|value| *value = (value.norm_sqr()).into());
        let correlation = fft.inverse(power)?;
        let others: Vec<f64> = (1..length).map(|lag| 2.0 * sinc(2.0 * width * lag as f64) * correlation[lag]).collect();
        concentrations.push(2.0 * width * (correlation[0] + crate::statistics::sum(&others)));
    }
    Ok(Slepian { tapers, concentrations })
}

/// A symmetric tridiagonal matrix.
struct Tridiagonal {
    diagonal: Vec<f64>,
    beside: Vec<f64>,
}

impl Tridiagonal {
    /// The number of eigenvalues above `value`, by Sturm's sequence.
    fn above(&self, value: f64) -> usize {
        let tiny = f64::MIN_POSITIVE.sqrt();
        let mut pivot = 1.0;
        let mut count = 0;
        for (place, diagonal) in self.diagonal.iter().enumerate() {
            let coupling = if place == 0 { 0.0 } else { self.beside[place - 1] * self.beside[place - 1] / pivot };
            pivot = diagonal - value - coupling;
            if pivot.abs() < tiny {
                pivot = -tiny;
            }
            count += usize::from(pivot > 0.0);
        }
        count
    }

    /// The `count` largest eigenvalues, largest first, to the last bits.
    fn largest(&self, count: usize) -> Vec<f64> {
        // Gershgorin's circles hold them all.
        let radius = |place: usize| {
            let left = if place == 0 { 0.0 } else { self.beside[place - 1] };
            left + self.beside.get(place).copied().unwrap_or(0.0)
        };
        let high = (0..self.diagonal.len()).map(|place| self.diagonal[place] + radius(place)).fold(f64::NEG_INFINITY, f64::max);
        let low = (0..self.diagonal.len()).map(|place| self.diagonal[place] - radius(place)).fold(f64::INFINITY, f64::min);
        let mut top = high + 1.0;
        (0..count)
            .map(|number| {
                let (mut below, mut above) = (low - 1.0, top);
                // Invariant: at most `number` eigenvalues lie above `above`, more than `number` above `below`.
                for _ in 0..200 {
                    let middle = 0.5 * (below + above);
                    if middle <= below || middle >= above {
                        break;
                    }
                    if self.above(middle) > number { below = middle } else { above = middle }
                }
                top = above;
                0.5 * (below + above)
            })
            .collect()
    }

    /// `(T − value)⁻¹ x` in place, by elimination with exchange of rows; a pivot of zero counts as the smallest that the size of the matrix allows.
    fn solve_shifted(&self, value: f64, x: &mut [f64]) {
        let n = x.len();
        let scale = self.diagonal.iter().chain(&self.beside).fold(0.0f64, |scale, entry| scale.max(entry.abs()));
        let least = f64::EPSILON * scale.max(f64::MIN_POSITIVE);
        let keep = |pivot: f64| if pivot.abs() < least { least.copysign(pivot) } else { pivot };
        // Rows of the eliminated matrix: diagonal and the two places right of it.
        let mut rows: Vec<[f64; 3]> = Vec::with_capacity(n);
        let mut current = [self.diagonal[0] - value, self.beside.first().copied().unwrap_or(0.0), 0.0];
        for place in 1..n {
            let lower = self.beside[place - 1];
            let next = [self.diagonal[place] - value, self.beside.get(place).copied().unwrap_or(0.0)];
            if lower.abs() > current[0].abs() {
                let factor = current[0] / lower;
                rows.push([lower, next[0], next[1]]);
                x.swap(place - 1, place);
                x[place] -= factor * x[place - 1];
                current = [current[1] - factor * next[0], current[2] - factor * next[1], 0.0];
            } else {
                let pivot = keep(current[0]);
                let factor = lower / pivot;
                rows.push([pivot, current[1], current[2]]);
                x[place] -= factor * x[place - 1];
                current = [next[0] - factor * current[1], next[1] - factor * current[2], 0.0];
            }
        }
        rows.push([keep(current[0]), 0.0, 0.0]);
        for place in (0..n).rev() {
            let [pivot, first, second] = rows[place];
            let right = first * x.get(place + 1).copied().unwrap_or(0.0) + second * x.get(place + 2).copied().unwrap_or(0.0);
            x[place] = (x[place] - right) / pivot;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{all_close, close};
    use crate::product::gram_of_rows;

    #[test]
    fn tapers_are_orthonormal_concentrated_and_alternate_in_parity() {
        for (length, half_bandwidth, count) in [(8, 2.0, 4), (101, 2.5, 5), (512, 4.0, 8), (1201, 12.0, 23)] {
            let Slepian { tapers, concentrations } = slepian(length, half_bandwidth, count).unwrap();
            all_close(gram_of_rows(&tapers).values(), Matrix::identity(count).values(), 1e-9);
            assert!(concentrations.is_sorted_by(|a, b| a + 1e-12 >= *b) && concentrations[0] > 0.98 && concentrations[0] < 1.0 + 1e-12);
            for (taper, row) in tapers.row_iter().enumerate() {
                let parity = if taper % 2 == 0 { 1.0 } else { -1.0 };
                row.iter().zip(row.iter().rev()).for_each(|(left, right)| close(*left, parity * right, 1e-8));
            }
        }
    }

    #[test]
    fn tapers_and_concentrations_are_those_of_scipy() {
        // scipy 1.17.1: dpss(8, 2, 3, return_ratios=True), the first half of each.
        let found = slepian(8, 2.0, 3).unwrap();
        all_close(&found.concentrations, &RATIOS, 1e-10);
        for (taper, expected) in TAPERS.iter().enumerate() {
            all_close(&found.tapers.row(taper)[..4], expected, 1e-10);
        }
    }

    const RATIOS: [f64; 3] = [0.999_983_854_528_416, 0.998_861_864_380_353_5, 0.971_451_887_449_343_9];
    const TAPERS: [[f64; 4]; 3] = [
        [0.049_866_986_582_568_46, 0.190_472_076_479_377_44, 0.395_302_057_840_585_53, 0.552_240_848_541_473_5],
        [0.172_630_187_918_006_13, 0.419_463_375_945_504, 0.493_848_732_460_620_3, 0.224_416_407_392_225_38],
        [0.382_038_215_715_887_53, 0.489_736_143_168_383_6, 0.143_357_831_444_278_24, -0.306_029_155_426_033_5],
    ];

    #[test]
    fn the_share_in_the_band_is_that_of_the_spectrum() {
        let found = slepian(64, 3.0, 6).unwrap();
        let fft = RealFft::new(1 << 14);
        for (taper, share) in found.tapers.row_iter().zip(&found.concentrations) {
            let power: Vec<f64> = fft.forward(taper).unwrap().iter().map(|value| value.norm_sqr()).collect();
            let edge = 3 * (1 << 14) / 64;
            let inside: f64 = power[0] / 2.0 + power[1..edge].iter().sum::<f64>() + power[edge] / 2.0;
            let all: f64 = power[0] / 2.0 + power[1..1 << 13].iter().sum::<f64>() + power[1 << 13] / 2.0;
            close(inside / all, *share, 1e-5);
        }
    }

    #[test]
    fn impossible_tapers_are_refused() {
        for (length, half_bandwidth, count) in [(8, 0.0, 1), (8, 4.0, 1), (8, f64::NAN, 1), (8, 2.0, 0), (8, 2.0, 9), (0, 1.0, 1)] {
            assert!(slepian(length, half_bandwidth, count).is_err());
        }
        assert_eq!(slepian(1, 0.4, 1).unwrap().tapers.values(), [1.0]);
    }
}
