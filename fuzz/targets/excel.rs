#![no_main]

mod setup;
mod volumes;

use arrow::buffer::Buffer;
use libfuzzer_sys::fuzz_target;
use neuroflow_formats::excel;
use std::sync::Arc;

// The first byte of the input says which member of sound workbooks the rest takes the place of, for the checksums of an archive stop nearly every
// change to one. Where it is the first of an archive or of a compound file, the input is a file.
fuzz_target!(init: volumes::prepare("excel"), |bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let mut place = usize::from(*first);
    let mut file = bytes.to_vec();
    for mut book in volumes::workbooks().map(|book| book.into_iter().map(|(name, text)| (name, text.as_bytes())).collect::<Vec<_>>()) {
        if let Some(member) = book.get_mut(place) {
            member.1 = rest;
            file = setup::small_files::zip(&book, false);
            break;
        }
        place -= book.len();
    }
    if let Ok(document) = excel::open(Arc::new(Buffer::from_vec(file)), &setup::limits()) {
        volumes::read_all(&document);
    }
});
