//! The inner loops of tensor contractions and of coordinate descent, written once for three instruction sets: AVX-512, AVX2 with FMA, and whatever the compiler has.
//!
//! All arrays are padded to whole vectors by the caller, so no loop has a tail. Each output is one chain of additions in a fixed order: the number of threads
//! can't change a bit, another instruction set changes the last ones.
#![allow(unsafe_code)]

mod kernels;

use crate::panels::{Line, WIDTH};
use crate::real::Real;

/// Padding to this fits the vectors of every set; half a vector of single precision in the widest set.
pub(super) const WIDEST: usize = 8;

/// One set of instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instructions {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Any,
}

/// The best set that this processor has.
pub(crate) fn instructions() -> Instructions {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512vl")
            && std::arch::is_x86_feature_detected!("fma")
        {
            return Instructions::Avx512;
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            return Instructions::Avx2;
        }
    }
    Instructions::Any
}

/// Calls a kernel for the instruction set, from the modules named.
macro_rules! dispatch {
    ($instructions:expr, [$avx512:ident, $avx2:ident, $any:ident], $function:ident($($argument:expr),* $(,)?)) => {
        match $instructions {
            // SAFETY: `instructions()` gives a set only when the processor has it, and that is all that these functions ask beyond their types.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => unsafe { kernels::$avx512::$function($($argument),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => unsafe { kernels::$avx2::$function($($argument),*) },
            Instructions::Any => kernels::$any::$function($($argument),*),
        }
    };
}

impl Instructions {
    /// Coordinate descent on eight rows at a time: see [`super::descend`].
    pub(super) fn descend(self, factor: &mut [f64], target: &[f64], grams: &[f64], rank: usize, floor: f64) -> f64 {
        dispatch!(self, [avx512, avx2, any], descend(factor, target, grams, rank, floor))
    }

    /// `product[m, n] += Σ_k left[k, m] · right[k, n]`: all pairs of two panels.
    pub(crate) fn tile(self, left: &[Line], right: &[Line], product: &mut [f32; WIDTH * WIDTH]) {
        dispatch!(self, [avx512_single, avx2_single, any_single], tile(left, right, product));
    }
}

/// Numbers that tensors can be contracted in.
pub(crate) trait Lane: Real {
    /// Values in one vector of a set.
    fn lanes(set: Instructions) -> usize;

    /// `out[n, ·] = Σ_k values[n, k] · weights[k, ·]`; `weights` is `[inner × padded]`, `out` `[rows × padded]`, `padded` a multiple of [`WIDEST`].
    fn right(set: Instructions, values: &[Self], inner: usize, weights: &[Self], padded: usize, out: &mut [Self]);

    /// `sums[g, r, ·] += Σ_row weights[row, r] · values[row, g · lanes + ·]` over rows that lie `stride` apart; `weights` is `[rows × padded]`,
    /// `padded` a multiple of 4, `sums` `[groups × padded × lanes]`. The last group of a row may be cut short at `width`.
    fn left(set: Instructions, values: &[Self], stride: usize, width: usize, weights: &[Self], padded: usize, sums: &mut [Self]);

    /// `sums += Σ_n values[n, ·] · weights[n, ·]`, both `[n × length of sums]`, which is a multiple of [`WIDEST`] or of the lanes.
    fn gather(set: Instructions, sums: &mut [Self], values: &[Self], weights: &[Self]);

    /// `sums[n, ·] += values[n, ·] · weights`, `weights` being one row, as long as a multiple of [`WIDEST`].
    fn spread(set: Instructions, sums: &mut [Self], values: &[Self], weights: &[Self]);

    /// `sums[g, r, ·] += weights[r] · values[g, r, ·]`.
    fn scale_add(set: Instructions, sums: &mut [Self], values: &[Self], weights: &[Self]);
}

macro_rules! lane {
    ($element:ty, $avx512:ident, $half:ident, $avx2:ident, $any:ident) => {
        impl Lane for $element {
            fn lanes(set: Instructions) -> usize {
                match set {
                    #[cfg(target_arch = "x86_64")]
                    Instructions::Avx512 => kernels::$avx512::LANES,
                    #[cfg(target_arch = "x86_64")]
                    Instructions::Avx2 => kernels::$avx2::LANES,
                    Instructions::Any => kernels::$any::LANES,
                }
            }

            fn right(set: Instructions, values: &[Self], inner: usize, weights: &[Self], padded: usize, out: &mut [Self]) {
                if padded.is_multiple_of(Self::lanes(set)) {
                    dispatch!(set, [$avx512, $avx2, $any], right(values, inner, weights, padded, out));
                } else {
                    dispatch!(set, [$half, $avx2, $any], right(values, inner, weights, padded, out));
                }
            }

            fn left(set: Instructions, values: &[Self], stride: usize, width: usize, weights: &[Self], padded: usize, sums: &mut [Self]) {
                dispatch!(set, [$avx512, $avx2, $any], left(values, stride, width, weights, padded, sums));
            }

            fn gather(set: Instructions, sums: &mut [Self], values: &[Self], weights: &[Self]) {
                if sums.len().is_multiple_of(Self::lanes(set)) {
                    dispatch!(set, [$avx512, $avx2, $any], gather(sums, values, weights));
                } else {
                    dispatch!(set, [$half, $avx2, $any], gather(sums, values, weights));
                }
            }

            fn spread(set: Instructions, sums: &mut [Self], values: &[Self], weights: &[Self]) {
                if weights.len().is_multiple_of(Self::lanes(set)) {
                    dispatch!(set, [$avx512, $avx2, $any], spread(sums, values, weights));
                } else {
                    dispatch!(set, [$half, $avx2, $any], spread(sums, values, weights));
                }
            }

            fn scale_add(set: Instructions, sums: &mut [Self], values: &[Self], weights: &[Self]) {
                dispatch!(set, [$avx512, $avx2, $any], scale_add(sums, values, weights));
            }
        }
    };
}

lane!(f64, avx512, avx512, avx2, any);
lane!(f32, avx512_single, avx512_half, avx2_single, any_single);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Matrix;
    use crate::golden::{all_close, normal_matrix};

    fn sets() -> Vec<Instructions> {
        let mut sets = vec![Instructions::Any];
        let best = instructions();
        #[cfg(target_arch = "x86_64")]
        if best == Instructions::Avx512 {
            sets.push(Instructions::Avx2);
        }
        if best != Instructions::Any {
            sets.push(best);
        }
        sets
    }

    #[test]
    fn every_instruction_set_gives_the_sums_of_the_definition() {
        sets().into_iter().for_each(sums_are_those_of_the_definition::<f64>);
        sets().into_iter().for_each(sums_are_those_of_the_definition::<f32>);
    }

    fn sums_are_those_of_the_definition<T: Lane>(set: Instructions) {
        let tolerance = if T::of(1e-12) + T::of(1.0) == T::of(1.0) { 1e-5 } else { 1e-12 };
        let lane = |matrix: &Matrix| -> Vec<T> { matrix.values().iter().map(|value| T::of(*value)).collect() };
        for (rows, inner, padded) in [(1, 1, 8), (19, 13, 8), (9, 30, 24), (8, 5, 40)] {
            let (values, weights) = (normal_matrix(1, rows, inner), normal_matrix(2, inner, padded));
            let mut out = vec![T::of(f64::NAN); rows * padded];
            T::right(set, &lane(&values), inner, &lane(&weights), padded, &mut out);
            let out: Vec<f64> = out.into_iter().map(T::wide).collect();
            all_close(&out, crate::product::gemm(&values, &weights).unwrap().values(), tolerance);
        }
        let lanes = T::lanes(set);
        for (rows, stride, width, padded) in [(1, 1, 1, 4), (20, 30, 17, 12), (9, 16, 16, 28), (17, 11, 3, 20)] {
            let (values, weights) = (normal_matrix(3, rows, stride), normal_matrix(4, rows, padded));
            let groups = usize::div_ceil(width, lanes);
            let mut sums = vec![T::of(0.5); groups * padded * lanes];
            T::left(set, &lane(&values)[..(rows - 1) * stride + width], stride, width, &lane(&weights), padded, &mut sums);
            for column in 0..width {
                for r in 0..padded {
                    let expected: f64 = 0.5 + (0..rows).map(|row| weights[(row, r)] * values[(row, column)]).sum::<f64>();
                    let found = sums[(column / lanes * padded + r) * lanes + column % lanes].wide();
                    assert!((found - expected).abs() < tolerance, "{set:?}: {found} {expected}");
                }
            }
        }
    }
}
