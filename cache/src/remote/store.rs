//! Requests to an object store, from threads that know nothing of `async`.

use super::{MOST_FAILURES, redacted};
use crate::digest::Digest;
use crate::error::CacheError;
use bytes::Bytes;
use futures_util::StreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{
    BackoffConfig, ClientOptions, Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig,
    WriteMultipart,
};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Objects are fetched in pieces of this size, so that each piece has a time limit of its own.
pub(crate) const PIECE: u64 = 16 << 20;
/// Larger objects are uploaded in parts.
const ONE_PUT: usize = 32 << 20;

/// The two maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Map {
    Objects,
    Actions,
}

pub(crate) struct Store {
    url: String,
    read_only: bool,
    inner: Arc<dyn ObjectStore>,
    prefix: Key,
    /// None only while this is dropped.
    runtime: Option<Runtime>,
    failures: AtomicU32,
    off: AtomicBool,
}

/// Why a remote did not give something.
#[derive(Debug)]
pub(crate) enum NotGiven {
    /// It does not have it.
    Missing,
    /// It was switched off before.
    Off,
    /// It failed; the text is set when this was the last straw.
    Failed(Option<String>),
}

impl Store {
    pub(crate) fn open(url: &str) -> Result<Store, CacheError> {
        let wrong = |reason: String| CacheError::Remote { url: redacted(url), reason };
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let retry = RetryConfig {
            backoff: BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(2), base: 2.0 },
            max_retries: 3,
            retry_timeout: Duration::from_secs(20),
        };
        // Everything speaks TLS through one library; another part of the program may have chosen it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let said = |error: Error| wrong(redacted(&error.to_string()));
        let below = rest.split_once('/').map_or("", |(_, prefix)| prefix);
        let (inner, prefix): (Arc<dyn ObjectStore>, &str) = match scheme {
            "s3" => (Arc::new(AmazonS3Builder::from_env().with_url(url).with_retry(retry).build().map_err(said)?), below),
            "gs" => (Arc::new(GoogleCloudStorageBuilder::from_env().with_url(url).with_retry(retry).build().map_err(said)?), below),
            "az" => (Arc::new(MicrosoftAzureBuilder::from_env().with_url(url).with_retry(retry).build().map_err(said)?), below),
            "http" | "https" => {
                let options = ClientOptions::new().with_allow_http(scheme == "http");
                (Arc::new(HttpBuilder::new().with_url(url).with_client_options(options).with_retry(retry).build().map_err(said)?), "")
            }
            "file" if rest.starts_with('/') => {
                std::fs::create_dir_all(rest).map_err(|error| wrong(error.to_string()))?;
                (Arc::new(LocalFileSystem::new_with_prefix(rest).map_err(said)?), "")
            }
            _ => return Err(wrong("it begins with none of `s3://`, `gs://`, `az://`, `https://`, `file:///`".into())),
        };
        let prefix = Key::parse(prefix.trim_matches('/')).map_err(|error| wrong(error.to_string()))?;
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("remote cache").enable_all().build();
        let runtime = Some(runtime.map_err(|error| wrong(error.to_string()))?);
        let read_only = matches!(scheme, "http" | "https");
        Ok(Store { url: redacted(url), read_only, inner, prefix, runtime, failures: AtomicU32::new(0), off: AtomicBool::new(false) })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Whether it is left alone for the rest of the run.
    pub(crate) fn is_off(&self) -> bool {
        self.off.load(Ordering::SeqCst)
    }

    fn key(&self, map: Map, digest: &Digest) -> Key {
        let name = digest.to_string();
        let (folder, rest) = name.split_at(2);
        let map = if map == Map::Objects { "objects" } else { "actions" };
        ["v1", map, folder, rest].into_iter().fold(self.prefix.clone(), |key, part| key.join(part))
    }

    /// Runs a request on the store's own threads and waits for it. The caller may be a thread of another runtime, which must not wait for futures.
    fn ask<T: Send + 'static>(&self, request: impl Future<Output = Result<T, Error>> + Send + 'static) -> Result<T, NotGiven> {
        let Some(runtime) = self.runtime.as_ref().filter(|_| !self.is_off()) else { return Err(NotGiven::Off) };
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        runtime.spawn(async move {
            // The receiver waits below.
            let _ = sender.send(request.await);
        });
        match receiver.recv() {
            Ok(Ok(answer)) => {
                self.failures.store(0, Ordering::SeqCst);
                Ok(answer)
            }
            Ok(Err(Error::NotFound { .. })) => {
                self.failures.store(0, Ordering::SeqCst);
                Err(NotGiven::Missing)
            }
            Ok(Err(error)) => Err(self.failed(&error)),
            Err(_) => Err(NotGiven::Failed(None)),
        }
    }

    fn failed(&self, error: &Error) -> NotGiven {
        let refused = matches!(error, Error::PermissionDenied { .. } | Error::Unauthenticated { .. });
        let failures = self.failures.fetch_add(1, Ordering::SeqCst) + 1;
        if (refused || failures >= MOST_FAILURES) && !self.off.swap(true, Ordering::SeqCst) {
            let what = if refused { "refuses: check the credentials in the environment".into() } else { redacted(&chain(error)) };
            return NotGiven::Failed(Some(what));
        }
        NotGiven::Failed(None)
    }

    /// The length of an object.
    pub(crate) fn length(&self, map: Map, digest: &Digest) -> Result<u64, NotGiven> {
        let (inner, key) = (Arc::clone(&self.inner), self.key(map, digest));
        self.ask(async move { inner.head(&key).await.map(|meta| meta.size) })
    }

    /// Bytes of an object from `start` on: a whole one, when there are no more than `most` left, else its first `most` and one more.
    pub(crate) fn get(&self, map: Map, digest: &Digest, start: u64, most: u64) -> Result<Vec<u8>, NotGiven> {
        let (inner, key) = (Arc::clone(&self.inner), self.key(map, digest));
        self.ask(async move {
            let range = (start > 0).then(|| GetRange::Bounded(start..start + most));
            let mut stream = inner.get_opts(&key, GetOptions { range, ..GetOptions::default() }).await?.into_stream();
            let mut bytes = Vec::new();
            // A body may be longer than anything that was promised.
            while let Some(part) = stream.next().await {
                bytes.extend_from_slice(&part?);
                if bytes.len() as u64 > most {
                    bytes.truncate(usize::try_from(most).unwrap_or(usize::MAX).saturating_add(1));
                    break;
                }
            }
            Ok(bytes)
        })
    }

    /// Writes an object; when `create`, only where there is none.
    pub(crate) fn put(&self, map: Map, digest: &Digest, content: Bytes, create: bool) -> Result<(), NotGiven> {
        let (inner, key) = (Arc::clone(&self.inner), self.key(map, digest));
        self.ask(async move {
            if content.len() > ONE_PUT {
                let mut upload = WriteMultipart::new(inner.put_multipart(&key).await?);
                for at in (0..content.len()).step_by(ONE_PUT / 4) {
                    upload.wait_for_capacity(4).await?;
                    upload.put(content.slice(at..content.len().min(at + ONE_PUT / 4)));
                }
                return upload.finish().await.map(|_| ());
            }
            let payload = PutPayload::from(content);
            let mode = if create { PutMode::Create } else { PutMode::Overwrite };
            match inner.put_opts(&key, payload.clone(), PutOptions::from(mode)).await {
                Ok(_) | Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(()),
                // A store that knows no conditions.
                Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) if create => {
                    inner.put_opts(&key, payload, PutOptions::default()).await.map(|_| ())
                }
                Err(error) => Err(error),
            }
        })
    }
}

/// An error with its causes: the first often says only that a request failed.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // This may happen on a thread of another runtime, which must not wait.
            runtime.shutdown_background();
        }
    }
}
