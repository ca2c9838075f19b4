//! `neuroflow runs` and `neuroflow show`.

use super::Place;
use crate::amounts::duration;
use crate::exit::{Exit, Failure};
use crate::meant::{self, Known};
use neuroflow_agent::escape_line;
use neuroflow_engine::git::Revision;
use neuroflow_engine::kept::Kept;
use neuroflow_engine::record::{Counts, RunRecord, Status};

pub(crate) fn word(status: Status) -> &'static str {
    match status {
        Status::Done => "done",
        Status::ExpectFailed => "expect failed",
        Status::Failed => "failed",
        Status::Interrupted => "interrupted",
    }
}

pub(crate) fn runs(place: &Place, n: usize) -> Result<Exit, Failure> {
    let session = place.session()?;
    let ids = session.cache.runs().map_err(Failure::could_not_start)?;
    if ids.is_empty() {
        println!("no run yet; `neuroflow run pipelines/mouse_v1.nf` makes one");
    }
    for id in ids.iter().take(n) {
        match session.read(id) {
            Ok(run) => {
                let Counts { ran, cached, failed, skipped, .. } = run.counts;
                let rest = if failed + skipped > 0 { format!(", {failed} failed, {skipped} skipped") } else { String::new() };
                let commit = run.revision.as_ref().map_or("no commit".to_owned(), Revision::marked);
                let at = run.at.as_ref().map_or(String::new(), |at| format!("  --at {}", escape_line(at)));
                println!(
                    "{id}  {:<13} {:>9}  {commit:<11}  {} ({ran} ran, {cached} cached{rest}){at}",
                    word(run.status),
                    duration(run.wall_ms),
                    run.pipeline
                );
            }
            Err(error) => println!("{id}  {error}"),
        }
    }
    Ok(Exit::Done)
}

pub(crate) fn show(place: &Place, run: &str, json: bool) -> Result<Exit, Failure> {
    let session = place.session()?;
    let Some(known) = meant::run_or_kept(&session, run, None)? else {
        return Err(Failure::could_not_start(format!("nothing ran at `{run}` yet")));
    };
    if json {
        // The whole: the record, and in place of the object of its tasks the tasks and the results, where they are known.
        let (rows, results) = known.results(&session)?;
        let Known { record, kept } = &known;
        let rows = (kept.is_none() || !rows.is_empty()).then_some(rows);
        let results = (rows.is_some() || !results.is_empty()).then_some(results);
        let value = |value: serde_json::Result<serde_json::Value>| value.map_err(Failure::could_not_start);
        let mut whole = value(serde_json::to_value(record))?;
        whole["results"] = value(serde_json::to_value(results))?;
        whole["tasks"] = value(serde_json::to_value(&rows))?;
        println!("{}", serde_json::to_string_pretty(&whole).map_err(Failure::could_not_start)?);
        return Ok(Exit::Done);
    }
    let Known { record, kept } = known;
    println!("{}", escape_line(&format!("run {} of {} ({}), {}", record.id, record.pipeline, record.file, word(record.status))));
    match &kept {
        None => println!("  started {}, {} on {}", record.started, duration(record.wall_ms), record.machine),
        Some((name, Kept { note, .. })) => {
            println!("  started {}", record.started);
            let note = if note.is_empty() { String::new() } else { format!(": {note}") };
            println!("{}", escape_line(&format!("  kept as {name}{note}")));
            println!("  its results are not in this cache; `neuroflow run --at {name}` computes them");
        }
    }
    if let Some(revision) = &record.revision {
        println!("  commit {}{}", revision.commit, if revision.dirty { " with changes" } else { "" });
    }
    if let Some(at) = &record.at {
        println!("  with the files of then: --at {at}");
    }
    for input in &record.inputs {
        println!("  {}: {}", input.name, escape_line(&input.taken));
    }
    let Counts { ran, cached, failed, skipped, .. } = record.counts;
    println!("  {ran} tasks ran, {cached} cached, {failed} failed, {skipped} skipped");
    for remark in &record.remarks {
        println!("  note: {}", escape_line(remark));
    }
    print_scores(&record);
    print_expects(&record);
    for (name, path) in &record.reports {
        println!("report {name}: {path}");
    }
    Ok(Exit::Done)
}

/// The score lines of a run, with what is to be known of each.
pub(crate) fn print_scores(record: &RunRecord) {
    for (step, scores) in &record.scores {
        for score in scores {
            println!("{}: {score}", escape_line(step));
            score.notes.iter().for_each(|note| println!("  {}", escape_line(note)));
        }
    }
}

/// The expectations of a run.
pub(crate) fn print_expects(record: &RunRecord) {
    for expect in &record.expects {
        let word = match expect.holds {
            Some(true) => "holds",
            Some(false) => "does not hold",
            None => "not decided",
        };
        println!("expect {}: {word} ({})", expect.condition, expect.numbers);
        if expect.holds == Some(false) && !expect.message.is_empty() {
            println!("  {}", expect.message);
        }
    }
}
