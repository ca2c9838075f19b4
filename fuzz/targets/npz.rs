#![no_main]

mod setup;

use libfuzzer_sys::fuzz_target;
use neuroflow_data::formats::npz;

fuzz_target!(init: setup::prepare("npz"), |bytes: &[u8]| {
    let _ = npz::read_npz(bytes, &setup::limits());
});
