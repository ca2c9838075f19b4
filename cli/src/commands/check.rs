//! `neuroflow check`: every mistake, without running anything.

use super::{check_text, print_diagnostics, read_pipeline, settings_of};
use crate::arguments::MessageFormat;
use crate::exit::{Exit, Failure};
use neuroflow_dsl::diagnostics::has_errors;
use std::path::PathBuf;

pub(crate) fn check(files: &[PathBuf], set: &[String], format: MessageFormat) -> Result<Exit, Failure> {
    let registry = crate::stages::registry();
    let set = settings_of(set)?;
    let mut wrong = false;
    for file in files {
        let text = read_pipeline(file)?;
        let checked = check_text(file, &text, &set, &registry);
        print_diagnostics(file, &text, &checked.diagnostics, format);
        wrong |= has_errors(&checked.diagnostics);
        if format == MessageFormat::Text && !has_errors(&checked.diagnostics) {
            let (steps, warnings) = (checked.pipeline.steps.len(), checked.diagnostics.len());
            let said = if warnings == 0 { "no mistake found".to_owned() } else { format!("no error, {warnings} warnings") };
            eprintln!("{}: {said}, {steps} steps", file.display());
        }
    }
    Ok(if wrong { Exit::WrongPipeline } else { Exit::Done })
}
