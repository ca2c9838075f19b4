//! Blocks as nodes of a smaller graph, and what the description length gains when two of them merge.

use super::description_length::{Degrees, Model, Pair};
use super::network::Network;
use super::partition::LEAST;
use super::rows::Rows;
use super::search::LARGE;
use neuroflow_data::random::Stream;
use rayon::prelude::*;

/// Blocks up to which every pair is tried.
const TRY_ALL: usize = 24;

/// A graph of blocks.
#[derive(Debug, Clone)]
pub(crate) struct Level {
    pub(super) model: Model,
    pub(super) sizes: Vec<u64>,
    pub(super) ends: Vec<[u64; 2]>,
    pub(super) sides: Vec<u8>,
    pub(super) inside: Vec<Pair>,
    /// Edges to other blocks (all when undirected), and when directed those from them.
    pub(super) rows: Vec<Rows>,
    pub(super) counts: [u64; 2],
    /// All edges inside of blocks, all others, and the summed squares of sizes.
    pub(super) pooled: (Pair, Pair, u64),
    /// Where degrees have a distribution: for each direction and block the degrees that occur, in order, and how often.
    pub(super) alike: Vec<Alike>,
    /// Blocks that may merge: the first ones. The others are only what those connect to.
    pub(super) movable: usize,
}

/// How many nodes of each block have each degree.
#[derive(Debug, Clone)]
pub(super) struct Alike {
    pub(super) starts: Vec<usize>,
    pub(super) counts: Vec<(u32, u32)>,
}

impl Alike {
    pub(super) fn of(&self, block: usize) -> &[(u32, u32)] {
        &self.counts[self.starts[block]..self.starts[block + 1]]
    }
}

impl Level {
    /// Every node a block of its own.
    pub(crate) fn singletons(network: &Network, model: Model) -> Level {
        let n = network.nodes();
        let identity: Vec<u32> = (0..n as u32).collect();
        Level::new(network, model, &identity, n)
    }

    /// The blocks of a partition, numbered from 0 without gaps.
    pub(crate) fn new(network: &Network, model: Model, of: &[u32], blocks: usize) -> Level {
        let mut level = Level::of_some(network, model, of, blocks, blocks, 0..of.len() as u32);
        level.sides.iter().for_each(|&side| level.counts[usize::from(side)] += 1);
        if model.assortative {
            let inside = level.inside.iter().fold(Pair::default(), |sum, pair| sum.plus(pair));
            let all = network.weights().fold(Pair::default(), |sum, weight| sum.plus(&Pair::one(weight)));
            level.pooled = (inside, all.minus(&inside), level.sizes.iter().map(|size| size * size).sum());
        }
        level
    }

    /// A part of a partition: `nodes` are in the first `movable` blocks of `of` and may merge, all others stay what they are. `pooled` is as of [`super::partition::Partition`], with
    /// all `nodes` in one block.
    pub(crate) fn within(
        network: &Network,
        model: Model,
        of: &[u32],
        blocks: usize,
        movable: usize,
        nodes: &[u32],
        pooled: (Pair, Pair, u64),
    ) -> Level {
        let mut level = Level::of_some(network, model, of, blocks, movable, nodes.iter().copied());
        if model.assortative {
            let apart = level.rows.iter().fold(Pair::default(), |sum, rows| {
                let between = (0..movable).flat_map(|block| {
                    let (others, pairs) = rows.of(block);
                    // Undirected rows hold each pair twice.
                    others
                        .iter()
                        .zip(pairs)
                        .filter(move |(other, _)| (**other as usize) < movable && (model.directed || **other as usize > block))
                });
                between.fold(sum, |sum, (_, pair)| sum.plus(pair))
            });
            // Outgoing and incoming rows hold the same edges.
            let apart =
                if model.directed { Pair { edges: apart.edges / 2, sum: apart.sum / 2.0, squares: apart.squares / 2.0 } } else { apart };
            let (inside, outside, squares) = pooled;
            let own: u64 = level.sizes[..movable].iter().map(|size| size * size).sum();
            level.pooled = (inside.minus(&apart), outside.plus(&apart), squares - (nodes.len() * nodes.len()) as u64 + own);
        }
        level
    }

    fn of_some(
        network: &Network,
        model: Model,
        of: &[u32],
        blocks: usize,
        movable: usize,
        nodes: impl Iterator<Item = u32> + Clone,
    ) -> Level {
        let mut level = Level {
            model,
            sizes: vec![0; blocks],
            ends: vec![[0; 2]; blocks],
            sides: vec![0; blocks],
            inside: Vec::new(),
            rows: Vec::new(),
            counts: [0; 2],
            pooled: (Pair::default(), Pair::default(), 0),
            alike: Vec::new(),
            movable,
        };
        // Members of each block, side by side.
        let mut starts = vec![0usize; blocks + 1];
        let mut many = 0;
        for node in nodes.clone() {
            starts[of[node as usize] as usize + 1] += 1;
            many += 1;
        }
        (0..blocks).for_each(|block| starts[block + 1] += starts[block]);
        let mut next = starts.clone();
        let mut members = vec![0u32; many];
        for node in nodes {
            let node = node as usize;
            let block = of[node] as usize;
            members[next[block]] = node as u32;
            next[block] += 1;
            level.sizes[block] += 1;
            level.ends[block][0] += network.degrees[0][node];
            level.ends[block][1] += network.degrees[1][node];
            level.sides[block] = network.side(node) as u8;
        }
        let at_once = many == network.nodes() && network.halves() > LARGE;
        for way in 0..if model.directed { 2u8 } else { 1 } {
            let (rows, inside) = Rows::gather(blocks, at_once, |block, row| {
                for &node in &members[starts[block]..starts[block + 1]] {
                    for half in network.of(node as usize).iter().filter(|half| half.way == way) {
                        let other = of[half.other as usize];
                        // Undirected edges inside are met from both ends, directed ones once each way.
                        let again = other as usize == block && (way == 1 || (!model.directed && half.other < node));
                        if !again {
                            row.add(other, &Pair::one(half.weight));
                        }
                    }
                }
            });
            if way == 0 {
                level.inside = inside;
            }
            level.rows.push(rows);
        }
        if model.degrees == Degrees::Distributed {
            for degrees in &network.degrees[..if model.directed { 2 } else { 1 }] {
                let mut alike = Alike { starts: vec![0], counts: Vec::new() };
                let mut own: Vec<u32> = Vec::new();
                for block in 0..blocks {
                    own.clear();
                    own.extend(members[starts[block]..starts[block + 1]].iter().map(|&node| degrees[node as usize] as u32));
                    own.sort_unstable();
                    alike.counts.extend(own.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u32)));
                    alike.starts.push(alike.counts.len());
                }
                level.alike.push(alike);
            }
        }
        level
    }

    pub(crate) fn count(&self) -> usize {
        self.sizes.len()
    }

    /// Whether two blocks are on one side.
    pub(crate) fn same_side(&self, a: u32, b: u32) -> bool {
        self.sides[a as usize] == self.sides[b as usize]
    }

    /// Blocks on each side.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> [u64; 2] {
        self.counts
    }

    /// The change of description length but for what the number of blocks costs, when blocks `a` and `b` become one.
    pub(crate) fn gain(&self, a: u32, b: u32) -> f64 {
        let (model, x, y) = (&self.model, a as usize, b as usize);
        let ends = [self.ends[x][0] + self.ends[y][0], self.ends[x][1] + self.ends[y][1]];
        let mut change = model.block(self.sizes[x] + self.sizes[y], ends)
            - model.block(self.sizes[x], self.ends[x])
            - model.block(self.sizes[y], self.ends[y]);
        for alike in &self.alike {
            change += both(alike.of(x), alike.of(y), |p, q| {
                model.alike(u64::from(p + q)) - model.alike(u64::from(*p)) - model.alike(u64::from(*q))
            });
        }
        if model.assortative {
            let between = self.rows.iter().fold(Pair::default(), |sum, rows| sum.plus(&rows.find(x, b)));
            let (inside, outside, squares) = &self.pooled;
            let more = 2 * self.sizes[x] * self.sizes[y];
            return change + model.pooled(&inside.plus(&between), &outside.minus(&between), squares + more)
                - model.pooled(inside, outside, *squares);
        }
        // Only where both have edges does anything change: elsewhere one row takes the other's place.
        for rows in &self.rows {
            let ((left, left_pairs), (right, right_pairs)) = (rows.of(x), rows.of(y));
            let (mut i, mut j) = (0, 0);
            while i < left.len() && j < right.len() {
                match left[i].cmp(&right[j]) {
                    std::cmp::Ordering::Less => i += 1,
                    std::cmp::Ordering::Greater => j += 1,
                    std::cmp::Ordering::Equal => {
                        let (p, q) = (&left_pairs[i], &right_pairs[j]);
                        change += model.pair(&p.plus(q), false) - model.pair(p, false) - model.pair(q, false);
                        i += 1;
                        j += 1;
                    }
                }
            }
        }
        let mut whole = self.inside[x].plus(&self.inside[y]);
        let mut before = model.pair(&self.inside[x], true) + model.pair(&self.inside[y], true);
        for rows in &self.rows {
            let between = rows.find(x, b);
            whole = whole.plus(&between);
            before += model.pair(&between, false);
        }
        change + model.pair(&whole, true) - before
    }

    /// Which block each block becomes when about `wanted` merges are made, numbered from 0 without gaps. Each block merges once at most.
    pub(crate) fn merge(&self, wanted: usize, tries: usize, stream: &Stream) -> Vec<u32> {
        let blocks = self.movable;
        let mut proposals: Vec<(f64, u32, u32)> = if blocks <= TRY_ALL {
            let pairs = (0..blocks as u32).flat_map(|a| (a + 1..blocks as u32).map(move |b| (a, b)));
            pairs.filter(|&(a, b)| self.same_side(a, b)).map(|(a, b)| (self.gain(a, b), a, b)).collect()
        } else {
            (0..blocks)
                .into_par_iter()
                .filter_map(|block| self.best_partner(block as u32, tries, stream.split_index(block as u64)))
                .collect()
        };
        proposals.sort_unstable_by(|x, y| x.0.total_cmp(&y.0).then((x.1, x.2).cmp(&(y.1, y.2))));
        let mut into: Vec<u32> = (0..blocks as u32).collect();
        let mut used = vec![false; blocks];
        let mut merged = 0;
        for (_, a, b) in proposals {
            if merged == wanted {
                break;
            }
            if !used[a as usize] && !used[b as usize] {
                (used[a as usize], used[b as usize]) = (true, true);
                into[a.max(b) as usize] = a.min(b);
                merged += 1;
            }
        }
        super::partition::compact(&into)
    }

    /// The best of some partners of a block: neighbours, neighbours of neighbours, and one at random.
    fn best_partner(&self, block: u32, tries: usize, mut stream: Stream) -> Option<(f64, u32, u32)> {
        let mut partners = Vec::with_capacity(tries + 1);
        let row = |block: u32, stream: &mut Stream| -> Option<u32> {
            let rows = &self.rows[if self.rows.len() > 1 { stream.below(2) as usize } else { 0 }];
            let (others, _) = rows.of(block as usize);
            if others.is_empty() { None } else { Some(others[stream.below(others.len() as u64) as usize]) }
        };
        for attempt in 0..tries {
            let first = row(block, &mut stream);
            // Blocks that connect alike share neighbours, whether or not they are connected themselves.
            let partner = if attempt % 3 == 0 { first } else { first.and_then(|first| row(first, &mut stream)) };
            partners.extend(partner);
        }
        // Where most neighbours can't merge, partners are met by chance only.
        let chances = if self.movable < self.count() { 4 } else { 1 };
        (0..chances).for_each(|_| partners.push(stream.below(self.movable as u64) as u32));
        partners.retain(|&partner| {
            partner != block && (partner as usize) < self.movable && self.sides[partner as usize] == self.sides[block as usize]
        });
        partners.sort_unstable();
        partners.dedup();
        let best = partners.into_iter().map(|partner| (self.gain(block, partner), partner));
        best.min_by(|x, y| x.0.total_cmp(&y.0).then(x.1.cmp(&y.1))).map(|(gain, partner)| (gain, block.min(partner), block.max(partner)))
    }

    /// The pair of blocks whose merge shortens the description most, with the change under the prior of `price` (of a number of blocks on each side); none when no
    /// merge shortens it.
    pub(crate) fn best_merge(&self, price: impl Fn([u64; 2]) -> f64 + Sync) -> Option<(f64, u32, u32)> {
        self.best_merge_any(price).filter(|(gain, _, _)| *gain < -LEAST)
    }

    /// As `best_merge`, also when the best merge lengthens.
    pub(crate) fn best_merge_any(&self, price: impl Fn([u64; 2]) -> f64 + Sync) -> Option<(f64, u32, u32)> {
        let blocks = self.count() as u32;
        let step = |side: u8| {
            let mut next = self.counts;
            next[usize::from(side)] = next[usize::from(side)].saturating_sub(1);
            price(next) - price(self.counts)
        };
        let steps = [step(0), step(1)];
        let best = (0..blocks).into_par_iter().filter_map(|a| {
            let partners = (a + 1..blocks).filter(|&b| self.sides[a as usize] == self.sides[b as usize]);
            let gains = partners.map(|b| (self.gain(a, b) + steps[usize::from(self.sides[a as usize])], a, b));
            gains.min_by(|x, y| x.0.total_cmp(&y.0).then(x.2.cmp(&y.2)))
        });
        best.min_by(|x, y| x.0.total_cmp(&y.0).then((x.1, x.2).cmp(&(y.1, y.2))))
    }
}

/// The sum over keys that both lists have; they are in order.
fn both(left: &[(u32, u32)], right: &[(u32, u32)], of: impl Fn(&u32, &u32) -> f64) -> f64 {
    let (mut i, mut j, mut total) = (0, 0, 0.0);
    while i < left.len() && j < right.len() {
        match left[i].0.cmp(&right[j].0) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                total += of(&left[i].1, &right[j].1);
                i += 1;
                j += 1;
            }
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::super::partition::tests::{ALL, models, network};
    use super::super::partition::{Partition, compact};
    use super::*;

    #[test]
    fn a_gain_is_the_difference_of_the_lengths_for_every_model() {
        for (directed, two_sides) in [(false, false), (true, false), (false, true)] {
            let (network, edges) = network(30, 0.3, directed, two_sides, 7);
            for model in models(&network, edges, &ALL) {
                let of: Vec<u32> =
                    (0..30).map(|node| if two_sides && node % 3 == 0 { 4 + (node as u32 / 3) % 3 } else { node as u32 % 4 }).collect();
                let of = compact(&of);
                let blocks = of.iter().max().map_or(0, |most| *most as usize + 1);
                let level = Level::new(&network, model, &of, blocks);
                let before = Partition::new(&network, model, of.clone(), 0).length_without_edge_prior();
                for (a, b) in [(0, 1), (1, 2), (0, 3)] {
                    let node_of = |block: u32| of.iter().position(|own| *own == block).unwrap();
                    if network.side(node_of(a)) != network.side(node_of(b)) {
                        continue;
                    }
                    let merged: Vec<u32> = of.iter().map(|&block| if block == b { a } else { block }).collect();
                    let after = Partition::new(&network, model, compact(&merged), 0);
                    let counts = level.counts();
                    let prices = model.count_without_edges(after.counts) - model.count_without_edges(counts);
                    let difference = after.length_without_edge_prior() - before;
                    assert!((difference - level.gain(a, b) - prices).abs() < 1e-7, "{model:?} {a} {b}");
                }
            }
        }
    }

    #[test]
    fn within_a_block_a_gain_is_that_of_the_whole() {
        for directed in [false, true] {
            let (network, edges) = network(30, 0.3, directed, false, 3);
            for model in models(&network, edges, &ALL) {
                let whole = Partition::new(&network, model, (0..30).map(|node| node % 3).collect(), 0);
                let nodes: Vec<u32> = (0..10).map(|node| 3 * node).collect();
                let apart = |node: usize| if node.is_multiple_of(3) { node as u32 / 3 } else { 10 + node as u32 % 3 };
                let of: Vec<u32> = (0..30).map(apart).collect();
                let level = Level::within(&network, model, &of, 13, 10, &nodes, whole.pooled());
                let length = |of: &[u32]| {
                    let partition = Partition::new(&network, model, compact(of), 0);
                    partition.length_without_edge_prior() - model.count_without_edges(partition.counts)
                };
                let merged: Vec<u32> = of.iter().map(|&block| if block == 4 { 1 } else { block }).collect();
                assert!((length(&merged) - length(&of) - level.gain(1, 4)).abs() < 1e-7, "{model:?}");
            }
        }
    }
}
