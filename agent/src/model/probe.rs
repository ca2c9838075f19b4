//! Finding out which way of structured answers works with an endpoint, for `neuroflow agent doctor`.

use super::error::ModelError;
use super::reply::Usage;
use super::request::{Message, Request, Tool, ToolChoice};
use super::schema::{Field, FieldKind, Schema};
use super::structured::{Structured, Way};
use super::{Model, excerpt};
use crate::budget::{Budget, Exhausted};
use std::time::Duration;

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

/// Why it was not found out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// The endpoint can't be asked at all.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The budget is used up. Nothing was sent.
    #[error(transparent)]
    Budget(#[from] Exhausted),
}

/// Asks a model for one small call in each way, the best first, until one obeys. Takes up to three short questions.
///
/// # Errors
/// When the endpoint can't be asked at all: nothing answers, or it is offline, busy, or sends elsewhere.
pub async fn probe(model: &dyn Model) -> Result<Probe, ModelError> {
    let question = question()?;
    let mut trials = Vec::new();
    for way in Way::ALL {
        let (trial, _) = tried(model, way, &question).await?;
        trials.push((way, trial));
        if trials.last().is_some_and(|(_, trial)| *trial == Trial::Works { obeyed: true }) {
            break;
        }
    }
    Ok(Probe { trials })
}

/// The same within a budget: each question is set aside before it is sent, and its tokens and dollars are counted. It is no turn of the person's, and is not sent
/// either when none is left.
///
/// # Errors
/// As [`probe`], and when the budget is used up.
pub async fn probe_within(model: &dyn Model, budget: &mut Budget) -> Result<Probe, ProbeError> {
    let question = question()?;
    let mut trials = Vec::new();
    for way in Way::ALL {
        let day = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
        let reservation = budget.reserve_aside(&question, Duration::ZERO, &day)?;
        let (trial, usage) = match tried(model, way, &question).await {
            Ok(tried) => tried,
            Err(error) => {
                budget.failed(reservation, None);
                return Err(error.into());
            }
        };
        match usage {
            // What is nearly used up is said when the person asks something.
            Some(usage) => drop(budget.settle(reservation, &usage, Duration::ZERO)),
            None => budget.failed(reservation, None),
        }
        trials.push((way, trial));
        if trials.last().is_some_and(|(_, trial)| *trial == Trial::Works { obeyed: true }) {
            break;
        }
    }
    Ok(Probe { trials })
}

/// What comes of one way, and what an answer took.
async fn tried(model: &dyn Model, way: Way, question: &Request) -> Result<(Trial, Option<Usage>), ModelError> {
    let reply = match Structured::new(model, way).reply(question, &mut |_| {}).await {
        Ok(reply) => reply,
        Err(
            error @ (ModelError::Unreachable { .. }
            | ModelError::Offline { .. }
            | ModelError::Busy { .. }
            | ModelError::Redirect { .. }
            | ModelError::Leak(_)
            | ModelError::Endpoint { .. }
            | ModelError::Refused { status: 401 | 403 | 404, .. }),
        ) => return Err(error),
        Err(error) => return Ok((Trial::Refused(error), None)),
    };
    let trial = match (reply.calls.first(), question.tools.first()) {
        (Some(call), Some(tool)) if call.name == tool.name => match tool.schema.check(&call.arguments) {
            Err(problems) => Trial::Fails(problems.join("; ")),
            Ok(fields) => Trial::Works { obeyed: fields["word"] == "seven" && fields["number"].as_f64() == Some(7.0) },
        },
        (Some(call), _) => Trial::Fails(format!("a call of `{}`", excerpt(call.name.as_bytes(), 40))),
        (None, _) => Trial::Fails(format!("no call, but words: {}", excerpt(reply.text.as_bytes(), 80))),
    };
    Ok((trial, Some(reply.usage)))
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
    async fn a_probe_is_counted_and_not_sent_without_a_budget() {
        use crate::budget::{BudgetLimits, Price, Spent, SpentToday};
        let budget = |limits| Budget::new(limits, "m", Some(Price::FREE), Spent::default(), SpentToday::default());
        let model = Scripted::new(|request, _| Ok(Reply::calls(request, pick(json!({"word": "seven", "number": 7})))));
        let spent = [
            BudgetLimits { turns: Some(0), ..BudgetLimits::default() },
            BudgetLimits { tokens_per_session: Some(10), ..BudgetLimits::default() },
        ];
        for limits in spent {
            assert!(matches!(probe_within(&model, &mut budget(limits)).await, Err(ProbeError::Budget(_))));
        }
        assert_eq!(model.asked().len(), 0);
        let mut open = budget(BudgetLimits { turns: Some(1), ..BudgetLimits::default() });
        assert_eq!(probe_within(&model, &mut open).await.unwrap().way(), Some(Way::Tools));
        assert!(open.spent().tokens > 0 && open.spent().turns == 0, "{:?}", open.spent());
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
