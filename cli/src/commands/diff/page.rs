//! `neuroflow diff --html`: the same as a page, with the figures that differ side by side.

use super::{Told, step_texts};
use crate::exit::Failure;
use crate::meant::Meant;
use neuroflow_engine::difference::Difference;
use neuroflow_engine::record::{Results, results};
use neuroflow_engine::session::Session;
use neuroflow_report::figures::figures;
use neuroflow_report::render_with;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// The most pairs of figures of a page.
const MOST_PAIRS: usize = 100;

/// The longest page, in bytes.
const LONGEST: usize = 256 << 20;

pub(super) fn write(
    session: &Session,
    (before, after): (&Meant, &Meant),
    found: &Difference,
    told: &Told,
    out: &Path,
) -> Result<(), Failure> {
    let steps = found.steps.iter().map(|step| {
        let (members, lines) = step_texts(step);
        json!({ "name": format!("{}{members}", step.step), "lines": lines })
    });
    let (pairs, left_out) = pairs(session, before, after)?;
    let contents = json!({
        "from": before.title, "to": after.title, "settings": told.settings, "none": told.none,
        "steps": steps.collect::<Vec<Value>>(),
        "scores": told.scores.iter().map(|(name, line)| json!({ "name": name, "line": line })).collect::<Vec<_>>(),
        "same": told.same, "open": told.open, "all": found.scores.len(), "figures": pairs, "left_out": left_out, "lines": told.lines,
    });
    let page = render_with(include_str!("page.html"), &contents, LONGEST).map_err(Failure::could_not_start)?;
    std::fs::write(out, page).map_err(|error| Failure::could_not_start(format!("{}: {error}", out.display())))
}

/// Figures of results that are not the same, the first of each output; and how many more there would be.
fn pairs(session: &Session, before: &Meant, after: &Meant) -> Result<(Vec<Value>, usize), Failure> {
    let of = |side: &Meant| -> Results {
        let rows = side.record.as_ref().and_then(|record| session.rows(record).ok());
        rows.map(|rows| results(&rows)).unwrap_or_default()
    };
    let (old, new) = (of(before), of(after));
    let labels: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let (mut pairs, mut left_out) = (Vec::new(), 0);
    for label in labels {
        let none = std::collections::BTreeMap::new();
        let (was, is) = (old.get(label).unwrap_or(&none), new.get(label).unwrap_or(&none));
        let outputs: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
        for output in outputs {
            let (was, is) = (was.get(output), is.get(output));
            if was == is {
                continue;
            }
            let drawn = |value: Option<&(neuroflow_data::Kind, neuroflow_engine::Digest)>| -> Option<String> {
                let (kind, digest) = value?;
                let artifact = session.artifact(*kind, digest).ok()?;
                figures(&artifact, None, &[]).ok()?.into_iter().next().map(|figure| figure.drawing.svg())
            };
            if pairs.len() >= MOST_PAIRS {
                left_out += 1;
                continue;
            }
            let (was, is) = (drawn(was), drawn(is));
            if was.is_some() || is.is_some() {
                pairs.push(json!({ "name": format!("{label}.{output}"), "before": was, "after": is }));
            }
        }
    }
    Ok((pairs, left_out))
}
