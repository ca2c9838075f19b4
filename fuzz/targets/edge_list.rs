#![no_main]

mod setup;
mod volumes;

use arrow::buffer::Buffer;
use libfuzzer_sys::fuzz_target;
use neuroflow_formats::graphs::edge_list;
use std::sync::Arc;

fuzz_target!(init: volumes::prepare("edge_list"), |bytes: &[u8]| {
    if let Ok(document) = edge_list::open(Arc::new(Buffer::from_vec(bytes.to_vec())), &setup::limits()) {
        volumes::read_all(&document);
    }
});
