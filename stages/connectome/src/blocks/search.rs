//! The search for the partition of least description length.
//!
//! Agglomeration from single nodes (of large graphs in [`super::narrow`]): many merges at once, chosen among random partners, with sweeps of single moves in between (Peixoto 2014, "Efficient Monte Carlo and greedy
//! heuristic"); a finer pass around the best number of blocks; then merges, splits and moves until rounds bring nothing ([`super::splits`]).
//! Work grows with the number of edges times the logarithm of the number of nodes.

use super::description_length::{Model, Weights};
use super::hierarchy::{self, Counts};
use super::level::Level;
use super::moves::Number;
use super::network::{Half, Network};
use super::partition::{LEAST, Partition, compact};
use super::splits::merges_and_splits;
use crate::modularity::{Quality, leiden};
use neuroflow_data::random::Stream;
use neuroflow_stage::{CancelToken, StageError};

/// Ends of edges up to which no effort is spared: a partition is stirred when rounds bring nothing, and there are more starts.
pub(crate) const STIRRED: usize = 60_000;

/// Ends of edges from which each step must be worth its while.
pub(crate) const LARGE: usize = 1_000_000;

/// Blocks up to which a hierarchy is fitted in passing.
const NESTED: usize = 2048;

/// How hard to search.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// The number of blocks, if it is given.
    pub(crate) blocks: Option<usize>,
    /// Blocks of blocks instead of a flat prior.
    pub(crate) nested: bool,
    /// Rounds of merges and splits that may bring nothing before the search ends.
    pub(crate) rounds: usize,
}

/// What a search came to.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// The block of each node, numbered from 0 in the order of first appearance.
    pub(crate) of: Vec<u32>,
    /// The description length in nats.
    pub(crate) length: f64,
    /// For a nested model the group of each block, of each group, and so on.
    pub(crate) levels: Vec<Vec<usize>>,
}

/// The best partition found from one random stream.
pub(crate) fn search(network: &Network, model: Model, effort: Effort, stream: &Stream, cancel: &CancelToken) -> Result<Found, StageError> {
    let start = start(network, model, effort, stream, cancel)?;
    refine(network, model, effort, &start, stream, cancel)
}

/// The best partition on the way from single nodes to few blocks.
pub(crate) fn start(
    network: &Network,
    model: Model,
    effort: Effort,
    stream: &Stream,
    cancel: &CancelToken,
) -> Result<Vec<u32>, StageError> {
    let search = Search { network, model, effort, cancel };
    let least = effort.blocks.unwrap_or(1).max(sides(network));
    let mut found = Vec::new();
    if model.assortative {
        // Communities of greatest modularity are near those that describe best, and moves from single nodes often miss both: many nodes alone beside one large block.
        let of = likely_communities(network, model, &stream.split("communities"), cancel)?;
        if count(&of) >= least {
            let level = Level::new(network, model, &of, count(&of));
            let whole = Step { blocks: count(&of), length: Partition::new(network, model, of.clone(), 0).length(), of: of.clone() };
            found.push(whole);
            found.extend(if network.halves() > LARGE {
                search.narrow(level, of, least, &stream.split("merged"))?
            } else {
                search.descend(level, of, least, 4.0, stream.split("merged"))?
            });
            if effort.blocks.is_some() {
                found.retain(|step| step.blocks == least);
            }
        }
    }
    if found.is_empty() && network.halves() > LARGE {
        found = search.narrow(Level::singletons(network, model), identity(network.nodes()), least, &stream.split("coarse"))?;
    } else if found.is_empty() || network.halves() <= STIRRED {
        let mut trail = search.descend(Level::singletons(network, model), identity(network.nodes()), least, 1.0, stream.split("coarse"))?;
        let best = place_of_best(&trail);
        // Once more from the step before the best, a few blocks at a time.
        if best > 0 {
            let from = trail[best - 1].of.clone();
            let lowest = trail.get(best + 1).map_or(least, |step| step.blocks.max(least));
            let blocks = trail[best - 1].blocks;
            let level = Level::new(network, model, &from, blocks);
            trail.extend(search.descend(level, from, lowest, 4.0, stream.split("fine"))?);
        }
        let best = place_of_best(&trail);
        found.push(trail.swap_remove(best));
    }
    let best = place_of_best(&found);
    Ok(found.swap_remove(best).of)
}

/// Communities of great modularity.
fn likely_communities(network: &Network, model: Model, stream: &Stream, cancel: &CancelToken) -> Result<Vec<u32>, StageError> {
    let weight = |weight: f64| match model.weights {
        Weights::None => 1.0,
        // Standardised ones are of either sign.
        Weights::Normal => 1.0 / (1.0 + (-weight).exp()),
        _ => weight,
    };
    let edges: Vec<(usize, usize, f64)> = (0..network.nodes())
        .flat_map(|node| {
            let own = move |half: &&Half| if network.directed { half.way == 0 } else { half.other as usize > node };
            network.of(node).iter().filter(own).map(move |half| (node, half.other as usize, weight(half.weight)))
        })
        .collect();
    Ok(leiden(network.nodes(), &edges, network.directed, Quality::Modularity, 1.0, 2, stream, cancel)?.0)
}

pub(super) fn count(of: &[u32]) -> usize {
    of.iter().max().map_or(0, |most| *most as usize + 1)
}

/// The best partition that moves, merges and splits lead to from a given one.
pub(crate) fn refine(
    network: &Network,
    model: Model,
    effort: Effort,
    from: &[u32],
    stream: &Stream,
    cancel: &CancelToken,
) -> Result<Found, StageError> {
    let search = Search { network, model, effort, cancel };
    let stream = stream.split("moves");
    let of = search.refine(compact(from), &mut stream.clone())?;
    let (length, levels) = search.measure(&of, &stream);
    Ok(Found { of, length, levels })
}

/// What moves of single nodes alone make of a partition, and its length.
pub(crate) fn settle(network: &Network, model: Model, effort: Effort, from: &[u32], stream: &Stream) -> Found {
    let search = Search { network, model, effort, cancel: &CancelToken::new() };
    let mut partition = Partition::new(network, model, compact(from), 0);
    partition.sweep(10, Number::Kept, 1e-6, &mut stream.split("settle"));
    let of = compact(&partition.of);
    let (length, levels) = search.measure(&of, stream);
    Found { of, length, levels }
}

/// The description length of a given partition: flat, or with the best levels that are found.
pub(crate) fn description_length(network: &Network, model: Model, of: &[u32], nested: bool) -> f64 {
    let search = Search { network, model, effort: Effort { blocks: None, nested, rounds: 0 }, cancel: &CancelToken::new() };
    search.measure(&compact(of), &Stream::new(0)).0
}

/// The partition without any: one block, or one a side.
pub(crate) fn single(network: &Network) -> Vec<u32> {
    compact(&(0..network.nodes()).map(|node| network.side(node) as u32).collect::<Vec<_>>())
}

fn identity(n: usize) -> Vec<u32> {
    (0..n as u32).collect()
}

pub(super) fn sides(network: &Network) -> usize {
    if network.sides.is_empty() { 1 } else { 2 }
}

/// One stop on the way down.
pub(super) struct Step {
    pub(super) blocks: usize,
    pub(super) length: f64,
    pub(super) of: Vec<u32>,
}

pub(super) fn place_of_best(trail: &[Step]) -> usize {
    (0..trail.len()).min_by(|&a, &b| trail[a].length.total_cmp(&trail[b].length).then(a.cmp(&b))).unwrap_or(0)
}

pub(super) struct Search<'a> {
    pub(super) network: &'a Network,
    pub(super) model: Model,
    pub(super) effort: Effort,
    pub(super) cancel: &'a CancelToken,
}

impl Search<'_> {
    /// Merges down to `least` blocks, a share of `1 / (3 · fineness)` or so at a time, and keeps what it passes.
    fn descend(&self, mut level: Level, mut of: Vec<u32>, least: usize, fineness: f64, stream: Stream) -> Result<Vec<Step>, StageError> {
        let halves = self.network.halves();
        let singly = if halves <= STIRRED { 24 } else { 6 };
        let crowd = self.crowd();
        let mut trail: Vec<Step> = Vec::new();
        let mut number = 0;
        loop {
            self.cancel.check()?;
            let blocks = level.count();
            // Far below the best number, nothing is to be found but none.
            let low = fineness == 1.0
                && !trail.is_empty()
                && blocks > sides(self.network)
                && 3 * blocks < trail[place_of_best(&trail)].blocks
                && self.effort.blocks.is_none();
            if blocks <= least || low {
                if low {
                    trail.push(Self::step(Partition::new(self.network, self.model, single(self.network), 0)));
                }
                break;
            }
            let share = if blocks <= singly { 1.0 } else { blocks as f64 / (3.0 * fineness) };
            let wanted = (share as usize).clamp(1, blocks - least);
            let into = level.merge(wanted, 10, &stream.split_index(number));
            number += 1;
            let next = count(&into);
            if next >= blocks {
                break;
            }
            of.iter_mut().for_each(|block| *block = into[*block as usize]);
            let fixed = self.effort.blocks.map(|blocks| blocks.max(least));
            if next > crowd && fixed.is_none_or(|blocks| next > blocks) {
                level = Level::new(self.network, self.model, &of, next);
                continue;
            }
            let mut partition = Partition::new(self.network, self.model, of, 0);
            // Where only inside and outside count, more blocks than there are groups are of no use, and would be left with a node each.
            let falls = self.model.assortative && fixed.is_none();
            let kept = if falls { Number::Falls } else { Number::Kept };
            partition.sweep(6, kept, 1e-5 * halves as f64, &mut stream.split_index(1 << 32 | number));
            let next = partition.count();
            let length = if self.effort.nested && next <= NESTED {
                let counts = counts_of(&partition);
                partition.length_without_edge_prior() + hierarchy::fit(&counts, &stream.split("levels")).1
            } else {
                partition.length()
            };
            of = if falls { compact(&partition.of) } else { partition.of };
            level = Level::new(self.network, self.model, &of, next);
            if fixed.is_none_or(|blocks| next == blocks) {
                // Of what is worse than the best, only the neighbours of the best are ever used.
                trail.push(Step { blocks: next, length, of: of.clone() });
                if trail.len() > 2 {
                    let best = place_of_best(&trail);
                    for (place, step) in trail.iter_mut().enumerate() {
                        if place + 1 < best {
                            step.of = Vec::new();
                        }
                    }
                }
            }
        }
        if trail.is_empty() {
            trail.push(Self::step(Partition::new(self.network, self.model, of, 0)));
        }
        Ok(trail)
    }

    /// More blocks than so no flat model of this size has: until then, moves are as good as merges and cost more.
    pub(super) fn crowd(&self) -> usize {
        let most = if self.effort.nested { 4.0 } else { 1.5 } * (self.network.halves() as f64 / 2.0).sqrt();
        most.max(64.0).min(0.75 * self.network.nodes() as f64) as usize
    }

    fn step(partition: Partition<'_>) -> Step {
        Step { blocks: partition.count(), length: partition.length(), of: partition.of }
    }

    /// Moves, merges and splits until rounds bring nothing.
    fn refine(&self, of: Vec<u32>, stream: &mut Stream) -> Result<Vec<u32>, StageError> {
        let fixed = self.effort.blocks.is_some();
        let halves = self.network.halves();
        let mut partition = Partition::new(self.network, self.model, of, 2);
        partition.sweep(if halves > LARGE { 4 } else { 50 }, Number::Kept, 1e-6, stream);
        let mut best = (self.score(&partition), compact(&partition.of));
        let mut idle = 0;
        let mut round = 0;
        // In large graphs a start is near the best already, and a round is dear.
        let patience = if halves <= STIRRED { self.effort.rounds } else { self.effort.rounds.min(1) };
        let most = if halves <= STIRRED { 20 * patience } else { 4 * patience };
        while idle < patience && round < most {
            self.cancel.check()?;
            round += 1;
            // A round that found nothing is followed by one from a stirred partition: what is near but not next may be better.
            if idle > 0 && halves <= STIRRED {
                let beta = [1.0, 2.0, 0.7][idle % 3];
                (0..3).for_each(|_| partition.stir(beta, stream));
                partition.sweep(10, Number::Kept, 1e-6, stream);
            }
            merges_and_splits(self, &mut partition, fixed, stream)?;
            let number = if fixed || self.effort.nested { Number::Kept } else { Number::Free };
            partition.sweep(if halves > LARGE { 3 } else { 10 }, number, 1e-6, stream);
            let now = self.score(&partition);
            // In large graphs a round must be worth its while.
            let worth = if halves > STIRRED { 1e-5 * halves as f64 } else { 1e-6 };
            if now < best.0 - worth {
                best = (now, compact(&partition.of));
                idle = 0;
            } else {
                idle += 1;
                if now < best.0 - 1e-6 {
                    best = (now, compact(&partition.of));
                } else if now > best.0 + LEAST {
                    partition = Partition::new(self.network, self.model, best.1.clone(), 2);
                }
            }
            if partition.spare().is_none() {
                partition = Partition::new(self.network, self.model, compact(&partition.of), 2);
            }
        }
        Ok(best.1)
    }

    /// The length that merges and splits are judged by: with the flat prior, or with a hierarchy that is fitted anew.
    pub(super) fn score(&self, partition: &Partition<'_>) -> f64 {
        if self.effort.nested && self.effort.blocks.is_none() && partition.count() <= NESTED {
            partition.length_without_edge_prior() + hierarchy::fit(&counts_of(partition), &Stream::new(0)).1
        } else {
            partition.length()
        }
    }

    /// What one more block costs under the nested prior: the mean over blocks of what the counts of edges cost now. None where the prior is flat.
    pub(super) fn marginal_price(&self, partition: &Partition<'_>) -> Option<f64> {
        let blocks = partition.count();
        if !self.effort.nested || self.effort.blocks.is_some() || blocks > NESTED {
            return None;
        }
        Some(hierarchy::fit(&counts_of(partition), &Stream::new(0)).1 / blocks as f64)
    }

    /// The length of a partition, and the levels above it.
    fn measure(&self, of: &[u32], stream: &Stream) -> (f64, Vec<Vec<usize>>) {
        let partition = Partition::new(self.network, self.model, of.to_vec(), 0);
        if !self.effort.nested {
            return (partition.length(), Vec::new());
        }
        let (levels, length) = hierarchy::fit(&counts_of(&partition), &stream.split("levels"));
        (partition.length_without_edge_prior() + length, levels)
    }
}

/// Edge counts between the blocks with nodes, in their order.
fn counts_of(partition: &Partition<'_>) -> Counts {
    let alive = partition.alive();
    let blocks = alive.len();
    let mut place = vec![0; partition.sizes.len()];
    alive.iter().enumerate().for_each(|(at, block)| place[*block as usize] = at);
    let mut edges = vec![0; blocks * blocks];
    let directed = partition.model.directed;
    partition.each_pair(|r, s, pair| {
        let (r, s) = (place[r as usize], place[s as usize]);
        edges[r * blocks + s] = pair.edges;
        if !directed {
            edges[s * blocks + r] = pair.edges;
        }
    });
    Counts { blocks, directed, edges, sides: alive.iter().map(|&block| partition.side(block) as u8).collect() }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::description_length::{Degrees, Weights};
    use super::*;

    /// Groups of equal size with edges inside at one rate and elsewhere at another; assortative or, with `across`, the other way round.
    pub(crate) fn planted(n: usize, groups: usize, inside: f64, outside: f64, seed: u64) -> (Network, Model, Vec<u32>) {
        let mut stream = Stream::new(seed);
        let truth: Vec<u32> = (0..n).map(|node| (node % groups) as u32).collect();
        let mut edges = Vec::new();
        for a in 0..n {
            for b in a + 1..n {
                if stream.uniform() < if truth[a] == truth[b] { inside } else { outside } {
                    edges.push((a, b, 1.0));
                }
            }
        }
        let model = Model {
            weights: Weights::None,
            degrees: Degrees::Free,
            directed: false,
            assortative: false,
            equal_chances: false,
            nodes: [n as u64, 0],
            edges: edges.len() as u64,
        };
        (Network::new(n, &edges, false, Vec::new()), model, truth)
    }

    fn run(network: &Network, model: Model, blocks: Option<usize>, nested: bool) -> Found {
        let effort = Effort { blocks, nested, rounds: 3 };
        search(network, model, effort, &Stream::new(4), &CancelToken::new()).unwrap()
    }

    #[test]
    fn groups_are_found_whether_they_seek_or_shun_their_own() {
        for (inside, outside) in [(0.5, 0.05), (0.02, 0.35)] {
            let (network, model, truth) = planted(90, 3, inside, outside, 3);
            let found = run(&network, model, None, false);
            assert_eq!(found.of, compact(&truth), "{inside} {outside}");
            assert!((found.length - description_length(&network, model, &truth, false)).abs() < 1e-6);
            assert_eq!(run(&network, model, None, true).of, compact(&truth));
        }
    }

    #[test]
    fn noise_has_one_block_and_a_fixed_number_is_kept() {
        let (network, model, _) = planted(80, 1, 0.2, 0.2, 8);
        assert_eq!(run(&network, model, None, false).of, vec![0; 80]);
        for blocks in [2, 5] {
            let found = run(&network, model, Some(blocks), false);
            assert_eq!(*found.of.iter().max().unwrap() as usize + 1, blocks);
        }
    }

    #[test]
    fn faint_groups_that_seek_their_own_are_found_by_the_assortative_model() {
        let (network, mut model, truth) = planted(120, 3, 0.2, 0.07, 11);
        let agreement = |found: &Found| {
            let positions = |of: &[u32]| of.iter().map(|block| *block as usize).collect::<Vec<_>>();
            neuroflow_compute::statistics::adjusted_rand_index(&positions(&found.of), &positions(&truth)).unwrap()
        };
        model.assortative = true;
        let found = run(&network, model, Some(3), false);
        assert!(agreement(&found) > 0.6, "{}", agreement(&found));
        assert!(found.length <= description_length(&network, model, &truth, false) + 1e-6);
    }

    #[test]
    fn many_small_groups_are_found_by_the_nested_model() {
        let (network, model, truth) = planted(240, 24, 0.8, 0.01, 5);
        let found = run(&network, model, None, true);
        let nmi = neuroflow_compute::statistics::normalised_mutual_information(
            &found.of.iter().map(|block| *block as usize).collect::<Vec<_>>(),
            &truth.iter().map(|block| *block as usize).collect::<Vec<_>>(),
        );
        assert!(nmi.unwrap() > 0.98, "{found:?}");
        assert!(found.length <= description_length(&network, model, &truth, true) + 1.0);
    }
}
