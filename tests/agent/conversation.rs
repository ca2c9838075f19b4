//! A whole conversation at a terminal, with a model that says what the test wants: draft, check, propose, approve, commit, run, compare.

use super::{FIVE_FOLDS, PIPELINE, Terminal, events, git, project, run, text};
use neuroflow_model_server::{Answer, Call, Piece, Server};
use serde_json::{Value, json};
use std::time::Duration;

/// A proposal of five folds with a prediction.
fn five_folds() -> Value {
    let edits: Vec<Value> = serde_json::from_str(FIVE_FOLDS).unwrap();
    draft(&edits, "Do five folds change the score?", &["min(direction[*].accuracy) >= 0"])
}

fn body(server: &Server, number: usize) -> String {
    String::from_utf8(server.received()[number].body.clone()).unwrap()
}

#[test]
fn a_conversation_goes_from_a_question_to_a_compared_prediction() {
    let word = |text: &str| Piece::Bytes(format!("data: {}\n\n", json!({"choices": [{"delta": {"content": text}}]})).into_bytes());
    let server = Server::start(move |_, number| match number {
        0 => Answer::calls(vec![Call::new("call_1", "clarify", &json!({"question": "How many folds?", "options": ["five", "ten"]}))]),
        1 => Answer::calls(vec![Call::new("call_2", "propose_edit", &five_folds())]),
        2 => Answer::text("Five folds it is."),
        _ => Answer::Stream(vec![word("thinking "), Piece::Pause(Duration::from_secs(20)), word("too late")]),
    });
    let server = server.unwrap();
    let place = project();
    place.write("neuroflow.toml", format!("[agent]\nendpoint = \"{}\"\nmodel = \"scripted\"\n", server.endpoint()));
    let Some(mut terminal) = Terminal::start(&place, &["chat", "--way", "tools"], &[]) else { return };
    terminal.wait("you read each proposal and decide").wait("> ").types("Other folds, please.");
    terminal.wait("How many folds?").wait("1. five").wait("> ").types("five");
    terminal.wait("Do five folds change the score?").wait("can move").wait("predicts").wait("later [q]: ");
    assert_eq!(text(&place, "small.nf"), PIPELINE);
    let seen = terminal.seen();
    let id = seen.rsplit("proposal p-").next().unwrap()[..8].to_owned();
    terminal.types("a").wait("to say yes: ").types(&id).wait("applied to small.nf; commit").wait("predicted by").wait("held");
    // The model is told what the person did, and that a run ended.
    terminal.wait("> ").types("And now?").wait("Five folds it is.");
    let told = body(&server, 2);
    assert!(told.contains("the person approved proposal p-") && told.contains("a run ended: Done"), "{told}");
    assert_eq!(text(&place, "small.nf"), PIPELINE.replace("folds = 4", "folds = 5"));
    assert!(git(&place, &["log", "-1", "--format=%B"]).contains("Neuroflow-Model: scripted @ 127.0.0.1"));
    // Ctrl-C ends the answer, not the conversation.
    terminal.wait("> ").types("Think.").wait("thinking").types("\u{3}").wait("stopped").wait("> ").types("/spent").wait("in 4 questions");
    terminal.wait("> ").types("/diff").wait("no proposal waits").wait("> ").types("/nothing").wait("there is no /nothing");
    terminal.wait("> ").types("/quit");
    assert_eq!(terminal.ends().0, 0);
    assert!(!text(&place, "small.nf").contains("too late"));
    assert_eq!(events(&place), ["offered", "approving", "applied", "compared", "spent"]);
    run(&place, &["agent", "verify"]).exits(0);
    run(&place, &["agent", "history"]).exits(0).says("1 held, 0 failed");
}

/// A project whose model is a server of this machine.
fn with_model(server: &Server, further: &str) -> crate::support::Place {
    let place = project();
    place.write("neuroflow.toml", format!("[agent]\nendpoint = \"{}\"\nmodel = \"scripted\"\n{further}", server.endpoint()));
    place
}

/// A model that says hello once, and proposes five folds from then on.
fn greets_then_proposes() -> Server {
    let server = Server::start(|_, number| match number {
        0 => Answer::text("Hello."),
        _ => Answer::calls(vec![Call::new("call_1", "propose_edit", &five_folds())]),
    });
    server.unwrap()
}

#[test]
fn who_leaves_a_question_at_a_card_has_neither_said_no_nor_yes() {
    let server = greets_then_proposes();
    let place = with_model(&server, "");
    let Some(mut terminal) = Terminal::start(&place, &["chat", "--way", "tools"], &[]) else { return };
    // From the first answer on, Ctrl-C does not end the program.
    terminal.wait("> ").types("Hello?").wait("Hello.").wait("> ").types("Five folds.").wait("later [q]: ");
    for leave in ["\u{4}", "\u{3}"] {
        terminal.types("r").wait("why? ").presses(leave).wait("nothing is rejected").wait("later [q]: ");
    }
    terminal.types("w").wait("to say yes: ").presses("\u{3}").wait("nothing is changed").wait("later [q]: ");
    terminal.presses("\u{3}").wait("> ").types("/diff").wait("later [q]: ").types("r").wait("why? ").types("no need").wait("rejected");
    terminal.wait("> ").types("/quit");
    assert_eq!(terminal.ends().0, 0);
    assert_eq!(events(&place), ["offered", "rejected", "spent"]);
}

#[test]
fn lines_that_are_pasted_are_asked_one_after_the_other() {
    let server = Server::start(|_, number| Answer::text(&format!("answer {number}"))).unwrap();
    let place = with_model(&server, "");
    let Some(mut terminal) = Terminal::start(&place, &["chat", "--way", "tools"], &[]) else { return };
    terminal.wait("> ").presses("first\rsecond\rthird\r").wait("answer 0").wait("answer 1").wait("answer 2").wait("> ").types("/quit");
    assert_eq!(terminal.ends().0, 0);
    assert!(body(&server, 2).contains("third"));
}

#[test]
fn a_word_that_may_not_leave_is_taken_back_and_the_conversation_goes_on() {
    let server = Server::start(|_, number| match number {
        0 => Answer::calls(vec![Call::new("call_1", "propose_edit", &five_folds())]),
        _ => Answer::text(&format!("answer {number}")),
    });
    let server = server.unwrap();
    let place = with_model(&server, "");
    let home = place.path().join("home/data/x.mat").display().to_string();
    let Some(mut terminal) = Terminal::start(&place, &["chat", "--way", "tools"], &[]) else { return };
    terminal.wait("> ").types("Five folds.").wait("later [q]: ").types("r").wait("why? ").types(&format!("use {home}")).wait("rejected");
    terminal.wait("> ").types("Why?").wait("answer 1");
    terminal.wait("> ").types(&format!("They are in {home}")).wait("path of your home folder").wait("it is taken back");
    terminal.wait("> ").types("Hello?").wait("answer 2");
    let key = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    terminal.wait("> ").types(&format!("The token is {key}")).wait("a token of GitHub").wait("> ").types("And now?").wait("answer 3");
    terminal.wait("> ").types("/quit");
    assert_eq!(terminal.ends().0, 0);
    assert_eq!(server.received().len(), 4);
    let last = body(&server, 3);
    assert!(last.contains("the person rejected proposal p-") && !last.contains(place.path().to_str().unwrap()), "{last}");
    let agent = place.path().join(".neuroflow/agent");
    let kept = std::fs::read_dir(agent.join("transcripts")).unwrap().map(|entry| entry.unwrap().path()).chain([agent.join("history")]);
    for path in kept {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(key), "{}", path.display());
    }
}

#[test]
fn a_stale_card_says_so_and_a_wrong_pipeline_is_told_once() {
    let server = Server::start(|_, number| match number {
        0 => Answer::calls(vec![Call::new("call_1", "propose_edit", &five_folds())]),
        _ => Answer::text(&format!("answer {number}")),
    });
    let server = server.unwrap();
    let place = with_model(&server, "[agent.budget]\nturns = 1\n");
    let Some(mut terminal) = Terminal::start(&place, &["chat", "--way", "tools"], &[]) else { return };
    terminal.wait("> ").types("Five folds.").wait("later [q]: ").types("q");
    place.write("small.nf", format!("{PIPELINE}\nbroken = nothing.known(1)\n"));
    terminal.wait("> ").types("/diff").wait("no longer approved").wait("> ").types("/run").wait("nothing.known");
    // The limit is raised, as the error says, and the conversation goes on.
    terminal.wait("> ").types("And now?").wait("raise the limit");
    place.write("neuroflow.toml", format!("[agent]\nendpoint = \"{}\"\nmodel = \"scripted\"\n", server.endpoint()));
    terminal.wait("> ").types("And now?").wait("answer 1").wait("> ").types("/quit");
    let (code, seen) = terminal.ends();
    assert_eq!(code, 0);
    assert!(!seen.lines().any(|line| line.trim_end() == "error:"), "{seen}");
    let told = body(&server, 1);
    assert!(told.contains("is stale") && told.contains("the pipeline has mistakes"), "{told}");
}

#[test]
fn ctrl_c_ends_a_look_at_much_data_at_once() {
    let server = Server::start(|_, number| match number {
        0 => Answer::calls(vec![Call::new("call_1", "plan", &json!({}))]),
        _ => Answer::text("answer"),
    });
    let server = server.unwrap();
    let place = with_model(&server, "");
    place.write("small.nf", "pipeline b \"B\"\ninput x = nwb(\"x.nwb\")\nf = ingest.array(x, of = \"a\")\nreport b { f }\n");
    // Nothing of it is on the disk; reading all of it takes long.
    place.write("x.nwb", "");
    std::fs::OpenOptions::new().write(true).open(place.path().join("x.nwb")).unwrap().set_len(16 << 30).unwrap();
    let Some(mut terminal) = Terminal::start(&place, &["chat", "--way", "tools"], &[]) else { return };
    terminal.wait("> ").types("Plan it.").wait("· plan");
    let began = std::time::Instant::now();
    terminal.presses("\u{3}").wait("stopped").wait("> ").types("And now?").wait("answer").wait("> ").types("/quit");
    assert_eq!(terminal.ends().0, 0);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    // The call that was stopped has an answer, for no endpoint takes one without.
    let sent: Value = serde_json::from_str(&body(&server, 1)).unwrap();
    assert!(sent["messages"].as_array().unwrap().iter().any(|one| one["tool_call_id"] == "call_1"), "{sent}");
}

#[test]
fn ctrl_c_ends_a_yes_and_an_undo_that_read_much_data_and_nothing_is_written() {
    let server = greets_then_proposes();
    let place = with_model(&server, "");
    git(&place, &["add", "."]);
    git(&place, &["commit", "-q", "-m", "all"]);
    // Nothing of it is on the disk; reading all of it takes long.
    let grow = || std::fs::OpenOptions::new().write(true).open(place.path().join("units.csv")).unwrap().set_len(64 << 30).unwrap();
    let shrink = || drop(place.write("units.csv", super::UNITS));
    let Some(mut terminal) = Terminal::start(&place, &["chat", "--way", "tools"], &[]) else { return };
    let named = |terminal: &Terminal| terminal.seen().rsplit("proposal p-").next().unwrap()[..8].to_owned();
    terminal.wait("> ").types("Hello?").wait("Hello.").wait("> ").types("Five folds.").wait("later [q]: ");
    let id = named(&terminal);
    terminal.types("w").wait("to say yes: ");
    grow();
    let stop = |terminal: &mut Terminal, told: &str| {
        std::thread::sleep(Duration::from_millis(500));
        let began = std::time::Instant::now();
        terminal.presses("\u{3}").wait(told).wait("> ");
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    };
    terminal.types(&id);
    stop(&mut terminal, "stopped; nothing is changed");
    assert_eq!((events(&place), text(&place, "small.nf")), (vec!["offered".to_owned()], PIPELINE.to_owned()));
    assert_eq!(git(&place, &["rev-list", "--count", "HEAD"]).trim(), "2");
    // It still waits, and can be approved.
    shrink();
    terminal.types("/diff").wait("later [q]: ").types("w").wait("to say yes: ").types(&id).wait("applied to").wait("> ");
    grow();
    terminal.types("/undo");
    stop(&mut terminal, "stopped; nothing is offered");
    assert_eq!(events(&place), ["offered", "approving", "applied"]);
    terminal.types("/quit");
    let began = std::time::Instant::now();
    assert_eq!(terminal.ends().0, 0);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    shrink();
    run(&place, &["agent", "verify"]).exits(0).says("1 commits of proposals, 0 things do not hold");
}

#[test]
fn a_file_that_a_proposal_began_is_removed_by_taking_it_back() {
    let server = Server::start(|_, _| Answer::text("answer")).unwrap();
    let place = with_model(&server, "");
    let edits = r#"[{"op": "begin", "name": "b", "title": "B"}, {"op": "add_input", "name": "rec", "value": "ingest.simulate()"},
                    {"op": "insert_step", "name": "r", "call": "ingest.trials(rec[\"sim1\"])"}, {"op": "add_report", "name": "b", "items": "r"}]"#;
    let id = super::propose(&place, edits, &["--pipeline", "b.nf"]);
    if !super::approve(&place, &id) {
        return;
    }
    let began = text(&place, "b.nf");
    // What was changed since is not swept away.
    place.write("b.nf", format!("{began}# mine\n"));
    let Some(mut terminal) = Terminal::start(&place, &["chat", "b.nf", "--way", "tools"], &[]) else { return };
    terminal.wait("> ").types("/undo").wait("b.nf was changed since").wait("> ");
    // Nor is what another file uses.
    place.write("b.nf", &began);
    place.write("user.nf", format!("use \"b.nf\" as part\n{PIPELINE}"));
    terminal.types("/undo").wait("b.nf can't be removed: user.nf uses it").wait("> ");
    std::fs::remove_file(place.path().join("user.nf")).unwrap();
    let named = |terminal: &Terminal| terminal.seen().rsplit("\nproposal p-").next().unwrap()[..8].to_owned();
    terminal.types("/undo").wait("b.nf is removed").wait("later [q]: ").types("e").wait("it removes files").wait("later [q]: ");
    let back = named(&terminal);
    terminal.types("w").wait("to say yes: ").types(&back).wait("applied to b.nf");
    assert!(!place.path().join("b.nf").exists());
    assert_eq!(git(&place, &["show", "--format=", "--name-status", "HEAD"]).trim(), "D\tb.nf");
    assert_eq!(git(&place, &["status", "--porcelain"]).trim(), "?? neuroflow.toml");
    // And that is taken back in turn.
    terminal.wait("> ").types("/undo").wait("later [q]: ");
    let again = named(&terminal);
    terminal.types("w").wait("to say yes: ").types(&again).wait("applied to b.nf").wait("> ").types("/quit");
    assert_eq!(terminal.ends().0, 0);
    assert_eq!(text(&place, "b.nf"), began);
    run(&place, &["agent", "verify"]).exits(0).says("3 commits of proposals, 0 things do not hold");
    run(&place, &["agent", "review", &back]).exits(0).says("this proposal is applied").says("b.nf is removed");
}

#[test]
fn a_removal_that_is_killed_leaves_all_or_nothing() {
    let server = Server::start(|_, _| Answer::text("answer")).unwrap();
    for (point, is_made) in [("approving", false), ("written", false), ("committed", true)] {
        let place = with_model(&server, "");
        let edits = r#"[{"op": "begin", "name": "b", "title": "B"}, {"op": "add_input", "name": "rec", "value": "ingest.simulate()"},
                        {"op": "insert_step", "name": "r", "call": "ingest.trials(rec[\"sim1\"])"}, {"op": "add_report", "name": "b", "items": "r"}]"#;
        let id = super::propose(&place, edits, &["--pipeline", "b.nf"]);
        if !super::approve(&place, &id) {
            return;
        }
        let Some(mut terminal) = Terminal::start(&place, &["chat", "b.nf", "--way", "tools"], &[("NEUROFLOW_AGENT_FAULT", point)]) else {
            return;
        };
        terminal.wait("> ").types("/undo").wait("later [q]: ");
        let back = terminal.seen().rsplit("\nproposal p-").next().unwrap()[..8].to_owned();
        terminal.types("w").wait("to say yes: ").types(&back);
        assert_ne!(terminal.ends().0, 0, "{point}");
        run(&place, &["agent", "log"]).exits(0).says(if is_made { "applied" } else { "failed" });
        assert_eq!(place.path().join("b.nf").exists(), !is_made, "{point}");
        assert_eq!(git(&place, &["status", "--porcelain"]).trim(), "?? neuroflow.toml", "{point}");
        run(&place, &["agent", "verify"]).exits(0);
    }
}

#[test]
fn what_was_applied_is_taken_back_by_a_proposal_of_its_own() {
    let server = Server::start(|_, number| match number {
        0 => Answer::calls(vec![Call::new("call_1", "propose_edit", &five_folds())]),
        _ => Answer::text(&format!("answer {number}")),
    });
    let server = server.unwrap();
    let place = project();
    place.write("neuroflow.toml", format!("[agent]\nendpoint = \"{}\"\nmodel = \"scripted\"\n", server.endpoint()));
    let Some(mut terminal) = Terminal::start(&place, &["chat", "--way", "tools"], &[]) else { return };
    let named = |terminal: &Terminal| terminal.seen().rsplit("proposal p-").next().unwrap()[..8].to_owned();
    terminal.wait("> ").types("Five folds.").wait("later [q]: ");
    let id = named(&terminal);
    terminal.types("w").wait("to say yes: ").types(&id).wait("applied to");
    // Who said no to taking it back can do so all the same later.
    terminal.wait("> ").types("/undo").wait("later [q]: ").types("r").wait("why? ").types("not yet").wait("rejected");
    terminal.wait("> ").types("/undo").wait("offered once before").wait("later [q]: ");
    let seen = terminal.seen();
    let back = seen.split("proposal p-").filter(|rest| rest.len() > 8 && !rest.starts_with(&id)).last().unwrap()[..8].to_owned();
    terminal.types("w").wait("to say yes: ").types(&back).wait("applied to");
    // The model is told, so that it does not go on from what is no longer there.
    terminal.wait("> ").types("And now?").wait("answer 1").wait("> ").types("/spent").wait("in 2 questions, $");
    terminal.wait("> ").types("/quit");
    let (code, seen) = terminal.ends();
    assert_eq!(code, 0);
    assert!(!seen.contains("dollars"), "{seen}");
    let told = body(&server, 1);
    assert!(told.contains(&format!("the person took proposal p-{id} back")) && told.contains("small.nf changed"), "{told}");
    assert!(!told.contains("not yet"), "{told}");
    assert_eq!(text(&place, "small.nf"), PIPELINE);
    assert_eq!(events(&place), ["offered", "approving", "applied", "offered", "rejected", "offered", "approving", "applied", "spent"]);
    run(&place, &["agent", "verify"]).exits(0).says("2 commits of proposals, 0 things do not hold");
}

#[test]
fn a_folder_of_recordings_becomes_a_report_with_controls_by_answering_questions() {
    let Some(data) = crate::support::shared_data() else { return };
    let folder = data.join("v1-gratings-calcium");
    let call = |name: &str, arguments: &Value| Answer::calls(vec![Call::new("call_1", name, arguments)]);
    let first: Value = draft(
        &[
            json!({"op": "begin", "name": "fresh", "title": "Which way did the grating drift?"}),
            json!({"op": "add_input", "name": "sessions", "value": "mat(\"data/*.mat\")"}),
            json!({"op": "insert_step", "name": "responses", "call": "ingest.trials(sessions[\"one\"])"}),
            json!({"op": "insert_step", "name": "direction", "after": "responses",
                   "call": "decode.classify(responses, target = \"direction\", window = 0 s .. 2 s, folds = 4) with control = shuffle(\"direction\", n = 40), seed = 1"}),
            json!({"op": "add_report", "name": "fresh", "title": "What the population knows", "items": "direction"}),
        ],
        "Can the direction be read from the population?",
        &["direction.accuracy.shuffle < direction.accuracy"],
    );
    let server = Server::start(move |_, number| match number {
        0 => call("describe_data", &json!({"number": null})),
        1 => call("describe_data", &json!({"number": 1})),
        2 => call(
            "clarify",
            &json!({"question": "What do you want to know of these recordings?", "options": ["which way the grating drifted", "which units belong together"]}),
        ),
        3 => call("propose_edit", &first),
        _ => Answer::text("Done: the report has the decoding with its control."),
    });
    let server = server.unwrap();
    let place = project();
    std::fs::remove_file(place.path().join("small.nf")).unwrap();
    for (name, from) in [("one", "230809_mrcuts28_fov4_grat-000_data.mat"), ("two", "230810_mrcuts29_fov2_grat-000_data.mat")] {
        place.write(&format!("data/{name}.mat"), std::fs::read(folder.join(from)).unwrap());
    }
    place.write("neuroflow.toml", format!("[agent]\nendpoint = \"{}\"\nmodel = \"scripted\"\n", server.endpoint()));
    let Some(mut terminal) = Terminal::start(&place, &["chat", "--new", "--way", "tools", "--for", "novice"], &[]) else { return };
    terminal.wait("> ").types("I have recordings and know nothing of this.");
    terminal.wait("What do you want to know").wait("1. which way the grating drifted").wait("> ").types("1");
    terminal.wait("+").wait("predicts").wait("later [q]: ");
    let id = terminal.seen().rsplit("proposal p-").next().unwrap()[..8].to_owned();
    terminal
        .types("a")
        .wait("to say yes: ")
        .types(&id)
        .wait("applied to pipelines/analysis.nf")
        .wait("shuffle null")
        .wait("report: ")
        .wait("held");
    terminal.wait("> ").types("/quit");
    assert_eq!(terminal.ends().0, 0);
    assert!(body(&server, 2).contains("data/*.mat"), "what is in the folder is told with the line to write");
    let report = place.path().join("reports/fresh.html");
    let page = std::fs::read_to_string(&report).unwrap_or_else(|error| panic!("{}: {error}", report.display()));
    assert!(page.contains("shuffle") && page.contains("chance"), "a report with its control");
}

/// All of `propose_edit`, with edits and predictions, the rest left open.
fn draft(steps: &[Value], intent: &str, predict: &[&str]) -> Value {
    let fields = "op name title value call after outside step key from to condition message items text more";
    let mut all: serde_json::Map<String, Value> = fields.split(' ').map(|field| (field.to_owned(), Value::Null)).collect();
    all.insert("edits".into(), steps.iter().map(Value::to_string).collect());
    all.insert("intent".into(), intent.into());
    all.insert("predict".into(), json!(predict));
    all.into()
}

#[test]
fn a_folder_of_nwb_becomes_a_report_with_controls_by_answering_questions() {
    let call = |name: &str, arguments: &Value| Answer::calls(vec![Call::new("call_1", name, arguments)]);
    // The input is the one that `describe_data` gives for the folder, the steps are those that it gives for a file of it.
    let first = draft(
        &[
            json!({"op": "begin", "name": "gratings", "title": "Which way did the grating drift?"}),
            json!({"op": "add_input", "name": "sessions", "value": "nwb(\"data/*.nwb\")"}),
            json!({"op": "insert_step", "name": "spikes", "call": "ingest.spikes(sessions[\"one\"])"}),
            json!({"op": "insert_step", "name": "events", "after": "spikes", "call": "ingest.events(sessions[\"one\"])"}),
        ],
        "Read the units and the trials of a session.",
        &[],
    );
    let second = draft(
        &[
            json!({"op": "insert_step", "name": "responses", "after": "events",
                   "call": "ingest.align(spikes, events, window = 0 s .. 1 s, bin = 250 ms, edges = drop)"}),
            json!({"op": "insert_step", "name": "direction", "after": "responses",
                   "call": "decode.classify(responses, target = \"direction\", folds = 4) with control = shuffle(\"direction\", n = 40), seed = 1"}),
            json!({"op": "add_report", "name": "gratings", "title": "What the population knows", "items": "direction"}),
        ],
        "Can the direction be read from the population?",
        &["direction.accuracy > 0.5", "direction.accuracy.shuffle < direction.accuracy"],
    );
    let server = Server::start(move |_, number| match number {
        0 => call("describe_data", &json!({"number": null})),
        1 => call("describe_data", &json!({"number": 1})),
        2 => call(
            "clarify",
            &json!({"question": "What do you want to know of these units and trials?", "options": ["which way the grating drifted", "which units fire together"]}),
        ),
        3 => call("propose_edit", &first),
        4 => call("data_schema", &json!({"of": "events"})),
        5 => call("clarify", &json!({"question": "Is `direction` what was shown in a trial?", "options": ["yes", "no"]})),
        6 => call("propose_edit", &second),
        _ => Answer::text("Done: the report has the decoding with its control."),
    });
    let server = server.unwrap();
    let place = project();
    std::fs::remove_file(place.path().join("small.nf")).unwrap();
    std::fs::remove_file(place.path().join("units.csv")).unwrap();
    place.write("data/one.nwb", super::field_files::session(48, 12, 0));
    place.write("data/two.nwb", super::field_files::session(48, 10, 1));
    place.write("neuroflow.toml", format!("[agent]\nendpoint = \"{}\"\nmodel = \"scripted\"\n", server.endpoint()));
    let Some(mut terminal) = Terminal::start(&place, &["chat", "--new", "--way", "tools", "--for", "novice"], &[]) else { return };
    let named = |terminal: &Terminal| terminal.seen().rsplit("proposal p-").next().unwrap()[..8].to_owned();
    terminal.wait("> ").types("I have a folder of NWB and know nothing of this.");
    terminal.wait("What do you want to know").wait("1. which way the grating drifted").wait("> ").types("1");
    // The input and the steps that read it are one proposal, the analysis with its control another.
    terminal.wait("nwb(").wait("later [q]: ");
    let id = named(&terminal);
    terminal.types("a").wait("to say yes: ").types(&id).wait("applied to pipelines/analysis.nf");
    terminal.wait("> ").types("Go on.").wait("Is `direction` what was shown").wait("> ").types("yes");
    terminal.wait("decode.classify").wait("predicts").wait("later [q]: ");
    let id = named(&terminal);
    terminal.types("a").wait("to say yes: ").types(&id).wait("applied to pipelines/analysis.nf").wait("shuffle null").wait("report: ");
    terminal.wait("held").wait("held").wait("> ").types("/quit");
    assert_eq!(terminal.ends().0, 0);
    // What the model wrote stood in what it was told.
    let told = |number: usize| body(&server, number);
    assert!(told(2).contains("nwb(\\\\\\\"data/*.nwb\\\\\\\")"), "{}", told(2));
    assert!(told(2).contains("spikes = ingest.spikes(one)") && told(2).contains("events = ingest.events(one)"), "{}", told(2));
    assert!(told(5).contains("direction") && !told(5).contains("grating 90"), "{}", told(5));
    run(&place, &["agent", "verify"]).exits(0).says("2 commits of proposals, 0 things do not hold");
    run(&place, &["agent", "history"]).exits(0).says("2 held, 0 failed");
    let page = text(&place, "reports/gratings.html");
    assert!(page.contains("shuffle") && page.contains("chance"), "a report with its control");
}
