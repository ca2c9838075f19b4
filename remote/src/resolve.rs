//! What addresses stand for: plain ones, and those of files in archives.

use crate::error::{Failure, RemoteError};
use crate::net::{net, persistently};
use crate::web::Web;
use crate::{Options, Pin, hex};
use reqwest::Url;
use serde_json::Value;

/// The bucket of OpenNeuro; everybody may read it.
pub(crate) const OPENNEURO: &str = "openneuro.org";
/// The most pages of a listing of DANDI.
const MOST_PAGES: usize = 4096;

/// What an address stands for.
#[derive(Debug, Clone)]
pub struct Resolved {
    pub(crate) address: String,
    pub(crate) place: Place,
    pub(crate) pin: Option<Pin>,
    /// The length that the archive tells, when it does.
    pub length: Option<u64>,
    /// The version that was found: a dandiset's, `draft` included; empty elsewhere.
    pub version: String,
}

impl Resolved {
    /// The address of the bytes, without what may be secret in it.
    pub fn address(&self) -> String {
        crate::error::redacted(&self.address)
    }

    /// The digest that the archive tells.
    pub fn pin(&self) -> Option<Pin> {
        self.pin
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Place {
    Web(Web),
    Object { bucket: String, key: String, open_to_all: bool },
}

/// Says what an address stands for. `https://`, `http://` and `s3://bucket/key` stand for themselves. `dandi:000021/sub-1/file.nwb` is a file of
/// the latest published version of a dandiset, or of its draft when none is published; `dandi:000021@0.210812.1515/…` of that one.
/// `openneuro:ds000117/sub-01/…` is a file of a dataset's latest version.
///
/// # Errors
/// When it is none of these, the archive does not have the file, or the network is off and an archive would have to be asked.
pub fn resolve(address: &str, options: &Options) -> Result<Resolved, RemoteError> {
    if let Some(rest) = address.strip_prefix("dandi:") {
        return dandi(address, rest, options);
    }
    if let Some(rest) = address.strip_prefix("openneuro:") {
        let (dataset, path) = openneuro(address, rest)?;
        if path.is_empty() || path.ends_with('/') {
            return Err(RemoteError::new(address, "it names a dataset or a folder, not a file", "name a file in it"));
        }
        let key = format!("{dataset}/{path}");
        let place = Place::Object { bucket: OPENNEURO.into(), open_to_all: true, key: key.clone() };
        return Ok(Resolved { address: format!("s3://{OPENNEURO}/{key}"), place, pin: None, length: None, version: String::new() });
    }
    let place = if let Some(rest) = address.strip_prefix("s3://") {
        let (bucket, key) = bucket_and_key(address, rest)?;
        if key.is_empty() || key.ends_with('/') {
            return Err(RemoteError::new(address, "it names a bucket or a folder, not a file", "name an object in it"));
        }
        Place::Object { bucket, key, open_to_all: false }
    } else {
        Place::Web(Web { url: web_address(address)?, given: true })
    };
    Ok(Resolved { address: address.to_owned(), place, pin: None, length: None, version: String::new() })
}

fn web_address(address: &str) -> Result<Url, RemoteError> {
    let kinds = "an address begins with `https://`, `http://`, `s3://`, `dandi:` or `openneuro:`";
    let url = Url::parse(address).map_err(|error| RemoteError::new(address, format!("it is not an address: {error}"), kinds))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        scheme => Err(RemoteError::new(address, format!("files are not read from `{scheme}:` addresses"), kinds)),
    }
}

pub(crate) fn bucket_and_key(address: &str, rest: &str) -> Result<(String, String), RemoteError> {
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    let named =
        bucket.len() >= 3 && bucket.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte));
    if !named {
        return Err(RemoteError::new(address, "it does not name a bucket", "write `s3://bucket/key`"));
    }
    Ok((bucket.to_owned(), key.to_owned()))
}

/// Whether a path stays below where it begins.
fn is_inside(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    path.is_empty() || !path.contains(['\\', ':', '?', '#']) && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

/// The dataset and the path of `ds000117/sub-01/…`.
pub(crate) fn openneuro(address: &str, rest: &str) -> Result<(String, String), RemoteError> {
    let (dataset, path) = rest.split_once('/').unwrap_or((rest, ""));
    if dataset.contains('@') {
        let reason = "the files of OpenNeuro's store are those of a dataset's latest version; others can't be read from there";
        return Err(RemoteError::new(address, reason, "leave out `@version`, or download that version with `datalad`"));
    }
    let digits = dataset.strip_prefix("ds").unwrap_or("");
    if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(RemoteError::new(address, "it does not name a dataset", "write `openneuro:ds000117/sub-01/…`"));
    }
    if !is_inside(path) {
        return Err(RemoteError::new(address, "the path leads out of the dataset", "write a path below the dataset, without `..`"));
    }
    Ok((dataset.to_owned(), path.to_owned()))
}

/// What `dandi:` addresses have.
pub(crate) struct Dandi {
    pub api: Url,
    pub id: String,
    pub version: String,
    pub path: String,
}

/// Takes a `dandi:` address apart, and finds the version when it names none.
pub(crate) fn dandiset(address: &str, rest: &str, options: &Options) -> Result<Dandi, RemoteError> {
    let (set, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (id, version) = set.split_once('@').unwrap_or((set, ""));
    if id.len() != 6 || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(RemoteError::new(address, "it does not name a dandiset", "write `dandi:000021/sub-…/file.nwb`"));
    }
    let named = version.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    if !named || (set.contains('@') && version.is_empty()) || version.starts_with('.') {
        return Err(RemoteError::new(address, "the version is not one of DANDI", "write `draft` or a number such as `0.210812.1515`"));
    }
    if !is_inside(path) {
        return Err(RemoteError::new(address, "the path leads out of the dandiset", "write a path below the dandiset, without `..`"));
    }
    if options.offline {
        return Err(RemoteError::new(
            address,
            "the network is off, and DANDI must be asked where the file is",
            "turn the network on, or use the `https://` address of the file",
        ));
    }
    let api = web_address(&format!("{}/", options.dandi.trim_end_matches('/')))?;
    let mut found = Dandi { api, id: id.into(), version: version.into(), path: path.into() };
    if found.version.is_empty() {
        let said = found.ask(address, &["dandisets", id], &[], options)?;
        let latest = said.get("most_recent_published_version").and_then(|version| version.get("version")).and_then(Value::as_str);
        let latest = latest.unwrap_or("draft");
        if latest.is_empty() || !latest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.') {
            return Err(RemoteError::new(address, "DANDI does not say which version is the latest", "name a version: `dandi:000021@…/…`"));
        }
        latest.clone_into(&mut found.version);
    }
    Ok(found)
}

impl Dandi {
    /// Asks the API.
    fn ask(&self, address: &str, parts: &[&str], query: &[(&str, &str)], options: &Options) -> Result<Value, RemoteError> {
        let mut url = self.api.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(parts).push("");
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        json(address, Web { url, given: true }, options)
    }

    /// The files whose paths begin with `prefix`: path, identifier, length, whether it is a Zarr folder.
    pub(crate) fn assets(&self, address: &str, prefix: &str, options: &Options) -> Result<Vec<Asset>, RemoteError> {
        let mut assets = Vec::new();
        for page in 1..=MOST_PAGES {
            let number = page.to_string();
            let query = [("path", prefix), ("metadata", "false"), ("page_size", "1000"), ("page", &number)];
            let said = self.ask(address, &["dandisets", &self.id, "versions", &self.version, "assets"], &query, options)?;
            let results = said.get("results").and_then(Value::as_array);
            let results = results
                .ok_or_else(|| RemoteError::new(address, "DANDI's answer has no `results`", "see that `Options::dandi` is its API"))?;
            for result in results {
                let text = |key: &str| result.get(key).and_then(Value::as_str).map(str::to_owned);
                if let (Some(path), Some(id)) = (text("path"), text("asset_id")) {
                    let length = result.get("size").and_then(Value::as_u64);
                    assets.push(Asset { path, id, length, zarr: text("zarr").is_some() });
                }
            }
            // Where the next page is was said, but where it is is known.
            if results.is_empty() || said.get("next").is_none_or(Value::is_null) {
                return Ok(assets);
            }
        }
        Err(RemoteError::new(address, format!("the listing has more than {MOST_PAGES} pages"), "name a folder further down"))
    }

    /// Where the bytes of a file are, and its digest.
    pub(crate) fn locate(&self, address: &str, asset: &Asset, options: &Options) -> Result<Resolved, RemoteError> {
        if asset.zarr {
            return Err(RemoteError::new(
                address,
                "it is a Zarr folder of many files",
                "download it with `dandi download`, and open the folder",
            ));
        }
        let said = self.ask(address, &["dandisets", &self.id, "versions", &self.version, "assets", &asset.id], &[], options)?;
        let addresses: Vec<&str> =
            said.get("contentUrl").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        // The store itself rather than the API, which would only redirect to it.
        let own = self.api.host_str();
        let parsed: Vec<Url> = addresses.iter().filter_map(|address| web_address(address).ok()).collect();
        let url = parsed.iter().find(|url| url.host_str() != own || !url.path().contains("/download")).or(parsed.first());
        let url = url.ok_or_else(|| RemoteError::new(address, "DANDI does not say where the file is", "try again later"))?;
        let pin = said.get("digest").and_then(|digest| digest.get("dandi:sha2-256")).and_then(Value::as_str).and_then(hex).map(Pin::Sha256);
        // An API of this network may name a store of it; the public one may not.
        let base = Web { url: self.api.clone(), given: true };
        let local = net().and_then(|net| net.ask(async move { Ok(base.is_local().await) })).map_err(|failure| failure.at(address))?;
        let lowered = self.api.scheme() == "https" && url.scheme() != "https";
        if lowered {
            return Err(RemoteError::new(address, "DANDI names an address without encryption", "report this to DANDI"));
        }
        let length = said.get("contentSize").and_then(Value::as_u64).or(asset.length);
        let place = Place::Web(Web { url: url.clone(), given: local });
        Ok(Resolved { address: url.to_string(), place, pin, length, version: self.version.clone() })
    }
}

/// A file of a dandiset.
#[derive(Debug, Clone)]
pub(crate) struct Asset {
    pub path: String,
    pub id: String,
    pub length: Option<u64>,
    pub zarr: bool,
}

fn dandi(address: &str, rest: &str, options: &Options) -> Result<Resolved, RemoteError> {
    let set = dandiset(address, rest, options)?;
    if set.path.is_empty() || set.path.ends_with('/') {
        return Err(RemoteError::new(address, "it names a dandiset or a folder, not a file", "name a file in it"));
    }
    let assets = set.assets(address, &set.path, options)?;
    let Some(asset) = assets.iter().find(|asset| asset.path == set.path) else {
        let like = assets.iter().take(5).map(|asset| format!("`{}`", asset.path.escape_debug())).collect::<Vec<_>>().join(", ");
        let help = if like.is_empty() { "check the path, and the version".to_owned() } else { format!("there are {like}") };
        return Err(RemoteError::new(address, format!("version {} of the dandiset has no such file", set.version), help));
    };
    set.locate(address, asset, options)
}

fn json(address: &str, web: Web, options: &Options) -> Result<Value, RemoteError> {
    let asked = options.clone();
    let request = async move { persistently(&asked, || web.json(&asked)).await };
    net().and_then(|net| net.ask(request)).map_err(|failure: Failure| failure.at(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_unknown_kinds_and_paths_that_lead_out_are_refused() {
        let offline = Options { offline: true, ..Options::default() };
        for (address, part) in [
            ("ftp://host/x", "not read from `ftp:`"),
            ("file:///etc/passwd", "not read from `file:`"),
            ("/etc/passwd", "it is not an address"),
            ("s3://B/x", "does not name a bucket"),
            ("s3://bucket/", "names a bucket or a folder"),
            ("openneuro:ds1/x", "does not name a dataset"),
            ("openneuro:ds000117", "names a dataset or a folder"),
            ("openneuro:ds000117/../x", "leads out of the dataset"),
            ("openneuro:ds000117@1.0.5/x", "latest version"),
            ("dandi:21/x", "does not name a dandiset"),
            ("dandi:000021@../x", "the version is not one of DANDI"),
            ("dandi:000021/a/../../x", "leads out of the dandiset"),
            ("dandi:000021/a.nwb", "the network is off"),
        ] {
            let error = resolve(address, &offline).unwrap_err().to_string();
            assert!(error.contains(part), "{address}: {error}");
        }
        let found = resolve("openneuro:ds000117/sub-01/a b.nii.gz", &offline).unwrap();
        assert_eq!(found.address(), "s3://openneuro.org/ds000117/sub-01/a b.nii.gz");
        assert_eq!(resolve("https://me:pw@host/x?key=1", &offline).unwrap().address(), "https://host/x");
    }
}
