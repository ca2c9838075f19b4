//! The search for the partition of least description length.
//!
//! Agglomeration from single nodes: many merges at once, chosen among random partners, with sweeps of single moves in between (Peixoto 2014, "Efficient Monte Carlo and greedy
//! heuristic"); a finer pass around the best number of blocks; then merges, splits and moves until rounds bring nothing (merge–split at β = ∞, Peixoto 2020).
//! Work grows with the number of edges times the logarithm of the number of nodes.

use super::description_length::Model;
use super::hierarchy::{self, Counts};
use super::level::Level;
use super::network::Network;
use super::partition::{LEAST, Partition, compact};
use neuroflow_data::random::Stream;
use neuroflow_stage::{CancelToken, StageError};

/// Blocks from which one round of moves between merges is enough: the merges that follow undo most of what more would do.
const MANY: usize = 1024;

/// Ends of edges up to which a partition is stirred when rounds bring nothing.
const STIRRED: usize = 60_000;

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
    let search = Search { network, model, effort, cancel };
    let least = effort.blocks.unwrap_or(1).max(sides(network));
    // From single nodes downwards.
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
    let start = trail.swap_remove(best).of;
    drop(trail);
    let mut stream = stream.split("moves");
    let of = search.refine(start, &mut stream)?;
    let (length, levels) = search.measure(&of, &stream);
    Ok(Found { of, length, levels })
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

fn sides(network: &Network) -> usize {
    if network.sides.is_empty() { 1 } else { 2 }
}

/// One stop on the way down.
struct Step {
    blocks: usize,
    length: f64,
    of: Vec<u32>,
}

fn place_of_best(trail: &[Step]) -> usize {
    (0..trail.len()).min_by(|&a, &b| trail[a].length.total_cmp(&trail[b].length).then(a.cmp(&b))).unwrap_or(0)
}

struct Search<'a> {
    network: &'a Network,
    model: Model,
    effort: Effort,
    cancel: &'a CancelToken,
}

impl<'a> Search<'a> {
    /// Merges down to `least` blocks, a share of `1 / (2 + 4 · fineness)` or so at a time, and keeps what it passes.
    fn descend(&self, mut level: Level, mut of: Vec<u32>, least: usize, fineness: f64, stream: Stream) -> Result<Vec<Step>, StageError> {
        // Large graphs can't afford many tries for each of many blocks.
        let halves = self.network.halves();
        let large = halves > 2_000_000;
        let tries = if large { 4 } else { 10 };
        let rounds = if large { 2 } else { 6 };
        let mut trail: Vec<Step> = Vec::new();
        let mut number = 0;
        loop {
            self.cancel.check()?;
            let blocks = level.count();
            if blocks <= least {
                break;
            }
            let share = if blocks <= 24 { 1.0 } else { blocks as f64 / (if large { 2.0 } else { 3.0 } * fineness) };
            let wanted = (share as usize).clamp(1, blocks - least);
            let into = level.merge(wanted, tries, &stream.split_index(number));
            number += 1;
            let next = into.iter().max().map_or(0, |most| *most as usize + 1);
            if next >= blocks {
                break;
            }
            of.iter_mut().for_each(|block| *block = into[*block as usize]);
            let mut partition = Partition::new(self.network, self.model, of, 0);
            // While blocks are as many as half the nodes, moves are as good as merges and cost more.
            if 4 * next < 3 * self.network.nodes() {
                let worth = 1e-5 * halves as f64;
                let rounds = if next > MANY { 1 } else { rounds };
                partition.sweep(rounds, false, worth, &mut stream.split_index(1 << 32 | number));
            }
            let flat = partition.length();
            let length = if self.effort.nested && next <= 2048 {
                let counts = counts_of(&partition);
                partition.length_without_edge_prior() + hierarchy::fit(&counts, &stream.split("levels")).1
            } else {
                flat
            };
            of = partition.of;
            level = Level::new(self.network, self.model, &of, next);
            let kept = self.effort.blocks.is_none_or(|blocks| next == blocks.max(least));
            if kept {
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
            let partition = Partition::new(self.network, self.model, of, 0);
            trail.push(Step { blocks: partition.count(), length: partition.length(), of: partition.of });
        }
        Ok(trail)
    }

    /// Moves, merges and splits until rounds bring nothing.
    fn refine(&self, of: Vec<u32>, stream: &mut Stream) -> Result<Vec<u32>, StageError> {
        let fixed = self.effort.blocks.is_some();
        let halves = self.network.halves();
        let mut partition = Partition::new(self.network, self.model, compact(&of), 2);
        partition.sweep(if halves > 2_000_000 { 3 } else { 50 }, false, 1e-6, stream);
        let mut best = (self.score(&partition), compact(&partition.of));
        let mut idle = 0;
        let mut round = 0;
        // In large graphs a start is near the best already, and a round is dear.
        let patience = if halves <= STIRRED { self.effort.rounds } else { self.effort.rounds.min(1) };
        while idle < patience && round < 20 * patience {
            self.cancel.check()?;
            round += 1;
            // A round that found nothing is followed by one from a stirred partition: what is near but not next may be better.
            if idle > 0 && halves <= STIRRED {
                let beta = [1.0, 2.0, 0.7][idle % 3];
                (0..3).for_each(|_| partition.stir(beta, stream));
                partition.sweep(10, false, 1e-6, stream);
            }
            self.merges_and_splits(&mut partition, fixed, stream)?;
            let open = !fixed && !self.effort.nested;
            partition.sweep(10, open, 1e-6, stream);
            let now = self.score(&partition);
            if now < best.0 - 1e-6 {
                best = (now, compact(&partition.of));
                idle = 0;
            } else {
                idle += 1;
                if now > best.0 + LEAST {
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
    fn score(&self, partition: &Partition<'_>) -> f64 {
        if self.effort.nested && self.effort.blocks.is_none() && partition.count() <= 2048 {
            partition.length_without_edge_prior() + hierarchy::fit(&counts_of(partition), &Stream::new(0)).1
        } else {
            partition.length()
        }
    }

    /// One attempt to split each block, and merges while one gains. With a fixed number of blocks, a split is kept when it and the best merge gain together.
    fn merges_and_splits(&self, partition: &mut Partition<'a>, fixed: bool, stream: &mut Stream) -> Result<(), StageError> {
        let counts = partition.counts;
        // A nested prior is cheaper by block than a flat one; its marginal price is taken from where the partition is now.
        let price = if self.effort.nested && !fixed { self.marginal_price(partition) } else { None };
        let mut alive = partition.alive();
        stream.shuffle(&mut alive);
        // Of very many blocks only some are tried in a round.
        alive.truncate(512);
        for block in alive {
            self.cancel.check()?;
            if partition.sizes[block as usize] < 2 || partition.spare().is_none() {
                continue;
            }
            let Some(spare) = partition.spare() else { continue };
            let before = partition.counts;
            let (gain, moved) = split(partition, block, spare, stream);
            let gain = match price {
                Some(price) => gain - self.model.edge_prior(partition.counts) + self.model.edge_prior(before) + price,
                None => gain,
            };
            if moved.is_empty() {
                continue;
            }
            let keep = if fixed {
                let price = |counts: [u64; 2]| self.model.count(counts);
                let level = level_of(self.network, self.model, partition);
                match level.1.best_merge_any(price).filter(|(merge, _, _)| gain + merge < -LEAST) {
                    Some((_, a, b)) => {
                        let (a, b) = (level.0[a as usize], level.0[b as usize]);
                        partition.members(b).into_iter().for_each(|node| partition.apply(node, a));
                        true
                    }
                    None => false,
                }
            } else {
                gain < -LEAST
            };
            if !keep {
                moved.into_iter().for_each(|node| partition.apply(node, block));
            } else if partition.spare().is_none() {
                let of = compact(&partition.of);
                *partition = Partition::new(self.network, self.model, of, 2);
                break;
            }
        }
        while !fixed && partition.count() > sides(self.network) && partition.count() <= 512 {
            self.cancel.check()?;
            let (names, level) = level_of(self.network, self.model, partition);
            let flat = |counts: [u64; 2]| self.model.count(counts);
            let by_price =
                |counts: [u64; 2]| self.model.count_without_edges(counts) + price.unwrap_or(0.0) * (counts[0] + counts[1]) as f64;
            let best = if price.is_some() { level.best_merge(by_price) } else { level.best_merge(flat) };
            let Some((_, a, b)) = best else { break };
            let (a, b) = (names[a as usize], names[b as usize]);
            partition.members(b).into_iter().for_each(|node| partition.apply(node, a));
        }
        debug_assert!(!fixed || partition.counts == counts);
        Ok(())
    }

    /// What one more block costs under the nested prior: the mean over blocks of what the counts of edges cost now.
    fn marginal_price(&self, partition: &Partition<'_>) -> Option<f64> {
        let blocks = partition.count();
        if blocks > 2048 {
            return None;
        }
        let now = hierarchy::fit(&counts_of(partition), &Stream::new(0)).1;
        Some(now / blocks as f64)
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

/// The blocks with nodes as a smaller graph, and their numbers in the partition.
fn level_of(network: &Network, model: Model, partition: &Partition<'_>) -> (Vec<u32>, Level) {
    let names = partition.alive();
    let mut place = vec![0u32; partition.sizes.len()];
    names.iter().enumerate().for_each(|(at, block)| place[*block as usize] = at as u32);
    let of: Vec<u32> = partition.of.iter().map(|block| place[*block as usize]).collect();
    let level = Level::new(network, model, &of, names.len());
    (names, level)
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

/// Splits a block in two: seeds, then each node to the better side, then moves between the two. Gives the change and the nodes that are in `spare` now; the caller takes back
/// what it does not want.
fn split(partition: &mut Partition<'_>, block: u32, spare: u32, stream: &mut Stream) -> (f64, Vec<usize>) {
    let members = partition.members(block);
    let mut order = members.clone();
    stream.shuffle(&mut order);
    let mut total = 0.0;
    let step = |partition: &mut Partition<'_>, node: usize, to: u32| {
        let gain = partition.gain_of(node, to);
        partition.apply(node, to);
        gain
    };
    if stream.uniform() < 0.5 {
        // Halves at random.
        let half = (order.len() / 2).max(1);
        for &node in &order[..half] {
            total += step(partition, node, spare);
        }
    } else {
        // Grown from one node, with those that follow it.
        total += step(partition, order[0], spare);
        for &node in &order[1..] {
            if partition.sizes[block as usize] > 1 && partition.gain_of(node, spare) < -LEAST {
                total += step(partition, node, spare);
            }
        }
    }
    for _ in 0..12 {
        let mut improved = false;
        for &node in &order {
            let from = partition.of[node];
            let to = if from == block { spare } else { block };
            // Never empties a side: that would undo the split and hide it.
            if partition.sizes[from as usize] > 1 {
                let gain = partition.gain_of(node, to);
                if gain < -LEAST {
                    partition.apply(node, to);
                    total += gain;
                    improved = true;
                }
            }
        }
        if !improved {
            break;
        }
    }
    let moved = members.into_iter().filter(|&node| partition.of[node] == spare).collect();
    (total, moved)
}

#[cfg(test)]
mod tests {
    use super::super::description_length::Weights;
    use super::*;

    /// Groups of equal size with edges inside at one rate and elsewhere at another; assortative or, with `across`, the other way round.
    fn planted(n: usize, groups: usize, inside: f64, outside: f64, seed: u64) -> (Network, Model, Vec<u32>) {
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
            degree_corrected: false,
            directed: false,
            assortative: false,
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
