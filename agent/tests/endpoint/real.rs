//! A real model behind a real server: llama.cpp with a model of 135 million parameters, which is a fool. `NEUROFLOW_REAL_MODEL=1` starts it; otherwise these tests
//! say so and pass. Only properties are asserted, never that an answer is good.

use crate::ask;
use neuroflow_agent::budget::{Budget, BudgetLimits, Price, Spent, SpentToday};
use neuroflow_agent::model::{
    Endpoint, Field, FieldKind, Finish, Message, Model, OpenAi, Request, Schema, Structured, Tool, ToolChoice, Trial, Way, probe,
};
use neuroflow_agent::secret::Scanner;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The server, which ends with the test.
struct Running {
    child: Child,
    url: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Starts it, or says why not.
    fn start() -> Option<Self> {
        if std::env::var_os("NEUROFLOW_REAL_MODEL").is_none_or(|value| value != "1") {
            eprintln!("no real model is asked: set NEUROFLOW_REAL_MODEL=1");
            return None;
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/model/start");
        let mut child = Command::new(script).arg(port.to_string()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let started = lines.map_while(Result::ok).any(|line| line.starts_with("Running on"));
        assert!(started, "NEUROFLOW_REAL_MODEL=1 is set, but `tests/model/start` ended with {:?}", child.wait());
        Some(Self { child, url: format!("http://127.0.0.1:{port}/v1") })
    }

    fn client(&self) -> OpenAi {
        OpenAi::new(Endpoint { offline: true, ..Endpoint::new(&self.url, "smollm2") }, Scanner::new()).unwrap()
    }
}

fn tools() -> Vec<Tool> {
    let words = |words: &[&str]| FieldKind::Word(words.iter().map(|word| (*word).to_owned()).collect());
    let edit = vec![
        Field::new("op", words(&["set_argument", "insert_step"]), "what to change"),
        Field::new("step", FieldKind::String, "the name of the step"),
        Field::new("value", FieldKind::String, "the new value"),
    ];
    let show = vec![Field::new("what", words(&["dag", "data"]), "what to show"), Field::new("depth", FieldKind::Integer, "how deep")];
    vec![
        Tool { name: "propose_edit".into(), description: "Proposes a change of the pipeline.".into(), schema: Schema::new(edit).unwrap() },
        Tool { name: "summarize".into(), description: "Shows a part of the project.".into(), schema: Schema::new(show).unwrap() },
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_model_is_asked_in_every_way() {
    let Some(running) = Running::start() else { return };
    let model = running.client();
    let mut budget = Budget::new(BudgetLimits::default(), "smollm2", Some(Price::FREE), Spent::default(), SpentToday::default());

    // Words: what was handed on is what is given, and the server's count is within what would have been set aside.
    let question =
        Request::new(vec![Message::system("You help a neuroscientist."), Message::user("What is a spike train? One sentence.")], 48);
    let reservation = budget.reserve(&question, Duration::ZERO, "2026-11-30").unwrap();
    let aside = budget.spent().tokens;
    let (reply, shown) = ask(&model, &question).await;
    let reply = reply.unwrap();
    eprintln!("words: {reply:?}");
    assert_eq!(reply.text, shown);
    assert!(!reply.text.is_empty() && !reply.usage.estimated);
    budget.settle(reservation, &reply.usage, Duration::ZERO);
    assert!(budget.spent().tokens <= aside, "{} > {aside}", budget.spent().tokens);

    // The same question with the same seed and no freedom has the same answer.
    assert_eq!(ask(&model, &question).await.0.unwrap().text, reply.text);

    // The probe says something about each way that it tried, and what it calls working is of the schema.
    let found = probe(&model).await.unwrap();
    eprintln!("probe: {found:?}");
    assert!(!found.trials.is_empty());
    if let Some(way) = found.way() {
        assert!(found.trials.iter().any(|(tried, trial)| *tried == way && matches!(trial, Trial::Works { .. })));
    }

    // Tools of our own size. A server that holds to a schema holds to it: an answer that was not cut is a call of a tool that exists, and passes the check.
    let request = Request::new(vec![Message::user("Use ten folds in the step `scene`.")], 160).with_tools(tools(), ToolChoice::Required);
    for way in Way::ALL {
        let reply = Structured::new(&model, way).reply(&request, &mut |_| {}).await;
        eprintln!("{way}: {reply:?}");
        let reply = reply.unwrap();
        for call in &reply.calls {
            if let Some(tool) = request.tool(&call.name) {
                // A fool's mistake is told in words.
                if let Err(problems) = tool.schema.check(&call.arguments) {
                    assert!(problems.iter().all(|problem| !problem.is_empty()));
                }
            }
        }
        if way == Way::Object && reply.finish != Finish::Length {
            let call = reply.calls.first().unwrap_or_else(|| panic!("no call: {}", reply.text));
            assert!(request.tool(&call.name).is_some(), "{}", call.name);
        }
    }

    // Who hangs up in the middle does no harm.
    let long = Request::new(vec![Message::user("Tell a long story about a neuron.")], 2000);
    let cut = tokio::time::timeout(Duration::from_millis(700), model.reply(&long, &mut |_| {})).await;
    assert!(cut.is_err(), "{cut:?}");
    assert!(ask(&model, &question).await.0.is_ok());
}
