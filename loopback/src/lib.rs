//! What servers for this machine alone have in common: connections, at most so many at once, and the token that each request shows.
//!
//! Another machine can't reach a loopback address; a page in a browser on this one can, and so can other people's programs. What is answered to whom is the
//! server's own business.

mod token;

pub use token::Token;

use hyper::body::{Body, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// The most connections at once.
const MOST_CONNECTIONS: usize = 64;

/// How long it is waited after a connection that could not be taken.
const PAUSE: Duration = Duration::from_millis(50);

/// Takes connections and answers their requests, for as long as the program runs.
pub async fn serve<A, F, B>(listener: TcpListener, answer: A)
where
    A: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    // Nobody closes the places.
    while let Ok(place) = places.clone().acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // A client that went while it came; anything lasting shows again at once, and must not turn in a circle at full speed.
            Err(_) => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let answer = answer.clone();
        tokio::spawn(async move {
            let _place = place;
            let answering = hyper::service::service_fn(move |request| {
                let answered = answer(request);
                async move { Ok::<_, Infallible>(answered.await) }
            });
            // How a connection ends is the client's affair.
            let _ =
                hyper::server::conn::http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), answering).await;
        });
    }
}
