//! Remote caches: a folder that two machines share, and a small server that lies.

#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

use neuroflow_cache::{ActionOutput, ActionRecord, Cache, Digest, Disk, OsDisk, Remote, RemoteConfig, RemoteMode};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

fn cache(root: &Path, url: &str, mode: RemoteMode) -> Cache {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::new());
    let remote = Remote::open(&RemoteConfig { url: url.to_owned(), mode }).unwrap();
    Cache::open(root, disk).unwrap().with_remote(remote)
}

fn content(number: usize) -> Vec<u8> {
    vec![b'a' + number as u8; 100 + number * 5000]
}

fn key(number: usize) -> Digest {
    Digest::of(&[number as u8])
}

fn record(cache: &Cache, number: usize) -> ActionRecord {
    let digest = cache.put(&content(number)).unwrap();
    let outputs = vec![ActionOutput { slot: "out".into(), digest, size: content(number).len() as u64 }];
    ActionRecord {
        outputs,
        log: Some(cache.put(b"a log").unwrap()),
        summary: serde_json::json!({ "task": number }),
        ..ActionRecord::default()
    }
}

fn publish(cache: &Cache, numbers: std::ops::Range<usize>) {
    for number in numbers {
        cache.record(&key(number), &record(cache, number)).unwrap();
    }
    cache.finish_uploads(LIMIT);
}

fn folder_url(folder: &Path) -> String {
    format!("file://{}", folder.join("remote").display())
}

#[test]
fn two_machines_share_results_through_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let url = folder_url(folder.path());
    let one = cache(&folder.path().join("one"), &url, RemoteMode::Write);
    publish(&one, 0..4);
    one.record_here(&key(9), &record(&one, 3)).unwrap();
    assert!(one.take_warnings().is_empty());
    let two = cache(&folder.path().join("two"), &url, RemoteMode::Read);
    assert!(two.lookup(&key(9)).unwrap().is_none(), "what is for one machine was shared");
    for number in 0..4 {
        let found = two.lookup(&key(number)).unwrap().unwrap();
        assert_eq!(Some(&found), one.lookup(&key(number)).unwrap().as_ref());
        assert_eq!(two.get(&found.outputs[0].digest).unwrap().unwrap().as_slice(), content(number));
    }
    assert_eq!(two.get(&Digest::of(b"a log")).unwrap().unwrap().as_slice(), b"a log");
    // Fetched once, it stays when the remote is gone.
    std::fs::remove_dir_all(folder.path().join("remote")).unwrap();
    assert!(two.lookup_brief(&key(2)).unwrap().is_some());
    assert!(two.verify().unwrap().is_whole());
    // A machine that only reads uploads nothing.
    publish(&two, 4..6);
    assert!(!folder.path().join("remote").exists());
}

#[test]
fn many_keys_are_fetched_at_once_and_what_is_missing_is_a_miss() {
    let folder = tempfile::tempdir().unwrap();
    let url = folder_url(folder.path());
    let one = cache(&folder.path().join("one"), &url, RemoteMode::Write);
    publish(&one, 0..20);
    let two = cache(&folder.path().join("two"), &url, RemoteMode::Write);
    let keys: Vec<Digest> = (0..30).map(key).collect();
    two.prefetch(&keys).unwrap();
    std::fs::remove_dir_all(folder.path().join("remote")).unwrap();
    let found = keys.iter().filter(|key| two.lookup(key).unwrap().is_some()).count();
    assert_eq!(found, 20);
}

fn remote_file(folder: &Path, map: &str, digest: &Digest) -> std::path::PathBuf {
    let name = digest.to_string();
    folder.join("remote/v1").join(map).join(&name[..2]).join(&name[2..])
}

#[test]
fn a_damaged_object_or_record_is_refused_told_and_replaced() {
    for (map, digest) in
        [("objects", Digest::of(&content(2))), ("objects", Digest::of(&content(0))), ("actions", key(2)), ("actions", key(0))]
    {
        let number = if digest == key(0) || digest == Digest::of(&content(0)) { 0 } else { 2 };
        let folder = tempfile::tempdir().unwrap();
        let url = folder_url(folder.path());
        publish(&cache(&folder.path().join("one"), &url, RemoteMode::Write), 0..3);
        let path = remote_file(folder.path(), map, &digest);
        let whole = std::fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 4;
        for (what, bytes) in [
            ("flipped", flipped),
            ("cut", whole[..whole.len() - 1].to_vec()),
            ("empty", Vec::new()),
            ("long", [&whole[..], b"more"].concat()),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let two = cache(&folder.path().join(what), &url, RemoteMode::Write);
            // An object that is longer than it should be is whole up to there, but nobody should rely on that.
            assert!(two.lookup(&key(number)).unwrap().is_none(), "{map} {what}");
            let told = two.take_warnings();
            assert!(told.len() == 1 && told[0].contains("is damaged; it was refused"), "{map} {what}: {told:?}");
            assert!(two.verify().unwrap().is_whole());
            // Computed here, it replaces what was wrong.
            publish(&two, number..number + 1);
            assert_eq!(std::fs::read(&path).unwrap(), whole, "{map} {what}");
        }
    }
}

#[test]
fn a_record_whose_object_vanished_is_a_miss() {
    let folder = tempfile::tempdir().unwrap();
    let url = folder_url(folder.path());
    publish(&cache(&folder.path().join("one"), &url, RemoteMode::Write), 0..3);
    std::fs::remove_file(remote_file(folder.path(), "objects", &Digest::of(&content(1)))).unwrap();
    let two = cache(&folder.path().join("two"), &url, RemoteMode::Write);
    assert!(two.lookup(&key(1)).unwrap().is_none() && two.take_warnings().is_empty());
    publish(&two, 1..2);
    let three = cache(&folder.path().join("three"), &url, RemoteMode::Read);
    assert!(three.lookup(&key(1)).unwrap().is_some());
}

/// What a server answers to a path: the status line, the length it promises, and the bytes it sends.
type Answer = (String, usize, Vec<u8>);

/// A server of files in memory that counts requests.
struct Server {
    url: String,
    answers: Arc<Mutex<HashMap<String, Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/base", listener.local_addr().unwrap());
        let server = Server { url, answers: Arc::default(), asked: Arc::default() };
        let (answers, asked) = (Arc::clone(&server.answers), Arc::clone(&server.asked));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, asked) = (Arc::clone(&answers), Arc::clone(&asked));
                std::thread::spawn(move || drop(serve(stream, &answers, &asked)));
            }
        });
        server
    }

    /// Serves everything that lies below a folder.
    fn serve_folder(&self, folder: &Path) {
        let mut folders = vec![folder.to_path_buf()];
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = format!("/base/{}", path.strip_prefix(folder).unwrap().display());
                    let bytes = std::fs::read(&path).unwrap();
                    self.answers.lock().unwrap().insert(name, ("200 OK".into(), bytes.len(), bytes));
                }
            }
        }
    }
}

fn serve(stream: TcpStream, answers: &Mutex<HashMap<String, Answer>>, asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut out = stream;
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default().to_owned());
    asked.lock().unwrap().push(format!("{method} {path}"));
    let (status, promised, bytes) = answers.lock().unwrap().get(&path).cloned().unwrap_or(("404 Not Found".into(), 0, Vec::new()));
    write!(
        out,
        "HTTP/1.1 {status}\r\nContent-Length: {promised}\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nConnection: close\r\n\r\n"
    )?;
    if method != "HEAD" {
        out.write_all(&bytes)?;
    }
    out.flush()?;
    // Whoever asked closes first, so that nothing is lost in the middle.
    out.shutdown(std::net::Shutdown::Write)?;
    reader.read_to_end(&mut Vec::new()).map(|_| ())
}

#[test]
fn a_web_server_is_only_read_and_remembered_when_it_has_nothing() {
    let folder = tempfile::tempdir().unwrap();
    publish(&cache(&folder.path().join("one"), &folder_url(folder.path()), RemoteMode::Write), 0..3);
    let server = Server::start();
    server.serve_folder(&folder.path().join("remote"));
    let two = cache(&folder.path().join("two"), &server.url, RemoteMode::Write);
    for number in 0..3 {
        assert!(two.lookup(&key(number)).unwrap().is_some());
    }
    let before = server.asked.lock().unwrap().len();
    for _ in 0..5 {
        assert!(two.lookup(&key(7)).unwrap().is_none());
    }
    assert_eq!(server.asked.lock().unwrap().len(), before + 1, "a missing answer was asked for again at once");
    publish(&two, 5..6);
    assert!(server.asked.lock().unwrap().iter().all(|asked| asked.starts_with("GET ") || asked.starts_with("HEAD ")));
    assert!(two.take_warnings().is_empty());
}

#[test]
fn cut_wrong_and_endless_bodies_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    publish(&cache(&folder.path().join("one"), &folder_url(folder.path()), RemoteMode::Write), 0..3);
    let name = remote_file(folder.path(), "objects", &Digest::of(&content(2)));
    let name = format!("/base/{}", name.strip_prefix(folder.path().join("remote")).unwrap().display());
    let whole = content(2);
    let ok = || "200 OK".to_owned();
    let cases: Vec<(&str, Answer)> = vec![
        ("cut", (ok(), whole.len(), whole[..whole.len() / 2].to_vec())),
        ("short", (ok(), whole.len() / 2, whole[..whole.len() / 2].to_vec())),
        ("wrong", (ok(), whole.len(), vec![0; whole.len()])),
        ("long", (ok(), whole.len() + 50_000_000, [&whole[..], &[0; 50_000_000]].concat())),
        ("refused", ("500 Internal Server Error".into(), 0, Vec::new())),
    ];
    for (what, answer) in cases {
        let server = Server::start();
        server.serve_folder(&folder.path().join("remote"));
        server.answers.lock().unwrap().insert(name.clone(), answer);
        let two = cache(&folder.path().join(what), &server.url, RemoteMode::Read);
        assert!(two.lookup(&key(2)).unwrap().is_none(), "{what}");
        assert!(two.lookup(&key(1)).unwrap().is_some(), "{what}: other answers come still");
        assert!(!two.contains(&Digest::of(&whole)), "{what}");
        assert!(two.verify().unwrap().is_whole(), "{what}");
        assert_eq!(std::fs::read_dir(folder.path().join(what).join("tmp")).unwrap().count(), 0, "{what}: something is left");
    }
}

#[test]
fn a_remote_that_fails_again_and_again_is_left_alone_with_one_warning() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody listens there: the port was ours a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://user:secret@127.0.0.1:{port}/x?token=secret");
    let two = cache(&folder.path().join("two"), &url, RemoteMode::Read);
    for number in 0..20 {
        assert!(two.lookup(&key(number)).unwrap().is_none());
    }
    let told = two.take_warnings();
    assert!(told.len() == 1 && told[0].contains("not used for the rest of this run"), "{told:?}");
    assert!(!told[0].contains("secret"), "{told:?}");
    publish(&two, 0..3);
    assert!(two.lookup(&key(1)).unwrap().is_some() && two.take_warnings().is_empty());
}
