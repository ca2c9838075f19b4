//! Prints a line of JSON for every array, column and graph in the files given: file, item, shape, unit and a digest of the values.
//!
//! `formats/tests/reference/volumes.py` prints the same lines from the reference packages; the two outputs are compared line by line.

#![allow(clippy::expect_used, reason = "a program for comparing, which may stop at what it does not expect")]

use arrow::array::{Array, AsArray};
use arrow::buffer::Buffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use neuroflow_data::FileTree;
use neuroflow_formats::{Document, Folder, Limits, What, arrays, excel, gifti, graphs, idx, nifti, picture, zarr};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;

fn digest(bytes: impl AsRef<[u8]>) -> String {
    Sha256::digest(bytes.as_ref()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn floats(values: &[f64]) -> String {
    // One sort of "no number", whatever the bits in the file.
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| if value.is_nan() { f64::NAN.to_bits() & !(1 << 63) } else { value.to_bits() }.to_le_bytes())
        .collect();
    digest(bytes)
}

fn line(file: &str, item: &str, shape: &[u64], unit: &str, sha256: &str) {
    println!("{}", serde_json::json!({"file": file, "item": item, "shape": shape, "unit": unit, "sha256": sha256}));
}

fn column(array: &dyn Array) -> String {
    if array.data_type().is_numeric() || *array.data_type() == DataType::Boolean || *array.data_type() == DataType::Null {
        let numbers = cast(array, &DataType::Float64).expect("numbers cast to floats");
        let numbers = numbers.as_primitive::<Float64Type>();
        return floats(&numbers.iter().map(|value| value.unwrap_or(f64::NAN)).collect::<Vec<f64>>());
    }
    let texts = cast(array, &DataType::Utf8).expect("values cast to text");
    digest(texts.as_string::<i32>().iter().map(Option::unwrap_or_default).collect::<Vec<&str>>().join("\n"))
}

fn show(file: &str, document: &dyn Document) {
    for item in &document.contents().items {
        match &item.what {
            What::Array { .. } | What::Picture { .. } => match document.tensor(&item.path, None) {
                Ok(tensor) => {
                    let shape: Vec<u64> = match &item.what {
                        What::Array { shape, .. } => shape.clone(),
                        _ => tensor.shape().iter().map(|length| *length as u64).collect(),
                    };
                    line(file, &item.path, &shape, tensor.unit().unwrap_or_default(), &floats(tensor.values()));
                }
                Err(error) => println!("{}", serde_json::json!({"file": file, "item": item.path, "error": error.to_string()})),
            },
            What::Table { .. } => match document.rows(&item.path) {
                Ok(rows) => {
                    let schema = rows.schema();
                    for (place, field) in schema.fields().iter().enumerate() {
                        match rows.read(&[place], 0..u64::MAX) {
                            Ok(batch) => {
                                line(file, &format!("{}#{}", item.path, field.name()), &[rows.count()], "", &column(batch.column(0)))
                            }
                            Err(error) => println!("{}", serde_json::json!({"file": file, "item": item.path, "error": error.to_string()})),
                        }
                    }
                    if file.ends_with(".xlsx") || file.ends_with(".xls") {
                        let tensor = document.tensor(&item.path, None).expect("a sheet has numbers");
                        let shape: Vec<u64> = tensor.shape().iter().map(|length| *length as u64).collect();
                        line(file, &format!("{}@numbers", item.path), &shape, "", &floats(tensor.values()));
                    }
                }
                Err(error) => println!("{}", serde_json::json!({"file": file, "item": item.path, "error": error.to_string()})),
            },
            _ => {}
        }
    }
}

fn main() {
    for path in std::env::args().skip(1) {
        let limits = Limits::default();
        let name = Path::new(&path).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let folder = |path: &str| -> Arc<dyn Folder> {
            let mut tree = FileTree::default();
            let mut waiting = vec![Path::new(path).to_path_buf()];
            while let Some(next) = waiting.pop() {
                for entry in std::fs::read_dir(&next).expect("the folder can be listed") {
                    let own = entry.expect("the entry can be read").path();
                    if own.is_dir() {
                        waiting.push(own);
                    } else {
                        let key = own.strip_prefix(path).expect("it lies below").to_string_lossy().into_owned();
                        let bytes = std::fs::read(&own).expect("the file can be read");
                        tree.insert(key, Buffer::from_vec(bytes)).expect("paths are fine");
                    }
                }
            }
            Arc::new(tree)
        };
        let source = || Arc::new(Buffer::from_vec(std::fs::read(&path).expect("the file can be read")));
        let ends = |all: &[&str]| all.iter().any(|end| name.ends_with(end));
        let result: Result<Box<dyn Document>, _> = if ends(&[".zarr"]) {
            zarr::open(folder(&path), "", &limits).map(|document| Box::new(document) as Box<dyn Document>)
        } else if ends(&[".hdr"]) {
            let parent = Path::new(&path).parent().map(|parent| parent.to_string_lossy().into_owned()).unwrap_or_default();
            nifti::open_in(&folder(&parent), &name, &limits).map(|document| Box::new(document) as Box<dyn Document>)
        } else if ends(&[".nii", ".nii.gz"]) {
            nifti::open(source(), &limits).map(|document| Box::new(document) as Box<dyn Document>)
        } else if ends(&[".gii", ".gii.gz"]) {
            gifti::open(source(), &limits).map(|document| Box::new(document) as Box<dyn Document>)
        } else if ends(&["ubyte.gz", ".idx"]) {
            idx::open(source(), &limits).map(|document| Box::new(document) as Box<dyn Document>)
        } else if ends(&[".png", ".jpg", ".tif", ".tiff"]) {
            picture::open(source(), &limits).map(|document| Box::new(document) as Box<dyn Document>)
        } else if ends(&[".xlsx", ".xls", ".xlsb", ".ods"]) {
            excel::open(source(), &limits).map(|document| Box::new(document) as Box<dyn Document>)
        } else if ends(&[".gml", ".graphml", ".edgelist.gz", ".edgelist", "_edgelist.csv"]) || name.starts_with("aconnectome_w") {
            let graph = if ends(&[".gml"]) {
                graphs::gml::open(source(), &limits)
            } else if ends(&[".graphml"]) {
                graphs::graphml::open(source(), &limits)
            } else {
                graphs::edge_list::open(source(), &limits)
            };
            if let Ok(document) = &graph {
                match document.graph("") {
                    Ok(graph) => {
                        let label = |place| graph.nodes().coordinates.label(place);
                        let edges: Vec<String> = graph
                            .edges()
                            .iter()
                            .map(|edge| format!("{}\t{}\t{:?}", label(edge.source), label(edge.target), edge.weight))
                            .collect();
                        let shape = [graph.nodes().len() as u64, graph.edges().len() as u64];
                        line(&name, "graph", &shape, if graph.is_directed() { "directed" } else { "" }, &digest(edges.join("\n")));
                    }
                    Err(error) => println!("{}", serde_json::json!({"file": name, "item": "graph", "error": error.to_string()})),
                }
            }
            graph.map(|document| Box::new(document) as Box<dyn Document>)
        } else if ends(&[".npy"]) {
            arrays::npy::open(source(), &limits).map(|document| Box::new(document) as Box<dyn Document>)
        } else if ends(&[".npz"]) {
            arrays::npz::open(source(), &limits).map(|document| Box::new(document) as Box<dyn Document>)
        } else if ends(&[".mat"]) {
            arrays::mat5::open(source(), &limits).map(|document| Box::new(document) as Box<dyn Document>)
        } else if ends(&[".parquet"]) {
            arrays::parquet::open(source(), &limits).map(|document| Box::new(document) as Box<dyn Document>)
        } else if ends(&[".arrow", ".feather"]) {
            arrays::arrow_ipc::open(source(), &limits).map(|document| Box::new(document) as Box<dyn Document>)
        } else if ends(&[".safetensors"]) {
            arrays::safetensors::open(source(), &limits).map(|document| Box::new(document) as Box<dyn Document>)
        } else if ends(&[".onnx"]) {
            arrays::onnx::open(source(), &limits).map(|document| Box::new(document) as Box<dyn Document>)
        } else if ends(&[".csv", ".tsv", ".csv.gz", ".txt"]) {
            arrays::csv::open(source(), &limits).map(|document| Box::new(document) as Box<dyn Document>)
        } else {
            continue;
        };
        match result {
            Ok(document) => {
                if std::env::var_os("FACTS").is_some() {
                    println!("{:#?}", document.contents());
                }
                show(&name, document.as_ref());
            }
            Err(error) => println!("{}", serde_json::json!({"file": name, "error": error.to_string()})),
        }
    }
}
