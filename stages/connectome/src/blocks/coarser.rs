//! The graph of blocks, made of a partition's counts or of a finer one: both hold what is needed, so that the edges of the network are not read again.

use super::description_length::Pair;
use super::level::{Alike, Level};
use super::partition::Partition;
use super::rows::Rows;
use super::table::Table;

/// Blocks from which rows are gathered on all threads.
const MANY_BLOCKS: usize = 2_048;

impl Level {
    /// The blocks with nodes of a partition, and their numbers there.
    pub(crate) fn of_partition(partition: &Partition<'_>) -> (Vec<u32>, Level) {
        let names = partition.alive();
        let blocks = names.len();
        let mut place = vec![0u32; partition.sizes.len()];
        names.iter().enumerate().for_each(|(at, block)| place[*block as usize] = at as u32);
        let model = partition.model;
        // The pairs of each block, both ways when undirected; outgoing and incoming apart when directed.
        let ways = if model.directed { 2 } else { 1 };
        let mut halves: Vec<Vec<(u32, u32, Pair)>> = vec![Vec::new(); ways];
        partition.each_pair(|r, s, pair| {
            let (r, s) = (place[r as usize], place[s as usize]);
            halves[0].push((r, s, *pair));
            if r != s || model.directed {
                halves[ways - 1].push((s, r, *pair));
            }
        });
        let mut level = Level {
            model,
            sizes: names.iter().map(|&block| partition.sizes[block as usize]).collect(),
            ends: names.iter().map(|&block| partition.ends[block as usize]).collect(),
            sides: names.iter().map(|&block| partition.side(block) as u8).collect(),
            inside: Vec::new(),
            rows: Vec::with_capacity(ways),
            counts: partition.counts,
            pooled: partition.pooled(),
            alike: Vec::new(),
            movable: blocks,
        };
        for (way, halves) in halves.iter().enumerate() {
            let (starts, order) = by_key(blocks, halves.iter().map(|half| half.0));
            let (rows, inside) = Rows::gather(blocks, blocks > MANY_BLOCKS, |block, row| {
                for &at in &order[starts[block]..starts[block + 1]] {
                    let (_, other, pair) = &halves[at as usize];
                    // Edges inside come from one of both ways.
                    if way == 0 || *other as usize != block {
                        row.add(*other, pair);
                    }
                }
            });
            level.rows.push(rows);
            if way == 0 {
                level.inside = inside;
            }
        }
        level.alike = partition.alike.iter().map(|table| alike_of(table, &place, blocks)).collect();
        (names, level)
    }

    /// The level whose blocks are unions of these: block `b` becomes part of `into[b]`, numbered from 0 without gaps.
    pub(crate) fn merged(&self, into: &[u32]) -> Level {
        let blocks = into.iter().max().map_or(0, |most| *most as usize + 1);
        let (starts, members) = by_key(blocks, into.iter().copied());
        let members_of = |block: usize| &members[starts[block]..starts[block + 1]];
        let mut level = Level {
            model: self.model,
            sizes: vec![0; blocks],
            ends: vec![[0; 2]; blocks],
            sides: vec![0; blocks],
            inside: Vec::new(),
            rows: Vec::with_capacity(self.rows.len()),
            counts: [0; 2],
            pooled: self.pooled,
            alike: Vec::new(),
            movable: blocks,
        };
        for (block, &to) in into.iter().enumerate() {
            let to = to as usize;
            level.sizes[to] += self.sizes[block];
            (0..2).for_each(|way| level.ends[to][way] += self.ends[block][way]);
            level.sides[to] = self.sides[block];
        }
        level.sides.iter().for_each(|&side| level.counts[usize::from(side)] += 1);
        for (way, rows) in self.rows.iter().enumerate() {
            let (rows, inside) = Rows::gather(blocks, self.count() > MANY_BLOCKS, |block, row| {
                for &member in members_of(block) {
                    if way == 0 {
                        row.add(block as u32, &self.inside[member as usize]);
                    }
                    let (others, pairs) = rows.of(member as usize);
                    for (&other, pair) in others.iter().zip(pairs) {
                        let to = into[other as usize];
                        // Undirected edges between two members are met from both, directed ones once each way.
                        let again = to as usize == block && (way == 1 || (!self.model.directed && other < member));
                        if !again {
                            row.add(to, pair);
                        }
                    }
                }
            });
            level.rows.push(rows);
            if way == 0 {
                level.inside = inside;
            }
        }
        if self.model.assortative {
            let (inside, outside, _) = &self.pooled;
            let all = inside.plus(outside);
            let inside = level.inside.iter().fold(Pair::default(), |sum, pair| sum.plus(pair));
            level.pooled = (inside, all.minus(&inside), level.sizes.iter().map(|size| size * size).sum());
        }
        level.alike = self.alike.iter().map(|alike| joined(alike, blocks, members_of)).collect();
        level
    }

    /// The description length under the flat prior, but for what no partition changes.
    pub(crate) fn length(&self) -> f64 {
        let model = &self.model;
        let mut total = model.count(self.counts);
        total += self.sizes.iter().zip(&self.ends).map(|(size, ends)| model.block(*size, *ends)).sum::<f64>();
        for alike in &self.alike {
            total += alike.counts.iter().map(|count| model.alike(u64::from(count.1))).sum::<f64>();
        }
        if model.assortative {
            let (inside, outside, squares) = &self.pooled;
            return total + model.pooled(inside, outside, *squares);
        }
        total += self.inside.iter().map(|pair| model.pair(pair, true)).sum::<f64>();
        // Outgoing rows hold every pair once, undirected ones twice.
        for block in 0..self.count() {
            let (others, pairs) = self.rows[0].of(block);
            let own = others.iter().zip(pairs).filter(|(other, _)| model.directed || **other as usize > block);
            total += own.map(|(_, pair)| model.pair(pair, false)).sum::<f64>();
        }
        total
    }
}

/// Where the elements of each key begin, and the elements by key, in order.
fn by_key(keys: usize, of: impl Iterator<Item = u32> + Clone) -> (Vec<usize>, Vec<u32>) {
    let mut starts = vec![0usize; keys + 1];
    of.clone().for_each(|key| starts[key as usize + 1] += 1);
    (0..keys).for_each(|key| starts[key + 1] += starts[key]);
    let mut next = starts.clone();
    let mut order = vec![0u32; starts[keys]];
    for (element, key) in of.enumerate() {
        let place = &mut next[key as usize];
        order[*place] = element as u32;
        *place += 1;
    }
    (starts, order)
}

fn alike_of(table: &Table<u32>, place: &[u32], blocks: usize) -> Alike {
    let mut all: Vec<(u32, u32, u32)> = Vec::new();
    table.each(|block, degree, count| all.push((place[block as usize], degree, *count)));
    all.sort_unstable();
    let mut starts = vec![0usize; blocks + 1];
    all.iter().for_each(|(block, _, _)| starts[*block as usize + 1] += 1);
    (0..blocks).for_each(|block| starts[block + 1] += starts[block]);
    Alike { starts, counts: all.into_iter().map(|(_, degree, count)| (degree, count)).collect() }
}

fn joined<'a>(alike: &Alike, blocks: usize, members_of: impl Fn(usize) -> &'a [u32]) -> Alike {
    let mut joined = Alike { starts: vec![0], counts: Vec::new() };
    let mut own: Vec<(u32, u32)> = Vec::new();
    for block in 0..blocks {
        own.clear();
        members_of(block).iter().for_each(|&member| own.extend_from_slice(alike.of(member as usize)));
        own.sort_unstable();
        joined.counts.extend(own.chunk_by(|a, b| a.0 == b.0).map(|same| (same[0].0, same.iter().map(|count| count.1).sum())));
        joined.starts.push(joined.counts.len());
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::super::partition::compact;
    use super::super::partition::tests::{ALL, models, network};
    use super::*;

    #[test]
    fn levels_made_of_a_partition_and_of_a_finer_level_are_those_of_the_network() {
        for (directed, two_sides) in [(false, false), (true, false), (false, true)] {
            let (network, edges) = network(40, 0.3, directed, two_sides, 7);
            for model in models(&network, edges, &ALL) {
                let side = |node: usize| usize::from(two_sides && node.is_multiple_of(3));
                let fine: Vec<u32> = compact(&(0..40).map(|node| (8 * side(node) + node / 2 % 8) as u32).collect::<Vec<_>>());
                let finer = Level::new(&network, model, &fine, fine.iter().max().map_or(0, |most| *most as usize + 1));
                // Pairs of blocks of one side.
                let into = compact(
                    &(0..finer.count() as u32).map(|block| 2 * (block / 2) + u32::from(finer.sides[block as usize])).collect::<Vec<_>>(),
                );
                let of: Vec<u32> = fine.iter().map(|block| into[*block as usize]).collect();
                let partition = Partition::new(&network, model, of.clone(), 2);
                let coarse = Level::new(&network, model, &of, partition.count());
                let constant = partition.length() - coarse.length();
                for level in [finer.merged(&into), Level::of_partition(&partition).1] {
                    assert!((partition.length() - level.length() - constant).abs() < 1e-7, "{model:?}");
                    assert_eq!((&level.sizes, &level.ends, &level.sides), (&coarse.sizes, &coarse.ends, &coarse.sides));
                    for (a, b) in [(0, 1), (1, 3), (0, 2)] {
                        if coarse.same_side(a, b) {
                            assert!((level.gain(a, b) - coarse.gain(a, b)).abs() < 1e-7, "{model:?} {a} {b}");
                        }
                    }
                }
                let finest = Partition::new(&network, model, fine.clone(), 0);
                assert!((finest.length() - finer.length() - constant).abs() < 1e-7, "{model:?}");
            }
        }
    }
}
