//! The figures of a report as files of their own.

use crate::contents::Names;
use crate::error::ReportError;
use crate::figures::{Figure, figures};
use crate::input::{Report, ShownStep};
use crate::step::file_name;
use neuroflow_data::Artifact;
use std::collections::HashMap;

/// A figure that can stand alone.
#[derive(Debug, Clone)]
pub struct FigureFile<'a> {
    /// What its files are called, without an ending; no two figures of a report are called alike.
    pub name: String,
    /// The figure.
    pub figure: Figure,
    /// What it is drawn from.
    pub artifact: &'a Artifact,
}

/// The figures of a report, in the order of the page.
///
/// # Errors
/// When an artifact is not what its kind promises.
pub fn figure_files(report: &Report) -> Result<Vec<FigureFile<'_>>, ReportError> {
    let mut of_member: HashMap<Option<&str>, Vec<&Artifact>> = HashMap::new();
    for step in &report.steps {
        of_member.entry(step.member.as_deref()).or_default().extend(step.artifacts.iter().map(|shown| &shown.artifact));
    }
    let mut names = Names::default();
    let mut files = Vec::new();
    for step in &report.steps {
        let beside = of_member.get(&step.member.as_deref()).map(Vec::as_slice).unwrap_or_default();
        files.extend(of_step(step, beside, &mut names)?);
    }
    Ok(files)
}

fn of_step<'a>(step: &'a ShownStep, beside: &[&Artifact], names: &mut Names) -> Result<Vec<FigureFile<'a>>, ReportError> {
    let mut files = Vec::new();
    for (position, shown) in step.artifacts.iter().enumerate() {
        let further = (position > 0).then_some(shown.output.as_str());
        for figure in figures(&shown.artifact, further, beside)? {
            files.push(FigureFile { name: names.new_one(&file_name(step, &shown.output)), figure, artifact: &shown.artifact });
        }
    }
    Ok(files)
}
