//! `neuroflow get`: any result of any run, as a file.

use super::{Place, of_the_field};
use crate::arguments::{FileForm, Get};
use crate::exit::{Exit, Failure};
use crate::meant;
use neuroflow_data::export::export;
use neuroflow_data::{Artifact, Kind, Payload, Recording, Typed};
use neuroflow_engine::record::Results;
use neuroflow_engine::session::Session;
use neuroflow_formats::write::{Form, artifact_bytes, brainvision};
use neuroflow_report::figures::figures;
use std::io::Write;
use std::path::{Path, PathBuf};

pub(crate) fn get(place: &Place, get: &Get) -> Result<Exit, Failure> {
    let session = place.session()?;
    let Some(known) = meant::run_or_kept(&session, &get.run, None)? else {
        return Err(Failure::could_not_start(format!("nothing ran at `{}` yet", get.run)));
    };
    let (rows, results) = known.results(&session)?;
    let record = &known.record;
    let elsewhere = |what: String| {
        let name = known.kept.as_ref().map_or(record.id.as_str(), |(name, _)| name);
        Failure::could_not_start(what).with_help(format!("`neuroflow run --at {name}` computes what it gave"))
    };
    if known.kept.is_some() && results.is_empty() {
        return Err(elsewhere(format!("run {} is known by its scores alone: its results are not in this cache", record.id)));
    }
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
        let kept = known.kept.as_ref().and_then(|(_, kept)| kept.results.get(step)?.first());
        row.and_then(|row| row.outputs.first()).map(|(name, ..)| name.clone()).or_else(|| kept.map(|one| one.output.clone()))
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
    if known.kept.is_some() && !session.cache.contains(digest) {
        return Err(elsewhere(format!("`{step}.{name}` of run {} is not in this cache", record.id)));
    }
    let artifact = session.artifact(*kind, digest).map_err(Failure::could_not_start)?;
    let of_the_field = || get.out.file_name().and_then(|name| Form::of_file(name.to_str()?)).map(FileForm::OfTheField);
    let by_ending = || get.out.extension().and_then(|ending| ending.to_str()).and_then(|ending| ending.parse::<FileForm>().ok());
    let by_name = || of_the_field().or_else(by_ending);
    if let Some(form @ (FileForm::Svg | FileForm::Png)) = get.format.or_else(by_name) {
        let beside = partitions(&session, &results, step);
        let further = (default().as_ref() != Some(&name)).then_some(name.as_str());
        let pictures = pictures(&artifact, further, &beside, form)?;
        if pictures.is_empty() {
            let failure = Failure::could_not_start(format!("`{step}.{name}` is a {kind} that no figure is drawn of"));
            return Err(failure.with_help("`--as csv` or json gives its values"));
        }
        return write_pictures(&pictures, &get.out, &format!("{step}.{name} of run {}", record.id));
    }
    if get.format.or_else(by_name) == Some(FileForm::BrainVision) {
        return write_brainvision(&artifact, &get.out, &format!("{step}.{name} of run {}", record.id));
    }
    // A File is its bytes, whatever it is called.
    let (bytes, form) = match (artifact.payload(), get.format.or_else(by_name)) {
        (Payload::Bytes(bytes), _) => (bytes.to_vec(), "as it is".to_owned()),
        (_, Some(FileForm::OfTheField(form))) => {
            let facts = of_the_field::facts(&session, record, &rows, step, &name, digest);
            let name = step.replace(['[', ']', '"', '/', '.'], "_");
            let written = artifact_bytes(form, name.trim_matches('_'), &artifact, &facts).map_err(|error| {
                Failure::could_not_start(format!("`{step}.{}` can't be written: {}", error.place, error.reason)).with_help(error.help)
            })?;
            (written, format!("as {form}"))
        }
        (_, Some(FileForm::Values(format))) => (export(&artifact, format).map_err(Failure::could_not_start)?, format!("as {format}")),
        (_, _) => {
            let failure = Failure::could_not_start("the file format is not known");
            return Err(failure.with_help("add `--as npy`, csv, parquet, arrow, json, nwb, nifti, brainvision, svg or png"));
        }
    };
    let written = if get.out.as_os_str() == "-" { std::io::stdout().write_all(&bytes) } else { std::fs::write(&get.out, &bytes) };
    written.map_err(|error| Failure::could_not_start(format!("{}: {error}", get.out.display())))?;
    if get.out.as_os_str() != "-" {
        eprintln!("{step}.{name} of run {}: a {kind}, {form} in {}", record.id, get.out.display());
    }
    Ok(Exit::Done)
}

/// Partitions of the same member: matrices are drawn in their order.
fn partitions(session: &Session, results: &Results, step: &str) -> Vec<Artifact> {
    let member = step.find('[').and_then(|at| step.get(at..)).unwrap_or_default();
    let same = results.iter().filter(|(name, _)| name.find('[').and_then(|at| name.get(at..)).unwrap_or_default() == member);
    let of_kind = same.flat_map(|(_, outputs)| outputs.values()).filter(|(kind, _)| *kind == Kind::Communities);
    of_kind.filter_map(|(kind, digest)| session.artifact(*kind, digest).ok()).collect()
}

/// The figures of a result as the bytes of files.
fn pictures(artifact: &Artifact, further: Option<&str>, beside: &[Artifact], form: FileForm) -> Result<Vec<Vec<u8>>, Failure> {
    let beside: Vec<&Artifact> = beside.iter().collect();
    let figures = figures(artifact, further, &beside).map_err(Failure::could_not_start)?;
    if form == FileForm::Svg {
        return Ok(figures.iter().map(|figure| figure.drawing.svg().into_bytes()).collect());
    }
    let font = if figures.is_empty() { Vec::new() } else { crate::report::figures::font()? };
    figures.iter().map(|figure| crate::report::figures::png(&figure.drawing, &font)).collect()
}

/// Writes a recording: the header as named, markers and samples beside it.
fn write_brainvision(artifact: &Artifact, out: &Path, what: &str) -> Result<Exit, Failure> {
    let stem = out.file_stem().and_then(|stem| stem.to_str()).filter(|_| out.extension().is_some_and(|ending| ending == "vhdr"));
    let Some(stem) = stem else {
        let failure = Failure::could_not_start(format!("{} is no name of a BrainVision header", out.display()));
        return Err(failure.with_help("BrainVision is three files that name each other: write `--out NAME.vhdr`"));
    };
    if artifact.kind() != Kind::Recording {
        let failure = Failure::could_not_start(format!("`{what}` is a {}, and BrainVision holds recordings", artifact.kind()));
        return Err(failure.with_help("`--as nwb` takes it, or npy and csv its values"));
    }
    let recording = Recording::from_artifact(artifact).map_err(Failure::could_not_start)?;
    let files = brainvision::recording(stem, &recording)
        .map_err(|error| Failure::could_not_start(format!("`{what}` can't be written: {}", error.reason)).with_help(error.help))?;
    // Whoever names a header that is there means the three of them; without it, what lies there belongs to something else.
    let taken = [".vmrk", ".eeg"].map(|ending| out.with_file_name(format!("{stem}{ending}"))).into_iter().find(|place| place.exists());
    if let Some(taken) = taken.filter(|_| !out.exists()) {
        let failure = Failure::could_not_start(format!("{} is there already, and no header beside it", taken.display()));
        return Err(failure.with_help("BrainVision is three files: choose another name"));
    }
    for (ending, bytes) in files.all() {
        let place = out.with_file_name(format!("{stem}{ending}"));
        std::fs::write(&place, bytes).map_err(|error| Failure::could_not_start(format!("{}: {error}", place.display())))?;
    }
    eprintln!("{what}: a Recording, as brainvision in {} (with .vmrk and .eeg)", out.display());
    Ok(Exit::Done)
}

/// Writes figures: the first as named, further ones beside it with a number.
fn write_pictures(pictures: &[Vec<u8>], out: &Path, what: &str) -> Result<Exit, Failure> {
    if out.as_os_str() == "-" {
        let first = pictures.first().map(Vec::as_slice).unwrap_or_default();
        return std::io::stdout().write_all(first).map(|()| Exit::Done).map_err(Failure::could_not_start);
    }
    let place = |number: usize| match number {
        0 => out.to_path_buf(),
        _ => numbered(out, number + 1),
    };
    for (number, bytes) in pictures.iter().enumerate() {
        let place = place(number);
        std::fs::write(&place, bytes).map_err(|error| Failure::could_not_start(format!("{}: {error}", place.display())))?;
        eprintln!("{what}: a figure in {}", place.display());
    }
    Ok(Exit::Done)
}

fn numbered(out: &Path, number: usize) -> PathBuf {
    let stem = out.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let ending = out.extension().map_or_else(String::new, |ending| format!(".{}", ending.to_string_lossy()));
    out.with_file_name(format!("{stem}-{number}{ending}"))
}
