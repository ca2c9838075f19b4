//! The threads on which requests run, and the clients that make them. Callers know nothing of `async` and may be threads of another runtime.

use crate::Options;
use crate::address::is_private;
use crate::error::{Failure, chain};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::future::Future;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// What all requests of the process share.
pub(crate) struct Net {
    runtime: Runtime,
    /// For addresses that a person gave.
    pub any: reqwest::Client,
    /// For addresses that came from elsewhere: it connects to the public network only.
    pub public: reqwest::Client,
}

static NET: LazyLock<Result<Net, String>> = LazyLock::new(|| {
    // Everything speaks TLS through one library; another part of the program may have chosen it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = || {
        reqwest::Client::builder()
            .user_agent(concat!("neuroflow/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(Duration::from_secs(10))
    };
    let said = |error: reqwest::Error| chain(&error);
    let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("remote files").enable_all().build();
    Ok(Net {
        runtime: runtime.map_err(|error| error.to_string())?,
        any: client().build().map_err(said)?,
        public: client().dns_resolver(Arc::new(PublicOnly)).build().map_err(said)?,
    })
});

/// The one of this process.
pub(crate) fn net() -> Result<&'static Net, Failure> {
    NET.as_ref()
        .map_err(|reason| Failure::lasting(format!("no request can be made: {reason}"), "see that the system's certificates are there"))
}

impl Net {
    /// Runs a request on the threads of this, and waits for it.
    pub(crate) fn ask<T: Send + 'static>(&self, request: impl Future<Output = Result<T, Failure>> + Send + 'static) -> Result<T, Failure> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            // The receiver waits below.
            let _ = sender.send(request.await);
        });
        receiver.recv().unwrap_or_else(|_| Err(Failure::lasting("the request was given up", "report this")))
    }
}

/// Asks again while that helps, as often as the options say, with pauses that double or are as long as the server wants.
pub(crate) async fn persistently<T, F: Future<Output = Result<T, Failure>>>(
    options: &Options,
    request: impl Fn() -> F,
) -> Result<T, Failure> {
    let mut pause = Duration::from_millis(200);
    let mut tries = 0;
    loop {
        match request().await {
            Err(Failure { again: Some(wanted), reason, help }) if tries < options.retries => {
                let wait = wanted.unwrap_or(pause);
                if wait > options.longest_wait {
                    let reason = format!("{reason}, and the server wants {} seconds to be waited", wait.as_secs());
                    return Err(Failure { reason, help, again: None });
                }
                tokio::time::sleep(wait).await;
                pause = (pause * 2).min(Duration::from_secs(5));
                tries += 1;
            }
            answer => return answer,
        }
    }
}

/// Finds names, but gives no address of this machine or its network.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<_> = tokio::net::lookup_host((host.as_str(), 0)).await?.filter(|address| !is_private(address.ip())).collect();
            if found.is_empty() {
                return Err(format!("`{host}` has no address on the public network").into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
