//! `neuroflow explain`: why a step would run, which run gave its result, or what a mistake means.

use super::data::runtime;
use super::{Place, check_text, print_diagnostics, read_pipeline, settings_of};
use crate::arguments::{Explain, MessageFormat};
use crate::exit::{Exit, Failure};
use neuroflow_dsl::diagnostics::has_errors;
use neuroflow_dsl::explanations;
use neuroflow_engine::explain::{Verdict, preview};
use neuroflow_engine::folder::Folder;
use neuroflow_engine::plan::Plan;
use neuroflow_engine::select::is_meant;
use neuroflow_engine::session::Purpose;
use neuroflow_engine::task::TaskId;
use std::collections::HashMap;

pub(crate) fn explain(place: &Place, explain: &Explain) -> Result<Exit, Failure> {
    if let Some(page) = explanations::explanation(&explain.what) {
        println!("{}", page.trim());
        return Ok(Exit::Done);
    }
    let session = place.session()?;
    let last = session.read("latest").ok();
    let file = explain.file.clone().or_else(|| last.as_ref().map(neuroflow_engine::record::RunRecord::pipeline_file));
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
    let checked = check_text(&file, &text, &set, &session.registry);
    if has_errors(&checked.diagnostics) {
        print_diagnostics(&file, &text, &checked.diagnostics, MessageFormat::Text);
        return Err(Failure::printed(Exit::WrongPipeline));
    }
    let working = std::env::current_dir().map_err(Failure::could_not_start)?;
    let prepared = runtime()?
        .block_on(session.prepare(checked.pipeline, (&working, Folder::of(&file).path()), Purpose::Plan, true, &|_, _, _| {}))
        .map_err(|error| super::run::failure(&file, &text, error))?;
    let last = last.filter(|run| run.pipeline == prepared.pipeline.name).or_else(|| session.latest_of(&prepared.pipeline.name));
    let before = last.map(|run| session.keys(&run)).unwrap_or_default();
    let plan = &prepared.plan;
    let verdicts = preview(plan, &session.cache, &before).map_err(Failure::could_not_start)?;
    let found = verdicts.iter().enumerate().filter(|(task, _)| is_meant(&explain.what, &plan.label(*task)));
    if tell(plan, found) == 0 {
        let later = prepared.pipeline.step(&explain.what).is_some_and(|_| !plan.is_complete());
        if later {
            println!("{}: known once the steps are done that its loop or condition asks", explain.what);
            return Ok(Exit::Done);
        }
        let near = neuroflow_stage::nearest(&explain.what, prepared.pipeline.steps.iter().map(|step| step.name.text.as_str()));
        let failure = Failure::could_not_start(format!("{} has no step `{}`", file.display(), explain.what));
        return Err(match near {
            Some(near) => failure.with_help(format!("did you mean `{near}`?")),
            None => failure,
        });
    }
    Ok(Exit::Done)
}

/// So many members of a step are named one by one when the reason is the same.
const MOST_NAMED: usize = 12;

/// Prints a line for each task; batches of null draws of one control with one reason are one line, and so are many members of one step. Gives the number
/// of tasks.
pub(crate) fn tell<'a>(plan: &Plan, verdicts: impl Iterator<Item = (TaskId, &'a Verdict)>) -> usize {
    let mut told = 0;
    // Of each step and reason: the names in order, with how often each stands there.
    let mut groups: Vec<(String, Vec<(String, usize)>)> = Vec::new();
    let mut places: HashMap<(usize, String, String), usize> = HashMap::new();
    for (task, verdict) in verdicts {
        told += 1;
        let instance = &plan.instances()[plan.step_of(task)];
        let control = plan.control_name(task).map(|control| format!(" · {control}"));
        let name = control.as_ref().map_or_else(|| plan.label(task), |control| format!("{}{control}", instance.label()));
        let why = describe(plan, verdict);
        let group = (instance.decl, control.unwrap_or_default(), why.clone());
        let place = *places.entry(group).or_insert_with(|| {
            groups.push((why, Vec::new()));
            groups.len() - 1
        });
        let names = &mut groups[place].1;
        match names.last_mut() {
            Some((last, count)) if *last == name => *count += 1,
            _ => names.push((name, 1)),
        }
    }
    let mut text = String::new();
    for (why, names) in &groups {
        if names.len() > MOST_NAMED {
            let first: Vec<&str> = names.iter().take(3).map(|(name, _)| name.as_str()).collect();
            text += &format!("{} and {} more: {why}\n", first.join(", "), names.len() - first.len());
            continue;
        }
        for (name, count) in names {
            let times = if *count > 1 { format!(" (×{count})") } else { String::new() };
            text += &format!("{name}{times}: {why}\n");
        }
    }
    print!("{text}");
    told
}

/// A verdict in words.
fn describe(plan: &Plan, verdict: &Verdict) -> String {
    match verdict {
        Verdict::Cached { run } if run.is_empty() => "its result is in the cache".into(),
        Verdict::Cached { run } => format!("its result is in the cache, made by run {run}"),
        Verdict::WouldRun { because } => format!("would run: {}", because.join("; ")),
        Verdict::Missing => "its result is not in the cache, and `--only` does not compute it".into(),
        Verdict::Unasked => "not asked for".into(),
        Verdict::Depends { on } if on.len() > 3 => {
            format!("would run if the result of {} or {} others changes", plan.label(on[0]), on.len() - 1)
        }
        Verdict::Depends { on } => {
            let on = on.iter().map(|task| plan.label(*task)).collect::<Vec<_>>().join(", ");
            format!("would run if the result of {on} changes")
        }
    }
}
