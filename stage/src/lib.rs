//! The contract of a stage: signature, typed parameters, context, scores and controls.
