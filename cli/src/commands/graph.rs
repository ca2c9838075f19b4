//! `neuroflow graph`: the steps as a picture.

use super::{check_text, print_diagnostics, read_pipeline};
use crate::arguments::{GraphFormat, MessageFormat};
use crate::exit::{Exit, Failure};
use neuroflow_dsl::diagnostics::has_errors;
use neuroflow_dsl::graph;
use std::path::Path;

pub(crate) fn graph(file: &Path, format: GraphFormat, out: Option<&Path>) -> Result<Exit, Failure> {
    let text = read_pipeline(file)?;
    let checked = check_text(file, &text, &[], &crate::stages::registry());
    if has_errors(&checked.diagnostics) {
        print_diagnostics(file, &text, &checked.diagnostics, MessageFormat::Text);
        return Err(Failure::printed(Exit::WrongPipeline));
    }
    let drawn = graph::graph(&checked.pipeline);
    let drawing = match format {
        GraphFormat::Svg => graph::to_svg(&drawn),
        GraphFormat::Mermaid => graph::to_mermaid(&drawn),
        GraphFormat::Dot => graph::to_dot(&drawn),
    };
    match out {
        Some(path) => std::fs::write(path, drawing).map_err(|error| Failure::could_not_start(format!("{}: {error}", path.display())))?,
        None => print!("{drawing}"),
    }
    Ok(Exit::Done)
}
