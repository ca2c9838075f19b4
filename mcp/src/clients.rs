//! Who calls: a desk for each client, and what all of them have seen together.
//!
//! A draft that is built edit by edit belongs to one client. What was seen belongs to all: they share one token, and a client that changes its name must not
//! lose the mark that free text left.

use neuroflow_agent::{Desk, Exposure, Gate, Origin, Project, Seen, escape_line};
use rmcp::RoleServer;
use rmcp::service::RequestContext;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most clients that are remembered; with more, the oldest desk is cleared away, and its proposals wait on.
const MOST_CLIENTS: usize = 64;

/// The longest name and version of a client, in characters.
const LONGEST_NAME: usize = 60;

/// After a pause as long as this somebody has probably spoken with the model, so that its failed proposals are counted anew. What a person says in a client is
/// not told to a server.
const PAUSE: Duration = Duration::from_secs(60);

/// The most bytes of calls and answers that are kept with a proposal.
const MOST_KEPT: usize = 1 << 20;

/// A client, and its desk.
pub(crate) struct Client {
    /// What it calls itself.
    pub(crate) origin: Origin,
    /// Where its calls are answered, one after the other.
    pub(crate) desk: tokio::sync::Mutex<Desk>,
    log: Mutex<Log>,
    last: Mutex<Instant>,
}

impl Client {
    /// Whether there was a pause before this call.
    pub(crate) fn paused(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *last, Instant::now()).elapsed() > PAUSE
    }

    /// Notes a call, so that a proposal is kept with what led to it.
    pub(crate) fn called(&self, name: &str, arguments: &Value) {
        self.note(&json!({ "call": name, "arguments": arguments }));
    }

    /// Notes an answer.
    pub(crate) fn answered(&self, text: &str) {
        self.note(&json!({ "answer": text }));
    }

    fn note(&self, line: &Value) {
        let line = line.to_string();
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.bytes += line.len();
        log.lines.push_back(line);
        while log.bytes > MOST_KEPT && log.lines.len() > 1 {
            log.left_out += 1;
            log.bytes -= log.lines.pop_front().map_or(0, |line| line.len());
        }
    }

    /// The calls so far, a line each.
    pub(crate) fn transcript(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let first = json!({ "client": self.origin.to_string(), "left_out": log.left_out }).to_string();
        std::iter::once(&first).chain(&log.lines).fold(String::new(), |text, line| text + line + "\n")
    }
}

#[derive(Default)]
struct Log {
    lines: VecDeque<String>,
    bytes: usize,
    left_out: usize,
}

/// All clients.
pub(crate) struct Clients {
    project: Project,
    pipeline: String,
    exposure: Exposure,
    known: Mutex<VecDeque<Arc<Client>>>,
    seen: Mutex<Seen>,
}

impl Clients {
    /// None yet.
    pub(crate) fn new(project: Project, pipeline: String, exposure: Exposure) -> Clients {
        Clients { project, pipeline, exposure, known: Mutex::default(), seen: Mutex::default() }
    }

    /// The client of a request.
    pub(crate) fn of(&self, context: &RequestContext<RoleServer>) -> Arc<Client> {
        let told = context.client_info();
        let said = |text: Option<&str>, otherwise: &str| {
            let text: String = text.unwrap_or_default().chars().take(LONGEST_NAME).collect();
            if text.trim().is_empty() { otherwise.to_owned() } else { escape_line(&text) }
        };
        let origin = Origin::Mcp {
            client: said(told.as_ref().map(|told| told.name.as_str()), "a client without a name"),
            version: said(told.as_ref().map(|told| told.version.as_str()), "0"),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = known.iter().find(|client| client.origin == origin) {
            return client.clone();
        }
        if known.len() >= MOST_CLIENTS {
            known.pop_front();
        }
        let desk = Desk::new(Gate::of(self.project.clone()), self.pipeline.clone(), self.exposure, origin.clone());
        let client =
            Arc::new(Client { origin, desk: tokio::sync::Mutex::new(desk), log: Mutex::default(), last: Mutex::new(Instant::now()) });
        known.push_back(client.clone());
        client
    }

    /// Gives a desk what others saw.
    pub(crate) fn before(&self, desk: &mut Desk) {
        desk.carry(&self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Keeps what a desk saw, for the others. Another desk may have seen something meanwhile, so that nothing is taken away.
    pub(crate) fn after(&self, desk: &Desk) {
        let now = desk.seen();
        self.saw_free_text(&now.free_text);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.level = seen.level.max(now.level);
        seen.looks = seen.looks.max(now.looks);
    }

    /// Free text was shown that no desk knows of.
    pub(crate) fn saw_free_text(&self, sources: &[String]) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for source in sources {
            if !seen.free_text.contains(source) {
                seen.free_text.push(source.clone());
            }
        }
    }
}
