//! The two sides of each fold: whom it trains on and whom it tests.

use crate::folds::Folds;
use crate::place::Place;
use neuroflow_data::{Axis, Kind, Responses, Tensor};
use neuroflow_stage::{InputSpec, StageError};

/// The name of the axes of a split as an artifact.
pub(crate) const AXES: [&str; 2] = ["fold", "trial"];
/// What a trial is to a fold, as a number of the artifact.
const TRAINED: f64 = 1.0;
const TESTED: f64 = 2.0;

/// The slot of a stage that takes a split.
pub(crate) fn split_slot() -> InputSpec {
    InputSpec::optional("split", &[Kind::Tensor], "fold × trial", "Who trains and who is tested in each fold, from `decode.split`.")
}

/// Training and tested trials of each fold, each in the order of the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) n_trials: usize,
    pub(crate) train: Vec<Vec<usize>>,
    pub(crate) test: Vec<Vec<usize>>,
}

impl From<&Folds> for Split {
    fn from(folds: &Folds) -> Split {
        Split {
            n_trials: folds.of_trial.len(),
            train: (0..folds.n_folds).map(|fold| folds.train(fold)).collect(),
            test: (0..folds.n_folds).map(|fold| folds.test(fold)).collect(),
        }
    }
}

impl Split {
    /// The number of folds.
    pub(crate) fn n_folds(&self) -> usize {
        self.test.len()
    }

    /// All pairs (trial, fold) in which the fold tests the trial, by trial and then by fold.
    pub(crate) fn tested(&self) -> Vec<(usize, usize)> {
        let mut pairs: Vec<(usize, usize)> =
            self.test.iter().enumerate().flat_map(|(fold, trials)| trials.iter().map(move |&trial| (trial, fold))).collect();
        pairs.sort_unstable();
        pairs
    }

    /// The artifact `[fold × trial]`: 1 where the fold trains on the trial, 2 where it tests it, 0 where it does neither.
    ///
    /// # Errors
    /// When sizes do not fit, which is a mistake of ours.
    pub(crate) fn tensor(&self) -> Result<Tensor, StageError> {
        let mut values = vec![0.0; self.n_folds() * self.n_trials];
        for (fold, roles) in values.chunks_exact_mut(self.n_trials.max(1)).enumerate() {
            self.train[fold].iter().for_each(|&trial| roles[trial] = TRAINED);
            self.test[fold].iter().for_each(|&trial| roles[trial] = TESTED);
        }
        Ok(Tensor::new(vec![Axis::count(AXES[0], self.n_folds()), Axis::count(AXES[1], self.n_trials)], None, values)?)
    }

    /// Reads the artifact for a session.
    ///
    /// # Errors
    /// When it has other axes, another number of trials than the session, other values than 0, 1, 2, or a fold without training or tested trials.
    pub(crate) fn of_tensor(tensor: &Tensor, responses: &Responses) -> Result<Split, StageError> {
        tensor.require_axes(&AXES)?;
        let [n_folds, n_trials] = [tensor.axes()[0].len(), tensor.axes()[1].len()];
        if n_trials != responses.n_trials() {
            return Err(StageError::refused_with_help(
                format!("the split is of {n_trials} trials, {} has {}", Place(responses), responses.n_trials()),
                "make the split from the same responses",
            ));
        }
        if let Some(strange) = tensor.values().iter().find(|value| ![0.0, TRAINED, TESTED].contains(value)) {
            return Err(StageError::refused_with_help(
                format!("the split holds the value {strange}; 1 is a training trial, 2 a tested one, 0 neither"),
                "make it with `decode.split`",
            ));
        }
        let with = |fold: usize, role: f64| -> Vec<usize> {
            tensor.row(fold).iter().enumerate().filter(|(_, value)| **value == role).map(|(trial, _)| trial).collect()
        };
        let split = Split {
            n_trials,
            train: (0..n_folds).map(|fold| with(fold, TRAINED)).collect(),
            test: (0..n_folds).map(|fold| with(fold, TESTED)).collect(),
        };
        split.require_sides(responses)?;
        Ok(split)
    }

    /// Refuses a split without folds, and a fold without training or tested trials.
    ///
    /// # Errors
    /// With the first such fold.
    pub(crate) fn require_sides(&self, responses: &Responses) -> Result<(), StageError> {
        if self.n_folds() == 0 {
            return Err(StageError::refused(format!("the split of {} has no fold", Place(responses))));
        }
        for (side, trials) in [("trains on", &self.train), ("tests", &self.test)] {
            if let Some(fold) = trials.iter().position(Vec::is_empty) {
                return Err(StageError::refused_with_help(
                    format!("fold {fold} of the split of {} {side} no trial", Place(responses)),
                    "choose fewer folds, a smaller gap, or another way to split",
                ));
            }
        }
        Ok(())
    }
}
