//! What a file of NWB says of itself when a result is written as one: the run, the pipeline, and where the values come from.

use neuroflow_engine::record::{RunRecord, TaskRow};
use neuroflow_engine::session::Session;
use neuroflow_formats::write::nwb::Facts;

/// The facts of a result of a run.
pub(crate) fn facts(session: &Session, record: &RunRecord, rows: &[TaskRow], step: &str, output: &str) -> Facts {
    let row = rows.iter().find(|row| row.label == step);
    let key = row.and_then(|row| row.key).and_then(|key| session.cache.recorded(&key)).map(|known| known.summary["key"].clone());
    let key = key.unwrap_or_default();
    let mut provenance = vec![
        ("run".to_owned(), record.id.clone()),
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
    Facts {
        session_description: format!("derived by the pipeline {}: {step}.{output}", record.pipeline),
        identifier: format!("{} {step}.{output}", record.id),
        session_start_time: record.started.clone(),
        file_create_date: record.started.clone(),
        script: (!text.is_empty()).then_some((name, text)),
        generated_by: vec![("neuroflow".into(), record.neuroflow.clone())],
        provenance,
        ..Facts::default()
    }
}
