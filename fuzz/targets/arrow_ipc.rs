#![no_main]

mod setup;

use arrow::buffer::Buffer;
use libfuzzer_sys::fuzz_target;
use neuroflow_data::formats::arrow_ipc;

fuzz_target!(init: setup::prepare("arrow_ipc"), |bytes: &[u8]| {
    let _ = arrow_ipc::read_arrow_ipc(&Buffer::from(bytes), &setup::limits());
});
