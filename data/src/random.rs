//! Seeded random streams that can be split, with values that never change.
//!
//! Bits come from ChaCha with 8 rounds (a fixed specification); every distribution is built on them here, so that an update of a dependency can't move
//! a result. A stream is split by labels and numbers: `Stream::new(7).split("folds").split_index(3)` is the same stream on every machine, whatever
//! was drawn elsewhere, which is what makes results independent of the number of threads.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Stream {
    seed: u64,
    generator: ChaCha8Rng,
    /// The second value of the last pair of normals.
    spare_normal: Option<f64>,
}

impl Stream {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Stream {
        Stream { seed, generator: ChaCha8Rng::seed_from_u64(seed), spare_normal: None }
    }

    /// The seed that makes this stream anew.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// An independent stream for a named purpose. Does not depend on what was drawn from `self`.
    #[must_use]
    pub fn split(&self, label: &str) -> Stream {
        // FNV-1a over the label's bytes, then a mix with the seed.
        let hash = label.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Stream::new(mix(self.seed ^ mix(hash ^ 0x6c61_6265_6c00_0000)))
    }

    /// An independent stream for a numbered part. Does not depend on what was drawn from `self`.
    #[must_use]
    pub fn split_index(&self, index: u64) -> Stream {
        Stream::new(mix(self.seed.wrapping_add(mix(index ^ 0x696e_6465_7800_0000))))
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.generator.next_u64()
    }

    /// Uniform in `[0, 1)`, 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform among `0 .. n` without bias; 0 when `n` is 0 or 1.
    pub fn below(&mut self, n: u64) -> u64 {
        if n < 2 {
            return 0;
        }
        // Rejection of the incomplete last stretch of the 64-bit range.
        let zone = u64::MAX - (u64::MAX - n + 1) % n;
        loop {
            let bits = self.next_u64();
            if bits <= zone {
                return bits % n;
            }
        }
    }

    /// Standard normal (Marsaglia's polar method).
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare_normal.take() {
            return spare;
        }
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                let factor = (-2.0 * square.ln() / square).sqrt();
                self.spare_normal = Some(y * factor);
                return x * factor;
            }
        }
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.uniform()).ln()
    }

    /// Poisson with mean `mean`; 0 for a mean that is not positive. By counting exponential waiting times, in parts of at most 500 so that nothing underflows.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        let mut rest = if mean > 0.0 { mean } else { return 0 };
        let mut count = 0;
        while rest > 0.0 {
            let part = rest.min(500.0);
            rest -= part;
            let limit = (-part).exp();
            let mut product = self.uniform();
            while product > limit {
                count += 1;
                product *= self.uniform();
            }
        }
        count
    }

    /// Von Mises with mean direction `mean` and concentration `kappa ≥ 0`, in radians in `[−π, π)` (Best & Fisher 1979).
    pub fn von_mises(&mut self, mean: f64, kappa: f64) -> f64 {
        use std::f64::consts::PI;
        let wrap = |angle: f64| (angle + PI).rem_euclid(2.0 * PI) - PI;
        if kappa < 1e-8 {
            return wrap(2.0 * PI * self.uniform());
        }
        let tau = 1.0 + (1.0 + 4.0 * kappa * kappa).sqrt();
        let rho = (tau - (2.0 * tau).sqrt()) / (2.0 * kappa);
        let r = (1.0 + rho * rho) / (2.0 * rho);
        loop {
            let z = (PI * self.uniform()).cos();
            let f = (1.0 + r * z) / (r + z);
            let c = kappa * (r - f);
            let u = self.uniform();
            if c * (2.0 - c) - u > 0.0 || (c / u).ln() + 1.0 - c >= 0.0 {
                let sign = if self.uniform() < 0.5 { -1.0 } else { 1.0 };
                return wrap(mean + sign * f.clamp(-1.0, 1.0).acos());
            }
        }
    }

    /// A uniform permutation of `0 .. n` (Fisher & Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        self.shuffle(&mut order);
        order
    }

    /// Permutes in place.
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            let pick = self.below(last as u64 + 1) as usize;
            values.swap(last, pick);
        }
    }
}

/// The finaliser of SplitMix64 (Steele, Lea & Flood 2014).
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_never_change() {
        let mut stream = Stream::new(7).split("folds").split_index(3);
        assert_eq!(stream.seed(), 15_532_655_380_996_993_216);
        assert_eq!([stream.next_u64(), stream.next_u64()], [16_989_661_008_667_084_631, 1_292_140_013_015_596_291]);
        assert_eq!(Stream::new(2).permutation(8), [0, 2, 3, 4, 7, 6, 1, 5]);
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut stream = Stream::new(3);
        let n = 40_000;
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let normals: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
        let squares: Vec<f64> = normals.iter().map(|value| value * value).collect();
        assert!(mean(&normals).abs() < 0.02 && (mean(&squares) - 1.0).abs() < 0.03);
        let counts: Vec<f64> = (0..n).map(|_| stream.poisson(3.5) as f64).collect();
        assert!((mean(&counts) - 3.5).abs() < 0.05);
        let cosines: Vec<f64> = (0..n).map(|_| stream.von_mises(0.5, 2.0)).map(|angle| (angle - 0.5).cos()).collect();
        // I₁(2) / I₀(2).
        assert!((mean(&cosines) - 0.697_774_658).abs() < 0.02);
        let waits: Vec<f64> = (0..n).map(|_| stream.exponential()).collect();
        assert!((mean(&waits) - 1.0).abs() < 0.03);
    }

    #[test]
    fn a_permutation_has_every_element_once_and_small_ranges_are_even() {
        let mut order = Stream::new(9).permutation(100);
        order.sort_unstable();
        assert!(order.into_iter().eq(0..100));
        let mut stream = Stream::new(11);
        let mut counts = [0u32; 3];
        (0..30_000).for_each(|_| counts[stream.below(3) as usize] += 1);
        assert!(counts.iter().all(|count| (9_700..10_300).contains(count)), "{counts:?}");
    }

    #[test]
    fn split_streams_do_not_depend_on_what_was_drawn() {
        let mut drawn = Stream::new(5);
        drawn.next_u64();
        assert_eq!(drawn.split("a").seed(), Stream::new(5).split("a").seed());
        assert_ne!(Stream::new(5).split("a").seed(), Stream::new(5).split("b").seed());
    }
}
