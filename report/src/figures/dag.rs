//! The graph of steps with times and cache hits.

use crate::drawing::{Anchor, Drawing};
use crate::input::{DagNode, State};

const BOX: (f64, f64) = (168.0, 46.0);
const GAP: (f64, f64) = (46.0, 16.0);

/// The graph, from left to right: a column is the longest way from an input.
pub fn dag(nodes: &[DagNode]) -> Drawing {
    let mut rank = vec![0usize; nodes.len()];
    // Nodes come after what they need; a need that points forward is left out rather than trusted.
    for (position, node) in nodes.iter().enumerate() {
        rank[position] = node.needs.iter().filter(|&&need| need < position).map(|&need| rank[need] + 1).max().unwrap_or(0);
    }
    let columns = rank.iter().max().map_or(0, |most| most + 1);
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); columns];
    rank.iter().enumerate().for_each(|(node, column)| members[*column].push(node));
    let mut row = vec![0.0f64; nodes.len()];
    for column in &mut members {
        // Nodes near to what they need: the mean row of their needs decides, then their order in the pipeline.
        let middle = |node: usize, row: &[f64]| {
            let needs: Vec<f64> = nodes[node].needs.iter().filter(|&&need| need < node).map(|&need| row[need]).collect();
            if needs.is_empty() { node as f64 } else { needs.iter().sum::<f64>() / needs.len() as f64 }
        };
        let keys: Vec<f64> = column.iter().map(|&node| middle(node, &row)).collect();
        let mut order: Vec<usize> = (0..column.len()).collect();
        order.sort_by(|&a, &b| keys[a].total_cmp(&keys[b]).then(column[a].cmp(&column[b])));
        *column = order.iter().map(|&place| column[place]).collect();
        column.iter().enumerate().for_each(|(place, &node)| row[node] = place as f64);
    }
    let rows = members.iter().map(Vec::len).max().unwrap_or(0);
    let size = (columns as f64 * (BOX.0 + GAP.0) + 8.0, rows as f64 * (BOX.1 + GAP.1) + 8.0);
    let mut drawing = Drawing::new(size.0, size.1);
    let corner = |node: usize| {
        let shift = (rows - members[rank[node]].len()) as f64 / 2.0;
        (4.0 + rank[node] as f64 * (BOX.0 + GAP.0), 4.0 + (row[node] + shift) * (BOX.1 + GAP.1))
    };
    for (position, node) in nodes.iter().enumerate() {
        let to = corner(position);
        for &need in node.needs.iter().filter(|&&need| need < position) {
            let from = corner(need);
            let (x0, y0, x1, y1) = (from.0 + BOX.0, from.1 + BOX.1 / 2.0, to.0, to.1 + BOX.1 / 2.0);
            let bend = GAP.0 * 0.6;
            drawing.curve([(x0, y0), (x0 + bend, y0), (x1 - bend, y1), (x1, y1)], "#8a8a8a", 1.1);
        }
    }
    for (position, node) in nodes.iter().enumerate() {
        let (x, y) = corner(position);
        let (fill, stroke, dashed) = match node.state {
            State::Ran => ("#dbeaf6", "#0072B2", false),
            State::Cached => ("#f4f4f4", "#666", false),
            State::Failed => ("#fbe3d6", "#D55E00", false),
            State::Skipped => ("#fff", "#999", true),
            State::Running => ("#d9f0e3", "#00664b", false),
        };
        drawing.open(&node.name);
        drawing.rounded([x, y, BOX.0, BOX.1], fill, (stroke, dashed));
        let name = if node.count > 1 { format!("{} ×{}", node.name, node.count) } else { node.name.clone() };
        drawing.text(x + 8.0, y + 16.0, &shorten(&name, 24), 12.0, Anchor::Start, "#111");
        drawing.text(x + 8.0, y + 28.5, &shorten(&node.stage, 28), 9.5, Anchor::Start, "#555");
        let (ran, cached) = node.ran_cached;
        let work = match (ran, cached) {
            _ if node.progress.is_some() => node.progress.clone().unwrap_or_default(),
            (0, 0) => String::new(),
            (0, _) => "cached".into(),
            (_, 0) => duration(node.wall_ms),
            _ => format!("{}, {cached} of {} cached", duration(node.wall_ms), ran + cached),
        };
        drawing.text(x + 8.0, y + 40.5, &work, 9.5, Anchor::Start, "#555");
        drawing.close();
    }
    let told = format!("{} inputs and steps; the table of steps below says the same in words", nodes.len());
    drawing.finish("the steps of the pipeline, from inputs on the left to results on the right", told)
}

fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.to_owned() } else { text.chars().take(most - 1).chain(['…']).collect() }
}

/// Milliseconds for people: `12 ms`, `3.4 s`, `2 min 5 s`.
pub(crate) fn duration(ms: f64) -> String {
    match ms {
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        ms if ms < 60_000.0 => format!("{:.1} s", ms / 1e3),
        ms => format!("{:.0} min {:.0} s", (ms / 60_000.0).floor(), (ms % 60_000.0) / 1e3),
    }
}
