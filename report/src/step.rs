//! A step on the page: its scores, figures and tables, how it was made, and what is elsewhere.

use crate::contents::slug;
use crate::csv_link::{Inside, csv_link};
use crate::drawing::number;
use crate::error::ReportError;
use crate::figures::figures;
use crate::input::{ShownArtifact, ShownStep, State, Work};
use crate::score_strip::score_strip;
use neuroflow_data::{Artifact, Communities, Kind, Score, Scores, Table, Typed};
use serde::Serialize;
use std::collections::BTreeSet;

#[derive(Serialize)]
pub(crate) struct Step {
    name: String,
    anchor: String,
    stage: String,
    summary: String,
    state: &'static str,
    why: Option<String>,
    made_with: Vec<(String, String)>,
    scores: Vec<ScoreLine>,
    scores_csv: Option<Inside>,
    figures: Vec<Drawn>,
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
struct Drawn {
    caption: String,
    svg: String,
    /// The data, at the first figure of several of the same data.
    csv: Option<Inside>,
    /// How the data are had where there are too many of them for the page.
    get: Option<String>,
    file: String,
}

#[derive(Serialize)]
struct Rows {
    caption: String,
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    more: usize,
    csv: Option<Inside>,
    /// How all rows are had where there are too many of them for the page.
    get: Option<String>,
}

/// A score is called "at chance" when a null distribution says so: p of 0.05 or more.
pub(crate) fn at_chance(score: &Score) -> bool {
    score.controls.iter().any(|control| control.is_distribution() && control.p >= 0.05)
}

/// Scores in their order, those with a control before those without.
pub(crate) fn controls_first(scores: &[Score]) -> impl Iterator<Item = &Score> {
    let of = |controlled: bool| scores.iter().filter(move |score| score.controls.is_empty() != controlled);
    of(true).chain(of(false))
}

/// What a file with something of a step is called, without its ending.
pub(crate) fn file_name(step: &ShownStep, output: &str) -> String {
    let member = step.member.as_deref().map_or_else(String::new, |member| format!("-{}", slug(member)));
    // Names of steps in used files hold what a file's name can't.
    let plain = |text: &str| text.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect::<String>();
    format!("{}{member}-{}", plain(&step.name), plain(output))
}

/// The step as the page shows it. `beside` are the artifacts of the same member.
pub(crate) fn view(step: &ShownStep, anchor: String, work: Option<&Work>, beside: &[&Artifact]) -> Result<Step, ReportError> {
    let mut scores = Vec::new();
    let mut scores_csv = None;
    let (mut drawn, mut tables) = (Vec::new(), Vec::new());
    let mut sources = BTreeSet::new();
    for (position, ShownArtifact { output, artifact }) in step.artifacts.iter().enumerate() {
        sources.extend(artifact.meta().sources.iter().cloned());
        let name = file_name(step, output);
        match artifact.kind() {
            Kind::Scores => {
                scores.extend(controls_first(&Scores::from_artifact(artifact)?.scores).map(score_line));
                scores_csv = csv_link(artifact, &name)?;
            }
            Kind::Table => {
                let table = Table::from_artifact(artifact)?;
                tables.push(rows(&table, output.clone(), artifact, &name, get(step, output))?);
            }
            Kind::Communities => {
                let caption = community_sizes(&Communities::from_artifact(artifact)?);
                tables.push(Rows {
                    rows: Vec::new(),
                    more: 0,
                    ..rows(&Table::from_batch(artifact.batch_of(Kind::Communities)?.clone()), caption, artifact, &name, get(step, output))?
                });
            }
            _ => {
                let further = (position > 0).then_some(output.as_str());
                for (number, figure) in figures(artifact, further, beside)?.into_iter().enumerate() {
                    let csv = if number == 0 { csv_link(artifact, &name)? } else { None };
                    drawn.push(Drawn {
                        caption: figure.caption,
                        svg: figure.drawing.svg(),
                        get: (number == 0 && csv.is_none()).then(|| get(step, output)),
                        csv,
                        file: if number == 0 { name.clone() } else { format!("{name}-{}", number + 1) },
                    });
                }
            }
        }
    }
    Ok(Step {
        name: step.name.clone(),
        anchor,
        stage: step.stage.clone(),
        summary: step.summary.clone(),
        state: work.map_or("", |work| work.state.word()),
        why: work.and_then(why),
        made_with: work.map(|work| work.made_with.clone()).unwrap_or_default(),
        scores,
        scores_csv,
        figures: drawn,
        tables,
        sources: sources.into_iter().collect(),
        elsewhere: step.elsewhere.clone(),
    })
}

/// Why a step ran, or where its result comes from, as a sentence.
fn why(work: &Work) -> Option<String> {
    let reasons = work.why.join("; ");
    match (work.state, reasons.is_empty()) {
        (_, true) => None,
        (State::Ran, _) => Some(format!("It ran because of this: {reasons}.")),
        (State::Cached, _) => Some(format!("It was taken from the cache: {reasons}.")),
        (State::Failed | State::Skipped | State::Running, _) => Some(format!("{reasons}.")),
    }
}

fn score_line(score: &Score) -> ScoreLine {
    let corrected = score.controls.iter().find(|control| control.is_distribution() && control.n_tests > 1);
    ScoreLine {
        line: score.to_string(),
        strip: score_strip(score).svg(),
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

/// The command that writes an output of a step.
fn get(step: &ShownStep, output: &str) -> String {
    let member = step.member.as_deref().map_or_else(String::new, |member| format!("[{member:?}]"));
    let further = step.artifacts.first().is_some_and(|first| first.output != output);
    let output = if further { format!(".{output}") } else { String::new() };
    let result = format!("{}{member}{output}", step.name);
    let plain = result.chars().all(|letter| letter.is_ascii_alphanumeric() || "_.-".contains(letter));
    let result = if plain { result } else { format!("'{}'", result.replace('\'', "'\\''")) };
    format!("neuroflow get {result} -o values.csv")
}

fn rows(table: &Table, caption: String, artifact: &Artifact, name: &str, get: String) -> Result<Rows, ReportError> {
    const SHOWN: usize = 10;
    let header = table.column_names();
    let take: Vec<usize> = (0..table.rows().min(SHOWN)).collect();
    let head = table.select(&take)?;
    let columns = header.iter().map(|name| cells(&head, name)).collect::<Result<Vec<_>, ReportError>>()?;
    let rows = take.iter().map(|&row| columns.iter().map(|column| column[row].clone()).collect()).collect();
    let csv = csv_link(artifact, name)?;
    let get = csv.is_none().then_some(get);
    Ok(Rows { caption, header, rows, more: table.rows().saturating_sub(SHOWN), csv, get })
}

fn cells(table: &Table, name: &str) -> Result<Vec<String>, ReportError> {
    let floats = table.batch().column_by_name(name).is_some_and(|column| column.data_type().is_floating());
    if floats {
        return Ok(table.numbers(name)?.into_iter().map(|value| if value.is_nan() { "–".into() } else { number(value) }).collect());
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
