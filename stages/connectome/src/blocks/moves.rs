//! Single nodes that move to better blocks.

use super::partition::{Around, LEAST, Partition};
use super::search::LARGE;
use neuroflow_data::random::Stream;
use rayon::prelude::*;

/// Blocks up to which a node tries all of them.
const TRY_ALL: usize = 12;

/// Blocks of neighbours that a node tries when blocks are more.
const NEAR: usize = 8;

/// Neighbours, and neighbours of them, whose blocks a node of a large graph tries: those that it has many edges to are likely among them.
const LIKELY: (usize, usize) = (4, 2);

/// Nodes from which a sweep weighs moves of many nodes at once; the number of threads plays no part.
const MANY_NODES: usize = 20_000;

/// Nodes that are weighed at once, against the same partition.
const BATCH: usize = 2_048;

/// What moves may do to the number of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    /// Nothing.
    Kept,
    /// The last node of a block may leave it.
    Falls,
    /// And a node may found one.
    Free,
}

impl Partition<'_> {
    /// Blocks that the node that was looked around may do well in: those of its neighbours and of their neighbours, one at random, and an empty one where their number is free; all when they are few.
    fn candidates(&self, around: &Around, alive: &[u32], number: Number, stream: &mut Stream, candidates: &mut Vec<u32>) {
        candidates.clear();
        let side = self.network.side(around.node);
        if alive.len() <= TRY_ALL {
            candidates.extend(alive.iter().copied().filter(|&block| self.sizes[block as usize] > 0 && self.side(block) == side));
        } else {
            let near = &around.blocks;
            let own = self.network.of(around.node);
            let large = self.network.halves() > LARGE;
            if near.len() <= if large { LIKELY.0 } else { NEAR } {
                candidates.extend_from_slice(near);
            } else if large {
                (0..LIKELY.0).for_each(|_| candidates.push(self.of[own[stream.below(own.len() as u64) as usize].other as usize]));
            } else {
                (0..NEAR).for_each(|_| candidates.push(near[stream.below(near.len() as u64) as usize]));
            }
            if !own.is_empty() {
                for _ in 0..if large { LIKELY.1 } else { 3 } {
                    let other = self.network.of(own[stream.below(own.len() as u64) as usize].other as usize);
                    candidates.push(self.of[other[stream.below(other.len() as u64) as usize].other as usize]);
                }
            }
            candidates.push(alive[stream.below(alive.len() as u64) as usize]);
            candidates.retain(|&block| self.sizes[block as usize] > 0 && self.side(block) == side);
            candidates.sort_unstable();
            candidates.dedup();
        }
        if number == Number::Free
            && let Some(spare) = self.spare()
        {
            candidates.push(spare);
        }
    }

    /// The best block that a node tries, and what moving there changes; its own when none is better.
    fn best(&self, node: usize, alive: &[u32], number: Number, stream: &mut Stream, scratch: &mut Scratch) -> (f64, u32) {
        self.look(node, &mut scratch.around);
        self.candidates(&scratch.around, alive, number, stream, &mut scratch.candidates);
        let mut best = (-LEAST, self.of[node]);
        for &to in &scratch.candidates {
            let gain = self.gain(&scratch.around, to);
            if gain < best.0 {
                best = (gain, to);
            }
        }
        best
    }

    /// Moves single nodes to the best block that they try, in random order, until a round gains less than `least`, at most `rounds` times. Gives the change of description length.
    pub(crate) fn sweep(&mut self, rounds: usize, number: Number, least: f64, stream: &mut Stream) -> f64 {
        let mut total = 0.0;
        // After the first round, only nodes with a neighbour that moved have much to reconsider.
        let mut awake = vec![true; self.of.len()];
        let mut scratch = Scratch::default();
        for _ in 0..rounds {
            let alive = self.alive();
            if alive.len() < 2 && number != Number::Free {
                return total;
            }
            let mut order = stream.permutation(self.of.len());
            order.retain(|&node| std::mem::take(&mut awake[node]));
            let gained = if self.of.len() < MANY_NODES {
                self.one_by_one(&order, &alive, number, stream, &mut awake, &mut scratch)
            } else {
                let stream = Stream::new(stream.next_u64());
                self.many_at_once(&order, &alive, number, &stream, &mut awake, &mut scratch)
            };
            total += gained;
            if gained > -least.max(LEAST) {
                break;
            }
        }
        total
    }

    fn one_by_one(
        &mut self,
        order: &[usize],
        alive: &[u32],
        number: Number,
        stream: &mut Stream,
        awake: &mut [bool],
        scratch: &mut Scratch,
    ) -> f64 {
        let mut gained = 0.0;
        for &node in order {
            let from = self.of[node];
            if number == Number::Kept && self.sizes[from as usize] == 1 {
                continue;
            }
            let (gain, to) = self.best(node, alive, number, stream, scratch);
            if to != from {
                self.apply(&scratch.around, to);
                gained += gain;
                self.network.of(node).iter().for_each(|half| awake[half.other as usize] = true);
            }
        }
        gained
    }

    /// Weighs a batch of nodes against one partition, on all threads; then makes the moves that still gain, in order.
    fn many_at_once(
        &mut self,
        order: &[usize],
        alive: &[u32],
        number: Number,
        stream: &Stream,
        awake: &mut [bool],
        scratch: &mut Scratch,
    ) -> f64 {
        let mut gained = 0.0;
        for batch in order.chunks(BATCH) {
            let here = &*self;
            let weigh = |scratch: &mut Scratch, &node: &usize| {
                if number == Number::Kept && here.sizes[here.of[node] as usize] == 1 {
                    return None;
                }
                let (_, to) = here.best(node, alive, number, &mut stream.split_index(node as u64), scratch);
                (to != here.of[node]).then_some((node, to))
            };
            let wanted: Vec<Option<(usize, u32)>> = batch.par_iter().with_min_len(64).map_init(Scratch::default, weigh).collect();
            for (node, to) in wanted.into_iter().flatten() {
                let (last, new) = (self.sizes[self.of[node] as usize] == 1, self.sizes[to as usize] == 0);
                if (last && number == Number::Kept) || (new && number != Number::Free) {
                    continue;
                }
                self.look(node, &mut scratch.around);
                let gain = self.gain(&scratch.around, to);
                if gain < -LEAST {
                    self.apply(&scratch.around, to);
                    gained += gain;
                    self.network.of(node).iter().for_each(|half| awake[half.other as usize] = true);
                }
            }
        }
        gained
    }

    /// As `sweep`, one round in which moves are drawn by their weight `exp(−β gain)` (heat bath), blocks neither appearing nor vanishing.
    pub(crate) fn stir(&mut self, beta: f64, stream: &mut Stream) {
        let alive = self.alive();
        let mut scratch = Scratch::default();
        let mut gains: Vec<f64> = Vec::new();
        for node in stream.permutation(self.of.len()) {
            let from = self.of[node];
            if self.sizes[from as usize] == 1 {
                continue;
            }
            self.look(node, &mut scratch.around);
            self.candidates(&scratch.around, &alive, Number::Kept, stream, &mut scratch.candidates);
            if !scratch.candidates.contains(&from) {
                scratch.candidates.push(from);
            }
            gains.clear();
            gains.extend(scratch.candidates.iter().map(|&to| self.gain(&scratch.around, to)));
            let least = gains.iter().copied().fold(f64::INFINITY, f64::min);
            let total: f64 = gains.iter().map(|gain| (-beta * (gain - least)).exp()).sum();
            let mut draw = stream.uniform() * total;
            for (&to, gain) in scratch.candidates.iter().zip(&gains) {
                draw -= (-beta * (gain - least)).exp();
                if draw <= 0.0 {
                    self.apply(&scratch.around, to);
                    break;
                }
            }
        }
    }
}

/// Room that weighing a node needs.
#[derive(Debug, Default)]
struct Scratch {
    around: Around,
    candidates: Vec<u32>,
}

#[cfg(test)]
mod tests {
    use super::super::description_length::Weights;
    use super::super::partition::tests::{models, network};
    use super::*;

    #[test]
    fn a_sweep_never_lengthens_and_tells_what_it_gained() {
        let (network, edges) = network(60, 0.2, false, false, 2);
        for model in models(&network, edges, &[Weights::exponential(0.4)]) {
            for many in [false, true] {
                let mut partition = Partition::new(&network, model, (0..60).map(|node| node % 7).collect(), 1);
                let before = partition.length();
                let gain = if many {
                    let (order, alive): (Vec<usize>, _) = ((0..60).collect(), partition.alive());
                    partition.many_at_once(&order, &alive, Number::Free, &Stream::new(3), &mut [false; 60], &mut Scratch::default())
                } else {
                    partition.sweep(5, Number::Free, 0.0, &mut Stream::new(3))
                };
                assert!(gain <= 0.0 && (partition.length() - before - gain).abs() < 1e-6);
            }
        }
    }
}
