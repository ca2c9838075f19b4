//! Stages of the topic decode: what the activity of one trial tells about the stimulus.
//!
//! * [`classify`]: each trial's condition predicted by a classifier that did not see the trial.
//! * [`audit`]: the same target decoded from where it should not be: before the stimulus, from time alone, from behaviour alone.
//! * [`eeg`]: each trial's condition predicted from the power and coupling of its channels.
//! * [`transfer`]: each animal's conditions predicted by a classifier that learned from the other animals.
//!
//! Everything that is learned is learned on the training side; every score has its chance level; the same seed gives the same bytes on any number of
//! threads.

mod adaptor;
pub mod audit;
pub mod classify;
mod confusion;
mod cross_validate;
pub mod eeg;
mod folds;
mod lda;
mod linear;
mod logistic;
pub mod model;
mod place;
pub mod scaling;
mod shared_space;
mod spectral;
mod symmetric_solve;
mod target;
#[cfg(test)]
mod testing;
mod time_neighbours;
pub mod transfer;
pub mod trial_features;

pub use audit::Audit;
pub use classify::Classify;
pub use eeg::Eeg;
pub use transfer::Transfer;

/// The stages of this topic, in reading order.
pub const STAGES: &[&dyn neuroflow_stage::AnyStage] = &[&Classify, &Audit, &Transfer, &Eeg];
