//! `neuroflow keep`: a run as a small text beside the pipelines, so that a clone of the repository knows its scores.

use super::Place;
use crate::arguments::history::Keep;
use crate::exit::{Exit, Failure};
use crate::meant;
use neuroflow_agent::escape_line;
use neuroflow_engine::kept;
use neuroflow_engine::session::SessionError;
use std::path::Path;

pub(crate) fn keep(place: &Place, keep: &Keep) -> Result<Exit, Failure> {
    if keep.list {
        return list();
    }
    let session = place.session()?;
    let Some(known) = meant::run_or_kept(&session, &keep.run, None)? else {
        return Err(Failure::could_not_start(format!("nothing ran at `{}` yet", keep.run)));
    };
    let record = &known.record;
    // Of a run whose tasks are not in the cache, or no longer, the scores are kept all the same.
    let results = match (session.rows(record), &known.kept) {
        (Ok(rows), _) => kept::small_results(&rows),
        (Err(SessionError::Gone { .. }), known) => known.as_ref().map(|(_, kept)| kept.results.clone()).unwrap_or_default(),
        (Err(error), _) => return Err(Failure::could_not_start(error)),
    };
    let name = keep.tag.as_deref().unwrap_or(&record.id);
    let path = kept::keep(Path::new("."), name, keep.note.as_deref().unwrap_or_default(), record, results).map_err(|error| {
        let taken = matches!(error, kept::KeptError::Taken(..));
        let failure = Failure::could_not_start(error);
        if taken { failure.with_help("choose another `--tag`, or remove the file if that run is no longer wanted") } else { failure }
    })?;
    // What is told of it is worth little when it can't be looked at.
    let is_here = session.read(&record.id).is_ok();
    let pinned = is_here && session.cache.pin(&record.id).map_err(Failure::could_not_start)?;
    let also = if pinned { ", and its results are pinned in this cache" } else { "" };
    println!(
        "run {} is kept as {}{also}; `git add {}` takes it into the repository",
        record.id,
        name,
        path.strip_prefix(".").unwrap_or(&path).display()
    );
    if record.revision.as_ref().is_some_and(|at| at.dirty) {
        println!("note: it ran with changes that no commit has");
    }
    Ok(Exit::Done)
}

fn list() -> Result<Exit, Failure> {
    let (found, wrong) = kept::all(Path::new("."));
    for error in &wrong {
        eprintln!("warning: {error}");
    }
    if found.is_empty() {
        println!("no run is kept here; `neuroflow keep latest --tag NAME` keeps one");
    }
    for (name, kept) in &found {
        let at = kept.run.revision.as_ref().map_or_else(String::new, |at| format!("  {}", at.short()));
        println!("{}", escape_line(&format!("{name}  {}  {}{at}  {}", kept.run.id, kept.run.pipeline, kept.note)));
    }
    Ok(Exit::Done)
}
