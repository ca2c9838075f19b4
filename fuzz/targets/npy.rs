#![no_main]

mod setup;

use libfuzzer_sys::fuzz_target;
use neuroflow_data::formats::npy;

fuzz_target!(init: setup::prepare("npy"), |bytes: &[u8]| {
    let _ = npy::read_npy(bytes, &setup::limits());
    let _ = npy::read_npy_records(bytes);
});
