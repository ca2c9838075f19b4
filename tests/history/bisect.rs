//! `bisect`, in a repository with a long history.

use super::{Lab, essence, record};

const CONDITION: &str = "decoder.direction.accuracy < 0.3";

/// Another small change for each number: of a text that nothing reads, a comment, a script, data, a parameter that leaves the score alone.
fn change(lab: &Lab, number: usize) -> &'static str {
    match number % 5 {
        0 => lab.write("README.md", format!("{number}\n")),
        1 => lab.write("lab.nf", format!("{}\n# {number}\n", lab.read("lab.nf").trim_end())),
        2 => lab.write("tools/total.sh", format!("{}# {number}\n", super::TOTAL)),
        3 => lab.write("data/weights.csv", format!("unit,weight\n1,3\n2,{number}\n")),
        _ => lab.write("data/day-2.csv", format!("rate\n{number}.5\n")),
    }
    ["write", "a comment", "the script", "weights", "a day"][number % 5]
}

#[test]
fn the_commit_of_two_hundred_is_found_and_every_tenth_gives_what_was_recorded_then() {
    const COUNT: usize = 200;
    const BAD: usize = 137;
    let lab = Lab::new();
    let mut then = Vec::new();
    let mut bad = String::new();
    for number in 1..COUNT {
        let commit = if number == BAD {
            lab.replace("lab.nf", "noise = 0.2", "noise = 60.0");
            bad = lab.commit("louder");
            bad.clone()
        } else {
            let subject = change(&lab, number);
            lab.commit(subject)
        };
        if number % 10 == 0 {
            lab.run(&["run", "lab.nf", "--quiet"]).exits(0);
            then.push((commit, essence(&lab.record())));
        }
    }
    assert_eq!(lab.git(&["rev-list", "--count", "HEAD"]).trim(), "200");
    // At every tenth commit again, in a cache that knows nothing of then.
    let fresh = lab.place.path().join("fresh");
    let fresh = ["--cache-dir", fresh.to_str().unwrap()];
    for (commit, then) in &then {
        lab.run(&[&fresh[..], &["run", "lab.nf", "--at", commit, "--quiet"]].concat()).exits(0);
        assert_eq!(&essence(&record(&lab.run(&[&fresh[..], &["show", "newest", "--json"]].concat()))), then, "{commit}");
    }
    // The search: 200 commits, so at most the newest and eight others are run.
    let before = lab.files();
    let other = lab.place.path().join("other");
    let other = ["--cache-dir", other.to_str().unwrap()];
    let search = [&other[..], &["bisect", "lab.nf", "--bad", CONDITION]].concat();
    let found = lab.run(&search).exits(0);
    let lines: Vec<&str> = found.out.lines().collect();
    let steps: Vec<&&str> = lines.iter().filter(|line| line.contains("  good  ") || line.contains("  bad  ")).collect();
    assert!(steps.len() <= 9, "{}", found.out);
    assert!(steps.iter().all(|step| step.contains("decoder/direction.accuracy = ") && step.contains("tasks ran, ")), "{}", found.out);
    let runs = lab.run(&[&other[..], &["runs", "-n", "99"]].concat()).exits(0);
    assert_eq!(runs.out.lines().count(), steps.len());
    // Only what the condition names is run, and only once for each noise.
    let ran: usize =
        steps.iter().map(|step| step.split_once(" tasks ran").unwrap().0.rsplit('(').next().unwrap().parse::<usize>().unwrap()).sum();
    assert_eq!(ran, 4, "{}", found.out);
    for told in [
        format!("began to hold with commit {bad}"),
        "  author  Ada Test <ada@example.org>".to_owned(),
        "  date    2026-03-01 09:30:00 +0100".to_owned(),
        "  subject louder".to_owned(),
        "  -use \"parts/decoder.nf\" as decoder with noise = 0.2".to_owned(),
        "  +use \"parts/decoder.nf\" as decoder with noise = 60.0".to_owned(),
    ] {
        assert!(found.out.contains(&told), "{told}\n{}", found.out);
    }
    // A look back is not the latest run: here there is no other, and in the cache of the working tree's runs that one stays the latest.
    lab.run(&[&other[..], &["show"]].concat()).exits(4).says("all runs have the files of another time").says("`newest`");
    lab.run(&[&other[..], &["show", "newest"]].concat()).exits(0).says("with the files of then: --at ");
    let latest = |lab: &Lab| record(&lab.run(&["show", "--json"]))["id"].clone();
    let before_search = latest(&lab);
    lab.run(&["bisect", "lab.nf", "--bad", CONDITION, "--good", "HEAD~70", "--from", "HEAD~50"]).exits(0);
    lab.run(&["run", "lab.nf", "--at", "HEAD~3", "--quiet"]).exits(0);
    assert_eq!(latest(&lab), before_search);
    assert_ne!(lab.record()["id"], before_search);
    lab.run(&["verify", "latest", "--stored"]).exits(0).says(before_search.as_str().unwrap());
    lab.run(&["cache", "pin", "latest"]).exits(0);
    assert_eq!(lab.run(&["cache", "pins"]).out.trim(), before_search.as_str().unwrap());
    lab.run(&["runs", "-n", "1"]).exits(0).says("--at HEAD~3");
    // The same question again runs nothing.
    let again = lab.run(&search).exits(0);
    assert!(again.out.lines().filter(|line| line.contains("tasks ran")).all(|line| line.contains("(0 tasks ran,")), "{}", again.out);
    // With a good commit, fewer are looked at; one that is not on the way is refused.
    let narrow = lab.run(&[&search[..], &["--good", "HEAD~70", "--from", "HEAD~50"]].concat()).exits(0).says(&bad);
    assert!(narrow.out.starts_with("20 commits along first parents, at most 6 of them are run\n"), "{}", narrow.out);
    lab.run(&[&search[..], &["--good", "HEAD", "--from", "HEAD~50"]].concat()).exits(4).says("does not lie on the line of commits");
    lab.run(&[&search[..], &["--good", "HEAD"]].concat()).exits(4).says("there is no commit between");
    // At a commit before, the condition does not hold.
    lab.run(&[&search[..], &["--from", "HEAD~100"]].concat()).exits(4).says("does not hold at HEAD~100");
    assert_eq!(lab.files(), before);
}

/// A history of so many commits, made by `at` before each is committed.
fn history(count: usize, at: impl Fn(&Lab, usize)) -> (Lab, Vec<String>) {
    let lab = Lab::new();
    let mut commits = vec![lab.git(&["rev-parse", "HEAD"]).trim().to_owned()];
    for number in 1..count {
        at(&lab, number);
        commits.push(lab.commit(&format!("commit {number}")));
    }
    (lab, commits)
}

#[test]
fn commits_that_can_not_be_decided_are_skipped_and_the_answer_is_a_range() {
    let (lab, commits) = history(12, |lab, number| match number {
        4 => lab.replace("lab.nf", "report lab_report { ", "report lab_report { nothing, "),
        5 => {
            lab.replace("lab.nf", "nothing, ", "");
            lab.git(&["mv", "lab.nf", "old.nf"]);
        }
        6 => {
            lab.git(&["mv", "old.nf", "lab.nf"]);
            lab.replace("lab.nf", ", decoder.direction }", " }");
            lab.write(
                "parts/decoder.nf",
                super::DECODER.replace("direction = ", "orientation = ").replace("{ direction }", "{ orientation }"),
            );
        }
        7 => {
            lab.write("lab.nf", super::PIPELINE.replace("noise = 0.2", "noise = 60.0"));
            lab.write("parts/decoder.nf", super::DECODER);
        }
        _ => {}
    });
    let found = lab.run(&["bisect", "lab.nf", "--bad", CONDITION]).exits(1).says("began to hold with one of 4 commits");
    for (commit, why) in [(4, "the pipeline is wrong: "), (5, "there is no file lab.nf in "), (6, "the condition does not fit: ")] {
        let line = found.out.lines().find(|line| line.starts_with(&commits[commit][..10])).unwrap();
        assert!(line.contains("  skipped  ") && line.contains(why), "{line}");
    }
    for (number, commit) in commits.iter().enumerate().skip(4).take(4) {
        assert!(found.out.contains(&format!("  {} commit {number}\n", &commit[..10])), "{}", found.out);
    }
}

#[test]
fn a_condition_that_holds_from_the_start_or_fits_nothing_is_told() {
    let (lab, commits) = history(3, |_, _| {});
    lab.run(&["bisect", "lab.nf", "--bad", "decoder.direction.accuracy >= 0"])
        .exits(0)
        .says("holds from the first commit on")
        .says("  subject first");
    lab.run(&["bisect", "lab.nf", "--bad", "decoder.direktion.accuracy < 0.5"]).exits(2).says("there is no step").says("--bad");
    lab.run(&["bisect", "lab.nf", "--bad", "decoder.direction.acuracy < 0.5"]).exits(2).says("did you mean `accuracy`");
    lab.run(&["bisect", "lab.nf", "--bad", "1 <"]).exits(2);
    lab.run(&["bisect", "lab.nf", "--bad", "a.b < 1\nreport x { y }"]).exits(2).says("a condition is one line");
    lab.run(&["bisect", "other.nf", "--bad", CONDITION]).exits(4).says("there is no file other.nf in ");
    let shallow = lab.place.path().join("shallow");
    lab.git(&["clone", "-q", "--depth", "2", &format!("file://{}", lab.folder.display()), shallow.to_str().unwrap()]);
    lab.run_in(&shallow, &["bisect", "lab.nf", "--bad", "decoder.direction.accuracy >= 0"])
        .exits(0)
        .says("the oldest commit of this shallow clone")
        .says("git fetch --unshallow")
        .says("2 commits along first parents");
    assert_eq!(commits.len(), 3);
}

#[test]
fn a_merge_is_one_commit_and_a_bare_repository_will_do() {
    let (lab, _) = history(3, |_, _| {});
    lab.git(&["checkout", "-q", "-b", "louder"]);
    lab.write("README.md", "a branch\n");
    lab.commit("on the branch");
    lab.replace("lab.nf", "noise = 0.2", "noise = 60.0");
    lab.commit("louder on the branch");
    lab.git(&["checkout", "-q", "main"]);
    lab.write("other.txt", "x\n");
    lab.commit("meanwhile");
    lab.git(&["merge", "-q", "--no-ff", "-m", "Merge louder", "louder"]);
    lab.write("other.txt", "y\n");
    lab.commit("afterwards");
    let bare = lab.place.path().join("bare.git");
    lab.git(&["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    for folder in [&lab.folder, &bare] {
        let found = lab
            .run_in(folder, &["bisect", "lab.nf", "--bad", CONDITION])
            .exits(0)
            .says("  subject Merge louder")
            .says("also changed: README.md");
        assert!(found.out.starts_with("6 commits along first parents"), "{}", found.out);
    }
}

#[test]
fn data_of_now_are_told_and_a_step_that_fails_is_skipped() {
    let (lab, commits) = history(5, |lab, number| match number {
        1 => {
            lab.write("private/weights.csv", "unit,weight\n1,3\n");
            lab.replace("lab.nf", "data/weights.csv", "private/weights.csv");
        }
        2 => lab.replace("parts/decoder.nf", "folds = 2", "folds = 900"),
        3 => {
            lab.replace("parts/decoder.nf", "folds = 900", "folds = 2");
            lab.replace("lab.nf", "noise = 0.2", "noise = 60.0");
        }
        _ => {}
    });
    let found = lab
        .run(&["bisect", "lab.nf", "--bad", CONDITION])
        .exits(1)
        .says("one of 2 commits")
        .says("note: `weights` is not under version control");
    let line = found.out.lines().find(|line| line.starts_with(&commits[2][..10])).unwrap();
    assert!(line.contains("  skipped  ") && line.contains("folds"), "{line}");
}
