//! Stages of the topic train.

/// The stages of this topic.
pub const STAGES: &[&dyn neuroflow_stage::AnyStage] = &[];
