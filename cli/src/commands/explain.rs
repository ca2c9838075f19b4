//! `neuroflow explain`: why a step would run, which run gave its result, or what a mistake means.

use super::data::runtime;
use super::{Place, check_text, print_diagnostics, read_pipeline, settings_of};
use crate::arguments::{Explain, MessageFormat};
use crate::exit::{Exit, Failure};
use neuroflow_dsl::diagnostics::has_errors;
use neuroflow_dsl::explanations;
use neuroflow_engine::explain::{Verdict, preview};
use neuroflow_engine::select::is_meant;
use neuroflow_engine::task::{Task, Work};
use std::collections::HashMap;
use std::path::PathBuf;

pub(crate) fn explain(place: &Place, explain: &Explain) -> Result<Exit, Failure> {
    if let Some(page) = explanations::explanation(&explain.what) {
        println!("{}", page.trim());
        return Ok(Exit::Done);
    }
    let session = place.session()?;
    let last = session.read("latest").ok();
    let file = explain.file.clone().or_else(|| last.as_ref().map(|run| PathBuf::from(&run.file)));
    let Some(file) = file else {
        let failure = Failure::could_not_start(format!("there is no run yet, and `{}` is no code of a mistake", explain.what));
        return Err(failure.with_help("name the pipeline: `neuroflow explain STEP --file PIPELINE`"));
    };
    let text = read_pipeline(&file)?;
    // Without settings of its own, the question is about the latest run.
    let set = if explain.set.is_empty() {
        last.as_ref()
            .filter(|run| run.file == file.display().to_string())
            .map(|run| run.set.clone().into_iter().collect())
            .unwrap_or_default()
    } else {
        settings_of(&explain.set)?
    };
    let checked = check_text(&text, &set, &session.registry);
    if has_errors(&checked.diagnostics) {
        print_diagnostics(&file, &text, &checked.diagnostics, MessageFormat::Text);
        return Err(Failure::printed(Exit::WrongPipeline));
    }
    let folder = std::env::current_dir().map_err(Failure::could_not_start)?;
    let prepared = runtime()?
        .block_on(session.prepare(checked.pipeline, &folder, true, &|_, _, _| {}))
        .map_err(|error| super::run::failure(&file, &text, error))?;
    let last = last.filter(|run| run.pipeline == prepared.pipeline.name);
    let verdicts = preview(&prepared.plan, &session.cache, last.as_ref()).map_err(Failure::could_not_start)?;
    let found = prepared.plan.tasks.iter().zip(&verdicts).filter(|(task, _)| is_meant(&explain.what, task));
    if tell(found) == 0 {
        let near = neuroflow_stage::nearest(&explain.what, prepared.instances.iter().map(|instance| instance.name.as_str()));
        let failure = Failure::could_not_start(format!("{} has no step `{}`", file.display(), explain.what));
        return Err(match near {
            Some(near) => failure.with_help(format!("did you mean `{near}`?")),
            None => failure,
        });
    }
    Ok(Exit::Done)
}

/// Prints a line for each task; batches of null draws of one control with one reason are one line. Gives the number of lines.
pub(crate) fn tell<'a>(verdicts: impl Iterator<Item = (&'a Task, &'a Verdict)>) -> usize {
    let mut lines: Vec<(String, String, usize)> = Vec::new();
    let mut places: HashMap<(String, String), usize> = HashMap::new();
    for (task, verdict) in verdicts {
        let name = match &task.work {
            Work::Nulls(batch) => format!("{} · {}", task.step, batch.control.name()),
            _ => task.label.clone(),
        };
        let why = describe(verdict);
        let place = *places.entry((name.clone(), why.clone())).or_insert(lines.len());
        match lines.get_mut(place) {
            Some(line) => line.2 += 1,
            None => lines.push((name, why, 1)),
        }
    }
    for (name, why, count) in &lines {
        let times = if *count > 1 { format!(" (×{count})") } else { String::new() };
        println!("{name}{times}: {why}");
    }
    lines.len()
}

/// A verdict in words.
fn describe(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Cached { run } if run.is_empty() => "its result is in the cache".into(),
        Verdict::Cached { run } => format!("its result is in the cache, made by run {run}"),
        Verdict::WouldRun { because } => format!("would run: {}", because.join("; ")),
        Verdict::Missing => "its result is not in the cache, and `--only` does not compute it".into(),
        Verdict::Unasked => "not asked for".into(),
        Verdict::Depends { on } if on.len() > 3 => format!("would run if the result of {} or {} others changes", on[0], on.len() - 1),
        Verdict::Depends { on } => format!("would run if the result of {} changes", on.join(", ")),
    }
}
