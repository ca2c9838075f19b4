//! Who works with whom: affinities between units, motifs of activity, and communities.

pub mod affinity;
pub mod compare;
pub mod coupling;
mod description_length;
mod factorise;
mod failure;
#[cfg(test)]
mod golden;
pub mod ntf;
mod partition_search;
pub mod sbm;

/// The stages of this topic, in reading order.
pub const STAGES: &[&dyn neuroflow_stage::AnyStage] =
    &[&affinity::AffinityStage, &coupling::Coupling, &ntf::Ntf, &sbm::Sbm, &compare::Compare];
