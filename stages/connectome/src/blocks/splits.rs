//! Merges and splits of blocks, at β = ∞ (after Peixoto 2020, "Merge–split Markov chain Monte Carlo for community detection"): a block in two, two blocks into one, two blocks
//! together and apart again, and one block in two while two others become one.

use super::level::Level;
use super::partition::{Around, LEAST, Partition, compact};
use super::search::{LARGE, STIRRED, Search, sides};
use neuroflow_data::random::Stream;
use neuroflow_stage::StageError;

/// Blocks that a round tries at most, and up to which all merges are weighed.
const TRIED: usize = 512;

/// Rounds of moves between the two halves of a split.
const SETTLING: usize = 12;

/// Blocks or pairs in a row that bring nothing before a round on a large graph gives up: the likeliest come first.
const IDLE: usize = 32;

/// One round: every block is split, and parted anew from the block that it would best merge with; then merges while one gains. With a fixed number of blocks a split is kept only
/// together with a merge.
pub(super) fn merges_and_splits<'a>(
    search: &Search<'a>,
    partition: &mut Partition<'a>,
    fixed: bool,
    stream: &mut Stream,
) -> Result<(), StageError> {
    // A nested prior is cheaper by block than a flat one; its marginal price is taken from where the partition is now.
    let price = search.marginal_price(partition);
    let model = search.model;
    let cost = |counts: [u64; 2]| match price {
        Some(price) => model.count_without_edges(counts) + price * (counts[0] + counts[1]) as f64,
        None => model.count(counts),
    };
    let mut tools = Tools::default();
    let mut alive = partition.alive();
    stream.shuffle(&mut alive);
    let large = search.network.halves() > LARGE;
    if large {
        // What holds several groups is larger than what holds one.
        alive.sort_by_key(|&block| std::cmp::Reverse(partition.sizes[block as usize]));
    }
    // Of very many blocks only some are tried in a round.
    alive.truncate(TRIED);
    let mut idle = 0;
    let weighed = partition.count() <= TRIED;
    let mut merge = None;
    let mut members = partition.members();
    for block in alive {
        search.cancel.check()?;
        let size = partition.sizes[block as usize];
        if size < 2 {
            continue;
        }
        let Some(spare) = partition.spare() else { break };
        if large && idle == IDLE {
            break;
        }
        idle += 1;
        if merge.is_none() && weighed {
            let (names, level) = Level::of_partition(partition);
            merge = Some(level.best_merge_any(cost).map(|(gain, a, b)| (gain, names[a as usize], names[b as usize])));
        }
        // One way to begin, and where it leads nowhere, another; in large graphs there is less to gain, and it is dear.
        let ways = [Begin::Merged, Begin::chance(stream)];
        for begin in if search.network.halves() > STIRRED { &ways[..1] } else { &ways[..] }.iter().copied() {
            if partition.of[members[block as usize][0] as usize] != block {
                // A merge took it meanwhile.
                break;
            }
            let before = partition.counts;
            let (gain, moved) = split(partition, &members[block as usize], [block, spare], begin, stream, &mut tools);
            let gain = gain - model.count(partition.counts) + model.count(before) + cost(partition.counts) - cost(before);
            let with = merge.flatten().filter(|(merge, a, b)| *a != block && *b != block && gain + merge < -LEAST);
            if !fixed && gain < -LEAST {
                merge = None;
            } else if let Some((_, a, b)) = with {
                let gone = std::mem::take(&mut members[b as usize]);
                gone.iter().for_each(|&node| partition.shift(node as usize, a, &mut tools.around));
                members[a as usize].extend(gone);
                merge = None;
            } else {
                moved.into_iter().for_each(|node| partition.shift(node as usize, block, &mut tools.around));
                continue;
            }
            idle = 0;
            (members[spare as usize], members[block as usize]) =
                std::mem::take(&mut members[block as usize]).into_iter().partition(|&node| partition.of[node as usize] == spare);
            break;
        }
        if partition.spare().is_none() {
            let of = compact(&partition.of);
            *partition = Partition::new(search.network, model, of, 2);
            break;
        }
    }
    part_anew(search, partition, stream, &mut tools)?;
    while !fixed && partition.count() > sides(search.network) && partition.count() <= TRIED {
        search.cancel.check()?;
        let (names, level) = Level::of_partition(partition);
        let Some((_, a, b)) = level.best_merge(cost) else { break };
        let (a, b) = (names[a as usize], names[b as usize]);
        for node in 0..partition.of.len() {
            if partition.of[node] == b {
                partition.shift(node, a, &mut tools.around);
            }
        }
    }
    Ok(())
}

/// Puts each block together with the one that it would best merge with, and parts them again: nodes that are in the wrong one of two blocks, and hold each other there, are set free.
fn part_anew(search: &Search<'_>, partition: &mut Partition<'_>, stream: &mut Stream, tools: &mut Tools) -> Result<(), StageError> {
    if partition.count() > TRIED {
        return Ok(());
    }
    let (names, level) = Level::of_partition(partition);
    let mut pairs: Vec<(f64, u32, u32)> = (0..level.count() as u32)
        .filter_map(|block| {
            let others = (0..level.count() as u32).filter(|&other| other != block && level.same_side(block, other));
            let gains = others.map(|other| (level.gain(block.min(other), block.max(other)), other));
            let best = gains.min_by(|x, y| x.0.total_cmp(&y.0).then(x.1.cmp(&y.1)));
            best.map(|(gain, other)| (gain, block.min(other), block.max(other)))
        })
        .collect();
    pairs.sort_unstable_by_key(|&(_, a, b)| (a, b));
    pairs.dedup_by_key(|&mut (_, a, b)| (a, b));
    stream.shuffle(&mut pairs);
    let large = search.network.halves() > LARGE;
    if large {
        // Blocks that are told apart by little are the likeliest to be mixed up.
        pairs.sort_by(|x, y| x.0.total_cmp(&y.0));
    }
    let mut idle = 0;
    for (_, a, b) in pairs {
        search.cancel.check()?;
        if large && idle == IDLE {
            break;
        }
        idle += 1;
        let (a, b) = (names[a as usize], names[b as usize]);
        let nodes: Vec<u32> = (0..partition.of.len() as u32).filter(|&node| [a, b].contains(&partition.of[node as usize])).collect();
        let before: Vec<u32> = nodes.iter().map(|&node| partition.of[node as usize]).collect();
        if !before.contains(&a) || !before.contains(&b) {
            continue;
        }
        let mut total = 0.0;
        for &node in &nodes {
            if partition.of[node as usize] == b {
                partition.look(node as usize, &mut tools.around);
                total += partition.gain(&tools.around, a);
                partition.apply(&tools.around, a);
            }
        }
        let begin = if stream.uniform() < 0.5 { Begin::Merged } else { Begin::chance(stream) };
        total += split(partition, &nodes, [a, b], begin, stream, tools).0;
        if total > -LEAST {
            nodes.iter().zip(before).for_each(|(&node, block)| partition.shift(node as usize, block, &mut tools.around));
        } else {
            idle = 0;
        }
    }
    Ok(())
}

/// Room for the work on single nodes.
#[derive(Debug, Default)]
struct Tools {
    around: Around,
}

/// How a split begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    /// Two groups that single nodes were merged into.
    Merged,
    /// One node, and those that follow it.
    Grown,
    /// Random halves.
    Halves,
}

impl Begin {
    fn chance(stream: &mut Stream) -> Begin {
        if stream.uniform() < 0.5 { Begin::Grown } else { Begin::Halves }
    }
}

/// Splits the members of a block, all in `block`, between it and `spare`, which is empty; then moves between the two. Gives the change and the nodes that are in `spare` now; the
/// caller takes back what it does not want.
fn split(
    partition: &mut Partition<'_>,
    members: &[u32],
    [block, spare]: [u32; 2],
    begin: Begin,
    stream: &mut Stream,
    tools: &mut Tools,
) -> (f64, Vec<u32>) {
    let mut order = members.to_vec();
    stream.shuffle(&mut order);
    let merged = if begin == Begin::Merged { two_groups(partition, &order, stream) } else { None };
    let around = &mut tools.around;
    let mut total = 0.0;
    let mut step = |partition: &mut Partition<'_>, node: u32, to: u32, least: f64| {
        partition.look(node as usize, around);
        let gain = partition.gain(around, to);
        if gain < least {
            partition.apply(around, to);
            total += gain;
        }
        gain < least
    };
    match (&merged, begin) {
        (Some(second), _) => second.iter().for_each(|&node| {
            step(partition, node, spare, f64::INFINITY);
        }),
        (None, Begin::Grown) => {
            step(partition, order[0], spare, f64::INFINITY);
            for &node in &order[1..] {
                if partition.sizes[block as usize] > 1 {
                    step(partition, node, spare, -LEAST);
                }
            }
        }
        (None, _) => order[..(order.len() / 2).max(1)].iter().for_each(|&node| {
            step(partition, node, spare, f64::INFINITY);
        }),
    }
    for _ in 0..SETTLING {
        let mut moved = 0;
        for &node in &order {
            let from = partition.of[node as usize];
            let to = if from == block { spare } else { block };
            // Never empties a side: that would undo the split and hide it.
            if partition.sizes[from as usize] > 1 && step(partition, node, to, -LEAST) {
                moved += 1;
            }
        }
        if moved == 0 {
            break;
        }
    }
    let moved = members.iter().copied().filter(|&node| partition.of[node as usize] == spare).collect();
    (total, moved)
}

/// Merges single nodes of one block until two groups are left, all other blocks staying as they are; the second group. None when that does not lead to two.
fn two_groups(partition: &Partition<'_>, members: &[u32], stream: &mut Stream) -> Option<Vec<u32>> {
    let mut groups = members.len();
    let blocks = groups + partition.sizes.len();
    let mut group: Vec<u32> = (0..groups as u32).collect();
    let mut of: Vec<u32> = partition.of.iter().map(|block| groups as u32 + block).collect();
    let stream = Stream::new(stream.next_u64());
    let mut round = 0;
    while groups > 2 {
        members.iter().zip(&group).for_each(|(&node, &group)| of[node as usize] = group);
        let level = Level::within(partition.network, partition.model, &of, blocks, groups, members, partition.pooled());
        let into = level.merge((groups / 2).clamp(1, groups - 2), 10, &stream.split_index(round));
        let next = into.iter().max().map_or(0, |most| *most as usize + 1);
        if next >= groups {
            return None;
        }
        group.iter_mut().for_each(|group| *group = into[*group as usize]);
        groups = next;
        round += 1;
    }
    (groups == 2).then(|| members.iter().zip(&group).filter(|(_, group)| **group == 1).map(|(node, _)| *node).collect())
}
