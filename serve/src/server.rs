//! The server: on this machine only, for who holds the link.
//!
//! Another machine can't reach a loopback address; a page in a browser on this one can, and so can other people's programs. Against both stand the token in
//! each request for anything but the empty page, and the checks of `Host` (a name that was made to point here) and `Origin` (a page from elsewhere).

use crate::routes::{plain, router};
use crate::watch::Watch;
use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN};
use axum::http::{Method, Request, Response, StatusCode};
use neuroflow_agent::Gate;
use neuroflow_engine::session::Session;
use neuroflow_loopback::Token;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpListener;
use tower_service::Service;

/// Why the page can't be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The port can't be listened at.
    #[error("port {port} can't be listened at: {error}")]
    Port {
        /// The port.
        port: u16,
        /// Why.
        error: std::io::Error,
    },
}

/// What the page is about.
pub struct Options {
    /// The project's name, for a person.
    pub project: String,
    /// The cache and the stages.
    pub session: Session,
    /// The project's gate as it was at the beginning: only for lists, which no setting changes.
    pub looking: Gate,
    /// Makes the project's gate, with the settings as they are at that moment.
    pub gate: Box<dyn Fn() -> Result<Gate, String> + Send + Sync>,
}

/// A server that listens.
pub struct PageServer {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    token: Arc<Token>,
}

impl PageServer {
    /// Begins to listen at a port of this machine; with 0, the system chooses one.
    ///
    /// # Errors
    /// When the port can't be listened at.
    pub async fn bind(options: Options, port: u16, token: Token) -> Result<PageServer, ServeError> {
        let told = |error| ServeError::Port { port, error };
        let token = Arc::new(token);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(told)?;
        let address = listener.local_addr().map_err(told)?;
        Ok(PageServer { listener, address, router: router(Arc::new(Watch::new(options, Arc::clone(&token)))), token })
    }

    /// The link that opens the page. What stands behind `#` is not sent to any server; the page keeps it and shows it with each request.
    pub fn link(&self) -> String {
        format!("http://{}/#{}", self.address, self.token.reveal())
    }

    /// Answers until the program ends.
    pub async fn run(self) {
        let door = Arc::new(Door { hosts: [self.address.to_string(), format!("localhost:{}", self.address.port())], token: self.token });
        let router = self.router;
        let answer = move |request: Request<_>| {
            let (mut router, door) = (router.clone(), door.clone());
            async move {
                guarded(match door.refused(&request) {
                    Some(refusal) => refusal,
                    None => router.call(request.map(Body::new)).await.unwrap_or_else(|never| match never {}),
                })
            }
        };
        neuroflow_loopback::serve(self.listener, answer).await;
    }
}

/// Who may come in.
struct Door {
    hosts: [String; 2],
    token: Arc<Token>,
}

impl Door {
    /// The refusal of a request that goes elsewhere, comes from elsewhere, or does not show the token where that is needed.
    fn refused<T>(&self, request: &Request<T>) -> Option<Response<Body>> {
        let header = |name: HeaderName| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
        let is_own = |host: &str| self.hosts.iter().any(|own| own == host);
        if !header(HOST).is_some_and(is_own) {
            return Some(plain(
                StatusCode::MISDIRECTED_REQUEST,
                "this server answers to its own address only; open the link that it printed",
            ));
        }
        let from_here = header(ORIGIN).map(|origin| origin.strip_prefix("http://").is_some_and(is_own));
        // Browsers say where a change comes from; what says nothing is no page of ours.
        if from_here == Some(false) || (from_here.is_none() && request.method() == Method::POST) {
            return Some(plain(StatusCode::FORBIDDEN, "this request comes from another page"));
        }
        let needs_token = request.uri().path().starts_with("/api/");
        if needs_token && !self.token.fits(header(AUTHORIZATION)) {
            return Some(plain(StatusCode::UNAUTHORIZED, "the link is not the one that `neuroflow serve` printed"));
        }
        None
    }
}

/// An answer with what browsers are held to: nothing from elsewhere, nothing inside of other pages, nothing kept. A report is held to more than that.
fn guarded(mut answer: Response<Body>) -> Response<Body> {
    let held = [
        (
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'",
        ),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ];
    for (name, value) in held {
        answer.headers_mut().entry(HeaderName::from_static(name)).or_insert(axum::http::HeaderValue::from_static(value));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_from_elsewhere_or_without_the_token_stays_outside() {
        let token = Token::new().unwrap();
        let bearer = format!("Bearer {}", token.reveal());
        let door = Door { hosts: ["127.0.0.1:8799".into(), "localhost:8799".into()], token: Arc::new(token) };
        let status = |method: &str, path: &str, headers: &[(&str, &str)]| {
            let request = Request::builder().method(method).uri(path);
            let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            door.refused(&request.body(()).unwrap()).map(|refusal| refusal.status().as_u16())
        };
        let (host, auth, origin) = (("host", "127.0.0.1:8799"), ("authorization", bearer.as_str()), ("origin", "http://127.0.0.1:8799"));
        assert_eq!(status("GET", "/", &[host]), None);
        assert_eq!(status("GET", "/api/state", &[host, auth]), None);
        assert_eq!(status("POST", "/api/x", &[("host", "localhost:8799"), auth, ("origin", "http://localhost:8799")]), None);
        assert_eq!(status("GET", "/api/state", &[host]), Some(401));
        assert_eq!(status("GET", "/api/state", &[host, ("authorization", "Bearer 00")]), Some(401));
        assert_eq!(status("GET", "/", &[]), Some(421));
        for elsewhere in ["evil.example:8799", "127.0.0.1", "127.0.0.1:80", "localhost:8799.evil.example", ""] {
            assert_eq!(status("GET", "/api/state", &[("host", elsewhere), auth]), Some(421), "{elsewhere}");
        }
        assert_eq!(status("POST", "/api/x", &[host, auth]), Some(403));
        for elsewhere in ["http://evil.example", "null", "https://127.0.0.1:8799", "http://127.0.0.1:1", ""] {
            assert_eq!(status("POST", "/api/x", &[host, auth, ("origin", elsewhere)]), Some(403), "{elsewhere}");
            assert_eq!(status("GET", "/", &[host, ("origin", elsewhere)]), Some(403), "{elsewhere}");
        }
        assert_eq!(status("POST", "/api/x", &[host, origin]), Some(401));
    }
}
