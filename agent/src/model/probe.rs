//! Finding out which way of structured answers works with an endpoint, for `neuroflow agent doctor`.

use super::error::ModelError;
use super::request::{Message, Request, Tool, ToolChoice};
use super::schema::{Field, FieldKind, Schema};
use super::structured::{Structured, Way};
use super::{Model, excerpt};

/// What became of one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// The call was of the schema; `obeyed` when its values were those asked for, too.
    Works {
        /// Whether the values were right.
        obeyed: bool,
    },
    /// An answer came, but not this call; in words.
    Fails(String),
    /// The endpoint refused to be asked so.
    Refused(ModelError),
}

/// What was found out about an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Each way that was tried, in order.
    pub trials: Vec<(Way, Trial)>,
}

impl Probe {
    /// The way to use: the first that obeyed, else the first that gave a call of the schema, else none.
    #[must_use]
    pub fn way(&self) -> Option<Way> {
        let first = |fits: fn(&Trial) -> bool| self.trials.iter().find(|(_, trial)| fits(trial)).map(|(way, _)| *way);
        first(|trial| *trial == Trial::Works { obeyed: true }).or_else(|| first(|trial| matches!(trial, Trial::Works { .. })))
    }
}

/// Asks a model for one small call in each way, the best first, until one obeys. Takes up to three short questions.
///
/// # Errors
/// When the endpoint can't be asked at all: nothing answers, or it is offline, busy, or sends elsewhere.
pub async fn probe(model: &dyn Model) -> Result<Probe, ModelError> {
    let question = question()?;
    let schema = &question.tools[0].schema;
    let mut trials = Vec::new();
    for way in Way::ALL {
        let trial = match Structured::new(model, way).reply(&question, &mut |_| {}).await {
            Ok(reply) => match reply.calls.first() {
                None => Trial::Fails(format!("no call, but words: {}", excerpt(reply.text.as_bytes(), 80))),
                Some(call) if call.name != "pick" => Trial::Fails(format!("a call of `{}`", excerpt(call.name.as_bytes(), 40))),
                Some(call) => match schema.check(&call.arguments) {
                    Err(problems) => Trial::Fails(problems.join("; ")),
                    Ok(fields) => Trial::Works { obeyed: fields["word"] == "seven" && fields["number"].as_f64() == Some(7.0) },
                },
            },
            Err(
                error @ (ModelError::Unreachable { .. }
                | ModelError::Offline { .. }
                | ModelError::Busy { .. }
                | ModelError::Redirect { .. }
                | ModelError::Leak(_)
                | ModelError::Endpoint { .. }
                | ModelError::Refused { status: 401 | 403 | 404, .. }),
            ) => return Err(error),
            Err(error) => Trial::Refused(error),
        };
        let obeyed = trial == Trial::Works { obeyed: true };
        trials.push((way, trial));
        if obeyed {
            break;
        }
    }
    Ok(Probe { trials })
}

fn question() -> Result<Request, ModelError> {
    let words = ["five", "six", "seven"].map(str::to_owned).to_vec();
    let fields = vec![Field::new("word", FieldKind::Word(words), "the word"), Field::new("number", FieldKind::Integer, "the number")];
    let schema = Schema::new(fields).map_err(|error| ModelError::Tools(error.to_string()))?;
    let tool = Tool { name: "pick".into(), description: "Picks a word and a number.".into(), schema };
    let messages = vec![Message::user("Use the tool `pick` with the word `seven` and the number 7.")];
    Ok(Request::new(messages, 128).with_tools(vec![tool], ToolChoice::Required))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Format, Reply, Scripted, ToolCall};
    use serde_json::json;

    fn pick(arguments: serde_json::Value) -> Vec<ToolCall> {
        vec![ToolCall { id: "1".into(), name: "pick".into(), arguments }]
    }

    #[tokio::test]
    async fn native_tools_that_obey_end_the_probe() {
        let model = Scripted::new(|request, _| Ok(Reply::calls(request, pick(json!({"word": "seven", "number": 7})))));
        let probe = probe(&model).await.unwrap();
        assert_eq!((probe.way(), probe.trials.len(), model.asked().len()), (Some(Way::Tools), 1, 1));
    }

    #[tokio::test]
    async fn a_model_without_tools_is_held_to_a_schema_or_asked_in_words() {
        for (able, expected) in [(Way::Object, Way::Object), (Way::Words, Way::Words)] {
            let model = Scripted::new(move |request, _| {
                let has_schema = matches!(request.format, Format::Object { .. });
                let obeys = if able == Way::Object { has_schema } else { request.tools.is_empty() && !has_schema };
                Ok(Reply::text(request, if obeys { r#"{"tool": "pick", "word": "seven", "number": 7}"# } else { "Sure! I'd love to." }))
            });
            assert_eq!(probe(&model).await.unwrap().way(), Some(expected));
        }
    }

    #[tokio::test]
    async fn a_call_with_wrong_values_is_better_than_none_and_worse_than_a_right_one() {
        let fool = Scripted::new(|request, number| {
            Ok(match number {
                0 => Reply::calls(request, pick(json!({"word": "five", "number": 5}))),
                _ => Reply::text(request, "no"),
            })
        });
        let found = probe(&fool).await.unwrap();
        assert_eq!((found.way(), found.trials.len()), (Some(Way::Tools), 3));
        let better = Scripted::new(|request, number| {
            Ok(match number {
                0 => Reply::calls(request, pick(json!({"word": "five", "number": 5}))),
                _ => Reply::text(request, r#"{"tool": "pick", "word": "seven", "number": 7}"#),
            })
        });
        assert_eq!(probe(&better).await.unwrap().way(), Some(Way::Object));
    }

    #[tokio::test]
    async fn a_way_that_is_refused_leaves_the_others_and_an_endpoint_that_is_not_there_ends_it() {
        let model = Scripted::new(|request, number| match number {
            0 => Err(ModelError::Refused { status: 400, message: "this model does not support tools".into() }),
            _ => Ok(Reply::text(request, r#"{"tool": "pick", "word": "seven", "number": 7}"#)),
        });
        assert_eq!(probe(&model).await.unwrap().way(), Some(Way::Object));
        let gone = ModelError::Unreachable { host: "127.0.0.1:1".into(), tries: 4, reason: "refused".into() };
        let expected = gone.clone();
        assert_eq!(probe(&Scripted::new(move |_, _| Err(gone.clone()))).await, Err(expected));
    }

    #[tokio::test]
    async fn a_model_that_only_talks_has_no_way() {
        let probe = probe(&Scripted::new(|request, _| Ok(Reply::text(request, "hello")))).await.unwrap();
        assert_eq!((probe.way(), probe.trials.len()), (None, 3));
    }
}
