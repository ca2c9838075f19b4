#![no_main]

mod ephys;
mod setup;

use libfuzzer_sys::fuzz_target;

// The settings and the table of clusters, then one array, which stands for all of them.
fuzz_target!(init: ephys::prepare("phy"), |bytes: &[u8]| {
    let mut parts = bytes.splitn(3, |byte| *byte == 0);
    let (settings, table, array) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let folder = ephys::whole(&[
        ("params.py", settings),
        ("cluster_info.tsv", table),
        ("spike_times.npy", array),
        ("spike_clusters.npy", array),
        ("amplitudes.npy", array),
        ("templates.npy", array),
    ]);
    if let Ok(document) = neuroflow_formats::phy::open_with(&folder, "", Some(30_000.0), &setup::limits()) {
        ephys::read_all(&document);
    }
});
