//! Prints what our readers of electrophysiology files find, a JSON line for each channel and list of events, to be compared with
//! `tests/reference/ephys.py`, which prints the same from the reference packages.
//!
//! `cargo run -p neuroflow-formats --example ephys_facts -- FILE…`

use neuroflow_data::Events;
use neuroflow_formats::{Document, Folder, FormatError, Limits, Source, What};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder on disk.
#[derive(Debug)]
struct Disk(PathBuf);

impl Folder for Disk {
    fn paths(&self) -> std::io::Result<Vec<String>> {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(&self.0)? {
            all.push(entry?.file_name().to_string_lossy().into_owned());
        }
        all.sort();
        Ok(all)
    }

    fn open(&self, path: &str) -> std::io::Result<Option<Arc<dyn Source>>> {
        let full = self.0.join(path);
        if full.is_file() { Ok(Some(Arc::new(arrow::buffer::Buffer::from_vec(std::fs::read(full)?)))) } else { Ok(None) }
    }
}

fn hex(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Of 64-bit floats, little-endian; a negative zero counts as zero.
fn numbers(values: &[f64]) -> String {
    let mut digest = Sha256::new();
    let bytes: Vec<u8> = values.iter().flat_map(|value| (value + 0.0).to_le_bytes()).collect();
    digest.update(&bytes);
    hex(digest)
}

fn texts(values: &[String]) -> String {
    let mut digest = Sha256::new();
    digest.update(values.join("\n"));
    hex(digest)
}

fn open(path: &Path) -> Result<Box<dyn Document>, FormatError> {
    let limits = Limits::default();
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let folder: Arc<dyn Folder> = Arc::new(Disk(path.parent().unwrap_or(Path::new(".")).to_owned()));
    let source = || -> Arc<dyn Source> { Arc::new(arrow::buffer::Buffer::from_vec(std::fs::read(path).unwrap_or_default())) };
    if path.is_dir() {
        let folder: Arc<dyn Folder> = Arc::new(Disk(path.to_owned()));
        return match neuroflow_formats::suite2p::open(&folder, "", &limits) {
            Ok(document) => Ok(Box::new(document)),
            Err(_) => Ok(Box::new(neuroflow_formats::phy::open(&folder, "", &limits)?)),
        };
    }
    Ok(match name.rsplit('.').next().unwrap_or_default() {
        "edf" | "bdf" => Box::new(neuroflow_formats::edf::open(source(), &limits)?),
        "gdf" => Box::new(neuroflow_formats::gdf::open(source(), &limits)?),
        "vhdr" => Box::new(neuroflow_formats::brainvision::open(&folder, &name, &limits)?),
        "set" => Box::new(neuroflow_formats::eeglab::open(&folder, &name, &limits)?),
        "fif" => Box::new(neuroflow_formats::fif::open(source(), &limits)?),
        "videoPositionTracking" => Box::new(neuroflow_formats::position_tracking::open(source(), &limits)?),
        "txt" if name.starts_with("grasshopper") => {
            Box::new(neuroflow_formats::spike_text::open_with(source(), neuroflow_formats::spike_text::TimeUnit::Microseconds, &limits)?)
        }
        _ => Box::new(neuroflow_formats::spike_text::open(source(), &limits)?),
    })
}

fn events(file: &str, item: &str, events: &Events) {
    let durations: Vec<f64> =
        events.table().numbers("duration").unwrap_or_default().into_iter().map(|own| if own.is_nan() { 0.0 } else { own }).collect();
    println!(
        "{}",
        json!({"file": file, "item": item, "shape": [events.len()], "times": numbers(&events.times()), "durations": numbers(&durations),
            "labels": texts(&events.labels())})
    );
}

fn facts(path: &Path) -> Result<(), FormatError> {
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let document = open(path)?;
    let verbose = std::env::var_os("VERBOSE").is_some();
    if verbose {
        let contents = document.contents();
        eprintln!("{file}: {} {} {:?}\nnotes {:?}", contents.format, contents.version, contents.facts, contents.notes);
    }
    for item in &document.contents().items {
        if verbose {
            eprintln!("  {} {:?}", item.path, item.what);
        }
        match &item.what {
            What::Recording { .. } => {
                let signals = document.signals(&item.path)?;
                for (place, channel) in signals.channels().iter().enumerate() {
                    let mut values = Vec::new();
                    signals.read(place, 0..u64::MAX, &mut values)?;
                    println!(
                        "{}",
                        json!({"file": file, "item": format!("{}/{}", item.path, channel.name), "shape": [values.len()], "unit": channel.unit,
                            "rate": channel.rate, "sha256": numbers(&values)})
                    );
                }
            }
            What::Events { .. } => events(&file, &item.path, &document.events(&item.path)?),
            What::Table { .. } if item.path == "triggers" => events(&file, &item.path, &document.events(&item.path)?),
            What::Array { .. } => {
                let tensor = document.tensor(&item.path, None)?;
                println!(
                    "{}",
                    json!({"file": file, "item": item.path, "shape": tensor.shape(), "unit": tensor.unit().unwrap_or(""),
                        "sha256": numbers(tensor.values())})
                );
            }
            What::Spikes { .. } => {
                let spikes = document.spikes(&item.path)?;
                for (unit, name) in spikes.names().iter().enumerate() {
                    let times = spikes.times(unit);
                    println!(
                        "{}",
                        json!({"file": file, "item": format!("spikes/{name}"), "shape": [times.len()], "unit": "s", "sha256": numbers(times)})
                    );
                }
            }
            What::Table { .. } if matches!(item.path.as_str(), "position" | "iscell") || item.path.starts_with("signals@") => {
                let rows = document.rows(&item.path)?;
                let all: Vec<usize> = (0..rows.schema().fields().len()).collect();
                let batch = rows.read(&all, 0..rows.count())?;
                for field in rows.schema().fields() {
                    let values = neuroflow_data::columns::numbers(&batch, field.name()).unwrap_or_default();
                    println!(
                        "{}",
                        json!({"file": file, "item": format!("{}/{}", item.path, field.name()), "shape": [values.len()], "sha256": numbers(&values)})
                    );
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn main() {
    for path in std::env::args().skip(1) {
        if let Err(error) = facts(Path::new(&path)) {
            println!("{}", json!({"file": path, "error": error.to_string()}));
        }
    }
}
