//! Sampled signals: filters, resampling, spectra, analytic signals, wavelets, coupling and entropy, each checked against SciPy or MNE-Python.
//!
//! A signal is a slice of samples, or a matrix `[channel × sample]`; rates and frequencies are in hertz. Every function refuses values that are not
//! finite and signals that are too short for what is asked; none pads or trims in silence: where SciPy pads, the doc says how.

mod butterworth;
mod coupling;
mod entropy;
mod fft;
mod fir;
mod hilbert;
mod morlet;
mod multitaper;
mod resample;
mod sections;
mod slepian;
mod smooth;
mod welch;

pub use butterworth::{Band, butterworth, chebyshev_lowpass, notch};
pub use coupling::{imaginary_coherence, phase_locking, weighted_phase_lag};
pub use entropy::sample_entropy;
pub use fft::Complex;
pub use fir::{fir_window, zero_phase_fir};
pub use hilbert::analytic_signal;
pub use morlet::{Morlet, morlet_power, morlet_transform};
pub use multitaper::Multitaper;
pub use resample::{decimate, resample_poly};
pub use sections::Sections;
pub use slepian::{Slepian, slepian};
pub use smooth::{gaussian_smoothed, running_maximum, running_mean, running_minimum, running_quantile};
pub use welch::{Spectrum, Welch, band_power, coherence};
