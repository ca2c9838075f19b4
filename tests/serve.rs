//! `neuroflow serve`: the page in a real browser, and its server as somebody meets it who should not be there.

use crate::browser::is_accessible;
use crate::chromium::Page;
use crate::support::{Place, SMALL};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(60);

/// A server of a place's project; it ends with the test.
struct Served {
    child: Child,
    link: String,
}

impl Served {
    fn start(place: &Place, port: &str) -> Served {
        Served::with(place, &["--port", port])
    }

    fn with(place: &Place, arguments: &[&str]) -> Served {
        let mut child = place.command().arg("serve").args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let link = line.trim().strip_prefix("open ").unwrap_or_else(|| panic!("{line}")).to_owned();
        Served { child, link }
    }

    fn port(&self) -> &str {
        self.link.strip_prefix("http://127.0.0.1:").unwrap().split('/').next().unwrap()
    }

    fn token(&self) -> &str {
        self.link.split('#').nth(1).unwrap()
    }

    /// Status and body of a request with these headers.
    fn request(&self, line: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port().parse::<u16>().unwrap())).unwrap();
        let mut text = format!("{line} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
        stream.write_all(format!("{text}\r\n{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, answer)
    }

    /// The same, as the page itself asks.
    fn ask(&self, line: &str, body: &str) -> (u16, String) {
        let (host, bearer) = (format!("127.0.0.1:{}", self.port()), format!("Bearer {}", self.token()));
        let origin = format!("http://{host}");
        let headers = [("Host", host.as_str()), ("Authorization", &bearer), ("Origin", &origin), ("Content-Type", "application/json")];
        self.request(line, &headers, body)
    }

    fn end(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A project with a pipeline that has run once, so that its costs are known.
fn project(settings: &str) -> Place {
    let place = Place::new();
    place.write("small.nf", SMALL);
    place.write("neuroflow.toml", settings);
    place.run(&["run", "--quiet", "small.nf"]).exits(0);
    place
}

/// Proposes another step of `ingest`; gives its whole name.
fn propose(place: &Place) -> String {
    let edits = r#"[{"op": "insert_step", "name": "spikes", "call": "ingest.trials(sessions[mouse])", "after": "responses"}]"#;
    place.write("proposed.json", edits);
    let told = place.run(&["propose", "proposed.json", "--format", "json", "--because", "Are <b>all</b> trials there?"]).exits(0);
    let card: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    card["id"].as_str().unwrap().to_owned()
}

fn pipeline(place: &Place) -> String {
    std::fs::read_to_string(place.path().join("small.nf")).unwrap()
}

#[test]
fn only_who_holds_the_link_is_told_anything() {
    let place = project("");
    let served = Served::start(&place, "0");
    let host = format!("127.0.0.1:{}", served.port());
    let (bearer, own) = (format!("Bearer {}", served.token()), format!("http://{host}"));
    let (status, answer) = served.request("GET /", &[("Host", &host)], "");
    assert!(status == 200 && answer.contains("frame-ancestors 'none'") && answer.contains("no-store"), "{answer}");
    // The empty page says nothing of the project.
    assert!(!answer.contains("small.nf") && !answer.contains("pipeline") && !answer.contains(served.token()), "{answer}");
    let (status, answer) = served.ask("GET /api/state", "");
    assert!(status == 200 && answer.contains("\"pipeline\":\"small\""), "{answer}");
    for (line, headers, wanted) in [
        ("GET /api/state", vec![("Host", host.as_str())], 401),
        ("GET /api/state", vec![("Host", &host), ("Authorization", "Bearer 0123")], 401),
        ("GET /api/state", vec![("Host", "evil.example"), ("Authorization", &bearer)], 421),
        ("GET /api/state", vec![("Host", &host), ("Authorization", &bearer), ("Origin", "http://evil.example")], 403),
        ("POST /api/proposal/p-0/approve", vec![("Host", &host), ("Authorization", &bearer)], 403),
        ("POST /api/proposal/p-0/approve", vec![("Host", &host), ("Origin", &own)], 401),
        ("GET /api/figures/..%2f..%2fetc", vec![("Host", &host), ("Authorization", &bearer)], 404),
        ("GET /etc/passwd", vec![("Host", &host)], 404),
        ("DELETE /api/state", vec![("Host", &host), ("Authorization", &bearer)], 405),
    ] {
        let (status, answer) = served.request(line, &headers, "");
        assert_eq!(status, wanted, "{line} {headers:?}: {answer}");
        assert!(!answer.contains("pipeline"), "{answer}");
    }
    // The link stays the same, unless a new one is wanted.
    let first = served.token().to_owned();
    served.end();
    let again = Served::start(&place, "0");
    assert_eq!(again.token(), first);
    let said = place.run(&["serve", "--port", again.port()]).exits(4).says("can't be listened at");
    assert!(said.err.contains("--port"), "{}", said.err);
}

#[test]
fn a_report_opens_for_who_has_its_own_key() {
    let place = project("");
    let served = Served::start(&place, "0");
    let host = format!("127.0.0.1:{}", served.port());
    let (_, answer) = served.ask("GET /api/state", "");
    let state: serde_json::Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let address = state["runs"][0]["reports"][0]["address"].as_str().unwrap().to_owned();
    assert!(address.starts_with("/report/") && !address.contains(served.token()), "{address}");
    let get = |address: &str| served.request(&format!("GET {address}"), &[("Host", &host)], "");
    let (status, page) = get(&address);
    assert!(status == 200 && page.contains("<h1>") && page.contains("sim1"), "{status}");
    let head = page.split("\r\n\r\n").next().unwrap().to_lowercase();
    let policy = head.lines().find_map(|line| line.strip_prefix("content-security-policy: ")).unwrap();
    for held in ["default-src 'none'", "script-src 'sha256-", "frame-ancestors 'none'", "sandbox allow-scripts allow-downloads"] {
        assert!(policy.contains(held), "{policy}");
    }
    assert!(!policy.contains("connect-src") && head.contains("no-store") && head.contains("no-referrer"), "{head}");
    // Another key, another report, another run, and another server's name.
    let (before, key) = address.rsplit_once('/').unwrap();
    let run = state["runs"][0]["id"].as_str().unwrap();
    for wrong in [
        format!("{before}/{}", "0".repeat(64)),
        format!("{before}/{}", served.token()),
        format!("/report/{run}/other/{key}"),
        format!("/report/latest/small_report/{key}"),
        format!("/report/..%2f..%2fetc/passwd/{key}"),
    ] {
        let (status, answer) = get(&wrong);
        assert!(status == 404 && answer.contains("is not valid"), "{wrong}: {answer}");
    }
    assert_eq!(served.request(&format!("GET {address}"), &[("Host", "evil.example")], "").0, 421);
    // A page that another run wrote is not shown as this one's, and one that is gone is told of.
    let file = place.path().join("reports/small_report.html");
    std::fs::write(&file, "<p>another</p>").unwrap();
    let (status, answer) = get(&address);
    assert!(status == 404 && answer.contains("shows another run by now") && !answer.contains("<p>"), "{answer}");
    std::fs::remove_file(&file).unwrap();
    assert!(get(&address).1.contains("run the pipeline again to have it"));
    // A new link ends the old ones.
    served.end();
    let served = Served::with(&place, &["--port", "0", "--new-link"]);
    let host = format!("127.0.0.1:{}", served.port());
    assert_eq!(served.request(&format!("GET {address}"), &[("Host", &host)], "").0, 404);
}

#[test]
fn a_yes_on_the_page_is_a_clients_and_no_more() {
    let place = project("");
    let id = propose(&place);
    let before = pipeline(&place);
    let served = Served::start(&place, "0");
    let typed = format!("{{\"typed\": \"{}\"}}", &id[..10]);
    let (status, answer) = served.ask(&format!("POST /api/proposal/{id}/approve"), &typed);
    assert!(status == 403 && answer.contains("needs a yes at a terminal"), "{answer}");
    let (_, card) = served.ask(&format!("GET /api/proposal/{id}"), "");
    assert!(card.contains("\"here\":false") && card.contains("neuroflow agent review"), "{card}");
    // Settings are read anew for each decision: what the project leaves to clients now counts now, and what it takes back is taken back.
    place.write("neuroflow.toml", "[agent]\napproval = \"client\"\nmost_seconds = 60\n[agent.autonomy]\ningest = \"auto\"\n");
    for wrong in ["{\"typed\": \"\"}", "{\"typed\": \"p-\"}", "{\"typed\": \"yes\"}", "{\"typed\": \"p-00000\"}"] {
        let (status, answer) = served.ask(&format!("POST /api/proposal/{id}/approve"), wrong);
        assert!(status == 409 && answer.contains("that is not its name"), "{wrong}: {answer}");
    }
    for wrong in ["", "{}", "[]", "{\"typed\": 3}", "{\"typed\": \"p-\", \"with_own\": true}"] {
        let (status, answer) = served.ask(&format!("POST /api/proposal/{id}/approve"), wrong);
        assert!((400..500).contains(&status), "{wrong}: {answer}");
    }
    assert_eq!(pipeline(&place), before);
    let (status, answer) = served.ask(&format!("POST /api/proposal/{id}/approve"), &typed);
    assert!(status == 200 && answer.contains("small.nf"), "{answer}");
    assert!(pipeline(&place).contains("spikes = ingest.trials(sessions[mouse])"));
    let ledger = std::fs::read_to_string(place.path().join(".neuroflow/agent/ledger.jsonl")).unwrap();
    assert!(ledger.contains("\"applied\"") && ledger.contains("\"level\":\"client\""), "{ledger}");
    let (status, answer) = served.ask(&format!("POST /api/proposal/{id}/approve"), &typed);
    assert!(status == 409 && answer.contains("applied already"), "{answer}");
}

#[test]
fn a_person_decides_on_the_page() {
    let place = project("[agent]\napproval = \"client\"\nmost_seconds = 60\n[agent.autonomy]\ningest = \"auto\"\n");
    let Some(mut page) = Page::start(&place.path().join("profile")) else { return };
    let id = propose(&place);
    let served = Served::start(&place, "0");
    page.open(&served.link);
    page.wait_for("document.querySelectorAll('#proposals button').length === 1", SOON);
    assert_eq!(page.eval("location.hash"), "", "the secret left the address");
    page.mouse("#proposals button", true);
    page.wait_for("document.querySelector('#proposal pre') !== null", SOON);
    let card = page.eval("document.getElementById('proposal').innerText").as_str().unwrap().to_owned();
    assert!(card.contains("Are <b>all</b> trials there?") && card.contains("spikes = ingest.trials"), "{card}");
    is_accessible(&mut page);
    page.eval("document.getElementById('typed').focus()");
    page.type_text("p-nothing");
    page.mouse("#approve", true);
    page.wait_for("document.getElementById('answer')?.textContent.includes('that is not its name')", SOON);
    page.eval("document.getElementById('typed').focus()");
    page.type_text(&id[..6]);
    page.mouse("#approve", true);
    page.wait_for("document.getElementById('answer')?.textContent.includes('applied to small.nf')", SOON);
    page.wait_for("document.getElementById('proposals').innerText.startsWith('applied')", SOON);
    assert!(pipeline(&place).contains("spikes = "));
    // A no keeps its reason.
    place.write("proposed.json", r#"[{"op": "set_argument", "step": "direction", "key": "folds", "value": "5"}]"#);
    place.run(&["propose", "proposed.json"]).exits(0);
    page.wait_for("document.getElementById('proposals').innerText.startsWith('waiting')", SOON);
    page.mouse("#proposals button", true);
    page.wait_for("document.querySelector('#proposal .elsewhere')?.textContent.includes('neuroflow agent review')", SOON);
    page.eval("document.getElementById('reason').focus()");
    page.type_text("four are enough");
    page.mouse("#reject", true);
    page.wait_for("document.getElementById('answer')?.textContent === 'rejected'", SOON);
    let ledger = std::fs::read_to_string(place.path().join(".neuroflow/agent/ledger.jsonl")).unwrap();
    assert!(ledger.contains("four are enough"), "{ledger}");
    // What the gate refused is an answer of the server, and browsers note it; nothing else went wrong.
    let wrong: Vec<String> = page.complaints().into_iter().filter(|one| !one.contains("409")).collect();
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_run_is_seen_while_it_goes_on_and_either_side_may_be_killed() {
    let place = Place::new();
    let Some(mut page) = Page::start(&place.path().join("profile")) else { return };
    let text = SMALL.replace(
        "report small",
        "slow = exec(\"echo begun; for n in 1 2 3 4 5 6 7 8 9; do echo part $n >&2; sleep 1; done; sleep 600; cp {{ x }} {{ out }}\", x = tuning[\"sim1\"]) -> file(\"x\")\nreport small",
    );
    place.write("small.nf", text.replace("{ direction, tuning }", "{ direction, tuning, slow }"));
    let served = Served::start(&place, "0");
    let (link, port) = (served.link.clone(), served.port().to_owned());
    page.open(&link);
    page.wait_for("document.getElementById('live').innerText.includes('nothing runs')", SOON);
    let mut run = place.unboxed().args(["run", "small.nf", "--quiet"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // The graph, the slow task, what happened, and figures, while it goes on.
    page.wait_for("document.querySelectorAll('#live [data-step]').length >= 4", SOON);
    page.wait_for("document.getElementById('live').innerText.includes('slow')", SOON);
    page.wait_for("document.querySelectorAll('#live figure svg').length >= 3", SOON);
    page.wait_for("/direction.* ran in /.test(document.getElementById('live').textContent)", SOON);
    assert!(page.eval("document.querySelector('#live progress').value").as_f64().unwrap() > 0.0);
    // What the program prints, line by line while it runs.
    let prints = "document.querySelector('#live details[data-task=slow] pre')?.textContent";
    page.wait_for(&format!("{prints}?.startsWith('begun\\npart 1\\n')"), SOON);
    page.wait_for(&format!("{prints}?.includes('part 9')"), SOON);
    page.wait_for("document.querySelector('#live details[data-task=slow] pre').scrollHeight > 0", SOON);
    is_accessible(&mut page);
    if let Some(folder) = std::env::var_os("NEUROFLOW_KEEP_PICTURES") {
        std::fs::write(std::path::Path::new(&folder).join("serve.png"), page.picture()).unwrap();
    }
    // The server ends and comes back, and the page goes on by itself.
    served.end();
    page.wait_for("document.getElementById('connection').textContent.includes('does not answer')", SOON);
    let served = Served::start(&place, &port);
    assert_eq!(served.link, link);
    page.wait_for("document.getElementById('connection').textContent.startsWith('connected; 1 running')", SOON);
    // The run is killed, and the page says so.
    run.kill().unwrap();
    run.wait().unwrap();
    page.wait_for("document.getElementById('killed').innerText.includes('was killed')", SOON);
    page.wait_for("document.getElementById('live').innerText.includes('nothing runs')", SOON);
    // A run that ends is in the list, with its scores over runs.
    place.write("small.nf", SMALL);
    place.run(&["run", "small.nf", "--quiet"]).exits(0);
    page.wait_for("document.querySelectorAll('#history svg').length >= 3", SOON);
    page.wait_for("document.querySelector('#runs details')?.innerText.includes('done')", SOON);
    page.mouse("#runs summary", true);
    page.wait_for("document.querySelectorAll('#runs figure svg').length >= 3", SOON);
    is_accessible(&mut page);
    // Its report opens as a page of its own, which works and can ask nothing.
    let address = page.eval("document.querySelector('#runs details[open] a').href").as_str().unwrap().to_owned();
    page.open(&address);
    page.wait_for("document.querySelectorAll('main figure svg').length >= 3", SOON);
    page.wait_for("!document.getElementById('tools').hidden", SOON);
    page.press("d");
    page.wait_for("document.documentElement.dataset.theme === 'dark' || document.documentElement.dataset.theme === 'light'", SOON);
    assert_eq!(page.eval("self.origin"), "null");
    assert_eq!(page.eval("fetch('/api/state').then(() => 'answered', () => 'refused')"), "refused");
    is_accessible(&mut page);
    if let Some(folder) = std::env::var_os("NEUROFLOW_KEEP_PICTURES") {
        std::fs::write(std::path::Path::new(&folder).join("serve-report.png"), page.picture()).unwrap();
    }
    let began = Instant::now();
    served.end();
    assert!(began.elapsed() < Duration::from_secs(5));
}
