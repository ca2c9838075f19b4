//! Reports: what a page says of each step, templates of a project, and figures as files.

use crate::support::{Place, SMALL};
use std::time::{Duration, Instant};

/// The small pipeline with a page of its own.
fn with_template(template: &str) -> Place {
    let place = Place::new();
    place.write("small.nf", SMALL.replace("{ direction, tuning }", "{ direction, tuning } with template = \"pages/own.html\""));
    place.write("pages/own.html", template);
    place
}

fn page(place: &Place) -> String {
    std::fs::read_to_string(place.path().join("reports/small_report.html")).unwrap()
}

#[test]
fn a_page_says_why_each_step_ran() {
    let place = Place::new();
    place.write("small.nf", SMALL);
    place.run(&["run", "small.nf", "--quiet"]).exits(0);
    let first = page(&place);
    assert!(first.contains("It ran because of this: it has never run."));
    let run = place.run(&["runs", "-n", "1"]).out.split_whitespace().next().unwrap().to_owned();
    place.write("small.nf", SMALL.replace("folds = 4", "folds = 5"));
    place.run(&["run", "small.nf", "--quiet"]).exits(0);
    let second = page(&place);
    assert!(second.contains("It ran because of this: folds: 4 → 5."), "{second}");
    assert!(second.contains(&format!("It was taken from the cache: run {run} made it.")));
    assert!(second.contains("<dt>folds</dt><dd>5</dd>") && second.contains("<dt>version</dt>"));
    // What is asked for again is told so, and its results are the same.
    place.run(&["run", "small.nf", "--quiet", "--force", "tuning"]).exits(0);
    assert!(page(&place).contains("It ran because of this: it was asked for again."));
}

#[test]
fn a_report_without_news_is_left_as_it_is_and_its_template_counts() {
    let place = with_template("{% extends \"report.html\" %}{% block own %}<p>first</p>{% endblock own %}");
    place.run(&["run", "small.nf", "--quiet"]).exits(0);
    let first = page(&place);
    assert!(first.contains("<p>first</p>") && first.contains("<h1>A small one</h1>"));
    place.run(&["run", "small.nf", "--quiet"]).exits(0);
    assert_eq!(page(&place), first);
    place.write("pages/own.html", "<title>{{ title }}</title>{{ groups | length }} members, script {{ scores[0].line }}");
    place.run(&["run", "small.nf", "--quiet"]).exits(0);
    let second = page(&place);
    assert!(second.contains("3 members") && !second.contains("first"), "{second}");
    // Whatever a template says, browsers are held to the same.
    assert!(
        second
            .contains("<!doctype html>\n<meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'")
    );
    let record = place.record();
    assert_eq!(record["used"][0][0], "pages/own.html");
}

#[test]
fn a_template_that_is_wrong_is_told_before_anything_runs() {
    let place = with_template("line\n  {{ groups | nothing }}");
    let said = place.run(&["run", "small.nf"]).exits(2).says("error[bad-template]").says("pages/own.html: line 2");
    assert!(said.err.contains("help: "), "{}", said.err);
    place.write("pages/own.html", "{% include \"/etc/passwd\" %}");
    place.run(&["check", "small.nf"]).exits(2).says("error[bad-template]").says("a template reads no files");
    std::fs::remove_file(place.path().join("pages/own.html")).unwrap();
    place.run(&["check", "small.nf"]).exits(2).says("error[bad-template]").says("there is no file").says("begins at the pipeline's folder");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/etc/passwd", place.path().join("pages/own.html")).unwrap();
        place.run(&["check", "small.nf"]).exits(2).says("a link that leads out of the pipeline's folder");
    }
    for (with, told) in [
        ("template = \"../own.html\"", "must be a path below the pipeline's folder"),
        ("template = \"/etc/passwd\"", "must be a path below the pipeline's folder"),
        ("template = 3", "the path of a file, in quotes"),
        ("seed = 3", "a report has no `seed`"),
    ] {
        place.write("small.nf", SMALL.replace("{ direction, tuning }", &format!("{{ direction, tuning }} with {with}")));
        place.run(&["check", "small.nf"]).exits(2).says("error[bad-template]").says(told);
    }
}

#[test]
fn a_template_that_never_ends_is_stopped_and_the_results_are_kept() {
    let hostile = [
        "{% set_global t = \"xxxxxxxxxxxxxxxx\" %}{% for i in range(end=60) %}{% set_global t = t ~ t %}{% endfor %}",
        "{% for a in range(end=90000) %}{% for b in range(end=90000) %}{% for c in range(end=90000) %}{% endfor %}{% endfor %}{% endfor %}",
        "{% for a in range(end=90000) %}{% for b in range(end=90000) %}{{ a }}{% endfor %}{% endfor %}",
    ];
    let place = with_template(hostile[0]);
    for template in hostile {
        place.write("pages/own.html", template);
        let began = Instant::now();
        let said = place.run(&["run", "small.nf", "--quiet"]).exits(4).says("pages/own.html");
        assert!(said.err.contains("it was stopped") || said.err.contains("would have more than"), "{}", said.err);
        assert!(said.err.contains("help: look for"), "{}", said.err);
        assert!(began.elapsed() < Duration::from_secs(120), "{:?}", began.elapsed());
    }
    assert!(!place.path().join("reports/small_report.html").exists());
    place.run(&["get", "tuning[\"sim1\"]", "-o", "tuning.csv"]).exits(0);
}

#[test]
fn a_report_with_a_template_is_laid_out_like_a_step() {
    let place = Place::new();
    place.write("a.nf", SMALL.replace("{ direction, tuning }", "{\n  direction, tuning\n}\n      with   template=\"own.html\""));
    place.run(&["fmt", "a.nf"]).exits(0);
    let laid = std::fs::read_to_string(place.path().join("a.nf")).unwrap();
    assert!(laid.ends_with("report small_report {\n  direction, tuning\n}\n  with template = \"own.html\"\n"), "{laid}");
    place.run(&["fmt", "--check", "a.nf"]).exits(0);
}

#[test]
fn figures_are_files_too() {
    let place = Place::new();
    place.write("small.nf", SMALL);
    let said = place.run(&["run", "small.nf", "--figures", "figures"]).exits(0).says("figures of small_report: ");
    let names: Vec<String> =
        std::fs::read_dir(place.path().join("figures")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let read = |name: &str| std::fs::read(place.path().join("figures").join(name)).unwrap();
    assert!(read("tuning-sim1-tuning-2.svg").starts_with(b"<svg "), "{names:?}");
    assert!(read("direction-sim2-confusion.csv").starts_with(b"true,predicted,"), "{names:?}");
    assert!(serde_json::from_slice::<serde_json::Value>(&read("tuning-sim3-tuning.json")).is_ok());
    if !said.err.contains("no PNGs") {
        assert!(read("tuning-sim1-tuning.png").starts_with(b"\x89PNG") && read("tuning-sim1-tuning.png").len() > 5000);
    }
    // Again, with nothing to compute and no font.
    let mut command = place.command();
    command.args(["run", "small.nf", "--figures", "more"]).env("NEUROFLOW_FONT", "no/font.ttf");
    crate::support::said(command.output().unwrap()).exits(0).says("warning: no PNGs: ").says("no/font.ttf");
    assert!(
        place.path().join("more/direction-sim1-confusion.svg").exists() && !place.path().join("more/direction-sim1-confusion.png").exists()
    );
}

#[test]
fn get_draws_a_figure() {
    let place = Place::new();
    place.write("small.nf", SMALL);
    place.run(&["run", "small.nf", "--quiet"]).exits(0);
    place.run(&["get", "tuning[\"sim1\"]", "-o", "tuning.svg"]).exits(0).says("a figure in tuning-2.svg");
    let drawn = std::fs::read_to_string(place.path().join("tuning.svg")).unwrap();
    assert!(drawn.starts_with("<svg ") && drawn.contains("<desc>") && page(&place).contains(&drawn), "{drawn}");
    place.run(&["get", "direction[\"sim1\"].confusion", "-o", "-", "--as", "svg"]).exits(0).says("</svg>");
    place.run(&["get", "direction[\"sim1\"]", "-o", "x.svg"]).exits(4).says("no figure is drawn of").says("csv");
    place.run(&["get", "tuning[\"sim1\"]", "-o", "x", "--as", "gif"]).exits(4).says("svg, png");
}
