//! Curves over time.

use super::{Figure, marks};
use crate::colour::category;
use crate::drawing::{Anchor, Drawing, Places, number, ticks};
use neuroflow_data::{Coordinates, Tensor};

/// Time courses `[component × bin]`, each scaled to its own maximum and drawn in a row of its own.
pub(super) fn time_courses(tensor: &Tensor) -> Figure {
    let (components, bins) = (&tensor.axes()[0], &tensor.axes()[1]);
    let times: Vec<f64> = match &bins.coordinates {
        Coordinates::Numbers(times) => times.clone(),
        _ => (0..bins.len()).map(|bin| bin as f64).collect(),
    };
    let (first, last) = (times.first().copied().unwrap_or(0.0), times.last().copied().unwrap_or(1.0));
    let (left, row, width) = (60.0, 44.0, 380.0);
    let height = row * components.len() as f64;
    let mut drawing = Drawing::new(left + width + 20.0, height + 46.0);
    let span = if last > first { last - first } else { 1.0 };
    let x = |time: f64| left + (time - first) / span * width;
    if first < 0.0 && last > 0.0 {
        drawing.line((x(0.0), 6.0), (x(0.0), height + 6.0), "#888", 1.0, true);
    }
    for component in 0..components.len() {
        let values = tensor.row(component);
        let most = values.iter().copied().filter(|value| value.is_finite()).fold(1e-12, f64::max);
        let base = 6.0 + row * (component as f64 + 1.0) - 4.0;
        let points: Vec<(f64, f64)> = times
            .iter()
            .zip(values)
            .filter(|(_, value)| value.is_finite())
            .map(|(time, value)| (x(*time), base - (row - 10.0) * value / most))
            .collect();
        drawing.line((left, base), (left + width, base), "#ccc", 0.8, false);
        drawing.polyline(&points, category(component), 1.8);
        drawing.text(left - 6.0, base - row / 2.0 + 8.0, &components.coordinates.label(component), 10.5, Anchor::End, "#333");
    }
    let axis = height + 8.0;
    drawing.line((left, axis), (left + width, axis), "#333", 1.0, false);
    for tick in ticks(first, last, 6) {
        drawing.line((x(tick), axis), (x(tick), axis + 4.0), "#333", 1.0, false);
        drawing.text(x(tick), axis + 16.0, &number(tick), 10.0, Anchor::Middle, "#333");
    }
    let unit = bins.unit.as_deref().map_or_else(String::new, |unit| format!(" ({unit})"));
    drawing.text(left + width / 2.0, axis + 32.0, &format!("time from onset{unit}"), 11.0, Anchor::Middle, "#333");
    let caption = "time course of each component, scaled to its maximum; the dashed line is stimulus onset";
    drawing.mark(marks(components, Places::Row([left, 6.0, width, row], (0.0, row))));
    let step = width / (bins.len().max(2) - 1) as f64;
    drawing.mark(marks(bins, Places::Row([left - step / 2.0, 6.0, step, height], (step, 0.0))));
    let told = format!("{} curves over time from {} to {}", components.len(), number(first), number(last));
    Figure { caption: caption.into(), drawing: drawing.finish(caption, told) }
}
