//! Files below an address.

use crate::error::{Failure, RemoteError};
use crate::file::RemoteFile;
use crate::net::{net, persistently};
use crate::resolve::{Asset, Dandi, OPENNEURO, bucket_and_key, dandiset, openneuro};
use crate::store::{Object, bucket};
use crate::{Folder, Options, Source};
use object_store::path::Path as Key;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

/// Files below an address. They are listed when it is opened, and each is fetched when it is.
pub struct RemoteFolder {
    address: String,
    options: Options,
    inner: Inner,
}

enum Inner {
    Store { object: Object, files: BTreeMap<String, u64> },
    Dandi { set: Dandi, files: BTreeMap<String, Asset> },
}

impl fmt::Debug for RemoteFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteFolder({}, {} files)", crate::error::redacted(&self.address), self.len())
    }
}

/// Opens the files below `s3://bucket/prefix`, `openneuro:ds000117[/folder]` or `dandi:000021[@version][/folder]`.
///
/// Whatever digest [`Options::pin`] names is that of one file, and is not used here; DANDI tells the digest of each.
///
/// # Errors
/// When the address is of another kind, nothing is below it, or it can't be listed.
pub fn open_folder(address: &str, options: &Options) -> Result<RemoteFolder, RemoteError> {
    let options = Options { pin: None, ..options.clone() };
    let (bucket_name, prefix, open_to_all) = if let Some(rest) = address.strip_prefix("dandi:") {
        let set = dandiset(address, rest, &options)?;
        let prefix = if set.path.is_empty() || set.path.ends_with('/') { set.path.clone() } else { format!("{}/", set.path) };
        let assets = set.assets(address, &prefix, &options)?;
        let files = assets.into_iter().filter_map(|asset| Some((asset.path.strip_prefix(&prefix)?.to_owned(), asset)));
        let files: BTreeMap<String, Asset> = files.filter(|(path, asset)| usable(path) && !asset.zarr).collect();
        return filled(RemoteFolder { address: address.into(), options, inner: Inner::Dandi { set, files } });
    } else if let Some(rest) = address.strip_prefix("openneuro:") {
        let (dataset, path) = openneuro(address, rest)?;
        (OPENNEURO.to_owned(), format!("{dataset}/{path}"), true)
    } else if let Some(rest) = address.strip_prefix("s3://") {
        let (bucket, key) = bucket_and_key(address, rest)?;
        (bucket, key, false)
    } else {
        let help =
            "folders, such as stores of Zarr, are listed at `s3://`, `openneuro:` and `dandi:`; copy this one here, or name a single file";
        return Err(RemoteError::new(
            address,
            "this kind of address can't be listed, and the files in a folder are found by listing it",
            help,
        ));
    };
    if options.offline {
        return Err(RemoteError::new(address, "the network is off, and the folder must be listed", "turn the network on"));
    }
    let told = |failure: Failure| failure.at(address);
    let key = Key::parse(prefix.trim_matches('/')).map_err(|error| RemoteError::new(address, error.to_string(), "check the address"))?;
    let object = Object { store: bucket(&bucket_name, open_to_all, &options).map_err(told)?, key };
    let (listed, asked) = (object.clone(), options.clone());
    let request = async move { persistently(&asked, || listed.list()).await };
    let files = net().and_then(|net| net.ask(request)).map_err(told)?;
    let files = files.into_iter().filter(|(path, _)| usable(path)).collect();
    let address = format!("s3://{bucket_name}/{}", object.key);
    filled(RemoteFolder { address, options, inner: Inner::Store { object, files } })
}

fn filled(folder: RemoteFolder) -> Result<RemoteFolder, RemoteError> {
    if folder.is_empty() {
        return Err(RemoteError::new(&folder.address, "nothing is below this address", "check the address"));
    }
    Ok(folder)
}

/// Whether a name that a listing gives is a path below the folder.
fn usable(path: &str) -> bool {
    !path.is_empty() && !path.contains('\\') && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

impl RemoteFolder {
    /// The number of files.
    pub fn len(&self) -> usize {
        match &self.inner {
            Inner::Store { files, .. } => files.len(),
            Inner::Dandi { files, .. } => files.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The length of a file, as it was listed.
    pub fn length(&self, path: &str) -> Option<u64> {
        match &self.inner {
            Inner::Store { files, .. } => files.get(path).copied(),
            Inner::Dandi { files, .. } => files.get(path).and_then(|asset| asset.length),
        }
    }

    /// A file; none when it was not listed.
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn file(&self, path: &str) -> Result<Option<RemoteFile>, RemoteError> {
        let address = format!("{}/{path}", self.address.trim_end_matches('/'));
        match &self.inner {
            Inner::Store { object, files } => {
                if !files.contains_key(path) {
                    return Ok(None);
                }
                let key = path.split('/').fold(object.key.clone(), |key, part| key.join(part));
                RemoteFile::of_object(address, Object { store: Arc::clone(&object.store), key }, &self.options).map(Some)
            }
            Inner::Dandi { set, files } => {
                let Some(asset) = files.get(path) else { return Ok(None) };
                RemoteFile::open(&set.locate(&address, asset, &self.options)?, &self.options).map(Some)
            }
        }
    }
}

impl Folder for RemoteFolder {
    fn paths(&self) -> io::Result<Vec<String>> {
        Ok(match &self.inner {
            Inner::Store { files, .. } => files.keys().cloned().collect(),
            Inner::Dandi { files, .. } => files.keys().cloned().collect(),
        })
    }

    fn open(&self, path: &str) -> io::Result<Option<Arc<dyn Source>>> {
        Ok(self.file(path)?.map(|file| Arc::new(file) as Arc<dyn Source>))
    }
}
