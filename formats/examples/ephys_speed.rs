//! How fast recordings are read, beside a plain copy of the same bytes: `cargo run -p neuroflow-formats --example ephys_speed -- FILE…`

use neuroflow_data::FileTree;
use neuroflow_formats::{Document, Folder, FormatError, Limits, Source, What};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

fn open(name: &str, files: &FileTree) -> Result<Box<dyn Document>, FormatError> {
    let limits = Limits::default();
    let folder: Arc<dyn Folder> = Arc::new(files.clone());
    let source: Arc<dyn Source> = Arc::new(files.get(name).cloned().unwrap_or_default());
    Ok(match name.rsplit('.').next().unwrap_or_default() {
        "gdf" => Box::new(neuroflow_formats::gdf::open(source, &limits)?),
        "vhdr" => Box::new(neuroflow_formats::brainvision::open(&folder, name, &limits)?),
        "set" => Box::new(neuroflow_formats::eeglab::open(&folder, name, &limits)?),
        "fif" => Box::new(neuroflow_formats::fif::open(source, &limits)?),
        _ => Box::new(neuroflow_formats::edf::open(source, &limits)?),
    })
}

/// Time on the clock; and on standard error the time on processors, of all threads, where the system tells it: other programs do not count there.
fn seconds<T>(of: impl FnOnce() -> T) -> (T, f64) {
    let used = || -> Option<f64> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let mut fields = stat.rsplit(')').next()?.split(' ').skip(12);
        Some(fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?)
    };
    let (begun, before) = (Instant::now(), used());
    let result = of();
    let taken = begun.elapsed().as_secs_f64();
    if let Some((after, before)) = used().zip(before) {
        // Ticks of a hundredth of a second.
        eprint!("{:.2}/{taken:.2} ", (after - before) / 100.0);
    }
    (result, taken)
}

fn run(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = path.with_extension("");
    let (files, loading) = seconds(|| -> Result<FileTree, Box<dyn std::error::Error>> {
        let mut files = FileTree::new();
        for ending in [path.extension().unwrap_or_default(), "eeg".as_ref(), "fdt".as_ref(), "vmrk".as_ref()] {
            let own = stem.with_extension(ending);
            let own_name = own.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if own.is_file() && files.get(&own_name).is_none() {
                files.insert(own_name, arrow::buffer::Buffer::from_vec(std::fs::read(&own)?))?;
            }
        }
        Ok(files)
    });
    let files = files?;
    let bytes: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let all: Vec<u8> = files.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
    // Once for the pages of the copy, once to measure.
    let mut copy = all.clone();
    let (_, copying) = seconds(|| copy.copy_from_slice(&all));
    let (document, opening) = seconds(|| open(&name, &files));
    let document = document?;
    let Some(item) = document.contents().items.iter().find(|item| matches!(item.what, What::Recording { .. })) else { return Ok(()) };
    let signals = document.signals(&item.path)?;
    let channels: Vec<usize> = (0..signals.channels().len()).collect();
    let (recording, storing) = seconds(|| signals.recording(document.contents().format, "", &channels));
    let held = recording?.len();
    let rows = document.rows(&item.path)?;
    let columns: Vec<usize> = (1..rows.schema().fields().len()).collect();
    let (batch, values) = seconds(|| rows.read(&columns, 0..rows.count()));
    let wide = batch?.get_array_memory_size();
    let mut one = Vec::new();
    let (_, single) = seconds(|| signals.read(0, 0..u64::MAX, &mut one));
    let rate = |bytes: usize, seconds: f64| format!("{:.2} GB/s", bytes as f64 / seconds / 1e9);
    println!(
        "{name}: {bytes} bytes; load {loading:.3} s, copy {copying:.4} s ({}), open {opening:.5} s; {held} channels stored {storing:.4} s ({}), \
         values {values:.4} s ({} out), one channel {single:.4} s",
        rate(copy.len(), copying),
        rate(bytes, storing),
        rate(wide, values)
    );
    println!("{name}: load + open + all values: {:.4} s", loading + opening + values);
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for path in std::env::args().skip(1) {
        // The second time everything is warm.
        for _ in 0..2 {
            run(Path::new(&path))?;
        }
    }
    Ok(())
}
