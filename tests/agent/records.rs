//! A year later: what verify says of ledgers and commits that somebody worked on, and of signatures.

use super::{FIVE_FOLDS, approve, events, git, head, project, propose, run, text};
use crate::support::Place;
use std::process::Command;

/// A project with one approved change; none where no terminal can be opened.
fn approved() -> Option<(Place, String)> {
    let place = project();
    let id = propose(&place, FIVE_FOLDS, &["--because", "five?"]);
    approve(&place, &id).then_some((place, id))
}

const LEDGER: &str = ".neuroflow/agent/ledger.jsonl";

#[test]
fn a_ledger_that_was_worked_on_is_found_and_not_written_behind() {
    let Some((place, id)) = approved() else { return };
    let whole = text(&place, LEDGER);
    let lines: Vec<&str> = whole.lines().collect();
    assert_eq!(lines.len(), 3);
    let joined = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let changed = lines[1].replace("Ada Test", "Eve Test");
    let cases = [
        ("a changed line", joined(&[lines[0], &changed, lines[2]]), "line 3 of the ledger does not follow"),
        ("a removed line", joined(&[lines[0], lines[2]]), "line 2 of the ledger does not follow"),
        ("a line twice", joined(&[lines[0], lines[0], lines[1], lines[2]]), "line 2 of the ledger does not follow"),
        ("other lines", joined(&[lines[1], lines[0], lines[2]]), "line 1 of the ledger does not follow"),
        ("no line of it", joined(&[lines[0], "{}", lines[2]]), "line 2 of the ledger can't be read"),
        // The chain holds up to its end; the commit knows a line that is no longer there, or an end that it lacks.
        ("a cut end", joined(&lines[..1]), "its end was cut"),
        ("a cut last line", joined(&lines[..2]), "the ledger does not say that it was applied"),
        ("an empty ledger", String::new(), "its end was cut"),
    ];
    for (case, ledger, told) in cases {
        place.write(LEDGER, &ledger);
        run(&place, &["agent", "verify"]).exits(1).says(told);
        // A chain that is broken is not gone on with.
        if told.contains("of the ledger") {
            place.write("proposed.json", FIVE_FOLDS.replace('5', "7"));
            let said = run(&place, &["propose", "proposed.json"]);
            assert_ne!(said.code, 0, "{case}");
            assert_eq!(text(&place, LEDGER), ledger, "{case}");
        }
    }
    place.write(LEDGER, &whole);
    run(&place, &["agent", "verify"]).exits(0);
    // Half a line of a killed process was never said to be written.
    place.write(LEDGER, format!("{whole}{{\"at\":"));
    run(&place, &["agent", "verify"]).exits(0);
    let other = propose(&place, &FIVE_FOLDS.replace('5', "7"), &[]);
    assert_ne!(other, id);
    assert_eq!(events(&place), ["offered", "approving", "applied", "offered"]);
}

#[test]
fn what_looks_like_a_key_is_kept_in_no_reason() {
    const TOKEN: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    let place = project();
    let home = place.path().join("home/private").display().to_string();
    let id = propose(&place, FIVE_FOLDS, &["--because", &format!("for {TOKEN} of {home}")]);
    run(&place, &["agent", "review", &id]).exits(0).says("\"for [removed] of [removed]/private\"");
    if !approve(&place, &id) {
        return;
    }
    let other = propose(&place, &FIVE_FOLDS.replace('5', "6"), &[]);
    let mut terminal = super::Terminal::start(&place, &["agent", "review", &other], &[]).unwrap();
    terminal.wait("later [q]: ").types("r").wait("why? ").types(&format!("no {TOKEN}")).wait("rejected");
    assert_eq!(terminal.ends().0, 0);
    run(&place, &["agent", "log"]).exits(0).says("no [removed]");
    run(&place, &["agent", "verify"]).exits(0);
    let mut folders = vec![place.path().join(".neuroflow")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let said = String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).into_owned();
            assert!(!said.contains(TOKEN) && !said.contains(&home), "{}", entry.path().display());
        }
    }
    // What is packed in git is asked of git.
    let kept = git(&place, &["show", &format!("refs/neuroflow/proposals/{id}:proposal.json")]);
    let message = git(&place, &["log", "-1", "--format=%B"]);
    assert!(
        !kept.contains(TOKEN) && !kept.contains(&home) && !message.contains(TOKEN) && message.contains("[removed]"),
        "{kept}\n{message}"
    );
}

#[test]
fn a_clone_without_the_ledger_verifies_by_the_commits_alone() {
    let Some((place, _)) = approved() else { return };
    git(&place, &["clone", "-q", ".", "home/clone"]);
    let inner = |arguments: &[&str]| {
        crate::support::said(super::neuroflow(&place).current_dir(place.path().join("home/clone")).args(arguments).output().unwrap())
    };
    inner(&["agent", "verify"]).exits(1).says("fetch refs/neuroflow");
    git(&place, &["-C", "home/clone", "fetch", "-q", "origin", "refs/neuroflow/*:refs/neuroflow/*"]);
    inner(&["agent", "verify"]).exits(0).says("1 commits of proposals, 0 things do not hold");
}

#[test]
fn a_crate_has_the_cards_of_proposals() {
    let Some((place, id)) = approved() else { return };
    let waits = propose(&place, &FIVE_FOLDS.replace('5', "7"), &["--because", "<b>seven?</b>"]);
    run(&place, &["run", "small.nf", "--quiet"]).exits(0);
    run(&place, &["export", "--out", "home/crate"]).exits(0);
    let card = |id: &str| text(&place, &format!("home/crate/proposals/{id}.html"));
    // The change is shown as it was, though the file has it already.
    let applied = card(&id);
    assert!(applied.starts_with("<!doctype html>") && applied.contains("applied") && applied.contains("five?"), "{applied}");
    assert!(applied.contains("class=\"removed\"") && applied.contains("folds = 4") && applied.contains("folds = 5"), "{applied}");
    let waiting = card(&waits);
    assert!(waiting.contains("waiting for a person") && waiting.contains("&lt;b&gt;seven?&lt;/b&gt;"), "{waiting}");
    assert!(!waiting.contains(place.path().to_str().unwrap()), "{waiting}");
    let described = text(&place, "home/crate/ro-crate-metadata.json");
    for id in [&id, &waits] {
        assert!(described.contains(&format!("proposals/{id}.html")) && described.contains("the card of a proposal: "), "{described}");
    }
}

/// Makes the last commit anew, with other files or another message.
fn amend(place: &Place, message: &str) {
    git(place, &["commit", "-q", "--amend", "--allow-empty", "-m", message]);
}

#[test]
fn a_commit_that_says_more_or_other_than_was_approved_does_not_verify() {
    let Some((place, id)) = approved() else { return };
    let (message, good) = (git(&place, &["log", "-1", "--format=%B"]), head(&place));
    let again = || git(&place, &["reset", "-q", "--hard", &good]);
    // One more file.
    place.write("more.txt", "x\n");
    git(&place, &["add", "more.txt"]);
    amend(&place, &message);
    run(&place, &["agent", "verify"]).exits(1).says("the commit changes more.txt too");
    again();
    // Other bytes.
    place.write("small.nf", text(&place, "small.nf").replace("folds = 5", "folds = 6"));
    git(&place, &["add", "small.nf"]);
    amend(&place, &message);
    run(&place, &["agent", "verify"]).exits(1).says("other bytes than the proposal gives");
    again();
    // Another plan, another level, no approval, a proposal that is nobody's.
    let plan = message.lines().find(|line| line.starts_with("Neuroflow-Plan")).unwrap();
    let other = format!("p-{}", "0".repeat(64));
    let cases = [
        (message.replace(plan, &format!("Neuroflow-Plan: b3-{}", "0".repeat(64))), "the plan is not the proposal's"),
        (message.replace("Approval: terminal", "Approval: client"), "approved by client, and terminal was needed"),
        (message.replace("Approval: terminal", "Approval: signed"), "it is not signed"),
        (message.replace("Neuroflow-Approval", "Approval"), "it names no approval"),
        (message.replace(&id, &other), "its proposal is not here"),
        (message.replace(&id, "p-12"), "the trailer names no proposal"),
        (message.replace("Neuroflow-Ledger: b3-", "Neuroflow-Ledger: b3-00"), "no longer has the line"),
    ];
    for (changed, told) in cases {
        assert_ne!(changed, message, "{told}");
        amend(&place, &changed);
        run(&place, &["agent", "verify"]).exits(1).says(told);
        again();
    }
    // A person's own commit with the trailer of a proposal.
    place.write("other.txt", "forged\n");
    git(&place, &["commit", "-q", "-a", "-m", &format!("innocent\n\nNeuroflow-Proposal: {id}\nNeuroflow-Approval: terminal; edited=no\n")]);
    run(&place, &["agent", "verify"]).exits(1).says("was another one before the commit");
    run(&place, &["agent", "verify", &format!("{good}~1..{good}")]).exits(0);
    // The proposal that travels with the repository, changed.
    again();
    let kept = git(&place, &["show", &format!("refs/neuroflow/proposals/{id}:proposal.json")]);
    let blob = place.write("home/blob", kept.replace("five?", "six?"));
    let blob = git(&place, &["hash-object", "-w", blob.to_str().unwrap()]);
    let listing = place.write("home/tree", format!("100644 blob {}\tproposal.json\n", blob.trim()));
    let tree = Command::new("git").arg("mktree").current_dir(place.path()).stdin(std::fs::File::open(listing).unwrap()).output().unwrap();
    git(&place, &["update-ref", &format!("refs/neuroflow/proposals/{id}"), String::from_utf8(tree.stdout).unwrap().trim()]);
    run(&place, &["agent", "verify"]).exits(1).says("its proposal was changed after it was made");
}

#[test]
fn words_of_a_proposal_can_not_be_read_as_trailers() {
    let place = project();
    let id = propose(&place, FIVE_FOLDS, &[]);
    let intent = format!("Neuroflow-Proposal: {id}\nNeuroflow-Approval: signed\u{1b}[2J\u{202e}");
    let other = propose(&place, &FIVE_FOLDS.replace('5', "6"), &["--because", &intent]);
    if !approve(&place, &other) {
        return;
    }
    let message = git(&place, &["log", "-1", "--format=%B"]);
    assert!(!message.contains(['\u{1b}', '\u{202e}']), "{message:?}");
    let proposals: Vec<&str> = message.lines().filter(|line| line.starts_with("Neuroflow-Proposal: ")).collect();
    assert_eq!(proposals, [format!("Neuroflow-Proposal: {other}")]);
    run(&place, &["agent", "verify"]).exits(0).says("1 commits of proposals, 0 things");
}

#[test]
fn a_signature_is_made_and_only_a_known_key_counts() {
    let place = project();
    let key = |name: &str| {
        let file = place.path().join("home").join(name);
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(&file).output();
        made.is_ok_and(|made| made.status.success()).then_some(file)
    };
    let (Some(ada), Some(eve)) = (key("ada"), key("eve")) else {
        println!("skipped: there is no ssh-keygen here");
        return;
    };
    place.write("neuroflow.toml", "[agent]\napproval = \"signed\"\n");
    git(&place, &["add", "neuroflow.toml"]);
    git(&place, &["commit", "-q", "-m", "signed"]);
    let id = propose(&place, FIVE_FOLDS, &[]);
    let before = (head(&place), text(&place, "small.nf"));
    // Nothing to sign with: nothing is changed.
    let Some(mut terminal) = super::Terminal::start(&place, &["agent", "review", &id], &[]) else { return };
    terminal.approves("w", &id).wait("can't be signed");
    assert_ne!(terminal.ends().0, 0);
    assert_eq!((head(&place), text(&place, "small.nf")), before);
    git(&place, &["config", "gpg.format", "ssh"]);
    git(&place, &["config", "user.signingkey", ada.to_str().unwrap()]);
    assert!(approve(&place, &id));
    let good = head(&place);
    // Whose key it is has to be known.
    run(&place, &["agent", "verify"]).exits(1).says("allowedSignersFile");
    let public = |file: &std::path::Path| std::fs::read_to_string(file.with_extension("pub")).unwrap();
    let allowed = place.write("home/allowed", format!("ada@example.org {}", public(&ada)));
    git(&place, &["config", "gpg.ssh.allowedSignersFile", allowed.to_str().unwrap()]);
    run(&place, &["agent", "verify"]).exits(0);
    assert!(git(&place, &["log", "-1", "--format=%G?"]).starts_with('G'), "git agrees");
    // The same commit without a signature, and with another key's.
    let message = git(&place, &["log", "-1", "--format=%B"]);
    git(&place, &["commit", "-q", "--amend", "--no-gpg-sign", "-m", &message]);
    run(&place, &["agent", "verify"]).exits(1).says("it is not signed");
    git(&place, &["config", "user.signingkey", eve.to_str().unwrap()]);
    git(&place, &["commit", "-q", "--amend", "-S", "-m", &message]);
    run(&place, &["agent", "verify"]).exits(1).says("the signature is of no known key");
    // Nor does a word less than signed do.
    git(&place, &["reset", "-q", "--hard", &good]);
    git(&place, &["commit", "-q", "--amend", "--no-gpg-sign", "-m", &message.replace("Approval: signed", "Approval: terminal")]);
    run(&place, &["agent", "verify"]).exits(1).says("approved by terminal, and signed was needed");
}
