//! Figures: one file a form. Which form an artifact takes is decided here, by its kind and axes.

pub(crate) mod dag;
mod heatmap;
mod lines;
mod shrunk;
mod tuning;

use crate::drawing::{Drawing, Marks, Places};
use crate::error::ReportError;
use heatmap::Heatmap;
use neuroflow_data::{Artifact, Axis, Communities, Coordinates, Graph, Kind, Rdm, Tensor, Typed};
use shrunk::{Shrunk, shrunk};

/// A drawn figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What it shows, in a line.
    pub caption: String,
    /// The drawing.
    pub drawing: Drawing,
}

/// The figures of an artifact; none for kinds that are shown as text or not at all.
///
/// `output` is the name of a step's further output; none for its first one, which is what the step is about: only that one is drawn as tuning curves, not
/// their standard errors.
/// `beside` are the other artifacts of the same member: a matrix between units is ordered by a partition of the same units when there is one.
///
/// # Errors
/// When the artifact is not what its kind promises.
pub fn figures(artifact: &Artifact, output: Option<&str>, beside: &[&Artifact]) -> Result<Vec<Figure>, ReportError> {
    match artifact.kind() {
        Kind::Tensor => of_tensor(&Tensor::from_artifact(artifact)?, output, beside),
        Kind::Rdm => of_rdm(&Rdm::from_artifact(artifact)?),
        Kind::Graph => of_graph(&Graph::from_artifact(artifact)?, beside),
        _ => Ok(Vec::new()),
    }
}

fn of_tensor(tensor: &Tensor, output: Option<&str>, beside: &[&Artifact]) -> Result<Vec<Figure>, ReportError> {
    let names: Vec<&str> = tensor.axes().iter().map(|axis| axis.name.as_str()).collect();
    if let [rows, columns] = names.as_slice()
        && rows == columns
    {
        return Ok(vec![ordered_matrix(tensor, beside)?]);
    }
    let small = shrunk(tensor)?;
    let note = small.as_ref().map(Shrunk::note).unwrap_or_default();
    let drawn = small.as_ref().map_or(tensor, |small| &small.matrix);
    let mut figures = match names.as_slice() {
        ["true", "predicted"] => vec![heatmap::confusion(drawn)],
        // Means over units are no tuning curves.
        ["unit", "condition"] if output.is_none() && small.is_none() => tuning::curves(tensor),
        ["component", "bin"] => vec![lines::time_courses(drawn)],
        ["component", other] => vec![Figure {
            caption: format!("loading of each component on each {other}"),
            drawing: Heatmap::of_tensor(drawn).with_wide_cells().draw(&format!("components by {other}")),
        }],
        [rows, columns] => {
            let name = output.map_or_else(String::new, |output| format!("{output}: "));
            let caption = format!("{name}{rows} by {columns}");
            vec![Figure { drawing: Heatmap::of_tensor(drawn).draw(&caption), caption }]
        }
        _ => Vec::new(),
    };
    figures.iter_mut().for_each(|figure| figure.caption.push_str(&note));
    Ok(figures)
}

fn of_rdm(rdm: &Rdm) -> Result<Vec<Figure>, ReportError> {
    let n = rdm.conditions().len();
    let shown = rdm.len().min(4);
    (0..shown)
        .map(|position| {
            let axes = vec![rdm.conditions().clone(), rdm.conditions().clone()];
            let matrix = Tensor::new(axes, None, rdm.values().row(position).to_vec())?;
            let name = rdm.name(position);
            let caption = format!("dissimilarity ({}) between {n} conditions: {name}", rdm.measure);
            let small = shrunk(&matrix)?;
            let drawn = small.as_ref().map_or(&matrix, |small| &small.matrix);
            let caption = caption + &small.as_ref().map(Shrunk::note).unwrap_or_default();
            Ok(Figure { drawing: Heatmap::of_tensor(drawn).draw(&caption), caption })
        })
        .collect()
}

/// A graph with a partition beside it is a matrix in the order of communities; without one it is in the order of nodes.
fn of_graph(graph: &Graph, beside: &[&Artifact]) -> Result<Vec<Figure>, ReportError> {
    let n = graph.nodes().len();
    if n == 0 || n > 400 {
        return Ok(Vec::new());
    }
    let mut values = vec![0.0; n * n];
    for edge in graph.edges() {
        values[edge.source * n + edge.target] = edge.weight;
        values[edge.target * n + edge.source] = edge.weight;
    }
    let matrix = Tensor::new(vec![graph.nodes().clone(), graph.nodes().clone()], None, values)?;
    Ok(vec![ordered_matrix(&matrix, beside)?])
}

fn ordered_matrix(matrix: &Tensor, beside: &[&Artifact]) -> Result<Figure, ReportError> {
    let nodes = &matrix.axes()[0];
    let n = nodes.len();
    let partition = beside
        .iter()
        .filter(|artifact| artifact.kind() == Kind::Communities)
        .map(|artifact| Communities::from_artifact(artifact))
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .find(|partition| partition.nodes().coordinates == nodes.coordinates);
    let name = nodes.name.clone();
    let Some(partition) = partition else {
        let small = shrunk(matrix)?;
        let note = small.as_ref().map(Shrunk::note).unwrap_or_default();
        let caption = format!("{name} by {name}, in the order of the recording{note}");
        let matrix = small.as_ref().map_or(matrix, |small| &small.matrix);
        return Ok(Figure { drawing: Heatmap::of_tensor(matrix).around_zero_if_signed().without_diagonal().draw(&caption), caption });
    };
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_key(|&node| (partition.membership()[node], node));
    let values: Vec<f64> = order.iter().flat_map(|&row| order.iter().map(move |&column| matrix.row(row)[column])).collect();
    let axis = nodes.select(&order);
    let ordered = Tensor::new(vec![axis.clone(), axis], None, values)?;
    let communities: Vec<usize> = order.iter().map(|&node| partition.membership()[node]).collect();
    let small = shrunk(&ordered)?;
    let (note, block) = small.as_ref().map_or((String::new(), 1), |small| (small.note(), small.block.0));
    let borders: Vec<usize> = (1..n).filter(|&row| communities[row] != communities[row - 1]).map(|row| row / block).collect();
    let communities: Vec<usize> = communities.into_iter().step_by(block).collect();
    let ordered = small.map_or(ordered, |small| small.matrix);
    let caption = format!("{name} by {name}, ordered by its {} communities{note}", partition.count());
    let drawing = Heatmap::of_tensor(&ordered).around_zero_if_signed().without_diagonal().with_borders(borders, communities).draw(&caption);
    Ok(Figure { caption, drawing })
}

/// Where the positions of an axis are in a drawing. What was shown and what was decoded are conditions like others.
fn marks(axis: &Axis, places: Places) -> Marks {
    let name = if matches!(axis.name.as_str(), "true" | "predicted") { "condition" } else { &axis.name };
    let (labels, unit) = match &axis.coordinates {
        Coordinates::Numbers(numbers) => (numbers.iter().map(|value| crate::drawing::number(*value)).collect(), suffix(axis)),
        other => ((0..axis.len()).map(|position| other.label(position)).collect(), String::new()),
    };
    Marks { axis: name.to_owned(), shown: axis.name.clone(), labels, unit, places }
}

/// An axis' unit behind a number: `°`, ` s`.
fn suffix(axis: &Axis) -> String {
    match axis.unit.as_deref() {
        Some("deg") => "°".into(),
        Some(unit) => format!(" {unit}"),
        None => String::new(),
    }
}

/// A name for a position of an axis, with its unit when it is a number: `45°`, `0.5 s`.
pub(crate) fn position_label(axis: &Axis, position: usize) -> String {
    match &axis.coordinates {
        Coordinates::Numbers(numbers) => {
            let number = numbers.get(position).map_or_else(String::new, |value| crate::drawing::number(*value));
            format!("{number}{}", suffix(axis))
        }
        other => other.label(position),
    }
}
