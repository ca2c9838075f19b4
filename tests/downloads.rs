//! Data sets over HTTP, from a server on this machine that behaves as real ones do: it resumes or not, breaks off, sends a wrong byte, or has nothing.

use crate::support::{Place, Said, said, session_file};
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How the server answers.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// With the whole file, or the range that was asked for.
    Resumes,
    /// With the whole file, whatever was asked for.
    FromTheStart,
    /// With another byte in the middle.
    WrongByte,
    /// With more than there is, and no length.
    Endless,
    /// Not found.
    Nothing,
}

/// A server of one file. It sends at most `cut` bytes of the body in each answer, then closes.
struct Server {
    address: String,
    /// The `Range` header of each request, empty where there was none.
    asked: Arc<Mutex<Vec<String>>>,
    cut: Arc<Mutex<Option<usize>>>,
}

impl Server {
    fn start(content: Vec<u8>, manner: Manner) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let (asked, cut) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(None)));
        let (log, limit) = (Arc::clone(&asked), Arc::clone(&cut));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let cut = *limit.lock().unwrap();
                answer(stream, &content, manner, cut, &log);
            }
        });
        Server { address, asked, cut }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, content: &[u8], manner: Manner, cut: Option<usize>, log: &Mutex<Vec<String>>) {
    let mut range = String::new();
    for line in BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok) {
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            range = value.to_owned();
        }
    }
    log.lock().unwrap().push(range.clone());
    let start: usize = range.trim_end_matches('-').parse().unwrap_or(0);
    let mut body = content.to_vec();
    if manner == Manner::WrongByte {
        let middle = body.len() / 2;
        body[middle] ^= 1;
    }
    let (status, body) = match manner {
        Manner::Nothing => ("404 Not Found", Vec::new()),
        Manner::Resumes if start > 0 => ("206 Partial Content", body.split_off(start)),
        Manner::Endless => ("200 OK", [body.clone(), body].concat()),
        _ => ("200 OK", body),
    };
    let length = if manner == Manner::Endless { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let _ = write!(stream, "HTTP/1.1 {status}\r\n{length}Connection: close\r\n\r\n");
    // The client may hang up when it has seen enough.
    let _ = stream.write_all(&body[..cut.unwrap_or(body.len()).min(body.len())]);
}

/// A place whose project names the data set `far`, with one file at an address.
fn place(content: &[u8], server: &Server) -> Place {
    let place = Place::new();
    let digest: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    place.write(
        "data/registry.toml",
        format!(
            "[far]\ntitle = \"Far away\"\nlicence = \"CC0-1.0\"\ncitation = \"nobody\"\nsource = \"a test\"\nbase_url = \"{}\"\n\n\
             [[far.files]]\nlabel = \"s1\"\nname = \"session one.arrow\"\nsize = {}\nsha256 = \"{digest}\"\n",
            server.address,
            content.len()
        ),
    );
    place
}

#[track_caller]
fn online(place: &Place, arguments: &[&str]) -> Said {
    said(place.online(arguments).output().unwrap())
}

fn content() -> Vec<u8> {
    (0..300_000u32).flat_map(|number| number.to_le_bytes()).collect()
}

#[test]
fn a_file_comes_over_the_network_once() {
    let server = Server::start(content(), Manner::Resumes);
    let place = place(&content(), &server);
    online(&place, &["data", "get", "far"]).exits(0).says("s1");
    online(&place, &["data", "get", "far"]).exits(0);
    assert_eq!(server.asked(), [""]);
    place.run(&["data", "verify", "far"]).exits(0).says("right");
}

#[test]
fn a_broken_connection_is_resumed_where_it_broke() {
    let server = Server::start(content(), Manner::Resumes);
    let place = place(&content(), &server);
    *server.cut.lock().unwrap() = Some(500_000);
    online(&place, &["data", "get", "far"]).exits(4).says("broken off after 500000 of 1200000 bytes");
    online(&place, &["data", "get", "far"]).exits(4).says("broken off after 1000000 of 1200000 bytes");
    *server.cut.lock().unwrap() = None;
    online(&place, &["data", "get", "far"]).exits(0);
    assert_eq!(server.asked(), ["", "500000-", "1000000-"]);
    place.run(&["data", "verify", "far"]).exits(0).says("right");
}

#[test]
fn a_server_that_does_not_resume_is_read_from_the_start() {
    let server = Server::start(content(), Manner::FromTheStart);
    let place = place(&content(), &server);
    *server.cut.lock().unwrap() = Some(500_000);
    online(&place, &["data", "get", "far"]).exits(4);
    *server.cut.lock().unwrap() = None;
    online(&place, &["data", "get", "far"]).exits(0);
    place.run(&["data", "verify", "far"]).exits(0).says("right");
}

#[test]
fn a_wrong_byte_is_refused_and_nothing_of_it_stays() {
    let server = Server::start(content(), Manner::WrongByte);
    let place = place(&content(), &server);
    online(&place, &["data", "get", "far"]).exits(4).says("wrong content: SHA-256").says("the registry says").says(&server.address);
    place.run(&["data", "verify", "far"]).exits(0).says("not in the cache");
    // What was wrong is not resumed from.
    online(&place, &["data", "get", "far"]).exits(4);
    assert_eq!(server.asked(), ["", ""]);
}

#[test]
fn more_than_the_registry_says_is_refused() {
    let server = Server::start(content(), Manner::Endless);
    let place = place(&content(), &server);
    online(&place, &["data", "get", "far"]).exits(4).says("more than the 1200000 bytes");
}

#[test]
fn a_file_that_is_nowhere_names_every_place_tried() {
    let server = Server::start(content(), Manner::Nothing);
    let place = place(&content(), &server);
    place.write("mirror/far/session one.arrow", "too short");
    let mut command = place.online(&["data", "get", "far"]);
    let told = said(command.env("NEUROFLOW_MIRRORS", place.path().join("mirror")).output().unwrap()).exits(4);
    told.says("9 bytes, the registry says 1200000").says("404").says("session%20one.arrow");
}

#[test]
fn two_at_once_download_one_copy() {
    let server = Server::start(content(), Manner::Resumes);
    let place = place(&content(), &server);
    let start = || {
        let mut command = place.online(&["data", "get", "far"]);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = (0..4).map(|_| start()).collect();
    for child in children {
        said(child.wait_with_output().unwrap()).exits(0);
    }
    assert_eq!(server.asked(), [""]);
}

#[test]
fn a_run_downloads_what_it_needs() {
    let content = session_file(12, false);
    let server = Server::start(content.clone(), Manner::Resumes);
    let place = place(&content, &server);
    place.write(
        "p.nf",
        "pipeline p\ninput sessions = dataset(\"far\")\nfor mouse in sessions {\n  responses = ingest.trials(sessions[mouse])\n\
         \x20 tuning = ingest.tuning(responses, by = \"direction\")\n}\nreport r { tuning }\n",
    );
    place.run(&["run", "p.nf"]).exits(4).says("the network is switched off");
    online(&place, &["run", "p.nf"]).exits(0).says("far");
    place.run(&["run", "p.nf"]).exits(0);
    assert_eq!(server.asked(), [""]);
}
