//! What a word of the command line means: a run, the latest run of a revision, or the pipeline as it is now.

use crate::commands::data::runtime;
use crate::commands::source::{Source, told};
use crate::exit::{Exit, Failure};
use neuroflow_cache::CacheError;
use neuroflow_dsl::diagnostics::has_errors;
use neuroflow_engine::difference::Side;
use neuroflow_engine::files::Revision;
use neuroflow_engine::foreseen::foreseen;
use neuroflow_engine::git;
use neuroflow_engine::home;
use neuroflow_engine::kept::{self, Kept};
use neuroflow_engine::latest::{LATEST, NEWEST};
use neuroflow_engine::record::{Counts, Results, RunRecord, TaskRow, results};
use neuroflow_engine::session::{Purpose, Session, SessionError};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The pipeline as it is now.
pub(crate) const NOW: &str = ".";

/// What was meant.
pub(crate) struct Meant {
    /// In words: `run 2026… of mouse_v1, commit 1a2b3c4d5e`.
    pub(crate) title: String,
    /// The pipeline's text; empty when it is no longer in the cache.
    pub(crate) text: String,
    /// Whether its tasks are known, and not only its scores.
    pub(crate) is_known: bool,
    /// The run, when there was one.
    pub(crate) record: Option<RunRecord>,
    /// What was, or would be, computed.
    pub(crate) side: Side,
}

/// A run that somebody made: of this cache, or one that the project keeps.
pub(crate) struct Known {
    pub(crate) record: RunRecord,
    /// The name that it is kept under, and what is kept, where this cache does not have it.
    pub(crate) kept: Option<(String, Kept)>,
}

impl Known {
    /// The tasks of the run, and what its steps gave. Of a run that is kept and not in this cache the results alone are known, by their digests.
    pub(crate) fn results(&self, session: &Session) -> Result<(Vec<TaskRow>, Results), Failure> {
        match (session.rows(&self.record), &self.kept) {
            (Ok(rows), _) => {
                let results = results(&rows);
                Ok((rows, results))
            }
            (Err(SessionError::Gone { .. }), Some((_, kept))) => Ok((Vec::new(), kept.results())),
            (Err(error), _) => Err(Failure::could_not_start(error)),
        }
    }
}

/// A run of this cache by its id, `latest` or `newest`; otherwise why there is none.
pub(crate) fn cached(session: &Session, word: &str) -> Result<Result<RunRecord, String>, Failure> {
    match session.read(word) {
        Ok(record) => Ok(Ok(record)),
        Err(SessionError::Cache(CacheError::NoSuchRun(unknown))) => Ok(Err(unknown)),
        Err(error) => Err(Failure::could_not_start(error)),
    }
}

/// A run that the project keeps, by its name or the beginning of its id.
pub(crate) fn kept(session: &Session, word: &str) -> Result<Option<Known>, Failure> {
    let found = kept::find(Path::new("."), word).map_err(Failure::could_not_start)?;
    // The cache's own record of it knows more.
    Ok(found.map(|(name, kept)| match session.read(&kept.run.id) {
        Ok(record) => Known { record, kept: None },
        Err(_) => Known { record: kept.run.clone(), kept: Some((name, kept)) },
    }))
}

/// A run by its id, or by a revision that has one.
pub(crate) fn run(session: &Session, word: &str, file: Option<&Path>) -> Result<Option<RunRecord>, Failure> {
    Ok(run_or_kept(session, word, file)?.map(|known| known.record))
}

/// As [`run`], and whether only the project knows it.
pub(crate) fn run_or_kept(session: &Session, word: &str, file: Option<&Path>) -> Result<Option<Known>, Failure> {
    let unknown = match cached(session, word)? {
        Ok(record) => return Ok(Some(Known { record, kept: None })),
        Err(unknown) => unknown,
    };
    if let Some(known) = kept(session, word)? {
        return Ok(Some(known));
    }
    if word == LATEST || word == NEWEST {
        return Err(Failure::could_not_start(unknown));
    }
    let revision = Revision::open(file.unwrap_or(Path::new("pipeline.nf")), word).map_err(|error| {
        // Digits that several runs begin with are meant for a run.
        if word.len() >= 4 && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
            return Failure::could_not_start(&unknown);
        }
        let failure = Failure::could_not_start(format!("`{word}` is no run, and no revision: {error}"));
        let lists = "`neuroflow runs` lists runs, `git log --oneline` commits; `.` is the pipeline as it is now";
        failure.with_help(error.help.map_or_else(|| lists.to_owned(), |help| format!("{help}; {lists}")))
    })?;
    // A revision may have runs of several pipelines.
    let path = file.and_then(|file| revision.path_of(file));
    let is_meant = |run: &AtRevision| {
        let at = run.revision.as_ref().filter(|at| at.commit == revision.commit && !at.dirty);
        at.is_some_and(|at| path.is_none() || at.file.is_none() || at.file == path)
    };
    let found = session.all_that(is_meant);
    let files: BTreeSet<&str> = found.iter().map(|run| run.file.as_str()).collect();
    if files.len() > 1 {
        let one = |file: &&str| found.iter().find(|run| run.file == *file).map(|run| format!("{} of {file}", run.id));
        let list = files.iter().filter_map(one).collect::<Vec<_>>().join(", ");
        let failure = Failure::could_not_start(format!("several pipelines ran at `{word}`"));
        return Err(failure.with_help(format!("name a run by its id: {list}")));
    }
    // What stands for a revision is a run of all that its pipeline says, as it says it; the latest of them.
    let Some(run) = found.iter().find(|run| run.special().is_none()).or(found.first()) else { return Ok(None) };
    if let Some(special) = run.special() {
        eprintln!("note: the only runs at `{word}` are special ones; {} is taken, which {special}", run.id);
    }
    cached(session, &run.id).map(|found| found.ok().map(|record| Known { record, kept: None }))
}

/// What is asked of a run to know whether it can stand for a revision.
#[derive(Deserialize)]
struct AtRevision {
    id: String,
    file: String,
    revision: Option<git::Revision>,
    #[serde(default)]
    set: BTreeMap<String, String>,
    controls: bool,
    counts: Counts,
}

impl AtRevision {
    /// What makes it another run than that of the pipeline as it stands.
    fn special(&self) -> Option<String> {
        if let Some((name, value)) = self.set.iter().next() {
            return Some(format!("was made with `--set {name}={value}`"));
        }
        if !self.controls {
            return Some("was made without controls".into());
        }
        (self.counts.unasked > 0).then(|| "is of some steps only".to_owned())
    }
}

/// One side of a comparison. `file` is the pipeline, where the word does not say it.
pub(crate) fn side(session: &mut Session, word: &str, file: Option<&Path>) -> Result<Meant, Failure> {
    if word != NOW
        && let Some(record) = run(session, word, file)?
    {
        return of_run(session, record);
    }
    // The registry of data is the revision's while its pipeline is looked at, and no longer.
    let data = session.data.clone();
    let meant = planned(session, word, file);
    session.data = data;
    meant
}

/// What the pipeline as it is now, or at a revision, would compute.
fn planned(session: &mut Session, word: &str, file: Option<&Path>) -> Result<Meant, Failure> {
    let Some(file) = file else {
        let failure = Failure::could_not_start(match word {
            NOW => "it is not said which pipeline is meant by `.`".to_owned(),
            word => format!("nothing ran at `{word}` yet, and it is not said which pipeline is meant"),
        });
        return Err(failure.with_help("name it: `--pipeline FILE`"));
    };
    let (source, title) = if word == NOW {
        (Source::now(file, Vec::new())?, format!("{} as it is now", home::told(&file.display().to_string())))
    } else {
        let revision = Revision::open(file, word).map_err(told)?;
        let short = git::short(&revision.commit);
        (
            Source::at_revision(session, &revision, file, Vec::new())?,
            format!("{} at {short}, which did not run", home::told(&file.display().to_string())),
        )
    };
    let checked = source.check(&session.registry);
    if has_errors(&checked.diagnostics) {
        crate::commands::print_diagnostics(&source.shown, &source.text, &checked.diagnostics, crate::arguments::MessageFormat::Text);
        return Err(Failure::printed(Exit::WrongPipeline));
    }
    let prepared = runtime()?
        .block_on(session.prepare_with(checked.pipeline, Arc::clone(&source.files), Purpose::Plan, true, &|_, _, _| {}))
        .map_err(|error| crate::commands::run::failure(&source.shown, &source.text, error))?;
    let side = foreseen(&prepared, &session.cache).map_err(Failure::could_not_start)?;
    Ok(Meant { title, text: source.text, is_known: true, record: None, side })
}

fn of_run(session: &Session, record: RunRecord) -> Result<Meant, Failure> {
    // Of a run that another cache has, or had, the scores are known.
    let rows = match session.rows(&record) {
        Err(SessionError::Gone { .. }) => None,
        rows => Some(rows.map_err(Failure::could_not_start)?),
    };
    let is_known = rows.is_some();
    let title = if is_known { title(&record) } else { format!("{}, whose tasks are not in this cache", title(&record)) };
    let rows = rows.unwrap_or_default();
    let text = session.cache.get_whole(&record.source).ok().flatten();
    let text = text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let side = Side::of(&session.cache, &record, rows);
    Ok(Meant { title, text, is_known, side, record: Some(record) })
}

/// A run in words.
pub(crate) fn title(record: &RunRecord) -> String {
    let at = record.revision.as_ref().map_or(String::new(), |revision| {
        let changes = if revision.dirty { " with changes" } else { "" };
        format!(", commit {}{changes}", revision.short())
    });
    format!("run {} of {}{at}", record.id, record.pipeline)
}

/// A run at the head of a column: its commit where that says all, otherwise its id.
pub(crate) fn short(record: &RunRecord) -> String {
    match &record.revision {
        Some(revision) if !revision.dirty => revision.short().to_owned(),
        _ => record.id.clone(),
    }
}

/// The pipeline file that a run was of, as it lies now.
pub(crate) fn file_of(record: &RunRecord) -> PathBuf {
    record.pipeline_file()
}
