//! Tensors of which most values are zero, such as spikes in fine bins.

use std::collections::BTreeMap;

use super::{FLOOR, Loss, divergence_of};
use crate::product::inner;
use crate::tensor::{TensorRef, hadamard_of_grams};
use crate::{ComputeError, Matrix};
use rayon::prelude::*;

/// Entries of one piece of work.
const PIECE: usize = 1 << 13;

/// The values that are not zero, with their places; all others are 0.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseTensor {
    shape: Vec<usize>,
    /// Positions along each mode, mode after mode; entries in row-major order.
    places: Vec<Vec<u32>>,
    values: Vec<f64>,
}

impl SparseTensor {
    /// A tensor from places and values, in any order; values at one place are added, zeros are dropped.
    ///
    /// Refuses fewer than two modes, places outside of the shape, modes of more than 2³² positions and values that are not finite.
    pub fn new(shape: &[usize], entries: impl IntoIterator<Item = (Vec<usize>, f64)>) -> Result<SparseTensor, ComputeError> {
        if shape.len() < 2 || shape.iter().any(|&size| u32::try_from(size).is_err()) {
            return Err(ComputeError::shape(
                "sparse tensor",
                format!("a shape of {shape:?}; at least 2 modes, each below 2³², are needed"),
            ));
        }
        let mut sorted: BTreeMap<Vec<u32>, f64> = BTreeMap::new();
        for (number, (place, value)) in entries.into_iter().enumerate() {
            if place.len() != shape.len() || place.iter().zip(shape).any(|(place, size)| place >= size) {
                return Err(ComputeError::shape("sparse tensor", format!("entry {number} is at {place:?}, the shape is {shape:?}")));
            }
            if !value.is_finite() {
                return Err(ComputeError::NotFinite { operation: "sparse tensor", position: number, value });
            }
            *sorted.entry(place.into_iter().map(|place| place as u32).collect()).or_insert(0.0) += value;
        }
        let mut tensor = SparseTensor { shape: shape.to_vec(), places: vec![Vec::new(); shape.len()], values: Vec::new() };
        for (place, value) in sorted {
            if value != 0.0 {
                tensor.places.iter_mut().zip(place).for_each(|(places, place)| places.push(place));
                tensor.values.push(value);
            }
        }
        Ok(tensor)
    }

    /// Counts events: `n` events at one place are a value of `n`. Refuses what [`SparseTensor::new`] refuses.
    pub fn from_events(shape: &[usize], events: impl IntoIterator<Item = Vec<usize>>) -> Result<SparseTensor, ComputeError> {
        SparseTensor::new(shape, events.into_iter().map(|place| (place, 1.0)))
    }

    /// The values of a dense tensor that are not zero. Refuses values that are not finite and modes of more than 2³² positions.
    pub fn from_dense(dense: TensorRef<'_>) -> Result<SparseTensor, ComputeError> {
        crate::error::finite("sparse tensor", dense.values())?;
        let shape = dense.shape();
        if shape.iter().any(|&size| u32::try_from(size).is_err()) {
            return Err(ComputeError::shape("sparse tensor", format!("a shape of {shape:?}; each mode must be below 2³²")));
        }
        let mut tensor = SparseTensor { shape: shape.to_vec(), places: vec![Vec::new(); shape.len()], values: Vec::new() };
        for (place, value) in dense.values().iter().enumerate().filter(|(_, value)| **value != 0.0) {
            let mut rest = place;
            for (places, &size) in tensor.places.iter_mut().zip(shape).rev() {
                places.push((rest % size) as u32);
                rest /= size;
            }
            tensor.values.push(*value);
        }
        Ok(tensor)
    }

    /// Sizes of the modes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values that are not zero, in row-major order of their places.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Sum of the squared values.
    pub fn squared_norm(&self) -> f64 {
        inner(&self.values, &self.values)
    }

    /// The unfolding along `mode` times the Khatri–Rao product of the other factors `[size of mode × rank]`: work grows with the number of values that are not
    /// zero. Refuses factors that don't fit and modes that are not there.
    pub fn mttkrp(&self, factors: &[Matrix], mode: usize) -> Result<Matrix, ComputeError> {
        let rank = self.check(factors)?;
        let Some(&size) = self.shape.get(mode) else {
            return Err(ComputeError::shape("sparse mttkrp", format!("there is no mode {mode} in a tensor of shape {:?}", self.shape)));
        };
        // Pieces are as many as the entries alone say, each with a result of its own, added in order; few enough that the results stay small.
        let piece = PIECE.max(size * rank).max(self.values.len().div_ceil(32));
        let part = |start: usize| {
            let mut product = Matrix::zeros(size, rank);
            let mut line = vec![0.0; rank];
            for entry in start..(start + piece).min(self.values.len()) {
                line.fill(self.values[entry]);
                for (other, factor) in factors.iter().enumerate().filter(|(other, _)| *other != mode) {
                    let row = factor.row(self.places[other][entry] as usize);
                    line.iter_mut().zip(row).for_each(|(line, value)| *line *= value);
                }
                product.row_mut(self.places[mode][entry] as usize).iter_mut().zip(&line).for_each(|(sum, value)| *sum += value);
            }
            product
        };
        let starts: Vec<usize> = (0..self.values.len()).step_by(piece).collect();
        let parts: Vec<Matrix> =
            if starts.len() < 2 { starts.into_iter().map(part).collect() } else { starts.into_par_iter().map(part).collect() };
        let mut parts = parts.into_iter();
        let mut total = parts.next().unwrap_or_else(|| Matrix::zeros(size, rank));
        for part in parts {
            total.values_mut().iter_mut().zip(part.values()).for_each(|(total, part)| *total += part);
        }
        Ok(total)
    }

    /// The model at the places of the values.
    fn model(&self, factors: &[Matrix]) -> Result<Vec<f64>, ComputeError> {
        let rank = self.check(factors)?;
        let mut model = vec![0.0; self.values.len()];
        crate::product::for_each_chunk(&mut model, PIECE, |number, model| {
            let mut line = vec![0.0; rank];
            for (offset, model) in model.iter_mut().enumerate() {
                let entry = number * PIECE + offset;
                line.fill(1.0);
                for (factor, places) in factors.iter().zip(&self.places) {
                    line.iter_mut().zip(factor.row(places[entry] as usize)).for_each(|(line, value)| *line *= value);
                }
                *model = line.iter().sum();
            }
        });
        Ok(model)
    }

    /// Values over the model at their places: `X / X̂`, zero where `X` is.
    pub(super) fn ratios(&self, factors: &[Matrix]) -> Result<SparseTensor, ComputeError> {
        let model = self.model(factors)?;
        let values = self.values.iter().zip(model).map(|(value, model)| value / model.max(FLOOR)).collect();
        Ok(SparseTensor { values, ..self.clone() })
    }

    /// `Σ (x − x̂)²` over all entries, zeros included, and the loss.
    pub(super) fn misfit(&self, factors: &[Matrix], loss: Loss) -> Result<(f64, f64), ComputeError> {
        let model = self.model(factors)?;
        let size: f64 = hadamard_of_grams(factors, None)?.values().iter().sum();
        let square = (self.squared_norm() - 2.0 * inner(&self.values, &model) + size).max(0.0);
        if loss == Loss::Frobenius {
            return Ok((square, 0.5 * square));
        }
        // Where x is 0 only the model counts: its whole sum, less its sum where x is not.
        let rank = factors.first().map_or(0, Matrix::cols);
        let whole: f64 = (0..rank).map(|r| factors.iter().map(|factor| factor.column(r).iter().sum::<f64>()).product::<f64>()).sum();
        let listed: f64 = self.values.iter().zip(&model).map(|(value, model)| divergence_of(*value, *model) - model).sum();
        Ok((square, whole + listed))
    }

    fn check(&self, factors: &[Matrix]) -> Result<usize, ComputeError> {
        let rank = factors.first().map_or(0, Matrix::cols);
        let fits =
            factors.len() == self.shape.len() && factors.iter().zip(&self.shape).all(|(factor, &size)| factor.shape() == (size, rank));
        if fits {
            return Ok(rank);
        }
        let found: Vec<(usize, usize)> = factors.iter().map(Matrix::shape).collect();
        Err(ComputeError::shape("sparse tensor", format!("factors of sizes {found:?} don't fit a tensor of shape {:?}", self.shape)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Entries, Hals, Stopping, hals, misfit};
    use super::*;
    use crate::golden::{all_close, close, normal_matrix, same_on_any_threads};
    use crate::random::Stream;
    use crate::tensor::mttkrp;

    fn sparse(shape: &[usize], share: f64) -> (Vec<f64>, SparseTensor) {
        let mut stream = Stream::new(3);
        let size = shape.iter().product();
        let values: Vec<f64> = (0..size).map(|_| if stream.uniform() < share { 1.0 + stream.poisson(1.0) as f64 } else { 0.0 }).collect();
        let tensor = SparseTensor::from_dense(TensorRef::new(shape, &values).unwrap()).unwrap();
        (values, tensor)
    }

    #[test]
    fn products_and_losses_are_those_of_the_dense_tensor() {
        for shape in [vec![9, 8], vec![20, 30, 40], vec![5, 6, 7, 4]] {
            let (values, tensor) = sparse(&shape, 0.2);
            let dense = TensorRef::new(&shape, &values).unwrap();
            let factors: Vec<Matrix> = shape.iter().map(|&size| normal_matrix(size as u64, size, 3).map(f64::abs)).collect();
            for mode in 0..shape.len() {
                all_close(tensor.mttkrp(&factors, mode).unwrap().values(), mttkrp(dense, &factors, mode).unwrap().values(), 1e-10);
            }
            for loss in [Loss::Frobenius, Loss::KullbackLeibler] {
                let (a, b) = (tensor.misfit(&factors, loss).unwrap(), misfit(Entries::Dense(dense), &factors, loss).unwrap());
                close(a.0, b.0, 1e-10);
                close(a.1, b.1, 1e-10);
            }
            close(tensor.squared_norm(), dense.squared_norm(), 1e-12);
        }
    }

    #[test]
    fn events_are_counted_and_bad_places_refused() {
        let tensor = SparseTensor::from_events(&[2, 3], [vec![1, 2], vec![0, 0], vec![1, 2]]).unwrap();
        assert_eq!((tensor.values(), tensor.shape()), (&[1.0, 2.0][..], &[2usize, 3][..]));
        assert!(SparseTensor::from_events(&[2, 3], [vec![2, 0]]).unwrap_err().to_string().contains("entry 0 is at [2, 0]"));
        assert!(SparseTensor::new(&[2, 2], [(vec![0, 0], f64::NAN)]).is_err() && SparseTensor::new(&[4], []).is_err());
        assert_eq!(SparseTensor::new(&[2, 2], [(vec![0, 1], 1.0), (vec![0, 1], -1.0)]).unwrap().values(), [] as [f64; 0]);
        assert!(tensor.mttkrp(&[Matrix::zeros(2, 1), Matrix::zeros(2, 1)], 0).is_err());
    }

    #[test]
    fn hals_on_sparse_and_dense_data_is_the_same() {
        let (values, tensor) = sparse(&[8, 9, 10], 0.3);
        let dense = TensorRef::new(&[8, 9, 10], &values).unwrap();
        let of = |entries| hals(entries, 2, Hals::default(), Stopping { sweeps: 15, tolerance: 0.0 }, Stream::new(2)).unwrap();
        close(of(Entries::Sparse(&tensor)).relative_error, of(Entries::Dense(dense)).relative_error, 1e-8);
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        let (_, tensor) = sparse(&[40, 50, 60], 0.4);
        let factors: Vec<Matrix> = [40, 50, 60].iter().map(|&size| normal_matrix(size as u64, size, 4)).collect();
        same_on_any_threads(|| tensor.mttkrp(&factors, 1).unwrap().into_values());
    }
}
