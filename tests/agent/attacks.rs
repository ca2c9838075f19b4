//! What moves between the card and the yes, who else says yes, and where the program is killed.

use super::{FIVE_FOLDS, PIPELINE, Terminal, approve, events, git, head, neuroflow, project, propose, run, text};
use crate::support::{Place, said};
use neuroflow_agent::{Entry, Event, FileChange, Origin, Proposal};
use neuroflow_engine::delta::PlanDelta;
use std::process::Command;

/// Shows the card, changes something, says yes; nothing may be written.
fn moved(place: &Place, id: &str, change: impl FnOnce(), told: &str) -> bool {
    let before = head(place);
    let Some(mut terminal) = Terminal::start(place, &["agent", "review", id], &[]) else { return false };
    terminal.wait("later [q]: ");
    change();
    let now = text(place, "small.nf");
    terminal.types("w").wait("to say yes: ").types(id).wait(told);
    let (code, seen) = terminal.ends();
    assert_ne!(code, 0, "{seen}");
    assert_eq!((head(place), text(place, "small.nf")), (before, now), "{seen}");
    assert!(!events(place).contains(&"approving".to_owned()), "{seen}");
    true
}

#[test]
fn what_changes_between_the_card_and_the_yes_makes_it_stale() {
    // The file.
    let place = project();
    let id = propose(&place, FIVE_FOLDS, &[]);
    if !moved(&place, &id, || drop(place.write("small.nf", format!("{PIPELINE}# another\n"))), "is stale: small.nf changed since") {
        return;
    }
    // It can still be read, and says so.
    run(&place, &["agent", "review", &id]).exits(0).says("this proposal is stale");
    // The file is gone.
    let place = project();
    let id = propose(&place, FIVE_FOLDS, &[]);
    let mut terminal = Terminal::start(&place, &["agent", "review", &id], &[]).unwrap();
    terminal.wait("later [q]: ");
    std::fs::remove_file(place.path().join("small.nf")).unwrap();
    terminal.types("w").wait("to say yes: ").types(&id).wait("is stale: small.nf is gone");
    assert_ne!(terminal.ends().0, 0);
    assert!(!place.path().join("small.nf").exists());
    // The bytes of an input, with the same number of bytes.
    let place = project();
    let id = propose(&place, FIVE_FOLDS, &[]);
    assert!(moved(&place, &id, || drop(place.write("units.csv", "unit,area\n1,V1\n2,LM\n3,AL\n")), "is stale: an input"));
    // A file that the pipeline uses.
    let place = Place::of_a_person();
    place.write(".gitignore", "cache/\nhome/\n.neuroflow/\nproposed.json\n");
    let part = "fn prepared(raw: Responses) {\n  ingest.window(raw, window = 0 s .. 2 s)\n}\n";
    place.write("part.nf", part);
    let small = "pipeline small\n\nuse \"part.nf\" as part\n\ninput sessions = ingest.simulate(trials_per_direction = 8, units = [12, 10, 10], communities = 2)\n\n\
                 trials = ingest.trials(sessions[\"sim1\"])\nresponses = part.prepared(trials)\ndirection = decode.classify(responses, target = \"direction\", folds = 4)\n\nreport r { direction }\n";
    place.write("small.nf", small);
    for arguments in [["init", "-q", "-b", "main", "."].as_slice(), &["add", "."], &["commit", "-q", "-m", "first"]] {
        git(&place, arguments);
    }
    place.write("proposed.json", FIVE_FOLDS);
    let told = run(&place, &["propose", "proposed.json", "--pipeline", "small.nf", "--format", "json"]).exits(0);
    let card: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    let id = card["id"].as_str().unwrap().to_owned();
    let other = part.replace(".. 2 s", ".. 1 s");
    let is_other = || drop(place.write("part.nf", &other));
    assert!(moved(&place, &id, is_other, "is stale"));
}

#[test]
fn of_two_who_say_yes_at_once_one_makes_the_change() {
    let place = project();
    let id = propose(&place, FIVE_FOLDS, &[]);
    let Some(mut first) = Terminal::start(&place, &["agent", "review", &id], &[]) else { return };
    let mut second = Terminal::start(&place, &["agent", "review", &id], &[]).unwrap();
    for terminal in [&mut first, &mut second] {
        terminal.wait("later [q]: ").types("w").wait("to say yes: ");
    }
    first.types(&id);
    second.types(&id);
    let ends = [first.ends(), second.ends()];
    let well = ends.iter().filter(|(code, _)| *code == 0).count();
    assert_eq!(well, 1, "{ends:?}");
    assert!(ends.iter().any(|(_, seen)| seen.contains("is applied already; a proposal is used once")), "{ends:?}");
    assert_eq!(events(&place), ["offered", "approving", "applied"]);
    assert_eq!(git(&place, &["rev-list", "--count", "HEAD"]).trim(), "2");
}

#[test]
fn the_same_proposal_is_one_and_used_once() {
    let place = project();
    let id = propose(&place, FIVE_FOLDS, &[]);
    assert_eq!(propose(&place, FIVE_FOLDS, &[]), id);
    assert_eq!(events(&place), ["offered"]);
    if !approve(&place, &id) {
        return;
    }
    // Taking the change back does not make the yes good again.
    git(&place, &["revert", "--no-edit", "HEAD"]);
    assert_eq!(text(&place, "small.nf"), PIPELINE);
    run(&place, &["agent", "review", &id]).exits(0).says("this proposal is applied");
    // Offered again it is another one, which waits for a yes of its own, and is one however often it is offered.
    let again = propose(&place, FIVE_FOLDS, &[]);
    assert_ne!(again, id);
    assert_eq!(propose(&place, FIVE_FOLDS, &[]), again);
    run(&place, &["agent", "review", &id]).exits(0).says("this proposal is applied");
    run(&place, &["agent", "review", &again]).exits(0).says("the same was offered once before").says("waits for an answer");
    assert_eq!(text(&place, "small.nf"), PIPELINE);
    // The name that was used is no yes to it.
    let mut terminal = Terminal::start(&place, &["agent", "review", &again], &[]).unwrap();
    terminal.wait("later [q]: ").types("w").wait("to say yes: ").types(&id).wait("that is not its name").wait("later [q]: ").types("q");
    assert_eq!(terminal.ends().0, 0);
    assert_eq!(text(&place, "small.nf"), PIPELINE);
    assert!(approve(&place, &again));
    assert_eq!(events(&place), ["offered", "approving", "applied", "offered", "approving", "applied"]);
    run(&place, &["agent", "verify"]).exits(0).says("2 commits of proposals, 0 things do not hold");
    // Its commit, taken from somewhere else once more, is still one too many.
    let second = head(&place);
    git(&place, &["revert", "--no-edit", "HEAD"]);
    git(&place, &["cherry-pick", &second]);
    run(&place, &["agent", "verify"]).exits(1).says(&format!("was used before, by commit {}", &second[..10]));
}

#[test]
fn a_proposal_that_is_edited_on_the_disk_is_no_longer_that_proposal() {
    let place = project();
    let id = propose(&place, FIVE_FOLDS, &[]);
    let file = format!(".neuroflow/agent/proposals/{id}.json");
    let kept = text(&place, &file);
    place.write(&file, kept.replace("\"value\":\"5\"", "\"value\":\"2\""));
    let told = run(&place, &["agent", "review", &id]);
    assert_ne!(told.code, 0);
    told.says("was changed after it was made");
    // Between the card and the yes as well: what was read is what is applied.
    place.write(&file, &kept);
    let Some(mut terminal) = Terminal::start(&place, &["agent", "review", &id], &[]) else { return };
    terminal.wait("later [q]: ");
    place.write(&file, kept.replace("\"value\":\"5\"", "\"value\":\"2\""));
    terminal.types("w").wait("to say yes: ").types(&id);
    let (_, seen) = terminal.ends();
    assert!(!text(&place, "small.nf").contains("folds = 2"), "{seen}");
    // Under a name that its content has, but that was never offered.
    let place = project();
    propose(&place, FIVE_FOLDS, &[]);
    let mut forged: serde_json::Value = serde_json::from_str(&kept).unwrap();
    forged["intent"] = "nobody was asked".into();
    let forged = forged.to_string();
    let name = format!("p-{}", neuroflow_engine_digest(&forged));
    place.write(&format!(".neuroflow/agent/proposals/{name}.json"), &forged);
    let told = run(&place, &["agent", "review", &name]);
    assert_eq!(text(&place, "small.nf"), PIPELINE);
    let Some(mut terminal) = Terminal::start(&place, &["agent", "review", &name], &[]) else { return };
    if told.code == 0 {
        terminal.wait("later [q]: ").types("w").wait("to say yes: ").types(&name).wait("was never offered here");
    }
    assert_ne!(terminal.ends().0, 0);
    assert_eq!(text(&place, "small.nf"), PIPELINE);
}

/// The digest of a text, as proposals are named.
fn neuroflow_engine_digest(text: &str) -> String {
    neuroflow_cache::Digest::of(text.as_bytes()).to_string()
}

#[test]
fn a_program_that_is_killed_at_any_point_leaves_all_or_nothing() {
    for (point, is_made) in [("approving", false), ("written", false), ("committed", true)] {
        let place = project();
        let before = head(&place);
        let id = propose(&place, FIVE_FOLDS, &[]);
        let Some(mut terminal) = Terminal::start(&place, &["agent", "review", &id], &[("NEUROFLOW_AGENT_FAULT", point)]) else { return };
        terminal.approves("w", &id);
        assert_ne!(terminal.ends().0, 0, "{point}");
        assert_eq!(events(&place), ["offered", "approving"], "{point}");
        // Any command that has to do with proposals puts it in order.
        run(&place, &["agent", "log"]).exits(0).says(if is_made { "applied" } else { "failed" });
        let expected = if is_made { PIPELINE.replace("folds = 4", "folds = 5") } else { PIPELINE.to_owned() };
        assert_eq!(text(&place, "small.nf"), expected, "{point}");
        assert_eq!(git(&place, &["rev-list", "--count", "HEAD"]).trim(), if is_made { "2" } else { "1" }, "{point}");
        assert_eq!(head(&place) == before, !is_made, "{point}");
        assert_eq!(git(&place, &["status", "--porcelain"]), "", "{point}");
        assert!(std::fs::read_dir(place.path().join(".neuroflow/agent/undo")).map_or(0, Iterator::count) == 0, "{point}");
        run(&place, &["agent", "verify"]).exits(0);
        if is_made {
            assert!(git(&place, &["for-each-ref", "refs/neuroflow"]).contains(&id), "{point}: the proposal travels with its commit");
            run(&place, &["agent", "review", &id]).exits(0).says("this proposal is applied");
        } else {
            assert!(approve(&place, &id), "{point}");
        }
    }
}

#[test]
fn what_was_written_after_a_kill_is_not_taken_back() {
    let place = project();
    let id = propose(&place, FIVE_FOLDS, &[]);
    let Some(mut terminal) = Terminal::start(&place, &["agent", "review", &id], &[("NEUROFLOW_AGENT_FAULT", "written")]) else { return };
    terminal.approves("w", &id);
    assert_ne!(terminal.ends().0, 0);
    let gone_on = format!("{}# I went on\n", text(&place, "small.nf"));
    place.write("small.nf", &gone_on);
    run(&place, &["agent", "log"]).exits(0).says("failed");
    assert_eq!(text(&place, "small.nf"), gone_on);
}

#[test]
fn a_change_that_can_not_be_recorded_is_not_made() {
    // The ledger is no file.
    let place = project();
    let id = propose(&place, FIVE_FOLDS, &[]);
    let before = head(&place);
    let ledger = place.path().join(".neuroflow/agent/ledger.jsonl");
    let Some(mut terminal) = Terminal::start(&place, &["agent", "review", &id], &[]) else { return };
    terminal.wait("later [q]: ");
    std::fs::rename(&ledger, place.path().join("home/ledger")).unwrap();
    std::fs::create_dir(&ledger).unwrap();
    terminal.types("w").wait("to say yes: ").types(&id).wait("ledger.jsonl");
    assert_ne!(terminal.ends().0, 0);
    assert_eq!((head(&place), text(&place, "small.nf")), (before.clone(), PIPELINE.to_owned()));
    std::fs::remove_dir(&ledger).unwrap();
    std::fs::rename(place.path().join("home/ledger"), &ledger).unwrap();
    // No file may grow beyond what the ledger has already: a disk that is full for it.
    for number in 0..20 {
        let folds = 10 + number;
        let other = propose(&place, &FIVE_FOLDS.replace('5', &folds.to_string()), &["--because", &"long ".repeat(100)]);
        assert_ne!(other, id);
    }
    let length = std::fs::metadata(&ledger).unwrap().len();
    let kept = std::fs::read(&ledger).unwrap();
    let script =
        format!("ulimit -f {}; trap '' XFSZ; exec '{}' agent review {id}", length / 512, neuroflow(&place).get_program().to_str().unwrap());
    let wrapper = place.write("home/full.sh", script);
    let mut terminal = Terminal::start_program(&place, &["sh", wrapper.to_str().unwrap()], &[]).unwrap();
    terminal.wait("later [q]: ").types("w").wait("to say yes: ").types(&id).wait("error");
    let (code, seen) = terminal.ends();
    assert_ne!(code, 0, "{seen}");
    assert_eq!((head(&place), text(&place, "small.nf")), (before, PIPELINE.to_owned()), "{seen}");
    assert_eq!(std::fs::read(&ledger).unwrap(), kept, "half a line stayed\n{seen}");
    // With room again it goes on.
    assert!(approve(&place, &id));
}

/// A file system of its own, with room for not one page more.
#[cfg(target_os = "linux")]
#[test]
fn on_a_full_disk_nothing_is_approved() {
    let inside = ["--user", "--map-root-user", "--mount", "sh"];
    let tried = Command::new("unshare").args(inside).args(["-c", "mount -t tmpfs tmpfs /mnt"]).output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        println!("skipped: no file system can be mounted here");
        return;
    }
    let place = project();
    let id = propose(&place, FIVE_FOLDS, &[]);
    let ledger = place.path().join(".neuroflow/agent/ledger.jsonl");
    let length = || std::fs::metadata(&ledger).unwrap().len();
    // What stands in the last page of a file could grow to the end of that page: not even one line more may fit there.
    let before = length();
    propose(&place, &FIVE_FOLDS.replace('5', "11"), &[]);
    let line = length() - before;
    for folds in 12.. {
        if 4096 - length() % 4096 < line {
            break;
        }
        assert!(folds < 60, "lines of {line} bytes do not come to the end of a page");
        propose(&place, &FIVE_FOLDS.replace('5', &folds.to_string()), &[]);
    }
    let script = format!(
        "cp -a .neuroflow/agent home/kept && mount -t tmpfs -o size=$(($(du -sk home/kept | cut -f1) + 64))k tmpfs .neuroflow/agent || exit 99\n\
         cp -a home/kept/. .neuroflow/agent/ && cat /dev/zero > .neuroflow/agent/filler 2>/dev/null\n\
         '{}' agent review {id}; code=$?\n\
         cmp .neuroflow/agent/ledger.jsonl home/kept/ledger.jsonl && exit $code\n",
        neuroflow(&place).get_program().to_str().unwrap()
    );
    let wrapper = place.write("home/full.sh", script);
    let commit = head(&place);
    let program: Vec<&str> = ["unshare"].into_iter().chain(inside).chain([wrapper.to_str().unwrap()]).collect();
    let Some(mut terminal) = Terminal::start_program(&place, &program, &[]) else { return };
    terminal.wait("later [q]: ").types("w").wait("to say yes: ").types(&id).wait("error");
    let (code, seen) = terminal.ends();
    assert!(code != 0 && seen.contains("No space left") && !seen.contains("differ"), "{code}\n{seen}");
    assert_eq!((head(&place), text(&place, "small.nf")), (commit, PIPELINE.to_owned()), "{seen}");
    // With room again it goes on.
    assert!(approve(&place, &id));
}

/// A patch that takes the expectation out, as it was proposed.
fn without_expectation(place: &Place) -> Proposal {
    let line = PIPELINE.lines().find(|line| line.starts_with("expect")).unwrap();
    let start = PIPELINE.lines().position(|other| other == line).unwrap() + 1;
    place.write("home/change.diff", format!("--- a/small.nf\n+++ b/small.nf\n@@ -{start},1 +{},0 @@\n-{line}\n", start - 1));
    let told = run(place, &["propose", "home/change.diff", "--because", "tidy", "--format", "json"]).exits(0);
    let card: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    Proposal::decode(&text(place, &format!(".neuroflow/agent/proposals/{}.json", card["id"].as_str().unwrap()))).unwrap()
}

/// A project that comes with a folder of the agent's in which a proposal waits.
fn prepared(proposal: &Proposal) -> Place {
    let place = project();
    let id = proposal.id();
    place.write(&format!(".neuroflow/agent/proposals/{id}.json"), proposal.encode());
    let offered = serde_json::to_string(&Entry::now(Event::Offered, Some(&id), "Ada Test")).unwrap();
    place.write(".neuroflow/agent/ledger.jsonl", format!("{offered}\n"));
    place
}

#[test]
fn what_a_prepared_proposal_says_of_its_consequences_is_not_believed() {
    let honest = without_expectation(&project());
    assert_eq!(honest.warnings.len(), 1, "{:?}", honest.warnings);
    let edits = Proposal::decode(&{
        let place = project();
        let id = propose(&place, FIVE_FOLDS, &[]);
        text(&place, &format!(".neuroflow/agent/proposals/{id}.json"))
    })
    .unwrap();
    let plan = |proposal: &Proposal| proposal.plan.clone().unwrap();
    let forged = [
        (Proposal { warnings: Vec::new(), ..honest.clone() }, "is to be looked at twice"),
        (Proposal { plan: None, ..honest.clone() }, "stale: "),
        (Proposal { plan: Some(PlanDelta { rows: Vec::new(), ..plan(&edits) }), ..edits.clone() }, "what would run"),
        (Proposal { plan: Some(PlanDelta { moves: Vec::new(), ..plan(&edits) }), ..edits.clone() }, "what would run"),
        // What a client's yes would be enough for, before changes that are others.
        (
            Proposal {
                files: vec![FileChange { edits: edits.files[0].edits.clone(), ..honest.files[0].clone() }],
                warnings: Vec::new(),
                ..honest.clone()
            },
            "its typed edits give another change",
        ),
        (Proposal { origin: Origin::Chat { model: "m".into() }, ..honest.clone() }, "changed by edits"),
    ];
    for (proposal, told) in forged {
        let place = prepared(&proposal);
        let said = run(&place, &["agent", "review"]).exits(0);
        let card = said.out.replace("\n               ↳ ", "");
        assert!(card.contains("stale: ") && card.contains(told), "`{told}` is not on\n{card}");
        assert_eq!(text(&place, "small.nf"), PIPELINE);
    }
    // Costs change with each run, so that those of now are shown.
    let cheap = Proposal { cost: Default::default(), ..edits.clone() };
    run(&prepared(&cheap), &["agent", "review"]).exits(0).says("unknown for");
    // One that is honest waits; that it came with the repository is said.
    let place = prepared(&edits);
    git(&place, &["add", "-f", ".neuroflow"]);
    git(&place, &["commit", "-q", "-m", "prepared"]);
    run(&place, &["agent", "review"]).exits(0).says("it came with the project's files");
}

#[test]
fn a_prepared_way_back_changes_nothing() {
    // As if a change had been begun and not ended: what the files were before is then put back without a question.
    let place = project();
    let id = propose(&place, FIVE_FOLDS, &[]);
    place.write("small.nf", PIPELINE.replace("folds = 4", "folds = 5"));
    place.write(&format!(".neuroflow/agent/undo/{id}.json"), r#"[["small.nf", "pipeline other\n"]]"#);
    let offered = text(&place, ".neuroflow/agent/ledger.jsonl");
    let id = neuroflow_agent::ProposalId::parse(&id).unwrap();
    let mut begun = Entry::now(Event::Approving, Some(&id), "Ada Test");
    begun.before = neuroflow_engine::Digest::of(offered.trim_end().as_bytes());
    place.write(".neuroflow/agent/ledger.jsonl", format!("{offered}{}\n", serde_json::to_string(&begun).unwrap()));
    git(&place, &["add", "-f", ".neuroflow"]);
    git(&place, &["commit", "-q", "-a", "-m", "prepared"]);
    run(&place, &["agent", "review"]).exits(0);
    assert_eq!(text(&place, "small.nf"), PIPELINE.replace("folds = 4", "folds = 5"));
    assert_eq!(events(&place), ["offered", "approving", "failed"]);
}

#[test]
fn a_commit_of_a_forged_proposal_does_not_verify() {
    let place = project();
    let honest = without_expectation(&place);
    if !approve(&place, honest.id().as_str()) {
        return;
    }
    run(&place, &["agent", "verify"]).exits(0);
    let forged = Proposal { warnings: Vec::new(), ..honest.clone() };
    place.write(&format!(".neuroflow/agent/proposals/{}.json", forged.id()), forged.encode());
    let message = git(&place, &["log", "-1", "--format=%B"]).replace(honest.id().as_str(), forged.id().as_str());
    git(&place, &["commit", "-q", "--amend", "-m", &message]);
    run(&place, &["agent", "verify"]).exits(1).says("its card did not show what is to be looked at twice: no longer expected");
}

#[test]
fn settings_that_become_stricter_count_at_once_and_from_any_folder() {
    let place = project();
    let id = propose(&place, FIVE_FOLDS, &[]);
    place.write("home/parts/x.txt", "");
    let Some(mut terminal) = Terminal::start(&place, &["agent", "review", &id], &[]) else { return };
    terminal.wait("later [q]: ");
    place.write("neuroflow.toml", "[agent]\napproval = \"signed\"\n");
    terminal.types("w").wait("to say yes: ").types(&id).wait("can't be signed");
    assert_ne!(terminal.ends().0, 0);
    assert_eq!(text(&place, "small.nf"), PIPELINE);
    // A folder below is of the same project: one ledger, one neuroflow.toml.
    let inner = |arguments: &[&str]| said(neuroflow(&place).current_dir(place.path().join("home/parts")).args(arguments).output().unwrap());
    inner(&["agent", "review"]).exits(0).says(&id[..10]);
    place.write("home/parts/proposed.json", FIVE_FOLDS.replace('5', "7"));
    inner(&["propose", "proposed.json", "--pipeline", "../../small.nf"]).exits(0);
    assert!(!place.path().join("home/parts/.neuroflow").exists());
    assert_eq!(events(&place).last().map(String::as_str), Some("offered"));
}

#[cfg(unix)]
#[test]
fn a_patch_can_not_reach_anything_but_pipelines_and_notes() {
    let place = project();
    let link = place.path().join("linked");
    std::os::unix::fs::symlink("/tmp", &link).unwrap();
    for path in [
        "../out.nf",
        "/tmp/out.nf",
        "neuroflow.toml",
        ".git/config",
        ".neuroflow/agent/x.nf",
        "sub/../../out.nf",
        "linked/out.nf",
        "x.sh",
        "knowledge/../x.md",
        ".hidden.nf",
    ] {
        place.write("change.diff", format!("--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+pipeline x\n"));
        let told = said(neuroflow(&place).args(["propose", "change.diff"]).output().unwrap());
        assert_ne!(told.code, 0, "{path}: {}", told.out);
    }
    assert!(events(&place).is_empty());
}
