//! A run as a derivative dataset of BIDS (BIDS 1.10, "Common principles: Derived dataset and pipeline description"): results by subject, called after the
//! recordings that they were computed from, each with a JSON that says what it is and where it comes from.
//!
//! The specification has names for few derived files. All others are called in its manner and named in `.bidsignore`, as it wants it.

mod form;
mod name;
mod origin;
mod participants;

use crate::arguments::history::Export;
use crate::commands::{cite, of_the_field};
use crate::exit::Failure;
use crate::meant;
use crate::ro_crate::{Given, Performed, performed, plain};
use form::{Laid, laid};
use name::{Spot, desc};
use neuroflow_agent::escape_line;
use neuroflow_data::Kind;
use neuroflow_engine::Digest;
use neuroflow_engine::record::{RunRecord, TaskRow};
use neuroflow_engine::session::Session;
use origin::{Origins, Recording, Tree, taken};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

/// The version of the specification that names and descriptions keep to.
const BIDS: &str = "1.10.0";

/// A run that is being laid out.
struct Dataset<'a> {
    session: &'a Session,
    record: &'a RunRecord,
    rows: &'a [TaskRow],
    trees: Vec<Tree>,
    recordings: Vec<Recording>,
    /// What each tree is called in addresses, and where it lies.
    links: Vec<(String, Option<String>)>,
    root: &'a Path,
    /// Every file by its path in lower case, with what it is: some file systems do not tell `A` from `a`.
    files: BTreeMap<String, String>,
    /// What the specification has no name for.
    ignored: BTreeSet<String>,
    subjects: BTreeSet<String>,
}

/// Writes a run into the folder `root`, which will be `out`; gives what was written, in words.
///
/// # Errors
/// When the run took nothing from a BIDS tree, two results would have one name, or the disk refuses.
pub(crate) fn write(session: &Session, record: &RunRecord, export: &Export, root: &Path) -> Result<String, Failure> {
    let rows = session.rows(record).map_err(Failure::could_not_start)?;
    let (trees, recordings) = taken(record);
    if recordings.is_empty() {
        let inputs = record.inputs.iter().map(|input| format!("`{}` is {}", input.name, input.taken)).collect::<Vec<_>>();
        let inputs = if inputs.is_empty() { "it has no inputs".to_owned() } else { inputs.join(", ") };
        let failure = Failure::could_not_start(format!("run {} took no recording from a BIDS tree: {inputs}", record.id));
        let help = "such an input is `input runs = bids(\"FOLDER\", subject = all)`; `neuroflow export` without `--as bids` takes any run";
        return Err(failure.with_help(help));
    }
    let recorded = |key: &Digest| {
        let known = session.cache.recorded(key)?;
        Some((known.summary["key"].clone(), known.started_unix_ms, known.wall_ms))
    };
    let performed = performed(&rows, recorded);
    let links = links(session, &trees, &export.out);
    let mut dataset = Dataset {
        session,
        record,
        rows: &rows,
        trees,
        recordings,
        links,
        root,
        files: BTreeMap::new(),
        ignored: BTreeSet::new(),
        subjects: BTreeSet::new(),
    };
    let origins = Origins::of(&rows, &performed, &dataset.recordings);
    let mut written: HashMap<(&str, Digest), String> = HashMap::new();
    let (mut count, mut left_out) = (0, 0);
    // Programs name their file themselves; its ending says what it is.
    let files: HashMap<&str, String> = rows
        .iter()
        .filter_map(|row| Some((row.label.as_str(), session.cache.recorded(&row.key?)?.summary["key"]["file"].as_str()?.to_owned())))
        .collect();
    for one in &performed {
        for (position, given) in one.gives.iter().enumerate() {
            if given.size > export.largest_mb.saturating_mul(1 << 20) {
                left_out += 1;
                continue;
            }
            let behind = origins.behind(&one.label);
            let file = files.get(one.label.as_str()).map(String::as_str);
            match dataset.result(one, given, position, &behind, file, &sources(one, &origins, &written, &dataset))? {
                Some(path) => {
                    written.insert((one.label.as_str(), given.digest), path);
                    count += 1;
                }
                None => left_out += 1,
            }
        }
    }
    let title = dataset.code()?;
    dataset.of_all()?;
    dataset.describe(&title, &export.licence)?;
    let mut told = format!("run {} as a derivative dataset of BIDS: {count} results", record.id);
    if left_out > 0 {
        told += &format!(", without {left_out} that are larger than {} MB (`--largest-mb`) or no longer in the cache", export.largest_mb);
    }
    for (name, _) in dataset.links.iter().filter(|(_, link)| link.is_none()) {
        told += &format!(", without saying where `{name}` lies, which would tell of this machine");
    }
    Ok(format!("{told},"))
}

/// What a step's result was made of: results of this dataset, and files of trees.
fn sources(one: &Performed, origins: &Origins<'_>, written: &HashMap<(&str, Digest), String>, dataset: &Dataset<'_>) -> BTreeSet<String> {
    let raw = |recording: &usize| {
        let recording = &dataset.recordings[*recording];
        format!("bids:{}:{}", dataset.links[recording.tree].0, recording.file.path)
    };
    let mut sources: BTreeSet<String> = origins.direct(&one.label).iter().map(raw).collect();
    for needed in origins.needs(&one.label) {
        let own: Vec<String> =
            one.takes.iter().filter_map(|digest| written.get(&(needed, *digest))).map(|path| format!("bids::{path}")).collect();
        if own.is_empty() {
            // What is not here was made of these.
            sources.extend(origins.behind(needed).iter().map(raw));
        }
        sources.extend(own);
    }
    sources
}

impl Dataset<'_> {
    /// Writes one result with its JSON; gives its path, or none when it is no longer in the cache.
    fn result(
        &mut self,
        one: &Performed,
        given: &Given,
        position: usize,
        behind: &BTreeSet<usize>,
        file: Option<&str>,
        sources: &BTreeSet<String>,
    ) -> Result<Option<String>, Failure> {
        let step = format!("{}.{}", one.label, given.output);
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == given.kind) else { return Ok(None) };
        let Ok(artifact) = self.session.artifact(kind, &given.digest) else { return Ok(None) };
        let own: Vec<&Recording> = behind.iter().filter_map(|at| self.recordings.get(*at)).collect();
        let spot = Spot::of(&own);
        let desc = desc(&one.label, &own, (position > 0).then_some(given.output.as_str()));
        let facts = || of_the_field::facts(self.session, self.record, self.rows, &one.label, &given.output, &given.digest);
        let called = |suffix: &str| spot.stem(&desc, suffix).rsplit('/').next().unwrap_or_default().to_owned();
        let Laid { suffix, files, about, channels } = laid(&artifact, &given.output, &spot.datatype, &desc, &called, &facts, file)
            .map_err(|reason| Failure::could_not_start(format!("`{}` can't be written: {reason}", escape_line(&step))))?;
        if spot.is_of_subject() {
            self.subjects.extend(spot.folder.split('/').next().map(str::to_owned));
        }
        let stem = spot.stem(&desc, &suffix);
        // Of what is written here, the specification has names for events and EEG alone; recordings from inside the skull would need electrodes of their own.
        let has_name = suffix == "events" && !spot.datatype.is_empty() || suffix == "eeg" && channels.is_some();
        let is_known = has_name && spot.is_of_subject() && spot.has("task");
        if !is_known {
            let among = if spot.is_of_subject() { "" } else { "/" };
            // Other steps may give files of this suffix that have a name.
            let step = if matches!(suffix.as_str(), "eeg" | "events") { format!("desc-{desc}_") } else { String::new() };
            self.ignored.insert(format!("{among}*_{step}{suffix}.*"));
        }
        let sidecar = self.sidecar(one, given, &step, sources, about);
        let mut path = format!("{stem}/");
        // The first is the one to open.
        for (ending, bytes) in files.iter().rev() {
            if ending.starts_with('/') {
                self.ignored.insert(format!("*_{suffix}/"));
            } else {
                path = format!("{stem}{ending}");
            }
            self.put(&format!("{stem}{ending}"), &step, bytes)?;
        }
        self.put(&format!("{stem}.json"), &step, &pretty(&sidecar)?)?;
        if let Some(table) = channels {
            self.put(&format!("{}.tsv", spot.stem(&desc, "channels")), &step, &table)?;
        }
        Ok(Some(path))
    }

    /// What is said of a result beside it.
    fn sidecar(
        &self,
        one: &Performed,
        given: &Given,
        step: &str,
        sources: &BTreeSet<String>,
        about: Map<String, Value>,
    ) -> Map<String, Value> {
        let stage = self.session.registry.get(&one.stage).map(|stage| stage.signature());
        let said =
            stage.as_ref().and_then(|stage| stage.outputs.iter().find(|output| output.name == given.output)).map(|output| output.doc);
        let summary = stage.as_ref().map_or_else(|| "A program's file.".to_owned(), |stage| said.unwrap_or(stage.summary).to_owned());
        let mut software = json!({ "Name": "neuroflow", "Version": self.record.neuroflow, "Stage": one.stage });
        if !one.version.is_empty() {
            software["StageVersion"] = one.version.clone().into();
        }
        let mut sidecar = Map::new();
        sidecar.insert(
            "Description".into(),
            format!("{summary} (`{step}` of the pipeline {}, a {})", self.record.pipeline, given.kind).into(),
        );
        if !sources.is_empty() {
            sidecar.insert("Sources".into(), sources.iter().cloned().collect());
        }
        sidecar.insert("Software".into(), software);
        if !one.params.is_empty() {
            sidecar.insert("Parameters".into(), json!(one.params));
        }
        sidecar.insert("Run".into(), self.record.id.clone().into());
        sidecar.insert("Digest".into(), format!("blake3:{}", given.digest).into());
        sidecar.extend(about);
        sidecar
    }

    /// Writes a file that no other has the name of; `what` is whose it is.
    fn put(&mut self, path: &str, what: &str, bytes: &[u8]) -> Result<(), Failure> {
        if let Some(other) = self.files.insert(path.to_lowercase(), what.to_owned()) {
            let (one, other) = (escape_line(what), escape_line(&other));
            let failure = Failure::could_not_start(format!("`{other}` and `{one}` would both be {}", escape_line(path)));
            return Err(
                failure.with_help("names of files have letters and digits only: give one of the steps, or of the members, another name")
            );
        }
        let place = self.root.join(path);
        let folder = place.parent().unwrap_or(self.root);
        let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&place, bytes));
        written.map_err(|error| Failure::could_not_start(format!("{}: {error}", place.display())))
    }

    fn object(&self, digest: &Digest) -> Option<String> {
        let bytes = self.session.cache.get_whole(digest).ok().flatten()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The pipeline, what it uses, and the record; gives the pipeline's title.
    fn code(&mut self) -> Result<String, Failure> {
        let (record, file) = (self.record, self.record.pipeline_file());
        let name = file.file_name().map_or_else(|| "pipeline.nf".to_owned(), |name| name.to_string_lossy().into_owned());
        let gone = || Failure::could_not_start(format!("the pipeline of run {} was removed from the cache", record.id));
        let source = self.object(&record.source).ok_or_else(gone)?;
        self.put(&format!("code/{}.nf", plain(name.trim_end_matches(".nf"))), "the pipeline", source.as_bytes())?;
        for (path, digest) in &record.used {
            let text = self.object(digest).ok_or_else(gone)?;
            let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
            let path = if inside { path.replace('\\', "/") } else { format!("used/{}.nf", plain(path)) };
            self.put(&format!("code/{path}"), "a file that the pipeline uses", text.as_bytes())?;
        }
        self.put("code/run.json", "the record of the run", &pretty(&record.without_machine())?)?;
        self.put("code/scores.json", "all scores, with intervals and controls", &pretty(&record.scores)?)?;
        let checked = crate::commands::check_text(&file, &source, &[], &self.session.registry);
        Ok(checked.pipeline.title.unwrap_or_default())
    }

    /// Who took part.
    fn of_all(&mut self) -> Result<(), Failure> {
        let texts = |name: &str| -> Vec<String> { self.trees.iter().filter_map(|tree| self.object(tree.of_all.get(name)?)).collect() };
        let (tables, said) = (texts("participants.tsv"), texts("participants.json"));
        if let Some(text) = participants::participants(&tables, &self.subjects) {
            self.put("participants.tsv", "the participants", text.as_bytes())?;
            let mut described = participants::described(&said);
            for column in text.lines().next().unwrap_or_default().split('\t') {
                let known = || json!({ "Description": format!("`{column}`, as the source dataset has it") });
                described.entry(column).or_insert_with(known);
            }
            self.put("participants.json", "the participants", &pretty(&described)?)?;
        }
        Ok(())
    }

    fn describe(&mut self, title: &str, licence: &str) -> Result<(), Failure> {
        let record = self.record;
        let mut pipeline = json!({ "Name": record.pipeline, "Description": format!("run {}; the pipeline is in `code`", record.id) });
        if let Some(at) = &record.revision {
            pipeline["Version"] = at.marked().into();
        }
        let software = json!({ "Name": "neuroflow", "Version": record.neuroflow, "CodeURL": env!("CARGO_PKG_REPOSITORY") });
        let mut sources = Vec::new();
        for (tree, (name, link)) in self.trees.iter().zip(&self.links) {
            let mut source = Map::new();
            let said = description(self.session, tree);
            source.extend(link.iter().filter(|link| !link.starts_with("doi:")).map(|link| ("URL".to_owned(), link.clone().into())));
            source.extend(doi(&said).map(|doi| ("DOI".to_owned(), doi.into())));
            // Which files of it were taken, the record knows; of the whole only its description is.
            source.extend(
                tree.of_all.get("dataset_description.json").map(|digest| ("Version".to_owned(), format!("blake3:{digest}").into())),
            );
            if source.is_empty() {
                source.insert("URL".into(), format!("bids:{name}").into());
            }
            sources.push(Value::Object(source));
        }
        let links: Map<String, Value> = self.links.iter().filter_map(|(name, link)| Some((name.clone(), link.clone()?.into()))).collect();
        let citations = cite::citations(self.session, record)?;
        let cited: Vec<String> = citations.methods.iter().map(|reference| cite::in_words(reference)).collect();
        let name = if title.is_empty() { record.pipeline.clone() } else { title.to_owned() };
        let mut description = json!({
            "Name": name, "BIDSVersion": BIDS, "DatasetType": "derivative", "License": licence,
            "GeneratedBy": [software, pipeline], "SourceDatasets": sources,
        });
        if !links.is_empty() {
            description["DatasetLinks"] = links.into();
        }
        if !cited.is_empty() {
            description["ReferencesAndLinks"] = json!(cited);
        }
        self.put("dataset_description.json", "the description of the dataset", &pretty(&description)?)?;
        let names: Vec<String> = self.links.iter().map(|(name, _)| format!("`{name}`")).collect();
        let readme = format!(
            "# {name}\n\nResults of {}, computed with neuroflow {} from recordings of {}.\n\n\
             Files are called after the recordings that they come from; `desc-` is the step of the pipeline (`code`). What comes from several subjects stands at the \
             top. Each result has a JSON of the same name: what it is, what it was made of (`Sources`), with which stage and parameters. Arrays are NumPy files whose \
             axes the JSON tells, tables are tab separated.\n\n\
             `.bidsignore` names the files that the specification of BIDS has no name for. `code/scores.json` has all scores with their intervals and controls.\n",
            meant::title(record),
            record.neuroflow,
            names.join(", "),
        );
        self.put("README.md", "the readme", readme.as_bytes())?;
        if !self.ignored.is_empty() {
            let lines: String = self.ignored.iter().map(|line| format!("{line}\n")).collect();
            self.put(".bidsignore", "what is ignored", lines.as_bytes())?;
        }
        Ok(())
    }
}

/// What a tree says of itself.
fn description(session: &Session, tree: &Tree) -> Value {
    let digest = tree.of_all.get("dataset_description.json");
    let bytes = digest.and_then(|digest| session.cache.get_whole(digest).ok().flatten());
    bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// The DOI of a dataset, as BIDS writes it: `doi:10.18112/openneuro.ds000117.v1.0.6`.
fn doi(description: &Value) -> Option<String> {
    let said = description["DatasetDOI"].as_str()?.trim();
    let begin = said.find("10.")?;
    Some(format!("doi:{}", &said[begin..]))
}

/// What each tree is called in addresses, and where it lies: by its DOI, else by the way from the new dataset to it, unless that would lead through somebody's
/// home folder.
fn links(session: &Session, trees: &[Tree], out: &Path) -> Vec<(String, Option<String>)> {
    let mut names = BTreeSet::new();
    let link = |tree: &Tree| {
        let last = tree.folder.components().rev().find_map(|part| if let Component::Normal(part) = part { part.to_str() } else { None });
        let letters =
            last.unwrap_or("raw").chars().map(|letter| if letter.is_ascii_alphanumeric() || letter == '_' { letter } else { '-' });
        let mut name: String = letters.collect();
        while !names.insert(name.clone()) {
            name.push('2');
        }
        let place = || way(&std::path::absolute(out).ok()?, &std::path::absolute(&tree.folder).ok()?, std::env::home_dir().as_deref());
        (name, doi(&description(session, tree)).or_else(place))
    };
    trees.iter().map(link).collect()
}

/// The way from a folder to another; none when it leads from outside of `home` into it, and so would say what it is called.
fn way(from: &Path, to: &Path, home: Option<&Path>) -> Option<String> {
    let plain = |path: &Path| {
        let mut parts = PathBuf::new();
        for part in path.components() {
            match part {
                Component::ParentDir => drop(parts.pop()),
                Component::CurDir => {}
                other => parts.push(other),
            }
        }
        parts
    };
    let (from, to) = (plain(from), plain(to));
    let both = from.components().zip(to.components()).take_while(|(one, other)| one == other).count();
    let shared: PathBuf = to.components().take(both).collect();
    if home.is_some_and(|home| home.components().count() > 1 && to.starts_with(home) && !shared.starts_with(home)) {
        return None;
    }
    let up = from.components().skip(both).map(|_| Some(".."));
    let down = to.components().skip(both).map(|part| part.as_os_str().to_str());
    let parts: Option<Vec<&str>> = up.chain(down).collect();
    parts.map(|parts| if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

/// A value as indented JSON, with a line's end.
fn pretty<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, Failure> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(Failure::could_not_start)?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_tree_tells_nobodys_home() {
        let told = |from: &str, to: &str| way(Path::new(from), Path::new(to), Some(Path::new("/home/ada")));
        assert_eq!(told("/data/out/d", "/data/ds").as_deref(), Some("../../ds"));
        assert_eq!(told("/data/ds/derivatives/x", "/data/./a/../ds").as_deref(), Some("../.."));
        assert_eq!(told("/home/ada/out", "/home/ada/ds").as_deref(), Some("../ds"));
        assert_eq!(told("/tmp/out", "/home/ada/ds"), None);
        assert_eq!(told("/home/ada/out", "/data/ds").as_deref(), Some("../../../data/ds"));
        assert_eq!(doi(&json!({ "DatasetDOI": "https://doi.org/10.18112/x.v1" })).as_deref(), Some("doi:10.18112/x.v1"));
        assert_eq!(doi(&json!({ "DatasetDOI": "none" })), None);
    }
}
