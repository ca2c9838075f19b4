//! Stages of the topic decode: what the activity of one trial tells about the stimulus.
//!
//! * [`split_trials`]: who trains and who is tested, as a value that steps share.
//! * [`classify`]: each trial's condition predicted by a classifier that did not see the trial.
//! * [`time_resolved`]: the same in every short window of time, and across time.
//! * [`regress`]: a number or an angle of each trial.
//! * [`trajectory`]: signals of the animal, from bin to bin.
//! * [`audit`]: the same target decoded from where it should not be: before the stimulus, from time alone, from behaviour alone.
//! * [`eeg`]: each trial's condition predicted from the power and coupling of its channels.
//! * [`transfer`]: each animal's conditions predicted by a classifier that learned from the other animals.
//! * [`group`]: one score over sessions and animals, with an interval for new ones.
//!
//! Everything that is learned is learned on the training side; every score has its chance level; the same seed gives the same bytes on any number of
//! threads.

mod adaptor;
mod agreement;
pub mod audit;
mod bayes;
pub mod classify;
mod confusion;
mod cross_validate;
pub mod eeg;
mod folds;
pub mod group;
mod kalman;
mod kernel_regression;
pub mod lda;
mod lda_draws;
mod linear;
mod linear_fit;
mod logistic;
pub mod model;
mod neighbours;
mod nested;
mod permutations;
mod place;
mod poisson_glm;
pub mod regress;
mod ridge;
mod ridge_draws;
pub mod scaling;
mod shared_space;
mod spectral;
mod split;
pub mod split_trials;
mod svm;
mod symmetric_solve;
mod target;
#[cfg(test)]
mod testing;
mod time_neighbours;
pub mod time_resolved;
mod total_scatter;
pub mod trajectory;
pub mod transfer;
pub mod trial_features;
mod weighted_scatter;

pub use audit::Audit;
pub use classify::Classify;
pub use eeg::Eeg;
pub use group::Group;
pub use regress::Regress;
pub use split_trials::SplitTrials;
pub use time_resolved::TimeResolved;
pub use trajectory::Trajectory;
pub use transfer::Transfer;

/// The stages of this topic, in reading order.
pub const STAGES: &[&dyn neuroflow_stage::AnyStage] =
    &[&SplitTrials, &Classify, &TimeResolved, &Regress, &Trajectory, &Eeg, &Audit, &Transfer, &Group];
