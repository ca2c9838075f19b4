//! Files from afar against a server on this machine.

#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

mod server;

use neuroflow_remote::{BLOCK, Folder, Options, Pin, Source, open, open_folder, resolve};
use server::{File, Odd, Server};
use std::time::Duration;

/// Bytes that differ from place to place.
fn bytes(length: usize) -> Vec<u8> {
    (0..length as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as u8).collect()
}

fn quick() -> Options {
    Options { retries: 2, timeout: Duration::from_secs(5), longest_wait: Duration::from_secs(2), ..Options::default() }
}

fn file(bytes: Vec<u8>) -> File {
    File { bytes, tag: Some("\"one\"".into()), ..File::default() }
}

#[test]
fn few_places_of_a_large_file_cost_few_blocks() {
    let server = Server::start();
    let content = bytes(64 << 20);
    server.put("/a.edf", file(content.clone()));
    let folder = tempfile::tempdir().unwrap();
    let options = Options { cache: Some(folder.path().into()), ..quick() };
    let remote = open(&server.url("/a.edf"), &options).unwrap();
    assert_eq!(remote.len(), 64 << 20);
    for range in [0..256u64, 256..4096, 5_000_000..5_000_100, 40_000_000..40_000_010, (64 << 20) - 8..64 << 20] {
        let expected = &content[range.start as usize..range.end as usize];
        assert_eq!(remote.bytes(range).unwrap().as_ref(), expected);
    }
    let (asked, sent) = server.taken();
    assert_eq!(asked.len(), 4, "{asked:?}");
    assert_eq!(sent, 4 * BLOCK);
    // Again, from what is kept: the first answer says that nothing changed, and its body is not read.
    let again = open(&server.url("/a.edf"), &options).unwrap();
    assert_eq!(again.bytes(5_000_000..5_000_100).unwrap().as_ref(), &content[5_000_000..5_000_100]);
    assert_eq!(server.taken().0.len(), 1);
    // And without the network.
    let offline = Options { offline: true, ..options.clone() };
    let away = open(&server.url("/a.edf"), &offline).unwrap();
    assert_eq!(away.bytes(40_000_000..40_000_010).unwrap().as_ref(), &content[40_000_000..40_000_010]);
    let error = away.bytes(20_000_000..20_000_001).unwrap_err().to_string();
    assert!(error.contains("the network is off, and block 19 is not in the cache; turn the network on"), "{error}");
    assert!(open(&server.url("/b.edf"), &offline).unwrap_err().to_string().contains("the cache does not know this file"));
    assert!(server.taken().0.is_empty());
}

#[test]
fn reading_on_fetches_ahead_and_long_ranges_come_at_once() {
    let server = Server::start();
    let content = bytes(40 << 20);
    server.put("/a", file(content.clone()));
    let remote = open(&server.url("/a"), &quick()).unwrap();
    for start in (0..20u64 << 20).step_by(1 << 19) {
        let part = remote.bytes(start..start + (1 << 19)).unwrap();
        assert!(part.as_ref() == &content[start as usize..(start + (1 << 19)) as usize]);
    }
    assert!(server.taken().0.len() <= 6);
    let fresh = open(&server.url("/a"), &quick()).unwrap();
    assert!(fresh.bytes(100..(40 << 20) - 1).unwrap().as_ref() == &content[100..(40 << 20) - 1]);
    assert_eq!(server.taken().0.len(), 1 + 3);
    let error = fresh.bytes(0..(40 << 20) + 1).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    let reversed = std::ops::Range { start: 2, end: 1 };
    assert!(fresh.bytes(reversed).is_err() && fresh.bytes(7..7).unwrap().is_empty());
}

#[test]
fn a_file_that_changes_is_never_mixed() {
    let server = Server::start();
    for odd_tag in [Some("\"two\"".to_owned()), Some("W/\"two\"".to_owned()), None] {
        server.put("/a", file(bytes(8 << 20)));
        let remote = open(&server.url("/a"), &quick()).unwrap();
        server.put("/a", File { tag: odd_tag, ..file(bytes(8 << 20)) });
        let error = remote.bytes(4 << 20..(4 << 20) + 4).unwrap_err().to_string();
        assert!(error.contains("the file changed while it was read; open it again"), "{error}");
    }
    // Without an entity tag the time of the last change tells, and the length always does.
    server.put("/b", File { tag: None, modified: Some("Thu, 01 Jan 2026 00:00:00 GMT".into()), ..file(bytes(8 << 20)) });
    let remote = open(&server.url("/b"), &quick()).unwrap();
    assert_eq!(remote.version(), "Thu, 01 Jan 2026 00:00:00 GMT");
    server.put("/b", File { tag: None, modified: Some("Fri, 02 Jan 2026 00:00:00 GMT".into()), ..file(bytes(8 << 20)) });
    assert!(remote.bytes(4 << 20..5 << 20).unwrap_err().to_string().contains("changed while it was read"));
    server.put("/c", File { tag: None, ..file(bytes(8 << 20)) });
    let remote = open(&server.url("/c"), &quick()).unwrap();
    server.put("/c", File { tag: None, ..file(bytes(9 << 20)) });
    assert!(remote.bytes(4 << 20..5 << 20).unwrap_err().to_string().contains("changed while it was read"));
}

#[test]
fn servers_that_misbehave_are_told_or_waited_for() {
    let server = Server::start();
    let content = bytes(3 << 20);
    let with = |odd: Odd| {
        server.put("/a", File { odd, ..file(content.clone()) });
        open(&server.url("/a"), &quick()).and_then(|remote| {
            let all = remote.bytes(0..remote.len()).map_err(|error| neuroflow_remote::RemoteError {
                address: String::new(),
                reason: error.to_string(),
                help: String::new(),
            })?;
            assert!(all.as_ref() == content);
            Ok(())
        })
    };
    with(Odd::NoRanges).unwrap();
    with(Odd::Short(1)).unwrap();
    with(Odd::Status(503, 1, "Retry-After: 1\r\n".into())).unwrap();
    with(Odd::Status(429, 2, String::new())).unwrap();
    let told = |odd: Odd| with(odd).unwrap_err().to_string();
    assert!(told(Odd::WrongRange).contains("bytes 0 to 1048576 were asked for, the server sends `bytes 1-1048575/3145728`"));
    assert!(told(Odd::Short(9)).contains("the answer broke off"));
    assert!(told(Odd::Status(503, 9, "Retry-After: 3600\r\n".into())).contains("the server wants 3600 seconds to be waited"));
    assert!(told(Odd::Status(500, 9, String::new())).contains("the server answers 500"));
    assert!(told(Odd::Status(403, 9, String::new())).contains("the server refuses (403 Forbidden); check that you may read it"));
    assert!(told(Odd::Coded).contains("another form of the file"));
    assert!(told(Odd::Redirect("/a".into())).contains("redirects more than 5 times"));
    assert!(told(Odd::Redirect("ftp://x/".into())).contains("redirects from http to ftp"));
    let missing = open(&server.url("/none?key=secret"), &quick()).unwrap_err().to_string();
    assert_eq!(missing, format!("{}: there is no such file (404 Not Found); check the address", server.url("/none")));
    let small = Options { whole_limit: 1 << 20, ..quick() };
    server.put("/a", File { odd: Odd::NoRanges, ..file(content.clone()) });
    assert!(open(&server.url("/a"), &small).unwrap_err().to_string().contains("can't send parts, and the file has 3145728 bytes"));
    server.put("/a", File { odd: Odd::Endless, ..file(content.clone()) });
    let error = open(&server.url("/a"), &small).unwrap_err().to_string();
    assert!(error.contains("sends more than the"), "{error}");
    server.put("/a", File { odd: Odd::Slow(Duration::from_secs(3)), ..file(content.clone()) });
    let hasty = Options { timeout: Duration::from_millis(300), retries: 1, ..quick() };
    let begun = std::time::Instant::now();
    let error = open(&server.url("/a"), &hasty).unwrap_err().to_string();
    assert!(error.contains("no answer came within 0.3 seconds") && begun.elapsed() < Duration::from_secs(3), "{error}");
    server.put("/empty", file(Vec::new()));
    assert!(open(&server.url("/empty"), &quick()).unwrap().is_empty());
    let closed = open("http://127.0.0.1:1/x", &Options { retries: 0, ..quick() }).unwrap_err().to_string();
    assert!(closed.starts_with("http://127.0.0.1:1/x: ") && closed.ends_with("see that the network is there, and try again"), "{closed}");
}

#[test]
fn redirects_are_followed_where_they_may_lead() {
    let (server, other) = (Server::start(), Server::start());
    other.put("/b", file(bytes(100)));
    server.put("/a", File { odd: Odd::Redirect(other.url("/b")), ..File::default() });
    assert_eq!(open(&server.url("/a"), &quick()).unwrap().len(), 100);
}

#[test]
fn digests_are_checked_when_all_was_read() {
    let server = Server::start();
    let content = bytes(3 << 20);
    server.put("/a", file(content.clone()));
    let right = Pin::Blake3(*blake3::hash(&content).as_bytes());
    let remote = open(&server.url("/a"), &Options { pin: Some(right), ..quick() }).unwrap();
    remote.bytes(0..3 << 20).unwrap();
    remote.verify().unwrap();
    for wrong in [Pin::Blake3([0; 32]), Pin::Sha256([0; 32])] {
        let remote = open(&server.url("/a"), &Options { pin: Some(wrong), ..quick() }).unwrap();
        remote.bytes(0..2 << 20).unwrap();
        let error = remote.bytes(2 << 20..3 << 20).unwrap_err().to_string();
        assert!(error.contains("does not have the digest that it should have"), "{error}");
        assert!(remote.bytes(0..1).is_err(), "nothing more is given");
    }
    server.put("/whole", File { odd: Odd::NoRanges, ..file(content) });
    let remote = open(&server.url("/whole"), &Options { pin: Some(Pin::Sha256([1; 32])), ..quick() }).unwrap();
    assert!(remote.bytes(0..1).is_err());
}

#[test]
fn many_threads_read_one_file() {
    let server = Server::start();
    let content = bytes(16 << 20);
    server.put("/a", file(content.clone()));
    let folder = tempfile::tempdir().unwrap();
    let remote = open(&server.url("/a"), &Options { cache: Some(folder.path().into()), cache_limit: 4 << 20, ..quick() }).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            let (remote, content) = (&remote, &content);
            scope.spawn(move || {
                for step in 0..40u64 {
                    let start = (step * 7 + thread * 13) % 15 * BLOCK + 1000 * thread;
                    let part = remote.bytes(start..start + 5000).unwrap();
                    assert!(part.as_ref() == &content[start as usize..start as usize + 5000]);
                }
            });
        }
    });
    let held: u64 = std::fs::read_dir(folder.path().join("blocks"))
        .unwrap()
        .flatten()
        .flat_map(|version| std::fs::read_dir(version.path()).unwrap().flatten())
        .map(|block| block.metadata().unwrap().len())
        .sum();
    assert!(held <= 5 << 20, "{held}");
}

#[test]
fn dandi_is_asked_for_version_file_and_digest() {
    let server = Server::start();
    let content = bytes(2 << 20);
    let options = Options { dandi: server.url("/api"), ..quick() };
    let json = |path: &str, text: String| server.put(path, File { bytes: text.into_bytes(), odd: Odd::NoRanges, ..File::default() });
    json("/api/dandisets/000021/", r#"{"most_recent_published_version":{"version":"0.210812.1515"}}"#.into());
    let list = "/api/dandisets/000021/versions/0.210812.1515/assets/";
    json(
        list,
        r#"{"next":null,"results":[{"asset_id":"7","path":"sub-1/a.nwb","size":2097152,"zarr":null},
            {"asset_id":"8","path":"sub-1/a.nwb.zarr","size":1,"zarr":"z"}]}"#
            .into(),
    );
    let sha: String = {
        use std::fmt::Write;
        let digest = sha2_of(&content);
        digest.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    };
    let asset = |digest: &str, url: &str| {
        format!(
            r#"{{"contentUrl":["{}","{url}"],"contentSize":2097152,"digest":{{"dandi:sha2-256":"{digest}"}}}}"#,
            server.url("/api/assets/7/download/")
        )
    };
    json(&format!("{list}7/"), asset(&sha, &server.url("/blobs/x")));
    server.put("/blobs/x", file(content.clone()));
    let found = resolve("dandi:000021/sub-1/a.nwb", &options).unwrap();
    assert_eq!((found.version.as_str(), found.length), ("0.210812.1515", Some(2 << 20)));
    assert!(matches!(found.pin(), Some(Pin::Sha256(_))));
    let remote = open("dandi:000021@0.210812.1515/sub-1/a.nwb", &options).unwrap();
    assert!(remote.bytes(0..2 << 20).unwrap().as_ref() == content);
    remote.verify().unwrap();
    let folder = open_folder("dandi:000021/sub-1", &options).unwrap();
    assert_eq!(folder.paths().unwrap(), ["a.nwb"]);
    assert_eq!(folder.open("a.nwb").unwrap().unwrap().len(), 2 << 20);
    assert!(folder.open("b.nwb").unwrap().is_none());
    let missing = resolve("dandi:000021/sub-1/a", &options).unwrap_err().to_string();
    assert!(missing.contains("has no such file; there are `sub-1/a.nwb`"), "{missing}");
    assert!(resolve("dandi:000021/sub-1/a.nwb.zarr", &options).unwrap_err().to_string().contains("it is a Zarr folder"));
    json(&format!("{list}7/"), asset(&"0".repeat(64), &server.url("/blobs/x")));
    let damaged = open("dandi:000021/sub-1/a.nwb", &options).unwrap();
    assert!(damaged.verify().unwrap_err().to_string().contains("the digest that it should have"));
    json("/api/dandisets/000021/", "<html>".into());
    assert!(resolve("dandi:000021/sub-1/a.nwb", &options).unwrap_err().to_string().contains("the answer is not JSON"));
}

fn sha2_of(bytes: &[u8]) -> Vec<u8> {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).to_vec()
}

#[test]
fn openneuro_and_s3_are_listed_and_read() {
    let server = Server::start();
    let content = bytes(3 << 20);
    let options = Options { s3: Some(server.url("")), ..quick() };
    let object = |key: &str, size: usize| {
        format!(
            "<Contents><Key>{key}</Key><LastModified>2015-10-21T07:28:00.000Z</LastModified><ETag>&quot;one&quot;</ETag>\
             <Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        )
    };
    let listed = format!(
        "<?xml version=\"1.0\"?><ListBucketResult><Name>openneuro.org</Name><IsTruncated>false</IsTruncated>{}{}</ListBucketResult>",
        object("ds000117/dataset_description.json", 2),
        object("ds000117/sub-01/meg/x.fif", content.len())
    );
    server.put("/openneuro.org", File { bytes: listed.into_bytes(), odd: Odd::NoRanges, ..File::default() });
    server.put("/openneuro.org/ds000117/sub-01/meg/x.fif", file(content.clone()));
    server.put("/openneuro.org/ds000117/dataset_description.json", file(b"{}".to_vec()));
    let folder = open_folder("openneuro:ds000117", &options).unwrap();
    assert_eq!(folder.paths().unwrap(), ["dataset_description.json", "sub-01/meg/x.fif"]);
    assert_eq!(folder.length("sub-01/meg/x.fif"), Some(3 << 20));
    let remote = folder.open("sub-01/meg/x.fif").unwrap().unwrap();
    assert!(remote.bytes(1 << 20..3 << 20).unwrap().as_ref() == &content[1 << 20..]);
    let single = open("openneuro:ds000117/sub-01/meg/x.fif", &options).unwrap();
    assert_eq!(single.bytes(5..9).unwrap().as_ref(), &content[5..9]);
    server.put("/openneuro.org/ds000117/sub-01/meg/x.fif", File { tag: Some("\"two\"".into()), ..file(content) });
    assert!(single.bytes(2 << 20..3 << 20).unwrap_err().to_string().contains("changed while it was read"));
    let gone = open("s3://openneuro.org/ds000117/none", &options).unwrap_err().to_string();
    assert!(gone.contains("there is no such file"), "{gone}");
    let tree = neuroflow_formats::bids::open(std::sync::Arc::new(folder), &neuroflow_formats::Limits::default()).unwrap();
    assert_eq!(tree.select(&[("subject", "01")]).map(|files| files.len()).unwrap_or_default(), 0, "`x.fif` has no entity in its name");
    assert!(open_folder("https://host/x", &options).unwrap_err().to_string().contains("can't be listed"));
}
