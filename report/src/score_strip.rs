//! One score as a strip: the value with its interval, chance, ceiling, and the null draws of each control.

use crate::colour::CATEGORIES;
use crate::drawing::{Anchor, Drawing, number, ticks};
use neuroflow_data::Score;

const WIDTH: f64 = 520.0;
const LEFT: f64 = 12.0;
const RIGHT: f64 = 150.0;

/// The strip of a score.
pub(crate) fn score_strip(score: &Score) -> Drawing {
    let mut values: Vec<f64> = vec![score.value];
    values.extend(score.chance);
    values.extend(score.ceiling);
    values.extend(score.interval.iter().flat_map(|interval| [interval.low, interval.high]));
    values.extend(score.controls.iter().flat_map(|control| control.null.iter().copied().filter(|value| value.is_finite())));
    let low = values.iter().copied().fold(0.0f64, f64::min);
    let high = values.iter().copied().fold(low + 1e-9, f64::max);
    let margin = 0.04 * (high - low);
    let (low, high) = (if low < 0.0 { low - margin } else { low }, high + margin);
    let x = |value: f64| LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT);

    let distributions: Vec<_> = score.controls.iter().filter(|control| control.is_distribution()).collect();
    let nulls_height = 30.0 * distributions.len() as f64;
    let axis_y = 34.0 + nulls_height;
    let mut drawing = Drawing::new(WIDTH, axis_y + 22.0);

    for (row, control) in distributions.iter().enumerate() {
        // The null draws as a histogram above the axis, in a row of its own for each control.
        let base = 34.0 + 30.0 * (row as f64 + 1.0) - 3.0;
        let bins = 60usize;
        let mut counts = vec![0usize; bins];
        for value in control.null.iter().filter(|value| value.is_finite()) {
            counts[(((value - low) / (high - low) * bins as f64) as usize).min(bins - 1)] += 1;
        }
        let most = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
        let width = (WIDTH - LEFT - RIGHT) / bins as f64;
        let bar = |(bin, count): (usize, &usize)| {
            let height = 22.0 * *count as f64 / most;
            [LEFT + bin as f64 * width, base - height, width, height]
        };
        drawing.bars(counts.iter().enumerate().filter(|(_, count)| **count > 0).map(bar).collect(), "#9a9a9a");
        let name = control.control.split('(').next().unwrap_or_default().replace('_', " ");
        let label = format!("{name} null (n = {})", control.draws());
        drawing.text(WIDTH - RIGHT + 8.0, base - 6.0, &label, 10.5, Anchor::Start, "#555");
    }
    drawing.line((LEFT, axis_y), (WIDTH - RIGHT, axis_y), "#333", 1.0, false);
    for tick in ticks(low, high, 6) {
        drawing.line((x(tick), axis_y), (x(tick), axis_y + 4.0), "#333", 1.0, false);
        drawing.text(x(tick), axis_y + 15.0, &number(tick), 10.0, Anchor::Middle, "#333");
    }
    if let Some(chance) = score.chance {
        drawing.line((x(chance), 8.0), (x(chance), axis_y), "#000", 1.2, true);
    }
    if let Some(ceiling) = score.ceiling {
        drawing.line((x(ceiling), 8.0), (x(ceiling), axis_y), CATEGORIES[2], 2.0, false);
    }
    if let Some(interval) = &score.interval {
        drawing.line((x(interval.low), 20.0), (x(interval.high), 20.0), CATEGORIES[0], 3.0, false);
    }
    for control in score.controls.iter().filter(|control| !control.is_distribution()) {
        for value in control.null.iter().filter(|value| value.is_finite()) {
            drawing.circle(x(*value), 20.0, 4.0, CATEGORIES[1], Some(&format!("{}: {}", control.control, number(*value))));
        }
    }
    drawing.circle(x(score.value), 20.0, 5.5, CATEGORIES[0], Some(&format!("{} {}", score.metric, number(score.value))));
    let mut legend = vec![format!("● {}", number(score.value))];
    legend.extend(score.chance.map(|chance| format!("┆ chance {}", number(chance))));
    legend.extend(score.ceiling.map(|ceiling| format!("│ ceiling {}", number(ceiling))));
    drawing.text(WIDTH - RIGHT + 8.0, 14.0, &legend.join("  "), 10.5, Anchor::Start, "#333");
    if let Some(control) = score.controls.iter().find(|control| !control.is_distribution()) {
        let name = control.control.split('(').next().unwrap_or_default();
        drawing.text(WIDTH - RIGHT + 8.0, 28.0, &format!("● {name} {}", number(control.mean())), 10.5, Anchor::Start, CATEGORIES[1]);
    }
    drawing.finish(&score.to_string(), "a line with the score, its interval, chance, and the null draws of each control")
}
