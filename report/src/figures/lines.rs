//! Curves over time.

use super::Figure;
use crate::colour::category;
use crate::svg::{Anchor, Svg, number, ticks};
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
    let mut svg = Svg::new(left + width + 20.0, height + 46.0);
    let span = if last > first { last - first } else { 1.0 };
    let x = |time: f64| left + (time - first) / span * width;
    if first < 0.0 && last > 0.0 {
        svg.line((x(0.0), 6.0), (x(0.0), height + 6.0), "#888", 1.0, true);
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
        svg.line((left, base), (left + width, base), "#ccc", 0.8, false);
        svg.polyline(&points, category(component), 1.8);
        svg.text(left - 6.0, base - row / 2.0 + 8.0, &components.coordinates.label(component), 10.5, Anchor::End, category(component));
    }
    let axis = height + 8.0;
    svg.line((left, axis), (left + width, axis), "#333", 1.0, false);
    for tick in ticks(first, last, 6) {
        svg.line((x(tick), axis), (x(tick), axis + 4.0), "#333", 1.0, false);
        svg.text(x(tick), axis + 16.0, &number(tick), 10.0, Anchor::Middle, "#333");
    }
    let unit = bins.unit.as_deref().map_or_else(String::new, |unit| format!(" ({unit})"));
    svg.text(left + width / 2.0, axis + 32.0, &format!("time from onset{unit}"), 11.0, Anchor::Middle, "#333");
    let caption = "time course of each component, scaled to its maximum; the dashed line is stimulus onset";
    Figure { caption: caption.into(), svg: svg.finish(caption) }
}
