//! The loops themselves, for each set of instructions and each precision.

use super::WIDEST;

/// Bytes that memory gives at a time.
const LINE: usize = 64;

/// Rows of a tensor that are gone through for one group of columns after the other.
const ROWS: usize = 16;

/// Asks for what lies `place` values on, in vain where that is outside of memory.
#[inline]
fn prefetch<T>(values: &[T], place: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction reads nothing that a program could see and fails at no address; every processor of this kind has it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(values.as_ptr().wrapping_add(place).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, place);
}

/// A vector and what is done with it.
macro_rules! vectors {
    ($element:ty, $lanes:literal, $vector:ty, $load:path, $store:path, $splat:path, $fma:path, $(#[$attribute:meta])*) => {
        /// Values in one vector.
        pub(in super::super) const LANES: usize = $lanes;

        type Vector = $vector;

        $(#[$attribute])*
        #[inline]
        fn load(x: &[$element; LANES]) -> Vector {
            // SAFETY: the pointer is that of an array of exactly the values that are read; no alignment is asked for.
            #[allow(unused_unsafe)]
            unsafe { $load(x.as_ptr().cast()) }
        }

        $(#[$attribute])*
        #[inline]
        fn store(x: &mut [$element; LANES], vector: Vector) {
            // SAFETY: the pointer is that of an array of exactly the values that are written; no alignment is asked for.
            #[allow(unused_unsafe)]
            unsafe { $store(x.as_mut_ptr().cast(), vector) }
        }

        $(#[$attribute])*
        #[inline]
        fn splat(x: $element) -> Vector {
            $splat(x)
        }

        /// `a · b + c`.
        $(#[$attribute])*
        #[inline]
        fn fma(a: Vector, b: Vector, c: Vector) -> Vector {
            $fma(a, b, c)
        }

        /// One vector of a slice, counted in vectors.
        $(#[$attribute])*
        #[inline]
        fn at(x: &[$element], vector: usize) -> Vector {
            match x[vector * LANES..].first_chunk() {
                Some(x) => load(x),
                None => splat(0.0),
            }
        }
    };
}

/// Sums along rows: of `$rows` rows at a time, `$alone` where a row has one vector.
macro_rules! rows {
    ($element:ty, rows $rows:literal, alone $alone:literal, $(#[$attribute:meta])*) => {
        $(#[$attribute])*
        pub(in super::super) fn right(values: &[$element], inner: usize, weights: &[$element], padded: usize, out: &mut [$element]) {
            if padded == LANES {
                // Few sums a row: more rows, so that no addition waits for the one before.
                right_blocks::<$alone>(values, inner, weights, padded, out);
            } else {
                right_blocks::<$rows>(values, inner, weights, padded, out);
            }
        }

        $(#[$attribute])*
        fn right_blocks<const M: usize>(values: &[$element], inner: usize, weights: &[$element], padded: usize, out: &mut [$element]) {
            let vectors = padded / LANES;
            for (values, out) in values.chunks(M * inner).zip(out.chunks_mut(M * padded)) {
                // The rows after these are on their way while these are multiplied.
                for place in (0..M * inner).step_by(super::LINE / size_of::<$element>()) {
                    super::prefetch(values, M * inner + place);
                }
                for first in (0..vectors).step_by(3) {
                    match vectors - first {
                        1 => right_part::<1, M>(values, inner, weights, padded, out, first),
                        2 => right_part::<2, M>(values, inner, weights, padded, out, first),
                        _ => right_part::<3, M>(values, inner, weights, padded, out, first),
                    }
                }
            }
        }

        $(#[$attribute])*
        fn right_part<const V: usize, const M: usize>(
            values: &[$element], inner: usize, weights: &[$element], padded: usize, out: &mut [$element], first: usize,
        ) {
            // Rows past the end repeat the first; their sums are not written.
            let rows: [&[$element]; M] =
                std::array::from_fn(|m| &values.get(m * inner..(m + 1) * inner).unwrap_or(values)[..inner]);
            let mut sums = [[splat(0.0); V]; M];
            for (k, weights) in (0..inner).zip(weights.chunks_exact(padded)) {
                let Some(weights) = weights[first * LANES..].get(..V * LANES) else { break };
                let mut w = [splat(0.0); V];
                for v in 0..V {
                    w[v] = at(weights, v);
                }
                for m in 0..M {
                    // SAFETY: each row has `inner` values, and `k` is below `inner`. A check for each row would cost as much as the sums.
                    let x = splat(unsafe { *rows[m].get_unchecked(k) });
                    for v in 0..V {
                        sums[m][v] = fma(x, w[v], sums[m][v]);
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
        pub(in super::super) fn gather(sums: &mut [$element], values: &[$element], weights: &[$element]) {
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
        fn gather_part<const V: usize>(sums: &mut [$element], values: &[$element], weights: &[$element], first: usize) {
            let row = sums.len();
            let mut own: [Vector; V] = std::array::from_fn(|v| at(&sums[first..], v));
            for (values, weights) in values.chunks_exact(row).zip(weights.chunks_exact(row)) {
                let (values, weights) = (&values[first..first + V * LANES], &weights[first..first + V * LANES]);
                for v in 0..V {
                    own[v] = fma(at(values, v), at(weights, v), own[v]);
                }
            }
            for (v, sums) in sums[first..first + V * LANES].as_chunks_mut().0.iter_mut().enumerate() {
                store(sums, own[v]);
            }
        }

        $(#[$attribute])*
        pub(in super::super) fn spread(sums: &mut [$element], values: &[$element], weights: &[$element]) {
            let row = weights.len();
            let weights = weights.as_chunks().0;
            for (sums, values) in sums.chunks_exact_mut(row).zip(values.chunks_exact(row)) {
                for ((sums, values), weights) in sums.as_chunks_mut().0.iter_mut().zip(values.as_chunks().0).zip(weights) {
                    store(sums, fma(load(values), load(weights), load(sums)));
                }
            }
        }
    };
}

/// Sums along columns, of at most `$most` vectors at a time.
macro_rules! columns {
    ($element:ty, most $most:literal, $(#[$attribute:meta])*) => {
        $(#[$attribute])*
        pub(in super::super) fn left(values: &[$element], stride: usize, width: usize, weights: &[$element], padded: usize, sums: &mut [$element]) {
            // Two vectors at once where their sums fit into the registers: a weight is read once for both.
            let together = if 2 * padded <= $most { 2 } else { 1 };
            let mut rows = [[0.0 as $element; LANES]; super::ROWS];
            for (values, weights) in values.chunks(super::ROWS * stride).zip(weights.chunks(super::ROWS * padded)) {
                for (number, sums) in sums.chunks_mut(together * padded * LANES).enumerate() {
                    let start = number * together * LANES;
                    if together == 2 && width >= start + 2 * LANES {
                        match padded {
                            4 => left_part::<4, 2>(values, stride, start, weights, padded, sums, 0),
                            8 => left_part::<8, 2>(values, stride, start, weights, padded, sums, 0),
                            _ => left_part::<12, 2>(values, stride, start, weights, padded, sums, 0),
                        }
                        continue;
                    }
                    for (group, sums) in sums.chunks_exact_mut(padded * LANES).enumerate() {
                        let start = start + group * LANES;
                        let cut = width - start < LANES;
                        if cut {
                            for (row, values) in rows.iter_mut().zip(values.chunks(stride)) {
                                row[..width - start].copy_from_slice(&values[start..width]);
                            }
                        }
                        let (values, stride, start) = if cut { (rows.as_flattened(), LANES, 0) } else { (values, stride, start) };
                        let mut first = 0;
                        while first < padded {
                            let part = (padded - first).min($most);
                            match part {
                                4 => left_part::<4, 1>(values, stride, start, weights, padded, sums, first),
                                8 => left_part::<8, 1>(values, stride, start, weights, padded, sums, first),
                                12 => left_part::<12, 1>(values, stride, start, weights, padded, sums, first),
                                16 => left_part::<16, 1>(values, stride, start, weights, padded, sums, first),
                                20 => left_part::<20, 1>(values, stride, start, weights, padded, sums, first),
                                _ => left_part::<24, 1>(values, stride, start, weights, padded, sums, first),
                            }
                            first += part;
                        }
                    }
                }
            }
        }

        /// `R` components, from `first` on, of `G` vectors side by side.
        $(#[$attribute])*
        #[inline]
        fn left_part<const R: usize, const G: usize>(
            values: &[$element], stride: usize, start: usize, weights: &[$element], padded: usize, sums: &mut [$element], first: usize,
        ) {
            let mut own = [[splat(0.0); R]; G];
            for g in 0..G {
                for r in 0..R {
                    own[g][r] = at(sums, g * padded + first + r);
                }
            }
            let (mut weights, mut place) = (weights, start);
            while let Some((row, rest)) = weights.split_at_checked(padded) {
                let (Some(x), Some(row)) = (values[place..].get(..G * LANES), row[first..].first_chunk::<R>()) else { break };
                let mut both = [splat(0.0); G];
                for g in 0..G {
                    // The block of rows after this one.
                    super::prefetch(values, place + super::ROWS * stride + g * LANES);
                    both[g] = at(x, g);
                }
                for r in 0..R {
                    let weight = splat(row[r]);
                    for g in 0..G {
                        own[g][r] = fma(weight, both[g], own[g][r]);
                    }
                }
                (weights, place) = (rest, place + stride);
            }
            for g in 0..G {
                for r in 0..R {
                    if let Some(sums) = sums[(g * padded + first + r) * LANES..].first_chunk_mut() {
                        store(sums, own[g][r]);
                    }
                }
            }
        }

        $(#[$attribute])*
        pub(in super::super) fn scale_add(sums: &mut [$element], values: &[$element], weights: &[$element]) {
            let group = weights.len() * LANES;
            for (sums, values) in sums.chunks_exact_mut(group).zip(values.chunks_exact(group)) {
                for ((sums, values), weight) in sums.as_chunks_mut().0.iter_mut().zip(values.as_chunks().0).zip(weights) {
                    store(sums, fma(splat(*weight), load(values), load(sums)));
                }
            }
        }
    };
}

/// Sixteen vectors times sixteen, `$rows` of the left side at a time.
macro_rules! tiles {
    (rows $rows:literal, $(#[$attribute:meta])*) => {
        $(#[$attribute])*
        pub(in super::super) fn tile(left: &[Line], right: &[Line], product: &mut [f32; WIDTH * WIDTH]) {
            const V: usize = WIDTH / LANES;
            for first in (0..WIDTH).step_by($rows) {
                let mut sums = [[splat(0.0); V]; $rows];
                for (left, right) in left.iter().zip(right) {
                    let own: [Vector; V] = std::array::from_fn(|v| at(&right.0, v));
                    let Some(left) = left.0[first..].first_chunk::<$rows>() else { break };
                    for m in 0..$rows {
                        let x = splat(left[m]);
                        for v in 0..V {
                            sums[m][v] = fma(x, own[v], sums[m][v]);
                        }
                    }
                }
                for m in 0..$rows {
                    for v in 0..V {
                        if let Some(target) = product[(first + m) * WIDTH + v * LANES..].first_chunk_mut() {
                            let before = load(target);
                            store(target, fma(splat(1.0), before, sums[m][v]));
                        }
                    }
                }
            }
        }
    };
}

/// Coordinate descent.
macro_rules! descent {
    ($max:path, $(#[$attribute:meta])*) => {
        /// `factor` and `target` are `[rank × WIDEST]`, one lane a row; `grams` is `[rank × rank]`. Gives the sum of squared changes.
        $(#[$attribute])*
        pub(in super::super) fn descend(factor: &mut [f64], target: &[f64], grams: &[f64], rank: usize, floor: f64) -> f64 {
            const V: usize = super::WIDEST / LANES;
            let mut changes = [splat(0.0); V];
            for r in 0..rank {
                let line = &grams[r * rank..(r + 1) * rank];
                if line[r] <= 0.0 {
                    continue;
                }
                // Two chains, so that one addition does not wait for the other.
                let mut even: [Vector; V] = std::array::from_fn(|v| at(&target[r * super::WIDEST..], v));
                let mut odd = [splat(0.0); V];
                for (q, gram) in line.iter().enumerate() {
                    let gram = splat(-*gram);
                    let other = &factor[q * super::WIDEST..(q + 1) * super::WIDEST];
                    for v in 0..V {
                        if q % 2 == 0 {
                            even[v] = fma(gram, at(other, v), even[v]);
                        } else {
                            odd[v] = fma(gram, at(other, v), odd[v]);
                        }
                    }
                }
                let inverse = splat(1.0 / line[r]);
                let own = &mut factor[r * super::WIDEST..(r + 1) * super::WIDEST];
                for v in 0..V {
                    let before = at(own, v);
                    let slope = fma(splat(1.0), even[v], odd[v]);
                    let after = $max(fma(slope, inverse, before), splat(floor));
                    let change = fma(splat(-1.0), before, after);
                    changes[v] = fma(change, change, changes[v]);
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
    };
}

#[cfg(target_arch = "x86_64")]
pub(super) mod avx512 {
    use std::arch::x86_64::{__m512d, _mm512_fmadd_pd, _mm512_loadu_pd, _mm512_max_pd, _mm512_set1_pd, _mm512_storeu_pd};

    vectors!(f64, 8, __m512d, _mm512_loadu_pd, _mm512_storeu_pd, _mm512_set1_pd, _mm512_fmadd_pd, #[target_feature(enable = "avx512f,fma")]);
    rows!(f64, rows 8, alone 8, #[target_feature(enable = "avx512f,fma")]);
    columns!(f64, most 24, #[target_feature(enable = "avx512f,fma")]);
    descent!(_mm512_max_pd, #[target_feature(enable = "avx512f,fma")]);
}

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2 {
    use std::arch::x86_64::{__m256d, _mm256_fmadd_pd, _mm256_loadu_pd, _mm256_max_pd, _mm256_set1_pd, _mm256_storeu_pd};

    vectors!(f64, 4, __m256d, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_set1_pd, _mm256_fmadd_pd, #[target_feature(enable = "avx2,fma")]);
    rows!(f64, rows 4, alone 8, #[target_feature(enable = "avx2,fma")]);
    columns!(f64, most 12, #[target_feature(enable = "avx2,fma")]);
    descent!(_mm256_max_pd, #[target_feature(enable = "avx2,fma")]);
}

#[cfg(target_arch = "x86_64")]
pub(super) mod avx512_single {
    use crate::panels::{Line, WIDTH};
    use std::arch::x86_64::{__m512, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_storeu_ps};

    vectors!(f32, 16, __m512, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_set1_ps, _mm512_fmadd_ps, #[target_feature(enable = "avx512f,fma")]);
    rows!(f32, rows 8, alone 8, #[target_feature(enable = "avx512f,fma")]);
    columns!(f32, most 24, #[target_feature(enable = "avx512f,fma")]);
    tiles!(rows 16, #[target_feature(enable = "avx512f,fma")]);
}

/// Half vectors, with all the registers of the whole ones: for rows of an odd number of halves.
#[cfg(target_arch = "x86_64")]
pub(super) mod avx512_half {
    use std::arch::x86_64::{__m256, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_storeu_ps};

    vectors!(f32, 8, __m256, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_set1_ps, _mm256_fmadd_ps, #[target_feature(enable = "avx512f,avx512vl,fma")]);
    rows!(f32, rows 8, alone 12, #[target_feature(enable = "avx512f,avx512vl,fma")]);
}

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2_single {
    use crate::panels::{Line, WIDTH};
    use std::arch::x86_64::{__m256, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_storeu_ps};

    vectors!(f32, 8, __m256, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_set1_ps, _mm256_fmadd_ps, #[target_feature(enable = "avx2,fma")]);
    rows!(f32, rows 4, alone 8, #[target_feature(enable = "avx2,fma")]);
    columns!(f32, most 12, #[target_feature(enable = "avx2,fma")]);
    tiles!(rows 4, #[target_feature(enable = "avx2,fma")]);
}

pub(super) mod any {
    use super::plain;

    vectors!(f64, 4, [f64; 4], plain::load, plain::store, plain::splat, plain::fma,);
    rows!(f64, rows 2, alone 4,);
    columns!(f64, most 8,);
    descent!(plain::max,);
}

pub(super) mod any_single {
    use super::plain;
    use crate::panels::{Line, WIDTH};

    vectors!(f32, 8, [f32; 8], plain::load, plain::store, plain::splat, plain::fma,);
    rows!(f32, rows 2, alone 4,);
    columns!(f32, most 8,);
    tiles!(rows 2,);
}

/// Some values as a vector, in the language itself.
mod plain {
    use std::ops::{Add, Mul};

    /// Reads some values. SAFETY: `x` points at as many readable values.
    pub(super) unsafe fn load<T, const N: usize>(x: *const T) -> [T; N] {
        // SAFETY: the caller's promise.
        unsafe { x.cast::<[T; N]>().read() }
    }

    /// Writes some values. SAFETY: `x` points at as many writable values.
    pub(super) unsafe fn store<T, const N: usize>(x: *mut T, vector: [T; N]) {
        // SAFETY: the caller's promise.
        unsafe { x.cast::<[T; N]>().write(vector) }
    }

    #[inline]
    pub(super) fn splat<T: Copy, const N: usize>(x: T) -> [T; N] {
        [x; N]
    }

    #[inline]
    pub(super) fn fma<T: Copy + Add<Output = T> + Mul<Output = T>, const N: usize>(a: [T; N], b: [T; N], c: [T; N]) -> [T; N] {
        std::array::from_fn(|lane| a[lane] * b[lane] + c[lane])
    }

    #[inline]
    pub(super) fn max(a: [f64; 4], b: [f64; 4]) -> [f64; 4] {
        std::array::from_fn(|lane| a[lane].max(b[lane]))
    }
}
