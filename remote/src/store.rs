//! Objects of stores that speak S3.

use crate::Options;
use crate::error::{Failure, chain};
use crate::file::{Body, Identity, Piece};
use crate::web::changed;
use futures_util::StreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path as Key;
use object_store::{ClientOptions, Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, RetryConfig};
use std::ops::Range;
use std::sync::Arc;

/// The most objects of a listing.
const MOST_OBJECTS: usize = 1 << 21;

/// An object, or the beginning of the names of some.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub store: Arc<dyn ObjectStore>,
    pub key: Key,
}

/// The bucket of an address, and what follows it. Credentials come from the environment, where it has some and the bucket is not known to be open
/// to all.
pub(crate) fn bucket(name: &str, open_to_all: bool, options: &Options) -> Result<Arc<dyn ObjectStore>, Failure> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // Requests are repeated one floor up, where all failures are the same.
    let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    let client =
        ClientOptions::new().with_timeout(options.timeout).with_connect_timeout(options.timeout.min(std::time::Duration::from_secs(10)));
    let signed = !open_to_all && std::env::var_os("AWS_ACCESS_KEY_ID").is_some();
    let builder = if signed { AmazonS3Builder::from_env() } else { AmazonS3Builder::new().with_skip_signature(true) };
    let named = std::env::var_os("AWS_REGION").is_some() || std::env::var_os("AWS_DEFAULT_REGION").is_some();
    let mut builder = builder.with_bucket_name(name).with_retry(retry);
    if !(signed && named) {
        builder = builder.with_region(&options.s3_region);
    }
    let mut client = client;
    if let Some(endpoint) = &options.s3 {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
        client = client.with_allow_http(endpoint.starts_with("http://"));
    }
    let store = builder.with_client_options(client).build();
    store
        .map(|store| Arc::new(store) as Arc<dyn ObjectStore>)
        .map_err(|error| Failure::lasting(chain(&error), "check the address and the credentials"))
}

fn told(error: &Error) -> Failure {
    match error {
        Error::NotFound { .. } => Failure::lasting("there is no such file", "check the address"),
        Error::Precondition { .. } | Error::NotModified { .. } => changed(),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            Failure::lasting("the store refuses", "check that you may read it, and the credentials in the environment")
        }
        Error::InvalidPath { .. } => Failure::lasting(chain(error), "check the address"),
        _ => Failure::passing(chain(error)),
    }
}

impl Object {
    pub(crate) async fn piece(&self, range: Range<u64>, pin: Option<&Identity>) -> Result<Piece, Failure> {
        let if_match = pin.and_then(|pin| pin.tag.strip_prefix("etag ")).map(str::to_owned);
        let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), if_match, ..GetOptions::default() };
        let got = match self.store.get_opts(&self.key, options).await {
            Ok(got) => got,
            Err(error) => {
                // An empty object has no part.
                if pin.is_none() && range.start == 0 && matches!(error, Error::Generic { .. }) {
                    let meta = self.store.head(&self.key).await.map_err(|error| told(&error))?;
                    if meta.size == 0 {
                        let tag = meta.e_tag.map(|tag| format!("etag {tag}")).unwrap_or_default();
                        return Ok(Piece { identity: Identity { length: 0, tag }, ranged: true, body: Body::Empty });
                    }
                }
                return Err(told(&error));
            }
        };
        let length = got.meta.size;
        if got.range != (range.start..range.end.min(length)) {
            let reason =
                format!("bytes {} to {} were asked for, the store sends {} to {}", range.start, range.end, got.range.start, got.range.end);
            return Err(Failure::lasting(reason, "download the file in another way"));
        }
        let tag = got.meta.e_tag.clone().map_or_else(|| format!("time {}", got.meta.last_modified), |tag| format!("etag {tag}"));
        let expected = got.range.end - got.range.start;
        Ok(Piece { identity: Identity { length, tag }, ranged: true, body: Body::Store(got.into_stream(), expected) })
    }

    /// The names below, without what is common to them, and lengths; sorted.
    pub(crate) async fn list(&self) -> Result<Vec<(String, u64)>, Failure> {
        let mut listed = self.store.list(Some(&self.key));
        let mut found = Vec::new();
        while let Some(object) = listed.next().await {
            let object = object.map_err(|error| told(&error))?;
            let Some(parts) = object.location.prefix_match(&self.key) else { continue };
            let name = parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/");
            if !name.is_empty() {
                found.push((name, object.size));
            }
            if found.len() > MOST_OBJECTS {
                return Err(Failure::lasting(format!("there are more than {MOST_OBJECTS} files"), "name a folder further down"));
            }
        }
        found.sort();
        Ok(found)
    }
}

/// The bytes of a body, as many as were promised.
pub(crate) async fn read(
    mut stream: futures_util::stream::BoxStream<'static, Result<bytes::Bytes, Error>>,
    expected: u64,
) -> Result<Vec<u8>, Failure> {
    let mut bytes: Vec<u8> = Vec::new();
    while let Some(part) = stream.next().await {
        bytes.extend_from_slice(&part.map_err(|error| told(&error))?);
        if bytes.len() as u64 > expected {
            return Err(Failure::lasting(
                format!("the store sends more than the {expected} bytes that it may"),
                "download the file in another way",
            ));
        }
    }
    if (bytes.len() as u64) < expected {
        return Err(Failure::passing(format!("the answer broke off after {} of {expected} bytes", bytes.len())));
    }
    Ok(bytes)
}
