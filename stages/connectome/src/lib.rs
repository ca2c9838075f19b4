//! Who works with whom: affinities between units, motifs of activity, and communities.

#[cfg(test)]
mod activity_properties;
pub mod affinity;
mod blocks;
pub mod compare;
mod connections;
pub mod coupling;
mod factorise;
mod failure;
#[cfg(test)]
mod golden;
pub mod leiden;
mod modularity;
pub mod ntf;
#[cfg(test)]
mod properties;
pub mod rank;
pub mod sbm;
mod stability;

/// The stages of this topic, in reading order.
pub const STAGES: &[&dyn neuroflow_stage::AnyStage] =
    &[&affinity::AffinityStage, &coupling::Coupling, &ntf::Ntf, &rank::Rank, &sbm::Sbm, &leiden::Leiden, &compare::Compare];
