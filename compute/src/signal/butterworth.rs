//! Recursive filters: Butterworth, Chebyshev and notch, as second-order sections.
//!
//! Analog prototype → band → bilinear transform with warped edges (Oppenheim & Schafer, Discrete-Time Signal Processing, ch. 7), which is what
//! `scipy.signal.butter(…, output="sos")` computes. Sections are ordered from poles far from the unit circle to poles near it.

use std::f64::consts::PI;

use super::fft::Complex;
use super::sections::Sections;
use crate::ComputeError;

/// What a filter lets through. Edges in hertz, above 0 and below half the sampling rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Band {
    /// Frequencies below the edge.
    Low(f64),
    /// Frequencies above the edge.
    High(f64),
    /// Frequencies between the edges.
    Pass(f64, f64),
    /// Frequencies outside of the edges.
    Stop(f64, f64),
}

impl Band {
    /// Refuses edges that are not in order inside of 0 to half the sampling rate.
    pub(super) fn check(self, operation: &'static str, rate: f64) -> Result<(), ComputeError> {
        let edges = match self {
            Band::Low(edge) | Band::High(edge) => vec![edge],
            Band::Pass(low, high) | Band::Stop(low, high) => vec![low, high],
        };
        if !(rate > 0.0 && rate.is_finite()) {
            return Err(ComputeError::value(operation, format!("the sampling rate is {rate} Hz; it must be a positive number")));
        }
        let inside = edges.iter().all(|edge| *edge > 0.0 && *edge < rate / 2.0);
        let ascending = edges.windows(2).all(|pair| pair[0] < pair[1]);
        if inside && ascending {
            return Ok(());
        }
        let edges = edges.iter().map(|edge| format!("{edge} Hz")).collect::<Vec<_>>().join(" and ");
        let reason =
            format!("the band ends at {edges}; edges ascend and lie above 0 Hz and below half the sampling rate, {} Hz", rate / 2.0);
        Err(ComputeError::value(operation, reason))
    }
}

/// A Butterworth filter of an order from 1 to 20 (of the prototype: a band-pass of order 4 has 8 poles, as in SciPy). The edges are where the power
/// is halved.
///
/// Refuses other orders and edges outside of 0 to half the sampling rate.
pub fn butterworth(order: usize, band: Band, rate: f64) -> Result<Sections, ComputeError> {
    check_order("butterworth filter", order)?;
    band.check("butterworth filter", rate)?;
    let poles: Vec<_> = angles(order).map(|angle| -Complex::cis(angle)).collect();
    Ok(digital(&poles, 1.0, band, rate))
}

/// A Chebyshev filter of the first kind with `ripple` decibels of ripple below the edge, as `scipy.signal.cheby1`.
///
/// Refuses orders outside of 1 to 20, a ripple that is not positive, and an edge outside of 0 to half the sampling rate.
pub fn chebyshev_lowpass(order: usize, ripple: f64, edge: f64, rate: f64) -> Result<Sections, ComputeError> {
    check_order("chebyshev filter", order)?;
    Band::Low(edge).check("chebyshev filter", rate)?;
    if !(ripple > 0.0 && ripple.is_finite()) {
        return Err(ComputeError::value("chebyshev filter", format!("the ripple is {ripple} dB; it must be above zero")));
    }
    let epsilon = (10f64.powf(0.1 * ripple) - 1.0).sqrt();
    let mu = (1.0 / epsilon).asinh() / order as f64;
    let poles: Vec<_> = angles(order).map(|angle| -Complex::new(mu.sinh() * angle.cos(), mu.cosh() * angle.sin())).collect();
    let product = poles.iter().fold(Complex::new(1.0, 0.0), |product, pole| product * -pole);
    let gain = if order.is_multiple_of(2) { product.re / (1.0 + epsilon * epsilon).sqrt() } else { product.re };
    Ok(digital(&poles, gain, Band::Low(edge), rate))
}

/// A notch that removes one frequency, with the width `frequency / quality` at half power, as `scipy.signal.iirnotch`.
///
/// Refuses a quality that is not positive and a frequency outside of 0 to half the sampling rate.
pub fn notch(frequency: f64, quality: f64, rate: f64) -> Result<Sections, ComputeError> {
    Band::Low(frequency).check("notch filter", rate)?;
    if !(quality > 0.0 && quality.is_finite()) {
        return Err(ComputeError::value("notch filter", format!("the quality is {quality}; it must be above zero, such as 30")));
    }
    let centre = 2.0 * PI * frequency / rate;
    let width = centre / quality;
    if width >= PI {
        let reason = format!("a quality of {quality} makes the notch wider than all frequencies; use a larger one, such as 30");
        return Err(ComputeError::value("notch filter", reason));
    }
    // At the edges of the width the power is one half: Orfanidis, Introduction to Signal Processing, sec. 11.3.
    let gain = 1.0 / (1.0 + (width / 2.0).tan());
    let middle = -2.0 * gain * centre.cos();
    Ok(Sections::new(vec![[gain, middle, gain, 1.0, middle, 2.0 * gain - 1.0]]))
}

fn check_order(operation: &'static str, order: usize) -> Result<(), ComputeError> {
    if (1..=20).contains(&order) {
        return Ok(());
    }
    Err(ComputeError::value(operation, format!("the order is {order}; it lies from 1 to 20")))
}

/// The angles of a prototype's poles from the negative real axis.
fn angles(order: usize) -> impl Iterator<Item = f64> {
    (0..order).map(move |place| PI * (2.0 * place as f64 + 1.0 - order as f64) / (2.0 * order as f64))
}

/// The digital filter of a low-pass prototype at 1 rad/s without zeros.
fn digital(prototype: &[Complex<f64>], gain: f64, band: Band, rate: f64) -> Sections {
    // The bilinear transform at a sampling rate of 2: an edge of w Hz goes to 4 tan(π w / rate).
    let warp = |edge: f64| 4.0 * (PI * edge / rate).tan();
    let order = prototype.len() as i32;
    let product = |roots: &[Complex<f64>]| roots.iter().fold(Complex::new(1.0, 0.0), |product, root| product * -root).re;
    let (poles, gain, numerators): (Vec<Complex<f64>>, f64, Numerators) = match band {
        Band::Low(edge) => {
            let edge = warp(edge);
            (prototype.iter().map(|pole| pole * edge).collect(), gain * edge.powi(order), Numerators::Low)
        }
        Band::High(edge) => {
            let edge = warp(edge);
            (prototype.iter().map(|pole| edge / pole).collect(), gain / product(prototype), Numerators::High)
        }
        Band::Pass(low, high) => {
            let (low, high) = (warp(low), warp(high));
            let halves = prototype.iter().map(|pole| pole * (0.5 * (high - low)));
            (split(halves, low * high), gain * (high - low).powi(order), Numerators::Pass)
        }
        Band::Stop(low, high) => {
            let (low, high) = (warp(low), warp(high));
            let halves = prototype.iter().map(|pole| Complex::new(0.5 * (high - low), 0.0) / pole);
            let centre = Complex::new(4.0, (low * high).sqrt()) / Complex::new(4.0, -(low * high).sqrt());
            (split(halves, low * high), gain / product(prototype), Numerators::Stop(centre.re))
        }
    };
    // What the zeros and the poles give at the transform: zeros at infinity give nothing.
    let denominator = poles.iter().fold(Complex::new(1.0, 0.0), |product, pole| product * (4.0 - pole));
    let numerator = match band {
        Band::Low(_) => 1.0,
        Band::High(_) | Band::Pass(..) => 4f64.powi(order),
        Band::Stop(low, high) => (16.0 + warp(low) * warp(high)).powi(order),
    };
    let gain = gain * (Complex::new(numerator, 0.0) / denominator).re;
    let mut rows = Vec::new();
    for pair in pairs(poles.iter().map(|pole| (4.0 + pole) / (4.0 - pole)).collect()) {
        let (second, third) = match pair {
            Poles::Two(first, second) => (-(first + second).re, (first * second).re),
            Poles::One(pole) => (-pole, 0.0),
        };
        let [b0, b1, b2] = numerators.of(matches!(pair, Poles::One(_)));
        rows.push([b0, b1, b2, 1.0, second, third]);
    }
    if let Some(first) = rows.first_mut() {
        first[..3].iter_mut().for_each(|coefficient| *coefficient *= gain);
    }
    Sections::new(rows)
}

/// Each pole of a band filter becomes two: the roots of `s² − 2 half s + centre²`.
fn split(halves: impl Iterator<Item = Complex<f64>>, centre_squared: f64) -> Vec<Complex<f64>> {
    halves
        .flat_map(|half| {
            let root = (half * half - centre_squared).sqrt();
            [half + root, half - root]
        })
        .collect()
}

/// The zeros of a section.
enum Numerators {
    Low,
    High,
    Pass,
    /// The cosine of the middle of the band.
    Stop(f64),
}

impl Numerators {
    /// The three coefficients of the numerator of a section with two poles, or with one.
    fn of(&self, single: bool) -> [f64; 3] {
        match self {
            Numerators::Low if single => [1.0, 1.0, 0.0],
            Numerators::Low => [1.0, 2.0, 1.0],
            Numerators::High if single => [1.0, -1.0, 0.0],
            Numerators::High => [1.0, -2.0, 1.0],
            Numerators::Pass => [1.0, 0.0, -1.0],
            Numerators::Stop(cosine) => [1.0, -2.0 * cosine, 1.0],
        }
    }
}

/// The poles of a section.
enum Poles {
    Two(Complex<f64>, Complex<f64>),
    One(f64),
}

/// Poles in conjugate pairs, real ones in pairs of neighbours, and one alone when their number is odd; those near the unit circle last.
fn pairs(poles: Vec<Complex<f64>>) -> Vec<Poles> {
    let is_real = |pole: &Complex<f64>| pole.im.abs() <= 1e-12 * pole.norm();
    let mut real: Vec<f64> = poles.iter().filter(|pole| is_real(pole)).map(|pole| pole.re).collect();
    real.sort_unstable_by(f64::total_cmp);
    let mut pairs: Vec<(f64, Poles)> =
        poles.iter().filter(|pole| !is_real(pole) && pole.im > 0.0).map(|pole| (pole.norm(), Poles::Two(*pole, pole.conj()))).collect();
    for chunk in real.chunks(2) {
        pairs.push(match *chunk {
            [first, second] => (first.abs().max(second.abs()), Poles::Two(Complex::new(first, 0.0), Complex::new(second, 0.0))),
            [single] => (single.abs(), Poles::One(single)),
            _ => continue,
        });
    }
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    pairs.into_iter().map(|(_, poles)| poles).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{Case, all_close, close};

    #[test]
    fn band_pass_and_notch_match_scipy() {
        let Some(case) = Case::open("signal/filters") else { return };
        let signal = case.matrix("x");
        let (band, notched) = (case.matrix("bandpass"), case.matrix("notch"));
        let filter = butterworth(4, Band::Pass(8.0, 30.0), 200.0).unwrap();
        let remove = notch(50.0, 30.0, 200.0).unwrap();
        for channel in 0..signal.rows() {
            all_close(&filter.zero_phase(signal.row(channel)).unwrap(), band.row(channel), 1e-8);
            all_close(&remove.zero_phase(signal.row(channel)).unwrap(), notched.row(channel), 1e-8);
        }
    }

    /// The power that a filter lets through at a frequency.
    fn power(filter: &Sections, frequency: f64, rate: f64) -> f64 {
        let back = Complex::cis(-2.0 * PI * frequency / rate);
        let at = |row: &[f64]| Complex::new(row[0], 0.0) + back * row[1] + back * back * row[2];
        filter.rows().iter().map(|row| (at(&row[..3]) / at(&row[3..])).norm_sqr()).product()
    }

    #[test]
    fn every_band_and_order_has_half_power_at_its_edges_and_all_of_it_inside() {
        for order in 1..=9 {
            for (band, edges, inside, outside) in [
                (Band::Low(12.0), vec![12.0], 0.0, 124.0),
                (Band::High(12.0), vec![12.0], 124.999, 0.01),
                (Band::Pass(8.0, 30.0), vec![8.0, 30.0], 15.6, 0.01),
                (Band::Stop(48.0, 52.0), vec![48.0, 52.0], 0.0, 49.97),
                (Band::Pass(1.0, 110.0), vec![1.0, 110.0], 20.0, 0.001),
            ] {
                let filter = butterworth(order, band, 250.0).unwrap();
                edges.iter().for_each(|&edge| close(power(&filter, edge, 250.0), 0.5, 1e-8));
                close(power(&filter, inside, 250.0), 1.0, 0.03);
                assert!(power(&filter, outside, 250.0) < 1e-2, "{order} {band:?}");
                assert_eq!(filter.rows().len(), if matches!(band, Band::Low(_) | Band::High(_)) { order.div_ceil(2) } else { order });
            }
        }
    }

    #[test]
    fn a_chebyshev_filter_ripples_by_what_is_asked() {
        for order in [3, 8] {
            let filter = chebyshev_lowpass(order, 0.5, 40.0, 200.0).unwrap();
            let least = (0..400).map(|step| power(&filter, f64::from(step) * 0.1, 200.0)).fold(f64::INFINITY, f64::min);
            let most = (0..400).map(|step| power(&filter, f64::from(step) * 0.1, 200.0)).fold(0.0, f64::max);
            close(least, 10f64.powf(-0.05), 1e-3);
            close(most, 1.0, 1e-6);
            close(power(&filter, 40.0, 200.0), 10f64.powf(-0.05), 1e-9);
        }
    }

    #[test]
    fn a_notch_removes_its_frequency_and_has_its_width() {
        let filter = notch(50.0, 10.0, 500.0).unwrap();
        assert!(power(&filter, 50.0, 500.0) < 1e-20);
        close(power(&filter, 0.0, 500.0), 1.0, 1e-12);
        // The bilinear transform warps the width by a little.
        close(power(&filter, 47.56, 500.0), 0.5, 0.01);
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for band in [Band::Low(0.0), Band::Low(125.0), Band::High(-1.0), Band::Pass(30.0, 8.0), Band::Stop(8.0, 8.0), Band::Low(f64::NAN)] {
            assert!(butterworth(4, band, 250.0).unwrap_err().to_string().contains("half the sampling rate, 125 Hz"), "{band:?}");
        }
        assert!(butterworth(0, Band::Low(3.0), 250.0).is_err() && butterworth(21, Band::Low(3.0), 250.0).is_err());
        assert!(butterworth(4, Band::Low(3.0), f64::NAN).is_err() && butterworth(4, Band::Low(3.0), 0.0).is_err());
        assert!(notch(50.0, 0.0, 250.0).is_err() && notch(50.0, 0.1, 250.0).is_err() && notch(130.0, 30.0, 250.0).is_err());
        assert!(chebyshev_lowpass(4, 0.0, 10.0, 250.0).is_err());
    }
}
