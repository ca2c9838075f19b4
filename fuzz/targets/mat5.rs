#![no_main]

mod setup;

use libfuzzer_sys::fuzz_target;
use neuroflow_data::formats::mat5;

fuzz_target!(init: setup::prepare("mat5"), |bytes: &[u8]| {
    let _ = mat5::read_mat5(bytes, &setup::limits());
});
