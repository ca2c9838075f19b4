//! Inputs: readers, stages that need nothing, and alternatives in order.

use super::{Checker, dotted};
use crate::ast::{Expr, ExprKind, Word};
use crate::diagnostics::Diagnostic;
use crate::evaluate::evaluate;
use crate::glob::is_pattern;
use crate::pipeline::{Alternative, InputDecl};
use neuroflow_data::Kind;
use neuroflow_stage::{Value, nearest};
use std::collections::BTreeMap;
use std::fmt;

/// The reader whose text is a name.
const DATASET: &str = "dataset";

/// The reader of trees, of which it takes the files that entities choose.
const BIDS: &str = "bids";

/// The values of an entity that are wanted, as one text; none when the value is of another sort.
fn wanted_of(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Int(number) => Some(number.to_string()),
        Value::List(values) => values.iter().map(wanted_of).collect::<Option<Vec<_>>>().map(|all| all.join(",")),
        value if *value == Value::word("all") => Some("all".into()),
        _ => None,
    }
}

/// What an alternative gives.
#[derive(Clone, Copy, PartialEq)]
struct Given {
    kind: Kind,
    members: Kind,
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.members) {
            (Kind::Dir, members) if members != Kind::File => write!(f, "a family, each a {members}"),
            (kind, _) => write!(f, "a {kind}"),
        }
    }
}

impl Checker<'_> {
    pub(super) fn input(&mut self, name: &Word, alternatives: &[Expr]) {
        if !self.define(name) {
            return;
        }
        let mut declared: Vec<Alternative> = Vec::new();
        let mut given: Option<Given> = None;
        for alternative in alternatives {
            let Some((this, gives)) = self.alternative(alternative) else { continue };
            match given {
                None => given = Some(gives),
                Some(first) if first != gives => {
                    let message = format!("every alternative must give the same: the first gives {first}, this one {gives}");
                    self.tell(Diagnostic::error("type-mismatch", alternative.span.clone(), message));
                }
                Some(_) => {}
            }
            declared.push(this);
        }
        if let Some(Given { kind, members }) = given {
            self.pipeline.add_input(InputDecl { name: name.clone(), alternatives: declared, kind, members });
        }
    }

    fn alternative(&mut self, expr: &Expr) -> Option<(Alternative, Given)> {
        let ExprKind::Call(callee, arguments) = &expr.kind else {
            let message = "an input is read by a reader, such as `dataset(\"name\")` or `csv(\"file.csv\")`";
            self.tell(Diagnostic::error("unknown-reader", expr.span.clone(), message));
            return None;
        };
        let reader = dotted(callee);
        let known = self.catalogue.readers.iter().find(|known| Some(known.0) == reader.as_deref());
        let stage = reader.as_deref().and_then(|name| self.catalogue.stages.get(name)).map(|stage| stage.signature());
        let kind = match (known, &stage) {
            (Some(known), _) => known.1,
            (None, Some(signature)) if signature.inputs.iter().all(|input| input.optional) => match signature.outputs.first() {
                Some(output) => output.kind,
                None => return None,
            },
            (None, Some(_)) => {
                let message = format!("`{}` needs inputs of its own, so it can't be one", reader.unwrap_or_default());
                self.tell(Diagnostic::error("unknown-reader", callee.span.clone(), message).help("make it a step"));
                return None;
            }
            (None, None) => {
                let reader = reader.unwrap_or_default();
                let names = self.catalogue.readers.iter().map(|known| known.0);
                let near = nearest(&reader, names.clone()).map(|near| format!("did you mean `{near}`?"));
                let list = names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                let message = format!("there is no reader `{reader}`; there are {list}");
                self.tell(Diagnostic::error("unknown-reader", callee.span.clone(), message).help_if(near));
                return None;
            }
        };
        let (mut positional, mut named, mut wanted) = (Vec::new(), BTreeMap::new(), true);
        for argument in arguments {
            let value = match evaluate(&argument.value, &self.pipeline.scope()) {
                Ok(value) => value,
                Err(diagnostic) => {
                    self.tell(diagnostic);
                    return None;
                }
            };
            match &argument.name {
                Some(key) if key.text == "when" => match value {
                    Value::Bool(truth) => wanted = truth,
                    other => {
                        let message = format!("`when` needs true or false, this is {}", other.describe());
                        self.tell(Diagnostic::error("wrong-value", argument.value.span.clone(), message));
                    }
                },
                // Every entity is a name that may be asked for; which there are is for the tree to say.
                Some(key) if reader.as_deref() == Some(BIDS) => match wanted_of(&value) {
                    Some(text) => {
                        named.insert(key.text.clone(), Value::Text(text));
                    }
                    None => {
                        let message = format!("an entity needs a text, a number, a list of them, or `all`; this is {}", value.describe());
                        self.tell(Diagnostic::error("wrong-value", argument.value.span.clone(), message));
                    }
                },
                Some(key) if key.text == "digest" && stage.is_none() => match value {
                    Value::Text(_) => {
                        named.insert(key.text.clone(), value);
                    }
                    other => {
                        let message = format!("`digest` needs a text such as `\"sha256:…\"`, this is {}", other.describe());
                        self.tell(Diagnostic::error("wrong-value", argument.value.span.clone(), message));
                    }
                },
                Some(key) => {
                    if let Some(signature) = &stage {
                        self.param_value(signature, key, &value, &argument.value);
                    } else {
                        let message = format!("the reader has no option `{}`; it has `when` and `digest`", key.text);
                        self.tell(Diagnostic::error("unknown-parameter", key.span.clone(), message));
                    }
                    named.insert(key.text.clone(), value);
                }
                None => positional.push(value),
            }
        }
        let is_stage = stage.is_some() && known.is_none();
        if !is_stage && !matches!(positional.as_slice(), [Value::Text(_)]) {
            let message = "a reader takes one text: a path, or the name of a data set";
            self.tell(Diagnostic::error("wrong-value", expr.span.clone(), message));
        }
        let reader = reader.unwrap_or_default();
        let given = match positional.as_slice() {
            // Each recording with what the tree says of it.
            _ if reader == BIDS => Given { kind, members: Kind::Dir },
            [Value::Text(path)] if !is_stage && reader != DATASET && is_pattern(path) => {
                if kind == Kind::Dir {
                    let message = format!("`{reader}` gives several things of each file, so it reads one file and no pattern");
                    self.tell(Diagnostic::error("wrong-value", expr.span.clone(), message).help("name one file"));
                }
                Given { kind: Kind::Dir, members: kind }
            }
            _ => Given { kind, members: Kind::File },
        };
        Some((Alternative { reader, is_stage, arguments: positional, named, wanted, span: expr.span.clone() }, given))
    }
}
