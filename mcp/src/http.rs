//! The server over HTTP: on this machine only, for who holds the token.
//!
//! Another machine can't reach a loopback address; a page in a browser on this one can, and so can other people's programs. Against both stand the token in
//! each request, and the checks of `Host` (a name that was made to point here) and `Origin` (a page from elsewhere).

use crate::server::{LONGEST_MESSAGE, ServeError, Server};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use neuroflow_loopback::Token;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// The one path.
const PATH: &str = "/mcp";

/// A server that listens.
pub struct HttpServer {
    listener: TcpListener,
    address: SocketAddr,
    server: Server,
    token: Arc<Token>,
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

impl HttpServer {
    /// Begins to listen. With port 0, the system chooses one.
    ///
    /// # Errors
    /// When the address is not one of this machine alone, or can't be listened at.
    pub async fn bind(server: Server, address: SocketAddr, token: Token) -> Result<HttpServer, ServeError> {
        if !address.ip().is_loopback() {
            return Err(ServeError::Start(format!("{address} can be reached from other machines; give 127.0.0.1 with a port")));
        }
        let told = |error: std::io::Error| ServeError::Start(format!("{address} can't be listened at: {error}"));
        let listener = TcpListener::bind(address).await.map_err(told)?;
        let address = listener.local_addr().map_err(told)?;
        Ok(HttpServer { listener, address, server, token: Arc::new(token) })
    }

    /// Where clients find it.
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Answers until the program ends.
    pub async fn run(self) {
        let port = self.address.port();
        let hosts = [self.address.to_string(), format!("localhost:{port}")];
        let config = StreamableHttpServerConfig::default()
            .with_allowed_hosts(hosts.clone())
            .with_allowed_origins(hosts.map(|host| format!("http://{host}")))
            .enforce_origin_validation()
            .with_max_request_body_bytes(LONGEST_MESSAGE);
        let (server, token) = (self.server, self.token);
        let service = StreamableHttpService::new(move || Ok(server.clone()), Arc::new(LocalSessionManager::default()), config);
        let answer = move |request: Request<Incoming>| {
            let (service, token) = (service.clone(), token.clone());
            async move {
                match refused(&request, &token) {
                    Some(refusal) => refusal,
                    None => service.handle(request).await,
                }
            }
        };
        neuroflow_loopback::serve(self.listener, answer).await;
    }
}

/// The refusal of a request that does not show the token, or goes elsewhere.
fn refused(request: &Request<Incoming>, token: &Token) -> Option<Answer> {
    if !token.fits(request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok())) {
        return Some(answer(StatusCode::UNAUTHORIZED, "the token is missing or wrong; `neuroflow mcp --http` printed it when it began"));
    }
    (request.uri().path() != PATH).then(|| answer(StatusCode::NOT_FOUND, "there is nothing here; the server is at /mcp"))
}

fn answer(status: StatusCode, text: &'static str) -> Answer {
    let body = Full::new(Bytes::from_static(text.as_bytes())).boxed();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("text/plain; charset=utf-8"));
    if status == StatusCode::UNAUTHORIZED {
        answer.headers_mut().insert(WWW_AUTHENTICATE, http::HeaderValue::from_static("Bearer"));
    }
    answer
}
