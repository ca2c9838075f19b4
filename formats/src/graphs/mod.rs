//! Graphs: GML, GraphML and lists of edges, as nodes, edges and a weighted graph.
//!
//! | item | what |
//! |---|---|
//! | `graph` | a [`Graph`], by [`GraphDocument::graph`] |
//! | `nodes` | a table: `id`, `label`, and every attribute that a node has |
//! | `edges` | a table: `source`, `target` (names of nodes), and every attribute that an edge has |
//!
//! Tables hold everything that the file has. A [`Graph`] has at most one edge between two nodes, and none from a node to itself: weights of
//! parallel edges
//! are added, loops are left out, and notes say how many there were. The weight of an edge is its attribute `weight`, else `value`; 1 where no edge has
//! either. Where some edges have it and others lack it, there is no graph, for what the others weigh is not said.

pub mod edge_list;
pub mod gml;
pub mod graphml;
mod python_dict;
mod table;

use crate::document::{Contents, Document, Item, Rows, What};
use crate::reading::{HeldRows, broken, columns_of};
use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};
use neuroflow_data::formats::{Format, FormatError, Place};
use neuroflow_data::{Axis, Coordinates, Edge, Graph};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
pub(crate) use table::{Attribute, Attributes};

/// An opened graph.
#[derive(Debug)]
pub struct GraphDocument {
    contents: Contents,
    nodes: Arc<HeldRows>,
    edges: Arc<HeldRows>,
    ends: Vec<(usize, usize)>,
    directed: bool,
    /// The column of `edges` that holds the weights.
    weight: Option<String>,
}

/// What a reader has found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub directed: bool,
    pub ids: Vec<String>,
    pub labels: Vec<Option<String>>,
    pub node_attributes: Attributes,
    pub ends: Vec<(usize, usize)>,
    pub edge_attributes: Attributes,
    pub notes: Vec<String>,
    pub facts: BTreeMap<String, String>,
    /// The column with the weights, when the reader knows it.
    pub weight: Option<String>,
}

impl GraphDocument {
    pub(crate) fn new(format: Format, version: &str, found: Found) -> Result<GraphDocument, FormatError> {
        let Found { directed, ids, labels, node_attributes, ends, edge_attributes, notes, facts, weight } = found;
        let refuse = |error: arrow::error::ArrowError| broken(format, error.to_string());
        let names = names(&ids, &labels);
        let mut node_columns = vec![("id".to_owned(), table::texts(ids.iter().map(|id| Some(id.as_str()))))];
        if labels.iter().any(Option::is_some) {
            node_columns.push(("label".to_owned(), table::texts(labels.iter().map(Option::as_deref))));
        }
        node_columns.extend(node_attributes.columns(ids.len(), &["id", "label"]));
        let name = |position: usize| names.get(position).map(String::as_str);
        let mut edge_columns = vec![
            ("source".to_owned(), table::texts(ends.iter().map(|(source, _)| name(*source)))),
            ("target".to_owned(), table::texts(ends.iter().map(|(_, target)| name(*target)))),
        ];
        edge_columns.extend(edge_attributes.columns(ends.len(), &["source", "target"]));
        let nodes =
            RecordBatch::try_from_iter_with_nullable(node_columns.into_iter().map(|(name, array)| (name, array, true))).map_err(refuse)?;
        let edges =
            RecordBatch::try_from_iter_with_nullable(edge_columns.into_iter().map(|(name, array)| (name, array, true))).map_err(refuse)?;
        let weight = weight.or_else(|| ["weight", "value"].into_iter().find(|name| some_numbers(&edges, name)).map(str::to_owned));
        let mut contents = Contents::new(format, version);
        contents.notes = notes;
        contents.facts = facts;
        noted(&ends, directed, &mut contents);
        if let Some(name) = &weight {
            let without =
                numbers(&edges, name).map_or(0, |weights| weights.iter().filter(|weight| !weight.is_some_and(f64::is_finite)).count());
            if without > 0 {
                contents
                    .notes
                    .push(format!("{without} edges have no finite `{name}`, so no graph is made of them; the table `edges` has each"));
            }
        }
        let graph = What::Graph { nodes: ids.len() as u64, edges: ends.len() as u64, directed };
        let about = weight.as_ref().map_or(String::new(), |weight| format!("weights: {weight}"));
        contents.items.push(Item { path: "graph".into(), what: graph, about });
        for (path, batch) in [("nodes", &nodes), ("edges", &edges)] {
            let what = What::Table { rows: Some(batch.num_rows() as u64), columns: columns_of(&batch.schema()) };
            contents.items.push(Item { path: path.into(), what, about: String::new() });
        }
        let held = |batch| Arc::new(HeldRows { format, batch });
        Ok(GraphDocument { contents, nodes: held(nodes), edges: held(edges), ends, directed, weight })
    }

    /// The graph: nodes by their labels, or by their ids where labels are missing or not their own; attributes that every node has are properties.
    ///
    /// # Errors
    /// When a weight is missing or not finite.
    ///
    /// `weight` names the column of edges that is their weight; empty for the usual one.
    fn weighted(&self, weight: &str) -> Result<Graph, FormatError> {
        let format = self.contents.format;
        let weight = if weight.is_empty() { self.weight.clone() } else { Some(weight.to_owned()) };
        let weights: Option<Vec<f64>> = match &weight {
            Some(name) => Some(self.weights(name)?),
            None => None,
        };
        let mut joined: BTreeMap<(usize, usize), f64> = BTreeMap::new();
        for (place, &(source, target)) in self.ends.iter().enumerate() {
            if source == target {
                continue;
            }
            let key = if self.directed { (source, target) } else { (source.min(target), source.max(target)) };
            let weight = weights.as_ref().and_then(|weights| weights.get(place)).copied().unwrap_or(1.0);
            *joined.entry(key).or_default() += weight;
        }
        let edges = joined.into_iter().map(|((source, target), weight)| Edge { source, target, weight }).collect();
        let weight = weight.as_deref().unwrap_or("");
        let graph = if self.directed { Graph::directed(self.axis(), edges, weight) } else { Graph::new(self.axis(), edges, weight) };
        graph.map_err(|error| broken(format, error.to_string()))
    }

    fn weights(&self, name: &str) -> Result<Vec<f64>, FormatError> {
        let refuse = |reason: String| {
            let help = "give every edge a finite weight, take the property away from all, or use the table `edges`";
            FormatError::new(self.contents.format, Place::Column(name.into()), reason, help)
        };
        if self.edges.batch.column_by_name(name).is_none() {
            return Err(refuse("there is no such column".into()));
        }
        let column = numbers(&self.edges.batch, name).ok_or_else(|| refuse("weights are no numbers".into()))?;
        let missing = column.iter().position(|weight| !weight.is_some_and(f64::is_finite));
        match missing {
            Some(edge) => {
                let end = |name: &str| {
                    let names = self.edges.batch.column_by_name(name)?.as_any().downcast_ref::<arrow::array::StringArray>()?;
                    (edge < names.len()).then(|| names.value(edge).escape_debug().to_string())
                };
                let ends = end("source").zip(end("target")).map_or(String::new(), |(one, two)| format!(", from `{one}` to `{two}`,"));
                Err(refuse(format!("the weight of edge {}{ends} is missing or not finite", edge + 1)))
            }
            None => Ok(column.values().to_vec()),
        }
    }

    fn axis(&self) -> Axis {
        let batch = &self.nodes.batch;
        let column = |name: &str| {
            let column = batch.column_by_name(name)?;
            let column = column.as_any().downcast_ref::<arrow::array::StringArray>()?;
            Some(column.iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>())
        };
        let ids: Vec<String> = column("id").unwrap_or_default().into_iter().map(Option::unwrap_or_default).collect();
        let labels = column("label").unwrap_or_else(|| vec![None; ids.len()]);
        let mut axis = Axis::labels("node", names(&ids, &labels));
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            if ["id", "label"].contains(&field.name().as_str()) || column.null_count() > 0 || batch.num_rows() == 0 {
                continue;
            }
            let values = if column.data_type().is_numeric() {
                let numbers = arrow::compute::cast(column, &DataType::Float64).ok();
                numbers.and_then(|numbers| {
                    let numbers = arrow::array::AsArray::as_primitive_opt::<Float64Type>(&numbers)?;
                    Some(Coordinates::Numbers(numbers.values().to_vec()))
                })
            } else {
                let texts = arrow::compute::cast(column, &DataType::Utf8).ok();
                texts.and_then(|texts| {
                    let texts = texts.as_any().downcast_ref::<arrow::array::StringArray>()?;
                    Some(Coordinates::Labels(texts.iter().map(|text| text.unwrap_or_default().to_owned()).collect()))
                })
            };
            if let Some(values) = values {
                axis = axis.with_property(field.name().clone(), values);
            }
        }
        axis
    }
}

/// A column as numbers; what is none is missing.
fn numbers(batch: &RecordBatch, name: &str) -> Option<arrow::array::Float64Array> {
    let column = arrow::compute::cast(batch.column_by_name(name)?, &DataType::Float64).ok()?;
    arrow::array::AsArray::as_primitive_opt::<Float64Type>(&column).cloned()
}

/// Whether a column has numbers, or texts of which some are numbers.
fn some_numbers(batch: &RecordBatch, name: &str) -> bool {
    let texts = |column: &DataType| matches!(column, DataType::Utf8);
    batch.column_by_name(name).is_some_and(|column| {
        column.data_type().is_numeric()
            || (texts(column.data_type()) && numbers(batch, name).is_some_and(|numbers| numbers.null_count() < numbers.len()))
    })
}

/// Labels where every node has one of its own, else ids.
fn names(ids: &[String], labels: &[Option<String>]) -> Vec<String> {
    let own: BTreeSet<&str> = labels.iter().filter_map(Option::as_deref).collect();
    if own.len() == ids.len() && !ids.is_empty() {
        labels.iter().map(|label| label.clone().unwrap_or_default()).collect()
    } else {
        ids.to_vec()
    }
}

/// Says what a graph leaves out or puts together.
fn noted(ends: &[(usize, usize)], directed: bool, contents: &mut Contents) {
    let loops = ends.iter().filter(|(source, target)| source == target).count();
    let mut pairs: Vec<(usize, usize)> = ends.iter().filter(|(source, target)| source != target).copied().collect();
    if !directed {
        pairs.iter_mut().for_each(|pair| *pair = (pair.0.min(pair.1), pair.0.max(pair.1)));
    }
    pairs.sort_unstable();
    let parallel = pairs.windows(2).filter(|two| two.first() == two.last()).count();
    if loops > 0 {
        contents.notes.push(format!("{loops} edges lead from a node to itself; a graph leaves them out, the table `edges` has them"));
    }
    if parallel > 0 {
        contents
            .notes
            .push(format!("{parallel} edges join nodes that have one already; a graph adds their weights, the table `edges` has each"));
    }
}

impl Document for GraphDocument {
    fn graph(&self, weight: &str) -> Result<Graph, FormatError> {
        self.weighted(weight)
    }

    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn rows(&self, path: &str) -> Result<Arc<dyn Rows>, FormatError> {
        match path.trim_matches('/') {
            "nodes" => Ok(Arc::<HeldRows>::clone(&self.nodes)),
            "edges" => Ok(Arc::<HeldRows>::clone(&self.edges)),
            _ => Err(self.contents.none("table", path)),
        }
    }
}
