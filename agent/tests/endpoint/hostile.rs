//! Endpoints that mean harm: too much, too deep, and any bytes at all.

use crate::{ask, come_of, endpoint, question, quick};
use neuroflow_agent::model::{Limits, ModelError, OpenAi};
use neuroflow_agent::secret::Scanner;
use neuroflow_model_server::{Answer, Piece, Server};
use proptest::prelude::*;
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const GIB: u64 = 1 << 30;

/// The most memory that this process has held so far, in bytes; none where the system does not say.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_is_cut_at_the_limit_whatever_it_is_made_of() {
    let many = |start: &str, bytes: &str| vec![Piece::Bytes(start.as_bytes().to_vec()), Piece::Repeat(bytes.as_bytes().to_vec(), GIB)];
    let words = format!("data: {}\n\n", json!({"choices": [{"delta": {"content": "x".repeat(2000)}}]}));
    let arguments =
        json!({"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"name": "a", "arguments": "y".repeat(500)}}]}}]});
    let sized = format!("HTTP/1.1 200 OK\r\ncontent-length: {GIB}\r\n\r\n");
    let cases = [
        ("words", Answer::Stream(many("", &words)), "its text"),
        ("arguments", Answer::Stream(many("", &format!("data: {arguments}\n\n"))), "a call's arguments"),
        ("one line", Answer::Stream(many("data: ", "a")), "one event"),
        ("lines of one event", Answer::Stream(many("", "data: a line of an event that never ends\n")), "one event"),
        ("comments", Answer::Stream(many("", ":\n")), "all of it"),
        ("empty events", Answer::Stream(many("", "data: {}\n\n")), "all of it"),
        ("one document", Answer::Raw(many(&format!("{sized}{{\"choices\": \""), "a")), "one event"),
        ("space", Answer::Raw(many(&sized, " ")), "all of it"),
    ];
    for (name, answer, what) in cases {
        let before = peak();
        let start = Instant::now();
        let error = come_of(answer).await.unwrap_err();
        assert!(matches!(error, ModelError::TooLarge { what: told, .. } if told == what), "{name}: {error}");
        assert!(start.elapsed() < Duration::from_secs(15), "{name}: {:?}", start.elapsed());
        if let (Some(before), Some(after)) = (before, peak()) {
            assert!(after - before < 40 << 20, "{name}: {} MiB more", (after - before) >> 20);
        }
    }
}

#[tokio::test]
async fn an_endless_refusal_and_endless_headers_end_too() {
    let refusal = vec![Piece::Bytes(b"HTTP/1.1 400 Bad\r\n\r\n".to_vec()), Piece::Repeat(b"no ".to_vec(), GIB)];
    let error = come_of(Answer::Raw(refusal)).await.unwrap_err();
    assert!(matches!(&error, ModelError::Refused { status: 400, message } if message.len() < 400), "{error}");
    let headers = vec![Piece::Bytes(b"HTTP/1.1 200 OK\r\n".to_vec()), Piece::Repeat(b"a: b\r\n".to_vec(), GIB)];
    assert!(matches!(come_of(Answer::Raw(headers)).await, Err(ModelError::Unreachable { .. })));
}

#[tokio::test]
async fn deep_json_is_refused_before_it_is_parsed() {
    let deep = "[".repeat(200_000);
    for answer in [Answer::stream(&[&format!("data: {deep}\n\n")]), Answer::stream(&[&format!("{{\"choices\": {deep}")])] {
        let error = come_of(answer).await.unwrap_err();
        assert!(error.to_string().contains("nested"), "{error}");
    }
    let inner = "[".repeat(100_000);
    let call = json!({"choices": [{"delta": {"tool_calls": [{"function": {"name": "plan", "arguments": &inner[..60_000]}}]}}]});
    let reply = come_of(Answer::stream(&[&format!("data: {call}\n\n")])).await.unwrap();
    assert!(reply.calls[0].arguments.is_string());
}

/// A proper stream with a few bytes changed, left out, or doubled.
fn nearly_right() -> impl Strategy<Value = Vec<u8>> {
    let event =
        |delta: serde_json::Value| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]}));
    let stream = [
        event(json!({"role": "assistant", "content": "größe 🧠"})),
        event(json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "plan", "arguments": "{\"st"}}]})),
        event(json!({"tool_calls": [{"index": 0, "function": {"arguments": "ep\": 1}"}}]})),
        format!("data: {}\n\ndata: [DONE]\n\n", json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}})),
    ]
    .concat()
    .into_bytes();
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 0..6).prop_map(move |changes| {
        let mut bytes = stream.clone();
        for (place, byte, kind) in changes {
            let place = place.index(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
            match kind {
                0 => bytes[place] = byte,
                1 => drop(bytes.remove(place)),
                2 => bytes.insert(place, byte),
                _ => bytes.truncate(place.max(1)),
            }
            if bytes.is_empty() {
                break;
            }
        }
        bytes
    })
}

/// What is sent: as a body, or as everything.
fn any_answer() -> impl Strategy<Value = Answer> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        nearly_right(),
        "(data|event|:|\\{|\\}|\\[|\\]|\"| |,|\n|\r|choices|delta|null|[0-9]){0,60}".prop_map(String::into_bytes),
    ];
    (bytes, 0..4_u8).prop_map(|(bytes, way)| match way {
        0 => Answer::Raw(vec![Piece::Bytes(bytes)]),
        1 => Answer::Status { status: 200, headers: vec![("content-type".into(), "application/json".into())], body: bytes },
        _ => Answer::Stream(vec![Piece::Bytes(bytes)]),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes, there is an answer or an error, soon, and never a panic.
    #[test]
    fn no_bytes_make_it_panic_or_hang(answers in prop::collection::vec(any_answer(), 8)) {
        let next: Arc<Mutex<Vec<Answer>>> = Arc::new(Mutex::new(answers.clone()));
        let server = Server::start(move |_, _| next.lock().unwrap().pop().unwrap_or_else(|| Answer::text("end"))).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut endpoint = endpoint(&server);
            endpoint.limits = Limits { tries: 1, ..quick() };
            let model = OpenAi::new(endpoint, Scanner::new()).unwrap();
            for _ in &answers {
                let (reply, shown) = ask(&model, &question()).await;
                match reply {
                    Ok(reply) => assert_eq!(reply.text, shown),
                    Err(ModelError::TimedOut { .. }) => panic!("it hung"),
                    Err(_) => {}
                }
            }
        });
    }
}
