//! Over HTTP: only on this machine, only with the token, for no page from elsewhere.

use super::*;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

struct Listening {
    /// Ends with the test.
    _server: Server,
    port: u16,
    token: String,
}

fn listen(place: &Place) -> Listening {
    let mut command = place.command();
    let mut child =
        command.args(["mcp", "--http", "127.0.0.1:0"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let (mut port, mut token) = (0, String::new());
    while port == 0 || token.is_empty() {
        let line = lines.next().unwrap().unwrap();
        if let Some(at) = line.strip_prefix("listening at http://127.0.0.1:") {
            port = at.strip_suffix("/mcp").unwrap().parse().unwrap();
        }
        if let Some((_, shown)) = line.split_once("Bearer ") {
            token = shown.to_owned();
        }
    }
    Listening { _server: Server(child), port, token }
}

impl Listening {
    /// Sends a request and gives the status with the beginning of the answer.
    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        head += "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
        let mut answer = Vec::new();
        let mut part = [0; 4096];
        // A stream of events stays open after what was asked for.
        while let Ok(read) = stream.read(&mut part) {
            answer.extend_from_slice(&part[..read]);
            let text = String::from_utf8_lossy(&answer);
            if read == 0 || text.contains("serverInfo") || answer.len() > 100_000 {
                break;
            }
        }
        let text = String::from_utf8_lossy(&answer).into_owned();
        let status = text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        (status, text)
    }

    fn own(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

const HELLO: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"by hand","version":"1"}}}"#;

#[test]
fn a_request_needs_the_token_the_host_and_no_foreign_origin() {
    let place = project("");
    let before = outside(&place);
    let server = listen(&place);
    let own = server.own();
    let right = format!("Bearer {}", server.token);
    let (status, answer) = server.send("POST", "/mcp", &[("Host", &own), ("Authorization", &right)], HELLO);
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("\"name\":\"neuroflow\""), "{answer}");
    let local = format!("http://{own}");
    assert_eq!(
        server.send("POST", "/mcp", &[("Host", &own), ("Authorization", &right), ("Origin", &local)], HELLO).0,
        200,
        "its own origin"
    );

    let wrong = format!("Bearer {}", "0".repeat(64));
    let basic = format!("Basic {}", server.token);
    for (why, expected, headers) in [
        ("no token", 401, vec![("Host", own.as_str())]),
        ("another token", 401, vec![("Host", own.as_str()), ("Authorization", wrong.as_str())]),
        ("a part of the token", 401, vec![("Host", own.as_str()), ("Authorization", &right[..40])]),
        ("another scheme", 401, vec![("Host", own.as_str()), ("Authorization", basic.as_str())]),
        ("a name that was made to point here", 403, vec![("Host", "evil.example"), ("Authorization", right.as_str())]),
        ("another port", 403, vec![("Host", "127.0.0.1:1"), ("Authorization", right.as_str())]),
        ("a page from elsewhere", 403, vec![("Host", own.as_str()), ("Authorization", right.as_str()), ("Origin", "https://evil.example")]),
        ("a page without an origin", 403, vec![("Host", own.as_str()), ("Authorization", right.as_str()), ("Origin", "null")]),
        (
            "a page of another server here",
            403,
            vec![("Host", own.as_str()), ("Authorization", right.as_str()), ("Origin", "http://127.0.0.1:1")],
        ),
    ] {
        let (status, answer) = server.send("POST", "/mcp", &headers, HELLO);
        assert_eq!(status, expected, "{why}: {answer}");
        assert!(!answer.contains("serverInfo") && !answer.contains(&server.token), "{why}: {answer}");
    }
    // Every path and every method, and no request without a token learns what is there.
    assert_eq!(server.send("GET", "/", &[("Host", &own)], "").0, 401);
    assert_eq!(server.send("GET", "/", &[("Host", &own), ("Authorization", &right)], "").0, 404);
    assert_eq!(server.send("DELETE", "/mcp", &[("Host", &own)], "").0, 401);
    let (status, _) = server.send("POST", "/mcp", &[("Host", &own), ("Authorization", &right)], "{");
    assert!((400..500).contains(&status), "{status}");
    nothing_changed(&place, &before);
}

#[test]
fn it_listens_on_this_machine_only() {
    let place = project("");
    for address in ["0.0.0.0:0", "192.0.2.1:8800", "[::]:0"] {
        place.run(&["mcp", "--http", address]).exits(4).says("can be reached from other machines");
    }
    place.run(&["mcp", "--http", "somewhere"]).exits(4);
    let server = listen(&place);
    place.run(&["mcp", "--http", &server.own()]).exits(4).says("can't be listened at");
}
