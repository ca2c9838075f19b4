//! The steps of a pipeline as a graph, drawn as SVG, Mermaid or Graphviz. A family is one node.

use crate::pipeline::{Pipeline, Target};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use std::fmt::Write as _;

/// A node of the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The input's or step's name.
    pub name: String,
    /// The reader or stage.
    pub calls: String,
    /// Whether it stands in a loop or a branch.
    pub family: bool,
    /// Whether it is an input.
    pub input: bool,
}

/// The graph: inputs first, then steps in the order of the file; an edge goes from what is needed to what needs it.
pub fn graph(pipeline: &Pipeline) -> DiGraph<Node, ()> {
    let mut graph = DiGraph::new();
    let inputs: Vec<NodeIndex> = pipeline
        .inputs
        .iter()
        .map(|input| {
            let calls = input.alternatives.iter().map(|alternative| alternative.reader.as_str()).collect::<Vec<_>>().join(" or ");
            graph.add_node(Node { name: input.name.text.clone(), calls, family: false, input: true })
        })
        .collect();
    let steps: Vec<NodeIndex> = pipeline
        .steps
        .iter()
        .enumerate()
        .map(|(position, step)| {
            let family = pipeline.loops(position) > 0 || pipeline.is_conditional(position);
            graph.add_node(Node { name: step.name.text.clone(), calls: step.stage.clone(), family, input: false })
        })
        .collect();
    for (position, step) in pipeline.steps.iter().enumerate() {
        for binding in &step.bindings {
            let from = match binding.reference.target {
                Target::Input(input) => inputs[input],
                Target::Step(step) => steps[step],
            };
            graph.update_edge(from, steps[position], ());
        }
        // What decides about loops and branches comes first as well.
        for need in pipeline.after(position) {
            graph.update_edge(steps[need], steps[position], ());
        }
    }
    graph
}

/// For Markdown.
pub fn to_mermaid(graph: &DiGraph<Node, ()>) -> String {
    let mut out = String::from("flowchart LR\n");
    for index in graph.node_indices() {
        let node = &graph[index];
        let label = format!("{}{}<br/><small>{}</small>", node.name, if node.family { " [*]" } else { "" }, node.calls);
        let (open, close) = if node.input { ("([", "])") } else { ("[", "]") };
        let _ = writeln!(out, "  n{}{open}\"{label}\"{close}", index.index());
    }
    for edge in graph.edge_references() {
        let _ = writeln!(out, "  n{} --> n{}", edge.source().index(), edge.target().index());
    }
    out
}

/// For Graphviz.
pub fn to_dot(graph: &DiGraph<Node, ()>) -> String {
    let mut out = String::from("digraph pipeline {\n  rankdir = LR;\n  node [shape = box, style = rounded, fontname = \"sans-serif\"];\n");
    for index in graph.node_indices() {
        let node = &graph[index];
        let _ =
            writeln!(out, "  n{} [label = \"{}{}\\n{}\"];", index.index(), node.name, if node.family { " [*]" } else { "" }, node.calls);
    }
    for edge in graph.edge_references() {
        let _ = writeln!(out, "  n{} -> n{};", edge.source().index(), edge.target().index());
    }
    out.push_str("}\n");
    out
}

const BOX: (f64, f64) = (170.0, 40.0);
const GAP: (f64, f64) = (48.0, 18.0);

/// A picture without scripts. A column is the longest way from an input; inside a column, nodes stand near to what they need.
pub fn to_svg(graph: &DiGraph<Node, ()>) -> String {
    // The checker refuses cycles; should one be left, its nodes stay in the first column.
    let order = petgraph::algo::toposort(graph, None).unwrap_or_default();
    let mut rank = vec![0usize; graph.node_count()];
    for &index in &order {
        let needs = graph.neighbors_directed(index, petgraph::Direction::Incoming);
        rank[index.index()] = needs.map(|need| rank[need.index()] + 1).max().unwrap_or(0);
    }
    let columns = rank.iter().max().map_or(0, |most| most + 1);
    let mut members: Vec<Vec<NodeIndex>> = vec![Vec::new(); columns];
    graph.node_indices().for_each(|index| members[rank[index.index()]].push(index));
    let mut row = vec![0.0f64; graph.node_count()];
    for column in &mut members {
        let key = |index: NodeIndex| {
            let needs: Vec<f64> = graph.neighbors_directed(index, petgraph::Direction::Incoming).map(|need| row[need.index()]).collect();
            if needs.is_empty() { index.index() as f64 } else { needs.iter().sum::<f64>() / needs.len() as f64 }
        };
        let mut keyed: Vec<(f64, NodeIndex)> = column.iter().map(|&index| (key(index), index)).collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        *column = keyed.into_iter().map(|(_, index)| index).collect();
        column.iter().enumerate().for_each(|(place, index)| row[index.index()] = place as f64);
    }
    let rows = members.iter().map(Vec::len).max().unwrap_or(0);
    let (width, height) = (columns as f64 * (BOX.0 + GAP.0) + 12.0, rows as f64 * (BOX.1 + GAP.1) + 12.0);
    let corner = |index: NodeIndex| {
        let shift = (rows - members[rank[index.index()]].len()) as f64 / 2.0;
        (6.0 + rank[index.index()] as f64 * (BOX.0 + GAP.0), 6.0 + (row[index.index()] + shift) * (BOX.1 + GAP.1))
    };
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\"><title>the steps of the pipeline, from inputs on the left to results on the right</title>\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    for edge in graph.edge_references() {
        let (from, to) = (corner(edge.source()), corner(edge.target()));
        let (x0, y0, x1, y1) = (from.0 + BOX.0, from.1 + BOX.1 / 2.0, to.0, to.1 + BOX.1 / 2.0);
        let bend = GAP.0 * 0.6;
        let _ = writeln!(
            out,
            "<path d=\"M{x0:.1} {y0:.1} C{:.1} {y0:.1} {:.1} {y1:.1} {x1:.1} {y1:.1}\" fill=\"none\" stroke=\"#8a8a8a\"/>",
            x0 + bend,
            x1 - bend
        );
    }
    for index in graph.node_indices() {
        let node = &graph[index];
        let (x, y) = corner(index);
        let fill = if node.input { "#f2ead3" } else { "#eaf2f8" };
        if node.family {
            let _ = writeln!(
                out,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{}\" height=\"{}\" rx=\"6\" fill=\"#fff\" stroke=\"#555\"/>",
                x + 4.0,
                y + 4.0,
                BOX.0,
                BOX.1
            );
        }
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{}\" height=\"{}\" rx=\"6\" fill=\"{fill}\" stroke=\"#333\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"13\" fill=\"#111\">{}{}</text>\
             <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"10\" fill=\"#555\">{}</text>",
            BOX.0,
            BOX.1,
            x + 9.0,
            y + 17.0,
            escape(&node.name),
            if node.family { " [*]" } else { "" },
            x + 9.0,
            y + 31.0,
            escape(&node.calls)
        );
    }
    out.push_str("</svg>\n");
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
