//! The noise ceiling over subjects: how well a perfect model could do, given that subjects differ (Nili et al. 2014).

use super::{Likeness, TrianglePair};
use crate::statistics::{average_ranks, mean};
use crate::{ComputeError, Matrix};

/// Bounds of the likeness that the true model would reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NoiseCeiling {
    /// The mean likeness of each subject with the pool of the others: below the true model's.
    pub lower: f64,
    /// The mean likeness of each subject with the pool of all, itself included: above any model's.
    pub upper: f64,
}

/// The mean of the subjects' triangles after each is brought to a common scale for this likeness, as rsatoolbox pools but for the whitened measures.
///
/// `triangles [subject × pair]`. Cosine: divided by the root mean square. Pearson: standardised, then shifted so that the least is 0. Rank
/// measures: average ranks. Whitened measures: divided by the whitened length (of the centred triangle for the correlation).
///
/// Why not rsatoolbox's pool (0.3.2) for the whitened measures: it divides by the plain length, and is then not the model of the largest mean
/// likeness. With `⟨x, y⟩ = xᵀ V⁻¹ y`, the mean likeness of a model `m` is `⟨mean xᵢ / ‖xᵢ‖, m / ‖m‖⟩`, which by Cauchy and Schwarz is largest where `m` is
/// the mean of the triangles over their *whitened* lengths: only that pool gives an upper bound that no model passes. The bounds differ by up to
/// some thousandths where subjects differ in form; with rsatoolbox's pool they are its numbers (both are tested).
///
/// # Errors
/// No subject; a subject whose triangle is constant where that has no scale.
pub fn pooled_triangle(size: usize, triangles: &[&[f64]], likeness: Likeness) -> Result<Vec<f64>, ComputeError> {
    let Some(pairs) = triangles.first().map(|triangle| triangle.len()) else {
        return Err(ComputeError::shape("pooled dissimilarities", "there is no subject"));
    };
    let mut pool = vec![0.0; pairs];
    for (subject, triangle) in triangles.iter().enumerate() {
        let scaled = scaled(size, triangle, likeness)?.ok_or_else(|| {
            ComputeError::value(
                "pooled dissimilarities",
                format!("the dissimilarities of subject {subject} (counted from 0) are all the same: they have no scale"),
            )
        })?;
        if scaled.len() != pairs {
            return Err(ComputeError::shape("pooled dissimilarities", format!("subjects with {pairs} and {} pairs", scaled.len())));
        }
        pool.iter_mut().zip(scaled).for_each(|(sum, value)| *sum += value);
    }
    // Divided at the end: sums of ranks that are equal stay so.
    pool.iter_mut().for_each(|sum| *sum /= triangles.len() as f64);
    if likeness == Likeness::Pearson {
        let least = pool.iter().copied().fold(f64::INFINITY, f64::min);
        pool.iter_mut().for_each(|value| *value -= least);
    }
    Ok(pool)
}

/// Both bounds, as rsatoolbox's `boot_noise_ceiling`; for the whitened measures see [`pooled_triangle`]. `triangles [subject × pair]` over `size` conditions.
///
/// # Errors
/// Fewer than two subjects, and as [`pooled_triangle`].
pub fn noise_ceiling(size: usize, triangles: &Matrix, likeness: Likeness) -> Result<NoiseCeiling, ComputeError> {
    let subjects = triangles.rows();
    if subjects < 2 {
        return Err(ComputeError::shape("noise ceiling", format!("{subjects} subject; the others' pool needs at least 2")));
    }
    let all: Vec<&[f64]> = triangles.row_iter().collect();
    let pool = pooled_triangle(size, &all, likeness)?;
    let likeness_with = |subject: usize, pool: &[f64]| -> Result<f64, ComputeError> {
        TrianglePair::new(size, triangles.row(subject), pool, likeness)?.value().ok_or_else(|| {
            ComputeError::value(
                "noise ceiling",
                format!("the likeness of subject {subject} (counted from 0) with the pool is not defined: one of them is constant"),
            )
        })
    };
    let (mut lower, mut upper) = (Vec::with_capacity(subjects), Vec::with_capacity(subjects));
    for subject in 0..subjects {
        upper.push(likeness_with(subject, &pool)?);
        let others: Vec<&[f64]> = all.iter().enumerate().filter(|(other, _)| *other != subject).map(|(_, triangle)| *triangle).collect();
        lower.push(likeness_with(subject, &pooled_triangle(size, &others, likeness)?)?);
    }
    Ok(NoiseCeiling { lower: mean(&lower), upper: mean(&upper) })
}

fn scaled(size: usize, triangle: &[f64], likeness: Likeness) -> Result<Option<Vec<f64>>, ComputeError> {
    let varies = triangle.windows(2).any(|pair| pair[0] != pair[1]);
    let divided = |values: &[f64], by: f64| values.iter().map(|value| value / by).collect::<Vec<f64>>();
    let root_mean_square = |values: &[f64]| mean(&values.iter().map(|value| value * value).collect::<Vec<f64>>()).sqrt();
    Ok(match likeness {
        Likeness::Cosine => {
            let length = root_mean_square(triangle);
            (length > 0.0 && length.is_finite()).then(|| divided(triangle, length))
        }
        Likeness::Pearson => {
            let centre = mean(triangle);
            let centred: Vec<f64> = triangle.iter().map(|value| value - centre).collect();
            let length = root_mean_square(&centred);
            (varies && length.is_finite()).then(|| divided(&centred, length))
        }
        Likeness::Spearman | Likeness::RhoA | Likeness::KendallTauA | Likeness::KendallTauB => Some(average_ranks(triangle)),
        Likeness::WhitenedCosine | Likeness::WhitenedPearson => {
            let centre = if likeness == Likeness::WhitenedPearson { mean(triangle) } else { 0.0 };
            let centred: Vec<f64> = triangle.iter().map(|value| value - centre).collect();
            let length = whitened_length(size, &centred);
            (length > 0.0 && length.is_finite()).then(|| divided(&centred, length))
        }
    })
}

/// `√(xᵀ V⁻¹ x)` up to a constant factor, see [`TrianglePair`].
fn whitened_length(size: usize, triangle: &[f64]) -> f64 {
    let n = size as f64;
    let mut rows = vec![0.0; size];
    let (mut square, mut all, mut place) = (0.0, 0.0, 0);
    for row in 0..size {
        for column in row + 1..size {
            let value = triangle[place];
            rows[row] += value;
            rows[column] += value;
            square += value * value;
            all += value;
            place += 1;
        }
    }
    let shared: f64 = rows.iter().map(|sum| sum * sum).sum::<f64>() / n;
    (square - shared + 2.0 * all * all / (n * n)).max(0.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{Case, all_close, close};

    #[test]
    fn ceilings_and_pools_are_those_of_rsatoolbox() {
        let kinds = [
            ("cosine", Likeness::Cosine),
            ("corr", Likeness::Pearson),
            ("spearman", Likeness::Spearman),
            ("kendall", Likeness::KendallTauB),
            ("tau-a", Likeness::KendallTauA),
        ];
        if let Some(case) = Case::open("similarity/noise_ceiling") {
            for (name, likeness) in kinds.into_iter().filter(|(name, _)| *name != "kendall") {
                let found = noise_ceiling(12, &case.matrix("rdms"), likeness).unwrap();
                let expected = &case.expected()[name];
                close(found.lower, expected[0].as_f64().unwrap(), 1e-9);
                close(found.upper, expected[1].as_f64().unwrap(), 1e-9);
            }
        }
        if let Some(case) = Case::open("more/similarity/rdm_noise_ceiling") {
            let rdms = case.matrix("in_rdms");
            let all: Vec<&[f64]> = rdms.row_iter().collect();
            for (name, likeness) in kinds {
                let found = noise_ceiling(12, &rdms, likeness).unwrap();
                let expected = &case.expected()["values"][name];
                close(found.lower, expected["lower"].as_f64().unwrap(), 1e-9);
                close(found.upper, expected["upper"].as_f64().unwrap(), 1e-9);
            }
            for (name, likeness) in &kinds[..3] {
                all_close(&pooled_triangle(12, &all, *likeness).unwrap(), &case.array(&format!("out_pooled_{name}")).1, 1e-9);
            }
        }
    }

    #[test]
    fn whitened_ceilings_are_those_of_rsatoolbox_with_its_pool_and_no_model_passes_ours() {
        // `boot_noise_ceiling` of rsatoolbox 0.3.2: lower and upper.
        let cases = [
            ("more/similarity/rdm_noise_ceiling", "in_rdms", Likeness::WhitenedCosine, [0.8961099346246364, 0.9285599921867881]),
            ("more/similarity/rdm_noise_ceiling", "in_rdms", Likeness::WhitenedPearson, [0.8778615328647859, 0.9161929896894652]),
            ("similarity/noise_ceiling", "rdms", Likeness::WhitenedCosine, [0.6655451191008928, 0.7935021806362337]),
            ("similarity/noise_ceiling", "rdms", Likeness::WhitenedPearson, [0.2996041453718571, 0.5884658365284847]),
        ];
        for (name, array, likeness, [lower, upper]) in cases {
            let Some(case) = Case::open(name) else { return };
            let rdms = case.matrix(array);
            let all: Vec<&[f64]> = rdms.row_iter().collect();
            let with = |subject: usize, model: &[f64]| TrianglePair::new(12, rdms.row(subject), model, likeness).unwrap().value().unwrap();
            let of_all = |model: &[f64]| mean(&(0..all.len()).map(|subject| with(subject, model)).collect::<Vec<_>>());
            // Its pool is that of the measure without the whitening.
            let plain = if likeness == Likeness::WhitenedCosine { Likeness::Cosine } else { Likeness::Pearson };
            let theirs = pooled_triangle(12, &all, plain).unwrap();
            close(of_all(&theirs), upper, 1e-9);
            let without = |subject: usize| {
                let others: Vec<&[f64]> = (0..all.len()).filter(|other| *other != subject).map(|other| all[other]).collect();
                with(subject, &pooled_triangle(12, &others, plain).unwrap())
            };
            close(mean(&(0..all.len()).map(without).collect::<Vec<_>>()), lower, 1e-9);

            let found = noise_ceiling(12, &rdms, likeness).unwrap();
            close(of_all(&pooled_triangle(12, &all, likeness).unwrap()), found.upper, 1e-12);
            assert!(found.upper > upper && found.upper - upper < 0.02 && (found.lower - lower).abs() < 0.02, "{found:?} {lower} {upper}");
            // Models near the best one and far from it: none passes the bound.
            let pool = pooled_triangle(12, &all, likeness).unwrap();
            for step in 0..200u64 {
                let noise = crate::golden::normal_matrix(step, 1, pool.len()).into_values();
                let reach = [0.001, 0.01, 0.1, 1.0][(step % 4) as usize] * crate::statistics::standard_deviation(&pool, 0);
                let model: Vec<f64> = pool.iter().zip(noise).map(|(value, noise)| value + reach * noise).collect();
                assert!(of_all(&model) <= found.upper + 1e-12, "{name} {likeness:?}");
            }
        }
    }

    #[test]
    fn subjects_that_agree_have_a_ceiling_of_one_and_a_single_one_has_none() {
        let triangle: Vec<f64> = (0..15).map(|place| f64::from(place * place % 11)).collect();
        let same = Matrix::from_rows(&[triangle.clone(), triangle.clone(), triangle.clone()]).unwrap();
        for likeness in [Likeness::Cosine, Likeness::Pearson, Likeness::Spearman, Likeness::WhitenedCosine, Likeness::WhitenedPearson] {
            let found = noise_ceiling(6, &same, likeness).unwrap();
            close(found.lower, 1.0, 1e-12);
            close(found.upper, 1.0, 1e-12);
        }
        assert!(
            noise_ceiling(6, &Matrix::from_rows(std::slice::from_ref(&triangle)).unwrap(), Likeness::Cosine)
                .unwrap_err()
                .to_string()
                .contains("at least 2")
        );
        let flat = Matrix::from_rows(&[triangle, vec![0.5; 15]]).unwrap();
        assert!(noise_ceiling(6, &flat, Likeness::Pearson).unwrap_err().to_string().contains("subject 1"));
    }
}
