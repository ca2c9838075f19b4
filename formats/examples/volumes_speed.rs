//! Times readers of volumes and arrays on the files given, beside the reference packages: `formats/tests/reference/volumes_speed.py`.
#![allow(clippy::expect_used, reason = "a program for measuring, which may stop at what it does not expect")]

use arrow::buffer::Buffer;
use neuroflow_data::FileTree;
use neuroflow_formats::{Document, Folder, Limits, arrays, excel, gifti, idx, nifti, picture, zarr};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

fn main() {
    for path in std::env::args().skip(1) {
        let limits = Limits::default();
        let mut best = f64::INFINITY;
        let mut count = 0;
        // Files are mapped in a program; here they stand in memory before the clock starts, as they do for NumPy's maps once they are warm.
        let held = if path.ends_with(".zarr") { Vec::new() } else { std::fs::read(&path).expect("the file can be read") };
        let held = Buffer::from_vec(held);
        for _ in 0..5 {
            let started = Instant::now();
            let source = || Arc::new(held.clone());
            let document: Box<dyn Document> = if path.ends_with(".zarr") {
                let mut tree = FileTree::default();
                let mut waiting = vec![Path::new(&path).to_path_buf()];
                while let Some(next) = waiting.pop() {
                    for entry in std::fs::read_dir(&next).expect("the folder can be listed") {
                        let own = entry.expect("the entry can be read").path();
                        if own.is_dir() {
                            waiting.push(own);
                        } else {
                            let key = own.strip_prefix(&path).expect("it lies below").to_string_lossy().into_owned();
                            tree.insert(key, Buffer::from_vec(std::fs::read(&own).expect("the file can be read"))).expect("paths are fine");
                        }
                    }
                }
                let folder: Arc<dyn Folder> = Arc::new(tree);
                Box::new(zarr::open(folder, "", &limits).expect("it opens"))
            } else if path.ends_with(".mat") {
                Box::new(arrays::mat5::open(source(), &limits).expect("it opens"))
            } else if path.ends_with(".npy") {
                Box::new(arrays::npy::open(source(), &limits).expect("it opens"))
            } else if path.ends_with(".safetensors") {
                Box::new(arrays::safetensors::open(source(), &limits).expect("it opens"))
            } else if path.ends_with(".gii") {
                Box::new(gifti::open(source(), &limits).expect("it opens"))
            } else if path.ends_with("ubyte.gz") {
                Box::new(idx::open(source(), &limits).expect("it opens"))
            } else if path.ends_with(".tif") || path.ends_with(".jpg") {
                Box::new(picture::open(source(), &limits).expect("it opens"))
            } else if path.ends_with(".xlsx") || path.ends_with(".xls") {
                Box::new(excel::open(source(), &limits).expect("it opens"))
            } else {
                Box::new(nifti::open(source(), &limits).expect("it opens"))
            };
            count = document
                .contents()
                .items
                .iter()
                .filter_map(|item| document.tensor(&item.path, None).ok())
                .map(|own| own.values().len())
                .sum();
            best = best.min(started.elapsed().as_secs_f64());
        }
        println!("{path}: {count} values, {:.1} ms, {:.2} GB/s of floats", best * 1e3, count as f64 * 8e-9 / best);
    }
}
