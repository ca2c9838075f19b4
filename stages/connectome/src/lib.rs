//! Stages of the topic connectome.
