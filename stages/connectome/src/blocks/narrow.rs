//! From many blocks to few in large graphs, where each look at all edges is dear.
//!
//! Blocks merge as nodes of the graph of blocks, which is made of the one before ([`Level::merged`]), and what each merge does to the description length is known there exactly. Single nodes
//! move only when half of the blocks are gone, or when merges no longer shorten the description; the counts between blocks that they leave behind are the next graph of blocks.

use super::level::Level;
use super::moves::Number;
use super::partition::Partition;
use super::search::{Search, Step, count, place_of_best};
use neuroflow_data::random::Stream;
use neuroflow_stage::StageError;

/// Blocks up to which merges are made a few at a time, among many partners: their counts fit into an array.
const CAREFULLY: usize = 1024;

/// Rounds of moves of single nodes between merges.
const ROUNDS: usize = 3;

impl Search<'_> {
    /// The stops on the way from a level to at least `least` blocks, of which the last is one too far unless the number is given; `of` is the block of each node.
    pub(super) fn narrow(&self, mut level: Level, mut of: Vec<u32>, least: usize, stream: &Stream) -> Result<Vec<Step>, StageError> {
        let judged = self.effort.blocks.is_none() && !self.effort.nested;
        let crowd = self.crowd().max(least);
        let merges = stream.split("merges");
        for number in 0.. {
            self.cancel.check()?;
            let blocks = level.count();
            if blocks <= crowd {
                break;
            }
            let into = level.merge((blocks / 2).min(blocks - crowd), 4, &merges.split_index(number));
            if count(&into) >= blocks {
                break;
            }
            level = level.merged(&into);
            of.iter_mut().for_each(|block| *block = into[*block as usize]);
        }
        let mut trail = Vec::new();
        self.halve(level, of, (least, 0.5), judged, &stream.split("halves"), &mut trail)?;
        let best = place_of_best(&trail);
        if self.effort.nested && self.effort.blocks.is_none() && best > 0 {
            // The graph of blocks does not know what a hierarchy costs: once more from the step before the best, a few blocks at a time.
            let lowest = trail.get(best + 1).map_or(least, |step: &Step| step.blocks.max(least));
            let from = trail[best - 1].of.clone();
            let level = Level::new(self.network, self.model, &from, trail[best - 1].blocks);
            self.halve(level, from, (lowest, 0.875), judged, &stream.split("fine"), &mut trail)?;
        }
        Ok(trail)
    }

    /// Merges to a share of the blocks and moves single nodes, in turn.
    fn halve(
        &self,
        mut level: Level,
        mut of: Vec<u32>,
        (least, share): (usize, f64),
        judged: bool,
        stream: &Stream,
        trail: &mut Vec<Step>,
    ) -> Result<(), StageError> {
        let halves = self.network.halves() as f64;
        let falls = self.model.assortative && self.effort.blocks.is_none();
        let moves = if falls { Number::Falls } else { Number::Kept };
        for number in 0.. {
            let before = level.count();
            let target = ((before as f64 * share) as usize).max(least);
            let target = if judged { target.min(CAREFULLY).max(least) } else { target };
            let into = self.coarser(level, target, judged, &stream.split_index(2 * number))?;
            of.iter_mut().for_each(|block| *block = into[*block as usize]);
            let mut partition = Partition::new(self.network, self.model, of, 0);
            partition.sweep(ROUNDS, moves, 1e-5 * halves, &mut stream.split_index(2 * number + 1));
            let length = self.score(&partition);
            let names;
            (names, level) = Level::of_partition(&partition);
            of = partition.of;
            if names.len() < partition.sizes.len() {
                let mut place = vec![0; partition.sizes.len()];
                names.iter().enumerate().for_each(|(at, block)| place[*block as usize] = at as u32);
                of.iter_mut().for_each(|block| *block = place[*block as usize]);
            }
            let blocks = names.len();
            let best = trail.get(place_of_best(trail)).map(|step| (step.length, step.blocks));
            // Where no block can merge, that is the last stop, whatever was wanted.
            let last = blocks <= least || blocks >= before;
            if self.effort.blocks.is_none() || last {
                trail.push(Step { blocks, length, of: of.clone() });
            }
            // Far below the best number, nothing is to be found but none; and where merges are judged, the first that lengthens is the last.
            let low = best.is_some_and(|(shortest, most)| length > shortest && (judged || 3 * blocks < most));
            if last || (low && self.effort.blocks.is_none()) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Which block each block of a level becomes on the way to `target` blocks: where the description is shortest, if any merge shortens it and that is what counts, else at the end.
    fn coarser(&self, mut level: Level, target: usize, judged: bool, stream: &Stream) -> Result<Vec<u32>, StageError> {
        let mut into: Vec<u32> = (0..level.count() as u32).collect();
        let mut shortest = (if judged { level.length() } else { f64::INFINITY }, None);
        for number in 0.. {
            self.cancel.check()?;
            let blocks = level.count();
            if blocks <= target {
                break;
            }
            let (share, tries) = if blocks > CAREFULLY { (3, 4) } else { (8, 10) };
            let step = level.merge((blocks / share).clamp(1, blocks - target), tries, &stream.split_index(number));
            if count(&step) >= blocks {
                break;
            }
            into.iter_mut().for_each(|block| *block = step[*block as usize]);
            level = level.merged(&step);
            if judged {
                let length = level.length();
                if length < shortest.0 {
                    shortest = (length, Some(into.clone()));
                }
            }
        }
        Ok(shortest.1.unwrap_or(into))
    }
}

#[cfg(test)]
mod tests {
    use super::super::partition::compact;
    use super::super::search::Effort;
    use super::super::search::tests::planted;
    use super::*;
    use neuroflow_compute::with_threads;
    use neuroflow_stage::CancelToken;

    #[test]
    fn groups_are_passed_on_the_way_down_and_a_number_that_is_given_is_met() {
        for (inside, outside, assortative) in [(0.5, 0.05, false), (0.02, 0.35, false), (0.5, 0.05, true)] {
            let (network, mut model, truth) = planted(120, 4, inside, outside, 3);
            model.assortative = assortative;
            for (blocks, nested) in [(None, false), (Some(4), false), (Some(7), false), (None, !assortative)] {
                let effort = Effort { blocks, nested, rounds: 0 };
                let down = || {
                    let cancel = CancelToken::new();
                    let search = Search { network: &network, model, effort, cancel: &cancel };
                    // Where only inside and outside count, single nodes are no start.
                    let of: Vec<u32> = (0..120).map(|node| if assortative { node % 8 } else { node }).collect();
                    let level = Level::new(&network, model, &of, count(&of));
                    search.narrow(level, of, blocks.unwrap_or(1), &Stream::new(4)).unwrap()
                };
                let (one, four) = (with_threads(1, down).unwrap(), with_threads(4, down).unwrap());
                assert!(one.iter().zip(&four).all(|(a, b)| a.of == b.of && a.length.to_bits() == b.length.to_bits()));
                assert_eq!(one.len(), four.len());
                let best = &one[place_of_best(&one)];
                assert_eq!(count(&best.of), best.blocks);
                if blocks == Some(7) {
                    assert_eq!((one.len(), best.blocks), (1, 7));
                } else {
                    assert_eq!(compact(&best.of), compact(&truth), "{inside} {assortative} {blocks:?} {nested}");
                }
            }
        }
    }
}
