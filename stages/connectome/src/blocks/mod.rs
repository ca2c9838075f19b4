//! Stochastic block models: description lengths, and the search for the partition of least length.
//!
//! * [`description_length`]: the terms of a length in nats.
//! * [`network`]: a graph as the search works on it.
//! * [`table`], [`partition`]: counts of edges between blocks, and what a move of a node changes.
//! * [`level`]: blocks as nodes of a smaller graph, and what a merge of two changes.
//! * [`hierarchy`]: blocks of blocks.
//! * [`search`]: agglomeration, moves, merges and splits.

pub(crate) mod description_length;
pub(crate) mod hierarchy;
pub(crate) mod level;
pub(crate) mod network;
pub(crate) mod partition;
pub(crate) mod search;
pub(crate) mod table;
