//! The inner loops of tensor contractions and of coordinate descent, written once for three instruction sets: AVX-512, AVX2 with FMA, and whatever the compiler has.
//!
//! All arrays are padded to whole vectors by the caller, so no loop has a tail. Each output is one chain of additions in a fixed order: the number of threads
//! can't change a bit, another instruction set changes the last ones.
#![allow(unsafe_code)]

/// The widest vector of any set; padding to this fits all.
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
        if std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("fma") {
            return Instructions::Avx512;
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            return Instructions::Avx2;
        }
    }
    Instructions::Any
}

/// Calls a kernel of the module for the instruction set.
macro_rules! dispatch {
    ($instructions:expr, $function:ident($($argument:expr),* $(,)?)) => {
        match $instructions {
            // SAFETY: `instructions()` gives a set only when the processor has it, and that is all that these functions ask beyond their types.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => unsafe { avx512::$function($($argument),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => unsafe { avx2::$function($($argument),*) },
            Instructions::Any => any::$function($($argument),*),
        }
    };
}

impl Instructions {
    /// Values in one vector.
    pub(super) fn lanes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => avx512::LANES,
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => avx2::LANES,
            Instructions::Any => any::LANES,
        }
    }

    /// `out[n, ·] = Σ_k values[n, k] · weights[k, ·]`; `weights` is `[inner × padded]`, `out` `[rows × padded]`, `padded` a multiple of [`WIDEST`].
    pub(super) fn right(self, values: &[f64], inner: usize, weights: &[f64], padded: usize, out: &mut [f64]) {
        dispatch!(self, right(values, inner, weights, padded, out));
    }

    /// `sums[g, r, ·] += Σ_row weights[row, r] · values[row, g · lanes + ·]` over rows that lie `stride` apart; `weights` is `[rows × padded]`,
    /// `padded` a multiple of 4, `sums` `[groups × padded × lanes]`. The last group of a row may be cut short at `width`.
    pub(super) fn left(self, values: &[f64], stride: usize, width: usize, weights: &[f64], padded: usize, sums: &mut [f64]) {
        dispatch!(self, left(values, stride, width, weights, padded, sums));
    }

    /// `sums += Σ_n values[n, ·] · weights[n, ·]`, both `[n × length of sums]`.
    pub(super) fn gather(self, sums: &mut [f64], values: &[f64], weights: &[f64]) {
        dispatch!(self, gather(sums, values, weights));
    }

    /// `sums[n, ·] += values[n, ·] · weights`, `weights` being one row.
    pub(super) fn spread(self, sums: &mut [f64], values: &[f64], weights: &[f64]) {
        dispatch!(self, spread(sums, values, weights));
    }

    /// `sums[g, r, ·] += weights[r] · values[g, r, ·]`.
    pub(super) fn scale_add(self, sums: &mut [f64], values: &[f64], weights: &[f64]) {
        dispatch!(self, scale_add(sums, values, weights));
    }

    /// Coordinate descent on eight rows at a time: see [`super::descend`].
    pub(super) fn descend(self, factor: &mut [f64], target: &[f64], grams: &[f64], rank: usize, floor: f64) -> f64 {
        dispatch!(self, descend(factor, target, grams, rank, floor))
    }
}

macro_rules! kernels {
    ($module:ident, $lanes:literal, $vector:ty, rows $rows:literal, most $most:literal, uses { $($uses:tt)* },
     $load:path, $store:path, $splat:path, $fma:path, $max:path, $(#[$attribute:meta])*) => {
        mod $module {
            use super::WIDEST;
            $($uses)*

            pub(super) const LANES: usize = $lanes;

            $(#[$attribute])*
            #[inline]
            fn load(x: &[f64; LANES]) -> $vector {
                // SAFETY: the pointer is that of an array of exactly the values that are read; no alignment is asked for.
                #[allow(unused_unsafe)]
                unsafe { $load(x.as_ptr().cast()) }
            }

            $(#[$attribute])*
            #[inline]
            fn store(x: &mut [f64; LANES], vector: $vector) {
                // SAFETY: the pointer is that of an array of exactly the values that are written; no alignment is asked for.
                #[allow(unused_unsafe)]
                unsafe { $store(x.as_mut_ptr().cast(), vector) }
            }

            /// One vector of a slice, counted in vectors.
            $(#[$attribute])*
            #[inline]
            fn at(x: &[f64], vector: usize) -> $vector {
                match x[vector * LANES..].first_chunk() {
                    Some(x) => load(x),
                    None => $splat(0.0),
                }
            }

            $(#[$attribute])*
            pub(super) fn right(values: &[f64], inner: usize, weights: &[f64], padded: usize, out: &mut [f64]) {
                const M: usize = $rows;
                let vectors = padded / LANES;
                for (values, out) in values.chunks(M * inner).zip(out.chunks_mut(M * padded)) {
                    let mut first = 0;
                    while first < vectors {
                        match (vectors - first).min(3) {
                            1 => right_part::<1>(values, inner, weights, padded, out, first),
                            2 => right_part::<2>(values, inner, weights, padded, out, first),
                            _ => right_part::<3>(values, inner, weights, padded, out, first),
                        }
                        first += 3;
                    }
                }
            }

            $(#[$attribute])*
            fn right_part<const V: usize>(values: &[f64], inner: usize, weights: &[f64], padded: usize, out: &mut [f64], first: usize) {
                const M: usize = $rows;
                // Rows past the end repeat the first; their sums are not written.
                let rows: [&[f64]; M] = std::array::from_fn(|m| values.get(m * inner..(m + 1) * inner).unwrap_or(&values[..inner]));
                let mut sums = [[$splat(0.0); V]; M];
                for (k, weights) in weights.chunks_exact(padded).enumerate().take(inner) {
                    let w: [$vector; V] = std::array::from_fn(|v| at(weights, first + v));
                    for m in 0..M {
                        let x = $splat(rows[m][k]);
                        for v in 0..V {
                            sums[m][v] = $fma(x, w[v], sums[m][v]);
                        }
                    }
                }
                for (sums, out) in sums.iter().zip(out.chunks_exact_mut(padded)) {
                    for v in 0..V {
                        if let Some(out) = out[(first + v) * LANES..].first_chunk_mut() {
                            store(out, sums[v]);
                        }
                    }
                }
            }

            $(#[$attribute])*
            pub(super) fn left(values: &[f64], stride: usize, width: usize, weights: &[f64], padded: usize, sums: &mut [f64]) {
                const ROWS: usize = 16;
                for (values, weights) in values.chunks(ROWS * stride).zip(weights.chunks(ROWS * padded)) {
                    for (group, sums) in sums.chunks_exact_mut(padded * LANES).enumerate() {
                        let start = group * LANES;
                        let mut rows = [[0.0; LANES]; ROWS];
                        let cut = width - start < LANES;
                        if cut {
                            for (row, values) in rows.iter_mut().zip(values.chunks(stride)) {
                                row[..width - start].copy_from_slice(&values[start..width]);
                            }
                        }
                        let mut first = 0;
                        while first < padded {
                            let part = (padded - first).min($most);
                            macro_rules! part {
                                ($r:literal) => {
                                    if cut {
                                        left_part::<$r>(rows.as_flattened(), LANES, 0, weights, padded, sums, first)
                                    } else {
                                        left_part::<$r>(values, stride, start, weights, padded, sums, first)
                                    }
                                };
                            }
                            match part {
                                4 => part!(4),
                                8 => part!(8),
                                12 => part!(12),
                                16 => part!(16),
                                20 => part!(20),
                                _ => part!(24),
                            }
                            first += part;
                        }
                    }
                }
            }

            $(#[$attribute])*
            #[inline]
            fn left_part<const R: usize>(
                values: &[f64], stride: usize, start: usize, weights: &[f64], padded: usize, sums: &mut [f64], first: usize,
            ) {
                let sums = &mut sums[first * LANES..(first + R) * LANES];
                let mut vectors: [$vector; R] = std::array::from_fn(|r| at(sums, r));
                for (row, weights) in weights.chunks_exact(padded).enumerate() {
                    let Some(x) = values[row * stride + start..].first_chunk() else { continue };
                    let Some(weights) = weights[first..].first_chunk::<R>() else { continue };
                    let x = load(x);
                    for r in 0..R {
                        vectors[r] = $fma($splat(weights[r]), x, vectors[r]);
                    }
                }
                for (r, sums) in sums.as_chunks_mut().0.iter_mut().enumerate() {
                    store(sums, vectors[r]);
                }
            }

            $(#[$attribute])*
            pub(super) fn gather(sums: &mut [f64], values: &[f64], weights: &[f64]) {
                let row = sums.len();
                // Four vectors at a time stay in registers over all rows.
                for first in (0..row).step_by(4 * LANES) {
                    match (row - first) / LANES {
                        1 => gather_part::<1>(sums, values, weights, first),
                        2 => gather_part::<2>(sums, values, weights, first),
                        3 => gather_part::<3>(sums, values, weights, first),
                        _ => gather_part::<4>(sums, values, weights, first),
                    }
                }
            }

            $(#[$attribute])*
            #[inline]
            fn gather_part<const V: usize>(sums: &mut [f64], values: &[f64], weights: &[f64], first: usize) {
                let row = sums.len();
                let mut own: [$vector; V] = std::array::from_fn(|v| at(&sums[first..], v));
                for (values, weights) in values.chunks_exact(row).zip(weights.chunks_exact(row)) {
                    let (values, weights) = (&values[first..first + V * LANES], &weights[first..first + V * LANES]);
                    for v in 0..V {
                        own[v] = $fma(at(values, v), at(weights, v), own[v]);
                    }
                }
                for (v, sums) in sums[first..first + V * LANES].as_chunks_mut().0.iter_mut().enumerate() {
                    store(sums, own[v]);
                }
            }

            $(#[$attribute])*
            pub(super) fn spread(sums: &mut [f64], values: &[f64], weights: &[f64]) {
                let row = weights.len();
                let weights = weights.as_chunks().0;
                for (sums, values) in sums.chunks_exact_mut(row).zip(values.chunks_exact(row)) {
                    for ((sums, values), weights) in sums.as_chunks_mut().0.iter_mut().zip(values.as_chunks().0).zip(weights) {
                        store(sums, $fma(load(values), load(weights), load(sums)));
                    }
                }
            }

            $(#[$attribute])*
            pub(super) fn scale_add(sums: &mut [f64], values: &[f64], weights: &[f64]) {
                let group = weights.len() * LANES;
                for (sums, values) in sums.chunks_exact_mut(group).zip(values.chunks_exact(group)) {
                    for ((sums, values), weight) in sums.as_chunks_mut().0.iter_mut().zip(values.as_chunks().0).zip(weights) {
                        store(sums, $fma($splat(*weight), load(values), load(sums)));
                    }
                }
            }

            /// `factor` and `target` are `[rank × WIDEST]`, one lane a row; `grams` is `[rank × rank]`. Gives the sum of squared changes.
            $(#[$attribute])*
            pub(super) fn descend(factor: &mut [f64], target: &[f64], grams: &[f64], rank: usize, floor: f64) -> f64 {
                const V: usize = WIDEST / LANES;
                let mut changes = [$splat(0.0); V];
                for r in 0..rank {
                    let line = &grams[r * rank..(r + 1) * rank];
                    if line[r] <= 0.0 {
                        continue;
                    }
                    // Two chains, so that one addition does not wait for the other.
                    let mut even: [$vector; V] = std::array::from_fn(|v| at(&target[r * WIDEST..], v));
                    let mut odd = [$splat(0.0); V];
                    for (q, gram) in line.iter().enumerate() {
                        let gram = $splat(-*gram);
                        let other = &factor[q * WIDEST..(q + 1) * WIDEST];
                        for v in 0..V {
                            if q % 2 == 0 {
                                even[v] = $fma(gram, at(other, v), even[v]);
                            } else {
                                odd[v] = $fma(gram, at(other, v), odd[v]);
                            }
                        }
                    }
                    let inverse = $splat(1.0 / line[r]);
                    let own = &mut factor[r * WIDEST..(r + 1) * WIDEST];
                    for v in 0..V {
                        let before = at(own, v);
                        let slope = $fma($splat(1.0), even[v], odd[v]);
                        let after = $max($fma(slope, inverse, before), $splat(floor));
                        let change = $fma($splat(-1.0), before, after);
                        changes[v] = $fma(change, change, changes[v]);
                        if let Some(own) = own[v * LANES..].first_chunk_mut() {
                            store(own, after);
                        }
                    }
                }
                let mut total = 0.0;
                for change in changes {
                    let mut lanes = [0.0; LANES];
                    store(&mut lanes, change);
                    total += lanes.iter().sum::<f64>();
                }
                total
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
kernels!(
    avx512, 8, __m512d, rows 8, most 24,
    uses { use std::arch::x86_64::{__m512d, _mm512_fmadd_pd, _mm512_loadu_pd, _mm512_max_pd, _mm512_set1_pd, _mm512_storeu_pd}; },
    _mm512_loadu_pd, _mm512_storeu_pd, _mm512_set1_pd, _mm512_fmadd_pd, _mm512_max_pd,
    #[target_feature(enable = "avx512f,fma")]
);

#[cfg(target_arch = "x86_64")]
kernels!(
    avx2, 4, __m256d, rows 4, most 12,
    uses { use std::arch::x86_64::{__m256d, _mm256_fmadd_pd, _mm256_loadu_pd, _mm256_max_pd, _mm256_set1_pd, _mm256_storeu_pd}; },
    _mm256_loadu_pd, _mm256_storeu_pd, _mm256_set1_pd, _mm256_fmadd_pd, _mm256_max_pd,
    #[target_feature(enable = "avx2,fma")]
);

kernels!(
    any, 4, [f64; 4], rows 2, most 8, uses { use super::plain; },
    plain::load, plain::store, plain::splat, plain::fma, plain::max,
);

/// Four values as a vector, in the language itself.
mod plain {
    /// Reads four values. SAFETY: `x` points at four readable values.
    pub(super) unsafe fn load(x: *const f64) -> [f64; 4] {
        // SAFETY: the caller's promise.
        unsafe { x.cast::<[f64; 4]>().read() }
    }

    /// Writes four values. SAFETY: `x` points at four writable values.
    pub(super) unsafe fn store(x: *mut f64, vector: [f64; 4]) {
        // SAFETY: the caller's promise.
        unsafe { x.cast::<[f64; 4]>().write(vector) }
    }

    #[inline]
    pub(super) fn splat(x: f64) -> [f64; 4] {
        [x; 4]
    }

    #[inline]
    pub(super) fn fma(a: [f64; 4], b: [f64; 4], c: [f64; 4]) -> [f64; 4] {
        std::array::from_fn(|lane| a[lane] * b[lane] + c[lane])
    }

    #[inline]
    pub(super) fn max(a: [f64; 4], b: [f64; 4]) -> [f64; 4] {
        std::array::from_fn(|lane| a[lane].max(b[lane]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        for instructions in sets() {
            for (rows, inner, padded) in [(1, 1, 8), (19, 13, 8), (9, 30, 24), (8, 5, 40)] {
                let (values, weights) = (normal_matrix(1, rows, inner), normal_matrix(2, inner, padded));
                let mut out = vec![f64::NAN; rows * padded];
                instructions.right(values.values(), inner, weights.values(), padded, &mut out);
                all_close(&out, crate::product::gemm(&values, &weights).unwrap().values(), 1e-12);
            }
            let lanes = instructions.lanes();
            for (rows, stride, width, padded) in [(1, 1, 1, 4), (20, 30, 17, 12), (9, 16, 16, 28), (17, 11, 3, 20)] {
                let (values, weights) = (normal_matrix(3, rows, stride), normal_matrix(4, rows, padded));
                let groups = usize::div_ceil(width, lanes);
                let mut sums = vec![0.5; groups * padded * lanes];
                instructions.left(&values.values()[..(rows - 1) * stride + width], stride, width, weights.values(), padded, &mut sums);
                for column in 0..width {
                    for r in 0..padded {
                        let expected: f64 = 0.5 + (0..rows).map(|row| weights[(row, r)] * values[(row, column)]).sum::<f64>();
                        let found = sums[(column / lanes * padded + r) * lanes + column % lanes];
                        assert!((found - expected).abs() < 1e-12, "{instructions:?}: {found} {expected}");
                    }
                }
            }
        }
    }
}
