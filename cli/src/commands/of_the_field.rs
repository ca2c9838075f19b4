//! What a file of NWB says of itself when a result is written as one: the pipeline, where the values come from, and when the recording began.
//!
//! Nothing is of the run that happened to compute the result, so that equal results give equal files. NWB wants three moments in each file:
//!
//! | moment | what it is |
//! |---|---|
//! | `session_start_time` | when the recording began that the result was computed from, as its file says; one without a time zone is taken as universal time |
//! | `timestamps_reference_time` | that of an NWB file that the result was computed from; the session's start otherwise |
//! | `file_create_date` | [`UNKNOWN`] |
//!
//! Where no recording says when it began, or several began at different moments, the session's start is [`UNKNOWN`] too, and the description says so.

use neuroflow_data::{Artifact, Kind, Payload};
use neuroflow_engine::Digest;
use neuroflow_engine::record::{RunRecord, TaskRow};
use neuroflow_engine::session::Session;
use neuroflow_formats::write::nwb::{Facts, is_moment};
use neuroflow_formats::{Opened, Options, Source};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The moment that stands where none is known.
const UNKNOWN: &str = "1970-01-01T00:00:00Z";

/// The facts of a result of a run: the output of a step, and its content.
pub(crate) fn facts(session: &Session, record: &RunRecord, rows: &[TaskRow], step: &str, output: &str, content: &Digest) -> Facts {
    let row = rows.iter().position(|row| row.label == step);
    let key = row.and_then(|row| rows.get(row)).map(|row| key(session, row)).unwrap_or_default();
    let mut provenance = vec![
        ("result".to_owned(), content.to_string()),
        ("step".to_owned(), format!("{step}.{output}")),
        ("neuroflow".to_owned(), record.neuroflow.clone()),
    ];
    provenance.extend(record.revision.as_ref().map(|at| ("commit".to_owned(), at.marked())));
    provenance.extend(key["stage"].as_str().map(|stage| ("stage".to_owned(), stage.to_owned())));
    provenance.extend(key["version"].as_u64().map(|version| ("version".to_owned(), version.to_string())));
    for (what, of) in [("parameter", "params"), ("input", "inputs")] {
        let fields = key[of].as_object().into_iter().flatten();
        provenance.extend(fields.filter_map(|(name, value)| Some((format!("{what} {name}"), value.as_str()?.to_owned()))));
    }
    let text = session.cache.get_whole(&record.source).ok().flatten();
    let text = text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let name = record.pipeline_file().file_name().map_or_else(|| "pipeline.nf".to_owned(), |name| name.to_string_lossy().into_owned());
    let began = row.and_then(|row| began(session, rows, row));
    let not_known = if began.is_none() { "; when the session began is not known" } else { "" };
    let (start, reference) = began.unwrap_or_else(|| (UNKNOWN.to_owned(), None));
    Facts {
        session_description: format!("derived by the pipeline {}: {step}.{output}{not_known}", record.pipeline),
        identifier: format!("{content} {step}.{output}"),
        session_start_time: start,
        timestamps_reference_time: reference,
        file_create_date: UNKNOWN.to_owned(),
        script: (!text.is_empty()).then_some((name, text)),
        generated_by: vec![("neuroflow".into(), record.neuroflow.clone())],
        provenance,
        ..Facts::default()
    }
}

/// What a task was known by.
fn key(session: &Session, row: &TaskRow) -> Value {
    row.key.and_then(|key| session.cache.recorded(&key)).map(|known| known.summary["key"].clone()).unwrap_or_default()
}

/// When a session began, and the moment of its time 0 where that is another one.
type Began = (String, Option<String>);

/// When the recordings began that a row was computed from, where all that say so agree.
fn began(session: &Session, rows: &[TaskRow], row: usize) -> Option<Began> {
    // What a task takes and no other gave came in with an input: a file, or a folder of files, which the record lists one by one.
    let made: BTreeSet<&Digest> = rows.iter().flat_map(|row| &row.outputs).map(|(_, _, content, _)| content).collect();
    let (mut waiting, mut seen) = (vec![row], BTreeSet::from([row]));
    let (mut looked_at, mut found) = (BTreeSet::new(), None);
    while let Some(row) = waiting.pop().and_then(|row| rows.get(row)) {
        waiting.extend(row.needs.iter().copied().filter(|needed| seen.insert(*needed)));
        let takes = key(session, row);
        let takes = takes["inputs"].as_object().into_iter().flatten().filter_map(|(_, content)| content.as_str()?.parse::<Digest>().ok());
        for content in takes.filter(|content| !made.contains(content)) {
            let began = if looked_at.insert(content) { of_file(session, &content) } else { None };
            match (&found, began) {
                (Some(known), Some(began)) if *known != began => return None,
                (_, Some(began)) => found = Some(began),
                (_, None) => {}
            }
        }
    }
    found
}

/// When the recording in a file began.
fn of_file(session: &Session, content: &Digest) -> Option<Began> {
    let opened = [Kind::File, Kind::Dir].into_iter().find_map(|kind| opened(&session.artifact(kind, content).ok()?))?;
    let facts = &opened.contents().facts;
    // What a file has without a time zone is written as universal time.
    let moment = |name: &str| facts.get(name).and_then(|text| [text.clone(), format!("{text}Z")].into_iter().find(|text| is_moment(text)));
    let start = moment("session_start_time").or_else(|| moment("start"))?;
    let reference = moment("timestamps_reference_time").filter(|reference| *reference != start);
    Some((start, reference))
}

fn opened(artifact: &Artifact) -> Option<Opened> {
    let options = Options::default();
    match artifact.payload() {
        Payload::Bytes(bytes) => neuroflow_formats::open(Arc::new(bytes.clone()) as Arc<dyn Source>, &options).ok(),
        Payload::Tree(tree) => neuroflow_formats::open_folder(Arc::new(tree.clone()), &options).ok(),
        Payload::Batch(_) => None,
    }
}
