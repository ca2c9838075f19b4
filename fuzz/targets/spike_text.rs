#![no_main]

mod ephys;
mod setup;

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: ephys::prepare("spike_text"), |bytes: &[u8]| {
    if let Ok(document) = neuroflow_formats::spike_text::open(ephys::source(bytes), &setup::limits()) {
        ephys::read_all(&document);
    }
});
