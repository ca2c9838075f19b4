//! Permuted labels on the device: sums of each class under each row of labels, and one-way analyses of variance from them.
//!
//! The sums of each class under each permutation are one product, of a matrix of zeros and ones that is made from the labels while it is read, and the data
//! ([`permuted_sums`]). From them follows, without leaving the device ([`permuted_shares`]),
//! the share of a feature's sum of squares that lies between the classes (η²; F grows with it, so both order permutations alike), from these the number of
//! permutations that reach the observed share, and for each permutation the largest share of all features, whose distribution corrects for
//! the number of features (Nichols & Holmes 2002).

use super::kernels::fold::Fold;
use super::kernels::product::{Plan, Shape, View, check, scheme};
use super::kernels::tile::{Operand, Pairing};
use super::record::Pending;
use super::{Buffer, Gpu, GpuError, Recording};

/// Relative difference below which two shares count as equal: what rounding in single precision may make of a tie.
const SLACK: f32 = 1e-5;

/// Elements of class sums that are held at a time.
const MOST_SUMS: usize = 1 << 24;

/// What the permutations gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Permuted {
    /// η² of each feature with the first row of labels.
    pub observed: Vec<f32>,
    /// For each feature, how many of all rows of labels reach that share, the first one included.
    pub counts: Vec<u32>,
    /// For each row of labels, the largest share of all features.
    pub largest: Vec<f32>,
}

impl Permuted {
    /// p value of each feature: the share of rows of labels that reach what the first one gave.
    pub fn p_values(&self) -> Vec<f64> {
        let all = self.largest.len().max(1) as f64;
        self.counts.iter().map(|count| f64::from(*count) / all).collect()
    }

    /// p value of each feature, corrected for the number of features by the distribution of the largest share.
    pub fn corrected(&self) -> Vec<f64> {
        let all = self.largest.len().max(1) as f64;
        let reach = |observed: f32| self.largest.iter().filter(|largest| **largest >= observed - SLACK * (observed + SLACK)).count();
        self.observed.iter().map(|observed| reach(*observed) as f64 / all).collect()
    }
}

/// `x [observation × feature]` row-major; `labels [permutation × observation]`, classes `0 .. n_classes`, the first row as observed and every other row a permutation of it.
///
/// # Errors
/// When lengths don't fit, a class has no observation, a row is no permutation of the first, a feature does not vary or is not finite, or the device fails.
pub fn permuted_shares(gpu: &Gpu, x: &[f32], features: usize, labels: &[u32], n_classes: usize) -> Result<Permuted, GpuError> {
    const NAME: &str = "permutations";
    let observations = x.len().checked_div(features).unwrap_or(0);
    let permutations = labels.len().checked_div(observations).unwrap_or(0);
    check(NAME, x.len(), &[observations, features])?;
    check(NAME, labels.len(), &[permutations, observations])?;
    if observations == 0 || permutations == 0 {
        return Err(GpuError::shape(NAME, "there are no observations, features or labels"));
    }
    let sizes = class_sizes(labels, observations, n_classes)?;
    let (centred, inverse_totals) = centred(x, features)?;
    let inverse_sizes: Vec<f32> = sizes.iter().map(|size| 1.0 / *size as f32).collect();
    let x = gpu.upload(&centred)?;
    let (inverse_sizes, inverse_totals) = (gpu.upload(&inverse_sizes)?, gpu.upload(&inverse_totals)?);
    let mut first = gpu.record();
    let counts = first.zeros(features)?;
    first.submit()?;
    let between = gpu.kernel("between", || include_str!("kernels/between.wgsl").to_owned(), &[false, false, false, true])?;
    let exceed = gpu.kernel("exceed", || include_str!("kernels/exceed.wgsl").to_owned(), &[false, false, true])?;
    let at_a_time = (MOST_SUMS / (n_classes * features)).clamp(1, permutations);
    let mut observed: Option<Buffer> = None;
    let mut largest = Vec::new();
    for labels in labels.chunks(at_a_time * observations) {
        let rows = labels.len() / observations;
        let labels = gpu.upload(labels)?;
        let mut recording = gpu.record();
        let sums = class_sums(&mut recording, &labels, &x, [rows, n_classes, observations, features])?;
        let shares = gpu.empty(rows * features)?;
        let sizes = [rows as u32, n_classes as u32, features as u32, 0];
        recording.call_each(&between, &sizes, &[&sums, &inverse_sizes, &inverse_totals, &shares], rows * features)?;
        let observed = match &observed {
            Some(observed) => observed.clone(),
            None => {
                // The first row is the observed one.
                let first = recording.first_of(&shares, features)?;
                observed.insert(first).clone()
            }
        };
        let sizes = [rows as u32, features as u32, SLACK.to_bits(), 0];
        recording.call_each(&exceed, &sizes, &[&shares, &observed, &counts], features)?;
        largest.push(recording.fold_rows(&shares, rows, features, Fold::Largest)?);
        recording.submit()?;
    }
    let Some(observed) = observed else { return Err(GpuError::Failed("nothing was computed".into())) };
    let arrays: Vec<&Buffer> = [&observed, &counts].into_iter().chain(&largest).collect();
    let read = gpu.record().read(&arrays)?;
    let [observed, counts, largest @ ..] = read.as_slice() else { return Err(GpuError::Failed("nothing was read back".into())) };
    let counts = counts.iter().map(|count| *count as u32).collect();
    Ok(Permuted { observed: observed.clone(), counts, largest: largest.concat() })
}

/// The sum of the observations of each class under each row of labels: `take(first, sums)` gets `sums [row × class × feature]` of some rows at a time, the first of them being row
/// `first`, in order. One part is added up on the device while the part before is taken.
///
/// `x [observation × feature]` row-major; `labels [row × observation]`, classes `0 .. n_classes`; a class may be empty, its sums are zero then. Single precision: the error of a sum is
/// about `1e-7 · √observations` of the sum of the sizes of what is added.
///
/// # Errors
/// When lengths don't fit, a label is no class, or the device fails.
pub fn permuted_sums(
    gpu: &Gpu,
    x: &[f32],
    features: usize,
    labels: &[u32],
    n_classes: usize,
    mut take: impl FnMut(usize, &[f32]),
) -> Result<(), GpuError> {
    const NAME: &str = "sums of permuted classes";
    let observations = x.len().checked_div(features).unwrap_or(0);
    let all = labels.len().checked_div(observations).unwrap_or(0);
    check(NAME, x.len(), &[observations, features])?;
    check(NAME, labels.len(), &[all, observations])?;
    if let Some(label) = labels.iter().find(|label| **label as usize >= n_classes) {
        return Err(GpuError::shape(NAME, format!("there is no class {label}, there are {n_classes}")));
    }
    if all == 0 {
        return Ok(());
    }
    let x = gpu.upload(x)?;
    let at_a_time = (MOST_SUMS / (n_classes * features)).clamp(1, all);
    let mut before: Option<(usize, Pending<'_>)> = None;
    let mut receive = |before: Option<(usize, Pending<'_>)>| -> Result<(), GpuError> {
        if let Some((first, pending)) = before {
            pending.wait()?.iter().for_each(|sums| take(first, sums));
        }
        Ok(())
    };
    for (number, labels) in labels.chunks(at_a_time * observations).enumerate() {
        let rows = labels.len() / observations;
        let labels = gpu.upload(labels)?;
        let mut recording = gpu.record();
        let sums = class_sums(&mut recording, &labels, &x, [rows, n_classes, observations, features])?;
        let pending = recording.read_later(&[&sums])?;
        receive(before.replace((number * at_a_time, pending)))?;
    }
    receive(before)
}

/// Records the sums of each class under each of `rows` rows of labels, `[row × class × feature]`.
fn class_sums(
    recording: &mut Recording<'_>,
    labels: &Buffer,
    x: &Buffer,
    [rows, n_classes, observations, features]: [usize; 4],
) -> Result<Buffer, GpuError> {
    let plan = Plan::new(1, rows * n_classes, observations, features, false);
    let right = View::new(x, observations, features);
    let kernel = scheme(&plan, Operand::OneHot, right.operand(false), Pairing::Product, false);
    let shape = Shape { b_inner: features as u32, b_column: 1, period: n_classes as u32, ..plan.shape() };
    recording.tiled(&plan, &kernel, shape, &[labels, x])
}

/// Observations of each class, the same in every row of labels.
fn class_sizes(labels: &[u32], observations: usize, n_classes: usize) -> Result<Vec<usize>, GpuError> {
    const NAME: &str = "permutations";
    let mut first = Vec::new();
    for (row, labels) in labels.chunks(observations).enumerate() {
        let mut sizes = vec![0; n_classes];
        for label in labels {
            match sizes.get_mut(*label as usize) {
                Some(size) => *size += 1,
                None => return Err(GpuError::shape(NAME, format!("row {row} has the class {label}, there are {n_classes}"))),
            }
        }
        if row == 0 {
            if let Some(class) = sizes.iter().position(|size| *size == 0) {
                return Err(GpuError::shape(NAME, format!("class {class} has no observation")));
            }
            first = sizes;
        } else if sizes != first {
            return Err(GpuError::shape(NAME, format!("row {row} has classes of sizes {sizes:?}, the first row {first:?}")));
        }
    }
    Ok(first)
}

/// Each feature less its mean, and one over its sum of squares.
fn centred(x: &[f32], features: usize) -> Result<(Vec<f32>, Vec<f32>), GpuError> {
    const NAME: &str = "permutations";
    let mut means = vec![0.0f64; features];
    let observations = (x.len() / features) as f64;
    x.chunks_exact(features).for_each(|row| means.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value)));
    means.iter_mut().for_each(|sum| *sum /= observations);
    let mut squares = vec![0.0f64; features];
    let mut centred = Vec::with_capacity(x.len());
    for row in x.chunks_exact(features) {
        for ((value, mean), sum) in row.iter().zip(&means).zip(&mut squares) {
            let difference = f64::from(*value) - mean;
            *sum += difference * difference;
            centred.push(difference as f32);
        }
    }
    if let Some(feature) = squares.iter().position(|square| !(*square > 0.0 && square.is_finite())) {
        return Err(GpuError::shape(NAME, format!("feature {feature} does not vary or is not finite; leave it out")));
    }
    Ok((centred, squares.iter().map(|square| (1.0 / square) as f32).collect()))
}

#[cfg(test)]
mod tests {
    use super::super::device::testing_all;
    use super::*;
    use crate::gpu::kernels::tests::normal;
    use neuroflow_data::random::Stream;

    fn problem(observations: usize, features: usize, classes: usize, permutations: usize) -> (Vec<f32>, Vec<u32>) {
        let mut x = normal(1, observations * features);
        let observed: Vec<u32> = (0..observations).map(|at| (at % classes) as u32).collect();
        // The first feature differs between the classes.
        (0..observations).for_each(|at| x[at * features] += 2.0 * observed[at] as f32);
        let mut stream = Stream::new(2);
        let mut labels = observed.clone();
        (1..permutations).for_each(|_| labels.extend(stream.permutation(observations).iter().map(|at| observed[*at])));
        (x, labels)
    }

    /// η² in double precision.
    fn share(x: &[f32], features: usize, feature: usize, labels: &[u32], classes: usize) -> f64 {
        let values: Vec<f64> = x.chunks(features).map(|row| f64::from(row[feature])).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let total: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let between = (0..classes as u32).map(|class| {
            let of_class: Vec<f64> =
                values.iter().zip(labels).filter(|(_, label)| **label == class).map(|(value, _)| value - mean).collect();
            of_class.iter().sum::<f64>().powi(2) / of_class.len() as f64
        });
        between.sum::<f64>() / total
    }

    #[test]
    fn shares_and_counts_equal_those_in_double_precision() {
        for gpu in testing_all() {
            for (observations, features, classes, permutations) in [(30, 5, 3, 40), (300, 2, 2, 7), (8, 70, 4, 3)] {
                let (x, labels) = problem(observations, features, classes, permutations);
                let found = permuted_shares(&gpu, &x, features, &labels, classes).unwrap();
                let all: Vec<Vec<f64>> = labels
                    .chunks(observations)
                    .map(|labels| (0..features).map(|feature| share(&x, features, feature, labels, classes)).collect())
                    .collect();
                for feature in 0..features {
                    assert!((f64::from(found.observed[feature]) - all[0][feature]).abs() < 1e-5);
                    let count = all.iter().filter(|row| row[feature] >= all[0][feature] * (1.0 - 1e-9)).count();
                    assert_eq!(found.counts[feature] as usize, count);
                }
                for (row, largest) in all.iter().zip(&found.largest) {
                    assert!((row.iter().copied().fold(0.0, f64::max) - f64::from(*largest)).abs() < 1e-5);
                }
                assert!(found.corrected().iter().zip(found.p_values()).all(|(corrected, p)| *corrected >= p && p > 0.0));
            }
        }
    }

    #[test]
    fn sums_of_classes_equal_those_in_double_precision_part_by_part() {
        for gpu in testing_all() {
            for (observations, features, classes, rows) in [(30, 5, 3, 40), (300, 2, 2, 7), (8, 70, 4, 3), (9, 1100, 4, 4000)] {
                let (x, labels) = problem(observations, features, classes, rows);
                let mut next = 0;
                permuted_sums(&gpu, &x, features, &labels, classes, |first, sums| {
                    assert_eq!(first, next);
                    next += sums.len() / (classes * features);
                    // All of the small ones, the ends of the large one.
                    let some = if rows > 100 { vec![0, sums.len() / (classes * features) - 1] } else { (0..next - first).collect() };
                    for row in some {
                        let labels = &labels[(first + row) * observations..][..observations];
                        let mut expected = vec![0.0; classes * features];
                        for (values, label) in x.chunks(features).zip(labels) {
                            let own = &mut expected[*label as usize * features..][..features];
                            own.iter_mut().zip(values).for_each(|(sum, value)| *sum += f64::from(*value));
                        }
                        let found = &sums[row * classes * features..][..classes * features];
                        assert!(crate::gpu::kernels::tests::worst(found, &expected) < 1e-4);
                    }
                })
                .unwrap();
                assert_eq!(next, rows);
            }
            let refused = permuted_sums(&gpu, &[1.0, 2.0], 1, &[0, 2], 2, |_, _| ()).unwrap_err().to_string();
            assert!(refused.contains("no class 2, there are 2"), "{refused}");
            permuted_sums(&gpu, &[], 0, &[], 2, |_, _| panic!("there is nothing to take")).unwrap();
        }
    }

    #[test]
    fn only_what_differs_between_classes_is_found() {
        let Some(gpu) = super::super::device::testing() else { return };
        let (x, labels) = problem(60, 20, 3, 200);
        let found = permuted_shares(&gpu, &x, 20, &labels, 3).unwrap().corrected();
        assert_eq!(found[0], 1.0 / 200.0);
        assert!(found[1..].iter().filter(|p| **p < 0.05).count() <= 1);
    }

    #[test]
    fn ties_count_as_reached() {
        let Some(gpu) = super::super::device::testing() else { return };
        // Both labelings split these values alike, so every share is the same.
        let x = [0.1, 0.7, 0.1, 0.7];
        let found = permuted_shares(&gpu, &x, 1, &[0, 1, 0, 1, 1, 0, 1, 0], 2).unwrap();
        assert_eq!((found.counts.as_slice(), found.p_values()), ([2].as_slice(), vec![1.0]));
    }

    #[test]
    fn labels_that_are_no_permutation_and_features_that_do_not_vary_are_refused() {
        let Some(gpu) = super::super::device::testing() else { return };
        let message = |x: &[f32], labels: &[u32]| permuted_shares(&gpu, x, 1, labels, 2).unwrap_err().to_string();
        assert!(message(&[1.0, 2.0, 3.0], &[0, 1, 0, 0, 1, 1]).contains("row 1 has classes of sizes [1, 2], the first row [2, 1]"));
        assert!(message(&[1.0, 2.0], &[0, 2]).contains("class 2, there are 2"));
        assert!(message(&[1.0, 2.0], &[0, 0]).contains("class 1 has no observation"));
        assert!(message(&[1.0, 1.0], &[0, 1]).contains("feature 0 does not vary"));
        assert!(message(&[1.0, f32::NAN], &[0, 1]).contains("not finite"));
        assert!(message(&[], &[]).contains("no observations"));
    }
}
