//! What is run again and what is not, and how results are taken out.

use crate::support::{Place, SMALL};

#[test]
fn nothing_runs_twice_and_a_changed_parameter_runs_only_what_it_changes() {
    let place = Place::new();
    place.write("small.nf", SMALL);
    place.run(&["run", "small.nf"]).exits(0);
    let first = place.results();
    place.run(&["run", "small.nf"]).exits(0).says("(0 tasks ran,");
    assert_eq!(first, place.results());
    // Names, comments and layout are no part of the question.
    place.write(
        "small.nf",
        SMALL.replace("tuning = ", "# a comment\n  curves   = ").replace("{ direction, tuning }", "{ direction, curves }"),
    );
    place.run(&["run", "small.nf"]).exits(0).says("(0 tasks ran,");
    // Another number of folds: the decoder and its nulls, in three sessions, and nothing else.
    place.write("small.nf", SMALL.replace("folds = 4", "folds = 2"));
    let dry = place.run(&["run", "small.nf", "--dry"]).exits(0);
    assert!(dry.out.contains("direction[\"sim1\"]: would run: folds: 4 → 2"), "{}", dry.out);
    assert!(!dry.out.contains("tuning[\"sim1\"]: would run"), "{}", dry.out);
    place.run(&["explain", "direction[\"sim2\"]", "--file", "small.nf"]).exits(0).says("folds: 4 → 2");
    place.run(&["run", "small.nf"]).exits(0).says("(9 tasks ran,");
    // And back again: everything is still there.
    place.write("small.nf", SMALL);
    place.run(&["run", "small.nf"]).exits(0).says("(0 tasks ran,");
    place.run(&["explain", "direction[\"sim2\"]"]).exits(0).says("its result is in the cache, made by run");
}

#[test]
fn more_draws_compute_only_the_new_ones() {
    let place = Place::new();
    place.write("small.nf", SMALL);
    place.run(&["run", "small.nf"]).exits(0);
    // Ten more draws in three sessions: one batch each, and the joins.
    place.run(&["run", "small.nf", "--set", "draws=20"]).exits(0).says("(6 tasks ran,");
}

#[test]
fn only_what_is_asked_for_runs_and_what_is_asked_for_again_runs_again() {
    let place = Place::new();
    place.write("small.nf", SMALL);
    // Without the results that it needs, a step alone can't run; nothing else runs either.
    place.run(&["run", "small.nf", "--only", "tuning", "--dry"]).exits(0).says("`--only` does not compute it");
    place.run(&["run", "small.nf", "--only", "tuning"]).exits(3).says("its result is not in the cache").says("use `--until` instead");
    // One member and what it needs: its trials and itself.
    let said = place.run(&["run", "small.nf", "--until", "tuning[\"sim1\"]"]).exits(0).says("(2 tasks ran,").says("not written");
    assert!(!said.out.contains("expect") && !place.path().join("reports/small_report.html").exists(), "{}", said.out);
    place.run(&["run", "small.nf", "--until", "responses"]).exits(0).says("(2 tasks ran, 1 cached)");
    place.run(&["run", "small.nf", "--only", "tuning"]).exits(0).says("(2 tasks ran, 4 cached)");
    place.run(&["run", "small.nf"]).exits(0).says("6 cached)").says("holds");
    let whole = place.results();
    // Again, with the same bytes: what follows does not run; from there on, it does.
    place.run(&["run", "small.nf", "--force", "responses", "--dry"]).exits(0).says("responses[\"sim2\"]: would run: it is asked for again");
    place.run(&["run", "small.nf", "--force", "responses"]).exits(0).says("(3 tasks ran,");
    place.run(&["run", "small.nf", "--from", "tuning"]).exits(0).says("(3 tasks ran,");
    place.run(&["run", "small.nf", "--from", "responses[\"sim1\"]"]).exits(0).says("(5 tasks ran,");
    assert_eq!(whole, place.results());
    place.run(&["run", "small.nf", "--until", "tunning"]).exits(4).says("there is no step `tunning`").says("did you mean `tuning`?");
}

#[test]
fn any_result_of_a_run_can_be_taken_out_in_every_format() {
    let place = Place::new();
    place.write("small.nf", SMALL);
    place.run(&["run", "small.nf"]).exits(0);
    for format in ["npy", "csv", "parquet", "arrow", "json"] {
        let file = format!("tuning.{format}");
        place.run(&["get", "tuning[\"sim1\"]", "-o", &file]).exits(0).says("a Tensor");
        assert!(place.path().join(&file).metadata().unwrap().len() > 100);
    }
    let csv = std::fs::read_to_string(place.path().join("tuning.csv")).unwrap();
    assert!(csv.starts_with("unit,condition,value\n") && csv.lines().count() == 1 + 12 * 8, "{csv}");
    place.run(&["get", "direction[\"sim1\"].confusion", "--as", "csv", "-o", "-"]).exits(0).says("true,predicted,value");
    place.run(&["get", "tunning[\"sim1\"]", "-o", "x.csv"]).exits(4).says("did you mean");
    place.run(&["get", "tuning[\"sim1\"].sems", "-o", "x.csv"]).exits(4).says("`sem`");
    place.run(&["get", "tuning[\"sim1\"]", "--run", "2031", "-o", "x.csv"]).exits(4).says("there is no run `2031`");
}

#[test]
fn a_damaged_object_is_found_and_computed_again() {
    let place = Place::new();
    place.write("small.nf", SMALL);
    place.run(&["run", "small.nf"]).exits(0);
    let first = place.results();
    // The largest object, its content replaced at the same length.
    let mut objects = Vec::new();
    for folder in std::fs::read_dir(place.path().join("cache/objects")).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            objects.push((path.metadata().unwrap().len(), path));
        }
    }
    objects.sort();
    for (length, path) in objects.iter().rev().take(3) {
        std::fs::remove_file(path).unwrap();
        std::fs::write(path, vec![0u8; *length as usize]).unwrap();
    }
    place.run(&["cache", "verify"]).exits(3).says("now in quarantine");
    place.run(&["run", "small.nf"]).exits(0);
    assert_eq!(first, place.results());
    place.run(&["cache", "verify"]).exits(0);
    place.run(&["cache", "stats"]).exits(0).says("objects in quarantine");
}

#[test]
fn a_damaged_object_that_a_step_needs_is_computed_again_within_the_run() {
    let place = Place::new();
    place.write("small.nf", SMALL);
    place.run(&["run", "small.nf"]).exits(0);
    let record = place.record();
    let digest = record["results"]["responses[\"sim1\"]"]["responses"][1].as_str().unwrap().to_owned();
    let path = place.path().join("cache/objects").join(&digest[..2]).join(&digest[2..]);
    let length = path.metadata().unwrap().len();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, vec![0u8; length as usize]).unwrap();
    // Another parameter makes the decoder read the responses again.
    place.run(&["run", "small.nf", "--set", "draws=10"]).exits(0);
    place.write("small.nf", SMALL.replace("folds = 4", "folds = 2"));
    place.run(&["run", "small.nf"]).exits(0);
}

#[test]
fn the_cache_can_be_made_small_and_what_is_gone_is_computed_again() {
    let place = Place::new();
    place.write("small.nf", SMALL);
    place.run(&["run", "small.nf"]).exits(0);
    let first = place.results();
    place.run(&["cache", "gc", "--keep", "0B", "--dry-run"]).exits(0).says("would remove");
    place.run(&["cache", "gc", "--keep", "0B"]).exits(0).says("0 B left");
    place.run(&["run", "small.nf"]).exits(0);
    assert_eq!(first, place.results());
    place.run(&["cache", "gc", "--keep", "much"]).exits(4).says("50GB");
}
