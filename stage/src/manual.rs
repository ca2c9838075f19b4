//! The manual: pages read off the declarations of stages, for people and for programs.

use crate::params::describe_limits;
use crate::{ParamSpec, ParamType, Signature};
use std::fmt::Write as _;

/// The manual page of a stage.
pub fn page(signature: &Signature) -> String {
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
        let kind = output.like.map_or_else(|| output.kind.to_string(), |input| format!("of the kind of `{input}`"));
        let _ = writeln!(out, "  {}: {kind}{}\n      {}", output.name, axes(output.axes), output.doc);
    }
    if !signature.params.is_empty() {
        let _ = write!(out, "\nParameters\n{}", parameters(&signature.params));
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

/// Parameters, one under the other, with what each may be.
pub fn parameters(params: &[ParamSpec]) -> String {
    indented(params, 0)
}

fn indented(params: &[ParamSpec], depth: usize) -> String {
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
            out.push_str(&indented(&variant.params, depth + 3));
            out
        }),
        ParamType::OneOf(types) => types.iter().map(|ty| variants(ty, depth)).collect(),
        _ => String::new(),
    }
}
