//! `describe_data`: what lies in the project's folder, for who drafts a pipeline from nothing.

use super::data::described;
use super::{ReadTool, Said, ToolReply, View, number};
use crate::model::{Field, FieldKind};
use async_trait::async_trait;
use neuroflow_data::formats::{Limits, mat5};
use neuroflow_engine::readers;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub(super) struct DescribeData;

/// The most files that are counted, and that are named.
const MOST: usize = 20_000;
const MOST_NAMED: usize = 40;

/// The largest file that is opened, in bytes.
const LARGEST: u64 = 512 << 20;

/// Endings of files of data, and the reader of each; none for what can't be read yet.
const ENDINGS: [(&str, &str); 20] = [
    (".mat", "mat"),
    (".npy", "npy"),
    (".npz", "npz"),
    (".csv", "csv"),
    (".csv.gz", "csv"),
    (".parquet", "parquet"),
    (".arrow", "arrow"),
    (".feather", "arrow"),
    (".nwb", ""),
    (".h5", ""),
    (".hdf5", ""),
    (".edf", ""),
    (".bdf", ""),
    (".vhdr", ""),
    (".set", ""),
    (".fif", ""),
    (".nii", ""),
    (".nii.gz", ""),
    (".tsv", ""),
    (".zarr", ""),
];

#[async_trait]
impl ReadTool for DescribeData {
    fn name(&self) -> &'static str {
        "describe_data"
    }

    fn doc(&self) -> &'static str {
        "What files of data lie in the project's folder, by folder and kind, with the reader that an input names. With the `number` of a listed file, what is in \
         it: variables, shapes, columns; no values."
    }

    fn fields(&self) -> Vec<Field> {
        vec![Field::new("number", FieldKind::Integer, "the number of a listed file; null for the list").or_null()]
    }

    async fn call(&self, view: &View<'_>, arguments: &Map<String, Value>) -> ToolReply {
        let files = view.files(&|path| ending(path).is_some());
        let mut said = Said::default();
        // A file is meant by its number, so that no path can be named.
        let content = match number(arguments, "number", 0, u64::MAX) {
            0 => listed(&files, &mut said),
            number => inside(view, files.get(number as usize - 1), &mut said),
        };
        ToolReply { free_text: said.free_text(), ..ToolReply::plain(content) }
    }
}

/// The ending of a file of data, and its reader.
fn ending(path: &str) -> Option<(&'static str, &'static str)> {
    let lower = path.to_ascii_lowercase();
    ENDINGS.into_iter().filter(|(ending, _)| lower.ends_with(ending)).max_by_key(|(ending, _)| ending.len())
}

fn listed(files: &[(String, u64)], said: &mut Said) -> Value {
    let mut groups: BTreeMap<(String, &str), Vec<(usize, &(String, u64))>> = BTreeMap::new();
    for (at, file) in files.iter().enumerate().take(MOST) {
        let folder = file.0.rsplit_once('/').map_or("", |(folder, _)| folder);
        let Some((ending, _)) = ending(&file.0) else { continue };
        groups.entry((folder.to_owned(), ending)).or_default().push((at + 1, file));
    }
    let groups = groups.into_iter().take(MOST_NAMED).map(|((folder, ending), files)| {
        let reader = ENDINGS.iter().find(|(known, _)| *known == ending).map_or("", |(_, reader)| reader);
        let folder = if folder.is_empty() { ".".to_owned() } else { said.say("the name of a folder", &folder) };
        let named = files.iter().take(MOST_NAMED);
        let named: Vec<Value> = named.map(|(number, (path, _))| json!({ "number": number, "name": said.say("the name of a file", path) })).collect();
        let how = match reader {
            "" => "no reader yet".to_owned(),
            reader if files.len() == 1 => format!("{reader}(\"{}\")", named.first().and_then(|file| file["name"].as_str()).unwrap_or_default()),
            reader => format!("{reader}(\"{folder}/*{ending}\")"),
        };
        json!({ "folder": folder, "kind": ending, "files": files.len(), "bytes": files.iter().map(|(_, (_, size))| size).sum::<u64>(), "named": named, "input": how })
    });
    let groups: Vec<Value> = groups.collect();
    if groups.is_empty() {
        return json!({ "groups": [], "note": "no file of data lies in the project's folder; `ingest.simulate()` makes simulated sessions" });
    }
    json!({ "groups": groups })
}

fn inside(view: &View<'_>, file: Option<&(String, u64)>, said: &mut Said) -> Value {
    let Some((path, size)) = file else { return json!({ "error": "no listed file has this number" }) };
    let reader = ending(path).and_then(|(_, reader)| readers::reader(reader));
    let Some(reader) = reader else { return json!({ "error": "there is no reader for it yet" }) };
    if *size > LARGEST {
        return json!({ "error": format!("it has {size} bytes, and only files up to {LARGEST} are opened here") });
    }
    let bytes = match view.bytes(path) {
        Ok(bytes) => bytes,
        Err(reason) => return json!({ "error": said.say("why a file can't be read", &reason) }),
    };
    if reader.name == "mat" {
        return match mat5::read_mat5(&bytes, &Limits::default()) {
            Ok(file) => {
                let name = said.say("the name of a file", path);
                let variables = file.variables.iter().take(200).map(|(name, value)| {
                    json!({ "variable": said.say("the name of a variable", name), "is": said.say("what a variable is", &value.describe()) })
                });
                json!({ "file": name, "variables": variables.collect::<Vec<_>>() })
            }
            Err(error) => json!({ "error": said.say("why a file can't be read", &error.to_string()) }),
        };
    }
    match readers::read(&reader, &bytes) {
        Ok(artifact) => described(&artifact, view, said),
        Err(reason) => json!({ "error": said.say("why a file can't be read", &reason) }),
    }
}
