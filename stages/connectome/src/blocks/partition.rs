//! A partition of the nodes of a network, and what its description length gains when one node moves.

use super::description_length::{Model, Pair};
use super::network::Network;
use super::table::Table;
use neuroflow_data::random::Stream;

/// A change below this is rounding.
pub(crate) const LEAST: f64 = 1e-9;

/// Blocks up to which a node tries all of them.
const TRY_ALL: usize = 12;

/// Blocks of neighbours that a node tries when blocks are more.
const NEAR: usize = 8;

/// A partition with the statistics that description lengths are made of.
#[derive(Debug, Clone)]
pub(crate) struct Partition<'n> {
    pub(crate) network: &'n Network,
    pub(crate) model: Model,
    pub(crate) of: Vec<u32>,
    pub(crate) sizes: Vec<u64>,
    ends: Vec<[u64; 2]>,
    sides: Vec<u8>,
    table: Table,
    /// Blocks with nodes, on each side.
    pub(crate) counts: [u64; 2],
    empty: Vec<u32>,
    /// All edges inside of blocks, all others, and the pairs of nodes inside of blocks.
    inside: Pair,
    outside: Pair,
    pairs_inside: u64,
    around: Around,
}

/// The edges of one node by the block of the other end.
#[derive(Debug, Clone, Default)]
struct Around {
    blocks: Vec<u32>,
    /// Edges to the block (all when undirected), and from it.
    edges: Vec<[Pair; 2]>,
    /// For each block its place in `blocks`, `NONE` when the node has no edge there.
    place: Vec<u32>,
    /// What the pairs of the node's own block lose, summed and for each place.
    lost: Vec<f64>,
    total_lost: f64,
}

const NONE: u32 = u32::MAX;

impl<'n> Partition<'n> {
    /// The partition `of`, blocks numbered from 0; `spare` empty blocks are kept for splits.
    pub(crate) fn new(network: &'n Network, model: Model, of: Vec<u32>, spare: usize) -> Partition<'n> {
        let blocks = of.iter().max().map_or(0, |most| *most as usize + 1);
        let capacity = blocks + spare;
        let mut sides = vec![u8::MAX; capacity];
        let mut partition = Partition {
            network,
            model,
            sizes: vec![0; capacity],
            ends: vec![[0; 2]; capacity],
            sides: Vec::new(),
            table: Table::new(capacity, network.halves().min(capacity.saturating_mul(capacity))),
            counts: [0; 2],
            empty: Vec::new(),
            inside: Pair::default(),
            outside: Pair::default(),
            pairs_inside: 0,
            around: Around { place: vec![NONE; capacity], ..Around::default() },
            of,
        };
        for node in 0..network.nodes() {
            let block = partition.of[node];
            let at = block as usize;
            partition.sizes[at] += 1;
            partition.ends[at][0] += network.degrees[0][node];
            partition.ends[at][1] += network.degrees[1][node];
            sides[at] = network.side(node) as u8;
            for half in network.of(node) {
                let other = half.other as usize;
                let own = if network.directed { half.way == 0 } else { other > node };
                if own {
                    let key = partition.key(block, partition.of[other]);
                    let one = Pair::one(half.weight);
                    let pair = partition.table.at(key.0, key.1);
                    *pair = pair.plus(&one);
                    let sum = if key.0 == key.1 { &mut partition.inside } else { &mut partition.outside };
                    *sum = sum.plus(&one);
                }
            }
        }
        for (block, side) in sides.iter().enumerate() {
            match *side {
                u8::MAX => partition.empty.push(block as u32),
                side => partition.counts[usize::from(side)] += 1,
            }
        }
        partition.sides = sides;
        partition.pairs_inside = partition.sizes.iter().map(|size| pairs_of(*size, network.directed)).sum();
        partition
    }

    #[inline]
    fn key(&self, r: u32, s: u32) -> (u32, u32) {
        if self.model.directed || r <= s { (r, s) } else { (s, r) }
    }

    /// The edges from `r` to `s`.
    #[inline]
    pub(crate) fn pair(&self, r: u32, s: u32) -> Pair {
        let (r, s) = self.key(r, s);
        self.table.get(r, s)
    }

    /// Calls `work(r, s, pair)` for all pairs of blocks with edges.
    pub(crate) fn each_pair(&self, work: impl FnMut(u32, u32, &Pair)) {
        self.table.each(work);
    }

    /// Blocks with nodes.
    pub(crate) fn count(&self) -> usize {
        (self.counts[0] + self.counts[1]) as usize
    }

    /// The blocks with nodes, in order.
    pub(crate) fn alive(&self) -> Vec<u32> {
        (0..self.sizes.len() as u32).filter(|&block| self.sizes[block as usize] > 0).collect()
    }

    /// An empty block, if one is left.
    pub(crate) fn spare(&self) -> Option<u32> {
        self.empty.last().copied()
    }

    /// The side of a block with nodes.
    pub(crate) fn side(&self, block: u32) -> usize {
        match self.sides[block as usize] {
            u8::MAX => 0,
            side => usize::from(side),
        }
    }

    /// The description length in nats.
    pub(crate) fn length(&self) -> f64 {
        self.length_without_edge_prior() + self.model.edge_prior(self.counts)
    }

    /// The description length but for what says how many edges run between blocks.
    pub(crate) fn length_without_edge_prior(&self) -> f64 {
        let mut total = self.model.constant(&self.network.degrees)
            + self.model.constant_of_weights(self.network.weights())
            + self.model.count_without_edges(self.counts);
        for (size, ends) in self.sizes.iter().zip(&self.ends) {
            total += self.model.block(*size, *ends);
        }
        if self.model.assortative {
            return total + self.model.pooled(&self.inside, &self.outside, self.pairs_inside);
        }
        // Pairs in order, so that the sum does not depend on where they lie.
        let mut pairs: Vec<(u32, u32, f64)> = Vec::new();
        self.table.each(|r, s, pair| pairs.push((r, s, self.model.pair(pair, r == s))));
        pairs.sort_unstable_by_key(|(r, s, _)| (*r, *s));
        total + pairs.iter().map(|(_, _, length)| length).sum::<f64>()
    }

    /// Looks around a node: fills `around` and what leaving its block loses.
    fn look(&mut self, node: usize) {
        let network = self.network;
        for &block in &self.around.blocks {
            self.around.place[block as usize] = NONE;
        }
        self.around.blocks.clear();
        self.around.edges.clear();
        self.around.lost.clear();
        for half in network.of(node) {
            let block = self.of[half.other as usize];
            let mut place = self.around.place[block as usize];
            if place == NONE {
                place = self.around.blocks.len() as u32;
                self.around.place[block as usize] = place;
                self.around.blocks.push(block);
                self.around.edges.push([Pair::default(); 2]);
            }
            let pair = &mut self.around.edges[place as usize][usize::from(half.way)];
            *pair = pair.plus(&Pair::one(half.weight));
        }
        if self.model.assortative {
            return;
        }
        let from = self.of[node];
        let mut total = 0.0;
        for place in 0..self.around.blocks.len() {
            let block = self.around.blocks[place];
            let lost = if block == from { 0.0 } else { self.less(from, block, &self.around.edges[place]) };
            total += lost;
            self.around.lost.push(lost);
        }
        self.around.total_lost = total;
    }

    /// The change when pair (r, s) and, when directed, (s, r) lose edges.
    fn less(&self, r: u32, s: u32, edges: &[Pair; 2]) -> f64 {
        let mut change = self.change(&self.pair(r, s), |pair| pair.minus(&edges[0]), false, &edges[0]);
        if self.model.directed {
            change += self.change(&self.pair(s, r), |pair| pair.minus(&edges[1]), false, &edges[1]);
        }
        change
    }

    /// As `less`, for a gain.
    fn more(&self, r: u32, s: u32, edges: &[Pair; 2]) -> f64 {
        let mut change = self.change(&self.pair(r, s), |pair| pair.plus(&edges[0]), false, &edges[0]);
        if self.model.directed {
            change += self.change(&self.pair(s, r), |pair| pair.plus(&edges[1]), false, &edges[1]);
        }
        change
    }

    #[inline]
    fn change(&self, pair: &Pair, to: impl Fn(&Pair) -> Pair, same: bool, by: &Pair) -> f64 {
        if by.edges == 0 { 0.0 } else { self.model.pair(&to(pair), same) - self.model.pair(pair, same) }
    }

    /// The change of description length (flat prior) when the node last looked around moves to `to`.
    fn gain(&self, node: usize, to: u32) -> f64 {
        let from = self.of[node];
        if from == to {
            return 0.0;
        }
        let model = &self.model;
        let degrees = [self.network.degrees[0][node], self.network.degrees[1][node]];
        let (f, t) = (from as usize, to as usize);
        let less = [self.ends[f][0] - degrees[0], self.ends[f][1] - degrees[1]];
        let more = [self.ends[t][0] + degrees[0], self.ends[t][1] + degrees[1]];
        let mut change = model.block(self.sizes[f] - 1, less) + model.block(self.sizes[t] + 1, more)
            - model.block(self.sizes[f], self.ends[f])
            - model.block(self.sizes[t], self.ends[t]);
        let (gone, new) = (self.sizes[f] == 1, self.sizes[t] == 0);
        if gone != new {
            let mut next = self.counts;
            let side = self.network.side(node);
            next[side] = next[side] + u64::from(new) - u64::from(gone);
            change += model.count(next) - model.count(self.counts);
        }
        let around = &self.around;
        let none = [Pair::default(); 2];
        let edges_of = |block: u32| match around.place[block as usize] {
            NONE => &none,
            place => &around.edges[place as usize],
        };
        let (own, there) = (edges_of(from), edges_of(to));
        let inside = |edges: &[Pair; 2]| edges[0].plus(&edges[1]);
        let (own_inside, there_inside) = (inside(own), inside(there));
        if model.assortative {
            let (new_inside, new_outside) = self.pooled_after(&own_inside, &there_inside);
            let pairs = self.pairs_after(f, t);
            return change + model.pooled(&new_inside, &new_outside, pairs) - model.pooled(&self.inside, &self.outside, self.pairs_inside);
        }
        change += around.total_lost;
        for (place, &block) in around.blocks.iter().enumerate() {
            if block == to {
                change -= around.lost[place];
            } else if block != from {
                change += self.more(to, block, &around.edges[place]);
            }
        }
        // The pairs among the two blocks themselves.
        change += self.change(&self.pair(from, from), |pair| pair.minus(&own_inside), true, &own_inside);
        change += self.change(&self.pair(to, to), |pair| pair.plus(&there_inside), true, &there_inside);
        if own_inside.edges + there_inside.edges > 0 {
            let between =
                |pair: &Pair, minus: &Pair, plus: &Pair| model.pair(&pair.minus(minus).plus(plus), false) - model.pair(pair, false);
            if model.directed {
                change += between(&self.pair(from, to), &there[0], &own[1]);
                change += between(&self.pair(to, from), &there[1], &own[0]);
            } else {
                change += between(&self.pair(from, to), &there_inside, &own_inside);
            }
        }
        change
    }

    /// The pooled edges when a node leaves those to its own block for those to another.
    fn pooled_after(&self, own: &Pair, there: &Pair) -> (Pair, Pair) {
        (self.inside.minus(own).plus(there), self.outside.plus(own).minus(there))
    }

    /// The pairs of nodes inside of blocks when one moves.
    fn pairs_after(&self, from: usize, to: usize) -> u64 {
        let ways = if self.model.directed { 2 } else { 1 };
        self.pairs_inside + ways * self.sizes[to] - ways * (self.sizes[from] - 1)
    }

    /// The change of description length (flat prior) when `node` moves to `to`.
    pub(crate) fn gain_of(&mut self, node: usize, to: u32) -> f64 {
        self.look(node);
        self.gain(node, to)
    }

    /// Moves a node.
    pub(crate) fn apply(&mut self, node: usize, to: u32) {
        let from = self.of[node];
        if from == to {
            return;
        }
        let network = self.network;
        self.pairs_inside = self.pairs_after(from as usize, to as usize);
        for half in network.of(node) {
            let block = self.of[half.other as usize];
            let one = Pair::one(half.weight);
            if block == from {
                (self.inside, self.outside) = (self.inside.minus(&one), self.outside.plus(&one));
            } else if block == to {
                (self.inside, self.outside) = (self.inside.plus(&one), self.outside.minus(&one));
            }
            let (old, new) =
                if half.way == 0 { (self.key(from, block), self.key(to, block)) } else { (self.key(block, from), self.key(block, to)) };
            let pair = self.table.at(old.0, old.1);
            *pair = pair.minus(&one);
            let pair = self.table.at(new.0, new.1);
            *pair = pair.plus(&one);
        }
        let (f, t, side) = (from as usize, to as usize, network.side(node));
        self.of[node] = to;
        self.sizes[f] -= 1;
        self.sizes[t] += 1;
        for way in 0..2 {
            self.ends[f][way] -= network.degrees[way][node];
            self.ends[t][way] += network.degrees[way][node];
        }
        if self.sizes[f] == 0 {
            self.counts[side] -= 1;
            self.sides[f] = u8::MAX;
            self.empty.push(from);
        }
        if self.sizes[t] == 1 {
            self.counts[side] += 1;
            self.sides[t] = side as u8;
            self.empty.retain(|block| *block != to);
        }
    }

    /// Blocks that a node may do well in: those of its neighbours and of their neighbours, one at random, and an empty one where `open`; all when they are few.
    fn candidates(&self, node: usize, alive: &[u32], open: bool, stream: &mut Stream, candidates: &mut Vec<u32>) {
        candidates.clear();
        let side = self.network.side(node);
        if alive.len() <= TRY_ALL {
            candidates.extend(alive.iter().copied().filter(|&block| self.sizes[block as usize] > 0 && self.side(block) == side));
        } else {
            let near = &self.around.blocks;
            if near.len() <= NEAR {
                candidates.extend_from_slice(near);
            } else {
                (0..NEAR).for_each(|_| candidates.push(near[stream.below(near.len() as u64) as usize]));
            }
            let own = self.network.of(node);
            if !own.is_empty() {
                for _ in 0..3 {
                    let other = self.network.of(own[stream.below(own.len() as u64) as usize].other as usize);
                    candidates.push(self.of[other[stream.below(other.len() as u64) as usize].other as usize]);
                }
            }
            candidates.push(alive[stream.below(alive.len() as u64) as usize]);
            candidates.retain(|&block| self.sizes[block as usize] > 0 && self.side(block) == side);
            candidates.sort_unstable();
            candidates.dedup();
        }
        if open && let Some(spare) = self.spare() {
            candidates.push(spare);
        }
    }

    /// Moves single nodes to the best block that they try, in random order, until a round gains less than `least`, at most `rounds` times. With `open`, a node may
    /// found a block; otherwise blocks neither appear nor vanish. Gives the change of description length.
    pub(crate) fn sweep(&mut self, rounds: usize, open: bool, least: f64, stream: &mut Stream) -> f64 {
        let network = self.network;
        let mut total = 0.0;
        let mut candidates = Vec::new();
        // After the first round, only nodes with a neighbour that moved have much to reconsider.
        let mut awake = vec![true; self.of.len()];
        for _ in 0..rounds {
            let alive = self.alive();
            if alive.len() < 2 && !open {
                return total;
            }
            let mut gained = 0.0;
            for node in stream.permutation(self.of.len()) {
                let from = self.of[node];
                if !std::mem::take(&mut awake[node]) || (!open && self.sizes[from as usize] == 1) {
                    continue;
                }
                self.look(node);
                self.candidates(node, &alive, open, stream, &mut candidates);
                let mut best = (-LEAST, from);
                for &to in &candidates {
                    let gain = self.gain(node, to);
                    if gain < best.0 {
                        best = (gain, to);
                    }
                }
                if best.1 != from {
                    self.apply(node, best.1);
                    gained += best.0;
                    network.of(node).iter().for_each(|half| awake[half.other as usize] = true);
                }
            }
            total += gained;
            if gained > -least.max(LEAST) {
                break;
            }
        }
        total
    }

    /// As `sweep`, one round in which moves are drawn by their weight `exp(−β gain)` (heat bath), blocks neither appearing nor vanishing.
    pub(crate) fn stir(&mut self, beta: f64, stream: &mut Stream) {
        let alive = self.alive();
        let mut candidates = Vec::new();
        let mut gains: Vec<f64> = Vec::new();
        for node in stream.permutation(self.of.len()) {
            let from = self.of[node];
            if self.sizes[from as usize] == 1 {
                continue;
            }
            self.look(node);
            self.candidates(node, &alive, false, stream, &mut candidates);
            if !candidates.contains(&from) {
                candidates.push(from);
            }
            gains.clear();
            gains.extend(candidates.iter().map(|&to| self.gain(node, to)));
            let least = gains.iter().copied().fold(f64::INFINITY, f64::min);
            let total: f64 = gains.iter().map(|gain| (-beta * (gain - least)).exp()).sum();
            let mut draw = stream.uniform() * total;
            for (&to, gain) in candidates.iter().zip(&gains) {
                draw -= (-beta * (gain - least)).exp();
                if draw <= 0.0 {
                    self.apply(node, to);
                    break;
                }
            }
        }
    }

    /// The members of a block, in order.
    pub(crate) fn members(&self, block: u32) -> Vec<usize> {
        (0..self.of.len()).filter(|&node| self.of[node] == block).collect()
    }
}

/// Pairs of different nodes among `size`, ordered when directed.
pub(crate) fn pairs_of(size: u64, directed: bool) -> u64 {
    let ordered = size * size.saturating_sub(1);
    if directed { ordered } else { ordered / 2 }
}

/// Blocks renumbered from 0 in the order of first appearance.
pub(crate) fn compact(of: &[u32]) -> Vec<u32> {
    let mut names = vec![NONE; of.iter().max().map_or(0, |most| *most as usize + 1)];
    let mut next = 0;
    of.iter()
        .map(|&block| {
            let name = &mut names[block as usize];
            if *name == NONE {
                *name = next;
                next += 1;
            }
            *name
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::description_length::Weights;
    use super::*;

    /// A random graph with weights that every model takes.
    pub(crate) fn network(n: usize, share: f64, directed: bool, two_sides: bool, seed: u64) -> (Network, u64) {
        let mut stream = Stream::new(seed);
        let sides: Vec<u8> = if two_sides { (0..n).map(|node| u8::from(node % 3 == 0)).collect() } else { Vec::new() };
        let mut edges = Vec::new();
        for source in 0..n {
            for target in 0..n {
                let allowed = source != target && (directed || source < target) && (!two_sides || sides[source] != sides[target]);
                if allowed && stream.uniform() < share {
                    edges.push((source, target, 1.0 + f64::from(u8::from(stream.uniform() < 0.4)) - 1.0));
                }
            }
        }
        let count = edges.len() as u64;
        (Network::new(n, &edges, directed, sides), count)
    }

    pub(crate) fn models(network: &Network, edges: u64, weights: &[Weights]) -> Vec<Model> {
        let second = network.sides.iter().filter(|side| **side == 1).count() as u64;
        let nodes = [network.nodes() as u64 - second, second];
        weights
            .iter()
            .flat_map(|&weights| {
                [(false, false), (true, false), (false, true)].map(|(degree_corrected, assortative)| {
                    let assortative = assortative && second == 0;
                    Model { weights, degree_corrected, assortative, directed: network.directed, nodes, edges }
                })
            })
            .collect()
    }

    pub(crate) const ALL: [Weights; 5] =
        [Weights::None, Weights::Bernoulli, Weights::Poisson { inverse_mean: 2.0 }, Weights::Exponential { rate: 0.4 }, Weights::Normal];

    #[test]
    fn a_gain_is_the_difference_of_the_lengths_for_every_model() {
        for (directed, two_sides) in [(false, false), (true, false), (false, true)] {
            let (network, edges) = network(24, 0.3, directed, two_sides, 5);
            for model in models(&network, edges, &ALL) {
                let of: Vec<u32> =
                    (0..24).map(|node| if two_sides && node % 3 == 0 { 3 + (node as u32 / 3) % 2 } else { node as u32 % 3 }).collect();
                let mut partition = Partition::new(&network, model, compact(&of), 1);
                let mut stream = Stream::new(1);
                for _ in 0..60 {
                    let node = stream.below(24) as usize;
                    let mut targets = partition.alive();
                    targets.extend(partition.spare());
                    targets.retain(|&block| partition.sizes[block as usize] == 0 || partition.side(block) == network.side(node));
                    let to = targets[stream.below(targets.len() as u64) as usize];
                    let before = partition.length();
                    let gain = partition.gain_of(node, to);
                    partition.apply(node, to);
                    let after = partition.length();
                    assert!((after - before - gain).abs() < 1e-7, "{model:?}: {gain} {}", after - before);
                    // What was changed step by step is what would be counted anew.
                    let anew = Partition::new(&network, model, compact(&partition.of), 0);
                    assert!((anew.length() - after).abs() < 1e-7);
                }
            }
        }
    }

    #[test]
    fn a_sweep_never_lengthens_and_tells_what_it_gained() {
        let (network, edges) = network(60, 0.2, false, false, 2);
        for model in models(&network, edges, &[Weights::Exponential { rate: 0.4 }]) {
            let mut partition = Partition::new(&network, model, (0..60).map(|node| node % 7).collect(), 1);
            let before = partition.length();
            let gain = partition.sweep(5, true, 0.0, &mut Stream::new(3));
            assert!(gain <= 0.0 && (partition.length() - before - gain).abs() < 1e-6);
        }
    }
}
