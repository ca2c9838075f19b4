//! `neuroflow keep`: a run as a small text beside the pipelines, so that a clone of the repository knows its scores.

use super::Place;
use super::cite::citations;
use crate::arguments::history::Keep;
use crate::exit::{Exit, Failure};
use crate::meant::{self, Known};
use neuroflow_agent::escape_line;
use neuroflow_engine::kept::{self, Kept};
use neuroflow_engine::session::{Session, SessionError};
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
    let text = in_short(&session, &known, keep.note.as_deref().unwrap_or_default())?;
    let name = keep.tag.as_deref().unwrap_or(&record.id);
    let path = kept::keep(Path::new("."), name, text).map_err(|error| {
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
        println!("note: it ran with changes that no commit has, so a clone can compare its scores, and not run it again");
    }
    Ok(Exit::Done)
}

/// What is kept of a run. Where its tasks are not in the cache, or no longer, the scores are kept all the same.
pub(super) fn in_short(session: &Session, known: &Known, note: &str) -> Result<Kept, Failure> {
    let short = Kept::of(&known.record, note);
    match (session.rows(&known.record), &known.kept) {
        (Ok(rows), _) => {
            let cited = citations(session, &known.record)?;
            let methods = cited.methods.iter().map(|one| one.key.to_owned()).collect();
            Ok(Kept { results: kept::small_results(&rows), methods, programs: cited.programs, ..short })
        }
        (Err(SessionError::Gone { .. }), Some((_, kept))) => Ok(Kept { note: short.note, ..kept.clone() }),
        (Err(SessionError::Gone { .. }), None) => Ok(short),
        (Err(error), _) => Err(Failure::could_not_start(error)),
    }
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
