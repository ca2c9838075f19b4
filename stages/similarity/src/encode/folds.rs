//! Who is held out of what: the folds that are predicted, and those of a training side by which penalties are chosen.

use super::problem::Problem;
use super::{EncodeParams, HoldOut};
use crate::paired::Paired;
use neuroflow_data::random::Stream;
use neuroflow_stage::StageError;

/// The folds of samples, by what is held out.
pub(super) fn folds(paired: &Paired, params: &EncodeParams) -> Result<Vec<usize>, StageError> {
    let (groups, what): (Vec<usize>, &str) = match params.hold_out {
        HoldOut::Conditions {} => (paired.condition.clone(), "conditions"),
        HoldOut::Samples {} => ((0..paired.len()).collect(), "samples"),
    };
    let mut known = groups.clone();
    known.sort_unstable();
    known.dedup();
    if known.len() <= params.folds {
        return Err(StageError::refused_with_help(
            format!(
                "{} has {} {what}; {} folds need more than that, so that each side has 2 at least",
                paired.names[0],
                known.len(),
                params.folds
            ),
            format!("at most `folds = {}` works here", known.len().saturating_sub(1)),
        ));
    }
    // The split is that of the conditions alone, so that steps over the same conditions share it.
    Ok(deal(&groups, &known, params.folds, &Stream::new(0).split("folds")))
}

impl Problem {
    /// Folds of the training samples, by what is held out.
    pub(super) fn inner_folds(&self, train: &[usize], params: &EncodeParams, stream: &Stream) -> Result<Vec<usize>, StageError> {
        let groups: Vec<usize> = match params.hold_out {
            HoldOut::Conditions {} => train.iter().map(|&sample| self.condition[sample]).collect(),
            HoldOut::Samples {} => (0..train.len()).collect(),
        };
        let mut known = groups.clone();
        known.sort_unstable();
        known.dedup();
        if known.len() < 2 {
            return Err(StageError::refused(
                "a training side has a single condition: no penalty can be chosen on it; use fewer folds or more conditions",
            ));
        }
        Ok(deal(&groups, &known, params.inner_folds.min(known.len()), stream))
    }
}

/// Deals groups to folds in random order, as evenly as they go.
fn deal(groups: &[usize], known: &[usize], folds: usize, stream: &Stream) -> Vec<usize> {
    let order = stream.clone().permutation(known.len());
    let mut fold_of = vec![0; known.len()];
    order.into_iter().enumerate().for_each(|(place, group)| fold_of[group] = place % folds);
    groups.iter().map(|group| fold_of[known.binary_search(group).unwrap_or(0)]).collect()
}
