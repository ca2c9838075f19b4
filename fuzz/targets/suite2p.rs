#![no_main]

mod ephys;
mod setup;

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: ephys::prepare("suite2p"), |bytes: &[u8]| {
    let folder = ephys::whole(&[("F.npy", bytes), ("iscell.npy", bytes)]);
    if let Ok(document) = neuroflow_formats::suite2p::open(&folder, "", &setup::limits()) {
        ephys::read_all(&document);
    }
});
