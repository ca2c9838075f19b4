//! Cluster-based permutation tests: where in time, frequency or space an effect is, without a correction for every point (Maris & Oostenveld 2007).
//!
//! Points whose statistic exceeds a threshold and that touch form a cluster; its mass is the sum of its statistics. Each cluster is tested against
//! the largest mass of each permutation, which holds the chance of any false cluster. What is tested is that there is an effect, not where its
//! borders are.

use super::permutation::{random_signs, require_permutations};
use super::{mean, p_value, variance};
use crate::error::finite;
use crate::random::Stream;
use crate::{ComputeError, Matrix};

/// Which points touch which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbours {
    of: Vec<Vec<usize>>,
}

impl Neighbours {
    /// The points of a grid in row-major order, each touching the next and the one before along every axis: `[time]`, `[frequency, time]`, ….
    pub fn grid(shape: &[usize]) -> Neighbours {
        let size: usize = shape.iter().product();
        let mut of = vec![Vec::new(); size];
        let mut stride = 1;
        for &length in shape.iter().rev() {
            for (point, neighbours) in of.iter_mut().enumerate() {
                let along = point / stride % length;
                if along > 0 {
                    neighbours.push(point - stride);
                }
                if along + 1 < length {
                    neighbours.push(point + stride);
                }
            }
            stride *= length;
        }
        Neighbours { of }
    }

    /// `n` points of which those of each pair touch, such as channels. Refuses a pair with a point that is not there.
    pub fn pairs(n: usize, pairs: &[(usize, usize)]) -> Result<Neighbours, ComputeError> {
        let mut of = vec![Vec::new(); n];
        for &(a, b) in pairs {
            if a >= n || b >= n {
                return Err(ComputeError::value("neighbours", format!("points {a} and {b} of {n}; points are counted from 0")));
            }
            of[a].push(b);
            of[b].push(a);
        }
        Ok(Neighbours { of })
    }

    /// The number of points.
    pub fn len(&self) -> usize {
        self.of.len()
    }

    /// Whether there is no point.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }
}

/// One cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Its points, ascending.
    pub points: Vec<usize>,
    /// The sum of its statistics; negative where they are.
    pub mass: f64,
    /// `(1 + #{largest null mass ≥ its mass}) / (1 + m)`, masses by magnitude.
    pub p: f64,
}

/// What a cluster test found.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterTest {
    /// The statistic of each point: Student's t.
    pub statistic: Vec<f64>,
    /// Clusters, the one of largest mass first.
    pub clusters: Vec<Cluster>,
    /// The largest mass of each permutation; 0 where there was no cluster.
    pub null: Vec<f64>,
}

/// Whether means differ from zero anywhere: one-sample t for each point of `differences [observation × point]`, signs of whole observations flipped.
/// Of both sides.
///
/// `threshold` is a t value above zero; it shapes clusters (low: wide and weak, high: small and strong) and does not change the chance of a false
/// one. A point without variance has a statistic of 0. Refuses fewer than 2 observations, other points than neighbours, no permutations, a threshold
/// that is not positive, and values that are not finite.
pub fn cluster_test_one_sample(
    differences: &Matrix,
    neighbours: &Neighbours,
    threshold: f64,
    permutations: usize,
    stream: &Stream,
) -> Result<ClusterTest, ComputeError> {
    check(differences, neighbours, threshold, permutations)?;
    // A flip leaves sums of squares alone, so that only sums are made anew.
    let n = differences.rows() as f64;
    let squares: Vec<f64> =
        (0..differences.cols()).map(|point| differences.column(point).iter().map(|value| value * value).sum()).collect();
    let statistic = |signs: &[f64]| {
        let mut sums = vec![0.0; differences.cols()];
        for (row, sign) in differences.row_iter().zip(signs) {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += sign * value);
        }
        sums.iter().zip(&squares).map(|(sum, square)| student(sum / n, (square - sum * sum / n) / (n - 1.0) / n, square / n)).collect()
    };
    let observed: Vec<f64> = statistic(&vec![1.0; differences.rows()]);
    let draw = |number: usize| statistic(&random_signs(differences.rows(), &stream.split_index(number as u64)));
    Ok(compare(observed, neighbours, threshold, (0..permutations).map(draw)))
}

/// Whether the means of two groups differ anywhere: two-sample t with pooled variance for each point of `values [observation × point]`, whole
/// observations exchanged between the groups. Of both sides.
///
/// As [`cluster_test_one_sample`]; refuses groups other than 0 and 1, and a group of fewer than 2 observations.
pub fn cluster_test_two_samples(
    values: &Matrix,
    groups: &[usize],
    neighbours: &Neighbours,
    threshold: f64,
    permutations: usize,
    stream: &Stream,
) -> Result<ClusterTest, ComputeError> {
    check(values, neighbours, threshold, permutations)?;
    crate::error::same_length("cluster test", values.rows(), groups.len())?;
    let second = groups.iter().filter(|group| **group == 1).count();
    if groups.iter().any(|group| *group > 1) || second < 2 || groups.len() - second < 2 {
        return Err(ComputeError::value("cluster test", "observations belong to group 0 or 1, at least 2 to each"));
    }
    let sizes = [(groups.len() - second) as f64, second as f64];
    let n = sizes[0] + sizes[1];
    // Centred once, so that no digits are lost in the sums of squares, which no exchange changes.
    let centres: Vec<f64> = (0..values.cols()).map(|point| mean(&values.column(point))).collect();
    let squares: Vec<f64> = (0..values.cols()).map(|point| variance(&values.column(point), 0) * n).collect();
    let statistic = |groups: &[usize]| {
        let mut sums = vec![0.0; values.cols()];
        for (row, _) in values.row_iter().zip(groups).filter(|(_, group)| **group == 1) {
            sums.iter_mut().zip(row).zip(&centres).for_each(|((sum, value), centre)| *sum += value - centre);
        }
        let one = |(sum, square): (&f64, &f64)| {
            // Around the common mean the sums of the groups cancel.
            let difference = sum / sizes[1] + sum / sizes[0];
            let within = square - sum * sum / sizes[1] - sum * sum / sizes[0];
            student(difference, within / (n - 2.0) * (1.0 / sizes[0] + 1.0 / sizes[1]), square / n)
        };
        sums.iter().zip(&squares).map(one).collect()
    };
    let observed: Vec<f64> = statistic(groups);
    let draw = |number: usize| {
        let order = stream.split_index(number as u64).permutation(groups.len());
        statistic(&order.into_iter().map(|place| groups[place]).collect::<Vec<_>>())
    };
    Ok(compare(observed, neighbours, threshold, (0..permutations).map(draw)))
}

/// A mean over its standard error; 0 where the variance is rounding alone.
fn student(mean: f64, square_error: f64, scale: f64) -> f64 {
    if square_error > 1e-14 * scale { mean / square_error.sqrt() } else { 0.0 }
}

fn check(values: &Matrix, neighbours: &Neighbours, threshold: f64, permutations: usize) -> Result<(), ComputeError> {
    require_permutations(permutations)?;
    finite("cluster test", values.values())?;
    if values.rows() < 2 || values.cols() != neighbours.len() {
        let reason = format!(
            "{} observations of {} points, {} points with neighbours; at least 2, and as many points, are needed",
            values.rows(),
            values.cols(),
            neighbours.len()
        );
        return Err(ComputeError::shape("cluster test", reason));
    }
    if !(threshold > 0.0 && threshold.is_finite()) {
        return Err(ComputeError::value("cluster test", format!("the threshold is {threshold}; it is a t value above zero, such as 2")));
    }
    Ok(())
}

fn compare(statistic: Vec<f64>, neighbours: &Neighbours, threshold: f64, draws: impl Iterator<Item = Vec<f64>>) -> ClusterTest {
    let null: Vec<f64> = draws
        .map(|statistic| clusters(&statistic, neighbours, threshold).into_iter().fold(0.0f64, |largest, (_, mass)| largest.max(mass.abs())))
        .collect();
    let mut found: Vec<Cluster> = clusters(&statistic, neighbours, threshold)
        .into_iter()
        .map(|(points, mass)| Cluster { points, mass, p: p_value(mass.abs(), &null) })
        .collect();
    found.sort_by(|a, b| b.mass.abs().total_cmp(&a.mass.abs()));
    ClusterTest { statistic, clusters: found, null }
}

/// Connected points beyond the threshold on one side, with the sum of their statistics.
fn clusters(statistic: &[f64], neighbours: &Neighbours, threshold: f64) -> Vec<(Vec<usize>, f64)> {
    let side = |point: usize| if statistic[point].abs() > threshold { statistic[point].signum() } else { 0.0 };
    let mut seen = vec![false; statistic.len()];
    let mut found = Vec::new();
    for first in 0..statistic.len() {
        if seen[first] || side(first) == 0.0 {
            continue;
        }
        seen[first] = true;
        let (mut points, mut next) = (vec![first], 0);
        while let Some(&point) = points.get(next) {
            next += 1;
            for &neighbour in &neighbours.of[point] {
                if !seen[neighbour] && side(neighbour) == side(first) {
                    seen[neighbour] = true;
                    points.push(neighbour);
                }
            }
        }
        points.sort_unstable();
        let mass = points.iter().map(|&point| statistic[point]).sum();
        found.push((points, mass));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{all_close, close, normal_matrix};

    #[test]
    fn statistics_are_students() {
        let values = normal_matrix(1, 12, 3);
        let test = cluster_test_one_sample(&values, &Neighbours::grid(&[3]), 2.0, 1, &Stream::new(1)).unwrap();
        let column = values.column(1);
        close(test.statistic[1], mean(&column) / (variance(&column, 1) / 12.0).sqrt(), 1e-12);
        let groups = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1];
        let test = cluster_test_two_samples(&values, &groups, &Neighbours::grid(&[3]), 2.0, 1, &Stream::new(1)).unwrap();
        let (a, b) = column.split_at(5);
        let pooled = (4.0 * variance(a, 1) + 6.0 * variance(b, 1)) / 10.0;
        close(test.statistic[1], (mean(b) - mean(a)) / (pooled * (0.2 + 1.0 / 7.0)).sqrt(), 1e-12);
    }

    #[test]
    fn a_planted_effect_is_one_cluster_where_it_was_planted() {
        // 6 frequencies × 30 times; the effect in frequencies 2–3, times 10–19.
        let mut values = normal_matrix(2, 16, 180);
        let planted: Vec<usize> = [2, 3].iter().flat_map(|row| (row * 30 + 10)..(row * 30 + 20)).collect();
        for observation in 0..16 {
            planted.iter().for_each(|&point| values[(observation, point)] -= 1.5);
        }
        let grid = Neighbours::grid(&[6, 30]);
        let test = cluster_test_one_sample(&values, &grid, 2.13, 199, &Stream::new(1)).unwrap();
        assert_eq!(test.clusters[0].p, 0.005);
        assert!(test.clusters[0].mass < 0.0 && test.clusters[1..].iter().all(|cluster| cluster.p > 0.05));
        let overlap = test.clusters[0].points.iter().filter(|point| planted.contains(point)).count();
        assert!(overlap >= 17 && test.clusters[0].points.len() <= 27, "{overlap}");
        assert_eq!(test, cluster_test_one_sample(&values, &grid, 2.13, 199, &Stream::new(1)).unwrap());

        let groups: Vec<usize> = (0..16).map(|observation| observation % 2).collect();
        let mut two = normal_matrix(3, 16, 180);
        for observation in (1..16).step_by(2) {
            planted.iter().for_each(|&point| two[(observation, point)] += 2.5);
        }
        let test = cluster_test_two_samples(&two, &groups, &grid, 2.14, 199, &Stream::new(1)).unwrap();
        assert!(test.clusters[0].p == 0.005 && test.clusters[0].mass > 0.0);
    }

    #[test]
    fn clusters_follow_the_neighbours_and_keep_sides_apart() {
        let statistic = [3.0, 4.0, -3.0, -5.0, 0.0, 6.0];
        let line = clusters(&statistic, &Neighbours::grid(&[6]), 2.0);
        assert_eq!(line, [(vec![0, 1], 7.0), (vec![2, 3], -8.0), (vec![5], 6.0)]);
        let ring = Neighbours::pairs(6, &[(0, 5), (1, 5)]).unwrap();
        assert_eq!(clusters(&statistic, &ring, 2.0)[0], (vec![0, 1, 5], 13.0));
        let grid = Neighbours::grid(&[2, 3]);
        assert_eq!(grid.of[4], [3, 5, 1]);
        all_close(&grid.of.iter().map(|of| of.len() as f64).collect::<Vec<_>>(), &[2.0, 3.0, 2.0, 2.0, 3.0, 2.0], 0.0);
    }

    #[test]
    fn what_is_no_test_is_refused_and_constants_are_no_effect() {
        let (grid, stream, values) = (Neighbours::grid(&[4]), Stream::new(1), normal_matrix(1, 6, 4));
        let one = |values: &Matrix, threshold, permutations| cluster_test_one_sample(values, &grid, threshold, permutations, &stream);
        assert!(one(&values, 0.0, 9).is_err() && one(&values, 2.0, 0).is_err() && one(&normal_matrix(1, 1, 4), 2.0, 9).is_err());
        assert!(one(&normal_matrix(1, 6, 5), 2.0, 9).is_err() && one(&values.clone().map(|_| f64::NAN), 2.0, 9).is_err());
        assert!(one(&values.clone().map(|_| 2.5), 2.0, 9).unwrap().clusters.is_empty());
        let two = |groups: &[usize]| cluster_test_two_samples(&values, groups, &grid, 2.0, 9, &stream);
        assert!(two(&[0, 1]).is_err() && two(&[0, 0, 0, 0, 0, 1]).is_err() && two(&[0, 1, 2, 0, 1, 2]).is_err());
        assert!(Neighbours::pairs(2, &[(0, 2)]).is_err() && Neighbours::grid(&[0, 3]).is_empty());
    }
}
