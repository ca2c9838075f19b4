//! The main job and its neighbours, as the README says them.

use crate::support::{Place, SMALL, pipeline};

#[test]
fn pipelines_of_the_repository_have_no_mistake_and_are_in_the_style() {
    let place = Place::new();
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines")).unwrap() {
        let path = entry.unwrap().path();
        let path = path.to_str().unwrap();
        place.run(&["check", path]).exits(0).says("no mistake found");
        place.run(&["fmt", "--check", path]).exits(0);
        place.run(&["graph", path]).exits(0).says("<svg");
        place.run(&["graph", "--as", "mermaid", path]).exits(0).says("flowchart LR");
        place.run(&["graph", "--as", "dot", path]).exits(0).says("digraph");
    }
}

#[test]
fn the_planted_truth_is_found() {
    let place = Place::new();
    place.write("truth.nf", pipeline("simulated_truth.nf"));
    let said = place.run(&["run", "truth.nf", "--set", "shuffles=60"]).exits(0);
    assert!(said.out.starts_with("SIMULATED DATA"), "{}", said.out);
    assert_eq!(said.out.matches(": holds").count(), 5, "{}", said.out);
    let page = std::fs::read_to_string(place.path().join("reports/simulated_truth.html")).unwrap();
    assert!(page.contains("Simulated data") && page.contains("simulated: ingest.simulate"));
}

#[test]
fn the_main_job_is_done_on_simulated_sessions_with_every_control() {
    let place = Place::new();
    place.write("mouse_v1.nf", pipeline("mouse_v1.nf"));
    let said = place.run(&["run", "mouse_v1.nf", "--set", "source=simulated", "--set", "shuffles=20"]).exits(0);
    assert_eq!(said.out.matches(": holds").count(), 2, "{}", said.out);
    let page = std::fs::read_to_string(place.path().join("reports/mouse_v1.html")).unwrap();
    for control in ["shuffle", "window", "circular_shift", "random_weights"] {
        assert!(page.contains(control), "{control}");
    }
}

#[test]
fn without_recordings_the_main_job_would_run_on_simulated_sessions_and_says_so_first() {
    let place = Place::new();
    place.write("mouse_v1.nf", pipeline("mouse_v1.nf"));
    let said = place.run(&["run", "mouse_v1.nf", "--dry"]).exits(0);
    assert!(said.out.starts_with("SIMULATED DATA"), "{}", said.out);
    assert!(said.out.contains("passed over: data set `park2024-v1-gratings`") && said.out.contains("it has never run"));
}

#[test]
fn recordings_that_were_asked_for_and_can_not_be_had_are_an_error_with_every_place_tried() {
    let place = Place::new();
    place.write("mouse_v1.nf", pipeline("mouse_v1.nf"));
    let mirror = place.path().join("copies");
    std::fs::create_dir(&mirror).unwrap();
    let output =
        place.command().env("NEUROFLOW_MIRRORS", &mirror).args(["run", "mouse_v1.nf", "--set", "source=park2024"]).output().unwrap();
    let said = crate::support::said(output).exits(4);
    said.says("copies/v1-gratings-calcium/230803_mrcuts24_fov1_grat-000_data.mat: not there")
        .says("bdff7ce60297cc5cdcb46687645f43e80f8d719c/sample-data/glm/230803_mrcuts24_fov1_grat-000_data.mat: not asked");
}

#[test]
fn a_recording_with_a_wrong_byte_is_refused() {
    let place = Place::new();
    place.write("mouse_v1.nf", pipeline("mouse_v1.nf"));
    place.write("copies/230803_mrcuts24_fov1_grat-000_data.mat", vec![7u8; 1_422_998]);
    let output = place
        .command()
        .env("NEUROFLOW_MIRRORS", place.path().join("copies"))
        .args(["data", "get", "park2024-v1-gratings"])
        .output()
        .unwrap();
    crate::support::said(output).exits(4).says("wrong content: SHA-256");
}

#[test]
fn five_real_mice_are_decoded_as_measured_elsewhere() {
    let Some(mirror) = crate::support::shared_data() else { return };
    let place = Place::new();
    // The decoder of the main job, without its slower neighbours.
    let text = r#"pipeline mice
input sessions = dataset("park2024-v1-gratings")
for mouse in sessions {
  responses = ingest.trials(sessions[mouse])
  direction = decode.classify(responses, target = "direction", window = 0 s .. 2 s, model = lda(shrinkage = auto), folds = 8)
    with control = [shuffle("direction", n = 50), window(-1 s .. 0 s)], seed = 7
}
report mice_report { direction }
"#;
    place.write("mice.nf", text);
    let output = place.command().env("NEUROFLOW_MIRRORS", &mirror).args(["run", "mice.nf"]).output().unwrap();
    crate::support::said(output).exits(0);
    let record = place.record();
    for (mouse, expected) in [("mrcuts28", 0.81), ("mrcuts29", 0.39), ("mrcuts30", 0.36), ("mrcuts24", 0.23), ("mrcuts26", 0.07)] {
        let accuracy = record["scores"][format!("direction[\"{mouse}\"]")][0]["value"].as_f64().unwrap();
        assert!((accuracy - expected).abs() <= 0.05, "{mouse}: {accuracy}, measured elsewhere {expected}");
    }
    place.run(&["data", "verify", "park2024-v1-gratings"]).exits(0).says("right");
}

#[test]
fn the_manual_knows_every_stage_and_control() {
    let place = Place::new();
    let stages = place.run(&["stages"]).exits(0).out;
    assert!(stages.lines().count() >= 15, "{stages}");
    for line in stages.lines() {
        let name = line.split_whitespace().next().unwrap();
        place.run(&["doc", name]).exits(0).says("Outputs").says("Version");
    }
    place.run(&["doc", "shuffle"]).exits(0).says("Permutes a column over the trials");
    place.run(&["doc", "decode.clasify"]).exits(4).says("did you mean `decode.classify`?");
}

#[test]
fn the_examples_of_the_manual_run() {
    let place = Place::new();
    for name in ["run.edf", "spikes.txt", "units.csv", "volume.npy", "square.gml"] {
        place.write(name, crate::formats::sample(name));
    }
    let stages = place.run(&["stages"]).exits(0).out;
    let mut examples = 0;
    for line in stages.lines() {
        let name = line.split_whitespace().next().unwrap();
        let page = place.run(&["doc", name]).exits(0).out;
        let Some(example) = page.split("```nf\n").nth(1).and_then(|rest| rest.split("```").next()) else { continue };
        place.write("example.nf", example);
        place.run(&["run", "example.nf", "--quiet"]).exits(0);
        examples += 1;
    }
    assert!(examples >= 30, "{examples} examples");
}

#[test]
fn a_small_pipeline_runs_and_shows_its_scores() {
    let place = Place::new();
    place.write("small.nf", SMALL);
    place.run(&["run", "small.nf"]).exits(0).says("direction[\"sim1\"]: accuracy").says("shuffle null").says("n = 10)").says(": holds");
    place.run(&["runs"]).exits(0).says("small (").says("done");
    place.run(&["show"]).exits(0).says("tasks ran").says("simulated by `ingest.simulate`");
}
