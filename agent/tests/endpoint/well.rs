//! Endpoints that do what they should, each in its own way.

use crate::{ask, client, come_of, endpoint, question};
use neuroflow_agent::model::{
    Field, FieldKind, Finish, Format, Message, Model, OpenAi, Schema, Structured, Tool, ToolCall, ToolChoice, Usage, Way, probe,
};
use neuroflow_agent::secret::{Scanner, Secret};
use neuroflow_model_server::{Answer, Call, Piece, Server};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn plan() -> Tool {
    let schema = Schema::new(vec![Field::new("step", FieldKind::String, "the step")]).unwrap();
    Tool { name: "plan".into(), description: "Plans a step.".into(), schema }
}

#[tokio::test]
async fn words_are_handed_on_as_they_come_and_given_whole() {
    let server = Server::list(vec![Answer::text("V1 has größere 🧠 responses.")]).unwrap();
    let (reply, shown) = ask(&client(&server), &question()).await;
    let reply = reply.unwrap();
    assert_eq!(reply.text, "V1 has größere 🧠 responses.");
    assert_eq!(shown, reply.text);
    assert_eq!((reply.finish, reply.usage), (Finish::Stop, Usage { prompt_tokens: 12, reply_tokens: 5, estimated: false }));
}

#[tokio::test]
async fn a_server_that_sends_no_stream_is_understood_too() {
    let document = json!({"choices": [{"message": {"content": "all at once"}}]});
    assert_eq!(come_of(Answer::Document(document.clone())).await.unwrap().text, "all at once");
    let pretty = serde_json::to_vec_pretty(&document).unwrap();
    let reply = come_of(Answer::Status { status: 200, headers: vec![], body: pretty }).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.finish), ("all at once", Finish::Unsaid));
    assert!(reply.usage.estimated);
}

/// From the server's hands to the screen, of thirty words one by one: half of them within 50 ms, on a machine that does other things too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_word_is_there_as_soon_as_it_has_arrived() {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let event = |word: &str| format!("data: {}\n\n", json!({"choices": [{"delta": {"content": word}}]})).into_bytes();
    let word = || [Piece::Pause(Duration::from_millis(15)), Piece::Note(sent.clone()), Piece::Bytes(event("word "))];
    let server = Server::list(vec![Answer::Stream((0..30).flat_map(|_| word()).collect())]).unwrap();
    let mut shown = Vec::new();
    client(&server).reply(&question(), &mut |_| shown.push(Instant::now())).await.unwrap();
    let sent = sent.lock().unwrap().clone();
    let mut late: Vec<Duration> = shown.iter().zip(&sent).map(|(shown, sent)| shown.duration_since(*sent)).collect();
    late.sort();
    eprintln!("from the server to the screen: median {:?}, latest {:?}", late[15], late[29]);
    assert_eq!((late.len(), sent.len()), (30, 30));
    assert!(late[15] < Duration::from_millis(50), "{late:?}");
}

#[tokio::test]
async fn what_goes_over_the_wire_is_chat_completions() {
    let server = Server::list(vec![Answer::calls(vec![Call::new("call_1", "plan", &json!({"step": "scene"}))])]).unwrap();
    let key = Secret::new("planted-key-of-the-test").unwrap();
    let mut endpoint = endpoint(&server);
    endpoint.url.push('/');
    endpoint.key = Some(key);
    let model = OpenAi::new(endpoint, Scanner::new()).unwrap();
    assert_eq!(model.name(), format!("test-model @ {}", server.address()));
    let mut request = question().with_tools(vec![plan()], ToolChoice::Named("plan".into()));
    request.seed = Some(7);
    let reply = ask(&model, &request).await.0.unwrap();
    assert_eq!(reply.calls, [ToolCall { id: "call_1".into(), name: "plan".into(), arguments: json!({"step": "scene"}) }]);
    assert_eq!(reply.finish, Finish::Calls);

    let received = &server.received()[0];
    assert_eq!(received.line, "POST /v1/chat/completions HTTP/1.1");
    assert_eq!(received.header("authorization"), Some("Bearer planted-key-of-the-test"));
    assert!(received.header("user-agent").unwrap().starts_with("neuroflow/"));
    let schema = json!({
        "type": "object", "properties": {"step": {"type": "string", "description": "the step"}}, "required": ["step"], "additionalProperties": false,
    });
    let expected = json!({
        "model": "test-model",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "what is there?"}],
        "max_tokens": 100, "stream": true, "stream_options": {"include_usage": true},
        "tools": [{"type": "function", "function": {"name": "plan", "description": "Plans a step.", "parameters": schema, "strict": true}}],
        "tool_choice": {"type": "function", "function": {"name": "plan"}},
        "temperature": 0.0, "seed": 7,
    });
    assert_eq!(received.json(), expected);
}

#[tokio::test]
async fn the_same_question_is_the_same_bytes() {
    let server = Server::start(|_, _| Answer::text("yes")).unwrap();
    let model = client(&server);
    let request = question().with_tools(vec![plan()], ToolChoice::Auto);
    for _ in 0..2 {
        ask(&model, &request).await.0.unwrap();
    }
    let received = server.received();
    assert_eq!(received[0].body, received[1].body);
}

#[tokio::test]
async fn a_conversation_with_results_goes_back_as_it_was() {
    let server = Server::list(vec![Answer::text("done")]).unwrap();
    let mut request = question().with_tools(vec![plan()], ToolChoice::None);
    let call = ToolCall { id: "a".into(), name: "plan".into(), arguments: json!({"step": "x"}) };
    request.messages.push(Message::Assistant { text: String::new(), calls: vec![call] });
    request.messages.push(Message::Tool { id: "a".into(), name: "plan".into(), content: "{\"tasks\": 4}".into() });
    ask(&client(&server), &request).await.0.unwrap();
    let messages = server.received()[0].json()["messages"].clone();
    let call = json!({"id": "a", "type": "function", "function": {"name": "plan", "arguments": "{\"step\":\"x\"}"}});
    assert_eq!(messages[2], json!({"role": "assistant", "content": "", "tool_calls": [call]}));
    assert_eq!(messages[3], json!({"role": "tool", "tool_call_id": "a", "content": "{\"tasks\": 4}"}));
}

/// A server whose model can do one of the three ways only.
fn able(way: Way) -> Server {
    Server::start(move |request, _| {
        let body = request.json();
        let (has_tools, has_format) = (!body["tools"].is_null(), !body["response_format"].is_null());
        let object = r#"{"tool": "pick", "word": "seven", "number": 7}"#;
        match way {
            Way::Tools if has_tools => Answer::calls(vec![Call::new("1", "pick", &json!({"word": "seven", "number": 7}))]),
            Way::Object if has_format => Answer::text(object),
            Way::Object if has_tools => Answer::status(400, "this model does not support tools"),
            Way::Words if !has_tools && !has_format => Answer::text(&format!("```json\n{object}\n```")),
            _ => Answer::text("Sure, I can help with that!"),
        }
    })
    .unwrap()
}

#[tokio::test]
async fn the_probe_finds_the_way_that_works() {
    for way in Way::ALL {
        let server = able(way);
        let found = probe(&client(&server)).await.unwrap();
        assert_eq!(found.way(), Some(way), "{found:?}");
    }
}

#[tokio::test]
async fn the_same_call_comes_out_of_all_three_ways() {
    for way in Way::ALL {
        let server = Server::start(move |request, _| {
            if way == Way::Tools {
                return Answer::calls(vec![Call::new("1", "plan", &json!({"step": "scene"}))]);
            }
            let wire = request.json();
            assert!(wire["tools"].is_null());
            let schema: Value = wire["response_format"]["json_schema"]["schema"].clone();
            assert_eq!(schema.is_object(), way == Way::Object);
            Answer::text(r#"{"tool": "plan", "answer": null, "step": "scene"}"#)
        })
        .unwrap();
        let model = Structured::new(client(&server), way);
        let (reply, shown) = ask(&model, &question().with_tools(vec![plan()], ToolChoice::Auto)).await;
        let reply = reply.unwrap();
        assert_eq!(
            (reply.calls[0].name.as_str(), &reply.calls[0].arguments, shown.as_str()),
            ("plan", &json!({"step": "scene"}), ""),
            "{way}"
        );
        assert!(plan().schema.check(&reply.calls[0].arguments).is_ok());
    }
}

#[tokio::test]
async fn an_answer_held_to_a_schema_is_asked_for_on_the_wire() {
    let server = Server::list(vec![Answer::text("{\"step\": \"x\"}")]).unwrap();
    let mut request = question();
    request.format = Format::Object { name: "edit".into(), schema: plan().schema };
    assert_eq!(ask(&client(&server), &request).await.0.unwrap().text, "{\"step\": \"x\"}");
    let format = server.received()[0].json()["response_format"].clone();
    assert_eq!(
        (&format["type"], &format["json_schema"]["name"], &format["json_schema"]["strict"]),
        (&json!("json_schema"), &json!("edit"), &json!(true))
    );
}
