//! Functions, used files and loops through the binary.

use crate::support::Place;

const QUALITY: &str = "pipeline quality\nparam until = 1 s\nparam unused: Text\n\
    fn scaled(raw: Responses) {\n  short = ingest.window(raw, window = 0 s .. param.until)\n  ingest.zscore(short)\n}\n\
    input example = ingest.simulate()\ntrials = ingest.trials(example[\"sim2\"])\ninput missing = csv(\"nowhere.csv\")\nrows = sql(\"select * from m\", m = missing)\n";

const MAIN: &str = "pipeline p\nuse \"common/quality.nf\" as quality with until = 2 s\ninput sessions = ingest.simulate()\n\
    fn direction(raw: Responses) {\n  good = quality.scaled(raw)\n  decode.classify(good, target = \"direction\")\n}\n\
    for mouse in sessions {\n  responses = ingest.trials(sessions[mouse])\n  if mouse != \"sim3\" {\n    scored = direction(responses) with seed = 3\n  }\n}\n\
    other = direction(quality.trials)\nexpect scored[\"sim1\"].accuracy > 0.2\nreport r { scored, other, quality.trials }\n";

#[test]
fn a_pipeline_with_functions_and_a_used_file_runs_and_only_what_is_needed() {
    let place = Place::new();
    place.write("flows/common/quality.nf", QUALITY);
    place.write("flows/p.nf", MAIN);
    place.run(&["check", "flows/p.nf"]).exits(0).says("no mistake found");
    place.run(&["run", "flows/p.nf", "--quiet"]).exits(0);
    let results = place.results();
    let names: Vec<&String> = results.as_object().unwrap().keys().collect();
    for name in ["scored[\"sim1\"]", "scored/good[\"sim2\"]", "scored/good/short[\"sim2\"]", "other", "quality/trials"] {
        assert!(names.iter().any(|known| *known == name), "{name} is not in {names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("sim3") && name.contains("scored") || name.contains("rows")), "{names:?}");
    place.run(&["run", "flows/p.nf"]).exits(0).says("0 tasks ran");
    // Another value in the used file is another question.
    place.write("flows/p.nf", MAIN.replace("2 s", "1500 ms"));
    place.run(&["run", "flows/p.nf", "--quiet"]).exits(0);
    assert_ne!(place.results()["other"], results["other"]);
    place.run(&["graph", "flows/p.nf", "--as", "mermaid"]).exits(0).says("other/good/short").says("quality/trials");
}

#[test]
#[cfg(unix)]
fn a_used_file_never_lies_outside_of_the_folder() {
    let place = Place::new();
    place.write("secret.nf", "pipeline secret\n");
    place.write("flows/p.nf", "pipeline p\nuse \"link.nf\" as link\n");
    std::os::unix::fs::symlink(place.path().join("secret.nf"), place.path().join("flows/link.nf")).unwrap();
    place.run(&["check", "flows/p.nf"]).exits(2).says("leads out of the pipeline's folder");
    place.write("flows/p.nf", "pipeline p\nuse \"folder\" as link\n");
    std::fs::create_dir(place.path().join("flows/folder")).unwrap();
    place.run(&["check", "flows/p.nf"]).exits(2).says("bad-use");
    place.write("flows/bytes.nf", [0xff, 0xfe, 0]);
    place.write("flows/p.nf", "pipeline p\nuse \"bytes.nf\" as link\n");
    place.run(&["check", "flows/p.nf"]).exits(2).says("is not text");
}

#[test]
fn a_pattern_finds_the_files_below_the_folder() {
    let place = Place::new();
    for name in ["data/b.txt", "data/a.txt", "data/.hidden.txt", "data/deep/c.txt", "d.txt"] {
        place.write(&format!("flows/{name}"), "x");
    }
    let flow = |pattern: &str| {
        let text =
            "pipeline p\nfor f in glob(\"PATTERN\") {\n  n = exec(\"echo {{ f }} > {{ out }}\", f = f) -> file(\"n\")\n}\nreport r { n }\n";
        place.write("flows/p.nf", text.replace("PATTERN", pattern));
        place.run(&["run", "flows/p.nf", "--quiet"]).exits(0);
        place.results().as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(flow("data/*.txt"), "n[\"data/a.txt\"] n[\"data/b.txt\"]");
    assert_eq!(flow("**/*.txt"), "n[\"d.txt\"] n[\"data/a.txt\"] n[\"data/b.txt\"] n[\"data/deep/c.txt\"]");
    place.write("flows/p.nf", "pipeline p\nfor f in glob(\"data/*.nwb\") {\n}\n");
    place.run(&["check", "flows/p.nf"]).exits(2).says("no file fits `data/*.nwb`");
}
