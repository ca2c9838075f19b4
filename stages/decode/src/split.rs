//! The two sides of each fold: whom it trains on and whom it tests.

use crate::folds::Folds;
use crate::place::Place;
use neuroflow_data::{Axis, Coordinates, Kind, Responses, Tensor};
use neuroflow_stage::{InputSpec, StageError};

/// The name of the axes of a split as an artifact.
pub(crate) const AXES: [&str; 2] = ["fold", "trial"];
/// What a trial is to a fold, as a number of the artifact.
const TRAINED: f64 = 1.0;
const TESTED: f64 = 2.0;

/// The property of a split's folds that names the session.
const SESSION: &str = "session";
/// What helps when a split is of other trials.
const SAME: &str = "make the split from the responses that this step reads";

/// How many trials folds test, and how far their tests repeat each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tests {
    /// The trials that a fold tests, each counted once.
    pub(crate) trials: usize,
    /// What 1/folds is short of as the variance of a mean over folds, relative to that of a fold: tested over training trials where folds test
    /// the same trials (Nadeau & Bengio 2003), 0 where every trial is tested once.
    pub(crate) shared: f64,
}

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

    /// How many trials are tested, and how far tests repeat each other.
    pub(crate) fn tests(&self) -> Tests {
        let mut times = vec![0usize; self.n_trials];
        self.test.iter().flatten().for_each(|&trial| times[trial] += 1);
        let all = |sides: &[Vec<usize>]| sides.iter().map(Vec::len).sum::<usize>() as f64;
        let repeated = times.iter().any(|&times| times > 1);
        Tests {
            trials: times.iter().filter(|&&times| times > 0).count(),
            shared: if repeated { all(&self.test) / all(&self.train).max(1.0) } else { 0.0 },
        }
    }

    /// The artifact `[fold × trial]`: 1 where the fold trains on the trial, 2 where it tests it, 0 where it does neither. It keeps the session's name
    /// and the trials' columns, by which [`Split::of_tensor`] knows them again.
    ///
    /// # Errors
    /// When sizes do not fit, which is a mistake of ours.
    pub(crate) fn tensor(&self, responses: &Responses) -> Result<Tensor, StageError> {
        let mut values = vec![0.0; self.n_folds() * self.n_trials];
        for (fold, roles) in values.chunks_exact_mut(self.n_trials.max(1)).enumerate() {
            self.train[fold].iter().for_each(|&trial| roles[trial] = TRAINED);
            self.test[fold].iter().for_each(|&trial| roles[trial] = TESTED);
        }
        let session = Coordinates::Labels(vec![responses.session.clone(); self.n_folds()]);
        let mut trials = Axis::count(AXES[1], self.n_trials);
        for column in responses.trials().column_names() {
            trials = trials.with_property(column.clone(), Coordinates::Labels(texts(responses, &column)?));
        }
        Ok(Tensor::new(vec![Axis::count(AXES[0], self.n_folds()).with_property(SESSION, session), trials], None, values)?)
    }

    /// Reads the artifact for a session.
    ///
    /// # Errors
    /// When it has other axes, another number of trials than the session, was made of other trials, has other values than 0, 1, 2, or a fold without
    /// training or tested trials.
    pub(crate) fn of_tensor(tensor: &Tensor, responses: &Responses) -> Result<Split, StageError> {
        tensor.require_axes(&AXES)?;
        let [n_folds, n_trials] = [tensor.axes()[0].len(), tensor.axes()[1].len()];
        if n_trials != responses.n_trials() {
            return Err(StageError::refused_with_help(
                format!("the split is of {n_trials} trials, {} has {}", Place(responses), responses.n_trials()),
                SAME,
            ));
        }
        require_same_trials(tensor, responses)?;
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

/// Refuses a split of another session or of other trials. A null draw permutes a column and keeps the split, so one column may have its values in another
/// order; columns that only one side has are no matter, because steps add them.
fn require_same_trials(tensor: &Tensor, responses: &Responses) -> Result<(), StageError> {
    let of_split = tensor.axes()[0].property(SESSION).filter(|folds| !folds.is_empty()).map(|folds| folds.label(0));
    if let Some(other) = of_split.filter(|other| *other != responses.session) {
        let other = if other.is_empty() { "a session without a name".to_owned() } else { format!("session {other}") };
        return Err(StageError::refused_with_help(format!("the split is of {other}, the responses are of {}", Place(responses)), SAME));
    }
    let known = responses.trials().column_names();
    let mut moved = None;
    for (column, values) in tensor.axes()[1].properties.iter().filter(|(column, _)| known.contains(column)) {
        let here = texts(responses, column)?;
        let there: Vec<String> = (0..values.len()).map(|trial| values.label(trial)).collect();
        let Some(trial) = here.iter().zip(&there).position(|(here, there)| here != there) else { continue };
        let sorted = |mut values: Vec<String>| {
            values.sort_unstable();
            values
        };
        let (first, second) = (here[trial].clone(), there[trial].clone());
        if moved.is_some() || sorted(here) != sorted(there) {
            return Err(StageError::refused_with_help(
                format!(
                    "the split is of other trials than {} has: trial {trial} has `{column}` = {first}, in the split it has {second}",
                    Place(responses)
                ),
                SAME,
            ));
        }
        moved = Some(column);
    }
    Ok(())
}

/// A trial column as text, numbers as they are printed whatever their type.
fn texts(responses: &Responses, column: &str) -> Result<Vec<String>, StageError> {
    Ok(match responses.trials().numbers(column) {
        Ok(numbers) => numbers.into_iter().map(|number| (number + 0.0).to_string()).collect(),
        Err(_) => responses.trials().texts(column)?,
    })
}
