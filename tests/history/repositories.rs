//! Repositories of every kind.

use super::{Lab, PIPELINE, essence, record};
use std::path::Path;

/// Runs the pipeline at a revision in a folder, with a cache that knows nothing; gives what must be the same.
#[track_caller]
fn at(lab: &Lab, folder: &Path, revision: &str) -> serde_json::Value {
    let cache = tempfile::tempdir().unwrap();
    let elsewhere = ["--cache-dir", cache.path().to_str().unwrap()];
    lab.run_in(folder, &[&elsewhere[..], &["run", "lab.nf", "--at", revision]].concat()).exits(0);
    essence(&record(&lab.run_in(folder, &[&elsewhere[..], &["show", "newest", "--json"]].concat())))
}

/// A lab with two commits and a run at each.
fn two() -> (Lab, serde_json::Value, serde_json::Value) {
    let lab = Lab::new();
    lab.run(&["run", "lab.nf"]).exits(0);
    let first = essence(&lab.record());
    lab.replace("lab.nf", "noise = 0.2", "noise = 3.0");
    lab.commit("second");
    lab.run(&["run", "lab.nf"]).exits(0);
    let second = essence(&lab.record());
    assert_ne!(first, second);
    (lab, first, second)
}

#[test]
fn bare_detached_linked_and_shallow_ones() {
    let (lab, first, second) = two();
    let beside = |name: &str| lab.place.path().join(name);
    // Bare: paths begin at the repository itself.
    lab.git(&["clone", "-q", "--bare", ".", beside("bare.git").to_str().unwrap()]);
    assert_eq!(at(&lab, &beside("bare.git"), "main~1"), first);
    assert_eq!(at(&lab, &beside("bare.git"), "main"), second);
    assert!(!beside("bare.git/reports").exists());
    // Detached, and a run of the working tree there.
    lab.git(&["checkout", "-q", "--detach", "HEAD~1"]);
    assert_eq!(at(&lab, &lab.folder, "main"), second);
    assert_eq!(at(&lab, &lab.folder, "HEAD"), first);
    lab.run(&["run", "lab.nf"]).exits(0);
    assert_eq!(lab.record()["revision"]["branch"], serde_json::Value::Null);
    lab.git(&["checkout", "-q", "main"]);
    // A second working tree of the same repository, and a folder of it.
    lab.git(&["worktree", "add", "-q", beside("linked").to_str().unwrap(), "HEAD~1"]);
    assert_eq!(at(&lab, &beside("linked"), "HEAD"), first);
    assert_eq!(at(&lab, &beside("linked"), "main"), second);
    // Shallow: what is there runs, what is not is explained.
    let from = format!("file://{}", lab.folder.display());
    lab.git(&["clone", "-q", "--depth", "1", &from, beside("shallow").to_str().unwrap()]);
    assert_eq!(at(&lab, &beside("shallow"), "HEAD"), second);
    lab.run_in(&beside("shallow"), &["run", "lab.nf", "--at", "HEAD~1"]).exits(4).says("git fetch --unshallow");
}

#[test]
fn an_empty_one_and_one_whose_history_was_pushed_away() {
    let lab = Lab::empty();
    lab.write("lab.nf", PIPELINE);
    lab.run(&["run", "lab.nf", "--at", "HEAD"]).exits(4).says("has no commit yet").says("`git commit` makes one");
    lab.run(&["bisect", "lab.nf", "--bad", "decoder.direction.accuracy < 0.5"]).exits(4).says("has no commit yet");
    let (lab, _, second) = two();
    let gone = lab.git(&["rev-parse", "HEAD"]).trim().to_owned();
    // The branch was forced elsewhere: the commit is in no branch, and is still there.
    lab.git(&["reset", "-q", "--hard", "HEAD~1"]);
    lab.replace("lab.nf", "noise = 0.2", "noise = 5.0");
    lab.commit("another second");
    assert_eq!(at(&lab, &lab.folder, &gone), second);
    // Removed for good, what is left of the run at it is the run itself.
    lab.git(&["reflog", "expire", "--expire=now", "--all"]);
    lab.git(&["gc", "-q", "--prune=now"]);
    lab.run(&["run", "lab.nf", "--at", &gone]).exits(4).says("a commit that no branch has any more is removed in time");
    let runs = lab.run(&["runs"]).exits(0);
    let id = runs.out.lines().find(|line| line.contains(&gone[..10])).unwrap().split_whitespace().next().unwrap().to_owned();
    lab.run(&["run", "--at", &id]).exits(0).says("(0 tasks ran,");
    assert_eq!(essence(&lab.record()), second);
}

#[test]
fn names_with_spaces_and_letters_of_the_world() {
    let lab = Lab::in_folder("ein Labor für Mäuse · 実験");
    lab.write(
        "Nötige Schritte/lab 1.nf",
        PIPELINE.replace("tools/total.sh", "Skripte/zähle.sh").replace("csv(\"data/", "csv(\"Daten von heute/"),
    );
    lab.write("Nötige Schritte/parts/decoder.nf", super::DECODER);
    lab.write("Nötige Schritte/Skripte/zähle.sh", super::TOTAL);
    lab.write("Daten von heute/weights.csv", "unit,weight\n1,3\n2,4\n");
    lab.write("Daten von heute/day-Größe.csv", "rate\n1.5\n2.5\n");
    lab.write("Nötige Schritte/notes/日 記.txt", "one\n");
    lab.commit("erste 実験");
    let file = "Nötige Schritte/lab 1.nf";
    lab.run(&["run", file]).exits(0);
    let first = essence(&lab.record());
    lab.replace(file, "noise = 0.2", "noise = 3.0");
    lab.git(&["mv", "Nötige Schritte/Skripte/zähle.sh", "Nötige Schritte/Skripte/zahl.sh"]);
    lab.replace(file, "zähle.sh", "zahl.sh");
    lab.commit("zweite");
    lab.run(&["run", file, "--at", "HEAD~1"]).exits(0).says("(0 tasks ran,");
    let record = lab.record();
    assert_eq!(essence(&record), first);
    assert_eq!(record["revision"]["file"], file);
    // What a run at the commit had is found from any folder; without one, paths of data begin at the folder that it is started in.
    let inner = lab.folder.join("Nötige Schritte");
    lab.run_in(&inner, &["run", "lab 1.nf", "--at", "HEAD~1"]).exits(0).says("(0 tasks ran,");
    let fresh = lab.place.path().join("fresh");
    let fresh = ["--cache-dir", fresh.to_str().unwrap(), "run", "lab 1.nf", "--at", "HEAD~1"];
    lab.run_in(&inner, &fresh).exits(4).says("there is no such file");
}

#[test]
fn a_checkout_that_may_not_be_written() {
    let (lab, first, second) = two();
    let folders = ["", "data", "notes", "parts", "tools", ".git"].map(|name| lab.folder.join(name));
    let allow = |writing: bool| {
        for folder in &folders {
            let mut permissions = folder.metadata().unwrap().permissions();
            #[cfg(unix)]
            std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, if writing { 0o755 } else { 0o555 });
            std::fs::set_permissions(folder, permissions).unwrap();
        }
    };
    allow(false);
    let before = lab.files();
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        assert_eq!(at(&lab, &lab.folder, "HEAD"), second);
        assert_eq!(at(&lab, &lab.folder, "HEAD~1"), first);
        assert_eq!(lab.files(), before);
    }));
    allow(true);
    found.unwrap();
}

#[test]
fn submodules_are_followed_where_they_are_here_and_explained_where_not() {
    let lab = Lab::new();
    // The decoder comes from another repository.
    let other = lab.place.path().join("other");
    std::fs::create_dir_all(&other).unwrap();
    let in_other = |arguments: &[&str]| lab.place.git(&other, arguments);
    in_other(&["init", "-q", "-b", "main", "."]);
    std::fs::write(other.join("decoder.nf"), super::DECODER).unwrap();
    in_other(&["add", "."]);
    in_other(&["commit", "-q", "-m", "first"]);
    lab.git(&["rm", "-q", "-r", "parts"]);
    lab.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", other.to_str().unwrap(), "parts"]);
    lab.commit("a submodule");
    lab.run(&["run", "lab.nf"]).exits(0);
    let first = lab.record();
    assert_eq!(first["revision"]["dirty"], false);
    // The submodule goes on, and so does the lab.
    std::fs::write(lab.folder.join("parts/decoder.nf"), super::DECODER.replace("folds = 2", "folds = 4")).unwrap();
    lab.place.git(&lab.folder.join("parts"), &["commit", "-q", "-a", "-m", "second"]);
    lab.commit("the submodule went on");
    assert_eq!(at(&lab, &lab.folder, "HEAD~1"), essence(&first));
    assert_ne!(at(&lab, &lab.folder, "HEAD"), essence(&first));
    // A clone that has not fetched it.
    let clone = lab.place.path().join("clone");
    lab.git(&["clone", "-q", ".", clone.to_str().unwrap()]);
    lab.run_in(&clone, &["run", "lab.nf", "--at", "HEAD~1"])
        .exits(2)
        .says("`parts` is a submodule, and its repository is not here")
        .says("git submodule update --init 'parts'");
}

#[test]
fn a_pointer_of_git_lfs_is_the_file_that_it_points_to() {
    use sha2::Digest;
    let lab = Lab::new();
    lab.run(&["run", "lab.nf"]).exits(0);
    let first = essence(&lab.record());
    let content = lab.read("data/weights.csv");
    let digits = sha2::Sha256::digest(&content).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    lab.write("data/weights.csv", format!("version https://git-lfs.github.com/spec/v1\noid sha256:{digits}\nsize {}\n", content.len()));
    lab.commit("kept by LFS");
    // A pointer that was not fetched is no data.
    lab.run(&["run", "lab.nf"]).exits(4).says("it is a pointer of Git LFS").says("git lfs pull --include 'weights.csv'");
    let store = format!(".git/lfs/objects/{}/{}/{digits}", &digits[..2], &digits[2..4]);
    lab.run(&["run", "lab.nf", "--at", "HEAD"])
        .exits(4)
        .says("it is kept by Git LFS, and its content")
        .says("is not here; `git lfs fetch --all --include 'data/weights.csv'` brings it");
    lab.write(&store, "something else");
    lab.run(&["run", "lab.nf", "--at", "HEAD"]).exits(4).says("is damaged here");
    lab.write(&store, &content);
    assert_eq!(at(&lab, &lab.folder, "HEAD"), first);
}

#[test]
#[cfg(unix)]
fn links_within_the_tree_are_followed_and_others_lead_nowhere() {
    let lab = Lab::new();
    lab.git(&["mv", "tools/total.sh", "tools/real.sh"]);
    lab.git(&["mv", "data/weights.csv", "data/real.csv"]);
    std::os::unix::fs::symlink("real.sh", lab.folder.join("tools/total.sh")).unwrap();
    std::os::unix::fs::symlink("../data/real.csv", lab.folder.join("data/weights.csv")).unwrap();
    lab.commit("links");
    lab.run(&["run", "lab.nf"]).exits(0);
    let first = essence(&lab.record());
    assert_eq!(at(&lab, &lab.folder, "HEAD"), first);
    std::fs::remove_file(lab.folder.join("parts/decoder.nf")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", lab.folder.join("parts/decoder.nf")).unwrap();
    lab.commit("a link that leads out");
    lab.run(&["run", "lab.nf", "--at", "HEAD"]).exits(2).says("leads out of the");
}
