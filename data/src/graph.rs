//! Weighted graphs between named nodes, undirected or directed.

use crate::artifact::{Artifact, Meta, Typed};
use crate::axis::Axis;
use crate::columns;
use crate::error::DataError;
use crate::kind::Kind;
use crate::table::Table;

/// One edge. An undirected pair stands once, with `source < target`; a directed edge runs from `source` to `target`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edge {
    /// Position of one node on the node axis.
    pub source: usize,
    /// Position of the other node.
    pub target: usize,
    /// The weight, finite.
    pub weight: f64,
}

/// A graph: a node axis (labels, properties such as a planted community) and edges.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    nodes: Axis,
    edges: Vec<Edge>,
    directed: bool,
    /// What a weight means, such as `correlation`.
    pub weight: String,
}

impl Graph {
    /// Builds an undirected graph.
    ///
    /// # Errors
    /// When an edge names a node that is not there, joins a node to itself, stands twice or backwards, or has a weight that is not finite.
    pub fn new(nodes: Axis, edges: Vec<Edge>, weight: &str) -> Result<Graph, DataError> {
        Graph::checked(nodes, edges, weight, false)
    }

    /// Builds a directed graph; a pair of nodes may have an edge each way.
    ///
    /// # Errors
    /// When an edge names a node that is not there, joins a node to itself, stands twice, or has a weight that is not finite.
    pub fn directed(nodes: Axis, edges: Vec<Edge>, weight: &str) -> Result<Graph, DataError> {
        Graph::checked(nodes, edges, weight, true)
    }

    fn checked(nodes: Axis, mut edges: Vec<Edge>, weight: &str, directed: bool) -> Result<Graph, DataError> {
        edges.sort_by_key(|edge| (edge.source, edge.target));
        for edge in &edges {
            if directed && (edge.source == edge.target || edge.source.max(edge.target) >= nodes.len()) {
                return Err(DataError::Invalid(format!(
                    "edge {} → {} of a graph of {} nodes: the nodes must differ, and both must exist",
                    edge.source,
                    edge.target,
                    nodes.len()
                )));
            }
            if !directed && (edge.source >= edge.target || edge.target >= nodes.len()) {
                return Err(DataError::Invalid(format!(
                    "edge {} – {} of a graph of {} nodes: the first node must come before the second, and both must exist",
                    edge.source,
                    edge.target,
                    nodes.len()
                )));
            }
            if !edge.weight.is_finite() {
                return Err(DataError::Invalid(format!("the weight of edge {} – {} is {}", edge.source, edge.target, edge.weight)));
            }
        }
        if let Some(pair) = edges.windows(2).find(|pair| (pair[0].source, pair[0].target) == (pair[1].source, pair[1].target)) {
            return Err(DataError::Invalid(format!("edge {} – {} stands twice", pair[0].source, pair[0].target)));
        }
        Ok(Graph { nodes, edges, directed, weight: weight.to_owned() })
    }

    /// The node axis.
    pub fn nodes(&self) -> &Axis {
        &self.nodes
    }

    /// Whether edges have a direction.
    pub fn is_directed(&self) -> bool {
        self.directed
    }

    /// The edges, sorted by source, then target.
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }
}

impl Typed for Graph {
    const KIND: Kind = Kind::Graph;

    fn into_artifact(self) -> Result<Artifact, DataError> {
        let position = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        let table = Table::from_columns(vec![
            columns::from_integers("source", self.edges.iter().map(|edge| position(edge.source)).collect()),
            columns::from_integers("target", self.edges.iter().map(|edge| position(edge.target)).collect()),
            columns::from_numbers("weight", self.edges.iter().map(|edge| edge.weight).collect()),
        ])?;
        let mut meta = Meta { axes: vec![self.nodes], ..Meta::default() };
        meta.attributes.insert("weight".into(), serde_json::Value::String(self.weight));
        if self.directed {
            meta.attributes.insert("directed".into(), serde_json::Value::Bool(true));
        }
        Ok(Artifact::from_batch(Kind::Graph, table.batch().clone(), meta))
    }

    fn from_artifact(artifact: &Artifact) -> Result<Graph, DataError> {
        let batch = artifact.batch_of(Kind::Graph)?;
        let nodes = artifact.meta().axes.first().cloned().ok_or_else(|| DataError::Decode("a graph without nodes".into()))?;
        let sources = columns::integers(batch, "source")?;
        let targets = columns::integers(batch, "target")?;
        let weights = columns::numbers(batch, "weight")?;
        let position = |value: i64| usize::try_from(value).map_err(|_| DataError::Decode(format!("node {value}")));
        let mut edges = Vec::with_capacity(weights.len());
        for ((source, target), weight) in sources.into_iter().zip(targets).zip(weights) {
            edges.push(Edge { source: position(source)?, target: position(target)?, weight });
        }
        let weight = artifact.meta().attributes.get("weight").and_then(|value| value.as_str()).unwrap_or_default();
        let directed = artifact.meta().attributes.get("directed").and_then(serde_json::Value::as_bool).unwrap_or(false);
        Graph::checked(nodes, edges, weight, directed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directed_graph_keeps_both_ways_and_comes_back() {
        let edge = |source, target| Edge { source, target, weight: 1.5 };
        let graph = Graph::directed(Axis::count("unit", 3), vec![edge(2, 0), edge(0, 2), edge(1, 0)], "lag").unwrap();
        let back = Graph::from_artifact(&graph.clone().into_artifact().unwrap()).unwrap();
        assert!(back == graph && back.is_directed() && back.edges()[0].target == 2);
        assert!(Graph::directed(Axis::count("unit", 3), vec![edge(1, 1)], "").is_err());
        assert!(Graph::directed(Axis::count("unit", 3), vec![edge(0, 1), edge(0, 1)], "").is_err());
        assert!(Graph::new(Axis::count("unit", 3), vec![edge(2, 0)], "").is_err());
    }
}
