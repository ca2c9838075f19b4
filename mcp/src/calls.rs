//! The tools: the agent's read tools, the desk's ways to offer something, and two of the server's own. The list is the same for every connection.

use crate::clients::Client;
use crate::server::Server;
use neuroflow_agent::Desk;
use neuroflow_agent::model::{Field, FieldKind, Tool};
use neuroflow_agent::tools::described;
use rmcp::model::{CallToolResult, ContentBlock, ToolAnnotations};
use serde_json::{Value, json};

/// A tool that says where a proposal stands.
pub(crate) const STATUS: &str = "proposal_status";

/// A tool that notes the wish for a run.
pub(crate) const RUN: &str = "request_run";

/// All tools, in an order that never changes.
pub(crate) fn all() -> Vec<Tool> {
    // A client has a conversation of its own with its person; a question goes there.
    let mut all: Vec<Tool> = Desk::tools().into_iter().filter(|tool| tool.name != "clarify").collect();
    all.push(described(
        STATUS,
        "Where a proposal stands (waiting, applied, rejected, withdrawn, stale), why, and what a person can do next. Ask again after a while: a person takes \
         their time.",
        vec![Field::new("proposal", FieldKind::String, "its id, or the beginning of it")],
    ));
    all.push(described(
        RUN,
        "Notes that you would like the pipeline to be run, and why. It runs nothing: it gives the command that the person types, with what would run and what \
         that costs. `list_runs` shows when it was done.",
        vec![Field::new("why", FieldKind::String, "what the run would answer, in one sentence")],
    ));
    all
}

/// What a tool does to its surroundings, said honestly. Nothing relies on it.
fn annotations(name: &str) -> ToolAnnotations {
    let hints = ToolAnnotations::new().open_world(false);
    match name {
        // A yes in the client's form, where the project allows that, changes the pipeline.
        "propose_edit" => hints.read_only(false).destructive(true).idempotent(false),
        "propose_knowledge" | RUN => hints.read_only(false).destructive(false).idempotent(false),
        "withdraw" => hints.read_only(false).destructive(false).idempotent(true),
        // A look at scores is counted in the ledger, and stands beside the score from then on.
        "results" | "diff_runs" | "try_step" => hints.read_only(false).destructive(false).idempotent(false),
        _ => hints.read_only(true),
    }
}

/// The tools as the protocol lists them.
pub(crate) fn listed() -> Vec<rmcp::model::Tool> {
    let listed = all().into_iter().map(|tool| {
        let schema = match tool.schema.as_json() {
            Value::Object(schema) => schema,
            _ => serde_json::Map::new(),
        };
        let mut listed = rmcp::model::Tool::new(tool.name.clone(), tool.description, schema);
        listed.annotations = Some(annotations(&tool.name));
        listed
    });
    listed.collect()
}

/// A tool's answer: JSON for the program, and, where there is one, a card for the person.
pub(crate) fn result(content: Value, card: Option<String>) -> CallToolResult {
    let is_error = content.get("error").is_some();
    let mut result = if is_error { CallToolResult::structured_error(content) } else { CallToolResult::structured(content) };
    result.content.extend(card.map(ContentBlock::text));
    result
}

impl Server {
    /// Answers a call of the desk's. Gives the answer, and a proposal that now waits.
    pub(crate) async fn at_the_desk(&self, client: &Client, name: &str, arguments: &Value) -> (Value, Option<neuroflow_agent::ProposalId>) {
        client.called(name, arguments);
        let mut desk = client.desk.lock().await;
        self.clients().before(&mut desk);
        if client.paused() {
            desk.person_spoke();
        }
        let handled = match desk.look(name, arguments) {
            // A look may take long, and others are answered meanwhile.
            Some(looking) => {
                drop(desk);
                let reply = looking.reply().await;
                desk = client.desk.lock().await;
                desk.looked(reply)
            }
            None => desk.call(name, arguments, &|| client.transcript()).await,
        };
        self.clients().after(&desk);
        client.answered(&handled.text);
        let content = serde_json::from_str(&handled.text).unwrap_or_else(|_| json!({ "text": handled.text }));
        (content, handled.offered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_the_contract_in_its_order() {
        let names: Vec<String> = listed().into_iter().map(|tool| tool.name.into_owned()).collect();
        let expected = [
            "summarize",
            "read_pipeline",
            "check",
            "plan",
            "list_stages",
            "stage_doc",
            "describe_data",
            "data_schema",
            "data_stats",
            "results",
            "list_runs",
            "diff_runs",
            "explain",
            "read_knowledge",
            "try_step",
            "propose_edit",
            "propose_knowledge",
            "withdraw",
            "proposal_status",
            "request_run",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn no_tool_can_say_yes_name_a_path_or_run_something() {
        for tool in listed() {
            let schema = serde_json::to_string(&tool.input_schema).unwrap();
            for word in ["\"approve\"", "\"confirm\"", "\"path\"", "\"url\"", "\"command\"", "\"file\"", "\"$ref\"", "\"pattern\""] {
                assert!(!schema.contains(word), "{}: {word}", tool.name);
            }
            let annotations = tool.annotations.unwrap();
            assert_eq!(annotations.open_world_hint, Some(false));
            let writes = ["results", "diff_runs", "try_step", "propose_edit", "propose_knowledge", "withdraw", "request_run"]
                .contains(&tool.name.as_ref());
            assert_eq!(annotations.read_only_hint, Some(!writes), "{}", tool.name);
        }
    }
}
