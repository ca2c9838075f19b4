//! What is said to a request.

use crate::http::Received;
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One thing after the other on the wire.
#[derive(Debug, Clone)]
pub enum Piece {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Nothing, for so long.
    Pause(Duration),
    /// Nothing on the wire; the time is noted.
    Note(Arc<Mutex<Vec<Instant>>>),
    /// These bytes again and again, until so many are sent or the client goes away.
    Repeat(Vec<u8>, u64),
    /// Nothing, until the client goes away or the server stops.
    Silence,
}

/// A call that a reply makes.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its id.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments: a JSON string for the standard form, anything else for what some servers do.
    pub arguments: Value,
}

impl Call {
    /// A call in the standard form, with the arguments as text.
    #[must_use]
    pub fn new(id: &str, name: &str, arguments: &Value) -> Self {
        Self { id: id.into(), name: name.into(), arguments: Value::String(arguments.to_string()) }
    }
}

/// What is said.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A proper reply, as events or one document, whatever was asked for.
    Reply {
        /// The words.
        text: String,
        /// The calls.
        calls: Vec<Call>,
        /// `finish_reason`.
        finish: Value,
        /// `usage`; none when null.
        usage: Value,
    },
    /// A document with status 200.
    Document(Value),
    /// A status with headers and a body.
    Status {
        /// The status.
        status: u16,
        /// More headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// Status 200, a stream of events, and then these pieces, whatever they are; the connection ends with them.
    Stream(Vec<Piece>),
    /// These pieces alone, from the first byte.
    Raw(Vec<Piece>),
}

impl Answer {
    /// A reply in words.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Reply {
            text: text.into(),
            calls: Vec::new(),
            finish: json!("stop"),
            usage: json!({"prompt_tokens": 12, "completion_tokens": 5}),
        }
    }

    /// A reply that asks for tools.
    #[must_use]
    pub fn calls(calls: Vec<Call>) -> Self {
        Self::Reply { text: String::new(), calls, finish: json!("tool_calls"), usage: json!({"prompt_tokens": 12, "completion_tokens": 5}) }
    }

    /// A status with a message in the usual form.
    #[must_use]
    pub fn status(status: u16, message: &str) -> Self {
        Self::Status { status, headers: Vec::new(), body: json!({"error": {"message": message}}).to_string().into_bytes() }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Self::Status { headers, .. } = &mut self {
            headers.push((name.into(), value.into()));
        }
        self
    }

    /// A stream of these texts, byte by byte as they stand.
    #[must_use]
    pub fn stream(texts: &[&str]) -> Self {
        Self::Stream(texts.iter().map(|text| Piece::Bytes(text.as_bytes().to_vec())).collect())
    }

    /// Writes it to the client.
    pub(crate) fn write(&self, request: &Received, stream: &TcpStream, stopped: &AtomicBool) -> std::io::Result<()> {
        match self {
            Self::Reply { text, calls, finish, usage } => {
                if request.json()["stream"] == json!(true) {
                    let mut pieces: Vec<Piece> =
                        events(text, calls, finish, usage).into_iter().map(|event| Piece::Bytes(event.into_bytes())).collect();
                    pieces.push(Piece::Bytes(b"data: [DONE]\n\n".to_vec()));
                    Self::Stream(pieces).write(request, stream, stopped)
                } else {
                    Self::Document(document(text, calls, finish, usage)).write(request, stream, stopped)
                }
            }
            Self::Document(document) => {
                let headers = vec![("content-type".into(), "application/json".into())];
                Self::Status { status: 200, headers, body: document.to_string().into_bytes() }.write(request, stream, stopped)
            }
            Self::Status { status, headers, body } => {
                let mut head = format!("HTTP/1.1 {status} Answer\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                let pieces = [Piece::Bytes(format!("{head}\r\n").into_bytes()), Piece::Bytes(body.clone())];
                write_pieces(&pieces, stream, stopped)
            }
            Self::Stream(pieces) => {
                let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n\r\n";
                write_pieces(&[Piece::Bytes(head.as_bytes().to_vec())], stream, stopped)?;
                write_pieces(pieces, stream, stopped)
            }
            Self::Raw(pieces) => write_pieces(pieces, stream, stopped),
        }
    }
}

fn document(text: &str, calls: &[Call], finish: &Value, usage: &Value) -> Value {
    let mut message = json!({"role": "assistant", "content": text});
    if !calls.is_empty() {
        message["tool_calls"] = calls.iter().map(call).collect();
    }
    json!({"id": "1", "object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage})
}

fn call(call: &Call) -> Value {
    json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}})
}

/// The events of a reply: words one by one; calls with their name first and their arguments in halves.
fn events(text: &str, calls: &[Call], finish: &Value, usage: &Value) -> Vec<String> {
    let event = |delta: Value, finish: &Value| {
        let chunk =
            json!({"id": "1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
        format!("data: {chunk}\n\n")
    };
    let mut events = vec![event(json!({"role": "assistant", "content": ""}), &Value::Null)];
    events.extend(text.split_inclusive(' ').map(|word| event(json!({"content": word}), &Value::Null)));
    for (index, made) in calls.iter().enumerate() {
        let mut first = call(made);
        first["index"] = json!(index);
        let Value::String(arguments) = &made.arguments else {
            events.push(event(json!({"tool_calls": [first]}), &Value::Null));
            continue;
        };
        first["function"]["arguments"] = json!("");
        events.push(event(json!({"tool_calls": [first]}), &Value::Null));
        let middle = (0..=arguments.len() / 2).rev().find(|place| arguments.is_char_boundary(*place)).unwrap_or(0);
        for half in [&arguments[..middle], &arguments[middle..]] {
            events.push(event(json!({"tool_calls": [{"index": index, "function": {"arguments": half}}]}), &Value::Null));
        }
    }
    events.push(event(json!({}), finish));
    if !usage.is_null() {
        events.push(format!("data: {}\n\n", json!({"choices": [], "usage": usage})));
    }
    events
}

fn write_pieces(pieces: &[Piece], mut stream: &TcpStream, stopped: &AtomicBool) -> std::io::Result<()> {
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => stream.write_all(bytes)?,
            Piece::Pause(time) => std::thread::sleep(*time),
            Piece::Note(times) => times.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now()),
            Piece::Repeat(bytes, total) => {
                let block: Vec<u8> = bytes.iter().copied().cycle().take(bytes.len() * (65_536 / bytes.len().max(1)).max(1)).collect();
                let mut sent = 0;
                while sent < *total && !stopped.load(Ordering::SeqCst) {
                    stream.write_all(&block)?;
                    sent += block.len() as u64;
                }
            }
            Piece::Silence => silence(stream, stopped)?,
        }
    }
    stream.flush()
}

/// Waits until the client goes away, the server stops, or a minute is over.
fn silence(stream: &TcpStream, stopped: &AtomicBool) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_millis(20)))?;
    let start = Instant::now();
    let mut byte = [0];
    while !stopped.load(Ordering::SeqCst) && start.elapsed() < Duration::from_secs(60) {
        match stream.peek(&mut byte) {
            Ok(0) => break,
            Ok(_) => std::thread::sleep(Duration::from_millis(20)),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
