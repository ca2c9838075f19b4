//! Mistakes, and how they are shown.

use codespan_reporting::diagnostic::{Diagnostic as Report, Label, LabelStyle, Severity as ReportSeverity};
use codespan_reporting::files::SimpleFile;
use codespan_reporting::term;
use serde::Serialize;
use std::ops::Range;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The pipeline can't run.
    Error,
    /// It can run, but something is probably not meant.
    Warning,
}

/// A further place that matters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Where, in bytes of the file.
    pub span: Range<usize>,
    /// What is there.
    pub message: String,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable name of the kind of mistake; each has a page, shown by `neuroflow explain CODE`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Where, in bytes of the file.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// Words under the underlined text.
    pub label: String,
    /// Further places.
    pub notes: Vec<Note>,
    /// What to do.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// An error.
    pub fn error(code: &'static str, span: Range<usize>, message: impl Into<String>) -> Diagnostic {
        let (message, label, notes, help) = (message.into(), String::new(), Vec::new(), Vec::new());
        Diagnostic { code, severity: Severity::Error, span, message, label, notes, help }
    }

    /// A warning.
    pub fn warning(code: &'static str, span: Range<usize>, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, span, message) }
    }

    /// The same with words under the underlined text.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = label.into();
        self
    }

    /// The same with a further place.
    #[must_use]
    pub fn note(mut self, span: Range<usize>, message: impl Into<String>) -> Diagnostic {
        self.notes.push(Note { span, message: message.into() });
        self
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help.push(help.into());
        self
    }

    /// The same with advice, when there is any.
    #[must_use]
    pub fn help_if(self, help: Option<String>) -> Diagnostic {
        match help {
            Some(help) => self.help(help),
            None => self,
        }
    }
}

/// Whether the pipeline can't run.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}

/// Sorts by place, errors before warnings at the same place, and drops repeats.
pub fn sort(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by(|a, b| (a.span.start, a.severity, a.span.end, &a.message).cmp(&(b.span.start, b.severity, b.span.end, &b.message)));
    diagnostics.dedup();
}

/// All diagnostics as text for a terminal or a file.
pub fn render(file_name: &str, text: &str, diagnostics: &[Diagnostic], colour: bool) -> String {
    let file = SimpleFile::new(file_name, text);
    let config = term::Config { before_label_lines: 0, after_label_lines: 0, ..term::Config::default() };
    let mut out = String::new();
    for diagnostic in diagnostics {
        let severity = match diagnostic.severity {
            Severity::Error => ReportSeverity::Error,
            Severity::Warning => ReportSeverity::Warning,
        };
        let clamp = |span: &Range<usize>| boundary(text, span.start)..boundary(text, span.end.max(span.start));
        let mut labels = vec![Label::new(LabelStyle::Primary, (), clamp(&diagnostic.span)).with_message(&diagnostic.label)];
        labels.extend(
            diagnostic.notes.iter().map(|note| Label::new(LabelStyle::Secondary, (), clamp(&note.span)).with_message(&note.message)),
        );
        let notes = diagnostic.help.iter().map(|help| format!("help: {help}")).collect();
        let report =
            Report::new(severity).with_code(diagnostic.code).with_message(&diagnostic.message).with_labels(labels).with_notes(notes);
        let rendered = if colour {
            let mut buffer = term::termcolor::Ansi::new(Vec::new());
            term::emit_to_write_style(&mut buffer, &config, &file, &report)
                .map(|()| String::from_utf8_lossy(&buffer.into_inner()).into_owned())
        } else {
            let mut text = String::new();
            term::emit_to_string(&mut text, &config, &file, &report).map(|()| text)
        };
        // Rendering fails only when a place is not in the file; the message alone is better than nothing.
        out.push_str(&rendered.unwrap_or_else(|_| format!("error[{}]: {}\n", diagnostic.code, diagnostic.message)));
    }
    out
}

/// The nearest place at or before `at` where a character begins.
fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Line and column, both from 1, of a byte of the file.
pub fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..boundary(text, at)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
