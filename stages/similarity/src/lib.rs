//! Stages of the topic similarity.

/// The stages of this topic.
pub const STAGES: &[&dyn neuroflow_stage::AnyStage] = &[];
