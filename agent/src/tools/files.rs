//! `describe_data`: what lies in the project's folder, for who drafts a pipeline from nothing.

use super::contents::told;
use super::{ReadTool, Said, ToolReply, View, number};
use crate::escape::quoted;
use crate::model::{Field, FieldKind};
use async_trait::async_trait;
use neuroflow_formats::{Files, Reader, reader_of_folder, reader_of_name};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct DescribeData;

/// The most files and folders of data that are counted, and that are named of a sort.
const MOST: usize = 20_000;
const MOST_NAMED: usize = 40;

/// The largest file that is read whole here, in bytes.
const LARGEST: u64 = 512 << 20;

/// Readers that read of a file what they need: it may be larger.
const IN_PARTS: [&str; 12] = ["nwb", "hdf5", "edf", "bdf", "gdf", "fif", "brainvision", "eeglab", "npy", "parquet", "arrow", "nifti_pair"];

/// Readers whose folders hold nothing but their own, however deep.
const DEEP: [&str; 2] = ["bids", "zarr"];

#[async_trait]
impl ReadTool for DescribeData {
    fn name(&self) -> &'static str {
        "describe_data"
    }

    fn doc(&self) -> &'static str {
        "What files and folders of data lie in the project's folder, by folder and reader, with the input to write. With the `number` of a listed one, what is in \
         it: recordings with channels and rates, spikes, events, tables with columns, arrays with shapes; and lines for a pipeline that reads them. No values."
    }

    fn fields(&self) -> Vec<Field> {
        vec![Field::new("number", FieldKind::Integer, "the number of a listed file or folder; null for the list").or_null()]
    }

    async fn call(&self, view: &View<'_>, arguments: &Map<String, Value>) -> ToolReply {
        let all = sources(view);
        let mut said = Said::default();
        // A file is meant by its number, so that no path can be named.
        let (content, exposure) = match number(arguments, "number", 0, u64::MAX) {
            0 => (listed(&all, &mut said), crate::Exposure::Schema),
            number => inside(view, all.get(number as usize - 1), &mut said),
        };
        ToolReply { exposure, free_text: said.free_text(), ..ToolReply::plain(content) }
    }
}

/// A file or folder that an input can name.
struct Source {
    path: String,
    reader: &'static Reader,
    /// How many files it is.
    files: usize,
    /// Its size; none of a folder.
    bytes: Option<u64>,
}

impl Source {
    /// The input that reads it.
    fn input(&self) -> String {
        let more = if self.reader.word == "bids" { ", subject = all" } else { "" };
        format!("{}({}{more})", self.reader.word, quoted(&self.path))
    }
}

/// All of the project, by path.
fn sources(view: &View<'_>) -> Vec<Source> {
    let files = view.paths();
    let parts =
        |path: &str| path.rsplit_once('/').map_or(("".into(), path.to_owned()), |(folder, name)| (folder.to_owned(), name.to_owned()));
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in &files {
        let (folder, name) = parts(path);
        // A folder above may be known by its own name alone.
        for (at, _) in folder.match_indices('/') {
            names.entry(folder[..at].to_owned()).or_default();
        }
        names.entry(folder).or_default().insert(name);
    }
    let known = names.iter().filter_map(|(folder, names)| Some((folder.as_str(), reader_of_folder(&parts(folder).1, names)?)));
    let folders: BTreeMap<&str, &'static Reader> = known.collect();
    let mut found: BTreeMap<String, Source> = BTreeMap::new();
    for path in &files {
        let above = std::iter::once(0).chain(path.match_indices('/').map(|(at, _)| at)).map(|at| &path[..at]);
        let parent = parts(path).0;
        // The outermost folder that it belongs to.
        let own = above.filter_map(|folder| Some((folder, *folders.get(folder)?)));
        let own = own.into_iter().find(|(folder, reader)| *folder == parent || DEEP.contains(&reader.word));
        let (named, reader, bytes) = match (own, reader_of_name(path)) {
            (Some((folder, reader)), _) => (if folder.is_empty() { "." } else { folder }, reader, None),
            (None, Some(reader)) => match view.size(path) {
                Some(bytes) => (path.as_str(), reader, Some(bytes)),
                None => continue,
            },
            (None, None) => continue,
        };
        found.entry(named.to_owned()).or_insert_with(|| Source { path: named.to_owned(), reader, files: 0, bytes }).files += 1;
        if found.len() > MOST {
            break;
        }
    }
    found.into_values().collect()
}

fn listed(all: &[Source], said: &mut Said) -> Value {
    let mut groups: BTreeMap<(&str, &str, &str), Vec<(usize, &Source)>> = BTreeMap::new();
    for (at, source) in all.iter().enumerate() {
        let (folder, name) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
        let ending = source.bytes.and_then(|_| source.reader.ending(name)).unwrap_or_default();
        groups.entry((folder, source.reader.word, ending)).or_default().push((at + 1, source));
    }
    let count = groups.len();
    let groups = groups.into_iter().take(MOST_NAMED).map(|((folder, reader, ending), sources)| {
        let named = sources.iter().take(MOST_NAMED);
        let named: Vec<Value> =
            named.map(|(number, source)| json!({ "number": number, "name": said.say("the name of a file", &source.path) })).collect();
        let input = match sources.as_slice() {
            [(_, one)] => one.input(),
            // A pattern names files, each of which is read by itself.
            [(_, first), ..] if matches!(first.reader.files, Files::One(..)) => {
                let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
                format!("{reader}({})", quoted(&format!("{folder}*.{ending}")))
            }
            [(_, first), ..] => format!("{}, and one input for each other", first.input()),
            [] => String::new(),
        };
        let folder = if folder.is_empty() { ".".to_owned() } else { said.say("the name of a folder", folder) };
        let what = if ending.is_empty() { "a folder".to_owned() } else { format!(".{ending}") };
        let files = sources.iter().map(|(_, source)| source.files).sum::<usize>();
        let bytes = sources.iter().map(|(_, source)| source.bytes).sum::<Option<u64>>();
        json!({ "folder": folder, "reader": reader, "kind": what, "files": files, "bytes": bytes, "named": named,
                "input": said.code("the name of a file", &input) })
    });
    let groups: Vec<Value> = groups.collect();
    if groups.is_empty() {
        return json!({ "groups": [], "note": "no file of data lies in the project's folder; `ingest.simulate()` makes simulated sessions" });
    }
    let mut out = json!({ "groups": groups });
    if let Some(more @ 1..) = count.checked_sub(MOST_NAMED) {
        out["more_groups"] = more.into();
    }
    out
}

fn inside(view: &View<'_>, source: Option<&Source>, said: &mut Said) -> (Value, crate::Exposure) {
    let wrong = |reason: Value| (json!({ "error": reason }), crate::Exposure::Schema);
    let Some(source) = source else { return wrong("no listed file has this number".into()) };
    let reader = source.reader.word;
    if let Some(bytes) = source.bytes.filter(|bytes| *bytes > LARGEST && !IN_PARTS.contains(&reader)) {
        return wrong(format!("it has {bytes} bytes, and only files up to {LARGEST} are opened here").into());
    }
    // What has a mark of its own is known by it: a file of HDF5 may be one of NWB.
    let by_name = matches!(reader, "csv" | "edge_list" | "nifti_pair") || source.bytes.is_none();
    let document = match view.open(&source.path, by_name.then_some(reader)) {
        Ok(document) => document,
        Err(reason) => return wrong(said.say("why a file can't be read", &reason).into()),
    };
    let (mut content, exposure) = told(document.as_ref(), view, said);
    content["file"] = said.say("the name of a file", &source.path).into();
    let lines = crate::lines(document.contents(), &source.path, by_name.then_some(reader));
    content["lines"] = lines.iter().map(|line| said.code("the name of a thing in a file", line)).collect();
    (content, exposure)
}
