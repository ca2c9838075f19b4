//! Paths and their answers.

use crate::decide::{Refusal, approve, reject, shown};
use crate::history::lines;
use crate::watch::Watch;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use neuroflow_agent::ProposalId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::runtime::Handle;

/// The most bytes that a request may have.
const LONGEST_REQUEST: usize = 64 << 10;

/// Who shares a group of windows with a page.
pub(crate) const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

type Shared = State<Arc<Watch>>;
type Answer = Response<Body>;

/// The paths. What begins with `/api/` is for who shows the token, and a report for who has its key; the rest is the empty page.
pub(crate) fn router(watch: Arc<Watch>) -> Router {
    Router::new()
        .route("/", get(|| async { file("text/html; charset=utf-8", include_str!("../page/index.html")) }))
        .route("/page.css", get(|| async { file("text/css; charset=utf-8", include_str!("../page/page.css")) }))
        .route("/page.js", get(|| async { file("text/javascript; charset=utf-8", include_str!("../page/page.js")) }))
        .route("/api/state", get(state))
        .route("/api/history", get(history))
        .route("/api/figures/{run}", get(figures))
        .route("/api/log/{run}/{task}", get(log))
        .route("/report/{run}/{name}/{key}", get(report))
        .route("/api/proposal/{id}", get(proposal))
        .route("/api/proposal/{id}/approve", post(yes))
        .route("/api/proposal/{id}/reject", post(no))
        .fallback(|| async { plain(StatusCode::NOT_FOUND, "there is nothing here; the page is at /") })
        .layer(DefaultBodyLimit::max(LONGEST_REQUEST))
        .with_state(watch)
}

/// A short text as an answer.
pub(crate) fn plain(status: StatusCode, text: &str) -> Answer {
    let mut answer = file("text/plain; charset=utf-8", text);
    *answer.status_mut() = status;
    answer
}

fn file(kind: &'static str, text: &str) -> Answer {
    let mut answer = Response::new(Body::from(text.to_owned()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

fn json<T: Serialize>(value: &T) -> Answer {
    match serde_json::to_string(value) {
        Ok(text) => file("application/json", &text),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// Does what reads disks or takes long aside of the connections.
async fn aside(work: impl FnOnce() -> Answer + Send + 'static) -> Answer {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| plain(StatusCode::INTERNAL_SERVER_ERROR, &format!("this is a mistake in neuroflow: {error}")))
}

async fn state(State(watch): Shared) -> Answer {
    aside(move || json(&watch.state())).await
}

async fn history(State(watch): Shared) -> Answer {
    aside(move || json(&lines(&watch.looked_back()))).await
}

async fn figures(State(watch): Shared, Path(run): Path<String>) -> Answer {
    aside(move || match watch.figures(&run) {
        Ok(figures) => json(&figures),
        Err(reason) => plain(StatusCode::NOT_FOUND, &reason),
    })
    .await
}

async fn log(State(watch): Shared, Path((run, task)): Path<(String, String)>) -> Answer {
    aside(move || match watch.log(&run, &task) {
        Ok(text) => plain(StatusCode::OK, &text),
        Err(reason) => plain(StatusCode::NOT_FOUND, &reason),
    })
    .await
}

/// A report as a page of its own. It is given an origin that nothing else has, so that it can ask this server nothing, and is held to what it holds itself to.
async fn report(State(watch): Shared, Path((run, name, key)): Path<(String, String, String)>) -> Answer {
    aside(move || match watch.report(&run, &name, &key) {
        Ok(bytes) => {
            let policy = format!("{}; frame-ancestors 'none'; sandbox allow-scripts allow-downloads", neuroflow_report::policy());
            let mut answer = Response::new(Body::from(bytes));
            let held = HeaderValue::from_str(&policy).map(|policy| answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy));
            if held.is_err() {
                return plain(StatusCode::INTERNAL_SERVER_ERROR, "what the report is held to can't be said");
            }
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
            // A page without an origin can't have one that its opener shares.
            answer.headers_mut().insert(OPENER, HeaderValue::from_static("unsafe-none"));
            answer
        }
        Err(reason) => plain(StatusCode::NOT_FOUND, &reason),
    })
    .await
}

/// A proposal's full name; the beginning of one is for people.
fn named(id: &str) -> Result<ProposalId, Box<Answer>> {
    ProposalId::parse(id).ok_or_else(|| Box::new(plain(StatusCode::NOT_FOUND, "there is no such proposal")))
}

async fn proposal(State(watch): Shared, Path(id): Path<String>) -> Answer {
    aside(move || {
        let id = match named(&id) {
            Ok(id) => id,
            Err(answer) => return *answer,
        };
        match watch.gate().and_then(|gate| Handle::current().block_on(shown(&gate, &id))) {
            Ok(shown) => json(&shown),
            Err(reason) => plain(StatusCode::NOT_FOUND, &reason),
        }
    })
    .await
}

/// A yes: what the person typed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Yes {
    typed: String,
}

/// A no, with its reason.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct No {
    reason: String,
}

async fn yes(State(watch): Shared, Path(id): Path<String>, Json(yes): Json<Yes>) -> Answer {
    aside(move || {
        let id = match named(&id) {
            Ok(id) => id,
            Err(answer) => return *answer,
        };
        let done = watch.gate().map_err(Refusal::Not).and_then(|gate| Handle::current().block_on(approve(&gate, &id, &yes.typed)));
        match done {
            Ok(applied) => json(&serde_json::json!({ "commit": applied.commit, "files": applied.files })),
            Err(refusal) => refused(&refusal),
        }
    })
    .await
}

async fn no(State(watch): Shared, Path(id): Path<String>, Json(no): Json<No>) -> Answer {
    aside(move || {
        let id = match named(&id) {
            Ok(id) => id,
            Err(answer) => return *answer,
        };
        match watch.gate().map_err(Refusal::Not).and_then(|gate| reject(&gate, &id, &no.reason)) {
            Ok(()) => json(&serde_json::json!({ "rejected": true })),
            Err(refusal) => refused(&refusal),
        }
    })
    .await
}

fn refused(refusal: &Refusal) -> Answer {
    match refusal {
        Refusal::Elsewhere(reason) => plain(StatusCode::FORBIDDEN, reason),
        Refusal::Not(reason) => plain(StatusCode::CONFLICT, reason),
    }
}
