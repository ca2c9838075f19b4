//! `neuroflow doc` and `neuroflow stages`: the manual, read off the stages' own declarations.

use crate::exit::{Exit, Failure};
use neuroflow_stage::params::describe_limits;
use neuroflow_stage::{Control, ParamSpec, ParamType, Signature, nearest};
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
        print!("{}", page(&stage.signature()));
        return Ok(Exit::Done);
    }
    if let Some(control) = Control::variants().into_iter().find(|control| control.name == name) {
        println!("{name}: a control\n\n{}\n", control.doc);
        print!("{}", parameters(&control.params, 0));
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

/// The manual page of a stage.
pub(crate) fn page(signature: &Signature) -> String {
    let mut out = format!("{}: {}\n\n{}\n", signature.name, signature.summary, signature.doc.trim());
    let kinds = |kinds: &[neuroflow_data::Kind]| kinds.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
    let axes = |axes: &str| if axes.is_empty() { String::new() } else { format!(" [{axes}]") };
    if !signature.inputs.is_empty() {
        out.push_str("\nInputs\n");
    }
    for input in &signature.inputs {
        let note = match (input.open, input.many, input.optional) {
            (true, ..) => ", any number, each under a name of your choice",
            (_, true, _) => ", a family",
            (.., true) => ", may be left out",
            _ => "",
        };
        let _ = writeln!(out, "  {}: {}{}{note}\n      {}", input.name, kinds(input.kinds), axes(input.axes), input.doc);
    }
    out.push_str("\nOutputs\n");
    for output in &signature.outputs {
        let _ = writeln!(out, "  {}: {}{}\n      {}", output.name, output.kind, axes(output.axes), output.doc);
    }
    if !signature.params.is_empty() {
        let _ = write!(out, "\nParameters\n{}", parameters(&signature.params, 0));
    }
    if !signature.metrics.is_empty() {
        let _ = writeln!(out, "\nScores\n  {}", signature.metrics.join(", "));
    }
    if !signature.sites.is_empty() {
        let controls = signature.sites.iter().map(|site| site.control).collect::<Vec<_>>().join(", ");
        let _ = writeln!(out, "\nControls that take hold here\n  {controls}");
    }
    if signature.transductive {
        out.push_str("\nTransductive: it sees all trials while fitting; scores after it say so.\n");
    }
    let _ = writeln!(out, "\nVersion {}", signature.version);
    out
}

fn parameters(params: &[ParamSpec], depth: usize) -> String {
    let mut out = String::new();
    let indent = "  ".repeat(depth + 1);
    for param in params {
        let default = param.default.as_ref().map_or_else(|| ", must be given".to_owned(), |value| format!(" = {value}"));
        let limits = param.limits.map_or_else(String::new, |(low, high)| format!(", {}", describe_limits(low, high)));
        let _ = writeln!(out, "{indent}{}: {}{default}{limits}", param.name, param.ty.describe());
        for line in param.doc.lines() {
            let _ = writeln!(out, "{indent}    {}", line.trim());
        }
        out.push_str(&variants(&param.ty, depth));
    }
    out
}

fn variants(ty: &ParamType, depth: usize) -> String {
    match ty {
        ParamType::Choice(variants) => variants.iter().fold(String::new(), |mut out, variant| {
            let indent = "  ".repeat(depth + 3);
            let _ = writeln!(out, "{indent}{}: {}", variant.name, variant.doc.replace('\n', " "));
            out.push_str(&parameters(&variant.params, depth + 3));
            out
        }),
        ParamType::OneOf(types) => types.iter().map(|ty| variants(ty, depth)).collect(),
        _ => String::new(),
    }
}
