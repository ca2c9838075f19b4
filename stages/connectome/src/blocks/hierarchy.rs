//! Blocks of blocks: the nested prior of edge counts (Peixoto 2014, "Hierarchical block structures and high-resolution model selection in large networks").
//!
//! The counts of edges between blocks are a multigraph of their own, described by a block model without degree correction:
//! `Σ_{R<S} ln((n_R n_S, e_RS)) + Σ_R ln((n_R (n_R + 1) / 2, e_RR / 2))` with `((n, k)) = C(n + k − 1, k)` (all ordered pairs when directed), the prior of its partition, and so on
//! upwards until one block is left. Large graphs may then have many small blocks.

use neuroflow_compute::statistics::{log_binomial, log_factorial};
use neuroflow_data::random::Stream;

/// Edge counts between blocks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Counts {
    pub(crate) blocks: usize,
    pub(crate) directed: bool,
    /// `edges[r · blocks + s]`, both ways when undirected; edges inside once.
    pub(crate) edges: Vec<u64>,
    /// The side of each block.
    pub(crate) sides: Vec<u8>,
}

fn multiset(n: u64, k: u64) -> f64 {
    if n == 0 { 0.0 } else { log_binomial(n + k - 1, k) }
}

fn partition_prior(sizes: &[u64], nodes: u64) -> f64 {
    let groups = sizes.iter().filter(|size| **size > 0).count() as u64;
    log_factorial(nodes) - sizes.iter().map(|size| log_factorial(*size)).sum::<f64>()
        + log_binomial(nodes.saturating_sub(1), groups.saturating_sub(1))
        + (nodes.max(1) as f64).ln()
}

impl Counts {
    fn total(&self) -> u64 {
        let b = self.blocks;
        let own = |r: usize| if self.directed { 0..b } else { r..b };
        (0..b).map(|r| own(r).map(|s| self.edges[r * b + s]).sum::<u64>()).sum()
    }

    /// The counts between groups of blocks.
    fn grouped(&self, of: &[usize], groups: usize) -> Counts {
        let b = self.blocks;
        let mut edges = vec![0; groups * groups];
        let mut sides = vec![0; groups];
        for r in 0..b {
            sides[of[r]] = self.sides[r];
            for s in if self.directed { 0..b } else { r..b } {
                let count = self.edges[r * b + s];
                if count > 0 {
                    edges[of[r] * groups + of[s]] += count;
                    if !self.directed && of[r] != of[s] {
                        edges[of[s] * groups + of[r]] += count;
                    }
                }
            }
        }
        Counts { blocks: groups, directed: self.directed, edges, sides }
    }

    /// What groups of these sizes and counts say about the counts below.
    fn between(&self, sizes: &[u64]) -> f64 {
        (0..self.blocks).map(|r| self.row(sizes, r)).sum()
    }

    /// The pairs that row `r` owns.
    fn row(&self, sizes: &[u64], r: usize) -> f64 {
        let first = if self.directed { 0 } else { r };
        (first..self.blocks).map(|s| self.term(sizes, r, s)).sum()
    }

    fn term(&self, sizes: &[u64], r: usize, s: usize) -> f64 {
        let places = if r == s && !self.directed { sizes[r] * (sizes[r] + 1) / 2 } else { sizes[r] * sizes[s] };
        // Blocks of one side never join: those pairs have no places and no edges.
        if r == s && self.sides.contains(&1) && !self.directed { 0.0 } else { multiset(places, self.edges[r * self.blocks + s]) }
    }

    /// All ways to share the edges among pairs of blocks.
    fn flat(&self) -> f64 {
        let b = self.blocks as u64;
        let second = self.sides.iter().filter(|side| **side == 1).count() as u64;
        let pairs = if second > 0 {
            (b - second) * second
        } else if self.directed {
            b * b
        } else {
            b * (b + 1) / 2
        };
        multiset(pairs, self.total())
    }
}

/// The length of edge counts under given levels: `levels[0]` is the group of each block, `levels[1]` the group of each group, and so on; counts
/// between the groups of the last level have the flat prior.
pub(crate) fn length(counts: &Counts, levels: &[Vec<usize>]) -> f64 {
    let mut total = 0.0;
    let mut here = counts.clone();
    for of in levels {
        let groups = of.iter().max().map_or(0, |most| most + 1);
        let mut sizes = vec![0u64; groups];
        of.iter().for_each(|&group| sizes[group] += 1);
        let above = here.grouped(of, groups);
        total += above.between(&sizes) + partition_prior(&sizes, of.len() as u64);
        here = above;
    }
    total + here.flat()
}

/// The levels of least length that a greedy search finds, and the length. No levels when a flat prior is as short.
pub(crate) fn fit(counts: &Counts, stream: &Stream) -> (Vec<Vec<usize>>, f64) {
    let mut levels: Vec<Vec<usize>> = Vec::new();
    let mut here = counts.clone();
    let mut best = (Vec::new(), counts.flat());
    while here.blocks > 2 {
        let of = groups(&here, &mut stream.split_index(levels.len() as u64));
        let count = of.iter().max().map_or(0, |most| most + 1);
        if count >= here.blocks {
            break;
        }
        here = here.grouped(&of, count);
        levels.push(of);
        let found = length(counts, &levels);
        if found < best.1 - 1e-9 {
            best = (levels.clone(), found);
        }
    }
    best
}

/// Groups of blocks by greedy merges under a flat prior above; the number of groups of least length, with at least one merge.
fn groups(counts: &Counts, stream: &mut Stream) -> Vec<usize> {
    let n = counts.blocks;
    let mut of: Vec<usize> = (0..n).collect();
    let mut sizes = vec![1u64; n];
    let mut here = counts.clone();
    let whole = |here: &Counts, sizes: &[u64]| here.between(sizes) + partition_prior(sizes, n as u64) + here.flat();
    let mut best: Option<(Vec<usize>, f64)> = None;
    loop {
        let b = here.blocks;
        let mut candidates: Vec<(f64, usize, usize)> = Vec::new();
        for r in 0..b {
            let partners: Vec<usize> =
                if b <= 48 { (r + 1..b).collect() } else { (0..8).map(|_| stream.below(b as u64) as usize).collect() };
            for s in partners {
                if s != r && here.sides[r] == here.sides[s] {
                    candidates.push((merge_gain(&here, &sizes, r.min(s), r.max(s)), r.min(s), r.max(s)));
                }
            }
        }
        candidates.sort_by(|x, y| x.0.total_cmp(&y.0).then((x.1, x.2).cmp(&(y.1, y.2))));
        let wanted = if b > 48 { b / 6 } else { 1 };
        let mut used = vec![false; b];
        let mut into: Vec<usize> = (0..b).collect();
        let mut merged = 0;
        for (_, r, s) in candidates {
            if merged < wanted && !used[r] && !used[s] {
                (used[r], used[s]) = (true, true);
                into[s] = r;
                merged += 1;
            }
        }
        if merged == 0 {
            break;
        }
        let mut names = vec![usize::MAX; b];
        let mut next = 0;
        for group in 0..b {
            if into[group] == group {
                names[group] = next;
                next += 1;
            }
        }
        let map: Vec<usize> = (0..b).map(|group| names[into[group]]).collect();
        let mut new_sizes = vec![0; next];
        sizes.iter().enumerate().for_each(|(group, size)| new_sizes[map[group]] += size);
        here = here.grouped(&map, next);
        sizes = new_sizes;
        of.iter_mut().for_each(|group| *group = map[*group]);
        let found = whole(&here, &sizes);
        if best.as_ref().is_none_or(|(_, length)| found < *length) {
            best = Some((of.clone(), found));
        }
    }
    best.map_or(of, |(of, _)| of)
}

/// The change of `between` when groups `r` and `s` become one.
fn merge_gain(counts: &Counts, sizes: &[u64], r: usize, s: usize) -> f64 {
    let b = counts.blocks;
    let at = |x: usize, y: usize| counts.edges[x * b + y];
    let whole = sizes[r] + sizes[s];
    let mut change = 0.0;
    for c in (0..b).filter(|&c| c != r && c != s) {
        change += multiset(whole * sizes[c], at(r, c) + at(s, c))
            - multiset(sizes[r] * sizes[c], at(r, c))
            - multiset(sizes[s] * sizes[c], at(s, c));
        if counts.directed {
            change += multiset(whole * sizes[c], at(c, r) + at(c, s))
                - multiset(sizes[r] * sizes[c], at(c, r))
                - multiset(sizes[s] * sizes[c], at(c, s));
        }
    }
    if counts.sides.contains(&1) && !counts.directed {
        return change;
    }
    let (inside, between) = (at(r, r) + at(s, s), if counts.directed { at(r, s) + at(s, r) } else { at(r, s) });
    let places = |size: u64| if counts.directed { size * size } else { size * (size + 1) / 2 };
    change += multiset(places(whole), inside + between) - multiset(places(sizes[r]), at(r, r)) - multiset(places(sizes[s]), at(s, s));
    change - multiset(sizes[r] * sizes[s], at(r, s)) - if counts.directed { multiset(sizes[r] * sizes[s], at(s, r)) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks in `groups` groups, `inside` edges between blocks of one group, one elsewhere.
    fn planted(blocks: usize, groups: usize, inside: u64, directed: bool) -> Counts {
        let mut edges = vec![0; blocks * blocks];
        for r in 0..blocks {
            for s in 0..blocks {
                edges[r * blocks + s] = if r % groups == s % groups { inside } else { 0 };
            }
        }
        Counts { blocks, directed, edges, sides: vec![0; blocks] }
    }

    #[test]
    fn one_group_is_the_flat_prior_and_its_partition_costs_nothing_but_its_number() {
        let counts = planted(5, 2, 3, false);
        let one = length(&counts, &[vec![0; 5]]);
        // ((1, E)) = 1 above; the number of groups is one of five.
        assert!((one - counts.flat() - 5f64.ln()).abs() < 1e-9, "{one} {}", counts.flat());
    }

    #[test]
    fn planted_groups_of_blocks_are_found_and_shorten_the_counts() {
        for directed in [false, true] {
            let counts = planted(24, 3, 20, directed);
            let (levels, found) = fit(&counts, &Stream::new(1));
            assert!(found < counts.flat() - 10.0 && (length(&counts, &levels) - found).abs() < 1e-9);
            let first = &levels[0];
            assert!((0..24).all(|a| (0..24).all(|b| (first[a] == first[b]) == (a % 3 == b % 3))), "{first:?}");
        }
    }

    #[test]
    fn a_gain_is_the_difference_of_the_lengths() {
        for directed in [false, true] {
            let mut counts = planted(6, 2, 5, directed);
            for r in 0..6 {
                for s in 0..6 {
                    counts.edges[r * 6 + s] += ((r + 1) * (s + 1)) as u64 % 4;
                }
            }
            let sizes = [1, 2, 3, 1, 2, 4];
            let before = counts.between(&sizes);
            let merged = counts.grouped(&[0, 1, 2, 1, 3, 4], 5);
            let after = merged.between(&[1, 3, 3, 2, 4]);
            assert!((after - before - merge_gain(&counts, &sizes, 1, 3)).abs() < 1e-9);
        }
    }
}
