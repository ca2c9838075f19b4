#![no_main]

mod ephys;
mod setup;

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: ephys::prepare("eeglab"), |bytes: &[u8]| {
    let folder = ephys::whole(&[("a.set", bytes), ("a.fdt", &[1; 64])]);
    if let Ok(document) = neuroflow_formats::eeglab::open(&folder, "a.set", &setup::limits()) {
        ephys::read_all(&document);
    }
});
