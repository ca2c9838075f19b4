//! Stochastic block models: description lengths, and the search for the partition of least length.
//!
//! * [`description_length`]: the terms of a length in nats.
//! * [`divisions`]: numbers of integer partitions, for the prior of degrees.
//! * [`network`]: a graph as the search works on it.
//! * [`table`], [`partition`]: counts of edges between blocks, and what a move of a node changes.
//! * [`moves`]: single nodes that move to better blocks.
//! * [`level`]: blocks as nodes of a smaller graph, and what a merge of two changes.
//! * [`hierarchy`]: blocks of blocks.
//! * [`splits`]: merges and splits of blocks.
//! * [`choice`]: the variant of the model that describes the graph in the fewest nats.
//! * [`search`]: agglomeration, then moves, merges and splits.

pub(crate) mod choice;
pub(crate) mod description_length;
pub(crate) mod divisions;
pub(crate) mod hierarchy;
pub(crate) mod level;
pub(crate) mod moves;
pub(crate) mod network;
pub(crate) mod partition;
pub(crate) mod search;
pub(crate) mod splits;
pub(crate) mod table;
