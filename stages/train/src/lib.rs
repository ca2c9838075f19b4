//! Stages of the topic train.
