//! What the targets of images, volumes, tables, graphs and arrays share: seeds, and reading all that a document lists.

#[path = "../../formats/tests/volumes/seeds.rs"]
mod seeds;

use neuroflow_formats::{Document, What};

/// Writes the seeds of a target when they are asked for, and prepares it as all are.
pub fn prepare(target: &str) {
    if let Some(folder) = std::env::var_os("NEUROFLOW_SEEDS").map(std::path::PathBuf::from) {
        let own = seeds::seeds().into_iter().filter(|(format, _)| *format == target).map(|(_, bytes)| bytes);
        let zarr = seeds::zarr_files().into_iter().filter(|_| target == "zarr").map(|(_, bytes)| bytes);
        let workbooks = workbooks().into_iter().flatten().filter(|_| target == "excel").enumerate();
        let members = workbooks.map(|(place, (_, text))| [&[place as u8], text.as_bytes()].concat());
        for (number, bytes) in own.chain(zarr).chain(members).enumerate() {
            std::fs::write(folder.join(format!("own{number}")), bytes).expect("the folder for seeds can be written");
        }
    }
    crate::setup::prepare(target);
}

/// Hierarchies of Zarr are several files: one of them is the input.
#[allow(dead_code, reason = "only the target for Zarr needs it")]
pub fn zarr_files() -> Vec<(String, Vec<u8>)> {
    seeds::zarr_files()
}

/// The members of workbooks, which are archives: one of them is the input.
#[allow(dead_code, reason = "only the target for workbooks needs it")]
pub fn workbooks() -> [Vec<(&'static str, &'static str)>; 2] {
    seeds::workbooks()
}

/// Reads everything.
pub fn read_all(document: &dyn Document) {
    for item in document.contents().items.iter().take(50) {
        match item.what {
            What::Array { .. } | What::Picture { .. } => drop(document.tensor(&item.path, None)),
            What::Table { .. } => {
                if let Ok(rows) = document.rows(&item.path) {
                    let all: Vec<usize> = (0..rows.schema().fields().len()).collect();
                    let _ = rows.read(&all, 0..u64::MAX);
                }
            }
            _ => {}
        }
    }
}
