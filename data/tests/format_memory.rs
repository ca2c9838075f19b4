//! What readers allocate for damaged files, counted by an allocator of the test's own. Alone in its binary, so that nothing else allocates.
#![allow(clippy::unwrap_used, reason = "a test that can not make its file has failed")]
#![allow(unsafe_code, reason = "a global allocator can only be written so; it counts and hands on to the system's")]

#[path = "formats/mat5_bytes.rs"]
mod mat5_bytes;
#[path = "formats/small_files.rs"]
mod small_files;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::buffer::Buffer;
use neuroflow_data::formats::arrow_ipc::read_arrow_ipc;
use neuroflow_data::formats::csv::{CsvOptions, read_csv};
use neuroflow_data::formats::mat5::read_mat5;
use neuroflow_data::formats::npy::read_npy;
use neuroflow_data::formats::npz::read_npz;
use neuroflow_data::formats::parquet::read_parquet;
use neuroflow_data::formats::{Limits, panics_become_errors};

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grow(bytes: usize) {
    let held = HELD.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
    PEAK.fetch_max(held, Ordering::Relaxed);
}

// SAFETY: every call is handed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // The old and the new block may both exist while the values move.
        grow(size);
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that `work` held beyond what was held before.
fn peak_of<T>(work: impl FnOnce() -> T) -> usize {
    let before = HELD.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    drop(work());
    PEAK.load(Ordering::Relaxed).saturating_sub(before)
}

fn open(format: &str, file: &Buffer, limits: &Limits) {
    let bytes = file.as_slice();
    match format {
        "mat5" => drop(read_mat5(bytes, limits)),
        "npy" => drop(read_npy(bytes, limits)),
        "npz" => drop(read_npz(bytes, limits)),
        "csv" => drop(read_csv(bytes, &CsvOptions::default(), limits)),
        "parquet" => drop(read_parquet(file, limits)),
        "arrow_ipc" => drop(read_arrow_ipc(file, limits)),
        other => panic!("no reader for {other}"),
    }
}

/// 512 KiB of fixed buffers (inflaters, CSV and Parquet readers), and 64 bytes for each byte of the file; 1 KiB for each of Parquet's footer.
fn allowed(format: &str, length: usize) -> usize {
    (512 << 10) + length * if format == "parquet" { 1024 } else { 64 }
}

#[test]
fn damaged_files_allocate_no_more_than_a_multiple_of_their_size() {
    // The default hook looks up symbols for its backtrace, in tens of megabytes that are not the reader's.
    std::panic::set_hook(Box::new(|panic| {
        if !panics_become_errors() {
            eprintln!("{panic}");
        }
    }));
    let limits = Limits { free_bytes: 1 << 20, ..Limits::default() };
    for (format, good) in small_files::all() {
        for place in 0..good.len() {
            for value in [0x00, 0x7f, 0xff] {
                let mut bytes = good.clone();
                // Two neighbouring bytes, so that lengths of several bytes become truly large.
                for byte in bytes.iter_mut().skip(place).take(2) {
                    *byte = value;
                }
                let file = Buffer::from_vec(bytes);
                let peak = peak_of(|| open(format, &file, &limits));
                assert!(
                    peak <= allowed(format, good.len()),
                    "{format}: {peak} bytes for a file of {} with {value:#x} at {place}",
                    good.len()
                );
            }
        }
    }
    inflated_variables_stay_within_the_stated_multiple(&limits);
}

/// The worst that a `.mat` file can hold: cells that were never assigned, eight bytes each.
fn inflated_variables_stay_within_the_stated_multiple(limits: &Limits) {
    let writer = mat5_bytes::Mat5 { big_endian: false };
    let empty = writer.element(mat5_bytes::MATRIX, &[]);
    let cells = writer.cells("c", &vec![empty; 20_000]);
    let file = Buffer::from_vec(writer.file(&[writer.compressed(&cells)]));
    let peak = peak_of(|| open("mat5", &file, limits));
    assert!(peak > 20_000 * 16 && peak <= 64 * cells.len() + (512 << 10), "{peak} bytes for {} inflated ones", cells.len());
}
