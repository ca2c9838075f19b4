#![no_main]

mod setup;

use arrow::buffer::Buffer;
use libfuzzer_sys::fuzz_target;
use neuroflow_formats::{Document, What, hdf5, mat73, nwb};
use std::sync::Arc;

fuzz_target!(init: setup::prepare("hdf5"), |bytes: &[u8]| {
    let source = || Arc::new(Buffer::from_vec(bytes.to_vec()));
    if let Ok(document) = hdf5::open(source(), &setup::limits()) {
        read(&document);
    }
    if let Ok(document) = nwb::open(source(), &setup::limits()) {
        read(&document);
    }
    if let Ok(document) = mat73::open(source(), &setup::limits()) {
        read(&document);
    }
    let _ = mat73::read_mat73(source(), &setup::limits());
});

/// Asks for everything that a document lists.
fn read(document: &dyn Document) {
    for item in &document.contents().items {
        let _ = match &item.what {
            What::Array { .. } => document.tensor(&item.path, None).map(|_| ()),
            What::Spikes { .. } => document.spikes(&item.path).map(|_| ()),
            What::Events { .. } => document.events(&item.path).map(|_| ()),
            _ => Ok(()),
        };
        if let Ok(rows) = document.rows(&item.path) {
            let columns: Vec<usize> = (0..rows.schema().fields().len().min(50)).collect();
            let _ = rows.read(&columns, 0..rows.count());
        }
    }
}
