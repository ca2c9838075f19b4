//! Times reading: `hdf5_speed FILE` the units of an NWB file, `hdf5_speed FILE DATASET` a dataset of an HDF5 file. The file is mapped by no one: it is
//! read into memory once, before the clock starts. The best of five.

use arrow::buffer::Buffer;
use neuroflow_formats::{Document, Limits, Source, hdf5, nwb};
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("a file is needed")?;
    let dataset = arguments.next();
    let source: Arc<dyn Source> = Arc::new(Buffer::from_vec(std::fs::read(&path)?));
    let mut best = f64::INFINITY;
    let mut values = 0;
    for _ in 0..5 {
        let begun = Instant::now();
        values = match &dataset {
            Some(dataset) => hdf5::open(Arc::clone(&source), &Limits::default())?.tensor(dataset, None)?.values().len(),
            None => nwb::open(Arc::clone(&source), &Limits::default())?.spikes("units")?.all_times().len(),
        };
        best = best.min(begun.elapsed().as_secs_f64());
    }
    println!("{values} values in {:.2} ms, {:.0} MB/s", best * 1e3, values as f64 * 8.0 / best / 1e6);
    Ok(())
}
