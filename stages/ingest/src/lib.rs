//! Stages of the topic ingest.
