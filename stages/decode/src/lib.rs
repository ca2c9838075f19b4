//! Stages of the topic decode.
