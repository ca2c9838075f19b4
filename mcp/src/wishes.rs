//! `proposal_status` and `request_run`: where things stand, and a wish that a person answers.

use crate::clients::Client;
use crate::offer::at_a_terminal;
use crate::server::Server;
use neuroflow_agent::{Entry, Event, Ledger, State, escape_line};
use serde_json::{Value, json};

/// The longest reason for a wish, in characters.
const LONGEST: usize = 500;

/// The most wishes that this server notes; more are answered, and not noted.
const MOST_WISHES: usize = 50;

impl Server {
    /// Where a proposal stands.
    pub(crate) async fn status(&self, beginning: &str) -> Value {
        const SHORTEST: usize = 6;
        let told = |error: &dyn std::fmt::Display| json!({ "error": error.to_string() });
        if beginning.len() < SHORTEST {
            return told(&"give the proposal's id, such as p-0123abcd");
        }
        let gate = self.gate();
        let statuses = match gate.statuses() {
            Ok(statuses) => statuses,
            Err(error) => return told(&error),
        };
        let mut fitting = statuses.into_iter().filter(|status| status.id.as_str().starts_with(beginning));
        let status = match (fitting.next(), fitting.next()) {
            (Some(status), None) => status,
            (Some(_), Some(_)) => return told(&format!("more than one proposal begins with `{}`", escape_line(beginning))),
            (None, _) => return told(&format!("no proposal `{}` was offered here", escape_line(beginning))),
        };
        let mut content = json!({ "proposal": status.id.short(), "status": status.state.word(), "since": status.at });
        if !status.reason.is_empty() {
            content["reason"] = escape_line(&status.reason).into();
        }
        if status.state == State::Offered {
            content["status"] = "awaiting_human".into();
            match neuroflow_agent::moved(gate.project(), &status.id).await {
                Ok(None) => content["next"] = at_a_terminal(&status.id).into(),
                Ok(Some(moved)) => {
                    content["status"] = "stale".into();
                    content["reason"] = escape_line(&moved).into();
                    content["next"] = "propose again from what is there now".into();
                }
                Err(error) => content["reason"] = escape_line(&error).into(),
            }
        }
        content
    }

    /// Notes that somebody would like a run, and says what a person types for it.
    pub(crate) async fn wish(&self, client: &Client, why: &str) -> Value {
        let why: String = why.chars().take(LONGEST).collect();
        let (plan, _) = self.at_the_desk(client, "plan", &json!({})).await;
        if plan.get("error").is_some() {
            return plan;
        }
        let gate = self.gate();
        let pipeline = self.pipeline();
        let actor = client.origin.to_string();
        // The same wish twice in a row is one wish.
        let last = Ledger::read(&gate.store().ledger()).ok().and_then(|mut entries| entries.pop());
        let is_known = last.is_some_and(|last| last.event == Event::Wished && last.actor == actor && last.reason == escape_line(&why));
        if !is_known && self.count_wish() <= MOST_WISHES {
            let mut entry = Entry::now(Event::Wished, None, &actor);
            entry.reason = escape_line(&why);
            entry.detail = json!({ "run": pipeline });
            if let Err(error) = gate.note(entry) {
                return json!({ "error": error.to_string() });
            }
        }
        json!({
            "status": "awaiting_human",
            "next": "a person runs it in their own terminal; nothing is run from here",
            "type": format!("neuroflow run {}", shell(pipeline)),
            "tasks": plan["tasks"],
            "would_run": plan["would_run"],
            "cost": plan["cost"],
        })
    }
}

/// A path as a person types it into a shell.
fn shell(path: &str) -> String {
    let is_plain = path.chars().all(|letter| letter.is_ascii_alphanumeric() || "/._-".contains(letter));
    if is_plain { path.to_owned() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_command_is_what_a_shell_takes() {
        assert_eq!(super::shell("pipelines/mouse_v1.nf"), "pipelines/mouse_v1.nf");
        assert_eq!(super::shell("my file's; rm.nf"), "'my file'\\''s; rm.nf'");
    }
}
