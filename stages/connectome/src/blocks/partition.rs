//! A partition of the nodes of a network, and what its description length gains when one node moves.

use super::description_length::{Degrees, Model, Pair};
use super::network::Network;
use super::table::{Entry, Table};

/// A change below this is rounding.
pub(crate) const LEAST: f64 = 1e-9;

/// A pair of blocks and what it adds to the description length.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    pair: Pair,
    length: f64,
}

impl Entry for Cell {
    fn is_empty(&self) -> bool {
        self.pair.edges == 0
    }
}

/// A partition with the statistics that description lengths are made of.
#[derive(Debug, Clone)]
pub(crate) struct Partition<'n> {
    pub(crate) network: &'n Network,
    pub(crate) model: Model,
    pub(crate) of: Vec<u32>,
    pub(crate) sizes: Vec<u64>,
    pub(super) ends: Vec<[u64; 2]>,
    sides: Vec<u8>,
    /// What each block adds by itself, and under an assortative model what all of them add together.
    lengths: Vec<f64>,
    pooled_length: f64,
    cells: Table<Cell>,
    /// Where degrees have a distribution: nodes of each degree in each block, for each direction.
    pub(super) alike: Vec<Table<u32>>,
    /// Blocks with nodes, on each side.
    pub(crate) counts: [u64; 2],
    empty: Vec<u32>,
    /// All edges inside of blocks, all others, and the summed squares of sizes.
    inside: Pair,
    outside: Pair,
    squares: u64,
}

/// One node as its neighbourhood looks under a partition: its edges by the block of the other end, and what leaving its own block changes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Around {
    pub(crate) node: usize,
    pub(crate) blocks: Vec<u32>,
    /// Edges to the block (all when undirected), and from it.
    edges: Vec<[Pair; 2]>,
    /// For each block its place in `blocks`, `NONE` when the node has no edge there.
    place: Vec<u32>,
    /// What the pairs of the node's own block lose, for each place.
    lost: Vec<f64>,
    /// What the own block and its pairs lose altogether.
    left: f64,
}

const NONE: u32 = u32::MAX;

impl<'n> Partition<'n> {
    /// The partition `of`, blocks numbered from 0; `spare` empty blocks are kept for splits.
    pub(crate) fn new(network: &'n Network, model: Model, of: Vec<u32>, spare: usize) -> Partition<'n> {
        let blocks = of.iter().max().map_or(0, |most| *most as usize + 1);
        let capacity = blocks + spare;
        let ways = if model.directed { 2 } else { 1 };
        let alike = if model.degrees == Degrees::Distributed {
            (0..ways).map(|_| Table::new(capacity, network.most_ends() + 1, network.nodes())).collect()
        } else {
            Vec::new()
        };
        let mut sides = vec![u8::MAX; capacity];
        let mut partition = Partition {
            network,
            model,
            sizes: vec![0; capacity],
            ends: vec![[0; 2]; capacity],
            sides: Vec::new(),
            lengths: Vec::new(),
            pooled_length: 0.0,
            cells: Table::new(capacity, capacity, network.halves() / 2),
            alike,
            counts: [0; 2],
            empty: Vec::new(),
            inside: Pair::default(),
            outside: Pair::default(),
            squares: 0,
            of,
        };
        for node in 0..network.nodes() {
            let block = partition.of[node];
            let at = block as usize;
            partition.sizes[at] += 1;
            for way in 0..2 {
                partition.ends[at][way] += network.degrees[way][node];
            }
            for (way, alike) in partition.alike.iter_mut().enumerate() {
                *alike.at(block, network.degrees[way][node] as u32) += 1;
            }
            sides[at] = network.side(node) as u8;
            for half in network.of(node) {
                let other = half.other as usize;
                let own = if network.directed { half.way == 0 } else { other > node };
                if own {
                    let key = partition.key(block, partition.of[other]);
                    let one = Pair::one(half.weight);
                    let cell = partition.cells.at(key.0, key.1);
                    cell.pair = cell.pair.plus(&one);
                    let sum = if key.0 == key.1 { &mut partition.inside } else { &mut partition.outside };
                    *sum = sum.plus(&one);
                }
            }
        }
        partition.cells.each_mut(|r, s, cell| cell.length = model.pair(&cell.pair, r == s));
        for (block, side) in sides.iter().enumerate() {
            match *side {
                u8::MAX => partition.empty.push(block as u32),
                side => partition.counts[usize::from(side)] += 1,
            }
        }
        partition.sides = sides;
        partition.squares = partition.sizes.iter().map(|size| size * size).sum();
        partition.lengths = partition.sizes.iter().zip(&partition.ends).map(|(size, ends)| model.block(*size, *ends)).collect();
        partition.pooled_length = partition.pooled_now();
        partition
    }

    fn pooled_now(&self) -> f64 {
        if self.model.assortative { self.model.pooled(&self.inside, &self.outside, self.squares) } else { 0.0 }
    }

    #[inline]
    fn key(&self, r: u32, s: u32) -> (u32, u32) {
        if self.model.directed || r <= s { (r, s) } else { (s, r) }
    }

    /// The edges from `r` to `s`.
    #[inline]
    fn cell(&self, r: u32, s: u32) -> Cell {
        let (r, s) = self.key(r, s);
        self.cells.get(r, s)
    }

    /// Calls `work(r, s, pair)` for all pairs of blocks with edges.
    pub(crate) fn each_pair(&self, mut work: impl FnMut(u32, u32, &Pair)) {
        self.cells.each(|r, s, cell| work(r, s, &cell.pair));
    }

    /// All edges inside of blocks, all others, and the summed squares of sizes.
    pub(crate) fn pooled(&self) -> (Pair, Pair, u64) {
        (self.inside, self.outside, self.squares)
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
        for length in &self.lengths {
            total += length;
        }
        for alike in &self.alike {
            total += sum_in_order(alike, |count| self.model.alike(u64::from(*count)));
        }
        if self.model.assortative {
            return total + self.pooled_length;
        }
        total + sum_in_order(&self.cells, |cell| cell.length)
    }

    /// Looks around a node. What it sees holds until a node moves.
    pub(crate) fn look(&self, node: usize, around: &mut Around) {
        let network = self.network;
        around.forget();
        around.place.resize(self.sizes.len().max(around.place.len()), NONE);
        around.node = node;
        for half in network.of(node) {
            let block = self.of[half.other as usize];
            let mut place = around.place[block as usize];
            if place == NONE {
                place = around.blocks.len() as u32;
                around.place[block as usize] = place;
                around.blocks.push(block);
                around.edges.push([Pair::default(); 2]);
            }
            let pair = &mut around.edges[place as usize][usize::from(half.way)];
            *pair = pair.plus(&Pair::one(half.weight));
        }
        let from = self.of[node];
        let at = from as usize;
        let less = [self.ends[at][0] - network.degrees[0][node], self.ends[at][1] - network.degrees[1][node]];
        around.left = self.model.block(self.sizes[at] - 1, less) - self.lengths[at];
        for (way, alike) in self.alike.iter().enumerate() {
            let count = u64::from(alike.get(from, network.degrees[way][node] as u32));
            around.left += self.model.alike(count - 1) - self.model.alike(count);
        }
        if self.model.assortative {
            return;
        }
        for place in 0..around.blocks.len() {
            let (block, edges) = (around.blocks[place], &around.edges[place]);
            let mut lost = 0.0;
            if block == from {
                let all = edges[0].plus(&edges[1]);
                let cell = self.cell(from, from);
                around.left += self.model.pair(&cell.pair.minus(&all), true) - cell.length;
            } else {
                lost = self.changed(from, block, &edges[0], Pair::minus);
                if self.model.directed {
                    lost += self.changed(block, from, &edges[1], Pair::minus);
                }
            }
            around.left += lost;
            around.lost.push(lost);
        }
    }

    /// The change when pair (r, s) of different blocks gains or loses edges.
    #[inline]
    fn changed(&self, r: u32, s: u32, by: &Pair, how: impl Fn(&Pair, &Pair) -> Pair) -> f64 {
        if by.edges == 0 {
            return 0.0;
        }
        let cell = self.cell(r, s);
        self.model.pair(&how(&cell.pair, by), false) - cell.length
    }

    /// The change of description length (flat prior) when the node that was looked around moves to `to`.
    pub(crate) fn gain(&self, around: &Around, to: u32) -> f64 {
        let node = around.node;
        let from = self.of[node];
        if from == to {
            return 0.0;
        }
        let model = &self.model;
        let degrees = [self.network.degrees[0][node], self.network.degrees[1][node]];
        let (f, t) = (from as usize, to as usize);
        let more = [self.ends[t][0] + degrees[0], self.ends[t][1] + degrees[1]];
        let mut change = around.left + model.block(self.sizes[t] + 1, more) - self.lengths[t];
        for (way, alike) in self.alike.iter().enumerate() {
            let count = u64::from(alike.get(to, degrees[way] as u32));
            change += model.alike(count + 1) - model.alike(count);
        }
        let (gone, new) = (self.sizes[f] == 1, self.sizes[t] == 0);
        if gone != new {
            let mut next = self.counts;
            let side = self.network.side(node);
            next[side] = next[side] + u64::from(new) - u64::from(gone);
            change += model.count(next) - model.count(self.counts);
        }
        let (own, there) = (around.edges_to(from), around.edges_to(to));
        let (own_inside, there_inside) = (own[0].plus(&own[1]), there[0].plus(&there[1]));
        if model.assortative {
            let (new_inside, new_outside) = self.pooled_after(&own_inside, &there_inside);
            let squares = self.squares_after(f, t);
            return change + model.pooled(&new_inside, &new_outside, squares) - self.pooled_length;
        }
        for (place, &block) in around.blocks.iter().enumerate() {
            if block == to {
                change -= around.lost[place];
            } else if block != from {
                let edges = &around.edges[place];
                change += self.changed(to, block, &edges[0], Pair::plus);
                if model.directed {
                    change += self.changed(block, to, &edges[1], Pair::plus);
                }
            }
        }
        // The pairs among the two blocks themselves; what leaves `from` is in `left`.
        if there_inside.edges > 0 {
            let cell = self.cell(to, to);
            change += model.pair(&cell.pair.plus(&there_inside), true) - cell.length;
        }
        if own_inside.edges + there_inside.edges > 0 {
            let between = |cell: &Cell, minus: &Pair, plus: &Pair| model.pair(&cell.pair.minus(minus).plus(plus), false) - cell.length;
            if model.directed {
                change += between(&self.cell(from, to), &there[0], &own[1]);
                change += between(&self.cell(to, from), &there[1], &own[0]);
            } else {
                change += between(&self.cell(from, to), &there_inside, &own_inside);
            }
        }
        change
    }

    /// The pooled edges when a node leaves those to its own block for those to another.
    fn pooled_after(&self, own: &Pair, there: &Pair) -> (Pair, Pair) {
        (self.inside.minus(own).plus(there), self.outside.plus(own).minus(there))
    }

    /// The summed squares of sizes when a node moves.
    fn squares_after(&self, from: usize, to: usize) -> u64 {
        self.squares + 2 * self.sizes[to] - 2 * (self.sizes[from] - 1)
    }

    /// Moves the node that was looked around.
    pub(crate) fn apply(&mut self, around: &Around, to: u32) {
        let node = around.node;
        let from = self.of[node];
        if from == to {
            return;
        }
        let network = self.network;
        let (f, t, side) = (from as usize, to as usize, network.side(node));
        self.squares = self.squares_after(f, t);
        let sum = |edges: &[Pair; 2]| edges[0].plus(&edges[1]);
        (self.inside, self.outside) = self.pooled_after(&sum(around.edges_to(from)), &sum(around.edges_to(to)));
        for (&block, edges) in around.blocks.iter().zip(&around.edges) {
            for (way, edges) in edges.iter().enumerate().filter(|(_, edges)| edges.edges > 0) {
                let ends = |own: u32| if way == 0 { self.key(own, block) } else { self.key(block, own) };
                let (old, new) = (ends(from), ends(to));
                self.put(old, |pair| pair.minus(edges));
                self.put(new, |pair| pair.plus(edges));
            }
        }
        self.of[node] = to;
        self.sizes[f] -= 1;
        self.sizes[t] += 1;
        for way in 0..2 {
            self.ends[f][way] -= network.degrees[way][node];
            self.ends[t][way] += network.degrees[way][node];
        }
        [f, t].into_iter().for_each(|block| self.lengths[block] = self.model.block(self.sizes[block], self.ends[block]));
        self.pooled_length = self.pooled_now();
        for (way, alike) in self.alike.iter_mut().enumerate() {
            let degree = network.degrees[way][node] as u32;
            *alike.at(from, degree) -= 1;
            *alike.at(to, degree) += 1;
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

    fn put(&mut self, key: (u32, u32), change: impl Fn(&Pair) -> Pair) {
        let model = self.model;
        let cell = self.cells.at(key.0, key.1);
        cell.pair = change(&cell.pair);
        cell.length = model.pair(&cell.pair, key.0 == key.1);
    }

    /// Moves a node from wherever it is.
    pub(crate) fn shift(&mut self, node: usize, to: u32, around: &mut Around) {
        if self.of[node] != to {
            self.look(node, around);
            self.apply(around, to);
        }
    }

    /// The nodes of each block, in order.
    pub(crate) fn members(&self) -> Vec<Vec<u32>> {
        let mut members: Vec<Vec<u32>> = self.sizes.iter().map(|size| Vec::with_capacity(*size as usize)).collect();
        self.of.iter().enumerate().for_each(|(node, block)| members[*block as usize].push(node as u32));
        members
    }
}

impl Around {
    fn forget(&mut self) {
        for &block in &self.blocks {
            self.place[block as usize] = NONE;
        }
        self.blocks.clear();
        self.edges.clear();
        self.lost.clear();
    }

    /// The edges between the node and a block.
    fn edges_to(&self, block: u32) -> &[Pair; 2] {
        static NOTHING: [Pair; 2] = [Pair { edges: 0, sum: 0.0, squares: 0.0 }; 2];
        match self.place.get(block as usize) {
            Some(&place) if place != NONE => &self.edges[place as usize],
            _ => &NOTHING,
        }
    }
}

/// A sum over a table in the order of its rows and columns, so that it does not depend on where values lie.
fn sum_in_order<T: Entry>(table: &Table<T>, of: impl Fn(&T) -> f64) -> f64 {
    if let Table::Dense { values, .. } = table {
        return values.iter().filter(|value| !value.is_empty()).map(of).sum();
    }
    let mut all: Vec<(u32, u32, f64)> = Vec::new();
    table.each(|row, column, value| all.push((row, column, of(value))));
    all.sort_unstable_by_key(|(row, column, _)| (*row, *column));
    all.iter().map(|(_, _, length)| length).sum()
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
    use neuroflow_data::random::Stream;

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
                let degrees = [Degrees::Free, Degrees::Uniform, Degrees::Distributed];
                let all = degrees.into_iter().flat_map(|degrees| [(degrees, false), (degrees, true)]);
                all.filter(move |(_, assortative)| !assortative || second == 0).map(move |(degrees, assortative)| Model {
                    weights,
                    degrees,
                    assortative,
                    equal_chances: assortative && degrees == Degrees::Uniform,
                    directed: network.directed,
                    nodes,
                    edges,
                })
            })
            .collect()
    }

    pub(crate) const ALL: [Weights; 5] = [
        Weights::None,
        Weights::Bernoulli,
        Weights::Poisson { inverse_mean: 2.0 },
        Weights::Exponential { rate: 0.4, log_rate: -0.916_290_731_874_155_1 },
        Weights::Normal,
    ];

    #[test]
    fn a_gain_is_the_difference_of_the_lengths_for_every_model() {
        for (directed, two_sides) in [(false, false), (true, false), (false, true)] {
            let (network, edges) = network(24, 0.3, directed, two_sides, 5);
            for model in models(&network, edges, &ALL) {
                let of: Vec<u32> =
                    (0..24).map(|node| if two_sides && node % 3 == 0 { 3 + (node as u32 / 3) % 2 } else { node as u32 % 3 }).collect();
                let mut partition = Partition::new(&network, model, compact(&of), 1);
                let mut stream = Stream::new(1);
                let mut around = Around::default();
                for _ in 0..60 {
                    let node = stream.below(24) as usize;
                    let mut targets = partition.alive();
                    targets.extend(partition.spare());
                    targets.retain(|&block| partition.sizes[block as usize] == 0 || partition.side(block) == network.side(node));
                    let to = targets[stream.below(targets.len() as u64) as usize];
                    let before = partition.length();
                    partition.look(node, &mut around);
                    let gain = partition.gain(&around, to);
                    partition.apply(&around, to);
                    let after = partition.length();
                    assert!((after - before - gain).abs() < 1e-7, "{model:?}: {gain} {}", after - before);
                    // What was changed step by step is what would be counted anew.
                    let anew = Partition::new(&network, model, compact(&partition.of), 0);
                    assert!((anew.length() - after).abs() < 1e-7);
                }
            }
        }
    }
}
