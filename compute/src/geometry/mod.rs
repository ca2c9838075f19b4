//! Geometry of representations: dissimilarities between rows, the likeness of two dissimilarity matrices under resampling, and similarities of two
//! sets of features over the same samples.
//!
//! * [`correlation_distances`], [`euclidean_distances`], [`cosine_distances`], [`crossnobis_distances`], …: one value for each pair of rows, as the
//!   upper triangle of the matrix, row by row. Products are taken by symmetric halves, in strips, so that beside the triangle itself only some 256
//!   MiB are needed; more than [`MOST_ROWS`] rows are refused.
//! * [`TrianglePair`]: cosine, Pearson, Spearman, Kendall and whitened likeness of two triangles, also for resampled conditions without drawing a
//!   matrix.
//! * [`linear_cka`], [`kernel_cka`], [`canonical_correlations`], [`svcca`], [`pwcca`], [`procrustes()`]: how alike two sets of features are.
//!
//! Rows are samples (conditions, stimuli), columns are channels (units, features). All results are the same bytes on any number of threads.

mod canonical;
mod ceiling;
pub(crate) mod centred;
mod cka;
mod distances;
mod procrustes;
pub(crate) mod strips;
mod triangle_pair;

pub use canonical::{Canonical, Svcca, canonical_correlations, pwcca, singular_values, svcca};
pub use ceiling::{NoiseCeiling, noise_ceiling, pooled_triangle};
pub use cka::{Estimator, Precision, gaussian_kernel, kernel_cka, linear_cka, minibatch_cka};
pub use distances::{
    MOST_ROWS, correlation_distances, cosine_distances, crossnobis_distances, crossnobis_distances_by_pairs, euclidean_distances,
    mahalanobis_distances, triangle_place,
};
pub use procrustes::{Procrustes, procrustes};
pub use triangle_pair::{Likeness, TrianglePair};

use crate::{ComputeError, Matrix};

/// Refuses two matrices whose rows are not the same samples, and empty ones.
fn same_samples(operation: &'static str, x: &Matrix, y: &Matrix) -> Result<(), ComputeError> {
    if x.rows() != y.rows() {
        let reason = format!("{} and {} rows; the rows of both sides are the same samples", x.rows(), y.rows());
        return Err(ComputeError::shape(operation, reason));
    }
    if x.rows() < 2 || x.cols() == 0 || y.cols() == 0 {
        let reason = format!(
            "{} samples of {} and {} features; at least 2 samples and a feature on each side are needed",
            x.rows(),
            x.cols(),
            y.cols()
        );
        return Err(ComputeError::shape(operation, reason));
    }
    Ok(())
}
