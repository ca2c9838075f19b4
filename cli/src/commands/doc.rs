//! `neuroflow doc` and `neuroflow stages`: the manual, read off the stages' own declarations.

use crate::exit::{Exit, Failure};
use neuroflow_stage::{Control, manual, nearest};
use std::fmt::Write as _;

pub(crate) fn stages() -> Result<Exit, Failure> {
    let registry = crate::stages::registry();
    let width = registry.iter().map(|stage| stage.name().len()).max().unwrap_or(0);
    for stage in registry.iter() {
        println!("{:width$}  {}", stage.name(), stage.signature().summary);
    }
    Ok(Exit::Done)
}

pub(crate) fn doc(name: &str) -> Result<Exit, Failure> {
    let registry = crate::stages::registry();
    if let Some(stage) = registry.get(name) {
        print!("{}", manual::page(&stage.signature()));
        return Ok(Exit::Done);
    }
    if let Some(control) = Control::variants().into_iter().find(|control| control.name == name) {
        println!("{name}: a control\n\n{}\n", control.doc);
        print!("{}", manual::parameters(&control.params));
        return Ok(Exit::Done);
    }
    if name == "report" {
        print!("{}", include_str!("../../../docs/report.md"));
        return Ok(Exit::Done);
    }
    if name == "edits" {
        print!("{}", edits());
        return Ok(Exit::Done);
    }
    let topic: Vec<_> = registry.iter().filter(|stage| stage.name().starts_with(&format!("{name}."))).collect();
    if !topic.is_empty() {
        topic.iter().for_each(|stage| println!("{}  {}", stage.name(), stage.signature().summary));
        return Ok(Exit::Done);
    }
    let controls = Control::variants();
    let names = registry.iter().map(|stage| stage.name()).chain(controls.iter().map(|control| control.name));
    let near = nearest(name, names).map(|near| format!("did you mean `{near}`?"));
    let failure = Failure::could_not_start(format!("there is no stage, control or topic `{name}`"));
    Err(failure.with_help(near.unwrap_or_else(|| "`neuroflow stages` lists all stages".into())))
}

/// The manual page of the typed edits that `neuroflow propose` takes.
fn edits() -> String {
    let mut out =
        "Typed edits of a pipeline, for `neuroflow propose FILE.json`: a list of JSON objects, applied one after the other.\n".to_owned();
    out.push_str("Calls, values and conditions are written in the pipeline language; bytes that no edit mentions stay as they are.\n");
    for edit in neuroflow_dsl::edit::EDITS {
        let _ = write!(out, "\n{}: {}\n", edit.op, edit.doc);
        for field in edit.fields {
            let _ = writeln!(out, "  {}: {}{}", field.name, field.doc, if field.optional { " (may be left out)" } else { "" });
        }
    }
    out.push_str("\n[{\"op\": \"set_argument\", \"step\": \"direction\", \"key\": \"folds\", \"value\": \"10\"}]\n");
    out
}
