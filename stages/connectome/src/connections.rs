//! Graphs and matrices as nodes and edges: what communities are found in.

#[cfg(test)]
use neuroflow_data::Edge;
use neuroflow_data::{Artifact, Axis, Coordinates, Graph, Kind, Tensor};
use neuroflow_stage::{Inputs, StageError};

/// Nodes and edges, with or without directions, on one or two sides.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    pub(crate) nodes: Axis,
    /// (source, target, weight); undirected pairs once, source before target.
    pub(crate) edges: Vec<(usize, usize, f64)>,
    pub(crate) directed: bool,
    /// 0 or 1 for each node of a bipartite graph; empty otherwise.
    pub(crate) sides: Vec<u8>,
}

impl Connections {
    /// A `Graph`, or a `Tensor` of two axes: a square one over the same nodes is a graph (directed unless it is symmetric; the diagonal does not count), any other one
    /// joins its rows to its columns (bipartite). Values other than 0 are edges. `property`, if not empty, names the property of the nodes that tells their side.
    pub(crate) fn of(inputs: &Inputs, slot: &str, property: &str) -> Result<Connections, StageError> {
        let mut connections = match inputs.artifact(slot).map(Artifact::kind) {
            Some(Kind::Tensor) => of_matrix(&inputs.one::<Tensor>(slot)?)?,
            _ => of_graph(&inputs.one::<Graph>(slot)?),
        };
        if connections.nodes.is_empty() {
            return Err(StageError::refused("a graph without nodes has no communities"));
        }
        if u32::try_from(connections.nodes.len()).is_err() {
            return Err(StageError::refused(format!("{} nodes; 4 294 967 295 can be numbered", connections.nodes.len())));
        }
        if !property.is_empty() {
            connections.divide(property)?;
        }
        Ok(connections)
    }

    /// Reads the side of each node from a property with two values.
    fn divide(&mut self, property: &str) -> Result<(), StageError> {
        let Some(values) = self.nodes.property(property) else {
            let known = self.nodes.properties.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() { "they have none".to_owned() } else { format!("they have {known}") };
            return Err(StageError::refused(format!("the nodes have no property `{property}`; {known}")));
        };
        let labels: Vec<String> = (0..self.nodes.len()).map(|node| values.label(node)).collect();
        let mut names = labels.clone();
        names.sort();
        names.dedup();
        if names.len() != 2 {
            return Err(StageError::refused(format!(
                "a bipartite graph has two sides; `{property}` has {} values: {}",
                names.len(),
                names.join(", ")
            )));
        }
        let sides: Vec<u8> = labels.iter().map(|label| u8::from(*label != names[0])).collect();
        let inside = self.edges.iter().filter(|(source, target, _)| sides[*source] == sides[*target]).count();
        if inside > 0 {
            return Err(StageError::refused_with_help(
                format!("{inside} of {} edges join nodes of one side of `{property}`; a bipartite graph has none", self.edges.len()),
                "leave out `sides`, or the edges within a side",
            ));
        }
        self.sides = sides;
        Ok(())
    }
}

fn of_graph(graph: &Graph) -> Connections {
    let edges = graph.edges().iter().map(|edge| (edge.source, edge.target, edge.weight)).collect();
    Connections { nodes: graph.nodes().clone(), edges, directed: graph.is_directed(), sides: Vec::new() }
}

fn of_matrix(matrix: &Tensor) -> Result<Connections, StageError> {
    let [rows, columns] = matrix.axes() else {
        let axes = matrix.axes().iter().map(|axis| axis.name.as_str()).collect::<Vec<_>>().join(" × ");
        return Err(StageError::refused(format!("a matrix of connections has two axes; this has {axes}")));
    };
    neuroflow_stage::error::require_finite("the matrix of connections", matrix)?;
    let value = |row: usize, column: usize| matrix.values()[row * columns.len() + column];
    if rows.name == columns.name && rows.coordinates == columns.coordinates {
        let n = rows.len();
        let symmetric = (0..n).all(|row| (0..row).all(|column| value(row, column) == value(column, row)));
        let mut edges = Vec::new();
        for row in 0..n {
            for column in if symmetric { row + 1..n } else { 0..n } {
                if row != column && value(row, column) != 0.0 {
                    edges.push((row, column, value(row, column)));
                }
            }
        }
        return Ok(Connections { nodes: rows.clone(), edges, directed: !symmetric, sides: Vec::new() });
    }
    let first = rows.len();
    let label = |axis: &Axis, at: usize| match &axis.coordinates {
        Coordinates::Labels(labels) => labels[at].clone(),
        coordinates => format!("{} {}", axis.name, coordinates.label(at)),
    };
    let labels = (0..first).map(|row| label(rows, row)).chain((0..columns.len()).map(|column| label(columns, column))).collect();
    let side = (0..first).map(|_| rows.name.clone()).chain((0..columns.len()).map(|_| columns.name.clone())).collect();
    let edges = (0..first).flat_map(|row| (0..columns.len()).map(move |column| (row, column)));
    Ok(Connections {
        nodes: Axis::labels("node", labels).with_property("side", Coordinates::Labels(side)),
        edges: edges
            .filter(|&(row, column)| value(row, column) != 0.0)
            .map(|(row, column)| (row, first + column, value(row, column)))
            .collect(),
        directed: false,
        sides: (0..first + columns.len()).map(|node| u8::from(node >= first)).collect(),
    })
}

/// For tests: the edges of a graph.
#[cfg(test)]
pub(crate) fn edges(list: &[(usize, usize, f64)]) -> Vec<Edge> {
    list.iter().map(|&(source, target, weight)| Edge { source, target, weight }).collect()
}
