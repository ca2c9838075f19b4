//! Multitaper spectra (Thomson 1982) with Slepian's tapers, as MNE-Python computes them.

use super::fft::{RealFft, frequencies};
use super::slepian::slepian;
use super::welch::Spectrum;
use crate::error::finite;
use crate::statistics::mean;
use crate::{ComputeError, Matrix};

/// Tapers below this share of energy inside the band leak.
const CONCENTRATED: f64 = 0.9;

/// A multitaper estimate for signals of one length: the mean over tapers, each with the share of its energy inside the band as weight
/// (`mne.time_frequency.psd_array_multitaper` with `normalization="full"`, `low_bias=True`, `adaptive=False`).
pub struct Multitaper {
    rate: f64,
    /// `[taper × sample]`.
    tapers: Matrix,
    /// One for each taper.
    weights: Vec<f64>,
    fft: RealFft,
    adaptive: bool,
}

/// The most rounds of adaptive weights, and the mean squared change of weights at which they are done, as MNE-Python has them.
const ROUNDS: usize = 250;
const SETTLED: f64 = 1e-10;

impl Multitaper {
    /// For signals of `length` samples: power is smoothed over `bandwidth` hertz (the full width). Tapers are kept that have more than 0.9 of their
    /// energy in the band, at least the best.
    ///
    /// Refuses a bandwidth below one cycle over the signal's duration or of half the sampling rate and more.
    pub fn new(length: usize, rate: f64, bandwidth: f64) -> Result<Multitaper, ComputeError> {
        if !(rate > 0.0 && rate.is_finite()) {
            return Err(ComputeError::value("multitaper", format!("the sampling rate is {rate} Hz; it must be a positive number")));
        }
        let half_bandwidth = bandwidth * length as f64 / (2.0 * rate);
        if !(half_bandwidth >= 0.5 && bandwidth < rate / 2.0) {
            let least = rate / length as f64;
            let reason = format!(
                "the bandwidth is {bandwidth} Hz; with {length} samples at {rate} Hz it lies from {least} Hz to below {} Hz",
                rate / 2.0
            );
            return Err(ComputeError::value("multitaper", reason));
        }
        let count = ((2.0 * half_bandwidth) as usize).clamp(1, length);
        // Tapers of one sample more, whose last is left out: periodic, as a transform takes its signal.
        let all = slepian(length + 1, half_bandwidth, count)?;
        let mut kept: Vec<usize> = (0..count).filter(|&taper| all.concentrations[taper] > CONCENTRATED).collect();
        if kept.is_empty() {
            kept.push(0);
        }
        let tapers = all.tapers.take_rows(&kept).take_columns(&(0..length).collect::<Vec<_>>());
        let weights = kept.iter().map(|&taper| all.concentrations[taper]).collect();
        Ok(Multitaper { rate, tapers, weights, fft: RealFft::new(length), adaptive: false })
    }

    /// With weights that adapt to the spectrum (Thomson 1982): at each frequency a taper counts the less the more of its power may have leaked in from
    /// elsewhere. For spectra that fall over orders of magnitude; where a spectrum is level, the weights are nearly those without. The numbers are MNE-Python's
    /// with `adaptive=True`, where the leak is set against the one-sided density, so that it counts for half of what it does in Thomson's two-sided formula.
    ///
    /// Refuses fewer than three tapers.
    pub fn adaptive(self) -> Result<Multitaper, ComputeError> {
        if self.n_tapers() < 3 {
            let reason = format!("{} tapers; adaptive weights need at least 3, which a larger bandwidth gives", self.n_tapers());
            return Err(ComputeError::value("multitaper", reason));
        }
        Ok(Multitaper { adaptive: true, ..self })
    }

    /// The number of tapers.
    pub fn n_tapers(&self) -> usize {
        self.tapers.rows()
    }

    /// The frequencies of a spectrum, in hertz.
    pub fn frequencies(&self) -> Vec<f64> {
        frequencies(self.fft.length(), self.rate)
    }

    /// The power spectral density of a signal, its mean taken off. Refuses a signal of another length, and values that are not finite.
    pub fn spectrum(&self, signal: &[f64]) -> Result<Spectrum, ComputeError> {
        finite("multitaper", signal)?;
        if signal.len() != self.fft.length() {
            let reason = format!("the signal has {} samples, the tapers {}", signal.len(), self.fft.length());
            return Err(ComputeError::shape("multitaper", reason));
        }
        let centre = mean(signal);
        let n = self.fft.length() / 2 + 1;
        let even = self.fft.length().is_multiple_of(2);
        let mut powers = Vec::with_capacity(self.n_tapers());
        for taper in self.tapers.row_iter() {
            let tapered: Vec<f64> = signal.iter().zip(taper).map(|(value, weight)| (value - centre) * weight).collect();
            // One-sided: what lies at negative frequencies is added, of which the ends have none.
            let one_sided = |place: usize| if place == 0 || (place + 1 == n && even) { 1.0 } else { 2.0 };
            let power = self.fft.forward(&tapered)?.iter().enumerate().map(|(place, value)| one_sided(place) * value.norm_sqr()).collect();
            powers.push(power);
        }
        let mut density = if self.adaptive { self.adapted(&powers) } else { combined(&powers, |taper, _| self.weights[taper]) };
        density.iter_mut().for_each(|value| *value /= self.rate);
        Ok(Spectrum { frequencies: self.frequencies(), density })
    }

    /// The adaptive estimate, by turns: weights from the spectrum, the spectrum from the weights. It begins with the two best tapers.
    fn adapted(&self, powers: &[Vec<f64>]) -> Vec<f64> {
        let level = combined(powers, |taper, _| self.weights[taper]);
        // The trapezoid rule, as there: half of the sum of a one-sided spectrum is the variance.
        let ends = 0.5 * (level.first().unwrap_or(&0.0) + level.last().unwrap_or(&0.0));
        let variance = (level.iter().sum::<f64>() - ends) / (2.0 * level.len() as f64);
        let mut spectrum = combined(&powers[..2], |taper, _| self.weights[taper]);
        let mut before = vec![vec![0.0; level.len()]; powers.len()];
        for _ in 0..ROUNDS {
            let weights: Vec<Vec<f64>> = self
                .weights
                .iter()
                .map(|share| {
                    let weight = |power: &f64| {
                        let all = share * power + (1.0 - share) * variance;
                        // Without any power there is nothing to weigh.
                        if all > 0.0 { share.sqrt() * power / all } else { 0.0 }
                    };
                    spectrum.iter().map(weight).collect()
                })
                .collect();
            let change = |place: usize| (0..powers.len()).map(|taper| (before[taper][place] - weights[taper][place]).powi(2)).sum::<f64>();
            let most = (0..level.len()).map(change).fold(0.0, f64::max) / powers.len() as f64;
            if most < SETTLED {
                break;
            }
            spectrum = combined(powers, |taper, place| weights[taper][place].powi(2));
            before = weights;
        }
        spectrum
    }
}

/// The weighted mean over tapers at each frequency; 0 where no taper counts.
fn combined(powers: &[Vec<f64>], weight: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let n = powers.first().map_or(0, Vec::len);
    let (mut sums, mut weights) = (vec![0.0; n], vec![0.0; n]);
    for (taper, power) in powers.iter().enumerate() {
        for (place, value) in power.iter().enumerate() {
            let weight = weight(taper, place);
            sums[place] += weight * value;
            weights[place] += weight;
        }
    }
    sums.iter().zip(&weights).map(|(sum, weight)| if *weight > 0.0 { sum / weight } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::band_power;
    use super::*;
    use crate::golden::{Case, all_close, close, normal_matrix};

    #[test]
    fn spectra_are_those_of_mne() {
        let Some(case) = Case::open("signal/spectra") else { return };
        let (signals, expected) = (case.matrix("x"), case.matrix("multitaper"));
        let multitaper = Multitaper::new(1200, 200.0, 4.0).unwrap();
        all_close(&multitaper.frequencies(), &case.array("multitaper_f").1, 1e-12);
        for channel in 0..signals.rows() {
            all_close(&multitaper.spectrum(signals.row(channel)).unwrap().density, expected.row(channel), 1e-8);
        }
    }

    #[test]
    fn adaptive_spectra_are_those_of_mne() {
        let Some(case) = Case::open("signal/spectra") else { return };
        let signals = case.matrix("x");
        let multitaper = Multitaper::new(1200, 200.0, 4.0).unwrap().adaptive().unwrap();
        // `psd_array_multitaper(x, 200, bandwidth=4, adaptive=True, normalization="full")` of MNE-Python 1.13.2, at these places.
        let places = [0, 1, 30, 60, 61, 120, 240, 400, 599, 600];
        let expected = [
            [
                0.0003489357202485088,
                0.00071043520587776,
                0.001182099084682417,
                0.13055921941126064,
                0.1306929561102127,
                0.0005798906837909206,
                0.0008753567609898149,
                0.0005726592823183477,
                0.0008236953557017477,
                0.00041847691853190845,
            ],
            [
                1.815346044536427,
                3.6549487514254015,
                0.00584696267787863,
                0.0011830479035748584,
                0.0010226827320840926,
                0.00024160204934173122,
                6.379761834027075e-05,
                3.142070112606778e-05,
                1.5260872145443223e-05,
                7.61404929763194e-06,
            ],
            [
                0.007120453888383798,
                0.014021712092839199,
                0.01001562577323725,
                0.008658182101567937,
                0.008697320125015064,
                0.014614061447812797,
                0.009881635383175155,
                0.009265437645819885,
                0.007752880910920744,
                0.0038790904111078318,
            ],
        ];
        for (channel, expected) in expected.iter().enumerate() {
            let density = multitaper.spectrum(signals.row(channel)).unwrap().density;
            for (&place, expected) in places.iter().zip(expected) {
                assert!((density[place] - expected).abs() <= 1e-8 * expected, "{channel} {place}: {} {expected}", density[place]);
            }
        }
    }

    #[test]
    fn adaptive_weights_keep_what_is_strong_elsewhere_out() {
        // A rhythm a million times as strong as the noise: of what leaks far from it, less is left.
        let noise = normal_matrix(2, 1, 1000).into_values();
        let signal: Vec<f64> =
            noise.iter().enumerate().map(|(at, noise)| 1e3 * (std::f64::consts::TAU * 20.3 * at as f64 / 200.0).sin() + noise).collect();
        let plain = Multitaper::new(1000, 200.0, 4.0).unwrap();
        let far = |spectrum: Spectrum| band_power(&spectrum, 60.0, 100.0);
        let truth = far(plain.spectrum(&noise).unwrap());
        let (without, with) = (far(plain.spectrum(&signal).unwrap()), far(plain.adaptive().unwrap().spectrum(&signal).unwrap()));
        assert!(without > 2.0 * truth && (with / truth - 1.0).abs() < (without / truth - 1.0).abs() / 2.0, "{truth} {without} {with}");
        let flat = Multitaper::new(1000, 200.0, 4.0).unwrap().adaptive().unwrap().spectrum(&[3.0; 1000]).unwrap();
        assert!(flat.density.iter().all(|value| *value < 1e-20));
        assert!(Multitaper::new(100, 100.0, 1.0).unwrap().adaptive().err().unwrap().to_string().contains("at least 3"));
    }

    #[test]
    fn noise_has_its_variance_and_varies_less_with_more_tapers() {
        let noise = normal_matrix(1, 1, 2000).into_values();
        let spread = |bandwidth: f64| {
            let multitaper = Multitaper::new(2000, 100.0, bandwidth).unwrap();
            let spectrum = multitaper.spectrum(&noise).unwrap();
            close(band_power(&spectrum, 0.0, f64::INFINITY), 1.0, 0.06);
            (multitaper.n_tapers(), crate::statistics::variance(&spectrum.density[100..900], 1))
        };
        let ((few, wide), (many, narrow)) = (spread(0.2), spread(2.0));
        assert!(few < many && narrow < wide / 5.0, "{few} {wide} {many} {narrow}");
    }

    #[test]
    fn a_sine_is_found_within_the_bandwidth() {
        let sine: Vec<f64> = (0..400).map(|at| (std::f64::consts::TAU * 20.0 * f64::from(at) / 200.0).sin()).collect();
        let spectrum = Multitaper::new(400, 200.0, 4.0).unwrap().spectrum(&sine).unwrap();
        close(band_power(&spectrum, 17.5, 22.6), 0.5, 0.02);
        assert!(band_power(&spectrum, 25.0, 100.0) < 1e-3);
    }

    #[test]
    fn impossible_bandwidths_and_lengths_are_refused() {
        assert!(Multitaper::new(100, 100.0, 0.9).err().unwrap().to_string().contains("from 1 Hz to below 50 Hz"));
        assert!(Multitaper::new(100, 100.0, 50.0).is_err() && Multitaper::new(0, 100.0, 4.0).is_err());
        assert!(Multitaper::new(100, f64::NAN, 4.0).is_err() && Multitaper::new(100, 100.0, f64::NAN).is_err());
        let multitaper = Multitaper::new(100, 100.0, 1.0).unwrap();
        assert_eq!(multitaper.n_tapers(), 1);
        assert!(multitaper.spectrum(&[0.0; 99]).is_err() && multitaper.spectrum(&[f64::NAN; 100]).is_err());
    }
}
