#![no_main]

mod setup;

use arrow::buffer::Buffer;
use libfuzzer_sys::fuzz_target;
use neuroflow_data::FileTree;
use neuroflow_formats::{Document, bids};
use std::sync::Arc;

/// Files of a small tree; the bytes take the place of one, or give another its name.
const FILES: &[(&str, &str)] = &[
    ("dataset_description.json", r#"{"Name":"a","BIDSVersion":"1.10.0"}"#),
    ("participants.tsv", "participant_id\tage\nsub-01\t3\n"),
    (".bidsignore", "*.txt\n"),
    ("task-a_eeg.json", r#"{"TaskName":"a","SamplingFrequency":1}"#),
    ("sub-01/eeg/sub-01_task-a_eeg.vhdr", "[Channel Infos]\nCh1=a\n"),
    ("sub-01/eeg/sub-01_task-a_events.tsv", "onset\tduration\ttrial_type\n1\tn/a\tgo\n"),
    ("sub-01/eeg/sub-01_task-a_channels.tsv", "name\ttype\tunits\na\tEEG\tV\n"),
    ("sub-01/eeg/sub-01_task-a_physio.json", r#"{"SamplingFrequency":1,"StartTime":0,"Columns":["a"]}"#),
    ("sub-01/eeg/sub-01_task-a_physio.tsv.gz", "1\n2\n"),
    ("sub-01/sub-01_scans.tsv", "filename\neeg/sub-01_task-a_eeg.vhdr\n"),
];

fuzz_target!(init: setup::prepare("bids"), |bytes: &[u8]| {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let mut tree = FileTree::new();
    let chosen = usize::from(first) % (FILES.len() + 1);
    for (place, (path, text)) in FILES.iter().enumerate() {
        let content = if place == chosen { rest.to_vec() } else { text.as_bytes().to_vec() };
        let _ = tree.insert(*path, Buffer::from_vec(content));
    }
    if chosen == FILES.len() {
        let _ = tree.insert(String::from_utf8_lossy(rest).into_owned(), Buffer::from_vec(vec![0]));
    }
    let Ok(tree) = bids::open(Arc::new(tree), &setup::limits()) else { return };
    let _ = tree.validate();
    for file in tree.all() {
        let _ = tree.sidecar(&file.path);
        let _ = tree.associated(&file.path);
        let _ = tree.events(&file.path);
        let _ = tree.channels(&file.path);
        if let Ok(rows) = tree.rows(&file.path) {
            let columns: Vec<usize> = (0..rows.schema().fields().len()).collect();
            let _ = rows.read(&columns, 0..rows.count());
        }
    }
});
