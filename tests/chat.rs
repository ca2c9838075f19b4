//! `neuroflow chat` with a model that says what the test wants, over a real connection: looking, proposing, asking back, and what must not leave.

use crate::support::Place;
use neuroflow_model_server::{Answer, Call, Received, Server};
use serde_json::{Value, json};

const PIPELINE: &str = r#"pipeline sim "A simulated recording"

input sessions = ingest.simulate()

for mouse in sessions {
  responses = ingest.trials(sessions[mouse])
  direction = decode.classify(responses, target = "direction", window = 0 s .. 2 s, model = lda(shrinkage = auto), folds = 4)
    with control = shuffle("direction", n = 20), seed = 7
}

report sim { direction }
"#;

/// A project whose model is the server.
fn project(server: &Server, more: &str) -> Place {
    let place = Place::new();
    place.write("sim.nf", PIPELINE);
    place.write("neuroflow.toml", format!("[agent]\nendpoint = \"{}\"\nmodel = \"scripted\"\n{more}", server.endpoint()));
    place
}

/// A call of one tool.
fn call(name: &str, arguments: &Value) -> Answer {
    Answer::calls(vec![Call::new("call_1", name, arguments)])
}

/// All arguments of `propose_edit`, those that are not given left open.
fn edit(given: &Value) -> Value {
    let fields = [
        "op",
        "name",
        "title",
        "value",
        "call",
        "after",
        "outside",
        "step",
        "key",
        "from",
        "to",
        "condition",
        "message",
        "items",
        "text",
        "edits",
        "predict",
        "more",
    ];
    let mut all: serde_json::Map<String, Value> = fields.into_iter().map(|field| (field.to_owned(), Value::Null)).collect();
    all.insert("intent".into(), "Is it the trials?".into());
    all.extend(given.as_object().unwrap().clone());
    all.into()
}

/// What the tools gave, in the latest question.
fn given(server: &Server) -> Vec<String> {
    let received: Vec<Received> = server.received();
    let body: Value = serde_json::from_slice(&received.last().unwrap().body).unwrap();
    let messages = body["messages"].as_array().unwrap().clone();
    messages.iter().filter(|message| message["role"] == "tool").map(|message| message["content"].as_str().unwrap().to_owned()).collect()
}

fn once(place: &Place, said: &str) -> crate::support::Said {
    place.run(&["chat", "--way", "tools", "--once", said])
}

#[test]
fn a_proposal_is_shown_and_changes_nothing() {
    let server = Server::list(vec![
        call("read_pipeline", &json!({})),
        call(
            "propose_edit",
            &edit(
                &json!({ "op": "add_control", "step": "direction", "call": "window(-1 s .. 0 s)", "predict": ["max(direction[*].accuracy.window) < 0.3"] }),
            ),
        ),
    ]);
    let server = server.unwrap();
    let place = project(&server, "");
    let said = once(&place, "add a control to the decoding").exits(0);
    let said = said.says("window(-1 s .. 0").says("predicts  max(direction[*].accuracy.window) < 0.3").says("neuroflow agent review p-");
    assert!(said.out.contains("by scripted @ 127.0.0.1"), "{}", said.out);
    assert_eq!(std::fs::read_to_string(place.path().join("sim.nf")).unwrap(), PIPELINE);
    assert!(given(&server)[0].contains("ingest.simulate()"));
    place.run(&["agent", "log"]).exits(0).says("offered").says("Is it the trials?");
    // Nobody answers for a person.
    place.run(&["agent", "review"]).exits(0).says("a person gives it in a terminal");
    assert_eq!(std::fs::read_to_string(place.path().join("sim.nf")).unwrap(), PIPELINE);
}

#[test]
fn several_edits_are_one_card_and_mistakes_go_back_to_the_model() {
    let insert = json!({ "op": "insert_step", "name": "orientation", "after": "direction", "more": true,
        "call": "decode.classify(responses, target = \"orientation\", window = 0 s .. 2 s, model = lda(shrinkage = auto), folds = 4) with control = shuffle(\"orientation\", n = 20), seed = 7" });
    let server = Server::list(vec![
        call("propose_edit", &edit(&json!({ "op": "set_argument", "step": "direction", "key": "fold", "value": "8" }))),
        call("propose_edit", &edit(&insert)),
        call("propose_edit", &edit(&json!({ "op": "add_report", "name": "sim", "items": "orientation", "more": false }))),
        Answer::text("not asked"),
    ]);
    let server = server.unwrap();
    let place = project(&server, "");
    once(&place, "decode orientation too").exits(0).says("orientation").says("report sim { direction, orientation }");
    let given = given(&server);
    assert!(given[0].contains("folds") && given[0].contains("tries_left"), "{}", given[0]);
    assert!(given[1].contains("kept"), "{}", given[1]);
    assert_eq!(place.run(&["agent", "log"]).out.matches("offered").count(), 1);
}

#[test]
fn scores_are_told_after_a_prediction_and_each_look_is_counted() {
    let server = Server::list(vec![
        call("results", &json!({ "step": "direction", "prediction": null, "run": null })),
        call("results", &json!({ "step": "direction", "prediction": "max(direction[*].accuracy) > 0.5", "run": null })),
        Answer::text("direction is decoded at 0.9, chance 0.125"),
    ]);
    let server = server.unwrap();
    let place = project(&server, "");
    place.run(&["run", "sim.nf"]).exits(0);
    once(&place, "how good is it?").exits(0).says("chance 0.125");
    let given = given(&server);
    assert!(given[0].contains("say first what you expect") && !given[0].contains("0.125"), "{}", given[0]);
    assert!(given[1].contains("accuracy") && given[1].contains("shuffle null"), "{}", given[1]);
    place.run(&["agent", "history"]).exits(0).says("held-out scores were looked at 1 times");
}

#[test]
fn it_asks_back_and_the_person_sees_the_options() {
    let server =
        Server::list(vec![call("clarify", &json!({ "question": "Which band?", "options": ["8 to 13 Hz", "13 to 30 Hz\u{202e}"] }))])
            .unwrap();
    let place = project(&server, "");
    once(&place, "the band is wrong").exits(0).says("Which band?").says("1. 8 to 13 Hz").says("2. 13 to 30 Hz<U+202E>");
}

#[test]
fn a_pipeline_is_drafted_from_a_folder_of_data() {
    let edits = [
        json!({ "op": "begin", "name": "fresh", "title": "From nothing" }),
        json!({ "op": "add_input", "name": "table", "value": "csv(\"data/*.csv\")" }),
    ];
    let edits: Vec<String> = edits.iter().map(Value::to_string).collect();
    let server = Server::list(vec![
        call("describe_data", &json!({ "number": null })),
        call("describe_data", &json!({ "number": 1 })),
        call("describe_data", &json!({ "number": 2 })),
        call("propose_edit", &edit(&json!({ "edits": edits }))),
        Answer::text("I could not."),
    ]);
    let server = server.unwrap();
    let place = Place::new();
    place.write("data/one.csv", "trial,rate,age\n1,2.5,30\n2,3.5,41\n");
    place.write("neuroflow.toml", format!("[agent]\nendpoint = \"{}\"\n", server.endpoint()));
    place
        .run(&["chat", "--new", "--way", "tools", "--once", "what can I do with this?"])
        .exits(0)
        .says("pipeline fresh")
        .says("csv(\"data/*.csv\")");
    let given = given(&server);
    assert!(given[0].contains("data/one.csv") && given[1].contains("rate") && given[1].contains("masked"), "{given:?}");
    assert!(!given[1].contains("2.5") && !given[1].contains("30"), "no values: {}", given[1]);
    assert!(given[2].contains("no listed file"), "{}", given[2]);
    assert!(!place.path().join("pipelines").exists());
}

#[test]
fn no_secret_leaves_and_no_other_key_is_used() {
    let server = Server::list(vec![Answer::text("hello")]).unwrap();
    let place = project(&server, "key_env = \"MODEL_KEY\"\n");
    let mut command = place.command();
    command
        .args(["chat", "--way", "tools", "--once", "hello"])
        .env("MODEL_KEY", "planted-key-of-this-test")
        .env("OPENAI_API_KEY", "sk-canary-of-somebody-else");
    command.env("OPENAI_BASE_URL", "http://192.0.2.1/v1").env("HOME", place.path().join("home-canary"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sent: Vec<String> = server.received().iter().map(|one| format!("{one:?} {}", String::from_utf8_lossy(&one.body))).collect();
    assert_eq!(sent.len(), 1);
    assert!(!sent[0].contains("canary"), "{}", sent[0]);
    let printed = [output.stdout, output.stderr].concat();
    assert!(!String::from_utf8_lossy(&printed).contains("planted-key"));
    // A key in a project file is refused with advice.
    place.write("neuroflow.toml", format!("[agent]\nendpoint = \"{}\"\nkey = \"sk-1234567890abcdef\"\n", server.endpoint()));
    let said = once(&place, "hello").exits(4).says("key_env");
    assert!(!said.err.contains("1234567890abcdef"), "{}", said.err);
}

#[test]
fn a_project_can_not_have_a_key_sent_where_the_person_did_not_send_it() {
    let place = Place::new();
    place.write("sim.nf", PIPELINE);
    place.write("neuroflow.toml", "[agent]\nendpoint = \"https://192.0.2.1/v1\"\nkey_env = \"MODEL_KEY\"\n");
    let said = || {
        let mut command = place.command();
        command.args(["chat", "--way", "tools", "--once", "hello"]).env("MODEL_KEY", "planted-key-of-this-test");
        crate::support::said(command.output().unwrap()).exits(4)
    };
    said().says("your own settings do not name").says("https://192.0.2.1/v1");
    place.write("config/neuroflow/config.toml", "[agent]\nendpoint = \"https://192.0.2.1/v1\"\n");
    // Now it is the person's endpoint, and only the network is missing.
    let said = said();
    assert!(!said.err.contains("your own settings") && said.err.contains("offline"), "{}", said.err);
}

#[test]
fn without_a_model_it_says_how_to_set_one() {
    let place = Place::new();
    place.write("sim.nf", PIPELINE);
    place.run(&["chat", "--once", "hello"]).exits(4).says("endpoint = ");
    place.run(&["chat", "missing.nf", "--once", "hello"]).exits(4).says("chat --new");
}

#[test]
fn the_doctor_says_how_a_model_can_be_asked() {
    let server = Server::start(|request, _| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        match body.get("tools").is_some_and(|tools| tools.as_array().is_some_and(|tools| !tools.is_empty())) {
            true => Answer::text("I would rather talk."),
            false => Answer::text("{\"tool\": \"pick\", \"word\": \"seven\", \"number\": 7}"),
        }
    });
    let server = server.unwrap();
    let place = project(&server, "");
    place.run(&["agent", "doctor"]).exits(0).says("tools     fails").says("asked by object").says("this machine");
}

#[test]
fn a_budget_ends_the_conversation_before_it_is_passed() {
    let server = Server::start(|_, _| Answer::text("hello")).unwrap();
    let place = project(&server, "[agent.budget]\ntokens_per_session = 100\n");
    once(&place, "hello").exits(4).says("tokens_per_session");
    assert_eq!(server.received().len(), 0);
}

#[test]
fn nothing_is_sent_to_find_out_how_a_model_is_asked_when_the_budget_is_spent() {
    let server = Server::start(|_, _| Answer::text("hello")).unwrap();
    for limit in ["turns = 0", "tokens_per_session = 10"] {
        let place = project(&server, &format!("[agent.budget]\n{limit}\n"));
        place.run(&["chat", "--once", "hello"]).exits(4).says(limit.split(' ').next().unwrap());
        place.run(&["agent", "doctor"]).exits(4).says("budget is used up");
    }
    assert_eq!(server.received().len(), 0);
}

#[test]
fn a_turn_without_a_whole_answer_says_so() {
    let cut = Answer::Reply { text: "The answer is that".into(), calls: Vec::new(), finish: json!("length"), usage: Value::Null };
    let check = |count: usize| Answer::calls((0..count).map(|number| Call::new(&format!("call_{number}"), "check", &json!({}))).collect());
    let told: [(Vec<Answer>, &str); 3] =
        [(vec![Answer::text("")], "no words and no calls"), (vec![cut], "cut off"), (vec![check(16), check(1)], "came to no answer")];
    for (answers, says) in told {
        let server = Server::list(answers).unwrap();
        once(&project(&server, ""), "hello").exits(3).says(says);
    }
}

#[test]
fn a_proposal_beside_a_question_is_shown_too() {
    let change = edit(&json!({ "op": "set_argument", "step": "direction", "key": "folds", "value": "5" }));
    let both = vec![
        Call::new("call_1", "propose_edit", &change),
        Call::new("call_2", "clarify", &json!({ "question": "Which window?", "options": null })),
    ];
    let server = Server::list(vec![Answer::calls(both)]).unwrap();
    once(&project(&server, ""), "other folds").exits(0).says("neuroflow agent review p-").says("Which window?");
}

#[test]
fn no_question_is_longer_than_the_window() {
    let calls = |name: &str, arguments: &Value, count: usize| {
        Answer::calls((0..count).map(|number| Call::new(&format!("{name}_{number}"), name, arguments)).collect())
    };
    let asked = |window: u64| {
        let script = vec![
            calls("stage_doc", &json!({ "name": "decode.classify" }), 8),
            calls("list_stages", &json!({ "topic": null }), 6),
            Answer::text("done"),
        ];
        let server = Server::list(script).unwrap();
        let said = once(&project(&server, &format!("window = {window}\n")), "what is there?");
        let sent: Vec<usize> = server.received().iter().map(|one| one.body.len().div_ceil(3)).collect();
        (said, sent)
    };
    let (said, sent) = asked(16_000);
    assert!(sent.len() == 3 && sent.iter().all(|tokens| *tokens <= 16_000), "{sent:?}");
    said.exits(0).says("`window = 16000` under [agent]");
    // Nothing is said of leaving out when nothing was.
    let (said, sent) = asked(100_000);
    assert!(!said.exits(0).out.contains("window"), "{sent:?}");
    let (said, sent) = asked(4000);
    assert_eq!(sent.len(), 0);
    said.exits(4).says("`window` under [agent] is 4000; raise it");
}

#[test]
fn a_recorded_conversation_is_said_again_without_a_model() {
    let server = Server::list(vec![call("check", &json!({})), Answer::text("No mistake was found.")]).unwrap();
    let place = project(&server, "");
    place.run(&["chat", "--way", "tools", "--record", "recorded", "--once", "is it right?"]).exits(0).says("No mistake was found.");
    drop(server);
    place.run(&["chat", "--replay", "recorded", "--once", "is it right?"]).exits(0).says("No mistake was found.");
    place.run(&["chat", "--replay", "recorded", "--once", "is it wrong?"]).exits(4);
}

/// Everything that lies below a folder.
fn listing(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut all: Vec<std::path::PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    all.extend(all.clone().iter().filter(|path| path.is_dir()).flat_map(|path| listing(path)));
    all.sort();
    all
}

#[test]
fn a_step_is_tried_aside_on_a_few_trials_where_a_person_allows_it() {
    let attempt = |given: Value| {
        let mut all = json!({ "step": "direction", "call": null, "trials": 60, "prediction": "max(direction[*].accuracy) > 0.3" });
        all.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
        call("try_step", &all)
    };
    let other = "decode.classify(responses, target = \"direction\", window = 0 s .. 2 s, model = lda(shrinkage = auto), folds = 3)";
    let script = || {
        vec![
            attempt(json!({ "prediction": null })),
            attempt(json!({})),
            attempt(json!({ "call": other })),
            attempt(json!({ "step": "latency", "call": "decode.clasify(responses)" })),
            attempt(json!({ "step": "direction[\"nobody\"]" })),
            attempt(json!({ "call": "decode.classify(responses, target = \"direction\", folds = 50)" })),
            Answer::text("it works"),
        ]
    };
    // Nothing is tried unless a person says so.
    let server = Server::list(script()).unwrap();
    let place = project(&server, "");
    place.run(&["run", "sim.nf"]).exits(0);
    once(&place, "try it").exits(0);
    assert!(given(&server).iter().all(|told| told.contains("preview")), "{:?}", given(&server));

    let server = Server::list(script()).unwrap();
    let set = format!("[agent]\nendpoint = \"{}\"\nmodel = \"scripted\"\npreview = \"sample\"\n", server.endpoint());
    place.write("neuroflow.toml", &set);
    let cache = place.path().join("cache");
    let before = (listing(&cache), place.run(&["runs"]).exits(0).out);
    once(&place, "try it").exits(0);
    let told = given(&server);
    assert!(told[0].contains("say first what you expect"), "{}", told[0]);
    assert!(told[1].contains("\"60 of ") && told[1].contains("accuracy") && told[1].contains("no result"), "{}", told[1]);
    assert!(!told[1].contains("shuffle null"), "controls are not run: {}", told[1]);
    assert!(told[2].contains("\"60 of ") && told[2].contains("accuracy"), "{}", told[2]);
    assert!(told[3].contains("there is no stage") && told[3].contains("decode.classify"), "{}", told[3]);
    assert!(told[4].contains("no step"), "{}", told[4]);
    assert!(told[5].contains("failed"), "{}", told[5]);
    assert_eq!((listing(&cache), place.run(&["runs"]).exits(0).out), before, "nothing of it is kept");
    assert_eq!(std::fs::read_to_string(place.path().join("sim.nf")).unwrap(), PIPELINE);
    place.run(&["agent", "history"]).exits(0).says("held-out scores were looked at 2 times");
    place.run(&["agent", "log"]).exits(0).says("tried");

    // What they compute has a limit, and those of other sessions count.
    let server = Server::list(script()).unwrap();
    let set = format!("[agent]\nendpoint = \"{}\"\npreview = \"sample\"\n[agent.budget]\ncompute_per_day = \"59 s\"\n", server.endpoint());
    place.write("neuroflow.toml", set);
    once(&place, "try it").exits(0);
    assert!(given(&server)[1].contains("compute_per_day"), "{}", given(&server)[1]);
}

/// What a model was sent as its key.
fn bearer(server: &Server) -> Option<String> {
    server.received()[0].header("authorization").map(str::to_owned)
}

#[cfg(unix)]
#[test]
fn a_key_comes_from_the_systems_keyring() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Server::list(vec![Answer::text("hello")]).unwrap();
    let place = project(&server, "key_keyring = \"model\"\n");
    // A keyring that knows one key, as the system's command answers.
    let tool = "#!/bin/sh\n[ \"$*\" = 'lookup service neuroflow key model' ] && printf planted-key-of-this-test && exit 0\n\
                [ \"$*\" = 'find-generic-password -s neuroflow -a model -w' ] && echo planted-key-of-this-test && exit 0\n\
                case \"$*\" in *locked*) echo 'secret-tool: Cannot autolaunch D-Bus' >&2;; esac\nexit 1\n";
    for name in ["bin/secret-tool", "bin/security"] {
        place.write(name, tool);
        std::fs::set_permissions(place.path().join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let asked = |key: &str| {
        place.write("neuroflow.toml", format!("[agent]\nendpoint = \"{}\"\nkey_keyring = \"{key}\"\n", server.endpoint()));
        let path = std::env::join_paths(
            std::iter::once(place.path().join("bin")).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
        );
        let mut command = place.command();
        command.args(["chat", "--way", "tools", "--once", "hello"]).env("PATH", path.unwrap());
        crate::support::said(command.output().unwrap())
    };
    let said = asked("model").exits(0);
    assert!(!said.out.contains("planted-key") && !said.err.contains("planted-key"));
    assert_eq!(bearer(&server).as_deref(), Some("Bearer planted-key-of-this-test"));
    asked("other").exits(4).says("there is none").says("neuroflow");
    asked("locked").exits(4).says("could not ask the keyring").says("Cannot autolaunch D-Bus").says("key_file");
    asked("-w").exits(4).says("must be a name");
}

/// The real keyring of a Linux desktop, without a desktop.
#[cfg(target_os = "linux")]
#[test]
fn a_key_comes_from_a_real_keyring() {
    let is_here =
        |name: &str| std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|folder| folder.join(name).exists());
    if let Some(missing) = ["dbus-run-session", "gnome-keyring-daemon", "secret-tool"].into_iter().find(|name| !is_here(name)) {
        eprintln!("skipped: there is no {missing} here");
        return;
    }
    let server = Server::list(vec![Answer::text("hello")]).unwrap();
    let place = project(&server, "key_keyring = \"model\"\n");
    let script = "printf pw | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1\n\
                  printf planted-key-of-this-test | secret-tool store --label=neuroflow service neuroflow key model || exit 99\n\
                  \"$@\"\nended=$?\nkill $(cat \"$XDG_RUNTIME_DIR\"/keyring/pid 2>/dev/null) 2>/dev/null\nexit $ended\n";
    let own = place.command();
    let mut command = std::process::Command::new("dbus-run-session");
    command.args(["--", "sh", "-c", script, "sh"]).arg(own.get_program()).args(own.get_args()).current_dir(place.path());
    command.args(["chat", "--way", "tools", "--once", "hello"]);
    for (name, value) in own.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    // A folder of its own: a socket's path must be short.
    let runtime = tempfile::Builder::new().prefix("nf").tempdir().unwrap();
    command.env("HOME", place.path().join("home")).env("XDG_RUNTIME_DIR", runtime.path()).env("XDG_DATA_HOME", place.path().join("data"));
    crate::support::said(command.output().unwrap()).exits(0);
    assert_eq!(bearer(&server).as_deref(), Some("Bearer planted-key-of-this-test"));
}

#[test]
fn a_person_reads_what_a_model_is_told() {
    let place = Place::new();
    place.write("sim.nf", PIPELINE);
    place.write("knowledge/bands.md", "The mu band is 8 to 13 Hz.\n");
    place.run(&["agent", "summarize"]).exits(0).says("pipelines:\n  - sim.nf").says("notes:\n  - knowledge/bands.md");
    let said = place.run(&["agent", "summarize", "--what", "dag", "--depth", "3"]).exits(0);
    said.says("- step: responses").says("stage: decode.classify");
    place.run(&["agent", "summarize", "--what", "data"]).exits(0).says("simulated: true");
    place.run(&["agent", "summarize", "--depth", "4"]).exits(4).says("1..=3");
}

/// A call of one tool as one object, as a model without tools of its own writes it: every field of every tool, those that do not belong being null.
fn object(tool: &str, given: &Value) -> Answer {
    let one = neuroflow_agent::model::union(&neuroflow_agent::Desk::tools()).unwrap().as_json();
    let names = one["properties"].as_object().unwrap().keys().cloned();
    let mut all: serde_json::Map<String, Value> = names.map(|name| (name, Value::Null)).collect();
    all.insert("tool".into(), tool.into());
    all.extend(given.as_object().unwrap().clone());
    Answer::text(&Value::Object(all).to_string())
}

#[test]
fn a_model_without_tools_of_its_own_looks_and_proposes_too() {
    for way in ["object", "words"] {
        let server = Server::list(vec![
            object("explain", &json!({ "of": "direction" })),
            object(
                "propose_edit",
                &json!({ "intent": "Is it the trials?", "op": "add_control", "step": "direction", "call": "window(-1 s .. 0 s)" }),
            ),
            object("answer", &json!({ "answer": "That is the control." })),
        ]);
        let server = server.unwrap();
        let place = project(&server, "");
        let said = place.run(&["chat", "--way", way, "--once", "add a control to the decoding"]).exits(0);
        said.says("window(-1 s .. 0").says("neuroflow agent review p-");
        assert_eq!(std::fs::read_to_string(place.path().join("sim.nf")).unwrap(), PIPELINE);
    }
}
