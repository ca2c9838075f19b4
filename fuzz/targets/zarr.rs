#![no_main]

mod setup;
mod volumes;

use arrow::buffer::Buffer;
use libfuzzer_sys::fuzz_target;
use neuroflow_data::FileTree;
use neuroflow_formats::{Folder, zarr};
use std::sync::Arc;

// The first byte of the input says which file of a sound hierarchy the rest takes the place of.
fuzz_target!(init: volumes::prepare("zarr"), |bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let files = volumes::zarr_files();
    let replaced = usize::from(*first) % files.len();
    let mut tree = FileTree::default();
    for (place, (name, own)) in files.into_iter().enumerate() {
        let own = if place == replaced { rest.to_vec() } else { own };
        tree.insert(name, Buffer::from_vec(own)).expect("paths of seeds are fine");
    }
    let folder: Arc<dyn Folder> = Arc::new(tree);
    if let Ok(document) = zarr::open(folder, "", &setup::limits()) {
        volumes::read_all(&document);
    }
});
