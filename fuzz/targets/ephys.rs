//! What the targets of electrophysiology files share: bytes as sources and folders, and reading all that is in a document.
#![allow(dead_code, reason = "each target uses a part")]

#[path = "../../formats/tests/ephys/build.rs"]
mod build;
#[path = "../../data/tests/formats/mat5_bytes.rs"]
mod mat5_bytes;

use std::path::PathBuf;
use std::sync::Arc;

use arrow::buffer::Buffer;
use neuroflow_data::FileTree;
use neuroflow_formats::{Document, Folder, Source, What};

/// Prepares a target as `setup` does, with the seeds of these formats.
pub fn prepare(target: &str) {
    if let Some(folder) = std::env::var_os("NEUROFLOW_SEEDS").map(PathBuf::from) {
        for (number, bytes) in build::seeds(target).into_iter().enumerate() {
            std::fs::write(folder.join(format!("seed{number}")), bytes).expect("the folder for seeds can be written");
        }
        std::process::exit(0);
    }
    crate::setup::prepare(target);
}

pub fn source(bytes: &[u8]) -> Arc<dyn Source> {
    Arc::new(Buffer::from_vec(bytes.to_vec()))
}

/// Files of these names; of names given twice, the first counts.
pub fn whole(files: &[(&str, &[u8])]) -> Arc<dyn Folder> {
    let mut tree = FileTree::new();
    for (name, bytes) in files {
        let _ = tree.insert(*name, Buffer::from_vec(bytes.to_vec()));
    }
    Arc::new(tree)
}

/// One input cut at its first zero bytes into as many files as there are names.
pub fn folder(bytes: &[u8], names: &[&str]) -> Arc<dyn Folder> {
    let parts: Vec<(&str, &[u8])> = names.iter().copied().zip(bytes.splitn(names.len(), |byte| *byte == 0)).collect();
    whole(&parts)
}

/// Reads everything; errors are answers.
pub fn read_all(document: &dyn Document) {
    for item in &document.contents().items {
        match &item.what {
            What::Recording { .. } => {
                if let Ok(signals) = document.signals(&item.path) {
                    for channel in 0..signals.channels().len().min(64) {
                        let _ = signals.read(channel, 1..u64::MAX, &mut Vec::new());
                        let _ = signals.stored(channel);
                    }
                }
            }
            What::Events { .. } => drop(document.events(&item.path)),
            What::Spikes { .. } => drop(document.spikes(&item.path)),
            What::Array { .. } => drop(document.tensor(&item.path, None)),
            _ => {}
        }
        if let Ok(rows) = document.rows(&item.path) {
            let columns: Vec<usize> = (0..rows.schema().fields().len().min(64)).collect();
            let _ = rows.read(&columns, 0..rows.count().saturating_mul(2));
            let _ = rows.bounds(0, 0..rows.count());
        }
    }
}
