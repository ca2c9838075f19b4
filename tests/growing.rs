//! Pipelines whose graph grows while it runs: loops over a column of a result, branches on a score.

use crate::support::{Place, SMALL};

const AREAS: &str = r#"pipeline growing
areas = exec("printf 'area,units\nV1,3\nLM,2\nAL,5\n' > {{ out }}") -> csv("areas.csv")
for area in areas.area {
  made = exec("echo {{ area }} > {{ out }}", area = area) -> file("name")
}
all = exec("cat {{ made }}/* > {{ out }}", made = gather(made)) -> file("all")
report r { all }
"#;

#[test]
fn a_loop_over_a_column_is_unrolled_when_the_column_is_there() {
    let place = Place::new();
    place.write("p.nf", AREAS);
    place.run(&["run", "p.nf", "--dry"]).exits(0).says("areas: would run").says("made: known once").says("1 tasks would run");
    place.run(&["run", "p.nf"]).exits(0).says("(5 tasks ran, 0 cached)");
    let all = place.run(&["get", "all", "-o", "-"]).exits(0);
    assert_eq!(all.out, "AL\nLM\nV1\n", "families are laid out by name");
    // Known now, the whole graph is planned from the cache.
    place.run(&["run", "p.nf"]).exits(0).says("(0 tasks ran, 5 cached)");
    place.run(&["get", "made[\"V1\"]", "-o", "-"]).exits(0).says("V1");
    // One more row is one more member; the others stay.
    place.write("p.nf", AREAS.replace("AL,5\\n", "AL,5\\nPM,1\\n"));
    place.run(&["run", "p.nf"]).exits(0).says("(3 tasks ran, 3 cached)");
}

#[test]
fn a_column_that_is_not_there_stops_the_run_with_its_place() {
    let place = Place::new();
    place.write("p.nf", AREAS.replace("areas.area", "areas.region"));
    let said = place.run(&["run", "p.nf"]);
    assert!(said.code == 3 || said.code == 2, "{}", said.err);
    said.says("region");
    // What was computed is kept.
    place.write("p.nf", AREAS);
    place.run(&["run", "p.nf"]).exits(0).says("(4 tasks ran, 1 cached)");
}

#[test]
fn a_branch_on_a_score_is_taken_when_the_score_is_known() {
    let place = Place::new();
    let branch = |limit: &str| {
        let text = SMALL.replace("expect min", &format!(
            "if min(direction[*].accuracy) > {limit} {{\n  taken = exec(\"echo yes > {{{{ out }}}}\") -> file(\"x\")\n}} else {{\n  other = exec(\"echo no > {{{{ out }}}}\") -> file(\"x\")\n}}\n\nexpect min"
        ));
        place.write("p.nf", text);
        place.run(&["run", "p.nf"]).exits(0)
    };
    branch("-1");
    place.run(&["get", "taken", "-o", "-"]).exits(0).says("yes");
    place.run(&["get", "other", "-o", "-"]).exits(4);
    branch("2");
    place.run(&["get", "other", "-o", "-"]).exits(0).says("no");
    place.run(&["get", "taken", "-o", "-"]).exits(4);
}

#[test]
fn only_what_a_growing_step_needs_runs_when_it_is_asked_for() {
    let place = Place::new();
    place.write("p.nf", AREAS.replace("report r { all }", "aside = exec(\"echo 1 > {{ out }}\") -> file(\"x\")\nreport r { all }"));
    place.run(&["run", "p.nf", "--until", "made"]).exits(0).says("(4 tasks ran, 0 cached)");
    place.run(&["run", "p.nf", "--until", "mad"]).exits(4).says("did you mean `made`?");
}

#[test]
fn a_grown_step_can_be_asked_for_with_what_nothing_else_needs() {
    let place = Place::new();
    place.write("u.csv", "unit,area\n1,V1\n2,LM\n");
    place.write(
        "p.nf",
        "pipeline p\ninput u = csv(\"u.csv\")\nareas = sql(\"select distinct area from u\", u = u)\nother = exec(\"echo other > {{ out }}\") -> file(\"o\")\n\
         for a in areas.area {\n  own = exec(\"cat {{ o }} > {{ out }}; echo {{ a }} >> {{ out }}\", o = other, a = a) -> file(\"x\")\n}\nreport r { own }\n",
    );
    place.run(&["run", "p.nf", "--until", "own"]).exits(0).says("(4 tasks ran,");
    place.run(&["run", "p.nf", "--only", "own"]).exits(0).says("(0 tasks ran, 4 cached)");
    place.run(&["run", "p.nf", "--until", "own[\"zz\"]"]).exits(0).says("there is no step `own[\"zz\"]`");
    place.run(&["run", "p.nf", "--until", "othr"]).exits(4).says("did you mean `other`?");
}
