//! The client of a model's endpoint against a real server on this machine, which behaves well, badly, or as a proptest likes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

mod faults;
mod hostile;
mod network;
mod real;

mod well;

use neuroflow_agent::model::{Endpoint, Limits, Message, Model, ModelError, OpenAi, Reply, Request};
use neuroflow_agent::secret::Scanner;
use neuroflow_model_server::{Answer, Server};
use std::time::Duration;

/// Limits for tests: as by default, but less patient.
pub fn quick() -> Limits {
    Limits { idle: Duration::from_millis(400), total: Duration::from_secs(20), backoff: Duration::from_millis(10), ..Limits::default() }
}

/// The server's endpoint, with quick limits and no key.
pub fn endpoint(server: &Server) -> Endpoint {
    Endpoint { limits: quick(), ..Endpoint::new(server.endpoint(), "test-model") }
}

/// A client of the server.
pub fn client(server: &Server) -> OpenAi {
    OpenAi::new(endpoint(server), Scanner::new()).unwrap()
}

/// A question without tools.
pub fn question() -> Request {
    Request::new(vec![Message::system("be brief"), Message::user("what is there?")], 100)
}

/// Asks once; gives the text as it was handed on, too.
pub async fn ask(model: &dyn Model, request: &Request) -> (Result<Reply, ModelError>, String) {
    let mut shown = String::new();
    let reply = model.reply(request, &mut |piece| shown.push_str(piece)).await;
    (reply, shown)
}

/// What comes of one answer.
pub async fn come_of(answer: Answer) -> Result<Reply, ModelError> {
    let server = Server::start(move |_, _| answer.clone()).unwrap();
    ask(&client(&server), &question()).await.0
}
