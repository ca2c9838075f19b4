#![no_main]

mod ephys;
mod setup;

use libfuzzer_sys::fuzz_target;

// Header, markers and samples stand in one input, with zero bytes between them.
fuzz_target!(init: ephys::prepare("brainvision"), |bytes: &[u8]| {
    let folder = ephys::folder(bytes, &["a.vhdr", "a.vmrk", "a.eeg"]);
    if let Ok(document) = neuroflow_formats::brainvision::open(&folder, "a.vhdr", &setup::limits()) {
        ephys::read_all(&document);
    }
});
