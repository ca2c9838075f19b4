//! A clock that is set back between proposals, approvals and sessions: nothing is lost, nothing is spent twice, and the order of what happened stays.

#![cfg(unix)]

use super::{FIVE_FOLDS, PIPELINE, Terminal, approve, events, git, neuroflow, project, run, text};
use crate::faults::clock::at;
use neuroflow_model_server::{Answer, Server};

#[test]
fn proposals_approvals_and_proof_outlive_a_clock_that_is_set_back() {
    let place = project();
    let other = FIVE_FOLDS.replace('5', "6");
    place.write("first.json", FIVE_FOLDS);
    place.write("second.json", &other);
    let propose = |when: &str, file: &str| {
        let told = at(&place, neuroflow(&place), when, &["propose", file, "--format", "json"])?.exits(0);
        let card: serde_json::Value = serde_json::from_str(&told.out).unwrap();
        Some(card["id"].as_str().unwrap().to_owned())
    };
    let Some(first) = propose("+2d", "first.json") else { return };
    // Two days earlier by the clock, it still waits, and is approved.
    at(&place, neuroflow(&place), "-3y", &["agent", "review", &first]).unwrap().exits(0).says("folds = 5");
    if !approve(&place, &first) {
        return;
    }
    let second = propose("-3y", "second.json").unwrap();
    // Long before it was made: by a person whose clock is wrong by twenty years.
    let faked = [("NO_FAKE_STAT", "1"), ("DONT_FAKE_MONOTONIC", "1")];
    let binary = neuroflow(&place);
    let words = ["faketime", "-f", "-20y", binary.get_program().to_str().unwrap(), "agent", "review", &second];
    let mut terminal = Terminal::start_program(&place, &words, &faked).unwrap();
    terminal.approves("a", &second).wait("applied to small.nf; commit");
    assert_eq!(terminal.ends().0, 0);
    assert_eq!(text(&place, "small.nf"), PIPELINE.replace("folds = 4", "folds = 6"));
    assert_eq!(events(&place)[..5], ["offered", "approving", "applied", "offered", "approving"]);
    // Each line follows from the one before, whatever the clock says while it is looked at.
    for when in ["+0", "-30y", "+9y"] {
        let proof = at(&place, neuroflow(&place), when, &["agent", "verify"]).unwrap().exits(0);
        proof.says("the ledger  holds").says("2 commits of proposals, 0 things do not hold");
        at(&place, neuroflow(&place), when, &["agent", "history"]).unwrap().exits(0).says("2 proposals: 2 applied");
        let log = at(&place, neuroflow(&place), when, &["agent", "log"]).unwrap().exits(0).says("the clock was set back");
        let named: Vec<&str> = log.out.lines().filter(|line| line.contains("offered")).collect();
        assert!(named[0].contains(&first[..8]) && named[1].contains(&second[..8]), "{}", log.out);
    }
    // The commits stand by descent: the one that was made last comes first, though its time is twenty years before.
    let subjects = git(&place, &["log", "--format=%cI %s"]);
    assert!(subjects.lines().next() < subjects.lines().nth(1), "{subjects}");
    let proof = run(&place, &["agent", "verify"]).exits(0).out;
    let commits: Vec<String> = proof.lines().skip(1).map(|line| line[..10].to_owned()).filter(|name| !name.contains(' ')).collect();
    let known: Vec<String> =
        git(&place, &["log", "--topo-order", "--format=%H"]).lines().take(2).map(|line| line[..10].to_owned()).collect();
    assert_eq!(commits, known, "{proof}");
    // What was consumed is not approved again under an earlier clock.
    at(&place, neuroflow(&place), "-3y", &["agent", "review", &first]).unwrap().exits(0).says("this proposal is applied");
}

#[test]
fn a_days_money_is_not_given_again_by_a_clock_that_is_set_back() {
    let server = Server::start(|_, _| Answer::text("hello")).unwrap();
    let place = project();
    let toml = format!("[agent]\nendpoint = \"{}\"\nmodel = \"scripted\"\n[agent.budget]\nusd_per_day = 1.0\n", server.endpoint());
    // So dear that a question sets aside some tenths of a dollar.
    place.write("neuroflow.toml", toml + "[agent.prices.scripted]\nprompt = 40.0\nreply = 40.0\n");
    let state = place.path().join("state");
    let ask = |when: &str| {
        let mut command = neuroflow(&place);
        command.env("XDG_STATE_HOME", &state);
        at(&place, command, when, &["chat", "--way", "tools", "--once", "hello"])
    };
    let file = state.join("neuroflow/spent_today.json");
    let kept = || serde_json::from_str::<serde_json::Value>(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let Some(first) = ask("+0") else { return };
    first.exits(0);
    let mut spent = kept();
    spent["usd"] = 900_000.into();
    std::fs::write(&file, spent.to_string()).unwrap();
    for when in ["+0", "-1d", "-40d", "-20y", "+0"] {
        let refused = ask(when).unwrap().exits(4).says("usd_per_day");
        assert_eq!(refused.err.contains("the clock says an earlier day"), when != "+0", "{}", refused.err);
        assert_eq!(refused.err.contains("spent_today.json"), when != "+0", "{}", refused.err);
        assert_eq!(kept(), spent, "{when}");
    }
    // The next day has its own.
    ask("+1d").unwrap().exits(0);
    assert_ne!(kept()["day"], spent["day"]);
    assert_eq!(server.received().len(), 2);
}
