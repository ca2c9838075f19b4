//! Damaged files: cut at every length and with bytes flipped. Nothing may panic; what opens anyway must be sound.

use arrow::buffer::Buffer;
use neuroflow_data::formats::arrow_ipc::read_arrow_ipc;
use neuroflow_data::formats::csv::{CsvOptions, read_csv};
use neuroflow_data::formats::mat5::read_mat5;
use neuroflow_data::formats::npy::read_npy;
use neuroflow_data::formats::npz::read_npz;
use neuroflow_data::formats::parquet::read_parquet;
use neuroflow_data::formats::{FormatError, Limits, panics_become_errors};
use proptest::prelude::*;
use proptest::sample::Index;

use super::small_files;

/// Reads `bytes` as `format`, and looks at every value of a table that opens.
fn open(format: &str, bytes: &[u8]) -> Result<(), FormatError> {
    let limits = Limits { max_total_bytes: 1 << 26, free_bytes: 1 << 22, ..Limits::default() };
    match format {
        "mat5" => read_mat5(bytes, &limits).map(drop),
        "npy" => read_npy(bytes, &limits).map(drop),
        "npz" => read_npz(bytes, &limits).map(drop),
        "csv" => read_csv(bytes, &CsvOptions::default(), &limits).map(drop),
        "parquet" => read_parquet(&Buffer::from(bytes), &limits).map(|table| look_at(&table.batches)),
        "arrow_ipc" => read_arrow_ipc(&Buffer::from(bytes), &limits).map(|table| look_at(&table.batches)),
        other => panic!("no reader for {other}"),
    }
}

fn look_at(batches: &[arrow::array::RecordBatch]) {
    for batch in batches {
        for column in batch.columns() {
            column.to_data().validate_full().unwrap();
        }
    }
}

#[test]
fn whole_files_open() {
    for (format, bytes) in small_files::all() {
        open(format, &bytes).unwrap_or_else(|error| panic!("{format}: {error}"));
    }
}

#[test]
fn a_file_cut_at_any_length_is_an_error_with_a_remedy() {
    for (format, bytes) in small_files::all() {
        for length in 0..bytes.len() {
            match open(format, &bytes[..length]) {
                Err(error) => assert!(!error.reason.is_empty() && !error.help.is_empty()),
                // Text has no end mark, and a .mat file is as good as ended after each variable; padding at its very end may be missing.
                Ok(()) => assert!(format == "csv" || format == "mat5", "{format} cut to {length} of {} bytes opened", bytes.len()),
            }
        }
    }
}

/// Flips bits at places, or overwrites the places with the values that break most length fields.
fn damage(bytes: &mut [u8], places: &[(Index, u8)]) {
    for (place, value) in places {
        let place = place.index(bytes.len());
        bytes[place] = match value % 4 {
            0 => 0xff,
            1 => 0x7f,
            2 => 0,
            _ => bytes[place] ^ (value | 1),
        };
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bytes_never_panic(places in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..6)) {
        for (format, mut bytes) in small_files_once() {
            damage(&mut bytes, &places);
            let _ = open(format, &bytes);
        }
    }

    #[test]
    fn flipped_bytes_in_the_first_and_last_part_never_panic(places in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..4), at_end: bool) {
        // Lengths and counts live at the ends of files.
        for (format, mut bytes) in small_files_once() {
            let part = bytes.len().min(300);
            let start = if at_end { bytes.len() - part } else { 0 };
            damage(&mut bytes[start..start + part], &places);
            let _ = open(format, &bytes);
        }
    }

    #[test]
    fn noise_behind_a_good_beginning_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..200), keep in any::<Index>()) {
        for (format, bytes) in small_files_once() {
            let mut bytes = bytes[..keep.index(bytes.len())].to_vec();
            bytes.extend_from_slice(&noise);
            let _ = open(format, &bytes);
        }
    }
}

fn small_files_once() -> Vec<(&'static str, Vec<u8>)> {
    static FILES: std::sync::OnceLock<Vec<(&'static str, Vec<u8>)>> = std::sync::OnceLock::new();
    let prepare = || {
        // Panics that the readers catch would fill the log with backtraces.
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !panics_become_errors() {
                usual(panic);
            }
        }));
        small_files::all()
    };
    FILES.get_or_init(prepare).clone()
}
