//! A remote cache on real servers, which `tests/s3/start` and `tests/azure/start` make and start; where that is not possible the tests say so.

#![cfg(unix)]

use crate::support::{Place, SMALL, said};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // The script ends its server when it is asked to end.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(script: &str) -> Option<Server> {
        let installed = Command::new(script).arg("--install").output().ok()?;
        if !installed.status.success() {
            println!("skipped: {}", String::from_utf8_lossy(&installed.stderr));
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut child = Command::new(script).arg(port.to_string()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("Running on") {
            line.clear();
            assert!(said.read_line(&mut line).unwrap() > 0, "the server ended");
        }
        // It tells every request; somebody has to listen.
        std::thread::spawn(move || said.read_to_end(&mut Vec::new()));
        Some(Server { child, port })
    }

    /// One that speaks like S3, with a bucket.
    fn s3() -> Option<Server> {
        let server = Server::start(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/s3/start"))?;
        server.ask("PUT /shared HTTP/1.1");
        Some(server)
    }

    /// One plain request; gives the answer.
    fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(stream, "{request}\r\nHost: 127.0.0.1:{}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", self.port).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer
    }

    fn command(&self, place: &Place, arguments: &[&str], mode: &str) -> Command {
        let mut command = place.online(arguments);
        command.env("NEUROFLOW_REMOTE", "s3://shared/lab/cache").env("NEUROFLOW_REMOTE_MODE", mode);
        command.env("AWS_ENDPOINT", format!("http://127.0.0.1:{}", self.port)).env("AWS_ALLOW_HTTP", "true").env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", "a-key-id").env("AWS_SECRET_ACCESS_KEY", "the-secret");
        command
    }
}

#[test]
fn two_machines_share_results_and_a_server_that_dies_fails_nothing() {
    let Some(mut server) = Server::s3() else { return };
    let (one, two, three) = (Place::new(), Place::new(), Place::new());
    for place in [&one, &two, &three] {
        place.write("small.nf", SMALL);
    }
    let first = said(server.command(&one, &["run", "small.nf"], "write").output().unwrap()).exits(0);
    assert!(!first.err.contains("warning"), "{}", first.err);
    let listed = server.ask("GET /shared?list-type=2 HTTP/1.1");
    assert!(listed.contains("lab/cache/v1/objects/") && listed.contains("lab/cache/v1/actions/"), "{listed}");
    let second = said(server.command(&two, &["run", "small.nf"], "read").output().unwrap()).exits(0).says("(0 tasks ran,");
    assert!(!second.err.contains("warning"), "{}", second.err);
    assert_eq!(one.results(), two.results());
    two.run(&["cache", "verify"]).exits(0);
    // Credentials are nowhere.
    let record = two.run(&["show", "--json"]).exits(0).out;
    assert!(!record.contains("the-secret") && !record.contains("a-key-id"));
    // The server dies in the middle of a run.
    let text = SMALL.replace("draws = 10", "draws = 3000");
    three.write("small.nf", &text);
    let mut child = server.command(&three, &["run", "small.nf"], "write").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let hot = || {
        let files = std::fs::read_dir(three.path().join("cache/segments")).into_iter().flatten().flatten();
        files.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum::<u64>()
    };
    while hot() < 2000 && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let third = said(child.wait_with_output().unwrap()).exits(0);
    assert!(third.err.matches("the remote cache").count() <= 1, "{}", third.err);
    assert!(!third.err.contains("the-secret"), "{}", third.err);
    three.run(&["cache", "verify"]).exits(0);
    // And what was computed without it is what is computed with it.
    one.write("small.nf", &text);
    one.run(&["run", "small.nf"]).exits(0);
    assert_eq!(one.results(), three.results());
}

#[test]
fn a_container_of_azure_is_a_remote() {
    let Some(server) = Server::start(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/azure/start")) else { return };
    let (one, two) = (Place::new(), Place::new());
    for (place, mode) in [(&one, "write"), (&two, "read")] {
        place.write("small.nf", SMALL);
        let mut command = place.online(&["run", "small.nf"]);
        command.env("NEUROFLOW_REMOTE", "az://lab/neuroflow").env("NEUROFLOW_REMOTE_MODE", mode);
        command.env("AZURE_STORAGE_USE_EMULATOR", "true").env("AZURITE_BLOB_STORAGE_URL", format!("http://127.0.0.1:{}", server.port));
        let said = said(command.output().unwrap()).exits(0);
        assert!(!said.err.contains("not used for the rest"), "{}", said.err);
        assert!(mode == "write" || said.out.contains("(0 tasks ran,"), "{}", said.out);
    }
    assert_eq!(one.results(), two.results());
}

#[test]
fn a_shared_folder_is_a_remote_and_neuroflow_toml_names_it() {
    let (one, two) = (Place::new(), Place::new());
    let shared = Place::new();
    for (place, mode) in [(&one, "write"), (&two, "read")] {
        place.write("small.nf", SMALL);
        place.write("neuroflow.toml", format!("[cache]\nremote = \"file://{}\"\nremote_mode = \"{mode}\"\n", shared.path().display()));
    }
    one.run(&["run", "small.nf"]).exits(0);
    two.run(&["run", "small.nf"]).exits(0).says("(0 tasks ran,");
    assert_eq!(one.results(), two.results());
    two.write("neuroflow.toml", "[cache]\nremote = \"ftp://x\"\n");
    said(two.online(&["run", "small.nf"]).output().unwrap()).exits(4).says("s3://");
}
