//! Where is dialled, what is said there, and what is not.

use crate::{ask, client, endpoint, question, quick};
use neuroflow_agent::model::{Endpoint, Message, ModelError, OpenAi, Request};
use neuroflow_agent::secret::{Scanner, Secret};
use neuroflow_model_server::{Answer, Server};
use std::path::Path;

fn refused(url: &str, offline: bool, key: Option<&str>) -> ModelError {
    let key = key.map(|key| Secret::new(key).unwrap());
    let endpoint = Endpoint { key, offline, ..Endpoint::new(url, "m") };
    match OpenAi::new(endpoint, Scanner::new()) {
        Ok(_) => panic!("`{url}` was accepted"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Server::start(|_, _| Answer::text("evil")).unwrap();
        let to = format!("{}/chat/completions", elsewhere.endpoint());
        let location = to.clone();
        let server = Server::start(move |_, _| Answer::status(status, "").with_header("location", &location)).unwrap();
        assert_eq!(ask(&client(&server), &question()).await.0, Err(ModelError::Redirect { to }));
        assert_eq!((server.received().len(), elsewhere.connections()), (1, 0));
    }
}

/// The endpoint that the child of the test below asks.
const ASKED: &str = "NEUROFLOW_TEST_ENDPOINT";

/// What the child does, in an environment full of traps: it asks, and prints the answer.
fn under_a_strange_environment(url: String) {
    let endpoint = Endpoint { limits: quick(), ..Endpoint::new(url, "m") };
    let model = OpenAi::new(endpoint, Scanner::new()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let reply = runtime.block_on(async { ask(&model, &question()).await }).0.unwrap();
    assert_eq!(reply.text, "good day");
}

/// The environment of a process can't be changed safely while it runs, so the test starts itself in another one.
#[test]
fn nothing_of_the_environment_reaches_the_wire() {
    if let Ok(url) = std::env::var(ASKED) {
        return under_a_strange_environment(url);
    }
    let server = Server::start(|_, _| Answer::text("good day")).unwrap();
    let trap = Server::start(|_, _| Answer::text("trapped")).unwrap();
    let trap_url = trap.endpoint();
    let proxy = format!("http://{}", trap.address());
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "network::nothing_of_the_environment_reaches_the_wire"]).env(ASKED, server.endpoint());
    for name in ["OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"] {
        child.env(name, format!("canary-{name}"));
    }
    child.env("OPENAI_BASE_URL", &trap_url);
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(name, &proxy);
    }
    child.env_remove("NO_PROXY").env_remove("no_proxy");
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let received = server.received();
    assert_eq!(received.len(), 1);
    let whole = received[0].whole();
    assert!(!whole.contains("canary") && received[0].header("authorization").is_none(), "{whole}");
    assert_eq!(trap.connections(), 0);
}

#[tokio::test]
async fn offline_only_this_machine_is_dialled() {
    for url in ["http://192.0.2.1:9/v1", "https://[2001:db8::1]/v1", "http://0.0.0.0:9/v1", "http://[::ffff:192.0.2.1]/v1"] {
        let error = refused(url, true, None);
        assert!(matches!(error, ModelError::Offline { .. }), "{error}");
    }
    let server = Server::start(|_, _| Answer::text("here")).unwrap();
    for url in [server.endpoint(), server.endpoint().replace("127.0.0.1", "localhost")] {
        let endpoint = Endpoint { offline: true, limits: quick(), ..Endpoint::new(url, "m") };
        assert!(endpoint.is_local());
        assert_eq!(ask(&OpenAi::new(endpoint, Scanner::new()).unwrap(), &question()).await.0.unwrap().text, "here");
    }
}

/// A name that may not even exist: offline it is refused, whatever it would resolve to.
#[tokio::test]
async fn offline_a_name_of_another_machine_is_not_reached() {
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    // A name of this very machine that points at an address which is not a loopback one, when there is such a name.
    let named = hosts.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address: std::net::IpAddr = words.next()?.parse().ok()?;
        (address.is_ipv4() && !address.is_loopback()).then(|| words.next().map(str::to_owned)).flatten()
    });
    for name in named.chain(["no-such-host.invalid".to_owned()]) {
        let mut endpoint = Endpoint { offline: true, limits: quick(), ..Endpoint::new(format!("http://{name}:9/v1"), "m") };
        endpoint.limits.tries = 1;
        let error = ask(&OpenAi::new(endpoint, Scanner::new()).unwrap(), &question()).await.0.unwrap_err();
        let known = name != "no-such-host.invalid";
        assert!(
            matches!(error, ModelError::Offline { .. }) || (!known && matches!(error, ModelError::Unreachable { .. })),
            "{name}: {error}"
        );
    }
}

#[test]
fn an_address_that_can_not_be_used_is_refused_with_what_to_write() {
    assert!(refused("", false, None).to_string().contains("endpoint = \"http://127.0.0.1:8080/v1\""));
    for (url, expected) in [
        ("127.0.0.1:8080", "no address"),
        ("file:///etc/passwd", "http://"),
        ("http://127.0.0.1/v1?key=x", "must end before"),
        ("http://user:hunter2@127.0.0.1/v1", "a name or a password"),
    ] {
        let error = refused(url, false, None).to_string();
        assert!(error.contains(expected) && !error.contains("hunter2"), "{url}: {error}");
    }
    let error = refused("http://models.example.org/v1", false, Some("planted-key-of-the-test")).to_string();
    assert!(error.contains("in the clear") && !error.contains("planted"), "{error}");
}

#[tokio::test]
async fn a_question_that_holds_what_must_not_leave_is_never_sent() {
    let server = Server::start(|_, _| Answer::text("thanks")).unwrap();
    let mut endpoint = endpoint(&server);
    endpoint.key = Some(Secret::new("planted-key-of-the-test").unwrap());
    let model = OpenAi::new(endpoint, Scanner::new().with_canary("kanarienvogel").with_home(Path::new("/home/someone"))).unwrap();
    for text in [
        "look: planted-key-of-the-test",
        "a kanarienvogel sings",
        "in /home/someone/data",
        "MODEL=ghp_16C7e42F292c6912E7710c838347Ae178B4a\n",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE",
    ] {
        let error = ask(&model, &Request::new(vec![Message::user(text)], 10)).await.0.unwrap_err();
        assert!(matches!(error, ModelError::Leak(_)), "{error}");
        assert!(!error.to_string().contains("planted-key") && !error.may_have_cost(), "{error}");
    }
    assert_eq!(server.connections(), 0);
    assert_eq!(ask(&model, &question()).await.0.unwrap().text, "thanks");
}
