//! Scores in a few words, for lines and tables.

use neuroflow_data::{Score, short_number};

/// The value with half the width of its interval: `0.812 ±0.031`.
pub(crate) fn value(score: &Score) -> String {
    let half = score.interval.as_ref().map_or_else(String::new, |interval| format!(" ±{}", short_number(interval.half())));
    format!("{}{half}", short_number(score.value))
}

/// What its first control says; a score without one is marked.
pub(crate) fn control(score: &Score) -> String {
    match score.controls.first() {
        Some(control) if control.is_distribution() => format!("p = {}", short_number(control.p)),
        Some(control) => format!("control {}", short_number(control.mean())),
        None => "uncontrolled".into(),
    }
}
