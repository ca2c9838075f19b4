//! `run --at`: as it was at a commit, and as it was in a run.

use super::{Lab, PIPELINE, essence, record};

#[test]
fn everything_that_a_pipeline_names_is_as_it_was_at_the_revision() {
    let lab = Lab::new();
    lab.run(&["run", "lab.nf"]).exits(0);
    let first = lab.record();
    let was = lab.git(&["rev-parse", "HEAD"]).trim().to_owned();
    // Every file changes, and one of each kind goes and comes.
    lab.replace("lab.nf", "noise = 0.2", "noise = 3.0");
    lab.replace("parts/decoder.nf", "folds = 2", "folds = 4");
    lab.replace("tools/total.sh", "echo total", "echo sum");
    lab.write("data/weights.csv", "unit,weight\n1,30\n");
    lab.write("data/day-3.csv", "rate\n9\n");
    std::fs::remove_file(lab.folder.join("data/day-1.csv")).unwrap();
    lab.write("notes/two.txt", "two\n");
    lab.commit("second");
    lab.run(&["run", "lab.nf"]).exits(0);
    let second = lab.record();
    assert_ne!(essence(&first), essence(&second));
    // The working tree is as strange as can be, and nothing of it is touched.
    for file in ["lab.nf", "parts/decoder.nf", "tools/total.sh", "data/weights.csv", "data/day-2.csv", "notes/one.txt"] {
        std::fs::remove_file(lab.folder.join(file)).unwrap();
    }
    lab.write("notes/three.txt", "three\n");
    let before = lab.files();
    // In the same cache, and in one that knows nothing.
    let fresh = lab.place.path().join("fresh");
    for (revision, then) in [("HEAD", &second), ("HEAD~1", &first), (was.as_str(), &first), (&was[..8], &first), ("main~1^0", &first)] {
        lab.run(&["run", "lab.nf", "--at", revision]).exits(0).says("(0 tasks ran,").says("no report is written");
        assert_eq!(essence(&lab.record()), essence(then), "{revision}");
        let elsewhere = ["--cache-dir", fresh.to_str().unwrap()];
        lab.run(&[&elsewhere[..], &["run", "lab.nf", "--at", revision]].concat()).exits(0).says("at ");
        let again = record(&lab.run(&[&elsewhere[..], &["show", "newest", "--json"]].concat()));
        assert_eq!(essence(&again), essence(then), "{revision}");
        assert_eq!(again["revision"]["dirty"], false);
        assert_eq!(again["revision"]["file"], "lab.nf");
    }
    assert_eq!(lab.files(), before);
    // A report is written where one is asked for.
    lab.run(&["run", "lab.nf", "--at", "HEAD~1", "--out", "../then"]).exits(0);
    assert!(lab.place.path().join("then/lab_report.html").is_file());
}

#[test]
fn a_run_with_changes_that_were_never_committed_can_be_run_again() {
    let lab = Lab::new();
    // Changed, new and removed files; one of them staged.
    lab.replace("lab.nf", "noise = 0.2", "noise = 2.5");
    lab.replace("tools/total.sh", "echo total", "echo all");
    lab.write("notes/new.txt", "new\n");
    std::fs::remove_file(lab.folder.join("data/day-1.csv")).unwrap();
    lab.write("data/day-7.csv", "rate\n7\n");
    lab.git(&["add", "data/day-7.csv"]);
    lab.run(&["run", "lab.nf"]).exits(0);
    let dirty = lab.record();
    assert_eq!(dirty["revision"]["dirty"], true);
    assert!(dirty["patch"].is_string());
    let id = dirty["id"].as_str().unwrap();
    // All of it is thrown away.
    lab.git(&["reset", "-q", "--hard"]);
    lab.git(&["clean", "-qfd"]);
    lab.run(&["run", "lab.nf"]).exits(0);
    assert_ne!(essence(&lab.record()), essence(&dirty));
    let before = lab.files();
    lab.run(&["run", "--at", id]).exits(0).says("(0 tasks ran,");
    let again = lab.record();
    assert_eq!(essence(&again), essence(&dirty));
    assert_eq!((&again["revision"], &again["patch"], &again["kept"]), (&dirty["revision"], &dirty["patch"], &dirty["kept"]));
    // The beginning of the id is enough, the pipeline may be named, and another one is refused.
    lab.run(&["run", "--at", &id[..id.len() - 2], "lab.nf"]).exits(0).says("(0 tasks ran,");
    lab.run(&["run", "--at", id, "other.nf"]).exits(4).says("is of lab.nf, not of other.nf");
    // A run of a run of then is the same run, and a parameter may still be another.
    lab.run(&["run", "--at", again["id"].as_str().unwrap()]).exits(0).says("(0 tasks ran,");
    assert_eq!(lab.files(), before);
}

#[test]
fn only_a_new_file_makes_a_tree_dirty_when_the_run_read_it() {
    let lab = Lab::new();
    lab.write("unrelated.txt", "x");
    lab.run(&["run", "lab.nf"]).exits(0);
    assert_eq!(lab.record()["revision"]["dirty"], false);
    lab.write("notes/new.txt", "new\n");
    lab.run(&["run", "lab.nf"]).exits(0);
    let dirty = lab.record();
    assert_eq!(dirty["revision"]["dirty"], true);
    std::fs::remove_file(lab.folder.join("notes/new.txt")).unwrap();
    lab.run(&["run", "--at", dirty["id"].as_str().unwrap()]).exits(0);
    assert_eq!(essence(&lab.record()), essence(&dirty));
}

#[test]
fn data_that_git_does_not_hold_are_found_by_what_a_run_at_the_revision_had() {
    let lab = Lab::new();
    lab.replace("lab.nf", "csv(\"data/weights.csv\")", "csv(\"private/weights.csv\")");
    lab.replace("lab.nf", "csv(\"data/day-*.csv\")", "csv(\"../elsewhere/day-*.csv\")");
    lab.write("private/weights.csv", "unit,weight\n1,3\n2,4\n");
    lab.write("../elsewhere/day-1.csv", "rate\n1\n");
    lab.write("../elsewhere/day-2.csv", "rate\n2\n");
    lab.commit("second");
    lab.run(&["run", "lab.nf"]).exits(0);
    let first = lab.record();
    let id = first["id"].as_str().unwrap();
    assert_eq!(first["revision"]["dirty"], false);
    lab.write("private/weights.csv", "unit,weight\n1,5\n");
    lab.write("../elsewhere/day-1.csv", "rate\n10\n");
    std::fs::remove_file(lab.folder.join("../elsewhere/day-2.csv")).unwrap();
    // The cache still has them.
    for at in ["HEAD", id] {
        lab.run(&["run", "lab.nf", "--at", at]).exits(0).says("(0 tasks ran,");
        assert_eq!(essence(&lab.record()), essence(&first), "{at}");
    }
    // Without a run at the revision, what is there now is taken, and that is said and recorded.
    let fresh = lab.place.path().join("fresh");
    let fresh = ["--cache-dir", fresh.to_str().unwrap()];
    let at_head = [&fresh[..], &["run", "lab.nf", "--at", "HEAD"]].concat();
    lab.run(&at_head).exits(0).says("note: `weights` is not under version control").says("it is taken as it is now");
    let now = record(&lab.run(&[&fresh[..], &["show", "newest", "--json"]].concat()));
    assert_ne!(essence(&now), essence(&first));
    assert!(now["remarks"].as_array().unwrap().iter().any(|remark| remark.as_str().unwrap().contains("`days` is not under")), "{now}");
    // When neither the cache nor the disk has them any more, it is said which.
    let gone = |name: &str| {
        let input = first["inputs"].as_array().unwrap().iter().find(|input| input["name"] == name).unwrap();
        input["files"][0][1].as_str().unwrap().to_owned()
    };
    let short = gone("weights")[..8].to_owned();
    lab.run(&["cache", "gc", "--keep", "0"]).exits(0);
    lab.run(&["run", "lab.nf", "--at", "HEAD"])
        .exits(4)
        .says(&format!("the content that run {id} had ({short}"))
        .says("is found neither in the cache nor in the repository")
        .says("private/weights.csv is another file now")
        .says("put the file that was there then back");
    // Put back, they are taken.
    lab.write("private/weights.csv", "unit,weight\n1,3\n2,4\n");
    lab.write("../elsewhere/day-1.csv", "rate\n1\n");
    lab.write("../elsewhere/day-2.csv", "rate\n2\n");
    lab.run(&["run", "lab.nf", "--at", "HEAD"]).exits(0);
    assert_eq!(essence(&lab.record()), essence(&first));
}

#[test]
fn data_that_git_neither_holds_nor_ignores_are_not_taken_for_those_of_then() {
    let lab = Lab::new();
    lab.replace("lab.nf", "data/weights.csv", "data/later.csv");
    lab.commit("second");
    lab.write("data/later.csv", "unit,weight\n1,3\n");
    lab.run(&["run", "lab.nf", "--at", "HEAD"]).exits(4).says("data/later.csv is not in the revision").says("git does not ignore it");
    std::fs::remove_file(lab.folder.join("data/later.csv")).unwrap();
    lab.run(&["run", "lab.nf", "--at", "HEAD"]).exits(4).says("data/later.csv: there is no such file");
}

#[test]
fn what_is_no_revision_is_explained() {
    let lab = Lab::new();
    lab.git(&["tag", "published"]);
    for (revision, said) in [
        ("publisched", "did you mean `published`?"),
        ("deadbeefdeadbeef", "a commit that no branch has any more"),
        ("HEAD~7", "there is no revision `HEAD~7`"),
        ("HEAD~1..HEAD", "is a range"),
        ("HEAD:lab.nf", "`HEAD:lab.nf` is a blob, not a commit"),
        ("HEAD^{tree}", "is a tree, not a commit"),
    ] {
        lab.run(&["run", "lab.nf", "--at", revision]).exits(4).says(said);
    }
    lab.run(&["run", "--at", "HEAD"]).exits(4).says("the pipeline is not named");
    lab.run(&["run", "other.nf", "--at", "HEAD"]).exits(4).says("there is no file other.nf in ").says("git log --follow");
    lab.run(&["run", "--at", "20261130-070347"]).exits(4).says("there is no run `20261130-070347`");
    lab.run(&["run"]).exits(4).says("<FILE>");
    let elsewhere = lab.place.path().join("bare-folder");
    std::fs::create_dir_all(&elsewhere).unwrap();
    lab.run_in(&elsewhere, &["run", "lab.nf", "--at", "HEAD"]).exits(4).says("no git repository around it").says("git init");
    // What is wrong in a pipeline of then is told with its commit.
    lab.write("lab.nf", PIPELINE.replace("decoder.nf", "missing.nf"));
    let wrong = lab.commit("wrong");
    lab.run(&["run", "lab.nf", "--at", "HEAD"]).exits(2).says(&format!("{}:lab.nf", &wrong[..10])).says("parts/missing.nf");
}

#[test]
fn nobodys_home_and_no_address_stand_in_a_record() {
    let lab = Lab::new();
    // A project below the home folder, named by its whole path, and an alternative that can't be had.
    let home = lab.folder.parent().unwrap().join("home");
    let project = home.join("project");
    lab.git(&["clone", "-q", ".", project.to_str().unwrap()]);
    let text = PIPELINE.replace("csv(\"data/weights.csv\")", "csv(\"no/such.csv\") or csv(\"data/weights.csv\")");
    std::fs::write(project.join("lab.nf"), text).unwrap();
    let file = project.join("lab.nf");
    let reports = project.join("reports");
    lab.run_in(&project, &["run", file.to_str().unwrap(), "--out", reports.to_str().unwrap()]).exits(0);
    let id = lab.record()["id"].as_str().unwrap().to_owned();
    let stored = std::fs::read_to_string(lab.place.path().join(format!("cache/runs/{id}.json"))).unwrap();
    assert!(!stored.contains(home.to_str().unwrap()), "{stored}");
    assert!(!stored.contains("ada@example.org") && !stored.contains("Ada Test"), "{stored}");
    assert!(stored.contains("~/project/no/such.csv"), "{stored}");
    // It can be run again all the same.
    lab.run_in(&project, &["run", "--at", &id]).exits(0).says("(0 tasks ran,");
}

#[test]
fn the_lock_of_an_environment_is_that_of_then() {
    let lab = Lab::new();
    lab.replace("lab.nf", "-> table(\"total.csv\")", "-> table(\"total.csv\")\n  with env = \"locks/requirements.txt\"");
    lab.write("locks/requirements.txt", "# nothing is needed\n");
    lab.commit("a lock");
    lab.write("locks/requirements.txt", "numpy>=2\n");
    lab.commit("a lock that leaves something open");
    std::fs::remove_file(lab.folder.join("locks/requirements.txt")).unwrap();
    lab.commit("no lock");
    // Looked at only, for making an environment takes time.
    let at = |revision: &str| lab.run(&["run", "lab.nf", "--dry", "--at", revision]);
    at("HEAD~2").exits(0).says("total: would run");
    at("HEAD~1").exits(2).says("line 1, `numpy>=2` is not pinned");
    at("HEAD").exits(2).says("there is no file `locks/requirements.txt`");
}
