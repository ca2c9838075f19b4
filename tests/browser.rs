//! The report in a real browser.

use crate::chromium::Page;
use crate::support::{Place, SMALL, pipeline};
use neuroflow_data::{Artifact, Axis, ControlResult, Score, Scores, Tensor, Typed};
use neuroflow_report::{DagNode, Report, ShownArtifact, ShownStep, State, Work};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// The report of a small run, in a browser; none where there is no browser.
fn small(place: &Place) -> Option<Page> {
    let mut page = Page::start(&place.path().join("profile"))?;
    place.write("small.nf", SMALL);
    place.run(&["run", "small.nf", "--quiet"]).exits(0);
    open(&mut page, &place.path().join("reports/small_report.html"));
    Some(page)
}

fn open(page: &mut Page, file: &Path) {
    page.open(&format!("file://{}", file.display()));
}

/// Keeps pictures for a person who wants to look at them.
fn keep(name: &str, bytes: &[u8]) {
    if let Some(folder) = std::env::var_os("NEUROFLOW_KEEP_PICTURES") {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(Path::new(&folder).join(name), bytes).unwrap();
    }
}

#[track_caller]
pub fn is_accessible(page: &mut Page) {
    let faults = page.eval(include_str!("accessible.js"));
    assert_eq!(faults, Value::Array(Vec::new()), "{faults:#}");
    // The whole of axe-core, where somebody has it.
    let Some(axe) = std::env::var_os("NEUROFLOW_AXE").filter(|name| !name.is_empty()) else { return };
    page.eval(&format!("{};0", std::fs::read_to_string(axe).unwrap()));
    let found = page.eval(
        "axe.run().then((found) => found.violations.filter((one) => ['serious', 'critical'].includes(one.impact))\
         .map((one) => [one.id, one.nodes.length, one.nodes[0].html.slice(0, 200)]))",
    );
    assert_eq!(found, Value::Array(Vec::new()), "{found:#}");
}

#[test]
fn a_browser_shows_the_report() {
    let place = Place::new();
    let Some(mut page) = Page::start(&place.path().join("profile")) else { return };
    place.write("truth.nf", pipeline("simulated_truth.nf"));
    place.run(&["run", "truth.nf", "--set", "shuffles=20", "--quiet"]).exits(0);
    open(&mut page, &place.path().join("reports/simulated_truth.html"));
    let text = page.eval("document.body.textContent").as_str().unwrap().to_owned();
    assert!(text.contains("Simulated data") && text.contains("ordered by its 4 communities"), "{text}");
    assert!(page.eval("document.querySelectorAll('figure svg').length").as_u64().unwrap() > 5);
    assert_eq!(page.complaints(), Vec::<String>::new());
    assert_eq!(page.asked_for().len(), 1, "{:?}", page.asked_for());
    for (name, colours, media, width) in
        [("light", "light", "screen", 1200), ("dark", "dark", "screen", 1200), ("narrow", "light", "screen", 400)]
    {
        page.look(colours, media, width);
        let overflow = page.eval("document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert!(overflow.as_f64().unwrap() <= 0.0, "{name}: {overflow} too wide");
        is_accessible(&mut page);
        let picture = page.picture();
        // A blank page of this size compresses to a few kilobytes.
        assert!(picture.len() > 40_000, "{name}");
        keep(&format!("{name}.png"), &picture);
    }
    page.look("dark", "", 1200);
    let paper = page.pdf();
    keep("print.pdf", &paper);
    assert!(paper.starts_with(b"%PDF") && paper.len() > 40_000);
    page.look("dark", "print", 1200);
    assert_eq!(page.eval("getComputedStyle(document.body).color"), "rgb(26, 26, 26)");
    assert_eq!(page.eval("getComputedStyle(document.querySelector('nav')).display"), "none");
}

#[test]
fn a_report_is_walked_and_searched_by_keys() {
    let place = Place::new();
    let Some(mut page) = small(&place) else { return };
    let focused = "document.activeElement.closest('section.step')?.querySelector('h3').id ?? document.activeElement.id";
    let steps = page.eval("[...document.querySelectorAll('section.step h3')].map((heading) => heading.id)");
    assert_eq!(steps.as_array().unwrap().len(), 6, "{steps}");
    page.press("j");
    assert_eq!(page.eval(focused), steps[0]);
    page.press("ArrowRight");
    page.press("j");
    assert_eq!(page.eval(focused), steps[2]);
    page.press("k");
    assert_eq!(page.eval(focused), steps[1]);
    page.press("/");
    assert_eq!(page.eval(focused), "search");
    page.type_text("tuning sim2");
    page.wait_for("document.getElementById('found').textContent === '1 of 6 steps'", Duration::from_secs(5));
    let visible = "[...document.querySelectorAll('section.step')].filter((step) => step.checkVisibility()).length";
    assert_eq!(page.eval(visible), 1);
    page.press("Escape");
    assert_eq!((page.eval(visible), page.eval("document.getElementById('search').value")), (6.into(), "".into()));
    page.press("?");
    assert_eq!(page.eval("document.getElementById('help').open"), true);
    is_accessible(&mut page);
    page.press("Escape");
    page.wait_for("!document.getElementById('help').open", Duration::from_secs(5));
    page.look("light", "screen", 1200);
    page.press("d");
    assert_eq!(page.eval("document.documentElement.dataset.theme"), "dark");
    assert_eq!(page.eval("getComputedStyle(document.body).backgroundColor"), "rgb(22, 24, 27)");
    is_accessible(&mut page);
    assert_eq!(page.complaints(), Vec::<String>::new());
}

#[test]
fn tables_of_a_report_sort_by_keys_and_by_clicks() {
    let place = Place::new();
    let Some(mut page) = small(&place) else { return };
    let column = |page: &mut Page, at: usize| {
        let values =
            page.eval(&format!("[...document.querySelector('table.sort').tBodies[0].rows].map((row) => row.cells[{at}].textContent)"));
        values.as_array().unwrap().iter().map(|value| value.as_str().unwrap().parse::<f64>().unwrap()).collect::<Vec<_>>()
    };
    let head = "document.querySelector('table.sort th:nth-child(4)')";
    page.eval(&format!("{head}.querySelector('button').focus()"));
    page.press("Enter");
    assert_eq!(page.eval(&format!("{head}.getAttribute('aria-sort')")), "ascending");
    assert!(column(&mut page, 3).is_sorted());
    page.mouse("table.sort th:nth-child(4) button", true);
    assert_eq!(page.eval(&format!("{head}.getAttribute('aria-sort')")), "descending");
    assert!(column(&mut page, 3).iter().rev().is_sorted());
    assert_eq!(page.eval("document.querySelectorAll('[aria-sort]').length"), 1);
}

#[test]
fn figures_of_a_report_mark_the_same_things_and_become_files() {
    let place = Place::new();
    let Some(mut page) = small(&place) else { return };
    let marks = |page: &mut Page| {
        page.eval("[...document.querySelectorAll('svg')].filter((svg) => svg.querySelector('.mark')).length").as_u64().unwrap()
    };
    assert_eq!(marks(&mut page), 0);
    // Conditions agree in the confusion matrices and the tuning of all three members.
    page.mouse("figure svg[data-axes]", false);
    assert!(marks(&mut page) >= 6, "{}", marks(&mut page));
    let told = page.eval("document.getElementById('pointed').textContent").as_str().unwrap().to_owned();
    assert!(told.starts_with("true ") && told.contains(", predicted ") && told.contains(": "), "{told}");
    page.mouse("h1", false);
    assert_eq!(marks(&mut page), 0);
    page.mouse("figure svg[data-axes]", true);
    page.mouse("h1", false);
    assert!(marks(&mut page) >= 6, "a click keeps the mark");
    page.press("Escape");
    assert_eq!(marks(&mut page), 0);
    page.press("j");
    page.press("f");
    page.press("ArrowDown");
    assert!(marks(&mut page) >= 6);
    assert_eq!(page.eval("document.activeElement.tagName"), "svg");
    // A picture is made of what is on the page.
    page.eval("window.saved = []; HTMLAnchorElement.prototype.click = function () { window.saved.push(this.download); }; 0");
    page.mouse(".files button:nth-of-type(1)", true);
    page.mouse(".files button:nth-of-type(2)", true);
    page.wait_for("window.saved.length === 2", Duration::from_secs(10));
    let saved = page.eval("window.saved.join(' ')").as_str().unwrap().to_owned();
    assert!(saved.ends_with(".png") && saved.contains(".svg "), "{saved}");
    assert_eq!(page.complaints(), Vec::<String>::new());
}

/// A report with so many steps, a figure at every second one.
fn large(steps: usize) -> Report {
    let scores = |at: usize| {
        let mut score = Score::new("accuracy", 0.5 + (at % 40) as f64 / 100.0, 100);
        score.controls.push(ControlResult::new(
            "shuffle(\"direction\")",
            score.value,
            (0..50).map(|draw| f64::from(draw) / 100.0).collect(),
        ));
        Scores::new(vec![score]).into_artifact().unwrap()
    };
    let matrix = |at: usize| -> Artifact {
        let axes = vec![Axis::labels("unit", (0..60).map(|unit| format!("u{unit}")).collect()), Axis::count("bin", 40)];
        let values: Vec<f64> = (0..2400).map(|cell| ((cell * 31 + at * 7) % 101) as f64 / 10.0).collect();
        Tensor::new(axes, None, values).unwrap().into_artifact().unwrap()
    };
    let member = |at: usize| Some(format!("session{:03}", at / 5));
    let step = |at: usize| ShownStep {
        name: format!("step{}", at % 5),
        member: member(at),
        stage: "decode.classify".into(),
        summary: "What it does.".into(),
        artifacts: [("scores", scores(at)), ("rates", matrix(at))]
            .into_iter()
            .take(1 + at % 2)
            .map(|(output, artifact)| ShownArtifact { output: output.into(), artifact })
            .collect(),
        elsewhere: Vec::new(),
    };
    let work = |at: usize| Work {
        step: format!("step{}", at % 5),
        member: member(at),
        stage: "decode.classify".into(),
        state: State::Ran,
        wall_ms: at as f64,
        why: vec!["folds: 8 → 10".into()],
        made_with: vec![("seed".into(), "7".into()), ("folds".into(), "10".into())],
    };
    let node = |at: usize| DagNode {
        name: format!("node{at}"),
        stage: "decode.classify".into(),
        count: 1,
        needs: if at < 40 { Vec::new() } else { vec![at - 40, at - 39] },
        wall_ms: 1.0,
        ran_cached: (1, 0),
        state: State::Ran,
        progress: None,
    };
    Report {
        title: "Many steps".into(),
        notices: Vec::new(),
        facts: Vec::new(),
        dag: (0..steps).map(node).collect(),
        work: (0..steps).map(work).collect(),
        work_left_out: 0,
        expectations: Vec::new(),
        steps: (0..steps).map(step).collect(),
    }
}

#[test]
fn a_thousand_steps_and_five_hundred_figures_open_soon() {
    let place = Place::new();
    let Some(mut page) = Page::start(&place.path().join("profile")) else { return };
    let began = Instant::now();
    let text = neuroflow_report::render(&large(1000)).unwrap();
    println!("rendered in {:.2} s, {:.1} MB", began.elapsed().as_secs_f64(), text.len() as f64 / 1e6);
    keep("large.html", text.as_bytes());
    let file = place.write("large.html", text);
    open(&mut page, &file);
    assert_eq!(page.eval("document.querySelectorAll('figure svg').length"), 500);
    let times = page.eval(
        "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => { \
         const [at] = performance.getEntriesByType('navigation'); \
         done([at.domInteractive, at.loadEventEnd, performance.now(), document.querySelectorAll('section.step').length]); })))",
    );
    println!("parsed, loaded and drawn after milliseconds: {times}");
    assert_eq!(times[3], 1000);
    // Long data is compressed in the page, and saved as it was.
    page.eval("window.saved = []; HTMLAnchorElement.prototype.click = function () { window.saved.push([this.download, this.href]); }; 0");
    page.mouse("figure a[download$='.csv.gz']", true);
    page.wait_for("window.saved.length === 1", Duration::from_secs(20));
    assert_eq!(page.eval("window.saved[0][0]"), "step1-session000-rates.csv");
    // Two seconds on an idle machine; this one may be busy with other tests.
    assert!(times[1].as_f64().unwrap() < 12_000.0, "{times}");
    let began = Instant::now();
    page.press("/");
    page.type_text("session150 step3");
    page.wait_for("document.getElementById('found').textContent === '1 of 1000 steps'", Duration::from_secs(20));
    println!("found after {:.2} s", began.elapsed().as_secs_f64());
}
