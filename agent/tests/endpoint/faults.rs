//! Endpoints that are broken, busy, or slow.

use crate::{ask, client, come_of, endpoint, question, quick};
use neuroflow_agent::model::{Finish, Limits, Model, ModelError, OpenAi};
use neuroflow_agent::secret::Scanner;
use neuroflow_model_server::{Answer, Call, Piece, Server};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn event(value: &Value) -> String {
    format!("data: {value}\n\n")
}

fn delta(delta: &Value) -> String {
    event(&json!({"choices": [{"delta": delta}]}))
}

fn calling(arguments: &Value) -> Answer {
    let call = Call { id: "a".into(), name: "plan".into(), arguments: arguments.clone() };
    Answer::calls(vec![call])
}

#[tokio::test]
async fn bytes_split_inside_a_character_are_put_together() {
    let text = delta(&json!({"content": "größe 🧠"}));
    let pieces = text.bytes().flat_map(|byte| [Piece::Bytes(vec![byte]), Piece::Pause(Duration::from_millis(1))]).collect();
    assert_eq!(come_of(Answer::Stream(pieces)).await.unwrap().text, "größe 🧠");
}

#[tokio::test]
async fn a_stream_cut_within_an_event_is_an_error_with_what_came() {
    let whole = delta(&json!({"content": "twelve bytes"}));
    let error = come_of(Answer::stream(&[&whole, "data: {\"choices\": [{\"del"])).await.unwrap_err();
    assert_eq!(error, ModelError::Cut { bytes: 12 });
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("{head}{:x}\r\n{whole}\r\n", whole.len());
    assert_eq!(come_of(Answer::Raw(vec![Piece::Bytes(chunk.into_bytes())])).await, Err(ModelError::Cut { bytes: 12 }));
    let promised = format!("HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n{whole}");
    assert_eq!(come_of(Answer::Raw(vec![Piece::Bytes(promised.into_bytes())])).await, Err(ModelError::Cut { bytes: 12 }));
}

#[tokio::test]
async fn an_end_without_done_is_an_end() {
    let said = delta(&json!({"content": "all"}));
    let finish = event(&json!({"choices": [{"delta": {}, "finish_reason": "stop"}]}));
    let reply = come_of(Answer::stream(&[&said, &finish])).await.unwrap();
    assert_eq!((reply.text.as_str(), reply.finish), ("all", Finish::Stop));
    assert_eq!(come_of(Answer::stream(&[&said])).await.unwrap().finish, Finish::Unsaid);
    assert_eq!(come_of(Answer::stream(&[&said, "data: [DONE]"])).await.unwrap().text, "all");
    // After the end nothing counts.
    assert_eq!(come_of(Answer::stream(&[&said, "data: [DONE]\n\n", "data: rubbish\n\n"])).await.unwrap().text, "all");
}

#[tokio::test]
async fn comments_that_keep_a_connection_alive_are_no_events_and_count_as_life() {
    let mut pieces: Vec<Piece> =
        (0..8).flat_map(|_| [Piece::Bytes(b": waiting\n\n".to_vec()), Piece::Pause(Duration::from_millis(100))]).collect();
    pieces.push(Piece::Bytes(delta(&json!({"content": "at last"})).into_bytes()));
    let start = Instant::now();
    assert_eq!(come_of(Answer::Stream(pieces)).await.unwrap().text, "at last");
    assert!(start.elapsed() > quick().idle);
}

#[tokio::test]
async fn arguments_are_taken_as_object_as_text_in_fences_and_empty() {
    for arguments in [json!({"step": "x"}), json!("{\"step\": \"x\"}"), json!("```json\n{\"step\": \"x\"}\n```")] {
        assert_eq!(come_of(calling(&arguments)).await.unwrap().calls[0].arguments, json!({"step": "x"}), "{arguments}");
    }
    for empty in [json!(""), json!(null), json!({})] {
        assert_eq!(come_of(calling(&empty)).await.unwrap().calls[0].arguments, json!({}), "{empty}");
    }
    let broken = come_of(calling(&json!("{\"step\": "))).await.unwrap();
    assert_eq!(broken.calls[0].arguments, json!("{\"step\": "));
}

#[tokio::test]
async fn doubled_ids_are_made_different_and_unknown_tools_are_given_on() {
    let call = Call::new("same", "no_such_tool", &json!({}));
    let reply = come_of(Answer::calls(vec![call.clone(), call])).await.unwrap();
    assert_eq!(reply.calls.len(), 2);
    assert_ne!(reply.calls[0].id, reply.calls[1].id);
    assert_eq!(reply.calls[1].name, "no_such_tool");
    assert!(question().tool("no_such_tool").is_none());
}

#[tokio::test]
async fn two_hundred_calls_at_once_are_refused() {
    let calls: Vec<Call> = (0..200).map(|number| Call::new(&number.to_string(), "plan", &json!({}))).collect();
    assert_eq!(come_of(Answer::calls(calls.clone())).await, Err(ModelError::TooManyCalls { limit: 16 }));
    assert_eq!(come_of(Answer::calls(calls[..16].to_vec())).await.unwrap().calls.len(), 16);
}

#[tokio::test]
async fn reasons_that_are_empty_strange_or_absent_do_no_harm() {
    for (word, expected) in [
        (json!(""), Finish::Unsaid),
        (json!(null), Finish::Unsaid),
        (json!("length"), Finish::Length),
        (json!("eos"), Finish::Other("eos".into())),
        (json!(7), Finish::Unsaid),
    ] {
        let answer = Answer::Reply { text: "so".into(), calls: vec![], finish: word, usage: Value::Null };
        let reply = come_of(answer).await.unwrap();
        assert_eq!((reply.text.as_str(), reply.finish), ("so", expected));
        assert!(reply.usage.estimated && reply.usage.tokens() > 0);
    }
}

#[tokio::test]
async fn a_busy_endpoint_is_asked_again_after_the_time_it_names() {
    let busy = Answer::status(429, "slow down").with_header("retry-after", "1");
    let server = Server::list(vec![busy, Answer::text("now")]).unwrap();
    let start = Instant::now();
    assert_eq!(ask(&client(&server), &question()).await.0.unwrap().text, "now");
    assert!(start.elapsed() >= Duration::from_secs(1));
    let received = server.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].body, received[1].body);
}

#[tokio::test]
async fn an_endpoint_that_asks_for_an_hour_is_not_waited_for() {
    let server = Server::start(|_, _| Answer::status(429, "come back later").with_header("retry-after", "3600")).unwrap();
    let start = Instant::now();
    let error = ask(&client(&server), &question()).await.0.unwrap_err();
    assert_eq!(error, ModelError::Busy { status: 429, tries: 1, message: "come back later".into() });
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_broken_endpoint_is_asked_four_times_and_then_no_more() {
    let server = Server::start(|_, number| if number < 2 { Answer::status(500, "oops") } else { Answer::text("fine") }).unwrap();
    assert_eq!(ask(&client(&server), &question()).await.0.unwrap().text, "fine");
    let server = Server::start(|_, _| Answer::status(503, "model is loading")).unwrap();
    let error = ask(&client(&server), &question()).await.0.unwrap_err();
    assert_eq!(error, ModelError::Busy { status: 503, tries: 4, message: "model is loading".into() });
    assert_eq!(server.received().len(), 4);
}

#[tokio::test]
async fn a_refusal_is_not_asked_again_and_repeats_no_key() {
    for status in [400, 401, 403, 404, 409, 422] {
        let server =
            Server::start(move |request, _| Answer::status(status, &format!("bad: {}", request.header("authorization").unwrap()))).unwrap();
        let mut endpoint = endpoint(&server);
        endpoint.key = Some(neuroflow_agent::secret::Secret::new("planted-key-of-the-test").unwrap());
        let error = ask(&OpenAi::new(endpoint, Scanner::new()).unwrap(), &question()).await.0.unwrap_err();
        assert_eq!(error, ModelError::Refused { status, message: "bad: Bearer [removed]".into() });
        assert!(!error.may_have_cost());
        assert_eq!(server.received().len(), 1);
    }
}

#[tokio::test]
async fn money_that_is_spent_does_not_come_back_by_asking_again() {
    let body = json!({"error": {"message": "you have no credit", "code": "insufficient_quota"}}).to_string().into_bytes();
    let server = Server::start(move |_, _| Answer::Status { status: 429, headers: vec![], body: body.clone() }).unwrap();
    let error = ask(&client(&server), &question()).await.0.unwrap_err();
    assert_eq!(error, ModelError::Refused { status: 429, message: "you have no credit".into() });
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn once_words_were_shown_nothing_is_asked_again() {
    let said = delta(&json!({"content": "so far"}));
    let server = Server::start(move |_, _| Answer::stream(&[&said, &event(&json!({"error": {"message": "out of memory"}}))])).unwrap();
    let (reply, shown) = ask(&client(&server), &question()).await;
    assert_eq!((reply, shown.as_str()), (Err(ModelError::Server { message: "out of memory".into() }), "so far"));
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn silence_ends_at_the_limit_before_and_within_an_answer() {
    let said = Piece::Bytes(delta(&json!({"content": "so far"})).into_bytes());
    for answer in [Answer::Raw(vec![Piece::Silence]), Answer::Stream(vec![Piece::Silence]), Answer::Stream(vec![said, Piece::Silence])] {
        let start = Instant::now();
        let error = come_of(answer).await.unwrap_err();
        assert_eq!(error, ModelError::TimedOut { what: "no byte came", after: quick().idle });
        assert!(error.may_have_cost());
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_stream_that_drips_for_ever_ends_at_the_total_limit() {
    let drip = (0..200).flat_map(|_| [Piece::Bytes(b": drip\n".to_vec()), Piece::Pause(Duration::from_millis(50))]).collect();
    let server = Server::list(vec![Answer::Stream(drip)]).unwrap();
    let mut endpoint = endpoint(&server);
    endpoint.limits = Limits { total: Duration::from_millis(700), ..quick() };
    let error = ask(&OpenAi::new(endpoint, Scanner::new()).unwrap(), &question()).await.0.unwrap_err();
    assert!(matches!(error, ModelError::TimedOut { what: "the answer was not whole", .. }), "{error}");
}

#[tokio::test]
async fn a_slow_stream_within_the_limits_is_taken_whole() {
    let words = "one two three four five six seven eight";
    let pieces = words
        .split_inclusive(' ')
        .flat_map(|word| [Piece::Pause(Duration::from_millis(120)), Piece::Bytes(delta(&json!({"content": word})).into_bytes())])
        .collect();
    let start = Instant::now();
    assert_eq!(come_of(Answer::Stream(pieces)).await.unwrap().text, words);
    assert!(start.elapsed() > 2 * quick().idle);
}

#[tokio::test]
async fn dropping_the_question_hangs_up() {
    let server =
        Server::list(vec![Answer::Stream(vec![Piece::Bytes(delta(&json!({"content": "a"})).into_bytes()), Piece::Silence])]).unwrap();
    let mut endpoint = endpoint(&server);
    endpoint.limits = Limits::default();
    let model = OpenAi::new(endpoint, Scanner::new()).unwrap();
    let mut shown = String::new();
    let asked = tokio::time::timeout(Duration::from_millis(300), model.reply(&question(), &mut |piece| shown.push_str(piece))).await;
    assert!(asked.is_err());
    assert_eq!(shown, "a");
    for _ in 0..100 {
        if server.open() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the connection is still open");
}

#[tokio::test]
async fn what_is_not_json_is_told_by_how_it_begins() {
    let page = Answer::Status {
        status: 200,
        headers: vec![("content-type".into(), "text/html".into())],
        body: b"<html>\x1b[2JLogin</html>".to_vec(),
    };
    let error = come_of(page).await.unwrap_err().to_string();
    assert!(error.contains("neither JSON nor a stream") && error.contains("<html>\\u{1b}[2JLogin"), "{error}");
    let error = come_of(Answer::stream(&["data: pong\n\n"])).await.unwrap_err().to_string();
    assert!(error.contains("not JSON") && error.contains("pong"), "{error}");
    for empty in ["", "\n\n", "data: [DONE]\n\n", ": nothing\n\n", "data: {}\n\n", "data: {\"choices\": []}\n\n"] {
        assert!(matches!(come_of(Answer::stream(&[empty])).await, Err(ModelError::NotAReply { .. })), "{empty:?}");
    }
    assert!(matches!(come_of(Answer::Document(json!({"object": "list"}))).await, Err(ModelError::NotAReply { .. })));
}

#[tokio::test]
async fn bytes_that_are_no_text_are_refused() {
    let mut bytes = b"data: {\"choices\": [{\"delta\": {\"content\": \"".to_vec();
    bytes.extend(b"\xff\xfe\"}}]}\n\n");
    let error = come_of(Answer::Stream(vec![Piece::Bytes(bytes)])).await.unwrap_err();
    assert!(error.to_string().contains("not UTF-8"), "{error}");
}

#[tokio::test]
async fn nobody_there_is_told_with_the_address() {
    let address = {
        let server = Server::list(vec![]).unwrap();
        server.address()
    };
    // The port is free again once the server has stopped.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let endpoint =
        neuroflow_agent::model::Endpoint { limits: quick(), ..neuroflow_agent::model::Endpoint::new(format!("http://{address}/v1"), "m") };
    let error = ask(&OpenAi::new(endpoint, Scanner::new()).unwrap(), &question()).await.0.unwrap_err();
    assert!(matches!(&error, ModelError::Unreachable { host, tries: 4, .. } if *host == address.to_string()), "{error}");
    assert!(error.to_string().contains("is the server running?"));
}
