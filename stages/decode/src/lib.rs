//! Stages of the topic decode.

/// The stages of this topic.
pub const STAGES: &[&dyn neuroflow_stage::AnyStage] = &[];
