//! Wrong input: one clear message with place and remedy, the right exit code, and nothing lost that was published.

use crate::support::{Place, SMALL, session_file};

fn on_file(reader: &str, file: &str, folds: usize) -> String {
    format!(
        "pipeline p\ninput session = {reader}(\"{file}\")\nresponses = ingest.trials(session)\n\
         tuning = ingest.tuning(responses, by = \"direction\")\n\
         direction = decode.classify(responses, target = \"direction\", window = 0 s .. 2 s, folds = {folds})\nreport r {{ tuning, direction }}\n"
    )
}

#[test]
fn a_missing_pipeline_names_those_that_are_there() {
    let place = Place::new();
    place.write("mouse.nf", SMALL);
    place.run(&["run", "mose.nf"]).exits(4).says("there is no file mose.nf").says("mouse.nf");
}

#[test]
fn a_missing_data_file_is_named_with_its_input() {
    let place = Place::new();
    place.write("p.nf", on_file("mat", "gone.mat", 2));
    place.run(&["run", "p.nf"]).exits(4).says("input `session` can't be had").says("gone.mat: there is no such file");
}

#[test]
fn a_truncated_session_is_told_with_its_place_and_what_was_published_stays() {
    let place = Place::new();
    place.write("s.arrow", session_file(12, false));
    place.write("p.nf", on_file("file", "s.arrow", 2));
    place.run(&["run", "p.nf"]).exits(0);
    let whole = session_file(12, false);
    place.write("s.arrow", &whole[..whole.len() / 2]);
    place.run(&["run", "p.nf"]).exits(3).says("step `responses` failed");
    place.run(&["get", "tuning", "--run", &first_run(&place), "-o", "t.csv"]).exits(0);
    // A file that only begins like a MATLAB file.
    place.write("s.mat", b"MATLAB 5.0 MAT-file, cut off".as_slice());
    place.write("p.nf", on_file("mat", "s.mat", 2));
    place.run(&["run", "p.nf"]).exits(3).says("step `responses` failed");
}

fn first_run(place: &Place) -> String {
    let runs = place.run(&["runs"]).exits(0).out;
    runs.lines().last().unwrap().split_whitespace().next().unwrap().to_owned()
}

#[test]
fn a_gap_in_a_trace_is_told_with_its_place() {
    let place = Place::new();
    place.write("s.arrow", session_file(12, true));
    place.write("p.nf", on_file("file", "s.arrow", 2));
    place.run(&["run", "p.nf"]).exits(3).says("failed").says("not finite");
}

#[test]
fn fewer_trials_than_folds_are_told_in_numbers() {
    let place = Place::new();
    place.write("s.arrow", session_file(6, false));
    place.write("p.nf", on_file("file", "s.arrow", 5) + "expect direction.accuracy > 0.2\n");
    let said = place.run(&["run", "p.nf", "--keep-going"]).exits(3);
    assert!(said.err.contains("step `direction` failed") && said.err.contains('3') && said.err.contains('5'), "{}", said.err);
    said.says("expect direction.accuracy > 0.2: not decided (the run ended before all of `direction` was made)");
    // The other step is done and can be taken out.
    place.run(&["get", "tuning", "-o", "t.npy"]).exits(0);
}

#[test]
fn every_mistake_of_a_pipeline_is_told_at_once_with_place_and_remedy() {
    let place = Place::new();
    let text = "pipeline p\ninput s = ingest.simulate()\nr = ingest.trials(s[\"sim1\"])\n\
                a = decode.clasify(r, target = \"direction\")\n\
                b = decode.classify(r, target = \"direction\", window = 0 s .. 2 Hz)\n\
                c = decode.classify(r, target = \"direction\", folds = 1)\n\
                d = decode.classify(r, foldz = 3)\nreport r1 { b, c, d, e }\n";
    place.write("p.nf", text);
    let said = place.run(&["check", "p.nf"]).exits(2);
    for part in [
        "error[unknown-stage]",
        "did you mean `decode.classify`?",
        "error[unit-mismatch]",
        "p.nf:5:",
        "did you mean `2 s`?",
        "1 is outside",
        "error[unknown-parameter]",
        "did you mean `folds`?",
        "error[missing-parameter]",
        "there is no step `e` to report",
    ] {
        assert!(said.err.contains(part), "`{part}` is not in\n{}", said.err);
    }
    let json: serde_json::Value = serde_json::from_str(&place.run(&["check", "p.nf", "--format", "json"]).exits(2).out).unwrap();
    assert!(json.as_array().unwrap().iter().any(|one| one["code"] == "unit-mismatch" && one["line"] == 5));
}

#[test]
fn a_cycle_is_shown_as_a_path() {
    let place = Place::new();
    let text =
        "pipeline p\ninput s = ingest.simulate()\na = ingest.zscore(c)\nb = ingest.zscore(a)\nc = ingest.zscore(b)\nreport r { a }\n";
    place.write("p.nf", text);
    place.run(&["run", "p.nf"]).exits(2).says("error[cycle]").says(" → ");
}

#[test]
fn a_setting_that_does_not_fit_names_the_flag() {
    let place = Place::new();
    place.write("small.nf", SMALL);
    place.run(&["run", "small.nf", "--set", "draws=many"]).exits(2).says("--set draws=many");
    place.run(&["run", "small.nf", "--set", "drows=5"]).exits(2).says("did you mean `draws`?");
    place.run(&["run", "small.nf", "--set", "draws"]).exits(4).says("--set name=value");
}

#[test]
fn a_cache_that_can_not_be_used_is_told_before_anything_runs() {
    let place = Place::new();
    place.write("small.nf", SMALL);
    place.write("cache", "a file, not a folder");
    place.run(&["run", "small.nf"]).exits(4).says("the cache can't be used");
}

#[test]
fn an_expectation_that_does_not_hold_fails_the_run_with_its_numbers() {
    let place = Place::new();
    place.write("small.nf", SMALL.replace(">= 0 ", "> 1 "));
    place.run(&["run", "small.nf"]).exits(1).says("does not hold").says("direction[\"sim1\"].accuracy = ").says("a share");
}

#[test]
fn a_strange_file_is_refused_and_not_a_panic() {
    let place = Place::new();
    place.write("binary.nf", [0xff, 0xfe, 0x00, 0x01]);
    place.run(&["check", "binary.nf"]).exits(4).says("is not text");
    place.write("deep.nf", format!("pipeline p\nx = {}", "(".repeat(50_000)));
    place.run(&["check", "deep.nf"]).exits(2).says("nested");
    place.write("empty.nf", "");
    place.run(&["check", "empty.nf"]).exits(2).says("error[no-pipeline]");
}

#[test]
#[cfg(unix)]
fn a_reader_that_has_seen_enough_is_no_mistake() {
    let place = Place::new();
    for command in [&["stages"][..], &["explain", "unit-mismatch"][..], &["doc", "decode.classify"][..]] {
        let mut child =
            place.command().args(command).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let said = crate::support::said(child.wait_with_output().unwrap());
        assert!(!said.err.contains("mistake in neuroflow"), "{}", said.err);
    }
}

#[test]
fn a_family_is_told_as_such_where_one_result_is_wanted() {
    let place = Place::new();
    place.write("small.nf", SMALL);
    place.run(&["run", "small.nf"]).exits(0);
    place.run(&["get", "tuning", "-o", "t.csv"]).exits(4).says("is a family of steps").says("tuning[\"sim1\"]");
    // All draws of a member are one line.
    let said = place.run(&["explain", "direction"]).exits(0);
    assert_eq!(said.out.lines().count(), 9, "{}", said.out);
}
