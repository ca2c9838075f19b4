//! Which rules of the specification a tree breaks.
//!
//! Every finding names the section of BIDS 1.10 that has the rule. What stands below `code`, `docs`, `logs`, `sourcedata` and `stimuli`, and what
//! `.bidsignore` names, is not looked at, as the specification has it. Names, sidecars and tables are checked; whether an image or a recording is
//! sound is its reader's business.

mod metadata;
mod names;
mod tables;

use super::rules::TOP_LEVEL_FOLDERS;
use super::{BidsFile, BidsTree, Dataset};
use neuroflow_data::formats::{FormatError, Place};
use std::fmt;

/// The most findings that are kept: a tree of another sort breaks a rule with every file.
const MOST_FINDINGS: usize = 10_000;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The specification says MUST.
    Error,
    /// The specification says SHOULD, or it looks like an accident.
    Warning,
}

/// A rule that a file breaks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// The file, by its path in the tree; empty for the tree as a whole.
    pub path: String,
    /// The section of the specification that has the rule.
    pub rule: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.severity == Severity::Error { "error" } else { "warning" };
        let path = if self.path.is_empty() { "the tree" } else { &self.path };
        write!(f, "{severity}: {path}: {} (BIDS, {}); {}", self.message, self.rule, self.remedy)
    }
}

/// What gathers findings.
pub(super) struct Check<'t> {
    tree: &'t BidsTree,
    findings: Vec<Finding>,
    left_out: usize,
}

impl<'t> Check<'t> {
    fn add(&mut self, severity: Severity, path: &str, rule: &'static str, message: impl Into<String>, remedy: impl Into<String>) {
        if self.findings.len() >= MOST_FINDINGS {
            self.left_out += 1;
            return;
        }
        let path = path.escape_debug().to_string();
        self.findings.push(Finding { severity, path, rule, message: message.into(), remedy: remedy.into() });
    }

    fn error(&mut self, path: &str, rule: &'static str, message: impl Into<String>, remedy: impl Into<String>) {
        self.add(Severity::Error, path, rule, message, remedy);
    }

    fn warning(&mut self, path: &str, rule: &'static str, message: impl Into<String>, remedy: impl Into<String>) {
        self.add(Severity::Warning, path, rule, message, remedy);
    }

    /// An error that a reader gave, as a finding.
    fn fault(&mut self, path: &str, rule: &'static str, error: &FormatError) {
        let path = match &error.place {
            Place::Object { path, .. } => path.clone(),
            _ => path.to_owned(),
        };
        if !self.findings.iter().any(|found| found.path == path && found.message == error.reason) {
            self.add(Severity::Error, &path, rule, error.reason.clone(), error.help.clone());
        }
    }

    /// The files of a dataset that count.
    fn files(&self, dataset: &Dataset) -> Vec<&'t BidsFile> {
        let tree = self.tree;
        tree.files.iter().filter(|file| file.dataset == dataset.path && !tree.ignore.has(&file.path) && !is_free(file)).collect()
    }
}

/// Whether a file stands in a folder for which there are no rules.
fn is_free(file: &BidsFile) -> bool {
    let below = within(file);
    below.split_once('/').is_some_and(|(first, _)| (TOP_LEVEL_FOLDERS.contains(&first) && first != "phenotype") || first.starts_with('.'))
}

/// The path of a file below its dataset.
fn within(file: &BidsFile) -> &str {
    file.path.get(file.dataset.len()..).unwrap_or(&file.path).trim_start_matches('/')
}

impl BidsTree {
    /// Checks the tree; errors come first, then warnings, each sorted by path.
    ///
    /// Reads every JSON file and every table. Ten thousand findings are kept at most, and the last says how many more there are.
    pub fn validate(&self) -> Vec<Finding> {
        let mut check = Check { tree: self, findings: Vec::new(), left_out: 0 };
        for error in &self.faults {
            check.fault("", "Common principles", error);
        }
        for dataset in &self.datasets {
            // Source data may have any form.
            if dataset.path.starts_with("sourcedata") || self.ignore.has(&dataset.path) {
                continue;
            }
            let files = check.files(dataset);
            check.names(dataset, &files);
            check.description(dataset, &files);
            check.sidecars(dataset, &files);
            check.tables(dataset, &files);
        }
        let mut findings = check.findings;
        findings.sort();
        findings.dedup();
        if check.left_out > 0 {
            findings.push(Finding {
                severity: Severity::Warning,
                path: String::new(),
                rule: "Common principles",
                message: format!("{} more findings are not listed", check.left_out),
                remedy: "correct those that are, and check again".into(),
            });
        }
        findings
    }
}
