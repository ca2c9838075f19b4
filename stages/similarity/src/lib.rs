//! Stages of the topic similarity.
