#![no_main]

mod setup;

use libfuzzer_sys::fuzz_target;
use neuroflow_data::formats::csv;

fuzz_target!(init: setup::prepare("csv"), |bytes: &[u8]| {
    let _ = csv::read_csv(bytes, &csv::CsvOptions::default(), &setup::limits());
});
