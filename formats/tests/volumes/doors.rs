//! Every reader of one file behind one door.

use arrow::buffer::Buffer;
use neuroflow_data::FileTree;
use neuroflow_formats::{Document, Folder, FormatError, Limits, arrays, excel, gifti, graphs, idx, nifti, picture, zarr};
use std::path::PathBuf;
use std::sync::Arc;

/// The folder of recordings, or `None` after saying so.
pub fn recordings() -> Option<PathBuf> {
    let shared =
        std::env::var_os("NEUROFLOW_SHARED").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let folder = shared.join("data");
    if !folder.is_dir() {
        println!("skipped: no shared folder at {}", shared.display());
        return None;
    }
    Some(folder)
}

pub fn read(path: &str) -> Option<Vec<u8>> {
    Some(std::fs::read(recordings()?.join(path)).unwrap())
}

/// Opens bytes as a sort of file.
pub fn open(sort: &str, bytes: Vec<u8>, limits: &Limits) -> Result<Box<dyn Document>, FormatError> {
    fn boxed<D: Document + 'static>(document: D) -> Box<dyn Document> {
        Box::new(document)
    }
    let source = Arc::new(Buffer::from_vec(bytes));
    match sort {
        "nifti" => nifti::open(source, limits).map(boxed),
        "gifti" => gifti::open(source, limits).map(boxed),
        "idx" => idx::open(source, limits).map(boxed),
        "picture" => picture::open(source, limits).map(boxed),
        "excel" => excel::open(source, limits).map(boxed),
        "gml" => graphs::gml::open(source, limits).map(boxed),
        "graphml" => graphs::graphml::open(source, limits).map(boxed),
        "edge_list" => graphs::edge_list::open(source, limits).map(boxed),
        "npy" => arrays::npy::open(source, limits).map(boxed),
        "npz" => arrays::npz::open(source, limits).map(boxed),
        "mat5" => arrays::mat5::open(source, limits).map(boxed),
        "csv" => arrays::csv::open(source, limits).map(boxed),
        "parquet" => arrays::parquet::open(source, limits).map(boxed),
        "arrow_ipc" => arrays::arrow_ipc::open(source, limits).map(boxed),
        "safetensors" => arrays::safetensors::open(source, limits).map(boxed),
        "onnx" => arrays::onnx::open(source, limits).map(boxed),
        other => panic!("no door for {other}"),
    }
}

/// Opens a folder of Zarr.
pub fn open_zarr(files: &[(String, Vec<u8>)], limits: &Limits) -> Result<zarr::ZarrDocument, FormatError> {
    let mut tree = FileTree::default();
    files.iter().for_each(|(name, bytes)| tree.insert(name.clone(), Buffer::from_vec(bytes.clone())).unwrap());
    let folder: Arc<dyn Folder> = Arc::new(tree);
    zarr::open(folder, "", limits)
}
