//! The form in which a client asks its person, and the strict reading of what comes back.
//!
//! Three flat fields: the decision, without a default; a reason; and the proposal's name, to be echoed. What a client answers is not trusted: anything that is
//! not exactly a decision about exactly this proposal is not a yes, and the reason is told. Nothing secret is ever asked for.

use neuroflow_agent::{Level, Person, ProposalId};
use rmcp::model::{ElicitRequestParams, ElicitationSchema, EnumSchema, PrimitiveSchemaDefinition};
use serde_json::Value;

/// The longest reason that is kept, in characters.
const LONGEST_REASON: usize = 2000;

/// What a person said in a client's form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Yes.
    Approve,
    /// No, and why.
    Reject(String),
    /// Not now.
    Later,
}

/// The form for a proposal; `card` is what the person reads above it.
///
/// # Errors
/// When the SDK does not take the schema, in words.
pub(crate) fn form(id: &ProposalId, card: &str) -> Result<ElicitRequestParams, String> {
    let words = ["approve", "reject", "later"].map(str::to_owned).to_vec();
    let decision = EnumSchema::builder(words)
        .untitled()
        .description("approve: the files are changed as shown, and nothing runs. reject: the proposal is closed. later: it waits")
        .build();
    let schema = ElicitationSchema::builder()
        .required_property("decision", PrimitiveSchemaDefinition::Enum(decision))
        .string_property("reason", |field| field.description("why, in a sentence; kept with a no").max_length(LONGEST_REASON as u32))
        .required_string_property("proposal", |field| {
            field.description(format!("the proposal's name as it stands on the card, {}, for a yes", id.short()))
        })
        .build()?;
    let message = format!("{card}\nA yes changes the files as shown; nothing is run.");
    Ok(ElicitRequestParams::FormElicitationParams { meta: None, message, requested_schema: schema })
}

/// What a reply says about a proposal.
///
/// # Errors
/// When it is anything but a decision about this proposal: then nothing is approved, and this is why.
pub(crate) fn read(reply: &Value, id: &ProposalId) -> Result<Decision, String> {
    let Some(reply) = reply.as_object() else { return Err("the client's answer is no object".into()) };
    match reply.get("action") {
        Some(Value::String(action)) => match action.as_str() {
            "accept" => {}
            "decline" => return Err("the person declined to answer".into()),
            "cancel" => return Err("the form was closed without an answer".into()),
            other => {
                return Err(format!(
                    "the client's answer has the action `{}`; `accept` is expected",
                    neuroflow_agent::escape_line(&cut(other, 40))
                ));
            }
        },
        Some(_) => return Err("the client's answer has an `action` that is no text".into()),
        None => return Err("the client's answer has no `action`".into()),
    }
    let content = match reply.get("content") {
        Some(Value::Object(content)) => content,
        Some(_) => return Err("the client's answer has a `content` that is no object".into()),
        None => return Err("the client's answer has no `content`".into()),
    };
    if let Some(strange) = content.keys().find(|key| !["decision", "reason", "proposal"].contains(&key.as_str())) {
        return Err(format!("the form has no field `{}`", neuroflow_agent::escape_line(&cut(strange, 40))));
    }
    let reason = match content.get("reason") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(reason)) => cut(reason, LONGEST_REASON),
        Some(_) => return Err("`reason` is no text".into()),
    };
    let Some(decision) = content.get("decision") else { return Err("there is no `decision` in the answer".into()) };
    let decision = match decision.as_str() {
        Some("approve") => Decision::Approve,
        Some("reject") => Decision::Reject(reason),
        Some("later") => return Ok(Decision::Later),
        _ => return Err("`decision` is none of approve, reject and later".into()),
    };
    match content.get("proposal") {
        Some(Value::String(echoed)) if echoed == id.short() => Ok(decision),
        Some(Value::String(_)) => Err(format!("the answer names another proposal than {}", id.short())),
        _ => Err("the answer does not name the proposal".into()),
    }
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// A person behind a client: the client says that they answered, and nobody can check it.
pub(crate) struct Elicited {
    /// Who is thought to sit there, and through what.
    pub(crate) name: String,
    /// What they echoed.
    pub(crate) echoed: String,
}

impl Person for Elicited {
    fn level(&self) -> Level {
        Level::Client
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn confirm(&mut self, _proposal: &ProposalId) -> Option<String> {
        Some(self.echoed.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn id() -> ProposalId {
        ProposalId::parse(&format!("p-{}", "0123456789abcdef".repeat(4))).unwrap()
    }

    #[test]
    fn a_yes_is_one_shape_only() {
        let yes = json!({"action": "accept", "content": {"decision": "approve", "proposal": "p-01234567"}});
        assert_eq!(read(&yes, &id()), Ok(Decision::Approve));
        let with_reason =
            json!({"action": "accept", "content": {"decision": "approve", "reason": "fits", "proposal": "p-01234567"}, "_meta": {}});
        assert_eq!(read(&with_reason, &id()), Ok(Decision::Approve));
        let no = json!({"action": "accept", "content": {"decision": "reject", "reason": "why ten?", "proposal": "p-01234567"}});
        assert_eq!(read(&no, &id()), Ok(Decision::Reject("why ten?".into())));
        let later = json!({"action": "accept", "content": {"decision": "later"}});
        assert_eq!(read(&later, &id()), Ok(Decision::Later));
    }

    #[test]
    fn whatever_else_comes_is_no_yes_and_says_why() {
        let content = json!({"decision": "approve", "proposal": "p-01234567"});
        for (reply, word) in [
            (json!("accept"), "no object"),
            (json!(null), "no object"),
            (json!(["accept"]), "no object"),
            (json!({}), "no `action`"),
            (json!({"decision": "approve", "proposal": "p-01234567"}), "no `action`"),
            (json!({"decision": "approved"}), "no `action`"),
            (json!({"action": true, "content": content}), "no text"),
            (json!({"action": "approved", "content": content}), "`approved`"),
            (json!({"action": "Accept", "content": content}), "`Accept`"),
            (json!({"action": "decline", "content": content}), "declined"),
            (json!({"action": "cancel"}), "closed"),
            (json!({"action": "accept"}), "no `content`"),
            (json!({"action": "accept", "content": null}), "no object"),
            (json!({"action": "accept", "content": "approve"}), "no object"),
            (json!({"action": "accept", "content": [content]}), "no object"),
            (json!({"action": "accept", "content": {}}), "no `decision`"),
            (json!({"action": "accept", "content": {"decision": true, "proposal": "p-01234567"}}), "none of"),
            (json!({"action": "accept", "content": {"decision": "yes", "proposal": "p-01234567"}}), "none of"),
            (json!({"action": "accept", "content": {"decision": "APPROVE", "proposal": "p-01234567"}}), "none of"),
            (json!({"action": "accept", "content": {"decision": ["approve"], "proposal": "p-01234567"}}), "none of"),
            (json!({"action": "accept", "content": {"decision": "approve"}}), "does not name"),
            (json!({"action": "accept", "content": {"decision": "approve", "proposal": 1}}), "does not name"),
            (json!({"action": "accept", "content": {"decision": "approve", "proposal": "p-0123456"}}), "another proposal"),
            (json!({"action": "accept", "content": {"decision": "approve", "proposal": "p-012345678"}}), "another proposal"),
            (json!({"action": "accept", "content": {"decision": "approve", "proposal": "p-76543210"}}), "another proposal"),
            (json!({"action": "accept", "content": {"decision": "reject", "proposal": "p-76543210"}}), "another proposal"),
            (json!({"action": "accept", "content": {"decision": "approve", "reason": 3, "proposal": "p-01234567"}}), "no text"),
            (json!({"action": "accept", "content": {"decision": "approve", "proposal": "p-01234567", "confirm": true}}), "no field"),
        ] {
            let told = read(&reply, &id()).unwrap_err();
            assert!(told.contains(word), "{reply}: {told}");
        }
    }

    #[test]
    fn the_form_is_flat_and_has_no_default() {
        let form = serde_json::to_value(form(&id(), "the card").unwrap()).unwrap();
        let fields = &form["requestedSchema"]["properties"];
        assert_eq!(fields["decision"]["enum"], json!(["approve", "reject", "later"]));
        assert!(fields.as_object().unwrap().values().all(|field| field.get("default").is_none() && field["type"] == "string"));
        assert_eq!(form["requestedSchema"]["required"], json!(["decision", "proposal"]));
        assert!(form["message"].as_str().unwrap().starts_with("the card"));
    }

    /// Any JSON of a small depth, with the words of the form in it more often than chance.
    fn any_json() -> impl Strategy<Value = Value> {
        let word =
            prop::sample::select(vec!["accept", "approve", "reject", "later", "p-01234567", "action", "content", "decision", "proposal"]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            word.clone().prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::vec((word.clone(), inner), 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn only_the_one_shape_is_ever_a_yes(reply in any_json()) {
            let is_yes = reply["action"] == "accept" && reply["content"]["decision"] == "approve" && reply["content"]["proposal"] == "p-01234567";
            let read = read(&reply, &id());
            prop_assert!(read != Ok(Decision::Approve) || is_yes, "{reply}");
        }
    }
}
