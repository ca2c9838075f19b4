//! Stages of the topic connectome.

/// The stages of this topic.
pub const STAGES: &[&dyn neuroflow_stage::AnyStage] = &[];
