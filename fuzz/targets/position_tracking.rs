#![no_main]

mod ephys;
mod setup;

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: ephys::prepare("position_tracking"), |bytes: &[u8]| {
    if let Ok(document) = neuroflow_formats::position_tracking::open(ephys::source(bytes), &setup::limits()) {
        ephys::read_all(&document);
    }
});
