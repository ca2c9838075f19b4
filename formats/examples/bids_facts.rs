//! Prints what is in a BIDS tree, a JSON line for each fact, as `tests/reference/bids_tree.py` does with other packages. With `validate` first,
//! prints findings.

use arrow::array::{Array, AsArray};
use arrow::buffer::Buffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use neuroflow_formats::bids::{self, entity};
use neuroflow_formats::{Document, Folder, Limits, Source};
use serde_json::{Map, Value, json};
use sha2::Digest;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// A folder of this machine.
#[derive(Debug)]
struct Disk(PathBuf);

impl Folder for Disk {
    fn paths(&self) -> io::Result<Vec<String>> {
        let (mut found, mut waiting) = (Vec::new(), vec![self.0.clone()]);
        while let Some(folder) = waiting.pop() {
            for entry in std::fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    waiting.push(path);
                } else if let Some(path) = path.strip_prefix(&self.0).ok().and_then(|path| path.to_str()) {
                    found.push(path.to_owned());
                }
            }
        }
        found.sort();
        Ok(found)
    }

    fn open(&self, path: &str) -> io::Result<Option<Arc<dyn Source>>> {
        match std::fs::read(self.0.join(path)) {
            Ok(bytes) => Ok(Some(Arc::new(Buffer::from_vec(bytes)))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn sha(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let check = arguments.first().is_some_and(|first| first == "validate");
    let folder = arguments.pop().ok_or("name a tree")?;
    let begun = std::time::Instant::now();
    let tree = bids::open(Arc::new(Disk(folder.into())), &Limits::default())?;
    if check {
        tree.validate().iter().for_each(|finding| println!("{finding}"));
        eprintln!("{} files in {:?}", tree.all().len(), begun.elapsed());
        return Ok(());
    }
    for file in tree.all().iter().filter(|file| file.dataset.is_empty()) {
        let path = &file.path;
        if ["derivatives/", "code/", "sourcedata/"].iter().any(|start| path.starts_with(start)) {
            continue;
        }
        let mut entities = Map::new();
        for (key, value) in &file.name.entities {
            if let Some(entity) = entity(key) {
                let value = if entity.index { json!(value.parse::<i64>()?) } else { json!(value) };
                entities.insert(entity.long.to_owned(), value);
            }
        }
        println!("{}", json!({"item": path, "what": "entities", "values": entities}));
        let extension = file.name.extension.as_str();
        if file.name.get("sub").is_some() && ![".json", ".bval", ".bvec", ".vmrk"].contains(&extension) {
            println!("{}", json!({"item": path, "what": "sidecar", "values": Value::Object(tree.sidecar(path)?.values)}));
        }
        if extension != ".tsv" && extension != ".tsv.gz" {
            continue;
        }
        let begun = std::time::Instant::now();
        let rows = tree.rows(path)?;
        let all: Vec<usize> = (0..rows.schema().fields().len()).collect();
        let batch = rows.read(&all, 0..rows.count())?;
        if extension == ".tsv.gz" {
            eprintln!("{path}: {} rows in {:?}", rows.count(), begun.elapsed());
        }
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            if column.data_type() == &DataType::Utf8 {
                let texts: Vec<&str> = column.as_string::<i32>().iter().map(|text| text.unwrap_or("")).collect();
                println!(
                    "{}",
                    json!({"item": path, "what": format!("column {}", field.name()), "sha256": sha(texts.join("\n").as_bytes())})
                );
                continue;
            }
            let column = cast(column, &DataType::Float64)?;
            let numbers = column.as_primitive::<Float64Type>();
            let bytes: Vec<u8> =
                (0..numbers.len()).flat_map(|row| if numbers.is_null(row) { f64::NAN } else { numbers.value(row) }.to_le_bytes()).collect();
            let what = if extension == ".tsv" { "numbers" } else { "column" };
            println!("{}", json!({"item": path, "what": format!("{what} {}", field.name()), "sha256": sha(&bytes)}));
        }
    }
    Ok(())
}
