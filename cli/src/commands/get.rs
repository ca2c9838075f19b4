//! `neuroflow get`: any result of any run, as a file.

use super::Place;
use crate::arguments::Get;
use crate::exit::{Exit, Failure};
use neuroflow_data::Payload;
use neuroflow_data::export::{ExportFormat, export};
use neuroflow_engine::record::results;
use std::io::Write;

pub(crate) fn get(place: &Place, get: &Get) -> Result<Exit, Failure> {
    let session = place.session()?;
    let record = session.read(&get.run).map_err(Failure::could_not_start)?;
    let rows = session.rows(&record).map_err(Failure::could_not_start)?;
    let results = results(&rows);
    // `step["a"].output`: the part after the last point is an output, unless the point stands in a member's name.
    let whole = results.get(&get.what).map(|outputs| (get.what.as_str(), None, outputs));
    let split = || {
        let (step, output) = get.what.rsplit_once('.')?;
        results.get(step).map(|outputs| (step, Some(output), outputs))
    };
    let Some((step, output, outputs)) = whole.or_else(split) else {
        let near = neuroflow_stage::nearest(&get.what, results.keys().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
        let family = format!("{}[", get.what);
        if let Some(member) = results.keys().find(|name| name.starts_with(&family)) {
            let failure = Failure::could_not_start(format!("`{}` is a family of steps; one member is one file", get.what));
            return Err(failure.with_help(format!("take a member, for example `{member}`")));
        }
        let list = results.keys().take(12).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let failure = Failure::could_not_start(format!("run {} has no step `{}`", record.id, get.what));
        return Err(failure.with_help(near.unwrap_or_else(|| format!("it has {list}"))));
    };
    let default = || {
        let row = rows.iter().find(|row| row.label == step);
        row.and_then(|row| row.outputs.first()).map(|(name, ..)| name.clone())
    };
    let only = || if outputs.len() == 1 { outputs.keys().next().cloned() } else { None };
    let name = output.map(str::to_owned).or_else(default).or_else(only).unwrap_or_default();
    if outputs.is_empty() {
        let failure = Failure::could_not_start(format!("`{step}` gave nothing in run {}: it failed, or did not run", record.id));
        return Err(failure.with_help(format!("`neuroflow show {}` says why; `--run` takes another run", record.id)));
    }
    let Some((kind, digest)) = outputs.get(&name) else {
        let list = outputs.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let message = format!("`{step}` of run {} has no output `{name}`", record.id);
        return Err(Failure::could_not_start(message).with_help(format!("it has {list}")));
    };
    let artifact = session.artifact(*kind, digest).map_err(Failure::could_not_start)?;
    let by_name = || get.out.extension().and_then(|ending| ending.to_str()).and_then(|ending| ending.parse::<ExportFormat>().ok());
    // A File is its bytes, whatever it is called.
    let (bytes, form) = match (artifact.payload(), get.format.or_else(by_name)) {
        (Payload::Bytes(bytes), _) => (bytes.to_vec(), "as it is".to_owned()),
        (_, Some(format)) => (export(&artifact, format).map_err(Failure::could_not_start)?, format!("as {format}")),
        (_, None) => {
            let failure = Failure::could_not_start("the file format is not known");
            return Err(failure.with_help("add `--as npy`, csv, parquet, arrow or json"));
        }
    };
    let written = if get.out.as_os_str() == "-" { std::io::stdout().write_all(&bytes) } else { std::fs::write(&get.out, &bytes) };
    written.map_err(|error| Failure::could_not_start(format!("{}: {error}", get.out.display())))?;
    if get.out.as_os_str() != "-" {
        eprintln!("{step}.{name} of run {}: a {kind}, {form} in {}", record.id, get.out.display());
    }
    Ok(Exit::Done)
}
