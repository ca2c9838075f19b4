//! Covariances of trials as points of the curved space of positive definite matrices: means, distances, tangent space, spatial filters, alignment.
//!
//! For what: the power and the coupling of channels in one trial are its covariance, and the affine-invariant distance between covariances does not
//! change when the channels are mixed, as volume conduction does (Pennec, Fillard & Ayache 2006; Barachant et al. 2012). Checked against pyRiemann
//! and MNE-Python.
//!
//! All functions refuse matrices that are not positive definite: too few samples, or channels that are combinations of others, as after an average
//! reference.

mod align;
mod covariance;
mod csp;
mod distance;
mod joint;
mod mean;
mod spectral;
mod tangent;

pub use align::EuclideanAlignment;
pub use covariance::{CovarianceEstimator, trial_covariances};
pub use csp::CommonSpatialPatterns;
pub use distance::{MinimumDistance, riemannian_distance};
pub use joint::joint_diagonaliser;
pub use mean::{SharedStart, euclidean_mean, geometric_mean, log_euclidean_mean};
pub use tangent::TangentSpace;
