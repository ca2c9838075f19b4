//! What is on the page: steps by family member, with their scores, figures and tables, as plain values that a template lays out.

use crate::error::ReportError;
use crate::figures::dag::{dag, duration};
use crate::input::{Report, ShownStep, Work};
use crate::step::{self, Step, at_chance};
use crate::template;
use neuroflow_data::{Artifact, Kind, Score, Scores, Typed};
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// With more steps, browsers lay out those that are seen: the page opens soon, and only pictures of all of it at once have gaps.
const MANY: usize = 60;

/// Everything on the page, as templates are given it; see `docs/report.md`.
#[derive(Serialize)]
struct Page<'a> {
    title: &'a str,
    notices: &'a [String],
    facts: Vec<(&'a str, &'a str)>,
    dag: String,
    expectations: Vec<Expected<'a>>,
    scores: Vec<ScoreRow>,
    work: Vec<WorkRow<'a>>,
    work_left_out: usize,
    /// Whether what is not seen is better not laid out.
    many: bool,
    groups: Vec<Group>,
}

#[derive(Serialize)]
struct Group {
    title: String,
    anchor: String,
    member: String,
    steps: Vec<Step>,
}

#[derive(Serialize)]
struct Expected<'a> {
    condition: &'a str,
    message: &'a str,
    numbers: &'a str,
    mark: &'static str,
    verdict: &'static str,
}

/// The headline score of a step.
#[derive(Serialize)]
struct ScoreRow {
    step: String,
    member: String,
    anchor: String,
    metric: String,
    value: String,
    chance: String,
    null: String,
    p: String,
    line: String,
    uncontrolled: bool,
    at_chance: bool,
}

/// What became of a step.
#[derive(Serialize)]
struct WorkRow<'a> {
    step: &'a str,
    member: &'a str,
    anchor: Option<&'a str>,
    stage: &'a str,
    state: &'static str,
    took: String,
    wall_ms: f64,
    why: String,
}

/// Which step: its name, and of which member.
pub(crate) type Named<'a> = (&'a str, Option<&'a str>);

/// The report as one HTML page.
///
/// # Errors
/// When an artifact is not what its kind promises.
pub fn render(report: &Report) -> Result<String, ReportError> {
    template::built_in(&contents(report)?)
}

/// What a template is given for a report.
///
/// # Errors
/// When an artifact is not what its kind promises.
pub fn contents(report: &Report) -> Result<serde_json::Value, ReportError> {
    let mut members: Vec<Option<&str>> = Vec::new();
    let mut known = HashSet::new();
    for step in &report.steps {
        if known.insert(step.member.as_deref()) {
            members.push(step.member.as_deref());
        }
    }
    // Single steps sum up the families, so they come first.
    members.sort_by_key(|member| member.is_some());
    let mut names = Names::default();
    let anchors: HashMap<Named<'_>, String> = report.steps.iter().map(|step| (named(step), names.of_step(step))).collect();
    let work: HashMap<Named<'_>, &Work> = report.work.iter().map(|work| ((work.step.as_str(), work.member.as_deref()), work)).collect();
    let mut of_member: HashMap<Option<&str>, Vec<&ShownStep>> = HashMap::new();
    report.steps.iter().for_each(|step| of_member.entry(step.member.as_deref()).or_default().push(step));
    let mut groups = Vec::new();
    for member in members {
        let steps = of_member.remove(&member).unwrap_or_default();
        let beside: Vec<&Artifact> = steps.iter().flat_map(|step| step.artifacts.iter().map(|shown| &shown.artifact)).collect();
        let anchor = names.new_one(&member.map_or_else(|| "all".to_owned(), |name| format!("m-{}", slug(name))));
        let anchor_of = |step: &ShownStep| anchors.get(&named(step)).cloned().unwrap_or_default();
        let view = |step: &&ShownStep| step::view(step, anchor_of(step), work.get(&named(step)).copied(), &beside);
        groups.push(Group {
            title: member.unwrap_or("All together").to_owned(),
            anchor,
            member: member.unwrap_or_default().to_owned(),
            steps: steps.iter().map(view).collect::<Result<Vec<_>, _>>()?,
        });
    }
    let page = Page {
        title: &report.title,
        notices: &report.notices,
        facts: report.facts.iter().map(|fact| (fact.name.as_str(), fact.value.as_str())).collect(),
        dag: if report.dag.is_empty() { String::new() } else { dag(&report.dag).svg() },
        expectations: report.expectations.iter().map(expected).collect(),
        scores: scores(report, &anchors)?,
        work: report.work.iter().map(|work| work_row(work, &anchors)).collect(),
        work_left_out: report.work_left_out,
        many: report.steps.len() > MANY,
        groups,
    };
    serde_json::to_value(&page).map_err(|error| ReportError::Template(error.to_string()))
}

fn named(step: &ShownStep) -> Named<'_> {
    (&step.name, step.member.as_deref())
}

/// What came of an expectation: the mark that it is drawn with, and the words.
fn expected(expectation: &crate::Expectation) -> Expected<'_> {
    let (mark, verdict) = match expectation.holds {
        Some(true) => ("good", "holds"),
        Some(false) => ("bad", "does not hold"),
        None => ("bad", "not decided"),
    };
    let crate::Expectation { condition, message, numbers, .. } = expectation;
    Expected { condition, message, numbers, mark, verdict }
}

/// The headline score of every step, those with a control first.
fn scores(report: &Report, anchors: &HashMap<Named<'_>, String>) -> Result<Vec<ScoreRow>, ReportError> {
    let mut rows = Vec::new();
    for step in &report.steps {
        for shown in step.artifacts.iter().filter(|shown| shown.artifact.kind() == Kind::Scores) {
            let scores = Scores::from_artifact(&shown.artifact)?.scores;
            if let Some(score) = step::controls_first(&scores).next() {
                rows.push(score_row(step, anchors.get(&named(step)).cloned().unwrap_or_default(), score));
            }
        }
    }
    rows.sort_by_key(|row| row.uncontrolled);
    Ok(rows)
}

fn score_row(step: &ShownStep, anchor: String, score: &Score) -> ScoreRow {
    let number = |number: Option<f64>| number.map_or_else(String::new, crate::drawing::number);
    let null = score.controls.iter().find(|control| control.is_distribution());
    ScoreRow {
        step: step.name.clone(),
        member: step.member.clone().unwrap_or_default(),
        anchor,
        metric: score.metric.clone(),
        value: number(Some(score.value)),
        chance: number(score.chance),
        null: number(null.map(neuroflow_data::ControlResult::mean)),
        p: number(null.map(|control| control.p)),
        line: score.to_string(),
        uncontrolled: score.controls.is_empty(),
        at_chance: at_chance(score),
    }
}

fn work_row<'a>(work: &'a Work, anchors: &'a HashMap<Named<'_>, String>) -> WorkRow<'a> {
    let member = work.member.as_deref();
    WorkRow {
        step: &work.step,
        member: member.unwrap_or_default(),
        anchor: anchors.get(&(work.step.as_str(), member)).map(String::as_str),
        stage: &work.stage,
        state: work.state.word(),
        took: if work.wall_ms > 0.0 { duration(work.wall_ms) } else { String::new() },
        wall_ms: work.wall_ms,
        why: work.why.join("; "),
    }
}

/// Names of places in the page, each once.
#[derive(Default)]
pub(crate) struct Names {
    taken: HashSet<String>,
}

impl Names {
    fn of_step(&mut self, step: &ShownStep) -> String {
        let member = step.member.as_deref().map_or_else(String::new, |member| format!("-{}", slug(member)));
        self.new_one(&format!("s-{}{member}", slug(&step.name)))
    }

    pub(crate) fn new_one(&mut self, wanted: &str) -> String {
        let others = (2..).map(|number| format!("{wanted}-{number}"));
        let name = std::iter::once(wanted.to_owned()).chain(others).find(|name| !self.taken.contains(name)).unwrap_or_default();
        self.taken.insert(name.clone());
        name
    }
}

/// A text as a part of a file's name or of an address.
pub(crate) fn slug(text: &str) -> String {
    let plain = |character: char| if character.is_ascii_alphanumeric() { character.to_ascii_lowercase() } else { '-' };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{DagNode, Expectation, Fact, ShownArtifact, State};
    use neuroflow_data::random::Stream;
    use neuroflow_data::{Axis, Communities, ControlResult, Graph, Interval, Rdm, Tensor};

    fn tensor(axes: Vec<Axis>, f: impl Fn(usize) -> f64) -> Artifact {
        let n = axes.iter().map(Axis::len).product();
        Tensor::new(axes, None, (0..n).map(f).collect::<Vec<_>>()).unwrap().into_artifact().unwrap()
    }

    fn directions(name: &str) -> Axis {
        Axis::numbers(name, Some("deg"), (0..8).map(|k| 45.0 * f64::from(k)).collect())
    }

    fn step(name: &str, member: Option<&str>, artifacts: Vec<(&str, Artifact)>) -> ShownStep {
        ShownStep {
            name: name.into(),
            member: member.map(str::to_owned),
            stage: format!("topic.{name}"),
            summary: "What it does.".into(),
            artifacts: artifacts.into_iter().map(|(output, artifact)| ShownArtifact { output: output.into(), artifact }).collect(),
            elsewhere: Vec::new(),
        }
    }

    fn sample(title: &str) -> Report {
        let mut stream = Stream::new(1);
        let mut score = Score::new("accuracy", 0.812, 128);
        score.chance = Some(0.125);
        score.n_classes = Some(8);
        score.interval = Some(Interval { low: 0.74, high: 0.88, level: 0.95, method: "folds".into() });
        score.controls.push(ControlResult::new(
            "shuffle(\"direction\")",
            0.812,
            (0..200).map(|_| 0.125 + 0.03 * stream.normal()).collect(),
        ));
        score.controls.push(ControlResult::new("window(-1 s .. 0 s)", 0.812, vec![0.13]));
        let mut chance = Score::new("accuracy", 0.13, 128);
        chance.controls.push(ControlResult::new("shuffle(\"direction\")", 0.13, vec![0.1, 0.2, 0.15]));
        let scores = |score: Score| Scores::new(vec![score]).into_artifact().unwrap();
        let units = Axis::labels("unit", (0..30).map(|unit| format!("u{unit}")).collect());
        let membership: Vec<usize> = (0..30).map(|unit| unit % 3).collect();
        let partition = Communities::new(units.clone(), &membership).unwrap().into_artifact().unwrap();
        let edges = (0..30usize)
            .flat_map(|a| (a + 1..30).map(move |b| (a, b)))
            .map(|(source, target)| neuroflow_data::Edge { source, target, weight: if source % 3 == target % 3 { 0.6 } else { 0.1 } })
            .collect();
        let graph = Graph::new(units.clone(), edges, "correlation").unwrap().into_artifact().unwrap();
        let rdm = Rdm::from_triangles(
            vec!["V1".into()],
            directions("condition"),
            "correlation",
            &[(0..28).map(|k| 0.03 * f64::from(k)).collect()],
        );
        let bins = Axis::numbers("bin", Some("s"), (0..49).map(|bin| f64::from(bin) / 16.0 - 1.0).collect());
        let confusion = tensor(vec![directions("true"), directions("predicted")], |k| if k / 8 == k % 8 { 12.0 } else { (k % 3) as f64 });
        let tuning = tensor(vec![units, directions("condition")], |k| ((k % 8) as f64 - (k / 8 % 8) as f64).cos());
        let time = tensor(vec![Axis::count("component", 4), bins], |k| ((k % 49) as f64 / 8.0 - (k / 49) as f64).sin().max(0.0));
        let node = |name: &str, needs: Vec<usize>, state| DagNode {
            name: name.into(),
            stage: format!("topic.{name}"),
            count: 5,
            needs,
            wall_ms: 1234.0,
            ran_cached: (3, 2),
            state,
            progress: None,
        };
        Report {
            title: title.into(),
            notices: vec!["Simulated data: no recording was reachable.".into()],
            facts: vec![Fact { name: "commit".into(), value: "0123abcd".into() }],
            dag: vec![
                node("sessions", vec![], State::Cached),
                node("responses", vec![0], State::Ran),
                node("direction", vec![1], State::Ran),
                node("affinity", vec![1], State::Failed),
                node("communities", vec![3], State::Skipped),
            ],
            work: vec![Work {
                step: "direction".into(),
                member: Some("m1".into()),
                stage: "topic.direction".into(),
                state: State::Ran,
                wall_ms: 1234.0,
                why: vec!["folds: 8 → 10".into()],
                made_with: vec![("seed".into(), "7".into())],
            }],
            work_left_out: 3,
            expectations: vec![Expectation { condition: "a > 1".into(), message: "m".into(), numbers: "2 > 1".into(), holds: Some(true) }],
            steps: vec![
                step("direction", Some("m1"), vec![("scores", scores(score)), ("confusion", confusion)]),
                step("tuning", Some("m1"), vec![("tuning", tuning)]),
                step("communities", Some("m1"), vec![("communities", partition), ("affinity", graph)]),
                step("motifs", Some("m1"), vec![("time", time)]),
                step("brain", Some("m1"), vec![("rdm", rdm.unwrap().into_artifact().unwrap())]),
                step("transfer", None, vec![("scores", scores(chance))]),
            ],
        }
    }

    #[test]
    fn a_report_shows_scores_controls_figures_and_data_and_loads_nothing_from_elsewhere() {
        let page = render(&sample("Sample")).unwrap();
        assert!(page.contains("accuracy 0.812 ±0.070 (8 classes, chance 0.125; shuffle null 0.12"));
        assert!(page.contains("not above its control") && page.contains("Simulated data"));
        assert!(page.contains("ordered by its 3 communities") && page.matches("data:text/csv;base64,").count() >= 7);
        for elsewhere in ["src=\"http", "href=\"http", "@import", "url(", "fetch(", "XMLHttpRequest", "WebSocket", "eval("] {
            assert!(!page.contains(elsewhere), "{elsewhere}");
        }
        assert_eq!(page.matches("<script").count(), 1);
        assert!(page.contains("It ran because of this: folds: 8 → 10.") && page.contains("<dt>seed</dt><dd>7</dd>"));
        assert!(page.contains("3 more steps are in the run&#39;s record") || page.contains("3 more steps are in the run's record"));
        if let Some(path) = std::env::var_os("NEUROFLOW_WRITE_SAMPLE_REPORT") {
            std::fs::write(path, page).unwrap();
        }
    }

    #[test]
    fn the_same_report_has_the_same_bytes() {
        assert_eq!(render(&sample("Sample")).unwrap(), render(&sample("Sample")).unwrap());
    }

    #[test]
    fn names_from_outside_are_text_and_not_markup() {
        let mut report = sample("<script>alert(1)</script>");
        report.steps[0].member = Some("<img src=x onerror=alert(1)>".into());
        report.dag[0].name = "<script>".into();
        let page = render(&report).unwrap();
        assert!(page.matches("<script").count() == 1 && !page.contains("<img"));
    }

    #[test]
    fn an_empty_report_is_a_page() {
        let empty = Report {
            title: "Empty".into(),
            notices: vec![],
            facts: vec![],
            dag: vec![],
            work: vec![],
            work_left_out: 0,
            expectations: vec![],
            steps: vec![],
        };
        let page = render(&empty).unwrap();
        assert!(page.contains("<h1>Empty</h1>"));
        // What there is nothing of has no headline, and no link to it.
        for part in ["scores", "graph", "steps", "expectations"] {
            assert!(!page.contains(&format!("id=\"{part}\"")) && !page.contains(&format!("\"#{part}\"")), "{part}");
        }
    }

    #[test]
    fn browsers_are_held_to_the_script_of_the_page() {
        let page = render(&sample("Sample")).unwrap();
        let script = page.split("<script>").nth(1).unwrap().split("</script>").next().unwrap();
        let digest = <sha2::Sha256 as sha2::Digest>::digest(script);
        let hash = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest);
        assert!(page.contains(&format!("script-src 'sha256-{hash}'")));
    }

    #[test]
    fn scores_without_a_control_come_last_and_say_so() {
        let mut report = sample("Sample");
        let alone = Scores::new(vec![Score::new("accuracy", 0.9, 10)]).into_artifact().unwrap();
        report.steps.insert(0, step("alone", Some("m1"), vec![("scores", alone)]));
        let contents = contents(&report).unwrap();
        let rows: Vec<(&str, bool)> = contents["scores"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (row["step"].as_str().unwrap(), row["uncontrolled"].as_bool().unwrap()))
            .collect();
        assert_eq!(rows, [("direction", false), ("transfer", false), ("alone", true)]);
        assert!(render(&report).unwrap().contains("<tr data-member=\"m1\" class=\"uncontrolled\">"));
    }

    #[test]
    fn places_of_the_page_are_named_once() {
        let mut names = Names::default();
        assert_eq!(["a b", "a-b", "c"].map(|name| names.new_one(&slug(name))), ["a-b", "a-b-2", "c"]);
    }

    #[test]
    fn a_template_of_a_project_extends_the_page() {
        let contents = contents(&sample("Sample")).unwrap();
        let text = "{% extends \"report.html\" %}{% block own %}<p>{{ groups | length }} groups</p>{% endblock own %}";
        let page = crate::render_with(text, &contents, 1 << 24).unwrap();
        assert!(page.contains("<p>2 groups</p>") && page.contains("<h1>Sample</h1>"));
    }

    #[test]
    fn every_figure_is_a_file() {
        let report = sample("Sample");
        let files = crate::figure_files(&report).unwrap();
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "direction-m1-confusion",
                "tuning-m1-tuning",
                "tuning-m1-tuning-2",
                "communities-m1-affinity",
                "motifs-m1-time",
                "brain-m1-rdm"
            ]
        );
        assert!(files.iter().all(|file| file.figure.drawing.svg().contains("<desc>")));
    }
}
