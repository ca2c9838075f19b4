//! Stochastic block models: description lengths, and the search for the partition of least length.
//!
//! * [`description_length`]: the terms of a length in nats.
//! * [`divisions`]: numbers of integer partitions, for the prior of degrees.
//! * [`network`]: a graph as the search works on it.
//! * [`table`], [`partition`]: counts of edges between blocks, and what a move of a node changes.
//! * [`moves`]: single nodes that move to better blocks.
//! * [`level`]: blocks as nodes of a smaller graph, and what a merge of two changes.
//! * [`rows`]: the edges of blocks, gathered from whatever they are made of.
//! * [`coarser`]: the graph of blocks made of a partition or of a finer one, without a look at the edges, and its length.
//! * [`narrow`]: from many blocks to few in large graphs.
//! * [`hierarchy`]: blocks of blocks.
//! * [`splits`]: merges and splits of blocks.
//! * [`choice`]: the variant of the model that describes the graph in the fewest nats.
//! * [`search`]: agglomeration, then moves, merges and splits.

pub(crate) mod choice;
pub(crate) mod coarser;
pub(crate) mod description_length;
pub(crate) mod divisions;
pub(crate) mod hierarchy;
pub(crate) mod level;
pub(crate) mod moves;
pub(crate) mod narrow;
pub(crate) mod network;
pub(crate) mod partition;
pub(crate) mod rows;
pub(crate) mod search;
pub(crate) mod splits;
pub(crate) mod table;
