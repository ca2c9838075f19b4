#![no_main]

mod setup;
mod volumes;

use arrow::buffer::Buffer;
use libfuzzer_sys::fuzz_target;
use neuroflow_formats::idx;
use std::sync::Arc;

fuzz_target!(init: volumes::prepare("idx"), |bytes: &[u8]| {
    if let Ok(document) = idx::open(Arc::new(Buffer::from_vec(bytes.to_vec())), &setup::limits()) {
        volumes::read_all(&document);
    }
});
