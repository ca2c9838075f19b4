//! Sending a question and taking the answer, within limits.
//!
//! Every body is scanned before it leaves. Redirects are not followed. What comes back is taken apart here and put together again as one clean event at a time,
//! so that whoever reads it next sees only whole, bounded, shallow JSON: a document instead of a stream becomes a stream of one event.

use super::error::ModelError;
use super::excerpt;
use super::limits::Limits;
use super::loopback::{LoopbackOnly, NotHere, is_loopback, is_number};
use super::sse::{Events, TooLong};
use super::wire::nesting;
use crate::secret::Scanner;
use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::{Request, Response, Url};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How much of a refusal is read.
const REFUSAL_BYTES: usize = 64 << 10;

/// Sends requests to one endpoint.
pub(super) struct Transport {
    client: reqwest::Client,
    limits: Limits,
    scanner: Scanner,
    offline: bool,
}

/// What happened to one answer, told to who asked while the answer is still in other hands.
#[derive(Clone, Default)]
pub(super) struct Verdict(Arc<Mutex<Fate>>);

#[derive(Default)]
struct Fate {
    error: Option<ModelError>,
    cut: bool,
}

impl Verdict {
    pub(super) fn fail(&self, error: ModelError) {
        self.with(|fate| fate.error.get_or_insert(error).clone());
    }

    pub(super) fn error(&self) -> Option<ModelError> {
        self.with(|fate| fate.error.clone())
    }

    /// Whether the answer broke off in the middle of an event, or of the connection.
    pub(super) fn was_cut(&self) -> bool {
        self.with(|fate| fate.cut)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Fate) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Transport {
    /// For one endpoint.
    pub(super) fn new(endpoint: &Url, limits: Limits, scanner: Scanner, offline: bool) -> Result<Self, String> {
        // A second provider would be refused; which one is first does not matter.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("neuroflow/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(limits.connect)
            .read_timeout(limits.idle);
        if offline {
            builder = builder.dns_resolver(LoopbackOnly::system());
        }
        // A proxy is another machine; a server on this one is not asked through it.
        if offline || is_loopback(endpoint) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| chain(&error))?;
        Ok(Self { client, limits, scanner, offline })
    }

    /// The client that requests are made with.
    pub(super) fn client(&self) -> reqwest::Client {
        self.client.clone()
    }

    /// Sends, again where that helps, and gives the answer as a bounded stream of events.
    pub(super) async fn send(&self, request: Request, verdict: Verdict) -> Result<Response, ModelError> {
        let host = host(request.url());
        if self.offline && is_number(request.url()) && !is_loopback(request.url()) {
            return Err(ModelError::Offline { host });
        }
        let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        if let Some(finding) = self.scanner.scan(body) {
            return Err(ModelError::Leak(finding));
        }
        let mut pause = self.limits.backoff;
        let mut tries = 0;
        loop {
            tries += 1;
            let copy = request
                .try_clone()
                .ok_or_else(|| ModelError::Endpoint { endpoint: host.clone(), reason: "the question can't be sent twice".into() })?;
            let (error, asked) = match self.client.execute(copy).await {
                Ok(response) if response.status().is_success() => return Ok(self.bounded(response, verdict)),
                Ok(response) => match self.refusal(response, tries).await {
                    (error @ ModelError::Busy { .. }, asked) => (error, asked),
                    (error, _) => return Err(error),
                },
                Err(error) => match self.failure(&error, &host, tries) {
                    error @ ModelError::Unreachable { .. } => (error, None),
                    error => return Err(error),
                },
            };
            let wait = asked.unwrap_or(pause);
            if tries >= self.limits.tries || wait > self.limits.longest_wait {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            pause = pause.saturating_mul(2).min(self.limits.longest_wait);
        }
    }

    /// What a connection that failed means.
    fn failure(&self, error: &reqwest::Error, host: &str, tries: u32) -> ModelError {
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(cause) = source {
            if let Some(NotHere(name)) = cause.downcast_ref() {
                return ModelError::Offline { host: name.clone() };
            }
            source = cause.source();
        }
        if error.is_timeout() && !error.is_connect() {
            return ModelError::TimedOut { what: "no byte came", after: self.limits.idle };
        }
        ModelError::Unreachable { host: host.to_owned(), tries, reason: self.words(chain(error).as_bytes()) }
    }

    /// What an answer that is no success means, and how long it asks to wait.
    async fn refusal(&self, mut response: Response, tries: u32) -> (ModelError, Option<Duration>) {
        let status = response.status();
        if status.is_redirection() {
            let to = response.headers().get("location").map(|to| self.words(to.as_bytes())).unwrap_or_default();
            return (ModelError::Redirect { to }, None);
        }
        let asked = response.headers().get("retry-after").and_then(|value| retry_after(value.to_str().ok()?, jiff::Timestamp::now()));
        let mut body = Vec::new();
        while let Ok(Some(piece)) = response.chunk().await {
            body.extend_from_slice(&piece[..piece.len().min(REFUSAL_BYTES - body.len())]);
            if body.len() == REFUSAL_BYTES {
                break;
            }
        }
        let spent = body.windows(18).any(|window| window == b"insufficient_quota");
        let json = serde_json::from_slice::<serde_json::Value>(&body).ok();
        let inner = json.as_ref().map(|json| json.get("error").unwrap_or(json));
        let said = inner.and_then(|error| error.get("message").unwrap_or(error).as_str().map(|text| self.words(text.as_bytes())));
        let message = said.unwrap_or_else(|| self.words(&body));
        let passing = status.is_server_error() || (status.as_u16() == 429 && !spent);
        let status = status.as_u16();
        let error = if passing { ModelError::Busy { status, tries, message } } else { ModelError::Refused { status, message } };
        (error, asked)
    }

    /// Words of an endpoint for a message: short, escaped, and without keys, which some endpoints repeat.
    fn words(&self, bytes: &[u8]) -> String {
        excerpt(self.scanner.redact(&String::from_utf8_lossy(&bytes[..bytes.len().min(4096)])).as_bytes(), 300)
    }

    /// The same answer with a body that keeps to the limits.
    fn bounded(&self, response: Response, verdict: Verdict) -> Response {
        let reading = Reading {
            source: response.bytes_stream().boxed(),
            limits: self.limits.clone(),
            shape: Shape::Unknown(Vec::new()),
            taken: 0,
            ready: Vec::new(),
            ended: false,
            verdict,
        };
        let stream = futures_util::stream::try_unfold(reading, |mut reading| async move {
            match reading.next().await {
                Ok(Some(event)) => Ok(Some((event, reading))),
                Ok(None) => Ok(None),
                Err(error) => {
                    reading.verdict.fail(error);
                    Err(std::io::Error::other("the answer was refused"))
                }
            }
        });
        http::Response::new(reqwest::Body::wrap_stream(stream)).into()
    }
}

/// How an answer is written.
enum Shape {
    /// Too early to say.
    Unknown(Vec<u8>),
    /// Server-sent events.
    Stream(Events),
    /// One JSON document.
    Document(Vec<u8>),
}

/// An answer while it is read.
struct Reading {
    source: futures_util::stream::BoxStream<'static, reqwest::Result<Bytes>>,
    limits: Limits,
    shape: Shape,
    taken: usize,
    /// Events that are whole, the next one last.
    ready: Vec<Vec<u8>>,
    ended: bool,
    verdict: Verdict,
}

impl Reading {
    /// The next event, ready to be sent on.
    async fn next(&mut self) -> Result<Option<Bytes>, ModelError> {
        loop {
            // A source that never waits must not keep the others waiting.
            tokio::task::consume_budget().await;
            if let Some(event) = self.ready.pop() {
                if event == b"[DONE]" {
                    self.ended = true;
                    self.ready.clear();
                }
                return self.clean(&event).map(Some);
            }
            if self.ended {
                return Ok(None);
            }
            match self.source.next().await {
                Some(Ok(piece)) => self.take(&piece)?,
                Some(Err(error)) if error.is_timeout() => {
                    return Err(ModelError::TimedOut { what: "no byte came", after: self.limits.idle });
                }
                Some(Err(_)) => {
                    self.verdict.with(|fate| fate.cut = true);
                    self.ended = true;
                }
                None => {
                    self.ended = true;
                    self.end()?;
                }
            }
        }
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), ModelError> {
        self.taken += piece.len();
        if self.taken > self.limits.reply_bytes {
            return Err(ModelError::TooLarge { what: "all of it", limit: self.limits.reply_bytes });
        }
        if let Shape::Unknown(start) = &mut self.shape {
            start.extend_from_slice(piece);
            let shown = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
            match shown.first() {
                // Space before the beginning is not kept, however much there is; a mark of byte order is.
                None => {
                    let mark = if start.starts_with(b"\xef") { 3 } else { 0 };
                    start.truncate(mark);
                    return Ok(());
                }
                Some(b'\xef') if start.len() < 3 => return Ok(()),
                Some(b'{') => self.shape = Shape::Document(std::mem::take(start)),
                Some(b':' | b'd' | b'e' | b'i' | b'r') => {
                    let start = std::mem::take(start);
                    let mut events = Events::new(self.limits.event_bytes);
                    let taken = events.push(&start, &mut self.ready);
                    self.shape = Shape::Stream(events);
                    self.ready.reverse();
                    return self.long(taken);
                }
                Some(_) => {
                    return Err(ModelError::NotAReply { what: "neither JSON nor a stream of events".into(), excerpt: excerpt(shown, 80) });
                }
            }
            return self.document_fits();
        }
        match &mut self.shape {
            Shape::Stream(events) => {
                let taken = events.push(piece, &mut self.ready);
                self.ready.reverse();
                self.long(taken)
            }
            Shape::Document(document) => {
                document.extend_from_slice(piece);
                self.document_fits()
            }
            Shape::Unknown(_) => Ok(()),
        }
    }

    fn long(&self, taken: Result<(), TooLong>) -> Result<(), ModelError> {
        taken.map_err(|TooLong| ModelError::TooLarge { what: "one event", limit: self.limits.event_bytes })
    }

    fn document_fits(&self) -> Result<(), ModelError> {
        match &self.shape {
            Shape::Document(document) if document.len() > self.limits.event_bytes => self.long(Err(TooLong)),
            _ => Ok(()),
        }
    }

    /// The source has ended: what is left is whole, or the answer was cut.
    fn end(&mut self) -> Result<(), ModelError> {
        let cut = match std::mem::replace(&mut self.shape, Shape::Unknown(Vec::new())) {
            Shape::Unknown(_) => return Err(ModelError::NotAReply { what: "it is empty".into(), excerpt: String::new() }),
            Shape::Document(document) => {
                self.ready.push(document);
                false
            }
            Shape::Stream(events) => {
                let is_whole = |event: &[u8]| event == b"[DONE]" || serde_json::from_slice::<serde::de::IgnoredAny>(event).is_ok();
                events.finish(is_whole, &mut self.ready).is_err()
            }
        };
        self.verdict.with(|fate| fate.cut |= cut);
        Ok(())
    }

    /// One event as a clean line: UTF-8, JSON, not too deep.
    fn clean(&self, event: &[u8]) -> Result<Bytes, ModelError> {
        let not = |what: String| ModelError::NotAReply { what, excerpt: excerpt(event, 80) };
        let text = std::str::from_utf8(event).map_err(|error| not(format!("byte {} is not UTF-8", error.valid_up_to())))?;
        let text = text.trim_start_matches('\u{feff}').trim();
        if text != "[DONE]" {
            let depth = nesting(text.as_bytes());
            if depth > self.limits.depth {
                return Err(not(format!("it is nested {depth} deep, and {} are allowed", self.limits.depth)));
            }
            serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| not(format!("it is not JSON ({error})")))?;
        }
        // JSON has line ends between its parts only; within strings they are escaped.
        Ok(format!("data: {}\n\n", text.replace(['\n', '\r'], " ")).into())
    }
}

/// How long `Retry-After` asks to wait, from now: seconds, or a date.
fn retry_after(value: &str, now: jiff::Timestamp) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value.trim()).ok()?;
    Some(until.duration_since(now).try_into().unwrap_or(Duration::ZERO))
}

/// Host and port, as a person reads them.
pub(super) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// An error with its causes, and without the address, which is told elsewhere.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: jiff::Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
        assert_eq!(retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:50:07 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-1", now), None);
    }
}
