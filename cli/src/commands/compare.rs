//! `neuroflow compare`: scores as a table for a paper, runs or data sets side by side.

use super::Place;
use crate::arguments::history::{Compare, TableFormat};
use crate::exit::{Exit, Failure};
use crate::latex::in_latex;
use crate::meant;
use crate::score_text;
use neuroflow_agent::escape_line;
use neuroflow_data::Score;
use neuroflow_engine::label;
use neuroflow_engine::record::RunRecord;
use std::collections::BTreeMap;

/// A table of scores: a row for each step and metric, a column for each run, or each member of a loop.
struct Scores {
    columns: Vec<String>,
    rows: Vec<(String, Vec<Option<Score>>)>,
}

pub(crate) fn compare(place: &Place, compare: &Compare) -> Result<Exit, Failure> {
    let session = place.session()?;
    let mut runs = Vec::new();
    for word in &compare.runs {
        let Some(record) = meant::run(&session, word, None)? else {
            let failure = Failure::could_not_start(format!("nothing ran at `{word}` yet"));
            return Err(failure.with_help(format!("`neuroflow run --at {word} PIPELINE` runs the pipeline as it was")));
        };
        runs.push(record);
    }
    let wanted = |step: &str, scores: &[Score], score: &Score| {
        let name = label::step_name(step);
        let is_step = compare.step.is_empty() || compare.step.iter().any(|one| one == step || one == name);
        let is_metric = match compare.metric.is_empty() {
            true => scores.first().is_some_and(|first| first.metric == score.metric),
            false => compare.metric.contains(&score.metric),
        };
        is_step && is_metric
    };
    // A metric of one step, and where its values are to stand.
    let mut cells: BTreeMap<(String, String), BTreeMap<usize, Score>> = BTreeMap::new();
    let mut columns: Vec<String> = Vec::new();
    if runs.len() > 1 {
        columns = headings(&compare.runs, &runs);
    }
    // The members of the loops as they stand in labels: two of them may look alike without their quotes.
    let mut members: Vec<String> = Vec::new();
    for (at, record) in runs.iter().enumerate() {
        for (step, scores) in &record.scores {
            for score in scores.iter().filter(|score| wanted(step, scores, score)) {
                let (row, column) = if runs.len() > 1 {
                    (step.clone(), at)
                } else {
                    // The members of loops are data sets, sessions, areas: what a table of one run is about.
                    let name = label::step_name(step).to_owned();
                    let member = &step[name.len()..];
                    let column = members.iter().position(|known| known == member).unwrap_or_else(|| {
                        members.push(member.to_owned());
                        members.len() - 1
                    });
                    (name, column)
                };
                cells.entry((row, score.metric.clone())).or_default().insert(column, score.clone());
            }
        }
    }
    if runs.len() == 1 {
        columns = plain_members(&members);
    }
    if cells.is_empty() {
        let failure = Failure::could_not_start("no score of these runs fits");
        return Err(failure.with_help("`neuroflow show RUN` lists its scores"));
    }
    let rows = cells
        .into_iter()
        .map(|((step, metric), mut of)| (format!("{step}.{metric}"), (0..columns.len()).map(|column| of.remove(&column)).collect()));
    let table = Scores { rows: rows.collect(), columns };
    let text = match compare.format {
        TableFormat::Text => table.text(),
        TableFormat::Csv => table.csv(),
        TableFormat::Markdown => table.markdown(),
        TableFormat::Latex => table.latex(),
    };
    match &compare.out {
        Some(path) => std::fs::write(path, text).map_err(|error| Failure::could_not_start(format!("{}: {error}", path.display())))?,
        None => print!("{text}"),
    }
    Ok(Exit::Done)
}

/// A text whose letters mean themselves in a table of Markdown.
fn in_markdown(text: &str) -> String {
    let mut out = String::new();
    for letter in escape_line(text).chars() {
        match letter {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            '\\' | '|' | '*' | '_' | '`' | '[' | ']' | '~' | '#' | '$' => out.extend(['\\', letter]),
            other => out.push(other),
        }
    }
    out
}

/// What stands above the columns of runs: the commit or the id, and where two would have one heading, the word that the person wrote as well.
fn headings(words: &[String], runs: &[RunRecord]) -> Vec<String> {
    let short: Vec<String> = runs.iter().map(meant::short).collect();
    let is_twice = |at: usize| short.iter().filter(|other| **other == short[at]).count() > 1;
    let mut all: Vec<String> = Vec::new();
    for (at, (word, run)) in words.iter().zip(runs).enumerate() {
        let mut heading = if is_twice(at) { format!("{word} ({})", short[at]) } else { short[at].clone() };
        if all.contains(&heading) {
            heading = format!("{word} ({})", run.id);
        }
        // The same run, named twice.
        if all.contains(&heading) {
            heading = format!("{heading} {}", at + 1);
        }
        all.push(heading);
    }
    all
}

/// Members of loops without brackets and quotes, where that leaves them apart.
fn plain_members(members: &[String]) -> Vec<String> {
    let plain = |member: &String| match member.trim_matches(['[', ']']).replace("][", ", ").replace('"', "") {
        none if none.is_empty() => "all".to_owned(),
        plain => plain,
    };
    let all: Vec<String> = members.iter().map(plain).collect();
    let is_alone = |name: &String| all.iter().filter(|other| *other == name).count() == 1;
    all.iter().zip(members).map(|(plain, member)| if is_alone(plain) { plain.clone() } else { member.clone() }).collect()
}

/// A value with its uncertainty and what its control says; a score without a control is marked.
fn cell(score: Option<&Score>) -> String {
    let Some(score) = score else { return "–".into() };
    format!("{} ({})", score_text::value(score), score_text::control(score))
}

impl Scores {
    fn cells(&self) -> impl Iterator<Item = (&str, Vec<String>)> {
        self.rows.iter().map(|(name, scores)| (name.as_str(), scores.iter().map(|score| cell(score.as_ref())).collect()))
    }

    fn text(&self) -> String {
        let head = std::iter::once((String::new(), self.columns.clone()));
        let all: Vec<(String, Vec<String>)> = head.chain(self.cells().map(|(name, cells)| (name.to_owned(), cells))).collect();
        let width = |at: usize| all.iter().map(|(_, cells)| cells[at].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let names = all.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let line = |(name, cells): &(String, Vec<String>)| {
            let cells: String = cells.iter().zip(&widths).map(|(cell, width)| format!("  {:<width$}", escape_line(cell))).collect();
            format!("{}\n", format!("{:<names$}{cells}", escape_line(name)).trim_end())
        };
        all.iter().map(line).collect()
    }

    fn markdown(&self) -> String {
        let safe = in_markdown;
        let line = |name: &str, cells: &mut dyn Iterator<Item = String>| {
            format!("| {} | {} |\n", safe(name), cells.map(|cell| safe(&cell)).collect::<Vec<_>>().join(" | "))
        };
        let mut text = line("score", &mut self.columns.iter().cloned());
        text += &format!("|---|{}\n", "---|".repeat(self.columns.len()));
        for (name, cells) in self.cells() {
            text += &line(name, &mut cells.into_iter());
        }
        text
    }

    fn latex(&self) -> String {
        let line = |name: &str, cells: &mut dyn Iterator<Item = String>| {
            format!("{} & {} \\\\\n", in_latex(name), cells.map(|cell| in_latex(&cell)).collect::<Vec<_>>().join(" & "))
        };
        let mut text = format!("\\begin{{tabular}}{{l{}}}\n\\toprule\n", "l".repeat(self.columns.len()));
        text += &line("score", &mut self.columns.iter().cloned());
        text += "\\midrule\n";
        for (name, cells) in self.cells() {
            text += &line(name, &mut cells.into_iter());
        }
        text + "\\bottomrule\n\\end{tabular}\n"
    }

    fn csv(&self) -> String {
        let quoted = |text: &str| match text.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", text.replace('"', "\"\"")),
            false => text.to_owned(),
        };
        let mut text = "score,column,value,unit,low,high,level,n,chance,ceiling,control,null_mean,p,p_corrected\n".to_owned();
        let number = |value: Option<f64>| value.filter(|value| value.is_finite()).map_or(String::new(), |value| value.to_string());
        for (name, scores) in &self.rows {
            for (column, score) in self.columns.iter().zip(scores) {
                let Some(score) = score else { continue };
                let interval = score.interval.as_ref();
                let control = score.controls.first();
                let fields = [
                    quoted(name),
                    quoted(column),
                    number(Some(score.value)),
                    quoted(score.unit.as_deref().unwrap_or_default()),
                    number(interval.map(|interval| interval.low)),
                    number(interval.map(|interval| interval.high)),
                    number(interval.map(|interval| interval.level)),
                    score.n.to_string(),
                    number(score.chance),
                    number(score.ceiling),
                    quoted(control.map_or("", |control| &control.control)),
                    number(control.map(neuroflow_data::ControlResult::mean)),
                    number(control.filter(|control| control.is_distribution()).map(|control| control.p)),
                    number(control.filter(|control| control.is_distribution()).map(|control| control.p_corrected)),
                ];
                text += &format!("{}\n", fields.join(","));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Scores {
        let score = Score {
            controls: vec![neuroflow_data::ControlResult::new("shuffle(\"x, y\")", 0.9, vec![0.25; 19])],
            ..Score::new("accuracy", 0.9, 10)
        };
        Scores { columns: vec!["a_1".into(), "b|2".into()], rows: vec![("one.accuracy".into(), vec![Some(score), None])] }
    }

    #[test]
    fn columns_are_told_apart() {
        let members = ["[\"a\"1\"]", "[\"a1\"]", "[\"b\"][\"2\"]", ""].map(str::to_owned);
        assert_eq!(plain_members(&members), ["[\"a\"1\"]", "[\"a1\"]", "b, 2", "all"]);
    }

    #[test]
    fn every_form_escapes_what_it_must() {
        let table = table();
        assert_eq!(table.markdown(), "| score | a\\_1 | b\\|2 |\n|---|---|---|\n| one.accuracy | 0.900 (p = 0.050) | – |\n");
        assert!(
            table.latex().contains("a\\_1 & b\\textbar{}2 \\\\\n\\midrule\none.accuracy & 0.900 (p = 0.050) & -- \\\\"),
            "{}",
            table.latex()
        );
        assert!(table.csv().ends_with("one.accuracy,a_1,0.9,,,,,10,,,\"shuffle(\"\"x, y\"\")\",0.25,0.05,0.05\n"), "{}", table.csv());
    }
}
