//! Models: features of stimuli to compare brains with.

pub mod features;
mod gabor;
mod grating;

/// The stages of this topic, in reading order.
pub const STAGES: &[&dyn neuroflow_stage::AnyStage] = &[&features::FeaturesStage];
