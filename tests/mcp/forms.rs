//! What comes back from a form is not trusted: malformed answers, changed or repeated states, silence.

use super::*;
use rmcp::model::{CallToolResponse, InputRequest};
use std::io::{BufRead, BufReader, Write};
use std::process::Command;

/// Replies to a form that are no yes, each with a word of the reason that is told.
fn malformed(id: &str) -> Vec<(Value, &'static str)> {
    let content = json!({ "decision": "approve", "proposal": id });
    vec![
        (json!({}), "no `action`"),
        (json!({ "decision": "approve", "proposal": id }), "no `action`"),
        (json!({ "decision": "approved" }), "no `action`"),
        (json!({ "action": "approved", "content": content }), "`approved`"),
        (json!({ "action": true, "content": content }), "no text"),
        (json!({ "action": "accept" }), "no `content`"),
        (json!({ "action": "accept", "content": "approve" }), "no object"),
        (json!({ "action": "accept", "content": {} }), "no `decision`"),
        (json!({ "action": "accept", "content": { "decision": true, "proposal": id } }), "none of"),
        (json!({ "action": "accept", "content": { "decision": "approve" } }), "does not name"),
        (json!({ "action": "accept", "content": { "decision": "approve", "proposal": "p-00000000" } }), "another proposal"),
        (json!({ "action": "accept", "content": { "decision": "approve", "proposal": id, "confirm": true } }), "no field"),
        (json!("accept"), "no object"),
        (json!(null), "no object"),
    ]
}

#[tokio::test]
async fn malformed_answers_of_a_round_are_no_yes_and_a_state_counts_once() {
    let place = project(LEFT_TO_CLIENTS);
    let before = outside(&place);
    let client = Client::liar().connect(&place, true).await;
    let count = malformed("p-00000000").len();
    for at in 0..count {
        let call = request("propose_edit", cheap(&format!("step_{at}")));
        let CallToolResponse::InputRequired(required) = client.service.call_tool_once(call.clone()).await.unwrap() else {
            panic!("a form is asked for")
        };
        let (key, InputRequest::Elicitation(form)) = required.input_requests.unwrap().into_iter().next().unwrap() else {
            panic!("one form")
        };
        let (reply, word) = malformed(&named(&form.params)).swap_remove(at);
        let answer = |state: &str, reply: Value| {
            let mut again = call.clone();
            again.request_state = Some(state.to_owned());
            again.input_responses = Some([(key.clone(), reply)].into());
            again
        };
        let told = |response: CallToolResponse| match response {
            CallToolResponse::Complete(result) => result.structured_content.unwrap(),
            other => panic!("{other:?}"),
        };
        let state = required.request_state.unwrap();
        let yes = json!({ "action": "accept", "content": { "decision": "approve", "proposal": named(&form.params) } });

        // With other arguments, with a changed state, or without one, nothing is even read.
        let mut other = answer(&state, yes.clone());
        other.arguments.as_mut().unwrap().insert("call".into(), "ingest.tuning(responses, by = \"other\")".into());
        assert!(told(client.service.call_tool_once(other).await.unwrap())["error"].as_str().unwrap().contains("integrity"));
        let mut changed = state.clone().into_bytes();
        let last = changed.len() - 1;
        changed[last] = if changed[last] == b'A' { b'B' } else { b'A' };
        assert!(
            told(client.service.call_tool_once(answer(&String::from_utf8(changed).unwrap(), yes.clone())).await.unwrap())["error"]
                .is_string()
        );
        let mut stateless = answer(&state, yes.clone());
        stateless.request_state = None;
        assert!(told(client.service.call_tool_once(stateless).await.unwrap())["error"].as_str().unwrap().contains("without the state"));

        let answered = told(client.service.call_tool_once(answer(&state, reply.clone())).await.unwrap());
        assert_eq!(answered["status"], "awaiting_human", "{reply}: {answered}");
        assert!(answered["not_approved"].as_str().unwrap().contains(word), "{reply}: {answered}");
        // The state is used up, also for a true yes.
        let again = told(client.service.call_tool_once(answer(&state, yes)).await.unwrap());
        assert!(again["error"].as_str().unwrap().contains("used before"), "{again}");
    }
    client.goes().await;
    nothing_changed(&place, &before);
}

#[tokio::test]
async fn a_state_is_no_good_for_another_client_another_server_or_after_its_time() {
    let place = project(LEFT_TO_CLIENTS);
    let before = outside(&place);
    let client = Client::liar().connect_with(&place, true, &["mcp", "--wait", "1"]).await;
    let call = request("propose_edit", cheap("twice"));
    let ask = async |client: &Connected| {
        let CallToolResponse::InputRequired(required) = client.service.call_tool_once(call.clone()).await.unwrap() else {
            panic!("a form is asked for")
        };
        let (key, InputRequest::Elicitation(form)) = required.input_requests.unwrap().into_iter().next().unwrap() else {
            panic!("one form")
        };
        let yes = json!({ "action": "accept", "content": { "decision": "approve", "proposal": named(&form.params) } });
        let mut again = call.clone();
        again.request_state = required.request_state;
        again.input_responses = Some([(key, yes)].into());
        again
    };
    let error = async |client: &Connected, request: CallToolRequestParams| match client.service.call_tool_once(request).await.unwrap() {
        CallToolResponse::Complete(result) => result.structured_content.unwrap()["error"].as_str().unwrap().to_owned(),
        other => panic!("{other:?}"),
    };
    let answer = ask(&client).await;
    let other = Client { name: "other", ..Client::liar() }.connect(&place, true).await;
    assert!(error(&other, answer.clone()).await.contains("integrity"), "another server has another key");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(error(&client, answer).await.contains("expired"));
    client.goes().await;
    other.goes().await;
    nothing_changed(&place, &before);
}

/// A client of an older protocol, by hand.
struct Pipes {
    server: Server,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    number: u64,
}

impl Pipes {
    fn start(mut command: Command, capabilities: Value) -> Pipes {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut pipes = Pipes { server: Server(child), lines, number: 0 };
        let hello =
            json!({ "protocolVersion": "2025-06-18", "capabilities": capabilities, "clientInfo": { "name": "by hand", "version": "1" } });
        pipes.ask("initialize", hello);
        assert!(pipes.next()["result"]["serverInfo"]["name"] == "neuroflow");
        pipes.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        pipes
    }

    fn say(&mut self, message: &Value) {
        writeln!(self.server.0.stdin.as_mut().unwrap(), "{message}").unwrap();
    }

    fn ask(&mut self, method: &str, params: Value) -> u64 {
        self.number += 1;
        self.say(&json!({ "jsonrpc": "2.0", "id": self.number, "method": method, "params": params }));
        self.number
    }

    fn next(&mut self) -> Value {
        let line = self.lines.next().unwrap().unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("only messages stand on standard output: {line}"))
    }

    /// Proposes, answers the form with a whole message made from its id, and gives what the call told.
    fn propose(&mut self, name: &str, answer: impl FnOnce(&Value, &str) -> Option<Value>) -> Value {
        let call = self.ask("tools/call", json!({ "name": "propose_edit", "arguments": cheap(name) }));
        let form = loop {
            // That an earlier form was given up may be told only now.
            let message = self.next();
            if message["method"] != "notifications/cancelled" {
                break message;
            }
        };
        assert_eq!(form["method"], "elicitation/create", "{form}");
        let text = form["params"]["message"].as_str().unwrap();
        let at = text.find("p-").unwrap();
        if let Some(message) = answer(&form["id"], &text[at..at + 10]) {
            self.say(&message);
        }
        loop {
            let message = self.next();
            if message["id"] == call && message.get("method").is_none() {
                return message["result"]["structuredContent"].clone();
            }
        }
    }
}

#[test]
fn malformed_answers_of_older_clients_are_no_yes_and_silence_ends() {
    let place = project(LEFT_TO_CLIENTS);
    let before = outside(&place);
    let mut command = place.command();
    command.args(["mcp", "--wait", "2"]);
    let mut pipes = Pipes::start(command, json!({ "elicitation": {} }));
    for at in 0..malformed("p-00000000").len() {
        let told = pipes.propose(&format!("step_{at}"), |form, id| {
            Some(json!({ "jsonrpc": "2.0", "id": form, "result": malformed(id).swap_remove(at).0 }))
        });
        let reply = malformed("p-00000000").swap_remove(at).0;
        assert_eq!(told["status"], "awaiting_human", "{reply}: {told}");
        assert!(told["not_approved"].is_string(), "{reply}: {told}");
    }
    let error = json!({ "code": -32601, "message": "\u{202e}no forms here" });
    let told = pipes.propose("refusing", |form, _| Some(json!({ "jsonrpc": "2.0", "id": form, "error": error })));
    assert!(told["not_approved"].as_str().unwrap().contains("could not ask"), "{told}");
    assert!(!told.to_string().contains('\u{202e}'), "{told}");
    let began = Instant::now();
    let told = pipes.propose("silent", |_, _| None);
    assert!(told["not_approved"].as_str().unwrap().contains("in time"), "{told}");
    assert!(began.elapsed() < Duration::from_secs(30));
    // A yes that comes too late is an answer to nothing.
    pipes.say(&json!({ "jsonrpc": "2.0", "id": 999, "result": { "action": "accept", "content": { "decision": "approve", "proposal": "p-00000000" } } }));
    nothing_changed(&place, &before);
    // And it still is a server.
    let told = pipes.propose("at_last", |form, id| {
        Some(
            json!({ "jsonrpc": "2.0", "id": form, "result": { "action": "accept", "content": { "decision": "approve", "proposal": id } } }),
        )
    });
    assert_eq!(told["status"], "applied", "{told}");
}

#[test]
fn forms_come_to_an_end() {
    let place = project(LEFT_TO_CLIENTS);
    let mut command = place.command();
    command.args(["mcp"]);
    let mut pipes = Pipes::start(command, json!({ "elicitation": { "form": {} } }));
    for round in 0..25 {
        pipes.propose(&format!("step_{round}"), |form, _| Some(json!({ "jsonrpc": "2.0", "id": form, "result": { "action": "cancel" } })));
    }
    let call = pipes.ask("tools/call", json!({ "name": "propose_edit", "arguments": cheap("one_more") }));
    let answer = pipes.next();
    assert_eq!(answer["id"], call, "no further form: {answer}");
    assert_eq!(answer["result"]["structuredContent"]["status"], "awaiting_human");
}
