//! A person at a terminal: keys, names, commits, hooks, and places without version control.

use super::{FIVE_FOLDS, PIPELINE, Terminal, approve, events, files, git, head, neuroflow, project, propose, run, text};
use crate::support::said;
use std::process::Stdio;

#[test]
fn a_change_is_proposed_approved_committed_run_and_compared() {
    let place = project();
    place.write("staged.txt", "new\n");
    git(&place, &["add", "staged.txt"]);
    // Of another length: git compares times by the second only.
    place.write("other.txt", "another\n");
    let before = head(&place);
    let because = "Do five folds change the score?";
    let id = propose(&place, FIVE_FOLDS, &["--because", because, "--predict", "min(direction[*].accuracy) >= 0"]);
    assert_eq!(text(&place, "small.nf"), PIPELINE);
    let Some(mut terminal) = Terminal::start(&place, &["agent", "review"], &[]) else { return };
    terminal.wait("can move").wait("direction").wait("predicts").wait("later [q]: ").types("a").wait("to say yes: ").types("p-zzzz");
    terminal.wait("that is not its name; nothing is changed").wait("later [q]: ").types("a").wait("to say yes: ");
    assert_eq!(text(&place, "small.nf"), PIPELINE);
    terminal.types(&id[..6]).wait("applied to small.nf; commit").wait("predicted by").wait("held");
    assert_eq!(terminal.ends().0, 0);
    // The commit is the person's, of one file, on top of what was there.
    assert_eq!(text(&place, "small.nf"), PIPELINE.replace("folds = 4", "folds = 5"));
    assert_eq!(git(&place, &["log", "-1", "--format=%an <%ae> %cn %P"]).trim(), format!("Ada Test <ada@example.org> Ada Test {before}"));
    assert_eq!(git(&place, &["show", "--format=", "--name-only"]).trim(), "small.nf");
    assert_eq!(git(&place, &["status", "--porcelain"]), " M other.txt\nA  staged.txt\n");
    let message = git(&place, &["log", "-1", "--format=%B"]);
    for line in [format!("small: {because}"), format!("Neuroflow-Proposal: {id}"), "Neuroflow-Approval: terminal; edited=no".into()] {
        assert!(message.lines().any(|said| said == line), "{line} is not in\n{message}");
    }
    assert!(message.contains("\nNeuroflow-Plan: b3-") && message.contains("\nNeuroflow-Ledger: b3-"), "{message}");
    assert_eq!(git(&place, &["for-each-ref", "--format=%(refname)", "refs/neuroflow"]).trim(), format!("refs/neuroflow/proposals/{id}"));
    assert_eq!(events(&place), ["offered", "approving", "applied", "compared"]);
    run(&place, &["agent", "log"]).exits(0).says(because).says("at level terminal").says("Ada Test");
    run(&place, &["agent", "history"]).exits(0).says("1 applied").says("1 held, 0 failed");
    run(&place, &["agent", "verify"]).exits(0).says("holds").says("1 commits of proposals, 0 things do not hold");
}

#[test]
fn what_is_predicted_when_its_result_is_there_is_said_to_be_known_and_does_not_count() {
    let place = project();
    place.write("small.nf", PIPELINE.replace("folds = 4", "folds = 5"));
    run(&place, &["run", "small.nf", "--quiet"]).exits(0);
    git(&place, &["checkout", "-q", "small.nf"]);
    let id = propose(&place, FIVE_FOLDS, &["--predict", "min(direction[*].accuracy) >= 0"]);
    for form in ["text", "markdown", "html"] {
        run(&place, &["agent", "review", &id, "--as", form]).exits(0).says("its results were known");
    }
    let Some(mut terminal) = Terminal::start(&place, &["agent", "review", &id], &[]) else { return };
    terminal.approves("a", &id).wait("predicted by").wait("its results were known when it was written");
    assert_eq!(terminal.ends().0, 0);
    let told = run(&place, &["agent", "history"]).exits(0).says("predictions whose results were known: 1");
    assert!(!told.out.contains("1 held"), "{}", told.out);
}

#[test]
fn later_no_all_tasks_and_unknown_keys_change_nothing() {
    let place = project();
    let id = propose(&place, FIVE_FOLDS, &[]);
    let before = head(&place);
    let Some(mut terminal) = Terminal::start(&place, &["agent", "review", &id[..7]], &[]) else { return };
    terminal.wait("later [q]: ").types("yes").wait("one of the letters").wait("later [q]: ").types("x").wait("tasks changed").types("q");
    assert_eq!(terminal.ends().0, 0);
    assert_eq!(events(&place), ["offered"]);
    let mut terminal = Terminal::start(&place, &["agent", "review", &id], &[]).unwrap();
    terminal.wait("later [q]: ").types("r").wait("why? ").types("four folds are \u{1b}[31menough");
    terminal.wait("rejected");
    assert_eq!(terminal.ends().0, 0);
    assert_eq!(events(&place), ["offered", "rejected"]);
    // What was typed is kept, and shown without its commands.
    run(&place, &["agent", "log"]).exits(0).says("four folds are <U+001B>[31menough");
    // A no is an answer, and is not asked for again.
    run(&place, &["agent", "review"]).exits(0).says("no proposal waits");
    // Who offers the same once more offers another proposal, whose card says so; the no to the first one stays.
    let again = propose(&place, FIVE_FOLDS, &[]);
    assert_ne!(again, id);
    run(&place, &["agent", "review", &id]).exits(0).says("this proposal is rejected");
    run(&place, &["agent", "review"]).exits(0).says("the same was offered once before, and answered");
    let mut terminal = Terminal::start(&place, &["agent", "review", &again], &[]).unwrap();
    terminal.wait("later [q]: ").types("r").wait("why? ").types("still enough").wait("rejected");
    assert_eq!(terminal.ends().0, 0);
    let third = propose(&place, FIVE_FOLDS, &[]);
    run(&place, &["agent", "review", &third]).exits(0).says("the same was offered 2 times before");
    assert_eq!(events(&place), ["offered", "rejected", "offered", "rejected", "offered"]);
    assert_eq!((head(&place), text(&place, "small.nf")), (before, PIPELINE.to_owned()));
    run(&place, &["agent", "verify"]).exits(0);
}

#[test]
fn what_a_person_edits_is_another_proposal_with_its_own_name() {
    let place = project();
    let id = propose(&place, FIVE_FOLDS, &["--because", "five?"]);
    let editor = place.write("home/editor.sh", "#!/bin/sh\nsed -i 's/folds = 5/folds = 3/' \"$1\"\n");
    let editor = format!("sh {}", editor.display());
    let Some(mut terminal) = Terminal::start(&place, &["agent", "review", &id], &[("EDITOR", &editor)]) else { return };
    terminal.wait("later [q]: ").types("e").wait("folds: 4 → 3").wait("later [q]: ").types("w").wait("to say yes: ");
    // The name of the first one is not that of the second.
    terminal.types(&id).wait("that is not its name").wait("later [q]: ").types("w").wait("type ");
    let seen = terminal.seen();
    let other = seen.rsplit("type ").next().unwrap()[..6].to_owned();
    terminal.types(&other).wait("applied to small.nf");
    assert_eq!(terminal.ends().0, 0);
    assert_eq!(text(&place, "small.nf"), PIPELINE.replace("folds = 4", "folds = 3"));
    assert_eq!(events(&place), ["offered", "offered", "rejected", "approving", "applied"]);
    assert!(git(&place, &["log", "-1", "--format=%B"]).contains("Neuroflow-Approval: terminal; edited=yes"));
    run(&place, &["agent", "verify"]).exits(0);
}

#[test]
fn an_editor_that_fails_or_writes_a_mistake_changes_nothing() {
    let place = project();
    let id = propose(&place, FIVE_FOLDS, &[]);
    let broken = place.write("home/broken.sh", "echo 'input (' >> \"$1\"\n");
    let broken = format!("sh {}", broken.display());
    for (editor, answer) in [("false", "did not end well"), ("true", "nothing was changed in it"), (broken.as_str(), "error")] {
        let Some(mut terminal) = Terminal::start(&place, &["agent", "review", &id], &[("EDITOR", editor)]) else { return };
        terminal.wait("later [q]: ").types("e").wait(answer).wait("later [q]: ").types("q");
        assert_eq!(terminal.ends().0, 0);
    }
    assert_eq!((events(&place), text(&place, "small.nf")), (vec!["offered".to_owned()], PIPELINE.to_owned()));
}

#[cfg(unix)]
#[test]
fn what_a_person_wrote_outlives_a_mistake_and_is_nobody_elses() {
    let place = project();
    let id = propose(&place, FIVE_FOLDS, &[]);
    // What a project that was got from somebody brings along is not written through.
    place.write("home/precious", "mine\n");
    std::fs::create_dir_all(place.path().join(".neuroflow/agent/edit")).unwrap();
    std::os::unix::fs::symlink(place.path().join("home/precious"), place.path().join(".neuroflow/agent/edit/small.nf")).unwrap();
    // A mistake at first, which is mended in the same text. A VISUAL of nothing names no editor.
    let script = "stat -c %a \"$(dirname \"$1\")\" > home/mode\n\
                  if grep -q 'input (' \"$1\"; then sed -i -e '/input (/d' -e 's/folds = 5/folds = 3/' \"$1\"; else echo 'input (' >> \"$1\"; fi\n";
    let editor = format!("sh {}", place.write("home/editor.sh", script).display());
    let temporary = place.path().join("home/tmp");
    std::fs::create_dir(&temporary).unwrap();
    let variables = [("VISUAL", ""), ("EDITOR", editor.as_str()), ("TMPDIR", temporary.to_str().unwrap())];
    let kept = || std::fs::read_dir(&temporary).unwrap().count();
    let Some(mut terminal) = Terminal::start(&place, &["agent", "review", &id], &variables) else { return };
    terminal.wait("later [q]: ").types("e").wait("what you wrote is kept").wait("later [q]: ");
    // Another one's editor is in another folder.
    let mut second = Terminal::start(&place, &["agent", "review", &id], &variables).unwrap();
    second.wait("later [q]: ").types("e").wait("what you wrote is kept").wait("later [q]: ");
    assert_eq!(kept(), 2);
    terminal.types("e").wait("folds: 4 → 3").wait("later [q]: ").types("q");
    assert_eq!(terminal.ends().0, 0);
    assert_eq!(kept(), 1);
    second.types("q").wait("what you wrote is kept in");
    assert_eq!(second.ends().0, 0);
    assert_eq!((kept(), text(&place, "home/precious"), text(&place, "home/mode")), (1, "mine\n".to_owned(), "700\n".to_owned()));
}

#[cfg(unix)]
#[test]
fn an_agents_folder_that_is_a_link_is_refused() {
    for link in [".neuroflow", ".neuroflow/agent", ".neuroflow/agent/proposals", ".neuroflow/agent/ledger.jsonl"] {
        let place = project();
        std::fs::create_dir(place.path().join("home/elsewhere")).unwrap();
        let link = place.path().join(link);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        let target = if link.extension().is_some_and(|end| end == "jsonl") { "home/elsewhere/file" } else { "home/elsewhere" };
        std::os::unix::fs::symlink(place.path().join(target), &link).unwrap();
        place.write("proposed.json", FIVE_FOLDS);
        let told = run(&place, &["propose", "proposed.json"]);
        assert_ne!(told.code, 0, "{}", told.out);
        told.says("is a link");
        assert_eq!(std::fs::read_dir(place.path().join("home/elsewhere")).unwrap().count(), 0, "{}", link.display());
    }
}

#[test]
fn changes_of_ones_own_are_committed_first_after_a_yes() {
    let place = project();
    let own = format!("{PIPELINE}# mine\n");
    place.write("small.nf", &own);
    let before = head(&place);
    let id = propose(&place, FIVE_FOLDS, &[]);
    let Some(mut terminal) = Terminal::start(&place, &["agent", "review", &id], &[]) else { return };
    terminal.wait("changes of your own").wait("later [q]: ").types("w").wait("[y/N]").types("").wait("nothing is changed");
    assert_eq!((head(&place), text(&place, "small.nf")), (before.clone(), own.clone()));
    terminal.wait("later [q]: ").types("w").wait("[y/N]").types("y").wait("to say yes: ").types(&id).wait("applied to");
    assert_eq!(terminal.ends().0, 0);
    assert_eq!(git(&place, &["show", "HEAD~1:small.nf"]), own);
    assert_eq!(git(&place, &["show", "HEAD:small.nf"]), own.replace("folds = 4", "folds = 5"));
    assert_eq!(git(&place, &["rev-parse", "HEAD~2"]).trim(), before);
    assert!(!git(&place, &["log", "-1", "--format=%B", "HEAD~1"]).contains("Neuroflow-"));
    run(&place, &["agent", "verify"]).exits(0);
}

#[test]
fn without_a_repository_the_ledger_alone_remembers() {
    let place = files();
    let id = propose(&place, FIVE_FOLDS, &[]);
    let Some(mut terminal) = Terminal::start(&place, &["agent", "review", &id], &[]) else { return };
    terminal.approves("w", &id).wait("there is no repository, so no commit");
    assert_eq!(terminal.ends().0, 0);
    assert_eq!(text(&place, "small.nf"), PIPELINE.replace("folds = 4", "folds = 5"));
    assert_eq!(events(&place), ["offered", "approving", "applied"]);
}

#[test]
fn an_unborn_branch_a_detached_head_and_a_repository_above_the_project_are_all_right() {
    // Nothing is committed yet.
    let place = files();
    git(&place, &["init", "-q", "-b", "main", "."]);
    let id = propose(&place, FIVE_FOLDS, &[]);
    let Some(mut terminal) = Terminal::start(&place, &["agent", "review", &id], &[]) else { return };
    terminal.wait("later [q]: ").types("w").wait("[y/N]").types("y").wait("to say yes: ").types(&id).wait("applied to");
    assert_eq!(terminal.ends().0, 0);
    assert_eq!(git(&place, &["log", "--format=%P"]).trim().lines().count(), 1);
    run(&place, &["agent", "verify"]).exits(0).says("1 commits of proposals, 0 things");
    // No branch is checked out: the commit is there, and no branch moves.
    let place = project();
    git(&place, &["checkout", "-q", "--detach"]);
    let id = propose(&place, FIVE_FOLDS, &[]);
    let before = head(&place);
    assert!(approve(&place, &id));
    assert_eq!(git(&place, &["rev-parse", "HEAD~1"]).trim(), before);
    assert_eq!(git(&place, &["rev-parse", "main"]).trim(), before);
    run(&place, &["agent", "verify"]).exits(0).says("1 commits of proposals, 0 things");
    // The project is a folder of the repository.
    let place = files();
    for name in ["small.nf", "units.csv"] {
        place.write(&format!("lab/{name}"), text(&place, name));
        std::fs::remove_file(place.path().join(name)).unwrap();
    }
    place.write(".gitignore", "cache/\nhome/\n.neuroflow/\nproposed.json\n");
    for arguments in [["init", "-q", "-b", "main", "."].as_slice(), &["add", "."], &["commit", "-q", "-m", "first"]] {
        git(&place, arguments);
    }
    place.write("lab/proposed.json", FIVE_FOLDS);
    let inner = |arguments: &[&str]| said(neuroflow(&place).current_dir(place.path().join("lab")).args(arguments).output().unwrap());
    let card: serde_json::Value = serde_json::from_str(&inner(&["propose", "proposed.json", "--format", "json"]).exits(0).out).unwrap();
    let id = card["id"].as_str().unwrap().to_owned();
    let script = format!("cd lab && exec {} agent review", neuroflow(&place).get_program().to_str().unwrap());
    let wrapper = place.write("home/lab.sh", script);
    let mut terminal = Terminal::start_program(&place, &["sh", wrapper.to_str().unwrap()], &[]).unwrap();
    terminal.approves("w", &id).wait("applied to small.nf; commit");
    assert_eq!(terminal.ends().0, 0);
    assert_eq!(git(&place, &["show", "--format=", "--name-only"]).trim(), "lab/small.nf");
    inner(&["agent", "verify"]).exits(0).says("1 commits of proposals, 0 things");
}

#[cfg(unix)]
fn hook(place: &crate::support::Place, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = place.write(&format!(".git/hooks/{name}"), format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[cfg(unix)]
#[test]
fn hooks_of_the_project_are_asked_and_a_no_leaves_everything_as_it_was() {
    let place = project();
    place.write("staged.txt", "new\n");
    git(&place, &["add", "staged.txt"]);
    // It sees what is to be committed, and nothing else that is staged.
    hook(
        &place,
        "pre-commit",
        "git diff --cached --name-only > hook.txt; git show :small.nf | grep folds >> hook.txt; echo 'too many folds'; exit 1",
    );
    let before = head(&place);
    let id = propose(&place, FIVE_FOLDS, &[]);
    let Some(mut terminal) = Terminal::start(&place, &["agent", "review", &id], &[]) else { return };
    terminal.approves("w", &id).wait("too many folds");
    assert_ne!(terminal.ends().0, 0);
    assert!(
        text(&place, "hook.txt").starts_with("small.nf\n  direction = decode.classify(responses, target = \"direction\", folds = 5)"),
        "{}",
        text(&place, "hook.txt")
    );
    assert_eq!((head(&place), text(&place, "small.nf")), (before, PIPELINE.to_owned()));
    assert_eq!(events(&place), ["offered", "approving", "failed"]);
    assert_eq!(git(&place, &["status", "--porcelain"]), "A  staged.txt\n?? hook.txt\n");
    // It still waits, and a hook that agrees and says more lets it pass.
    std::fs::remove_file(place.path().join("hook.txt")).unwrap();
    hook(&place, "pre-commit", "exit 0");
    hook(&place, "commit-msg", "echo 'Reviewed-by: a hook' >> \"$1\"");
    assert!(approve(&place, &id));
    assert!(git(&place, &["log", "-1", "--format=%B"]).contains("Reviewed-by: a hook"));
    run(&place, &["agent", "verify"]).exits(0);
    // One that takes the proof away does not.
    hook(&place, "commit-msg", "grep -v Neuroflow-Proposal \"$1\" > \"$1.new\"; mv \"$1.new\" \"$1\"");
    let id = propose(&place, &FIVE_FOLDS.replace('5', "6"), &[]);
    let before = head(&place);
    let mut terminal = Terminal::start(&place, &["agent", "review", &id], &[]).unwrap();
    terminal.approves("w", &id).wait("takes the line");
    assert_ne!(terminal.ends().0, 0);
    assert_eq!((head(&place), text(&place, "small.nf")), (before, PIPELINE.replace("folds = 4", "folds = 5")));
}

#[test]
fn a_git_that_is_at_work_makes_the_change_fail_as_a_whole() {
    let place = project();
    let id = propose(&place, FIVE_FOLDS, &[]);
    let before = head(&place);
    place.write(".git/index.lock", "");
    let Some(mut terminal) = Terminal::start(&place, &["agent", "review", &id], &[]) else { return };
    terminal.approves("w", &id).wait("error");
    assert_ne!(terminal.ends().0, 0);
    assert_eq!((head(&place), text(&place, "small.nf")), (before, PIPELINE.to_owned()));
    std::fs::remove_file(place.path().join(".git/index.lock")).unwrap();
    assert_eq!(git(&place, &["status", "--porcelain"]), "");
    assert!(approve(&place, &id));
}

#[test]
fn without_a_terminal_nothing_says_yes() {
    let place = project();
    let id = propose(&place, FIVE_FOLDS, &[]);
    let before = head(&place);
    for further in [&["--yes"] as &[&str], &["-y"], &["--approve"], &["--force"], &["--approval", "client"], &["--as", "approved"]] {
        let told = run(&place, &[&["agent", "review", &id], further].concat());
        assert_ne!(told.code, 0, "{further:?}");
    }
    for variables in [
        &[] as &[(&str, &str)],
        &[("CI", "1"), ("NEUROFLOW_APPROVE", "1"), ("NEUROFLOW_YES", "1"), ("FORCE_TTY", "1"), ("NEUROFLOW_AGENT_APPROVAL", "client")],
    ] {
        let mut command = neuroflow(&place);
        command.args(["agent", "review", &id]).envs(variables.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It may have ended without reading.
        let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), format!("a\n{id}\ny\nw\n{id}\n").as_bytes());
        said(child.wait_with_output().unwrap()).exits(0).says("a person gives it in a terminal");
    }
    // The project's own settings can't do it either.
    place.write("neuroflow.toml", "[agent]\napproval = \"client\"\n[agent.autonomy]\ndecode = \"auto\"\n");
    run(&place, &["agent", "review", &id]).exits(0).says("a person gives it in a terminal");
    assert_eq!((head(&place), text(&place, "small.nf"), events(&place)), (before, PIPELINE.to_owned(), vec!["offered".to_owned()]));
}
