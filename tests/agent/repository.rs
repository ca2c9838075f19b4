//! Repositories as they are found: at work, of another kind, with commits that come in between, and with git's own settings.

use super::{FIVE_FOLDS, PIPELINE, Terminal, approve, events, files, git, head, neuroflow, project, propose, run, text};
use crate::support::{Place, said};
use std::process::Command;

/// Says yes, and wants a no of the gate that leaves everything as it was. False where no terminal can be opened.
#[track_caller]
fn refused(place: &Place, id: &str, told: &str) -> bool {
    let before = text(place, "small.nf");
    let Some(mut terminal) = Terminal::start(place, &["agent", "review", id], &[]) else { return false };
    terminal.approves("w", id).wait(told);
    let (code, seen) = terminal.ends();
    assert_ne!(code, 0, "{seen}");
    assert_eq!(text(place, "small.nf"), before, "{seen}");
    assert!(!events(place).contains(&"approving".to_owned()), "{seen}");
    true
}

#[cfg(unix)]
fn hook(place: &Place, name: &str, script: &str) {
    executable(place, &format!(".git/hooks/{name}"), script);
}

#[cfg(unix)]
fn executable(place: &Place, path: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = place.write(path, format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A key of SSH that git signs with; none where there is no ssh-keygen.
fn signing(place: &Place) -> Option<()> {
    let file = place.path().join("home/ada");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "ada", "-f"]).arg(&file).output();
    if !made.is_ok_and(|made| made.status.success()) {
        println!("skipped: there is no ssh-keygen here");
        return None;
    }
    git(place, &["config", "gpg.format", "ssh"]);
    git(place, &["config", "user.signingkey", file.to_str().unwrap()]);
    Some(())
}

#[cfg(unix)]
#[test]
fn a_commit_that_is_made_while_a_key_waits_is_not_lost() {
    let place = project();
    if signing(&place).is_none() {
        return;
    }
    place.write("neuroflow.toml", "[agent]\napproval = \"signed\"\n");
    git(&place, &["add", "neuroflow.toml"]);
    git(&place, &["commit", "-q", "-m", "signed"]);
    let id = propose(&place, FIVE_FOLDS, &[]);
    // Somebody commits at another terminal while the key waits for a touch.
    executable(&place, "home/bin/ssh-keygen", "git commit -q --allow-empty -m meanwhile\nPATH=${PATH#*:}\nexec ssh-keygen \"$@\"");
    let path = format!("{}:{}", place.path().join("home/bin").display(), std::env::var("PATH").unwrap());
    let Some(mut terminal) = Terminal::start(&place, &["agent", "review", &id], &[("PATH", &path)]) else { return };
    terminal.approves("w", &id).wait("another commit came first");
    assert_ne!(terminal.ends().0, 0);
    assert_eq!(git(&place, &["log", "-1", "--format=%s"]).trim(), "meanwhile");
    assert_eq!(text(&place, "small.nf"), PIPELINE);
    assert_eq!(git(&place, &["status", "--porcelain"]), "");
    // It still waits.
    assert!(approve(&place, &id));
    assert_eq!(git(&place, &["log", "-1", "--format=%s", "HEAD~1"]).trim(), "meanwhile");
}

#[test]
fn a_repository_that_can_not_be_opened_is_not_taken_for_none() {
    let place = files();
    let made = Command::new("git").args(["init", "-q", "--object-format=sha256", "."]).current_dir(place.path()).output();
    if !made.is_ok_and(|made| made.status.success()) {
        println!("skipped: this git knows SHA-1 alone");
        return;
    }
    let id = propose(&place, FIVE_FOLDS, &[]);
    if !refused(&place, &id, "can't be opened") {
        return;
    }
    let told = run(&place, &["agent", "verify"]);
    assert_ne!(told.code, 0);
    told.says("can't be opened");
    // Whose it is is not the matter.
    let mut terminal = Terminal::start(&place, &["agent", "review", &id], &[]).unwrap();
    terminal.approves("w", &id).wait("can't be opened").wait("SHA-1");
    let seen = terminal.ends().1;
    assert!(!seen.contains("safe.directory"), "{seen}");
    assert_eq!(events(&place), ["offered"]);
}

#[test]
fn a_proposal_that_comes_back_by_a_cherry_pick_was_used_before() {
    let place = project();
    let id = propose(&place, FIVE_FOLDS, &[]);
    if !approve(&place, &id) {
        return;
    }
    let first = head(&place);
    git(&place, &["revert", "--no-edit", "HEAD"]);
    run(&place, &["agent", "verify"]).exits(0);
    git(&place, &["cherry-pick", &first]);
    let told = format!("was used before, by commit {}", &first[..10]);
    run(&place, &["agent", "verify"]).exits(1).says(&told).says("1 things do not hold");
    // The first use may lie before the range.
    run(&place, &["agent", "verify", "HEAD~1.."]).exits(1).says(&told);
    run(&place, &["agent", "verify", &first]).exits(0);
}

#[test]
fn what_a_commit_would_sweep_along_or_could_not_hold_is_refused_before_anything_changes() {
    let place = project();
    let id = propose(&place, FIVE_FOLDS, &[]);
    place.write(".git/MERGE_HEAD", head(&place));
    if !refused(&place, &id, "in the middle of a merge") {
        return;
    }
    std::fs::remove_file(place.path().join(".git/MERGE_HEAD")).unwrap();
    // Something is staged that the file no longer says.
    place.write("small.nf", format!("{PIPELINE}# staged\n"));
    git(&place, &["add", "small.nf"]);
    place.write("small.nf", PIPELINE);
    assert!(refused(&place, &id, "small.nf has other changes staged"));
    assert!(git(&place, &["show", ":small.nf"]).ends_with("# staged\n"));
    git(&place, &["reset", "-q"]);
    // Nothing follows the file, and nothing may.
    git(&place, &["rm", "-q", "--cached", "small.nf"]);
    place.write(".gitignore", "*.nf\ncache/\nhome/\nproposed.json\n/.neuroflow/\n");
    git(&place, &["add", ".gitignore"]);
    git(&place, &["commit", "-q", "-m", "ignored"]);
    assert!(refused(&place, &id, "small.nf is ignored by git"));
    // One that is followed already may be ignored.
    git(&place, &["add", "-f", "small.nf"]);
    git(&place, &["commit", "-q", "-m", "followed"]);
    assert!(approve(&place, &id));
    run(&place, &["agent", "verify"]).exits(0);
}

#[test]
fn line_ends_that_git_turns_are_no_change_of_ones_own() {
    let place = project();
    place.write(".gitattributes", "*.nf text eol=crlf\n");
    git(&place, &["add", ".gitattributes"]);
    git(&place, &["commit", "-q", "-m", "line ends"]);
    std::fs::remove_file(place.path().join("small.nf")).unwrap();
    git(&place, &["checkout", "-q", "small.nf"]);
    assert!(text(&place, "small.nf").contains("\r\n"));
    let id = propose(&place, FIVE_FOLDS, &[]);
    // Nothing is asked about changes of one's own.
    if !approve(&place, &id) {
        return;
    }
    assert_eq!(git(&place, &["status", "--porcelain"]), "");
    assert_eq!(git(&place, &["show", "HEAD:small.nf"]), PIPELINE.replace("folds = 4", "folds = 5"));
    run(&place, &["agent", "verify"]).exits(0).says("1 commits of proposals, 0 things");
}

#[cfg(unix)]
#[test]
fn a_hook_that_refuses_the_change_leaves_no_commit_of_ones_own_either() {
    let place = project();
    let own = format!("{PIPELINE}# mine\n");
    place.write("small.nf", &own);
    hook(&place, "pre-commit", "git show :small.nf | grep -q 'folds = 5' && exit 1; exit 0");
    let before = head(&place);
    let id = propose(&place, FIVE_FOLDS, &[]);
    let Some(mut terminal) = Terminal::start(&place, &["agent", "review", &id], &[]) else { return };
    terminal.wait("later [q]: ").types("w").wait("[y/N]").types("y").wait("to say yes: ").types(&id).wait("refused the commit");
    assert_ne!(terminal.ends().0, 0);
    assert_eq!((head(&place), text(&place, "small.nf")), (before, own));
    assert_eq!(git(&place, &["status", "--porcelain"]), " M small.nf\n");
    let left = std::fs::read_dir(place.path().join(".neuroflow/agent/undo")).unwrap().count();
    assert_eq!(left, 0, "something is left of the change in the making");
}

#[test]
fn gits_own_variables_and_settings_count_as_they_do_for_git() {
    let place = project();
    let id = propose(&place, FIVE_FOLDS, &[]);
    let variables = [("GIT_AUTHOR_NAME", "Grace"), ("GIT_AUTHOR_DATE", "1796036400 +0100"), ("GIT_COMMITTER_EMAIL", "robot@example.org")];
    let Some(mut terminal) = Terminal::start(&place, &["agent", "review", &id], &variables) else { return };
    terminal.approves("w", &id).wait("applied to");
    assert_eq!(terminal.ends().0, 0);
    assert_eq!(
        git(&place, &["log", "-1", "--format=%an %ae %ad %cn %ce", "--date=raw"]).trim(),
        "Grace ada@example.org 1796036400 +0100 Ada Test robot@example.org"
    );
    // All commits are to be signed.
    if signing(&place).is_none() {
        return;
    }
    git(&place, &["config", "commit.gpgsign", "true"]);
    let id = propose(&place, &FIVE_FOLDS.replace('5', "6"), &[]);
    assert!(approve(&place, &id));
    assert!(git(&place, &["cat-file", "commit", "HEAD"]).contains("\ngpgsig -----BEGIN SSH SIGNATURE-----"));
    run(&place, &["agent", "verify"]).exits(0);
}

#[test]
fn a_patch_that_git_writes_in_a_folder_of_the_repository_is_taken() {
    let place = files();
    std::fs::remove_file(place.path().join("small.nf")).unwrap();
    place.write("lab/units.csv", text(&place, "units.csv"));
    place.write("lab/mäuse 1.nf", PIPELINE);
    place.write(".gitignore", "cache/\nhome/\n.neuroflow/\n");
    for arguments in [["init", "-q", "-b", "main", "."].as_slice(), &["add", "."], &["commit", "-q", "-m", "first"]] {
        git(&place, arguments);
    }
    // Without context, an insertion stands behind the line that is named.
    place.write("lab/mäuse 1.nf", PIPELINE.replace("folds = 4", "folds = 5").replace("areas = sql", "# new\nareas = sql"));
    for (name, option) in [("plain", "--unified=3"), ("bare", "--unified=0"), ("without", "--no-prefix"), ("inner", "--relative")] {
        let patch = place.git(&place.path().join("lab"), &["diff", option]);
        place.write(&format!("home/{name}.diff"), patch);
    }
    git(&place, &["checkout", "-q", "."]);
    let mut ids = Vec::new();
    for name in ["plain", "bare", "without", "inner"] {
        let file = format!("../home/{name}.diff");
        let mut command = neuroflow(&place);
        command.current_dir(place.path().join("lab")).args(["propose", &file, "--format", "json"]);
        let told = said(command.output().unwrap()).exits(0);
        let card: serde_json::Value = serde_json::from_str(&told.out).unwrap();
        ids.push(card["proposal"]["files"][0]["after"].as_str().unwrap().to_owned());
        assert_eq!(card["proposal"]["files"][0]["path"], "mäuse 1.nf");
    }
    assert!(ids.iter().all(|after| *after == ids[0]), "{ids:?}");
}

/// `git diff --relative` names files from where one is, which may be a folder of the project.
#[test]
fn a_patch_that_git_writes_relative_to_a_folder_of_the_project_is_taken() {
    let place = project();
    place.write("pipelines/inner.nf", PIPELINE);
    git(&place, &["add", "."]);
    git(&place, &["commit", "-q", "-m", "a folder"]);
    place.write("neuroflow.toml", "");
    place.write("pipelines/inner.nf", PIPELINE.replace("folds = 4", "folds = 5"));
    let folder = place.path().join("pipelines");
    let patch = place.git(&folder, &["diff", "--relative"]);
    assert!(patch.contains("+++ b/inner.nf"), "{patch}");
    place.write("home/relative.diff", patch);
    git(&place, &["checkout", "-q", "."]);
    let proposed = || {
        let mut command = neuroflow(&place);
        command.current_dir(&folder).args(["propose", "../home/relative.diff", "--format", "json"]);
        said(command.output().unwrap())
    };
    let card: serde_json::Value = serde_json::from_str(&proposed().exits(0).out).unwrap();
    assert_eq!(card["proposal"]["files"][0]["path"], "pipelines/inner.nf");
    // A file further up that has the same lines under the same name may be meant as well.
    place.write("inner.nf", PIPELINE);
    let told = proposed();
    assert_ne!(told.code, 0);
    told.says("it may be about inner.nf or about pipelines/inner.nf").says("without `--relative`");
}

/// A look at a card leaves git as it is, also where a file has changes of one's own and its line ends are turned.
#[test]
fn nothing_is_written_into_the_repository_before_a_yes() {
    let place = project();
    place.write(".gitattributes", "*.nf text eol=crlf\n");
    git(&place, &["add", "."]);
    git(&place, &["commit", "-q", "-m", "line ends"]);
    place.write("small.nf", format!("{PIPELINE}# mine\n").replace('\n', "\r\n"));
    let all = |place: &Place| {
        let (mut found, mut folders) = (Vec::new(), vec![place.path().join(".git")]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                }
                found.push((entry.path(), std::fs::read(entry.path()).unwrap_or_default()));
            }
        }
        found.sort();
        found
    };
    let before = all(&place);
    let id = propose(&place, FIVE_FOLDS, &[]);
    run(&place, &["agent", "review", &id]).exits(0).says("small.nf has changes of your own");
    assert!(all(&place) == before, "something was written into .git");
    // Nor by a yes that is refused.
    place.write(".git/MERGE_HEAD", head(&place));
    let before = all(&place);
    if let Some(mut terminal) = Terminal::start(&place, &["agent", "review", &id], &[]) {
        terminal.wait("later [q]: ").types("w").wait("[y/N]").types("y").wait("to say yes: ").types(&id).wait("in the middle of a merge");
        assert_ne!(terminal.ends().0, 0);
        assert!(all(&place) == before, "something was written into .git");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_in_a_hook_ends_it_and_leaves_nothing_behind() {
    let place = project();
    // What it started goes on, and holds its output open.
    hook(&place, "pre-commit", "(trap '' INT; sleep 30) & touch \"$GIT_INDEX_FILE.lock\"; echo reached > home/reached; sleep 20");
    let id = propose(&place, FIVE_FOLDS, &[]);
    let before = head(&place);
    let Some(mut terminal) = Terminal::start(&place, &["agent", "review", &id], &[]) else { return };
    terminal.approves("w", &id);
    let began = std::time::Instant::now();
    while !place.path().join("home/reached").exists() {
        assert!(began.elapsed() < std::time::Duration::from_secs(60), "{}", terminal.seen());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let began = std::time::Instant::now();
    terminal.presses("\u{3}").wait("the hook `pre-commit` was stopped");
    assert_ne!(terminal.ends().0, 0);
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!((head(&place), text(&place, "small.nf")), (before, PIPELINE.to_owned()));
    assert_eq!(std::fs::read_dir(place.path().join(".neuroflow/agent/undo")).unwrap().count(), 0);
    assert_eq!(events(&place), ["offered", "approving", "failed"]);
    // It still waits.
    hook(&place, "pre-commit", "exit 0");
    assert!(approve(&place, &id));
}

/// Whatever was once proposed in the home folder, what lies in it is a project of its own.
#[test]
fn the_home_folder_is_no_project_of_what_lies_in_it() {
    let place = project();
    let data = place.path().join("home/mydata");
    std::fs::create_dir_all(place.path().join("home/.neuroflow/agent")).unwrap();
    place.write("home/mydata/small.nf", PIPELINE);
    std::fs::copy(place.path().join("units.csv"), data.join("units.csv")).unwrap();
    place.write("home/mydata/proposed.json", FIVE_FOLDS);
    let told = said(neuroflow(&place).args(["propose", "proposed.json"]).current_dir(&data).output().unwrap());
    told.exits(0);
    assert!(data.join(".neuroflow/agent/ledger.jsonl").is_file());
    assert!(!place.path().join("home/.neuroflow/agent/ledger.jsonl").exists());
}
