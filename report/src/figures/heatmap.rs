//! Matrices as coloured cells with a scale beside them.

use super::{Figure, marks, position_label};
use crate::colour::{Map, category};
use crate::drawing::{Anchor, Drawing, Places, number};
use neuroflow_data::{Axis, Tensor};

/// So many shades a colour map is drawn in: more, no eye tells apart, and fewer shapes are smaller files.
const STEPS: f64 = 64.0;

/// A matrix to be drawn.
pub(super) struct Heatmap<'a> {
    rows: &'a Axis,
    columns: &'a Axis,
    values: &'a [f64],
    map: Map,
    range: (f64, f64),
    cell: (f64, f64),
    skip_diagonal: bool,
    numbers_in_cells: bool,
    borders: Vec<usize>,
    communities: Vec<usize>,
}

impl<'a> Heatmap<'a> {
    /// The first two axes of a tensor of two axes.
    pub(super) fn of_tensor(tensor: &'a Tensor) -> Heatmap<'a> {
        let (rows, columns) = (&tensor.axes()[0], &tensor.axes()[1]);
        let values = tensor.values();
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
        let range = if low < high { (low.min(0.0), high) } else { (low.min(0.0), low.max(0.0) + 1.0) };
        let size = |count: usize, total: f64| (total / count.max(1) as f64).clamp(1.5, 30.0);
        let square = size(rows.len().max(columns.len()), 300.0);
        Heatmap {
            rows,
            columns,
            values,
            map: Map::Sequential,
            range,
            cell: (square, square),
            skip_diagonal: false,
            numbers_in_cells: false,
            borders: Vec::new(),
            communities: Vec::new(),
        }
    }

    /// Cells that fill the width, for few rows and many columns.
    pub(super) fn with_wide_cells(mut self) -> Self {
        self.cell = ((420.0 / self.columns.len().max(1) as f64).clamp(1.5, 30.0), 18.0);
        self
    }

    /// A scale around zero when there are negative values.
    pub(super) fn around_zero_if_signed(mut self) -> Self {
        if self.range.0 < 0.0 {
            let off_diagonal = |position: usize| position / self.columns.len().max(1) != position % self.columns.len().max(1);
            let most = self.values.iter().enumerate().filter(|(position, value)| value.is_finite() && off_diagonal(*position));
            let most = most.map(|(_, value)| value.abs()).fold(0.0, f64::max).max(1e-9);
            self.map = Map::Diverging;
            self.range = (-most, most);
        }
        self
    }

    /// Leaves the diagonal out, also from the scale: it would drown the rest.
    pub(super) fn without_diagonal(mut self) -> Self {
        self.skip_diagonal = true;
        if self.map == Map::Sequential {
            let width = self.columns.len().max(1);
            let rest = self.values.iter().enumerate().filter(|(position, value)| position / width != position % width && value.is_finite());
            let high = rest.map(|(_, value)| *value).fold(0.0, f64::max);
            self.range = (self.range.0, if high > self.range.0 { high } else { self.range.0 + 1.0 });
        }
        self
    }

    /// Lines before these rows and columns, and a coloured strip of communities.
    pub(super) fn with_borders(mut self, borders: Vec<usize>, communities: Vec<usize>) -> Self {
        self.borders = borders;
        self.communities = communities;
        self
    }

    /// The drawing.
    pub(super) fn draw(&self, title: &str) -> Drawing {
        let (cell_w, cell_h) = self.cell;
        let (n_rows, n_columns) = (self.rows.len(), self.columns.len());
        let longest = (0..n_rows).map(|row| position_label(self.rows, row).chars().count()).max().unwrap_or(0).min(14);
        let left = if cell_h >= 9.0 { 34.0 + 6.2 * longest as f64 } else { 34.0 };
        let (top, width, height) = (22.0, cell_w * n_columns as f64, cell_h * n_rows as f64);
        let mut drawing = Drawing::new(left + width + 70.0, top + height + 42.0);
        let (mut colours, mut numbers) = (Vec::with_capacity(n_rows * n_columns), Vec::new());
        for row in 0..n_rows {
            for column in 0..n_columns {
                let value = self.values[row * n_columns + column];
                let (x, y) = (left + column as f64 * cell_w, top + row as f64 * cell_h);
                if self.skip_diagonal && row == column {
                    colours.push("#e8e8e8".into());
                    continue;
                }
                let share = (value - self.range.0) / (self.range.1 - self.range.0);
                colours.push(self.map.at((share * STEPS).round() / STEPS).into());
                if self.numbers_in_cells && value != 0.0 {
                    // Not the colours of other texts: they change with the page's, these don't.
                    let fill = if self.map.wants_dark_text(share) { "#101010" } else { "#fefefe" };
                    numbers.push((x + cell_w / 2.0, y + cell_h / 2.0 + 3.5, number(value), fill));
                }
            }
        }
        drawing.cells((left, top), (cell_w, cell_h), n_columns, colours.into_iter());
        for (x, y, value, fill) in numbers {
            drawing.text(x, y, &value, 9.5, Anchor::Middle, fill);
        }
        for &border in &self.borders {
            let (x, y) = (left + border as f64 * cell_w, top + border as f64 * cell_h);
            drawing.line((x, top), (x, top + height), "#000", 1.0, false);
            drawing.line((left, y), (left + width, y), "#000", 1.0, false);
        }
        for (row, community) in self.communities.iter().enumerate() {
            drawing.rect(left - 9.0, top + row as f64 * cell_h, 6.0, cell_h + 0.3, category(*community), None);
        }
        drawing.frame(left, top, width, height, "#333");
        if cell_h >= 9.0 {
            for row in 0..n_rows {
                let label: String = position_label(self.rows, row).chars().take(14).collect();
                let x = if self.communities.is_empty() { left - 5.0 } else { left - 13.0 };
                drawing.text(x, top + (row as f64 + 0.5) * cell_h + 3.5, &label, 10.0, Anchor::End, "#333");
            }
        }
        // So many columns apart that no label runs into the next.
        let widest = (0..n_columns).map(|column| position_label(self.columns, column).chars().count().min(8)).max().unwrap_or(0);
        let every = ((6.2 * widest as f64 + 8.0).max(34.0) / cell_w).ceil().max(1.0) as usize;
        for column in (0..n_columns).step_by(every) {
            let label: String = position_label(self.columns, column).chars().take(8).collect();
            drawing.text(left + (column as f64 + 0.5) * cell_w, top + height + 13.0, &label, 10.0, Anchor::Middle, "#333");
        }
        drawing.text(left + width / 2.0, top + height + 30.0, &self.columns.name, 11.0, Anchor::Middle, "#333");
        drawing.vertical_text(11.0, top + height / 2.0, &self.rows.name, 11.0);
        self.scale(&mut drawing, left + width + 14.0, top, height.clamp(40.0, 160.0));
        drawing.mark(marks(self.rows, Places::Row([left, top, width, cell_h], (0.0, cell_h))));
        drawing.mark(marks(self.columns, Places::Row([left, top, cell_w, height], (cell_w, 0.0))));
        // The values of a large matrix would outweigh the drawing: the CSV has them.
        if n_rows * n_columns <= 1600 {
            drawing.values(self.values.iter().map(|value| number(*value)).collect());
        }
        let finite = || self.values.iter().copied().filter(|value| value.is_finite());
        let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
        let values = if low <= high { format!("; values from {} to {}", number(low), number(high)) } else { String::new() };
        let (rows, columns) = (&self.rows.name, &self.columns.name);
        drawing.finish(title, format!("{n_rows} rows ({rows}) and {n_columns} columns ({columns}){values}"))
    }

    fn scale(&self, drawing: &mut Drawing, x: f64, y: f64, height: f64) {
        let steps = 32;
        for step in 0..steps {
            let share = 1.0 - (step as f64 + 0.5) / steps as f64;
            drawing.rect(x, y + step as f64 * height / steps as f64, 10.0, height / steps as f64 + 0.4, self.map.at(share), None);
        }
        drawing.frame(x, y, 10.0, height, "#333");
        drawing.text(x + 14.0, y + 8.0, &number(self.range.1), 9.5, Anchor::Start, "#333");
        drawing.text(x + 14.0, y + height, &number(self.range.0), 9.5, Anchor::Start, "#333");
    }
}

/// A confusion matrix: counts of trials, rows are what was shown.
pub(super) fn confusion(tensor: &Tensor) -> Figure {
    let mut heatmap = Heatmap::of_tensor(tensor);
    heatmap.numbers_in_cells = heatmap.rows.len() <= 16;
    let caption = "confusion: rows are what was shown, columns what was decoded (trials)";
    Figure { caption: caption.into(), drawing: heatmap.draw(caption) }
}
