//! How alike two dissimilarity matrices are, also when conditions are resampled or permuted.
//!
//! A bootstrap over conditions draws each condition `m` times; a pair of two different conditions then stands `m₁ m₂` times, and a pair of a
//! condition with itself is left out (Nili et al. 2014). Nothing is drawn here: both matrices are ranked once, and a resample is a pass over those
//! rankings with `m₁ m₂` as whole-number weights. Rank sums and pair counts are exact integers, so the values are those of ranking each resample
//! anew.

use rayon::prelude::*;

use crate::error::{finite, same_length};
use crate::statistics::{mean, sum};
use crate::{ComputeError, Matrix};

/// How two vectors of dissimilarities are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    /// Cosine of the angle.
    Cosine,
    /// Correlation.
    Pearson,
    /// Correlation of average ranks.
    Spearman,
    /// Concordant minus discordant pairs over all pairs.
    KendallTauA,
    /// As τ-a, corrected for ties on both sides.
    KendallTauB,
    /// Spearman's correlation expected over random breaking of ties (Schütt et al. 2023).
    RhoA,
    /// Cosine after whitening by the covariance that noise of equal, independent patterns gives to dissimilarities (Diedrichsen et al. 2021).
    WhitenedCosine,
    /// Correlation after the same whitening.
    WhitenedPearson,
}

/// Two upper triangles over the same conditions, prepared for comparison.
#[derive(Debug, Clone)]
pub struct TrianglePair {
    size: usize,
    likeness: Likeness,
    prepared: Prepared,
}

#[derive(Debug, Clone)]
enum Prepared {
    Ranks(Ranks),
    Values(Values),
}

impl TrianglePair {
    /// Prepares two triangles `[size (size − 1) / 2]` of `size` conditions, row by row.
    ///
    /// # Errors
    /// Triangles of another length, values that are not finite.
    pub fn new(size: usize, x: &[f64], y: &[f64], likeness: Likeness) -> Result<TrianglePair, ComputeError> {
        let operation = "likeness of dissimilarities";
        same_length(operation, x.len(), y.len())?;
        let pairs = size * size.saturating_sub(1) / 2;
        if x.len() != pairs {
            return Err(ComputeError::shape(operation, format!("{} values; {size} conditions have {pairs} pairs", x.len())));
        }
        if u32::try_from(size * size).is_err() {
            return Err(ComputeError::shape(operation, format!("{size} conditions; at most 65535 are compared")));
        }
        finite(operation, x)?;
        finite(operation, y)?;
        let prepared = match likeness {
            Likeness::Spearman | Likeness::KendallTauA | Likeness::KendallTauB | Likeness::RhoA => Prepared::Ranks(Ranks::new(size, x, y)),
            Likeness::Cosine => Prepared::Values(Values::new(size, x, y, false)),
            // Whitening does not commute with taking the mean off, so that is done by weight in each resample.
            Likeness::Pearson | Likeness::WhitenedPearson => Prepared::Values(Values::new(size, x, y, true)),
            Likeness::WhitenedCosine => Prepared::Values(Values::new(size, x, y, false)),
        };
        Ok(TrianglePair { size, likeness, prepared })
    }

    /// The likeness of the two as they are; none where it is not defined (a constant side, fewer than two pairs).
    pub fn value(&self) -> Option<f64> {
        self.of(&vec![1; self.size], None, &mut Space::default())
    }

    /// The likeness when each condition is drawn so many times; none where it is not defined.
    ///
    /// # Errors
    /// Another number of multiplicities than conditions, or of draws than 2³¹.
    pub fn resampled(&self, multiplicity: &[u32]) -> Result<Option<f64>, ComputeError> {
        self.check(multiplicity)?;
        Ok(self.of(multiplicity, None, &mut Space::default()))
    }

    /// [`TrianglePair::resampled`] for many resamples, in parallel.
    ///
    /// # Errors
    /// As [`TrianglePair::resampled`].
    pub fn resampled_all(&self, multiplicities: &[Vec<u32>]) -> Result<Vec<Option<f64>>, ComputeError> {
        multiplicities.iter().try_for_each(|multiplicity| self.check(multiplicity))?;
        Ok(multiplicities.par_iter().map_init(Space::default, |space, multiplicity| self.of(multiplicity, None, space)).collect())
    }

    /// The likeness when condition `c` of the second triangle is replaced by condition `order[c]`, for many permutations, in parallel.
    ///
    /// # Errors
    /// An order that is no permutation of the conditions.
    pub fn permuted_all(&self, orders: &[Vec<usize>]) -> Result<Vec<Option<f64>>, ComputeError> {
        for order in orders {
            let mut seen = vec![false; self.size];
            order.iter().for_each(|&condition| {
                if let Some(seen) = seen.get_mut(condition) {
                    *seen = true;
                }
            });
            if order.len() != self.size || seen.contains(&false) {
                return Err(ComputeError::value("permuted conditions", format!("the order is no permutation of {} conditions", self.size)));
            }
        }
        let ones = vec![1; self.size];
        Ok(orders.par_iter().map_init(Space::default, |space, order| self.of(&ones, Some(order), space)).collect())
    }

    fn check(&self, multiplicity: &[u32]) -> Result<(), ComputeError> {
        same_length("resampled conditions", multiplicity.len(), self.size)?;
        let drawn: u64 = multiplicity.iter().map(|&count| u64::from(count)).sum();
        // Weighted pair counts then fit 32 bits, and what is summed over them 128.
        if drawn > 65_535 {
            return Err(ComputeError::value("resampled conditions", format!("{drawn} conditions are drawn; at most 65535 are compared")));
        }
        Ok(())
    }

    fn of(&self, multiplicity: &[u32], order: Option<&Vec<usize>>, space: &mut Space) -> Option<f64> {
        let value = match (&self.prepared, self.likeness) {
            (Prepared::Ranks(ranks), Likeness::Spearman) => ranks.sums(multiplicity, order, space).spearman(),
            (Prepared::Ranks(ranks), Likeness::RhoA) => ranks.sums(multiplicity, order, space).rho_a(),
            (Prepared::Ranks(ranks), Likeness::KendallTauB) => ranks.counts(multiplicity, order, space).tau_b(),
            (Prepared::Ranks(ranks), _) => ranks.counts(multiplicity, order, space).tau_a(),
            (Prepared::Values(values), Likeness::Cosine) => values.angle(multiplicity, order, false),
            (Prepared::Values(values), Likeness::WhitenedCosine) => values.whitened(multiplicity, order, false),
            (Prepared::Values(values), Likeness::WhitenedPearson) => values.whitened(multiplicity, order, true),
            (Prepared::Values(values), _) => values.angle(multiplicity, order, true),
        };
        value.filter(|value| value.is_finite())
    }
}

/// Memory that a thread uses again and again.
#[derive(Default)]
struct Space {
    weights: Vec<u32>,
    counts: Vec<u32>,
    ranks: Vec<u64>,
    below: Below,
}

/// One ranking of each side, made once.
#[derive(Debug, Clone)]
struct Ranks {
    size: usize,
    /// The two conditions of each pair, in ascending order of the first side.
    pairs: Vec<[u32; 2]>,
    /// Where each stretch of pairs that tie on the first side ends.
    ends: Vec<u32>,
    /// The place of each pair, in the order of `pairs`, among the distinct values of the second side.
    second: Vec<u32>,
    /// The same by condition × condition, for permuted conditions.
    second_of: Vec<u32>,
    /// The number of distinct values of the second side.
    distinct: usize,
}

impl Ranks {
    fn new(size: usize, x: &[f64], y: &[f64]) -> Ranks {
        let conditions: Vec<[u32; 2]> = (0..size as u32).flat_map(|row| (row + 1..size as u32).map(move |column| [row, column])).collect();
        let sorted = |values: &[f64]| {
            // Adding zero makes −0 and 0 one value for the total order.
            let mut order: Vec<(f64, u32)> = values.iter().enumerate().map(|(place, value)| (value + 0.0, place as u32)).collect();
            order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            order
        };
        let (first, other) = (sorted(x), sorted(y));
        let mut second_of = vec![0; size * size];
        let mut place_of = vec![0; y.len()];
        let mut distinct = 0;
        for ties in other.chunk_by(|a, b| a.0 == b.0) {
            for &(_, place) in ties {
                place_of[place as usize] = distinct;
                let [row, column] = conditions[place as usize];
                second_of[row as usize * size + column as usize] = distinct;
                second_of[column as usize * size + row as usize] = distinct;
            }
            distinct += 1;
        }
        let mut ends = Vec::new();
        let mut end = 0;
        for ties in first.chunk_by(|a, b| a.0 == b.0) {
            end += ties.len() as u32;
            ends.push(end);
        }
        Ranks {
            size,
            pairs: first.iter().map(|&(_, place)| conditions[place as usize]).collect(),
            ends,
            second: first.iter().map(|&(_, place)| place_of[place as usize]).collect(),
            second_of,
            distinct: distinct as usize,
        }
    }

    /// The place of a pair on the second side.
    fn place(&self, pair: usize, order: Option<&Vec<usize>>) -> usize {
        match order {
            None => self.second[pair] as usize,
            Some(order) => {
                let [row, column] = self.pairs[pair];
                self.second_of[order[row as usize] * self.size + order[column as usize]] as usize
            }
        }
    }

    /// Weights of the pairs in the order of the first side, summed weights of the distinct values of the second side, and the sum of all.
    fn weigh(&self, multiplicity: &[u32], order: Option<&Vec<usize>>, space: &mut Space) -> u64 {
        space.weights.clear();
        space.weights.extend(self.pairs.iter().map(|[row, column]| multiplicity[*row as usize] * multiplicity[*column as usize]));
        space.counts.clear();
        space.counts.resize(self.distinct, 0);
        let mut all = 0;
        for (pair, &weight) in space.weights.iter().enumerate() {
            if weight > 0 {
                space.counts[self.place(pair, order)] += weight;
                all += u64::from(weight);
            }
        }
        all
    }

    /// Sums of products of ranks, in units of half a rank.
    fn sums(&self, multiplicity: &[u32], order: Option<&Vec<usize>>, space: &mut Space) -> RankSums {
        let all = self.weigh(multiplicity, order, space);
        let (mut before, mut squares_second) = (0u64, 0u128);
        space.ranks.clear();
        space.ranks.extend(space.counts.iter().map(|&count| {
            let rank = 2 * before + u64::from(count) + 1;
            before += u64::from(count);
            squares_second += u128::from(count) * u128::from(rank) * u128::from(rank);
            rank
        }));
        let (mut before, mut start) = (0u64, 0usize);
        let (mut products, mut squares) = (0u128, 0u128);
        for &end in &self.ends {
            let end = end as usize;
            let tied: u64 = space.weights[start..end].iter().map(|&weight| u64::from(weight)).sum();
            if tied > 0 {
                let rank = 2 * before + tied + 1;
                for pair in start..end {
                    let weight = space.weights[pair];
                    if weight > 0 {
                        products += u128::from(u64::from(weight) * space.ranks[self.place(pair, order)]) * u128::from(rank);
                    }
                }
                squares += u128::from(tied) * u128::from(rank) * u128::from(rank);
                before += tied;
            }
            start = end;
        }
        RankSums { all, products, squares_first: squares, squares_second }
    }

    /// Numbers of concordant, discordant and tied pairs of pairs.
    fn counts(&self, multiplicity: &[u32], order: Option<&Vec<usize>>, space: &mut Space) -> PairCounts {
        let all = self.weigh(multiplicity, order, space);
        let pairs = |count: u64| count * count.saturating_sub(1) / 2;
        let tied_second = space.counts.iter().map(|&count| pairs(u64::from(count))).sum();
        let (mut score, mut tied_first) = (0i64, 0u64);
        let mut seen = 0u64;
        let mut start = 0usize;
        let mut below = std::mem::take(&mut space.below);
        below.clear(self.distinct);
        for &end in &self.ends {
            let end = end as usize;
            let mut tied = 0u64;
            for pair in start..end {
                let weight = space.weights[pair];
                if weight > 0 {
                    tied += u64::from(weight);
                    // Those seen before are smaller on the first side: smaller on the second too is concordant, larger discordant.
                    let (less, less_or_equal) = below.at(self.place(pair, order));
                    score += i64::from(weight) * (i64::from(less) - (seen as i64 - i64::from(less_or_equal)));
                }
            }
            for pair in start..end {
                let weight = space.weights[pair];
                if weight > 0 {
                    below.add(self.place(pair, order), weight);
                }
            }
            seen += tied;
            tied_first += pairs(tied);
            start = end;
        }
        space.below = below;
        PairCounts { all: pairs(all), tied_first, tied_second, score }
    }
}

/// How much weight lies below each place: three levels of running sums, so that adding touches a few short stretches and asking reads three numbers.
#[derive(Debug, Default)]
struct Below {
    /// At each place, the weight in its block of places up to and with it.
    fine: Vec<u32>,
    /// At each block, the weight in its block of blocks before it.
    middle: Vec<u32>,
    /// At each block of blocks, the weight before it.
    coarse: Vec<u32>,
}

impl Below {
    const BITS: usize = 6;
    const BLOCK: usize = 1 << Below::BITS;

    fn clear(&mut self, places: usize) {
        let blocks = places.div_ceil(Below::BLOCK);
        for (level, length) in [
            (&mut self.fine, blocks * Below::BLOCK),
            (&mut self.middle, blocks.div_ceil(Below::BLOCK) * Below::BLOCK),
            (&mut self.coarse, blocks.div_ceil(Below::BLOCK)),
        ] {
            level.clear();
            level.resize(length, 0);
        }
    }

    fn add(&mut self, place: usize, weight: u32) {
        let block = place >> Below::BITS;
        let group = block >> Below::BITS;
        let end = (block + 1) << Below::BITS;
        self.fine[place..end].iter_mut().for_each(|sum| *sum += weight);
        let end = (group + 1) << Below::BITS;
        self.middle[block + 1..end].iter_mut().for_each(|sum| *sum += weight);
        self.coarse[group + 1..].iter_mut().for_each(|sum| *sum += weight);
    }

    /// The weight below a place, and below or at it.
    fn at(&self, place: usize) -> (u32, u32) {
        let block = place >> Below::BITS;
        let outside = self.middle[block] + self.coarse[block >> Below::BITS];
        let own = self.fine[place];
        let before = if place & (Below::BLOCK - 1) == 0 { 0 } else { self.fine[place - 1] };
        (outside + before, outside + own)
    }
}

/// Weighted sums of ranks in units of half a rank; the mean rank is `all + 1` on both sides.
struct RankSums {
    all: u64,
    products: u128,
    squares_first: u128,
    squares_second: u128,
}

impl RankSums {
    fn spearman(&self) -> Option<f64> {
        let centre = u128::from(self.all) * u128::from(self.all + 1) * u128::from(self.all + 1);
        let covariance = self.products as i128 - centre as i128;
        let (first, second) = (self.squares_first - centre, self.squares_second - centre);
        (first > 0 && second > 0).then(|| (covariance as f64 / ((first as f64).sqrt() * (second as f64).sqrt())).clamp(-1.0, 1.0))
    }

    /// `12 Σ r s / (n³ − n) − 3 (n + 1) / (n − 1)`, with mean ranks.
    fn rho_a(&self) -> Option<f64> {
        let n = i128::from(self.all);
        // Over a common divisor in whole numbers: the two terms are large and nearly cancel.
        let above = 3 * self.products as i128 - 3 * n * (n + 1) * (n + 1);
        (self.all > 1).then(|| above as f64 / (n * n * n - n) as f64)
    }
}

/// Numbers of pairs of pairs.
struct PairCounts {
    all: u64,
    tied_first: u64,
    tied_second: u64,
    /// Concordant minus discordant.
    score: i64,
}

impl PairCounts {
    fn tau_a(&self) -> Option<f64> {
        (self.all > 0).then(|| self.score as f64 / self.all as f64)
    }

    fn tau_b(&self) -> Option<f64> {
        let (first, second) = ((self.all - self.tied_first) as f64, (self.all - self.tied_second) as f64);
        (first > 0.0 && second > 0.0).then(|| (self.score as f64 / first.sqrt() / second.sqrt()).clamp(-1.0, 1.0))
    }
}

/// Both sides as whole matrices, scaled to a largest value of 1.
#[derive(Debug, Clone)]
struct Values {
    x: Matrix,
    y: Matrix,
    constant: bool,
}

impl Values {
    fn new(size: usize, x: &[f64], y: &[f64], centre: bool) -> Values {
        let whole = |values: &[f64]| {
            let scale = values.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
            let scale = if scale > 0.0 { scale } else { 1.0 };
            let scaled: Vec<f64> = values.iter().map(|value| value / scale).collect();
            // Taken off first, so that the weighted mean that is taken off later is small.
            let offset = if centre && !scaled.is_empty() { mean(&scaled) } else { 0.0 };
            let mut matrix = Matrix::zeros(size, size);
            let mut place = 0;
            for row in 0..size {
                for column in row + 1..size {
                    matrix[(row, column)] = scaled[place] - offset;
                    matrix[(column, row)] = scaled[place] - offset;
                    place += 1;
                }
            }
            matrix
        };
        let constant = |values: &[f64]| values.windows(2).all(|pair| pair[0] == pair[1]);
        Values { x: whole(x), y: whole(y), constant: centre && (constant(x) || constant(y)) }
    }

    /// For each condition with weight: its weighted sums over the others of x, y, x², y², x y. The second side by `order`.
    fn row_sums(&self, multiplicity: &[u32], order: Option<&Vec<usize>>) -> Vec<[f64; 5]> {
        let size = multiplicity.len();
        let drawn: Vec<usize> = (0..size).filter(|&condition| multiplicity[condition] > 0).collect();
        let mut sums = vec![[0.0; 5]; size];
        for &row in &drawn {
            let x = self.x.row(row);
            let y = self.y.row(order.map_or(row, |order| order[row]));
            let mut total = [0.0; 5];
            for &column in drawn.iter().filter(|&&column| column != row) {
                let weight = f64::from(multiplicity[column]);
                let (x, y) = (x[column], y[order.map_or(column, |order| order[column])]);
                let (wx, wy) = (weight * x, weight * y);
                total[0] += wx;
                total[1] += wy;
                total[2] += wx * x;
                total[3] += wy * y;
                total[4] += wx * y;
            }
            sums[row] = total;
        }
        sums
    }

    fn angle(&self, multiplicity: &[u32], order: Option<&Vec<usize>>, centre: bool) -> Option<f64> {
        if self.constant {
            return None;
        }
        let sums = self.row_sums(multiplicity, order);
        let [x, y, xx, yy, xy] = totals(multiplicity, &sums);
        let pairs = pair_weight(multiplicity);
        if !centre {
            return (xx > 0.0 && yy > 0.0).then(|| (xy / (xx.sqrt() * yy.sqrt())).clamp(-1.0, 1.0));
        }
        let (vx, vy, cxy) = (xx - x * x / pairs, yy - y * y / pairs, xy - x * y / pairs);
        // What rounding alone leaves of a constant is no variance.
        let varies = |variance: f64, square: f64| variance > 1e-14 * square;
        (pairs > 1.0 && varies(vx, xx) && varies(vy, yy)).then(|| (cxy / (vx.sqrt() * vy.sqrt())).clamp(-1.0, 1.0))
    }

    /// With `V = 2 I + M Mᵀ` for the incidence `M [pair × condition]` of the pairs that are there (4 on the diagonal, 1 where two pairs share a
    /// condition), `V⁻¹ = ½ (I − M (2 I + MᵀM)⁻¹ Mᵀ)`, and `2 I + MᵀM` is diagonal plus `1 1ᵀ`: no matrix is made. Copies of a drawn condition have
    /// equal sums, so a condition stands for all its copies.
    fn whitened(&self, multiplicity: &[u32], order: Option<&Vec<usize>>, centre: bool) -> Option<f64> {
        if self.constant {
            return None;
        }
        let mut sums = self.row_sums(multiplicity, order);
        let pairs = pair_weight(multiplicity);
        let copies: f64 = multiplicity.iter().map(|&count| f64::from(count)).sum();
        let [x, y, xx, yy, xy] = totals(multiplicity, &sums);
        let (mut xx, mut yy, mut xy) = (xx, yy, xy);
        if centre {
            let (mean_x, mean_y) = (x / pairs, y / pairs);
            let before = [xx, yy];
            xx -= x * mean_x;
            yy -= y * mean_y;
            xy -= x * mean_y;
            if pairs < 2.0 || xx <= 1e-14 * before[0] || yy <= 1e-14 * before[1] {
                return None;
            }
            for (sum, &count) in sums.iter_mut().zip(multiplicity).filter(|(_, count)| **count > 0) {
                let others = copies - f64::from(count);
                sum[0] -= others * mean_x;
                sum[1] -= others * mean_y;
            }
        }
        // (2 + (copies − m) − m) u + Σ m u = r, by Sherman & Morrison.
        let diagonal = |count: u32| 2.0 + copies - 2.0 * f64::from(count);
        let drawn = || multiplicity.iter().zip(&sums).filter(|(count, _)| **count > 0);
        if drawn().any(|(&count, _)| diagonal(count) <= 0.0) {
            return None;
        }
        let all: f64 = drawn().map(|(&count, _)| f64::from(count) / diagonal(count)).sum();
        let shared = |side: usize| drawn().map(|(&count, sum)| f64::from(count) * sum[side] / diagonal(count)).sum::<f64>() / (1.0 + all);
        let shared = [shared(0), shared(1)];
        let product = |plain: f64, a: usize, b: usize| {
            plain - drawn().map(|(&count, sum)| f64::from(count) * (sum[a] - shared[a]) / diagonal(count) * sum[b]).sum::<f64>()
        };
        let (wxx, wyy, wxy) = (product(xx, 0, 0), product(yy, 1, 1), product(xy, 0, 1));
        (wxx > 1e-14 * xx && wyy > 1e-14 * yy).then(|| (wxy / (wxx.sqrt() * wyy.sqrt())).clamp(-1.0, 1.0))
    }
}

/// Sums over pairs from sums over rows, each pair being met twice.
fn totals(multiplicity: &[u32], sums: &[[f64; 5]]) -> [f64; 5] {
    let of = |part: usize| {
        let parts: Vec<f64> = multiplicity.iter().zip(sums).map(|(&count, sums)| f64::from(count) * sums[part]).collect();
        0.5 * sum(&parts)
    };
    [of(0), of(1), of(2), of(3), of(4)]
}

/// The number of pairs of different conditions among the drawn.
fn pair_weight(multiplicity: &[u32]) -> f64 {
    let (all, squares) = multiplicity.iter().fold((0u64, 0u64), |(all, squares), &count| {
        let count = u64::from(count);
        (all + count, squares + count * count)
    });
    ((all * all - squares) / 2) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::golden::{Case, close};
    use crate::random::Stream;
    use crate::statistics::{average_ranks, kendall_tau_a, kendall_tau_b, pearson, spearman};

    const ALL: [Likeness; 8] = [
        Likeness::Cosine,
        Likeness::Pearson,
        Likeness::Spearman,
        Likeness::KendallTauA,
        Likeness::KendallTauB,
        Likeness::RhoA,
        Likeness::WhitenedCosine,
        Likeness::WhitenedPearson,
    ];

    #[test]
    fn all_likenesses_are_those_of_rsatoolbox_with_and_without_ties() {
        let Some(case) = Case::open("more/similarity/rdm_compare") else { return };
        let names = ["cosine", "corr", "spearman", "tau_a", "kendall", "rho_a", "cosine_cov", "corr_cov"];
        for ties in ["", "_ties"] {
            let (a, b) = (case.matrix(&format!("in_a{ties}")), case.matrix(&format!("in_b{ties}")));
            for (likeness, name) in ALL.into_iter().zip(names) {
                let expected = case.matrix(&format!("out_{name}{ties}"));
                for row in 0..a.rows() {
                    for other in 0..b.rows() {
                        let pair = TrianglePair::new(12, a.row(row), b.row(other), likeness).unwrap();
                        close(pair.value().unwrap(), expected[(row, other)], 1e-10);
                    }
                }
            }
        }
    }

    /// Both triangles drawn explicitly, pairs of a condition with itself left out, and compared by the functions for plain lists.
    fn drawn(size: usize, x: &[f64], y: &[f64], picked: &[usize], likeness: Likeness) -> f64 {
        let place = |a: usize, b: usize| super::super::triangle_place(size, a.min(b), a.max(b));
        let (mut left, mut right, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for (at, &a) in picked.iter().enumerate() {
            for (offset, &b) in picked[at + 1..].iter().enumerate().filter(|(_, b)| **b != a) {
                left.push(x[place(a, b)]);
                right.push(y[place(a, b)]);
                ends.push([at, at + 1 + offset]);
            }
        }
        let cosine = |x: &[f64], y: &[f64]| {
            let inner = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
            inner(x, y) / (inner(x, x) * inner(y, y)).sqrt()
        };
        let white = |values: &[f64]| {
            let covariance = Matrix::from_fn(values.len(), values.len(), |a, b| {
                let common = ends[a].iter().filter(|end| ends[b].contains(end)).count();
                [0.0, 1.0, 4.0][common]
            });
            let factor = crate::factor::Cholesky::new(&covariance).unwrap();
            factor.solve_lower(&Matrix::new(values.len(), 1, values.to_vec()).unwrap()).unwrap().into_values()
        };
        let centred = |values: &[f64]| values.iter().map(|value| value - mean(values)).collect::<Vec<f64>>();
        match likeness {
            Likeness::Cosine => cosine(&left, &right),
            Likeness::Pearson => pearson(&left, &right).unwrap(),
            Likeness::Spearman => spearman(&left, &right).unwrap(),
            Likeness::KendallTauA => kendall_tau_a(&left, &right).unwrap(),
            Likeness::KendallTauB => kendall_tau_b(&left, &right).unwrap(),
            Likeness::RhoA => {
                let n = left.len() as f64;
                let inner: f64 = average_ranks(&left).iter().zip(average_ranks(&right)).map(|(x, y)| x * y).sum();
                12.0 * inner / (n * n * n - n) - 3.0 * (n + 1.0) / (n - 1.0)
            }
            Likeness::WhitenedCosine => cosine(&white(&left), &white(&right)),
            Likeness::WhitenedPearson => cosine(&white(&centred(&left)), &white(&centred(&right))),
        }
    }

    fn counted(size: usize, picked: &[usize]) -> Vec<u32> {
        let mut counts = vec![0; size];
        picked.iter().for_each(|&condition| counts[condition] += 1);
        counts
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn weights_on_one_ranking_give_what_drawing_each_resample_gives(seed: u64, size in 6usize..14, ties: bool) {
            let mut stream = Stream::new(seed);
            let mut triangle = || -> Vec<f64> {
                (0..size * (size - 1) / 2).map(|_| if ties { (stream.uniform() * 5.0).floor() } else { stream.normal() }).collect()
            };
            let (x, y) = (triangle(), triangle());
            let picked: Vec<usize> = (0..size).map(|_| stream.below(size as u64) as usize).collect();
            for likeness in ALL {
                let pair = TrianglePair::new(size, &x, &y, likeness).unwrap();
                let expected = drawn(size, &x, &y, &picked, likeness);
                match pair.resampled(&counted(size, &picked)).unwrap() {
                    Some(found) => prop_assert!((found - expected).abs() < 1e-10, "{likeness:?}: {found} {expected}"),
                    None => prop_assert!(!expected.is_finite() || matches!(likeness, Likeness::WhitenedCosine | Likeness::WhitenedPearson), "{likeness:?}: none, {expected}"),
                }
            }
        }

        #[test]
        fn permuting_is_comparing_with_the_permuted_triangle(seed: u64) {
            let size = 9;
            let mut stream = Stream::new(seed);
            let mut triangle = || -> Vec<f64> { (0..36).map(|_| stream.normal()).collect() };
            let (x, y) = (triangle(), triangle());
            let order = stream.permutation(size);
            let place = |a: usize, b: usize| super::super::triangle_place(size, a.min(b), a.max(b));
            let moved: Vec<f64> = (0..size).flat_map(|a| (a + 1..size).map(move |b| (a, b))).map(|(a, b)| y[place(order[a], order[b])]).collect();
            for likeness in ALL {
                let found = TrianglePair::new(size, &x, &y, likeness).unwrap().permuted_all(std::slice::from_ref(&order)).unwrap()[0].unwrap();
                let expected = TrianglePair::new(size, &x, &moved, likeness).unwrap().value().unwrap();
                prop_assert!((found - expected).abs() < 1e-12, "{likeness:?}: {found} {expected}");
            }
        }
    }

    #[test]
    fn the_weighted_counts_agree_with_counting_for_many_places() {
        let (mut below, mut stream) = (Below::default(), Stream::new(3));
        let places = 10_000;
        below.clear(places);
        let mut plain = vec![0u32; places];
        for _ in 0..400 {
            let (place, weight) = (stream.below(places as u64) as usize, stream.below(5) as u32);
            below.add(place, weight);
            plain[place] += weight;
            let asked = stream.below(places as u64) as usize;
            let less: u32 = plain[..asked].iter().sum();
            assert_eq!(below.at(asked), (less, less + plain[asked]));
        }
    }

    #[test]
    fn constant_sides_have_no_likeness_and_wrong_sizes_are_refused() {
        let x: Vec<f64> = (0..10).map(f64::from).collect();
        for likeness in ALL {
            let constant = TrianglePair::new(5, &x, &[0.3; 10], likeness).unwrap().value();
            let defined = matches!(likeness, Likeness::Cosine | Likeness::WhitenedCosine | Likeness::KendallTauA | Likeness::RhoA);
            assert_eq!(constant.is_some(), defined, "{likeness:?}");
            close(TrianglePair::new(5, &x, &x.clone(), likeness).unwrap().value().unwrap(), 1.0, 1e-12);
            assert!(TrianglePair::new(5, &x[..9], &x[..9], likeness).unwrap_err().to_string().contains("5 conditions have 10 pairs"));
            let pair = TrianglePair::new(5, &x, &x, likeness).unwrap();
            assert!(pair.resampled(&[1; 4]).is_err());
            assert_eq!(pair.resampled(&[5, 0, 0, 0, 0]).unwrap(), None);
            assert!(pair.permuted_all(&[vec![0, 1, 2, 3, 3]]).is_err());
        }
    }

    #[test]
    fn many_resamples_in_parallel_are_those_of_one_at_a_time() {
        let mut stream = Stream::new(8);
        let mut triangle = || -> Vec<f64> { (0..190).map(|_| stream.normal()).collect() };
        let (x, y) = (triangle(), triangle());
        let draws: Vec<Vec<u32>> = (0..30).map(|_| counted(20, &(0..20).map(|_| stream.below(20) as usize).collect::<Vec<_>>())).collect();
        for likeness in ALL {
            let pair = TrianglePair::new(20, &x, &y, likeness).unwrap();
            let one: Vec<Option<f64>> = draws.iter().map(|draw| pair.resampled(draw).unwrap()).collect();
            for threads in [1, 3] {
                assert_eq!(crate::with_threads(threads, || pair.resampled_all(&draws).unwrap()).unwrap(), one);
            }
        }
    }
}
