//! What can be asked about runs that were: `diff`, `log`, `compare`, `cite`, `export`.

use crate::support::{Place, Said};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

const PIPELINE: &str = r#"pipeline small "A small one"

param draws = 10
param half  = 250 ms

input sessions = ingest.simulate(trials_per_direction = 8, units = [12, 10, 10], communities = 2)
input units    = csv("units.csv")
input more     = csv("more.csv")

responses = ingest.trials(sessions["sim1"])
early     = ingest.window(responses, window = 0 s .. param.half)
direction = decode.classify(early, target = "direction", folds = 4)
  with control = shuffle("direction", n = param.draws), seed = 1
tuned = ingest.tuning(responses, by = "direction")
areas = sql("select area, count(*) as n from units group by area order by area", units = units)
lines = exec("sh count.sh {{ more }} > {{ out }}", more = more) -> file("n.txt")

expect min(direction.accuracy) >= 0   "a share"

report small_report { direction, areas, tuned, lines }
"#;

fn project() -> Place {
    let place = Place::of_a_person();
    place.write("small.nf", PIPELINE);
    place.write("units.csv", "unit,area\n1,V1\n2,LM\n3,V1\n");
    place.write("more.csv", "a\n1\n2\n");
    place.write("count.sh", "wc -l < \"$1\"\n");
    place
}

fn run(place: &Place) -> String {
    place.run(&["run", "--quiet", "small.nf"]).exits(0);
    place.record()["id"].as_str().unwrap().to_owned()
}

fn git(place: &Place, arguments: &[&str]) -> String {
    place.git(place.path(), arguments)
}

/// What `diff` names as causes: step and line.
fn causes(place: &Place, before: &str, after: &str) -> Vec<(String, String)> {
    let said = place.run(&["diff", before, after, "--json"]).exits(0);
    let told: Value = serde_json::from_str(&said.out).unwrap();
    let mut found = Vec::new();
    for step in told["difference"]["steps"].as_array().unwrap() {
        let name = step["step"].as_str().unwrap().to_owned();
        if let Some(fate) = step["fate"].as_str().filter(|fate| *fate != "changed") {
            found.push((name.clone(), fate.to_owned()));
        }
        if let Some(from) = step["fate"]["renamed"]["from"].as_str() {
            found.push((name.clone(), format!("renamed {from}")));
        }
        found.extend(step["causes"].as_array().unwrap().iter().map(|cause| (name.clone(), cause.as_str().unwrap().to_owned())));
    }
    found
}

/// A change that is planted: its name, what is changed, and what `diff` must name, nothing more and nothing less.
type Planted = (&'static str, fn(&Place), &'static [(&'static str, &'static str)]);

fn edit(place: &Place, old: &str, new: &str) {
    assert!(PIPELINE.contains(old), "{old}");
    place.write("small.nf", PIPELINE.replacen(old, new, 1));
}

const PLANTED: [Planted; 30] = [
    ("a parameter of a stage", |p| edit(p, "folds = 4", "folds = 5"), &[("direction", "folds: 4 → 5")]),
    ("a parameter with a unit", |p| edit(p, "half  = 250 ms", "half  = 500 ms"), &[("early", "window: 0 s .. 250 ms → 0 s .. 500 ms")]),
    ("the same time in another unit", |p| edit(p, "half  = 250 ms", "half  = 0.25 s"), &[]),
    ("a word", |p| edit(p, "folds = 4)", "folds = 4, scale = zscore)"), &[("direction", "scale: none → zscore")]),
    ("a model", |p| edit(p, "folds = 4)", "folds = 4, model = bayes)"), &[("direction", "model: lda → bayes")]),
    ("a default written out", |p| edit(p, "folds = 4)", "folds = 4, scale = none)"), &[]),
    ("the seed", |p| edit(p, "seed = 1", "seed = 2"), &[("direction", "seed: 1 → 2")]),
    ("a byte of data", |p| drop(p.write("units.csv", "unit,area\n1,V1\n2,LM\n3,V2\n")), &[("areas", "input units: other bytes")]),
    ("a byte of other data", |p| drop(p.write("more.csv", "a\n1\n3\n")), &[("lines", "input more: other bytes")]),
    (
        "a simulated input",
        |p| edit(p, "trials_per_direction = 8", "trials_per_direction = 9"),
        &[("responses", "input sessions[\"sim1\"]: other bytes")],
    ),
    (
        "a member",
        |p| edit(p, "[\"sim1\"]", "[\"sim2\"]"),
        &[("responses", "its `session`: input sessions[\"sim1\"] → input sessions[\"sim2\"]")],
    ),
    ("a script", |p| drop(p.write("count.sh", "wc -c < \"$1\"\n")), &[("lines", "script count.sh: other bytes")]),
    ("a comment of a script", |p| drop(p.write("count.sh", "# lines\nwc -l < \"$1\"\n")), &[("lines", "script count.sh: other bytes")]),
    (
        "a program",
        |p| edit(p, "sh count.sh {{ more }}", "sh count.sh  {{ more }}"),
        &[("lines", "command: sh count.sh {{ more }} > {{ out }} → sh count.sh  {{ more }} > {{ out }}")],
    ),
    ("the file of a program", |p| edit(p, "file(\"n.txt\")", "file(\"m.txt\")"), &[("lines", "file: n.txt → m.txt")]),
    (
        "a query",
        |p| edit(p, "count(*) as n", "count(*) as m"),
        &[(
            "areas",
            "query: \"select area, count(*) as n from units group by area order by area\" → \"select area, count(*) as m from units group by area order by area\"",
        )],
    ),
    (
        "the order of two steps",
        |p| {
            let tuned = "tuned = ingest.tuning(responses, by = \"direction\")\n";
            let moved = PIPELINE.replace(tuned, "").replace("early     =", &format!("{tuned}early     ="));
            drop(p.write("small.nf", moved));
        },
        &[],
    ),
    ("the order of two arguments", |p| edit(p, "target = \"direction\", folds = 4", "folds = 4, target = \"direction\""), &[]),
    ("a comment", |p| edit(p, "tuned =", "# how each unit is tuned\ntuned ="), &[]),
    ("the style", |p| edit(p, "early     = ingest.window(responses, window", "early = ingest.window(responses,\n  window"), &[]),
    ("a title", |p| edit(p, "A small one", "A smaller one"), &[]),
    ("an expectation", |p| edit(p, ">= 0 ", ">= 0.01 "), &[]),
    ("a report", |p| edit(p, "{ direction, areas", "{ areas"), &[]),
    ("a new step", |p| edit(p, "tuned =", "late = ingest.window(responses, window = 500 ms .. 900 ms)\ntuned ="), &[("late", "added")]),
    (
        "a step that is gone",
        |p| {
            let without = PIPELINE.replace("tuned = ingest.tuning(responses, by = \"direction\")\n", "").replace(", tuned", "");
            drop(p.write("small.nf", without));
        },
        &[("tuned", "removed")],
    ),
    ("another name", |p| drop(p.write("small.nf", PIPELINE.replace("tuned", "curves"))), &[("curves", "renamed tuned")]),
    ("another name in the middle", |p| drop(p.write("small.nf", PIPELINE.replace("early", "onset"))), &[("onset", "renamed early")]),
    ("more draws", |p| edit(p, "draws = 10", "draws = 12"), &[("direction", "null draws: 10 → 12")]),
    (
        "another control",
        |p| edit(p, "shuffle(\"direction\", n = param.draws)", "circular_shift(n = param.draws)"),
        &[("direction", "control: shuffle(column = \"direction\") → circular_shift(min = 10 %)")],
    ),
    (
        "no control",
        |p| edit(p, "with control = shuffle(\"direction\", n = param.draws), seed = 1", "with seed = 1"),
        &[("direction", "it has no controls any more")],
    ),
];

#[test]
fn diff_names_exactly_what_was_changed() {
    let place = project();
    let first = run(&place);
    let mut wrong = Vec::new();
    for (name, change, expected) in PLANTED {
        change(&place);
        let second = run(&place);
        let found = causes(&place, &first, &second);
        let expected: Vec<(String, String)> = expected.iter().map(|(step, cause)| ((*step).to_owned(), (*cause).to_owned())).collect();
        if found != expected {
            wrong.push(format!("{name}: {found:?} instead of {expected:?}"));
        }
        // The same, before anything is run: against the pipeline as it is now.
        let foreseen = causes(&place, &first, ".");
        if foreseen != expected {
            wrong.push(format!("{name}, foreseen: {foreseen:?} instead of {expected:?}"));
        }
        place.write("small.nf", PIPELINE);
        place.write("units.csv", "unit,area\n1,V1\n2,LM\n3,V1\n");
        place.write("more.csv", "a\n1\n2\n");
        place.write("count.sh", "wc -l < \"$1\"\n");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What follows stands behind its cause, and scores are weighed.
    edit(&place, "half  = 250 ms", "half  = 750 ms");
    let said = place.run(&["diff", &first, "."]).exits(0).says("direction  follows early\n").says("3 of 3 scores can move");
    assert!(!said.out.contains("gone"), "{}", said.out);
    edit(&place, "half  = 250 ms", "half  = 500 ms");
    let second = run(&place);
    let said = place.run(&["diff", &first, &second]).exits(0);
    let said =
        said.says("early      window: 0 s .. 250 ms → 0 s .. 500 ms\n").says("direction  follows early\n").says("direction.accuracy");
    said.says("what resampling explains").says("-param half  = 250 ms\n+param half  = 500 ms\n");
    place.run(&["diff", &first, &second, "--html", "diff.html"]).exits(0).says("what differs: diff.html");
    let page = std::fs::read_to_string(place.path().join("diff.html")).unwrap();
    for word in ["<th scope=\"row\">early</th>", "direction.confusion", "<figcaption>before</figcaption><svg", "default-src 'none'"] {
        assert!(page.contains(word), "{word} is not in\n{page}");
    }
    assert_eq!(page.matches("<svg").count() % 2, 0);
    place.run(&["diff", &first, &first]).exits(0).says("every step computes the same").says("scores are as before");
}

/// A repository with a commit and a run for each number of folds.
fn history() -> (Place, Vec<String>) {
    let place = project();
    place.write(".gitignore", "cache/\nreports/\nconfig/\nhome/\n");
    git(&place, &["init", "-q", "-b", "main", "."]);
    let mut commits = Vec::new();
    for folds in [4, 5, 6] {
        place.write("small.nf", PIPELINE.replace("folds = 4", &format!("folds = {folds}")));
        git(&place, &["add", "."]);
        git(&place, &["commit", "-q", "-m", &format!("{folds} folds")]);
        commits.push(git(&place, &["rev-parse", "HEAD"]).trim().to_owned());
        run(&place);
    }
    (place, commits)
}

#[test]
fn the_history_of_a_score_is_told_by_commit() {
    let (place, commits) = history();
    let said = place.run(&["log", "direction"]).exits(0);
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines.len(), 4, "{}", said.out);
    assert!(lines[0].starts_with("small: direction.accuracy   ") && lines[0].chars().any(|bar| "▁▂▃▄▅▆▇█".contains(bar)), "{}", said.out);
    for (line, (commit, folds)) in lines[1..].iter().zip(commits.iter().zip([4, 5, 6]).rev()) {
        assert!(
            line.contains(&commit[..10]) && line.contains("Ada Test") && line.ends_with(&format!("{folds} folds")) && line.contains("p = "),
            "{line}"
        );
    }
    assert!(!said.out.contains("example.org"), "an address is nobody's business: {}", said.out);
    place.run(&["log", "direction.kappa", "-n", "1"]).exits(0).says("small: direction.kappa").says("and 2 earlier");
    place.run(&["log", "directon"]).exits(4).says("did you mean `direction`?");
    // A run of the same commit again is no further line, and one from a changed tree is marked.
    run(&place);
    assert_eq!(place.run(&["log", "direction"]).exits(0).out.lines().count(), 4);
    edit(&place, "folds = 4", "folds = 3");
    run(&place);
    place.run(&["log", "direction"]).exits(0).says(&format!("{}+", &commits[2][..10]));
}

#[test]
fn revisions_are_compared_by_their_runs_and_by_their_plans() {
    let (place, commits) = history();
    assert_eq!(causes(&place, "HEAD~2", "HEAD"), [("direction".to_owned(), "folds: 4 → 6".to_owned())]);
    place.run(&["diff", "HEAD~1", "main"]).exits(0).says(&format!("commit {}", &commits[1][..10])).says("folds: 5 → 6");
    // One that did not run is planned.
    place.write("small.nf", PIPELINE.replace("folds = 4", "folds = 7"));
    git(&place, &["commit", "-q", "-a", "-m", "7 folds"]);
    place.run(&["diff", "HEAD~1", "HEAD", "--pipeline", "small.nf"]).exits(0).says("which did not run").says("folds: 6 → 7");
    // Of a run of some steps nothing is said about the others.
    let whole = run(&place);
    place.run(&["run", "--quiet", "--only", "early", "small.nf"]);
    let said = place.run(&["diff", &whole, "latest"]).exits(0).says("were not asked for in the second run");
    assert!(!said.out.contains("added") && !said.out.contains("removed"), "{}", said.out);
    place.run(&["diff", "nothing", "HEAD"]).exits(4).says("no run, and no revision");
    // What a program is locked to.
    let lock = |version: &str| format!("numpy=={version} --hash=sha256:{}\n", "ab".repeat(32));
    let locked = "pipeline locked\ninput units = csv(\"units.csv\")\n\
                  made = exec(\"wc -l < {{ units }} > {{ out }}\", units = units) -> file(\"n.txt\") with env = \"requirements.txt\"\nreport r { made }\n";
    place.write("locked.nf", locked);
    place.write("requirements.txt", lock("2.0.0"));
    git(&place, &["add", "."]);
    git(&place, &["commit", "-q", "-m", "a program"]);
    place.write("requirements.txt", lock("2.0.1"));
    let said = place.run(&["diff", "HEAD", ".", "--pipeline", "locked.nf"]).exits(0);
    said.says("made  environment requirements.txt: other bytes\n").says("which did not run");
}

#[test]
fn scores_become_a_table() {
    let (place, commits) = history();
    let said = place.run(&["compare", &commits[0], &commits[2], "--as", "markdown"]).exits(0);
    assert!(
        said.out.starts_with(&format!("| score | {} | {} |\n|---|---|---|\n| direction.accuracy | ", &commits[0][..10], &commits[2][..10])),
        "{}",
        said.out
    );
    let csv = place.run(&["compare", "HEAD~2", "HEAD", "--as", "csv", "--metric", "accuracy", "--metric", "kappa"]).exits(0).out;
    assert_eq!((csv.lines().count(), csv.lines().next().unwrap().split(',').count()), (5, 14), "{csv}");
    place.run(&["compare", "latest", "--as", "latex", "--out", "table.tex"]).exits(0);
    let tex = std::fs::read_to_string(place.path().join("table.tex")).unwrap();
    assert!(tex.contains("\\toprule") && tex.contains("direction.accuracy &"), "{tex}");
    place.run(&["compare", "latest", "--step", "nothing"]).exits(4).says("no score of these runs fits");
}

#[test]
fn a_run_says_what_to_cite() {
    let place = project();
    run(&place);
    let bib = place.run(&["cite"]).exits(0).out;
    for word in [
        "@software{neuroflow",
        "@article{ledoit2004",
        "@article{phipson2010",
        "doi = {10.1016/S0047-259X(03)00096-4}",
        "step lines: the program",
    ] {
        assert!(bib.contains(word), "{word} is not in\n{bib}");
    }
    assert!(!bib.contains("sbm") && !bib.contains("peixoto"), "{bib}");
    assert_eq!(bib.matches('{').count(), bib.matches('}').count());
    let cff = place.run(&["cite", "--as", "cff"]).exits(0).out;
    assert!(cff.starts_with("cff-version: 1.2.0\n") && cff.contains("family-names: \"Ledoit\""), "{cff}");
}

/// Everything of a crate that its description names, by identifier.
fn entities(folder: &Path) -> BTreeMap<String, Value> {
    let text = std::fs::read_to_string(folder.join("ro-crate-metadata.json")).unwrap();
    let crated: Value = serde_json::from_str(&text).unwrap();
    let graph = crated["@graph"].as_array().unwrap();
    let all: BTreeMap<String, Value> = graph.iter().map(|entity| (entity["@id"].as_str().unwrap().to_owned(), entity.clone())).collect();
    assert_eq!(all.len(), graph.len(), "an identifier stands twice");
    all
}

fn exported(place: &Place, more: &[&str]) -> Said {
    place.run(&[&["export", "latest", "--out", "crate"], more].concat())
}

#[test]
fn a_run_is_exported_whole_and_made_again_elsewhere() {
    let (place, commits) = history();
    exported(&place, &["--bundle"]).exits(0).says("as an RO-Crate");
    exported(&place, &[]).exits(4).says("not empty");
    let folder = place.path().join("crate");
    let all = entities(&folder);
    let own = place.path().to_str().unwrap();
    for (id, entity) in &all {
        let text = entity.to_string();
        assert!(!text.contains(own) && !text.contains("example.org"), "{id} tells of this machine: {text}");
        // Whatever is named is described or lies elsewhere, and a file that is described is there.
        let is_file = entity["@type"] == "File" || entity["@type"].as_array().is_some_and(|types| types.iter().any(|one| one == "File"));
        if is_file && !id.starts_with("https://") {
            assert!(folder.join(id).is_file(), "{id} is not there");
        }
        let mut open = vec![entity];
        while let Some(value) = open.pop() {
            match value {
                Value::Object(fields) if fields.len() == 1 && fields.contains_key("@id") => {
                    let named = fields["@id"].as_str().unwrap();
                    assert!(all.contains_key(named) || named.starts_with("https://"), "{id} names {named}, which nobody describes");
                }
                Value::Object(fields) => open.extend(fields.values()),
                Value::Array(list) => open.extend(list),
                _ => {}
            }
        }
    }
    assert_eq!(all["small.nf"]["version"], commits[2]);
    assert!(all["small.nf"]["author"]["@id"].as_str().unwrap().starts_with("#person-Ada-Test-"));
    assert!(all.values().any(|entity| entity["@type"] == "Person" && entity["name"] == "Ada Test"));
    assert!(all["#task-direction"]["description"].as_str().unwrap().contains("folds = 6"));
    let run: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("run.json")).unwrap()).unwrap();
    assert!(!run.to_string().contains(own) && run["command"] == Value::Array(Vec::new()), "{run}");
    let prov: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("prov.jsonld")).unwrap()).unwrap();
    assert!(prov["@graph"].as_array().unwrap().iter().any(|entity| entity["rdfs:label"] == "direction.scores"));

    // On another machine, without the repository, the data or a network.
    let other = Place::new();
    std::fs::copy(folder.join("cache.tar"), other.path().join("cache.tar")).unwrap();
    other.run(&["cache", "import", "cache.tar"]).exits(0);
    let id = run["id"].as_str().unwrap();
    other.run(&["--offline", "verify", id]).exits(0);
    let show = |place: &Place, id: &str| -> Value { serde_json::from_str(&place.run(&["show", id, "--json"]).exits(0).out).unwrap() };
    other.run(&["--offline", "run", "--at", id, "--quiet"]).exits(0);
    assert_eq!(show(&other, "latest")["results"], show(&place, id)["results"]);
}

/// The community's validator of RO-Crates, from the package index; said when it can't be had.
#[test]
fn the_validator_of_the_community_finds_nothing() {
    let Some(bin) = crate::support::python("ro-crate", &["roc-validator==0.13.0", "rocrate==0.14.2"]) else { return };
    let (place, _) = history();
    exported(&place, &[]).exits(0);
    let profiles = ["ro-crate-1.1", "process-run-crate-0.5", "workflow-run-crate-0.5", "provenance-run-crate-0.5", "workflow-ro-crate-1.0"];
    let validate = || {
        let mut command = Command::new(bin.join("python"));
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ro_crate.py")).arg("crate").args(profiles).current_dir(place.path());
        crate::support::said(command.output().unwrap())
    };
    let said = validate().exits(0);
    assert_eq!(said.out.matches(": 0 issues").count(), profiles.len(), "{}", said.out);
    // Every name in the crate is a term of the contexts.
    assert_eq!(said.out.matches("no term").count(), 0, "{}", said.out);
    // It looks: a crate without its main workflow is refused.
    let path = place.path().join("crate/ro-crate-metadata.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("\"mainEntity\"", "\"comment\"", 1)).unwrap();
    validate().exits(3).says("mainEntity");
}

#[test]
fn a_page_of_another_run_is_not_packed_as_the_runs_own() {
    let place = project();
    run(&place);
    let page = place.path().join("reports/small_report.html");
    std::fs::write(&page, std::fs::read_to_string(&page).unwrap() + "<!-- another run's -->").unwrap();
    exported(&place, &[]).exits(0).says("without the report small_report");
    assert!(!place.path().join("crate/reports").exists());
    let record = std::fs::read_to_string(place.path().join("crate/run.json")).unwrap();
    assert!(!record.contains(place.path().to_str().unwrap()), "{record}");
}

#[test]
fn a_clone_knows_the_runs_that_were_kept() {
    let (place, commits) = history();
    place.run(&["keep", "HEAD~2", "--tag", "paper", "--note", "as submitted"]).exits(0).says("git add runs/paper.json").says("pinned");
    place.run(&["keep", "latest", "--tag", "paper"]).exits(4).says("keeps another run already");
    place.run(&["keep", "latest", "--tag", "../paper"]).exits(4).says("can't be the name");
    let text = std::fs::read_to_string(place.path().join("runs/paper.json")).unwrap();
    assert!(text.len() < 20_000 && !text.contains(place.path().to_str().unwrap()) && !text.contains("example.org"), "{text}");
    // Where the cache has the run, the text is held to its record.
    place.run(&["verify", "paper", "--stored"]).exits(0).says("runs/paper.json: says what the record says");
    place.write("runs/paper.json", text.replacen("\"n\": ", "\"n\": 1", 1));
    place.run(&["verify", "paper", "--stored"]).exits(1).says("says something else than the record");
    place.write("runs/paper.json", &text);
    // The same run again gives the same bytes.
    place.run(&["keep", "paper", "--tag", "paper", "--note", "as submitted"]).exits(0);
    assert_eq!(std::fs::read_to_string(place.path().join("runs/paper.json")).unwrap(), text);
    git(&place, &["add", "runs"]);
    git(&place, &["commit", "-q", "-m", "keep the run of the paper"]);

    let clone = Place::of_a_person();
    git(&clone, &["init", "-q", "-b", "main", "."]);
    git(&clone, &["pull", "-q", place.path().to_str().unwrap(), "main"]);
    clone.run(&["keep", "--list"]).exits(0).says("paper  ").says("as submitted");
    let said = clone.run(&["log", "direction"]).exits(0);
    assert!(said.out.contains(&commits[0][..10]) && said.out.contains("p = "), "{}", said.out);
    clone
        .run(&["show", "paper"])
        .exits(0)
        .says("kept as paper: as submitted")
        .says("`neuroflow run --at paper`")
        .says("direction: accuracy");
    let shown: Value = serde_json::from_str(&clone.run(&["show", "paper", "--json"]).exits(0).out).unwrap();
    assert!(shown["tasks"].is_null() && shown["results"]["direction"].is_object(), "{shown}");
    assert!(shown["scores"]["direction"][0]["value"].is_f64(), "{shown}");
    // What its steps gave is known by digest: it is computed again and compared, and is got once something made it.
    clone
        .run(&["get", "direction", "--run", "paper", "--out", "direction.csv"])
        .exits(4)
        .says("is not in this cache")
        .says("`neuroflow run --at paper`");
    clone.run(&["verify", "paper"]).exits(0).says("kept as paper").says("same bytes").says("the run is what was recorded");
    clone.run(&["verify", "paper", "--stored"]).exits(4).says("nothing of run").says("without `--stored`");
    clone.run(&["cite", "paper"]).exits(0).says("@article{").says("step lines: the program `sh count.sh");
    run(&clone);
    clone.run(&["diff", "paper", "latest"]).exits(0).says("whose tasks are not in this cache").says("direction.accuracy");
    clone.run(&["compare", "paper", "latest"]).exits(0).says("direction.accuracy");
    // Which pipeline `.` means is known from the other side, also when that was kept.
    clone.run(&["diff", "paper", "."]).exits(0).says("as it is now");
    // A score that somebody changed is found, and so is one whose results were kept by nobody.
    let kept = clone.path().join("runs/paper.json");
    let mut changed: Value = serde_json::from_str(&text).unwrap();
    let value = &mut changed["run"]["scores"]["direction"][0]["value"];
    *value = serde_json::json!(value.as_f64().unwrap() / 2.0);
    std::fs::write(&kept, changed.to_string()).unwrap();
    clone.run(&["verify", "paper"]).exits(1).says("direction: scores: by 5.00e-1 at accuracy.value").says("is not what was recorded");
    let tampered = |change: &dyn Fn(&mut Value)| {
        let mut text: Value = serde_json::from_str(&text).unwrap();
        change(&mut text);
        std::fs::write(&kept, text.to_string()).unwrap();
        clone.run(&["verify", "paper"])
    };
    let without =
        |text: &mut Value, part: &str| drop(text.pointer_mut(part).unwrap().as_object_mut().unwrap().remove("direction").unwrap());
    let step_gone = |text: &mut Value| {
        without(text, "/run/scores");
        without(text, "/results");
    };
    tampered(&step_gone).exits(1).says("direction: scores: there are none in what is kept");
    tampered(&|text| text["run"]["expects"][0]["holds"] = false.into()).exits(1).says("does not hold in what is kept");
    tampered(&|text| text["run"]["id"] = "../../evil".into()).exits(4).says("none of a run");
    let mut old: Value = serde_json::from_str(&text).unwrap();
    for field in ["results", "methods", "programs"] {
        old.as_object_mut().unwrap().remove(field).unwrap();
    }
    std::fs::write(&kept, old.to_string()).unwrap();
    clone.run(&["verify", "paper"]).exits(0).says("direction");
    clone.run(&["cite", "paper"]).exits(4).says("`neuroflow run --at paper`");
    clone.run(&["get", "direction", "--run", "paper", "--out", "direction.csv"]).exits(4).says("by its scores alone");
    std::fs::write(&kept, &text).unwrap();
    // It is run again from the commit that it was made at, and its data are held to what they were.
    clone.run(&["run", "--at", "paper", "other.nf"]).exits(4).says("is of small.nf, not of other.nf");
    clone.run(&["run", "--at", "paper"]).exits(0).says(&format!("at paper: commit {}", commits[0]));
    let of = |place: &Place, run: &str| -> Value {
        serde_json::from_str::<Value>(&place.run(&["show", run, "--json"]).exits(0).out).unwrap()["results"].clone()
    };
    assert_eq!(of(&clone, "newest"), of(&place, "paper"));
    assert_eq!(of(&clone, "paper"), of(&place, "paper"));
    clone.run(&["get", "direction", "--run", "paper", "--out", "direction.csv"]).exits(0);
    // Data that changed since are not taken for those of then.
    let kept_data = clone.write("units.csv", "unit,area\n1,V1\n");
    std::fs::remove_dir_all(clone.path().join("cache")).unwrap();
    clone.run(&["run", "--at", "paper"]).exits(0);
    assert_eq!(of(&clone, "newest"), of(&place, "paper"), "the commit still has them");
    git(&clone, &["checkout", "-q", "--", kept_data.to_str().unwrap()]);
    // A file that somebody damaged is told of, and the others are still read.
    clone.write("runs/broken.json", "{");
    clone.run(&["log", "direction"]).exits(0).says("broken.json is no run that was kept");
}

#[test]
fn a_revision_stands_for_the_run_of_its_pipeline_as_it_is() {
    let place = project();
    git(&place, &["init", "-q", "-b", "main", "."]);
    git(&place, &["add", "."]);
    git(&place, &["commit", "-q", "-m", "begin"]);
    let whole = run(&place);
    place.run(&["run", "small.nf", "--quiet", "--set", "draws=5"]).exits(0);
    place.run(&["run", "small.nf", "--quiet", "--until", "responses"]).exits(0);
    place.run(&["run", "small.nf", "--quiet", "--controls", "off"]).exits(0);
    let said = place.run(&["show", "main", "--json"]).exits(0);
    assert!(said.out.contains(&whole), "{}", said.out);
    // One commit twice: columns by the words that were given.
    place.run(&["keep", "newest", "--tag", "bare"]).exits(0);
    let said = place.run(&["compare", "main", "bare", "--as", "csv", "--step", "direction"]).exits(0);
    let columns: Vec<&str> = said.out.lines().skip(1).filter_map(|line| line.split(',').nth(1)).collect();
    assert!(columns.len() == 2 && columns[0].starts_with("main (") && columns[1].starts_with("bare ("), "{}", said.out);
    // After many other runs it is still known.
    for number in 0..35 {
        place.write(
            "other.nf",
            format!("pipeline other \"O\"\nparam n = {number}\ninput units = file(\"units.csv\")\nt = ingest.table(units)\n"),
        );
        place.run(&["run", "other.nf", "--quiet"]).exits(0);
    }
    let said = place.run(&["show", "main", "--json"]).exits(0);
    assert!(said.out.contains(&whole), "{}", said.out);
    // Of several pipelines none stands for it.
    git(&place, &["add", "other.nf", "runs"]);
    git(&place, &["commit", "-q", "-m", "two pipelines"]);
    run(&place);
    place.run(&["run", "other.nf", "--quiet"]).exits(0);
    place.run(&["show", "main"]).exits(4).says("several pipelines ran at `main`").says("of other.nf").says("of small.nf");
}

#[test]
fn the_latest_run_is_one_of_this_project() {
    let (one, other) = (project(), project());
    let cache = one.path().join("cache");
    let shared = |place: &Place, arguments: &[&str]| {
        crate::support::said(place.command().env("NEUROFLOW_CACHE", &cache).args(arguments).output().unwrap())
    };
    for place in [&one, &other] {
        git(place, &["init", "-q", "-b", "main", "."]);
    }
    shared(&one, &["run", "--quiet", "small.nf"]).exits(0);
    shared(&other, &["show"]).exits(4).says("no run of the working tree of this project");
    shared(&other, &["show", "newest"]).exits(0);
    shared(&other, &["run", "--quiet", "small.nf"]).exits(0);
    let id = |place: &Place| serde_json::from_str::<Value>(&shared(place, &["show", "--json"]).exits(0).out).unwrap()["id"].clone();
    assert_ne!(id(&one), id(&other));
    let record = shared(&one, &["show", "--json"]).exits(0).out;
    assert!(!record.contains(one.path().to_str().unwrap()), "{record}");
}

#[test]
fn a_history_is_told_in_its_order_whatever_its_dates_say() {
    let place = project();
    git(&place, &["init", "-q", "-b", "main", "."]);
    for (number, draws) in [(0, 3), (1, 4), (2, 5)] {
        place.write("small.nf", PIPELINE.replace("draws = 10", &format!("draws = {draws}")));
        git(&place, &["add", "."]);
        // Written ever earlier, as of commits that were moved.
        let date = format!("2026-01-{:02}T12:00:00Z", 20 - number);
        git(&place, &["commit", "-q", "-m", &format!("change {number}"), "--date", &date]);
        run(&place);
    }
    let said = place.run(&["log", "direction"]).exits(0);
    let subjects: Vec<&str> = said.out.lines().filter_map(|line| line.find("change ").map(|at| &line[at..])).collect();
    assert_eq!(subjects, ["change 2", "change 1", "change 0"], "{}", said.out);
}
