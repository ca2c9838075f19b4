//! An endpoint that speaks OpenAI's Chat Completions: llama.cpp, Ollama, vLLM, or a hosted one. The only file that knows `async-openai`.
//!
//! The crate's own configuration reads `OPENAI_API_KEY` and `OPENAI_BASE_URL` and goes to a public host without them; ours reads no environment, and an
//! endpoint must be named. The crate's own retries are replaced by [`super::transport`], which also bounds what comes back.

use super::error::ModelError;
use super::limits::Limits;
use super::loopback::is_loopback;
use super::reply::Reply;
use super::request::Request;
use super::transport::{Transport, Verdict, host};
use super::wire::{Gathering, body};
use super::{Model, OnText, excerpt};
use crate::secret::{Scanner, Secret};
use async_openai::Client;
use async_openai::config::Config;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use secrecy::SecretString;
use serde_json::Value;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Where a model is, and what it may do.
pub struct Endpoint {
    /// The address up to `/chat/completions`: `http://127.0.0.1:8080/v1`.
    pub url: String,
    /// The model's name there.
    pub model: String,
    /// What the endpoint knows us by.
    pub key: Option<Secret>,
    /// Only addresses on this machine are dialled.
    pub offline: bool,
    /// Bounds of each question.
    pub limits: Limits,
}

impl Endpoint {
    /// A model at an address, without a key, with the usual limits.
    #[must_use]
    pub fn new(url: impl Into<String>, model: impl Into<String>) -> Self {
        Self { url: url.into(), model: model.into(), key: None, offline: false, limits: Limits::default() }
    }

    /// Whether it is on this machine by its own words.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.url.parse().is_ok_and(|url| is_loopback(&url))
    }
}

/// A model behind an endpoint.
pub struct OpenAi {
    transport: Arc<Transport>,
    config: Plain,
    model: String,
    host: String,
    limits: Limits,
}

impl OpenAi {
    /// A client of this endpoint; `scanner` looks through everything that is sent. Nothing is sent yet.
    ///
    /// # Errors
    /// When the address can't be used: no `http` or `https`, a name and password in it, a key that would travel in the clear, or another machine while offline.
    pub fn new(endpoint: Endpoint, scanner: Scanner) -> Result<Self, ModelError> {
        let wrong = |reason: String| ModelError::Endpoint { endpoint: excerpt(without_password(&endpoint.url).as_bytes(), 200), reason };
        if endpoint.url.trim().is_empty() {
            return Err(wrong(
                "none is set; write `endpoint = \"http://127.0.0.1:8080/v1\"` under `[agent]`, with the address of your model's server"
                    .into(),
            ));
        }
        let url: Url = endpoint.url.trim().parse().map_err(|error| wrong(format!("it is no address: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(wrong("it must begin with `http://` or `https://` and name a host".into()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("it holds a name or a password; give the key by `key_env` or `key_file` instead".into()));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("it must end before `?` and `#`".into()));
        }
        if endpoint.offline && super::loopback::is_number(&url) && !is_loopback(&url) {
            return Err(ModelError::Offline { host: host(&url) });
        }
        let mut headers = HeaderMap::new();
        let mut scanner = scanner;
        if let Some(key) = &endpoint.key {
            if url.scheme() == "http" && !is_loopback(&url) {
                return Err(wrong("a key would travel in the clear; use `https://`, or leave out the key".into()));
            }
            let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose()))
                .map_err(|_| wrong("its key holds characters that no key has".into()))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
            scanner = scanner.with_key(key);
        }
        let host = host(&url);
        let transport = Transport::new(&url, endpoint.limits.clone(), scanner, endpoint.offline).map_err(wrong)?;
        let config = Plain { base: url.as_str().trim_end_matches('/').to_owned(), headers, nothing: SecretString::from(String::new()) };
        Ok(Self { transport: Arc::new(transport), config, model: endpoint.model, host, limits: endpoint.limits })
    }

    async fn ask(&self, request: &Request, on_text: OnText<'_>) -> Result<Reply, ModelError> {
        let verdict = Verdict::default();
        let sender = Sender { transport: self.transport.clone(), verdict: verdict.clone() };
        let client = Client::build(self.transport.client(), self.config.clone()).with_http_service(sender);
        let because = |error: &OpenAIError| {
            let what = format!("it can't be read ({})", excerpt(error.to_string().as_bytes(), 120));
            verdict.error().unwrap_or(ModelError::NotAReply { what, excerpt: String::new() })
        };
        let chat = client.chat();
        let mut stream = chat.create_stream_byot::<_, Value>(body(request, &self.model)).await.map_err(|error| because(&error))?;
        let mut gathering = Gathering::new(&self.limits);
        while let Some(chunk) = stream.next().await {
            gathering.take(&chunk.map_err(|error| because(&error))?, &mut *on_text)?;
        }
        if let Some(error) = verdict.error() {
            return Err(error);
        }
        if verdict.was_cut() && !gathering.is_finished() {
            return Err(ModelError::Cut { bytes: gathering.text_bytes() });
        }
        gathering.finish(request)
    }
}

#[async_trait]
impl Model for OpenAi {
    async fn reply(&self, request: &Request, on_text: OnText<'_>) -> Result<Reply, ModelError> {
        let total = self.limits.total;
        let asked = tokio::time::timeout(total, self.ask(request, on_text)).await;
        asked.unwrap_or(Err(ModelError::TimedOut { what: "the answer was not whole", after: total }))
    }

    fn name(&self) -> String {
        format!("{} @ {}", self.model, self.host)
    }
}

/// An address without what stands before `@`, for messages.
fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}://…{}", &url[..scheme], &url[at..]),
        (None, Some(at)) => format!("…{}", &url[at..]),
        _ => url.to_owned(),
    }
}

/// The crate's configuration, from our settings alone.
#[derive(Clone)]
struct Plain {
    base: String,
    headers: HeaderMap,
    nothing: SecretString,
}

impl Config for Plain {
    fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn query(&self) -> Vec<(&str, &str)> {
        Vec::new()
    }

    fn api_base(&self) -> &str {
        &self.base
    }

    /// The key stands in the headers; the crate asks for it here only for what we don't use.
    fn api_key(&self) -> &SecretString {
        &self.nothing
    }
}

/// Our transport as the crate's way of sending.
#[derive(Clone)]
struct Sender {
    transport: Arc<Transport>,
    verdict: Verdict,
}

impl tower_service::Service<HttpRequestFactory> for Sender {
    type Response = reqwest::Response;
    type Error = OpenAIError;
    type Future = BoxFuture<'static, Result<reqwest::Response, OpenAIError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), OpenAIError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, factory: HttpRequestFactory) -> Self::Future {
        let Self { transport, verdict } = self.clone();
        Box::pin(async move {
            let request = factory.build().await?;
            transport.send(request, verdict.clone()).await.map_err(|error| {
                verdict.fail(error);
                OpenAIError::InvalidArgument("see the verdict".into())
            })
        })
    }
}
