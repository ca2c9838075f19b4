//! The search for the partition of least description length: agglomeration, then single moves and merges and splits until nothing helps.

use crate::description_length::{Model, Pair};
use neuroflow_data::random::Stream;
use neuroflow_stage::{CancelToken, StageError};

/// A graph in the form that the search works on.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    /// For each node its neighbours and the edge's statistics (one edge each).
    pub(crate) neighbours: Vec<Vec<(usize, Pair)>>,
    /// Degrees.
    pub(crate) degrees: Vec<u64>,
}

/// A partition with the statistics that description lengths are made of.
#[derive(Debug, Clone)]
struct Blocks<'n> {
    network: &'n Network,
    model: Model,
    of: Vec<usize>,
    sizes: Vec<u64>,
    ends: Vec<u64>,
    /// `pairs[r * capacity + s]`, kept symmetric.
    pairs: Vec<Pair>,
    capacity: usize,
}

impl<'n> Blocks<'n> {
    fn new(network: &'n Network, model: Model, of: Vec<usize>) -> Blocks<'n> {
        let capacity = of.iter().max().map_or(1, |most| most + 1) + 1;
        let mut blocks = Blocks {
            network,
            model,
            of: of.clone(),
            sizes: vec![0; capacity],
            ends: vec![0; capacity],
            pairs: vec![Pair::default(); capacity * capacity],
            capacity,
        };
        for (node, &block) in of.iter().enumerate() {
            blocks.sizes[block] += 1;
            blocks.ends[block] += network.degrees[node];
            for (other, edge) in network.neighbours[node].iter().filter(|(other, _)| *other > node) {
                blocks.add(block, of[*other], edge, 1);
            }
        }
        blocks
    }

    fn add(&mut self, r: usize, s: usize, edge: &Pair, sign: i64) {
        let places = if r == s { [Some(r * self.capacity + s), None] } else { [Some(r * self.capacity + s), Some(s * self.capacity + r)] };
        for place in places.into_iter().flatten() {
            let pair = &mut self.pairs[place];
            pair.edges = pair.edges.wrapping_add_signed(sign * edge.edges as i64);
            pair.sum += sign as f64 * edge.sum;
            pair.squares += sign as f64 * edge.squares;
            if pair.edges == 0 {
                *pair = Pair::default();
            }
        }
    }

    fn count(&self) -> u64 {
        self.sizes.iter().filter(|size| **size > 0).count() as u64
    }

    fn total(&self) -> f64 {
        let mut total = self.model.constant(&self.network.degrees) + self.model.count(self.count());
        for r in 0..self.capacity {
            total += self.model.block(self.sizes[r], self.ends[r]);
            for s in r..self.capacity {
                total += self.model.pair(&self.pairs[r * self.capacity + s], r == s);
            }
        }
        total
    }

    fn empty_block(&self) -> Option<usize> {
        (0..self.capacity).find(|&block| self.sizes[block] == 0)
    }

    /// The change of description length when `node` moves to `to`.
    fn move_gain(&self, node: usize, to: usize) -> f64 {
        let from = self.of[node];
        if from == to {
            return 0.0;
        }
        let degree = self.network.degrees[node];
        let model = &self.model;
        let mut change = model.block(self.sizes[from] - 1, self.ends[from] - degree)
            + model.block(self.sizes[to] + 1, self.ends[to] + degree)
            - model.block(self.sizes[from], self.ends[from])
            - model.block(self.sizes[to], self.ends[to]);
        let blocks = self.count();
        let next = blocks - u64::from(self.sizes[from] == 1) + u64::from(self.sizes[to] == 0);
        if next != blocks {
            change += model.count(next) - model.count(blocks);
        }
        // Edges of the node by the block of the other end.
        let mut shared: Vec<(usize, Pair)> = Vec::new();
        for (other, edge) in &self.network.neighbours[node] {
            let block = self.of[*other];
            match shared.iter_mut().find(|(known, _)| *known == block) {
                Some((_, sum)) => {
                    sum.edges += edge.edges;
                    sum.sum += edge.sum;
                    sum.squares += edge.squares;
                }
                None => shared.push((block, *edge)),
            }
        }
        // Every pair of blocks that changes, with its statistics afterwards.
        let mut changed: Vec<(usize, usize, Pair)> = Vec::new();
        let mut apply = |r: usize, s: usize, edge: &Pair, sign: i64| {
            let (r, s) = (r.min(s), r.max(s));
            let place = match changed.iter().position(|(a, b, _)| (*a, *b) == (r, s)) {
                Some(place) => place,
                None => {
                    changed.push((r, s, self.pairs[r * self.capacity + s]));
                    changed.len() - 1
                }
            };
            let pair = &mut changed[place].2;
            pair.edges = pair.edges.wrapping_add_signed(sign * edge.edges as i64);
            pair.sum += sign as f64 * edge.sum;
            pair.squares += sign as f64 * edge.squares;
        };
        for (block, edge) in &shared {
            apply(from, *block, edge, -1);
            apply(to, *block, edge, 1);
        }
        for (r, s, after) in &changed {
            change += model.pair(after, r == s) - model.pair(&self.pairs[r * self.capacity + s], r == s);
        }
        change
    }

    fn apply_move(&mut self, node: usize, to: usize) {
        let from = self.of[node];
        let degree = self.network.degrees[node];
        let network = self.network;
        for (other, edge) in &network.neighbours[node] {
            let block = self.of[*other];
            self.add(from, block, edge, -1);
            self.add(to, block, edge, 1);
        }
        self.of[node] = to;
        self.sizes[from] -= 1;
        self.sizes[to] += 1;
        self.ends[from] -= degree;
        self.ends[to] += degree;
    }

    /// The change when block `b` is merged into block `a`.
    fn merge_gain(&self, a: usize, b: usize) -> f64 {
        let (model, n) = (&self.model, self.capacity);
        let blocks = self.count();
        let mut change = model.block(self.sizes[a] + self.sizes[b], self.ends[a] + self.ends[b])
            - model.block(self.sizes[a], self.ends[a])
            - model.block(self.sizes[b], self.ends[b])
            + model.count(blocks - 1)
            - model.count(blocks);
        let join = |x: &Pair, y: &Pair| Pair { edges: x.edges + y.edges, sum: x.sum + y.sum, squares: x.squares + y.squares };
        for c in (0..n).filter(|&c| c != a && c != b && self.sizes[c] > 0) {
            let (x, y) = (&self.pairs[a * n + c], &self.pairs[b * n + c]);
            if x.edges + y.edges > 0 {
                change += model.pair(&join(x, y), false) - model.pair(x, false) - model.pair(y, false);
            }
        }
        let (aa, bb, ab) = (&self.pairs[a * n + a], &self.pairs[b * n + b], &self.pairs[a * n + b]);
        change + model.pair(&join(&join(aa, bb), ab), true) - model.pair(aa, true) - model.pair(bb, true) - model.pair(ab, false)
    }

    fn merge(&mut self, a: usize, b: usize) {
        let members: Vec<usize> = (0..self.of.len()).filter(|&node| self.of[node] == b).collect();
        members.into_iter().for_each(|node| self.apply_move(node, a));
    }

    /// Moves single nodes to their best block, in random order, until a whole round changes nothing.
    fn sweep(&mut self, stream: &mut Stream) {
        for _ in 0..100 {
            let mut improved = false;
            for node in stream.permutation(self.of.len()) {
                let empty = self.empty_block();
                let candidates = (0..self.capacity).filter(|&block| self.sizes[block] > 0 || Some(block) == empty);
                let best =
                    candidates.map(|block| (self.move_gain(node, block), block)).min_by(|x, y| x.0.total_cmp(&y.0).then(x.1.cmp(&y.1)));
                if let Some((gain, block)) = best
                    && gain < -1e-9
                {
                    self.apply_move(node, block);
                    improved = true;
                }
            }
            if !improved {
                return;
            }
        }
    }

    /// Merges the pair of blocks that gains most, as long as one gains.
    fn merge_while_better(&mut self) -> bool {
        let mut any = false;
        loop {
            let alive: Vec<usize> = (0..self.capacity).filter(|&block| self.sizes[block] > 0).collect();
            let pairs = alive.iter().enumerate().flat_map(|(at, &a)| alive[at + 1..].iter().map(move |&b| (a, b)));
            let best =
                pairs.map(|(a, b)| (self.merge_gain(a, b), a, b)).min_by(|x, y| x.0.total_cmp(&y.0).then((x.1, x.2).cmp(&(y.1, y.2))));
            match best {
                Some((gain, a, b)) if gain < -1e-9 => {
                    self.merge(a, b);
                    any = true;
                }
                _ => return any,
            }
        }
    }

    /// Tries to split a block in two: random halves, improved by moves between the two; kept when it gains.
    fn split(&mut self, block: usize, stream: &mut Stream) -> bool {
        let members: Vec<usize> = (0..self.of.len()).filter(|&node| self.of[node] == block).collect();
        let Some(other) = self.empty_block().filter(|_| members.len() > 1) else { return false };
        let before = self.total();
        let saved = self.clone();
        for &node in &members {
            if stream.uniform() < 0.5 {
                self.apply_move(node, other);
            }
        }
        for _ in 0..20 {
            let mut improved = false;
            for &node in &members {
                let to = if self.of[node] == block { other } else { block };
                // Never empties a side: that would undo the split and hide it.
                if self.sizes[self.of[node]] > 1 && self.move_gain(node, to) < -1e-9 {
                    self.apply_move(node, to);
                    improved = true;
                }
            }
            if !improved {
                break;
            }
        }
        if self.total() < before - 1e-9 {
            return true;
        }
        *self = saved;
        false
    }
}

/// The best partition found from one random stream, and its description length.
pub(crate) fn search(network: &Network, model: Model, mut stream: Stream, cancel: &CancelToken) -> Result<(Vec<usize>, f64), StageError> {
    let n = network.degrees.len();
    // Agglomeration from singletons, every level improved by moves when few blocks are left.
    let mut blocks = Blocks::new(network, model, (0..n).collect());
    let mut best = (vec![0; n], Blocks::new(network, model, vec![0; n]).total());
    while blocks.count() > 1 {
        cancel.check()?;
        let alive: Vec<usize> = (0..blocks.capacity).filter(|&block| blocks.sizes[block] > 0).collect();
        // Among many blocks, random pairs: the order of early merges is what restarts differ in.
        let mut candidates: Vec<(f64, usize, usize)> = Vec::new();
        if alive.len() > 24 {
            for &a in &alive {
                for _ in 0..6 {
                    let b = alive[stream.below(alive.len() as u64) as usize];
                    if a != b {
                        candidates.push((blocks.merge_gain(a.min(b), a.max(b)), a.min(b), a.max(b)));
                    }
                }
            }
        } else {
            for (at, &a) in alive.iter().enumerate() {
                candidates.extend(alive[at + 1..].iter().map(|&b| (blocks.merge_gain(a, b), a, b)));
            }
        }
        candidates.sort_by(|x, y| x.0.total_cmp(&y.0).then((x.1, x.2).cmp(&(y.1, y.2))));
        // Many merges at once while there are many blocks, one at a time near the end.
        let wanted = if alive.len() > 24 { alive.len() / 8 } else { 1 };
        let mut used = vec![false; blocks.capacity];
        let mut merged = 0;
        for (_, a, b) in candidates {
            if merged == wanted {
                break;
            }
            if !used[a] && !used[b] {
                (used[a], used[b]) = (true, true);
                blocks.merge(a, b);
                merged += 1;
            }
        }
        if merged == 0 {
            break;
        }
        if blocks.count() <= 24 {
            let mut level = Blocks::new(network, model, compact(&blocks.of));
            level.sweep(&mut stream);
            let total = level.total();
            if total < best.1 {
                best = (level.of.clone(), total);
            }
        }
    }
    // From the best level: moves, merges and splits until a round brings nothing.
    let mut blocks = Blocks::new(network, model, compact(&best.0));
    for _ in 0..50 {
        cancel.check()?;
        let before = blocks.total();
        blocks.sweep(&mut stream);
        blocks.merge_while_better();
        let alive: Vec<usize> = (0..blocks.capacity).filter(|&block| blocks.sizes[block] > 0).collect();
        for block in alive {
            if blocks.split(block, &mut stream) {
                // Room for one more empty block.
                blocks = Blocks::new(network, model, compact(&blocks.of));
                break;
            }
        }
        blocks = Blocks::new(network, model, compact(&blocks.of));
        if blocks.total() > before - 1e-9 {
            break;
        }
    }
    let total = blocks.total();
    Ok(if total < best.1 { (compact(&blocks.of), total) } else { (compact(&best.0), best.1) })
}

/// The description length of a given partition.
pub(crate) fn description_length(network: &Network, model: Model, of: &[usize]) -> f64 {
    Blocks::new(network, model, compact(of)).total()
}

/// Blocks renumbered from 0 in the order of first appearance.
pub(crate) fn compact(of: &[usize]) -> Vec<usize> {
    let mut names: Vec<usize> = Vec::new();
    of.iter()
        .map(|block| {
            names.iter().position(|name| name == block).unwrap_or_else(|| {
                names.push(*block);
                names.len() - 1
            })
        })
        .collect()
}
