//! Typed edits of a pipeline's text.
//!
//! An edit names what it changes (a step, an argument, a policy) and says the new value in the language itself. It is applied to the lossless tree: bytes
//! that no edit mentions stay as they are, comments and layout included. What an edit brings must be one whole expression (see `fragment`), so that no
//! value can close a bracket and go on with statements of its own.

mod calls;
mod fragment;
mod names;
mod place;
mod spec;
mod statements;
#[cfg(test)]
mod tests;

pub use spec::{EDITS, EditSpec, FieldSpec};

use crate::parser::parse;
use crate::syntax::SyntaxNode;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// One change of a pipeline, in its own terms. Calls, values and conditions are written in the language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Edit {
    /// Begins an empty file: `pipeline NAME "title"`.
    Begin {
        /// The pipeline's name.
        name: String,
        /// Its title; none when empty.
        #[serde(default)]
        title: String,
    },
    /// A new input.
    AddInput {
        /// Its name.
        name: String,
        /// Where it comes from, such as `mat("data/*.mat")`.
        value: String,
    },
    /// Where an input comes from.
    SetInput {
        /// Its name.
        name: String,
        /// Where it comes from.
        value: String,
    },
    /// The default of a parameter; one that is not there yet is added.
    SetParam {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// A new step.
    InsertStep {
        /// Its name.
        name: String,
        /// The call, with its policies if it has any: `decode.classify(x, target = "image") with seed = 7`.
        call: String,
        /// The step, input or parameter that it stands behind, in the same braces; the last step of the file when empty.
        #[serde(default)]
        after: String,
        /// Whether it stands behind the braces around `after` (a loop, a branch, a sweep) instead.
        #[serde(default)]
        outside: bool,
    },
    /// Takes a step away, from the file and from what reports list.
    RemoveStep {
        /// The step.
        name: String,
    },
    /// An argument of a step's call; `model.shrinkage` is the argument of an argument.
    SetArgument {
        /// The step.
        step: String,
        /// The argument's name.
        key: String,
        /// Its value.
        value: String,
    },
    /// Takes an argument away, so that its default holds.
    UnsetArgument {
        /// The step.
        step: String,
        /// The argument's name.
        key: String,
    },
    /// Another call in the place of a step's; its policies stay unless the call brings its own.
    ReplaceCall {
        /// The step.
        step: String,
        /// The call.
        call: String,
    },
    /// A policy of a step: `with KEY = value`.
    SetPolicy {
        /// The step.
        step: String,
        /// The policy.
        key: String,
        /// Its value.
        value: String,
    },
    /// Takes a policy away.
    UnsetPolicy {
        /// The step.
        step: String,
        /// The policy.
        key: String,
    },
    /// One more control of a step, beside those that it has.
    AddControl {
        /// The step.
        step: String,
        /// The control, such as `shuffle("image", n = 200)`.
        call: String,
    },
    /// Another name for a step, an input or a parameter, wherever it is used.
    Rename {
        /// The name.
        from: String,
        /// The new name.
        to: String,
    },
    /// A new expectation.
    AddExpect {
        /// The condition.
        condition: String,
        /// What it means, for people; none when empty.
        #[serde(default)]
        message: String,
    },
    /// Takes an expectation away.
    RemoveExpect {
        /// The condition as written in the file.
        condition: String,
    },
    /// Steps in a report; a report that is not there yet is added.
    AddReport {
        /// The report's name.
        name: String,
        /// Its title, for a new one; none when empty.
        #[serde(default)]
        title: String,
        /// Steps, separated by commas.
        items: String,
    },
    /// A comment above a step.
    Comment {
        /// The step.
        step: String,
        /// What it says.
        text: String,
    },
}

/// One replacement in a text. Places are those of the text as the changes before it left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Where it begins, in bytes.
    pub at: usize,
    /// What stood there.
    pub old: String,
    /// What stands there now.
    pub new: String,
}

/// A text with edits applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The text.
    pub text: String,
    /// What was replaced, in order.
    pub changes: Vec<Change>,
}

/// Why an edit can't be applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("edit {}: {message}", .edit + 1)]
pub struct EditError {
    /// The position of the edit, from 0.
    pub edit: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// What is wrong with an edit, before its number is known.
struct Refused {
    message: String,
    help: Option<String>,
}

impl Refused {
    fn new(message: impl Into<String>) -> Refused {
        Refused { message: message.into(), help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Refused {
        self.help = Some(help.into());
        self
    }

    fn help_if(mut self, help: Option<String>) -> Refused {
        self.help = help;
        self
    }
}

/// A replacement to be made.
struct Splice {
    span: Range<usize>,
    new: String,
}

impl Splice {
    fn insert(at: usize, new: String) -> Splice {
        Splice { span: at..at, new }
    }
}

/// A text and its tree, as an edit finds them.
struct View<'t> {
    text: &'t str,
    root: SyntaxNode,
}

/// Applies edits one after the other.
///
/// # Errors
/// The first edit that names something that is not there, brings something that is not one whole expression, or does not fit; and a text that has
/// mistakes of syntax before any edit.
pub fn apply(text: &str, edits: &[Edit]) -> Result<Edited, EditError> {
    let mut edited = Edited { text: text.to_owned(), changes: Vec::new() };
    for (number, edit) in edits.iter().enumerate() {
        let failed = |refused: Refused| EditError { edit: number, message: refused.message, help: refused.help };
        let parsed = parse(&edited.text);
        if let Some(mistake) = parsed.diagnostics.first() {
            let (line, column) = crate::diagnostics::line_and_column(&edited.text, mistake.span.start);
            let refused = Refused::new(format!("the file has a mistake of syntax at {line}:{column}: {}", mistake.message));
            return Err(failed(refused.help("mend it by hand first")));
        }
        let mut splices = splices(&View { text: &edited.text, root: parsed.root() }, edit).map_err(failed)?;
        // From the back, so that places in front stay as they are.
        splices.sort_by_key(|splice| std::cmp::Reverse(splice.span.start));
        for Splice { span, new } in splices {
            let Some(old) = edited.text.get(span.clone()).map(str::to_owned) else {
                return Err(failed(Refused::new("it does not fit the file")));
            };
            if old != new {
                edited.text.replace_range(span.clone(), &new);
                edited.changes.push(Change { at: span.start, old, new });
            }
        }
        if let Some(mistake) = parse(&edited.text).diagnostics.first() {
            return Err(failed(Refused::new(format!("the file could not be read any more: {}", mistake.message))));
        }
    }
    Ok(edited)
}

/// The text after changes; none when it is not the text that they were made for.
pub fn redo(text: &str, changes: &[Change]) -> Option<String> {
    let mut text = text.to_owned();
    for change in changes {
        let span = change.at..change.at.checked_add(change.old.len())?;
        if text.get(span.clone())? != change.old {
            return None;
        }
        text.replace_range(span, &change.new);
    }
    Some(text)
}

/// The text before the changes; none when it is not the text that they gave.
pub fn undo(text: &str, changes: &[Change]) -> Option<String> {
    let mut text = text.to_owned();
    for change in changes.iter().rev() {
        let span = change.at..change.at.checked_add(change.new.len())?;
        if text.get(span.clone())? != change.new {
            return None;
        }
        text.replace_range(span, &change.old);
    }
    Some(text)
}

fn splices(view: &View<'_>, edit: &Edit) -> Result<Vec<Splice>, Refused> {
    match edit {
        Edit::Begin { name, title } => statements::begin(view, name, title),
        Edit::AddInput { name, value } => statements::add_input(view, name, value),
        Edit::SetInput { name, value } => statements::set_input(view, name, value),
        Edit::SetParam { name, value } => statements::set_param(view, name, value),
        Edit::InsertStep { name, call, after, outside } => statements::insert_step(view, name, call, after, *outside),
        Edit::RemoveStep { name } => statements::remove_step(view, name),
        Edit::SetArgument { step, key, value } => calls::set_argument(view, step, key, value),
        Edit::UnsetArgument { step, key } => calls::unset_argument(view, step, key),
        Edit::ReplaceCall { step, call } => calls::replace_call(view, step, call),
        Edit::SetPolicy { step, key, value } => calls::set_policy(view, step, key, value),
        Edit::UnsetPolicy { step, key } => calls::unset_policy(view, step, key),
        Edit::AddControl { step, call } => calls::add_control(view, step, call),
        Edit::Rename { from, to } => names::rename(view, from, to),
        Edit::AddExpect { condition, message } => statements::add_expect(view, condition, message),
        Edit::RemoveExpect { condition } => statements::remove_expect(view, condition),
        Edit::AddReport { name, title, items } => statements::add_report(view, name, title, items),
        Edit::Comment { step, text } => statements::comment(view, step, text),
    }
}

/// The text with a further expectation at its end, behind all others.
///
/// # Errors
/// When the condition is not one whole condition.
pub fn expected(text: &str, condition: &str) -> Result<String, EditError> {
    let failed = |refused: Refused| EditError { edit: 0, message: refused.message, help: refused.help };
    fragment::rest("expect ", condition, crate::syntax::SyntaxKind::ExpectItem).map_err(failed)?;
    Ok(format!("{}\nexpect {}\n", text.trim_end(), condition.trim()))
}
