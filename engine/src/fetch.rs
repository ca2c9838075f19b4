//! Getting the files of a data set: from the cache, from a mirror folder, or from the network, in this order.
//!
//! A file counts only when its SHA-256 is the one in the registry. Downloads go to a partial file that is resumed after a broken connection or a killed
//! process, and enter the cache when they are whole and right.

use crate::dataset::{DataFile, DataSet};
use futures_util::StreamExt;
use neuroflow_cache::{ActionOutput, ActionRecord, Cache, Digest, KeyEncoder};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Where files may come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Folders with copies, looked into in order.
    pub mirrors: Vec<PathBuf>,
    /// Never use the network.
    pub offline: bool,
}

/// Told how far a download is: file label, bytes so far, bytes in all.
pub type OnProgress<'a> = &'a (dyn Fn(&str, u64, u64) + Send + Sync);

/// A file of a data set, in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The file's label.
    pub label: String,
    /// Its content digest in the cache.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// Why a data set can't be had, with all that was tried.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// A file was not found, or not with the right digest.
    #[error("data set `{set}`: file `{file}` can't be had; tried:{}", list(tried))]
    NotFound {
        /// The data set.
        set: String,
        /// The file.
        file: String,
        /// Each place, and what happened there.
        tried: Vec<String>,
    },
    /// The cache refused.
    #[error(transparent)]
    Cache(#[from] neuroflow_cache::CacheError),
}

fn list(tried: &[String]) -> String {
    tried.iter().fold(String::new(), |mut text, line| {
        let _ = write!(text, "\n  - {line}");
        text
    })
}

/// All files of a data set, in the registry's order, each in the cache.
///
/// # Errors
/// When a file can't be had, naming each mirror and URL tried and what was wrong there.
pub async fn fetch(
    cache: &Cache,
    name: &str,
    set: &DataSet,
    sources: &Sources,
    on_progress: OnProgress<'_>,
) -> Result<Vec<Fetched>, FetchError> {
    let mut fetched = Vec::with_capacity(set.files.len());
    for file in &set.files {
        fetched.push(fetch_file(cache, name, set, file, sources, on_progress).await?);
    }
    Ok(fetched)
}

/// Whether a file is in the cache already.
///
/// # Errors
/// When the cache can't be read.
pub fn cached(cache: &Cache, file: &DataFile) -> Result<Option<Fetched>, FetchError> {
    let record = cache.lookup(&file_key(file))?;
    Ok(record.and_then(|record| record.outputs.into_iter().next()).map(|output| Fetched {
        label: file.label.clone(),
        digest: output.digest,
        size: output.size,
    }))
}

async fn fetch_file(
    cache: &Cache,
    name: &str,
    set: &DataSet,
    file: &DataFile,
    sources: &Sources,
    on_progress: OnProgress<'_>,
) -> Result<Fetched, FetchError> {
    if let Some(found) = cached(cache, file)? {
        return Ok(found);
    }
    let mut tried = Vec::new();
    for candidate in candidates(name, set, file, &sources.mirrors) {
        match check_file(&candidate, file) {
            Ok(()) => return publish(cache, name, file, &candidate),
            Err(reason) => tried.push(format!("{}: {reason}", candidate.display())),
        }
    }
    if sources.mirrors.is_empty() {
        tried.push("no mirror folder is set (NEUROFLOW_MIRRORS, or `mirrors` in the user's configuration)".into());
    }
    match file.address(set) {
        None => tried.push("the registry has no address for it".into()),
        Some(address) if sources.offline => tried.push(format!("{address}: not asked, the network is switched off")),
        Some(address) => {
            let partial = cache.scratch_dir()?.join(format!("{}.part", file.sha256));
            // One process downloads a file; the others wait for it, and find it in the cache.
            let turn = take_turn(&partial).await;
            cache.refresh()?;
            if let Some(found) = cached(cache, file)? {
                return Ok(found);
            }
            let _turn = match turn {
                Ok(turn) => turn,
                Err(reason) => {
                    tried.push(format!("{address}: {reason}"));
                    return Err(FetchError::NotFound { set: name.to_owned(), file: file.name.clone(), tried });
                }
            };
            match download(&address, &partial, file, on_progress).await {
                Ok(()) => {
                    let published = publish(cache, name, file, &partial);
                    let _ = std::fs::remove_file(&partial);
                    return published;
                }
                Err(reason) => tried.push(format!("{address}: {reason}")),
            }
        }
    }
    Err(FetchError::NotFound { set: name.to_owned(), file: file.name.clone(), tried })
}

fn file_key(file: &DataFile) -> Digest {
    let mut key = KeyEncoder::new();
    key.text("dataset-file");
    key.text(&file.sha256);
    key.uint(file.size);
    key.finish()
}

fn candidates(name: &str, set: &DataSet, file: &DataFile, mirrors: &[PathBuf]) -> Vec<PathBuf> {
    let folders = set.folders.iter().map(String::as_str).chain([name, ""]);
    let folders: Vec<&str> = folders.collect();
    mirrors.iter().flat_map(|mirror| folders.iter().map(|folder| mirror.join(folder).join(&file.name))).collect()
}

fn check_file(path: &Path, file: &DataFile) -> Result<(), String> {
    let metadata = std::fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "not there".to_owned(),
        _ => error.to_string(),
    })?;
    if metadata.len() != file.size {
        return Err(format!("{} bytes, the registry says {}", metadata.len(), file.size));
    }
    let found = sha256_of(path).map_err(|error| error.to_string())?;
    if found != file.sha256 {
        return Err(format!("wrong content: SHA-256 {found}, the registry says {}", file.sha256));
    }
    Ok(())
}

fn sha256_of(path: &Path) -> std::io::Result<String> {
    let mut reader = std::fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    Ok(hasher.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

fn publish(cache: &Cache, name: &str, file: &DataFile, path: &Path) -> Result<Fetched, FetchError> {
    let (digest, size) = cache.put_file(path)?;
    let record = ActionRecord {
        stage: "dataset-file".into(),
        version: 1,
        outputs: vec![ActionOutput { slot: "file".into(), digest, size }],
        summary: serde_json::json!({ "dataset": name, "file": file.name, "sha256": file.sha256 }),
        ..ActionRecord::default()
    };
    cache.record(&file_key(file), &record)?;
    Ok(Fetched { label: file.label.clone(), digest, size })
}

/// Waits until no other process downloads to `partial`. The turn ends when the file is dropped, or when its process dies.
async fn take_turn(partial: &Path) -> Result<std::fs::File, String> {
    let path = partial.with_extension("lock");
    let waiting = tokio::task::spawn_blocking(move || {
        let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
        file.lock()?;
        Ok(file)
    });
    let taken: std::io::Result<std::fs::File> = waiting.await.map_err(|error| error.to_string())?;
    taken.map_err(|error| format!("can't lock {}: {error}", partial.display()))
}

/// Downloads to `partial`, going on where an earlier try stopped, and checks the result; a wrong file is removed.
async fn download(address: &str, partial: &Path, file: &DataFile, on_progress: OnProgress<'_>) -> Result<(), String> {
    // A second provider would be refused; which one is first does not matter.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .user_agent(concat!("neuroflow/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(std::time::Duration::from_secs(10))
        .read_timeout(std::time::Duration::from_secs(60))
        .build()
        .map_err(|error| chain(&error))?;
    let mut target = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(partial)
        .map_err(|error| format!("can't write {}: {error}", partial.display()))?;
    let mut have = target.metadata().map_err(|error| error.to_string())?.len();
    if have > file.size {
        target.set_len(0).map_err(|error| error.to_string())?;
        have = 0;
    }
    if have < file.size {
        let mut request = client.get(address);
        if have > 0 {
            request = request.header("Range", format!("bytes={have}-"));
        }
        let response = request.send().await.map_err(|error| chain(&error))?;
        if !response.status().is_success() {
            return Err(format!("the server answered {}", response.status()));
        }
        if have > 0 && response.status().as_u16() != 206 {
            // The server does not resume: from the start.
            target.set_len(0).map_err(|error| error.to_string())?;
            have = 0;
        }
        target.seek(SeekFrom::Start(have)).map_err(|error| error.to_string())?;
        let mut body = response.bytes_stream();
        while let Some(part) = body.next().await {
            let part = part.map_err(|error| format!("broken off after {have} of {} bytes: {}", file.size, chain(&error)))?;
            have += part.len() as u64;
            if have > file.size {
                drop(target);
                let _ = std::fs::remove_file(partial);
                return Err(format!("more than the {} bytes that the registry says", file.size));
            }
            target.write_all(&part).map_err(|error| format!("can't write {}: {error}", partial.display()))?;
            on_progress(&file.label, have, file.size);
        }
        target.sync_all().map_err(|error| error.to_string())?;
        if have < file.size {
            return Err(format!("ended after {have} of {} bytes; another try goes on from there", file.size));
        }
    }
    drop(target);
    check_file(partial, file).inspect_err(|_| {
        let _ = std::fs::remove_file(partial);
    })
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}
