//! Representational geometry: dissimilarities, alignment, encoding, comparison with models, and what noise allows.

pub mod cca;
pub mod cka;
pub mod comparison;
mod conditions;
pub mod depth;
mod dissimilarity;
pub mod encode;
mod failure;
#[cfg(test)]
mod golden;
pub mod group_rsa;
pub mod kernel_analysis;
mod layers;
pub mod noise_ceiling;
mod paired;
pub mod procrustes;
pub mod rdm;
mod resampling;
pub mod retrieval;
pub mod rsa;
pub mod spatial;
pub mod temporal;
#[cfg(test)]
mod testing;
mod unit_ceilings;

/// The stages of this topic, in reading order.
pub const STAGES: &[&dyn neuroflow_stage::AnyStage] = &[
    &rdm::RdmStage,
    &rsa::Rsa,
    &group_rsa::GroupRsa,
    &noise_ceiling::NoiseCeiling,
    &cka::Cka,
    &cca::Cca,
    &procrustes::ProcrustesStage,
    &encode::Encode,
    &retrieval::Retrieval,
    &depth::Depth,
    &spatial::Spatial,
    &temporal::Temporal,
    &kernel_analysis::KernelAnalysis,
];
