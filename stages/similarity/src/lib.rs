//! Representational geometry: dissimilarities, comparison with models, and what noise allows.

pub mod comparison;
mod conditions;
mod dissimilarity;
mod failure;
#[cfg(test)]
mod golden;
pub mod noise_ceiling;
pub mod rdm;
pub mod rsa;

/// The stages of this topic, in reading order.
pub const STAGES: &[&dyn neuroflow_stage::AnyStage] = &[&rdm::RdmStage, &rsa::Rsa, &noise_ceiling::NoiseCeiling];
