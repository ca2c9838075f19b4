//! The page: groups steps by family member, draws their artifacts, and fills the template.

use crate::csv_link::csv_link;
use crate::error::ReportError;
use crate::figures::{dag, figures};
use crate::input::{Report, ShownArtifact, ShownStep};
use crate::score_strip::score_strip;
use neuroflow_data::{Artifact, Communities, Kind, Scores, Table, Typed};
use serde::Serialize;
use std::collections::BTreeSet;

const TEMPLATE: &str = include_str!("../templates/report.html");

#[derive(Serialize)]
struct Group {
    title: String,
    anchor: String,
    steps: Vec<Step>,
}

#[derive(Serialize)]
struct Step {
    name: String,
    stage: String,
    summary: String,
    scores: Vec<ScoreLine>,
    scores_csv: Option<String>,
    figures: Vec<Drawing>,
    tables: Vec<Rows>,
    sources: Vec<String>,
    elsewhere: Vec<String>,
}

#[derive(Serialize)]
struct ScoreLine {
    line: String,
    strip: String,
    notes: Vec<String>,
    uncontrolled: bool,
    at_chance: bool,
    corrected: Option<String>,
    interval: Option<String>,
}

#[derive(Serialize)]
struct Drawing {
    caption: String,
    svg: String,
    csv: String,
    file: String,
}

#[derive(Serialize)]
struct Rows {
    caption: String,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    more: usize,
    csv: String,
    file: String,
}

#[derive(Serialize)]
struct OverviewRow {
    step: String,
    member: String,
    line: String,
    uncontrolled: bool,
    at_chance: bool,
}

/// The report as one HTML page.
///
/// # Errors
/// When an artifact is not what its kind promises.
pub fn render(report: &Report) -> Result<String, ReportError> {
    let mut members: Vec<Option<&String>> = Vec::new();
    for step in &report.steps {
        if !members.contains(&step.member.as_ref()) {
            members.push(step.member.as_ref());
        }
    }
    // Single steps sum up the families, so they come first.
    members.sort_by_key(|member| member.is_some());
    let mut groups = Vec::new();
    for member in members {
        let steps: Vec<&ShownStep> = report.steps.iter().filter(|step| step.member.as_ref() == member).collect();
        let beside: Vec<&Artifact> = steps.iter().flat_map(|step| step.artifacts.iter().map(|shown| &shown.artifact)).collect();
        let title = member.cloned().unwrap_or_else(|| "All together".into());
        let anchor = member.map_or_else(|| "all".to_owned(), |name| format!("m-{}", slug(name)));
        let steps = steps.iter().map(|step| shown(step, &beside)).collect::<Result<Vec<_>, _>>()?;
        groups.push(Group { title, anchor, steps });
    }
    let mut context = tera::Context::new();
    context.insert("title", &report.title);
    context.insert("notices", &report.notices);
    context.insert("facts", &report.facts.iter().map(|fact| (&fact.name, &fact.value)).collect::<Vec<_>>());
    context.insert("dag", &dag(&report.dag));
    let expectation = |e: &crate::Expectation| (e.condition.clone(), e.message.clone(), e.numbers.clone(), verdict(e.holds));
    context.insert("expectations", &report.expectations.iter().map(expectation).collect::<Vec<_>>());
    context.insert("overview", &overview(report)?);
    context.insert("groups", &groups);
    tera(&context)
}

/// What came of an expectation: the mark that it is drawn with, and the words.
fn verdict(holds: Option<bool>) -> (&'static str, &'static str) {
    match holds {
        Some(true) => ("good", "holds"),
        Some(false) => ("bad", "does not hold"),
        None => ("bad", "not decided"),
    }
}

fn tera(context: &tera::Context) -> Result<String, ReportError> {
    let failed = |error: tera::Error| ReportError::Template(error.to_string());
    let mut tera = tera::Tera::new();
    tera.add_raw_template("report.html", TEMPLATE).map_err(failed)?;
    tera.render("report.html", context).map_err(failed)
}

/// The headline score of every step in one table.
fn overview(report: &Report) -> Result<Vec<OverviewRow>, ReportError> {
    let mut rows = Vec::new();
    for step in &report.steps {
        for shown in step.artifacts.iter().filter(|shown| shown.artifact.kind() == Kind::Scores) {
            for score in Scores::from_artifact(&shown.artifact)?.scores.iter().take(1) {
                rows.push(OverviewRow {
                    step: step.name.clone(),
                    member: step.member.clone().unwrap_or_default(),
                    line: score.to_string(),
                    uncontrolled: score.controls.is_empty(),
                    at_chance: at_chance(score),
                });
            }
        }
    }
    Ok(rows)
}

/// A score is called "at chance" when a null distribution says so: p of 0.05 or more.
fn at_chance(score: &neuroflow_data::Score) -> bool {
    score.controls.iter().any(|control| control.is_distribution() && control.p >= 0.05)
}

fn shown(step: &ShownStep, beside: &[&Artifact]) -> Result<Step, ReportError> {
    let mut scores = Vec::new();
    let mut scores_csv = None;
    let (mut drawings, mut tables) = (Vec::new(), Vec::new());
    let mut sources = BTreeSet::new();
    for (position, ShownArtifact { output, artifact }) in step.artifacts.iter().enumerate() {
        sources.extend(artifact.meta().sources.iter().cloned());
        let member = step.member.as_deref().map_or_else(String::new, |member| format!("-{}", slug(member)));
        let file = format!("{}{member}-{output}.csv", step.name);
        match artifact.kind() {
            Kind::Scores => {
                scores.extend(Scores::from_artifact(artifact)?.scores.iter().map(score_line));
                scores_csv = Some(csv_link(artifact)?);
            }
            Kind::Table => {
                let table = Table::from_artifact(artifact)?;
                tables.push(rows(&table, output.clone(), artifact, file)?);
            }
            Kind::Communities => {
                let caption = community_sizes(&Communities::from_artifact(artifact)?);
                tables.push(Rows {
                    rows: Vec::new(),
                    more: 0,
                    ..rows(&Table::from_batch(artifact.batch_of(Kind::Communities)?.clone()), caption, artifact, file)?
                });
            }
            _ => {
                let further = (position > 0).then_some(output.as_str());
                let drawn = figures(artifact, further, beside)?;
                let csv = if drawn.is_empty() { String::new() } else { csv_link(artifact)? };
                drawings.extend(drawn.into_iter().map(|figure| Drawing {
                    caption: figure.caption,
                    svg: figure.svg,
                    csv: csv.clone(),
                    file: file.clone(),
                }));
            }
        }
    }
    Ok(Step {
        name: step.name.clone(),
        stage: step.stage.clone(),
        summary: step.summary.clone(),
        scores,
        scores_csv,
        figures: drawings,
        tables,
        sources: sources.into_iter().collect(),
        elsewhere: step.elsewhere.clone(),
    })
}

fn score_line(score: &neuroflow_data::Score) -> ScoreLine {
    let corrected = score.controls.iter().find(|control| control.is_distribution() && control.n_tests > 1);
    ScoreLine {
        line: score.to_string(),
        strip: score_strip(score),
        notes: score.notes.clone(),
        uncontrolled: score.controls.is_empty(),
        at_chance: at_chance(score),
        corrected: corrected
            .map(|control| format!("p = {:.3} corrected for the {} scores of this step", control.p_corrected, control.n_tests)),
        interval: score.interval.as_ref().map(|interval| {
            format!(
                "{:.0} % interval {:.3} to {:.3} ({}), n = {}",
                interval.level * 100.0,
                interval.low,
                interval.high,
                interval.method,
                score.n
            )
        }),
    }
}

fn rows(table: &Table, caption: String, artifact: &Artifact, file: String) -> Result<Rows, ReportError> {
    const SHOWN: usize = 10;
    let header = table.column_names();
    let take: Vec<usize> = (0..table.rows().min(SHOWN)).collect();
    let head = table.select(&take)?;
    let columns = header.iter().map(|name| cells(&head, name)).collect::<Result<Vec<_>, ReportError>>()?;
    let rows = take.iter().map(|&row| columns.iter().map(|column| column[row].clone()).collect()).collect();
    Ok(Rows { caption, header, rows, more: table.rows().saturating_sub(SHOWN), csv: csv_link(artifact)?, file })
}

fn cells(table: &Table, name: &str) -> Result<Vec<String>, ReportError> {
    let floats = table.batch().column_by_name(name).is_some_and(|column| column.data_type().is_floating());
    if floats {
        return Ok(table
            .numbers(name)?
            .into_iter()
            .map(|value| if value.is_nan() { "–".into() } else { crate::svg::number(value) })
            .collect());
    }
    Ok(table.texts(name)?)
}

fn community_sizes(partition: &Communities) -> String {
    let mut sizes = vec![0usize; partition.count()];
    partition.membership().iter().for_each(|community| sizes[*community] += 1);
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let list = sizes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    format!("{} communities of {list} {}s", partition.count(), partition.nodes().name)
}

fn slug(text: &str) -> String {
    text.chars().map(|character| if character.is_ascii_alphanumeric() { character.to_ascii_lowercase() } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{DagNode, Expectation, Fact, State};
    use neuroflow_data::random::Stream;
    use neuroflow_data::{Axis, ControlResult, Graph, Interval, Rdm, Score, Tensor};

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
        for elsewhere in ["<script", "src=\"http", "href=\"http", "@import", "url("] {
            assert!(!page.contains(elsewhere), "{elsewhere}");
        }
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
        assert!(!page.contains("<script") && !page.contains("<img"));
    }

    #[test]
    fn an_empty_report_is_a_page() {
        let empty = Report { title: "Empty".into(), notices: vec![], facts: vec![], dag: vec![], expectations: vec![], steps: vec![] };
        assert!(render(&empty).unwrap().contains("<h1>Empty</h1>"));
    }
}
