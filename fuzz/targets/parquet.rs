#![no_main]

mod setup;

use arrow::buffer::Buffer;
use libfuzzer_sys::fuzz_target;
use neuroflow_data::formats::parquet;

fuzz_target!(init: setup::prepare("parquet"), |bytes: &[u8]| {
    let _ = parquet::read_parquet(&Buffer::from(bytes), &setup::limits());
});
