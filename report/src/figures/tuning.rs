//! Tuning curves `[unit × condition]`: all units as one picture, and the most modulated ones as curves.

use super::{Figure, marks, position_label};
use crate::colour::{Map, category};
use crate::drawing::{Anchor, Drawing, Places};
use neuroflow_data::Tensor;

/// How many units are drawn as curves.
const CURVES: usize = 12;

/// Every unit's curve, scaled to its own range and sorted by preferred condition; and the curves of the units that are modulated most.
pub(super) fn curves(tensor: &Tensor) -> Vec<Figure> {
    let (units, conditions) = (&tensor.axes()[0], &tensor.axes()[1]);
    if units.is_empty() || conditions.is_empty() {
        return Vec::new();
    }
    let bounds = |unit: usize| {
        let finite = || tensor.row(unit).iter().copied().filter(|value| value.is_finite());
        (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max))
    };
    let preferred = |unit: usize| {
        let row = tensor.row(unit);
        (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0)
    };
    let modulation = |unit: usize| {
        let (low, high) = bounds(unit);
        high - low
    };
    let mut order: Vec<usize> = (0..units.len()).collect();
    order.sort_by(|&a, &b| preferred(a).cmp(&preferred(b)).then(modulation(b).total_cmp(&modulation(a))));

    let (left, top, cell_w) = (34.0, 10.0, 26.0);
    let cell_h = (280.0 / units.len() as f64).clamp(2.0, 12.0);
    let (width, height) = (cell_w * conditions.len() as f64, cell_h * units.len() as f64);
    let mut drawing = Drawing::new(left + width + 16.0, top + height + 40.0);
    let colours = order.iter().flat_map(|&unit| {
        let (low, high) = bounds(unit);
        let share = move |value: &f64| if high > low { (value - low) / (high - low) } else { 0.5 };
        tensor.row(unit).iter().map(move |value| Map::Sequential.at(share(value)).into())
    });
    drawing.cells((left, top), (cell_w, cell_h), conditions.len(), colours);
    drawing.mark(marks(&units.select(&order), Places::Row([left, top, width, cell_h], (0.0, cell_h))));
    drawing.mark(marks(conditions, Places::Row([left, top, cell_w, height], (cell_w, 0.0))));
    drawing.frame(left, top, width, height, "#333");
    for column in 0..conditions.len() {
        let x = left + (column as f64 + 0.5) * cell_w;
        drawing.text(x, top + height + 13.0, &position_label(conditions, column), 9.0, Anchor::Middle, "#333");
    }
    drawing.text(left + width / 2.0, top + height + 30.0, "condition", 11.0, Anchor::Middle, "#333");
    // In few rows there is no room for more than a word.
    let side = if height < 150.0 { "unit" } else { "unit, by preferred condition" };
    drawing.vertical_text(14.0, top + height / 2.0, side, 11.0);
    let caption = format!("tuning of all {} units, each scaled to its own range and sorted by preferred condition", units.len());
    let told = format!("{} rows, one a unit, and {} columns, one a condition; light is more", units.len(), conditions.len());
    let all = Figure { drawing: drawing.finish(&caption, told), caption };

    let mut strongest: Vec<usize> = (0..units.len()).collect();
    strongest.sort_by(|&a, &b| modulation(b).total_cmp(&modulation(a)).then(a.cmp(&b)));
    strongest.truncate(CURVES);
    let (panel_w, panel_h, across) = (110.0, 70.0, 4);
    let rows = strongest.len().div_ceil(across);
    let mut drawing = Drawing::new(panel_w * across as f64, panel_h * rows as f64 + 18.0);
    for (panel, &unit) in strongest.iter().enumerate() {
        let (x0, y0) = (panel_w * (panel % across) as f64, panel_h * (panel / across) as f64);
        let (low, high) = bounds(unit);
        let span = if high > low { high - low } else { 1.0 };
        let n = conditions.len();
        let x = |column: usize| x0 + 8.0 + (panel_w - 20.0) * column as f64 / (n.max(2) - 1) as f64;
        let y = |value: f64| y0 + panel_h - 10.0 - (panel_h - 30.0) * (value - low) / span;
        let points: Vec<(f64, f64)> =
            tensor.row(unit).iter().enumerate().filter(|(_, v)| v.is_finite()).map(|(column, value)| (x(column), y(*value))).collect();
        drawing.polyline(&points, category(0), 1.6);
        points.iter().for_each(|point| drawing.circle(point.0, point.1, 1.8, category(0), None));
        drawing.text(x0 + 8.0, y0 + 12.0, &units.coordinates.label(unit), 10.0, Anchor::Start, "#333");
        drawing.line((x0 + 6.0, y0 + panel_h - 6.0), (x0 + panel_w - 10.0, y0 + panel_h - 6.0), "#999", 0.8, false);
    }
    let place = |panel: usize| [panel_w * (panel % across) as f64, panel_h * (panel / across) as f64, panel_w - 8.0, panel_h];
    drawing.mark(marks(&units.select(&strongest), Places::Each((0..strongest.len()).map(place).collect())));
    let ends = format!("each panel: {} to {}", position_label(conditions, 0), position_label(conditions, conditions.len() - 1));
    drawing.text(8.0, panel_h * rows as f64 + 12.0, &ends, 10.0, Anchor::Start, "#555");
    let caption = format!("tuning curves of the {} units that are modulated most", strongest.len());
    vec![
        all,
        Figure { drawing: drawing.finish(&caption, "a panel a unit, with its value at each condition, scaled to its own range"), caption },
    ]
}
