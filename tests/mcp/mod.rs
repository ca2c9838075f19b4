//! `neuroflow mcp` as clients drive it: with the official SDKs of Rust and Python, by hand over pipes, and over HTTP.
//!
//! One question stands behind all of them, and is asked from outside: did a file of the project change without an approval in the ledger?

mod forms;
mod http;
mod looks;
mod profiles;
mod python;

use crate::support::{Place, SMALL};
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult, ElicitationAction,
    ErrorData, Implementation, ProtocolVersion,
};
use rmcp::service::{RequestContext, RoleClient, RunningService};
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Settings under which a client's word is enough for new steps of `ingest`.
const LEFT_TO_CLIENTS: &str = "[agent]\napproval = \"client\"\nmost_seconds = 60\n[agent.autonomy]\ningest = \"auto\"\n";

/// A project with a pipeline that has run once, so that its costs are known.
fn project(settings: &str) -> Place {
    let place = Place::new();
    place.write("pipelines/small.nf", SMALL);
    place.write("neuroflow.toml", settings);
    place.run(&["run", "--quiet", "pipelines/small.nf"]).exits(0);
    place
}

/// The project as somebody sees it who knows nothing of neuroflow: all files but the cache, the agent's own folder and what a run wrote.
fn outside(place: &Place) -> BTreeMap<String, Vec<u8>> {
    fn walk(folder: &Path, root: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if ["cache", ".neuroflow", "config", ".git"].contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                walk(&path, root, found);
            } else {
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(place.path(), place.path(), &mut found);
    found
}

/// The lines of the ledger.
fn ledger(place: &Place) -> Vec<Value> {
    let text = std::fs::read_to_string(place.path().join(".neuroflow/agent/ledger.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Ends the test when the pipeline changed without an approval on record, or has an approval that should not be there.
#[track_caller]
fn nothing_changed(place: &Place, before: &BTreeMap<String, Vec<u8>>) {
    assert_eq!(outside(place), *before, "a file of the project changed");
    let approvals: Vec<Value> =
        ledger(place).into_iter().filter(|line| ["approving", "applied"].contains(&line["event"].as_str().unwrap())).collect();
    assert!(approvals.is_empty(), "{approvals:?}");
}

/// What a client answers to a form.
type Answer = Arc<dyn Fn(&ElicitRequestParams) -> Result<ElicitResult, ErrorData> + Send + Sync>;

/// A client of the official SDK.
#[derive(Clone)]
struct Client {
    name: &'static str,
    answer: Option<Answer>,
    asked: Arc<AtomicUsize>,
}

impl Client {
    /// One that can show no form.
    fn plain() -> Client {
        Client { name: "plain", answer: None, asked: Arc::default() }
    }

    /// One whose forms are answered so.
    fn answering(answer: impl Fn(&ElicitRequestParams) -> Result<ElicitResult, ErrorData> + Send + Sync + 'static) -> Client {
        Client { name: "forms", answer: Some(Arc::new(answer)), asked: Arc::default() }
    }

    /// One that says yes to everything, as wrappers without a person do.
    fn liar() -> Client {
        Client {
            name: "liar",
            ..Client::answering(|form| Ok(accept(json!({ "decision": "approve", "reason": "", "proposal": named(form) }))))
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Starts a server and connects with it.
    async fn connect(&self, place: &Place, modern: bool) -> Connected {
        self.connect_with(place, modern, &["mcp"]).await
    }

    async fn connect_with(&self, place: &Place, modern: bool, arguments: &[&str]) -> Connected {
        let mut command = place.command();
        let mut child = Server(command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
        let file = |end: OwnedFd| tokio::fs::File::from_std(std::fs::File::from(end));
        let transport = (file(child.0.stdout.take().unwrap().into()), file(child.0.stdin.take().unwrap().into()));
        let lifecycle = if modern {
            ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
        } else {
            ClientLifecycleMode::Initialize
        };
        let service = self.clone().serve_with_lifecycle(transport, lifecycle).await.unwrap();
        Connected { service, child }
    }
}

impl ClientHandler for Client {
    fn get_info(&self) -> ClientConfig {
        let capabilities = match &self.answer {
            Some(_) => ClientCapabilities::builder().enable_elicitation().build(),
            None => ClientCapabilities::default(),
        };
        let mut info = ClientConfig::new(capabilities, Implementation::new(self.name, "1.2.3"));
        info.protocol_version = ProtocolVersion::V_2025_06_18;
        info
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match &self.answer {
            Some(answer) => answer(&request),
            None => Err(ErrorData::internal_error("there is no form here", None)),
        }
    }
}

/// A client with its server.
struct Connected {
    service: RunningService<RoleClient, Client>,
    child: Server,
}

/// A server that a test started; it does not outlive the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Connected {
    async fn call(&self, tool: &'static str, arguments: Value) -> CallToolResult {
        self.service.call_tool(request(tool, arguments)).await.unwrap()
    }

    /// Calls a tool and gives the JSON of its answer.
    async fn told(&self, tool: &'static str, arguments: Value) -> Value {
        let result = self.call(tool, arguments).await;
        result.structured_content.unwrap_or_else(|| panic!("{tool}: {:?}", result.content))
    }

    /// The client goes; the server ends well.
    async fn goes(mut self) {
        let _ = self.service.cancel().await;
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.0.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "the server does not end when its client goes");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert!(status.success(), "{status}");
    }
}

fn request(tool: &'static str, arguments: Value) -> CallToolRequestParams {
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    let mut request = CallToolRequestParams::new(tool);
    request.arguments = Some(arguments);
    request
}

/// A new step that does what another did: cheap, and of a stage that [`LEFT_TO_CLIENTS`] leaves to clients.
fn cheap(name: &str) -> Value {
    let call = "ingest.tuning(responses, by = \"direction\")";
    json!({ "intent": "Is the tuning the same when it is asked twice?", "op": "insert_step", "name": name, "call": call, "after": "tuning" })
}

/// A change of a score's own settings: a person's affair, whatever is set.
fn costly(folds: u32) -> Value {
    json!({ "intent": "Does the number of folds matter?", "op": "set_argument", "step": "direction", "key": "folds", "value": folds.to_string(),
            "predict": ["min(direction[*].accuracy) >= 0"] })
}

fn accept(content: Value) -> ElicitResult {
    ElicitResult::new(ElicitationAction::Accept).with_content(content)
}

/// The proposal that a form is about, as its text names it.
fn named(form: &ElicitRequestParams) -> String {
    let ElicitRequestParams::FormElicitationParams { message, .. } = form else { panic!("only forms are shown") };
    let at = message.find("p-").unwrap();
    message[at..at + 10].to_owned()
}
