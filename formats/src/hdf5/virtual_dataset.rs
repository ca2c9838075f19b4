//! Virtual datasets, which are put together from others.
//!
//! What is in the same file is read, with the fill value where a source is missing, as HDF5's library does. Sources in other files are told and refused: what
//! lies beside a file is no part of what it is known by.
//!
//! Layout: "HDF5 File Format Specification Version 3.0", IV.A.2.i "Virtual Storage" and "Global Heap Block for Virtual Datasets".

use super::cursor::Cursor;
use super::dataset::{self, Dataset};
use super::file::{File, bad, too_much, unread};
use super::selection::{self, Placed, Selection};
use super::{header, heap};
use crate::lookup3::lookup3;
use neuroflow_data::formats::{Budget, FormatError};
use std::ops::Range;
use std::sync::OnceLock;

/// How deep virtual datasets may be made of virtual ones.
pub(super) const DEEPEST: usize = 4;

/// Which part of a virtual dataset is which part of another one.
#[derive(Debug)]
pub(crate) struct Mapping {
    /// The file of the source; `.` for this one.
    pub file: String,
    /// The path of the source in it.
    pub path: String,
    from: Selection,
    to: Selection,
    source: OnceLock<Option<Box<Dataset>>>,
}

impl Mapping {
    /// Whether the source is in another file.
    pub fn is_elsewhere(&self) -> bool {
        self.file != "."
    }
}

/// Reads the mappings, which stand in a global heap.
pub(super) fn mappings(file: &File, heap: Option<u64>, number: u32, at: u64) -> Result<Vec<Mapping>, FormatError> {
    let Some(address) = heap else { return Ok(Vec::new()) };
    let (address, length) = heap::global(file, address, number, at)?;
    let bytes = file.read(address, length)?;
    let start = file.byte(address);
    let mut cursor = Cursor::new(&bytes, start);
    match cursor.u8()? {
        0 => {}
        other => {
            let help = "rewrite the file for an earlier version of HDF5, with `libver=('earliest', 'v114')`";
            return Err(unread(start, format!("a virtual layout of version {other} is not read"), help));
        }
    }
    let body = bytes.len().checked_sub(4).ok_or_else(|| bad(start, "a virtual layout is too short"))?;
    let (own, sum) = bytes.split_at(body);
    if sum != lookup3(own, 0).to_le_bytes() {
        return Err(bad(start, "the checksum of a virtual layout is wrong"));
    }
    let count = cursor.uint(file.lengths)?;
    // Two names of a letter, two selections of sixteen bytes.
    if count > length / 36 {
        return Err(bad(start, format!("a virtual layout of {length} bytes claims {count} sources")));
    }
    let mut mappings = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let (name, path) = (cursor.name(false)?, cursor.name(false)?);
        let (from, to) = (selection::read(&mut cursor)?, selection::read(&mut cursor)?);
        file.hold(size_of::<Mapping>() as u64 + (name.len() + path.len()) as u64 + from.bytes() + to.bytes(), start)?;
        mappings.push(Mapping { file: name, path, from, to, source: OnceLock::new() });
    }
    Ok(mappings)
}

/// Fills in what the sources of a part have.
pub(super) fn fill(
    own: &Dataset,
    file: &File,
    part: &[Range<u64>],
    out: &mut [u8],
    budget: &mut Budget,
    depth: usize,
) -> Result<(), FormatError> {
    for mapping in &own.mappings {
        // Few sources that are made of few others may be looked at very often.
        budget.charge(if depth == 0 { 64 } else { 4096 }).map_err(|reason| too_much(own.at, reason))?;
        let wrong = |reason: String| bad(own.at, format!("the virtual layout, source `{}`: {reason}", mapping.path.escape_debug()));
        let to = mapping.to.placed(own.dims(), budget).map_err(wrong)?;
        let touched =
            to.hull().is_some_and(|hull| hull.iter().zip(part).all(|(hull, part)| hull.start < part.end && part.start < hull.end));
        if !touched {
            continue;
        }
        if mapping.is_elsewhere() {
            let reason = format!("values of a virtual dataset are in another file, which is not opened: `{}`", mapping.file.escape_debug());
            return Err(unread(own.at, reason, "copy the values into one dataset, as `h5py` does when it reads and writes it"));
        }
        let Some(source) = source(file, mapping)? else { continue };
        if depth >= DEEPEST {
            return Err(bad(own.at, format!("virtual datasets are made of each other more than {DEEPEST} deep")));
        }
        if source.datatype != own.datatype {
            let reason = format!("a virtual dataset of {} has a source of {}", own.datatype.word(), source.datatype.word());
            return Err(unread(own.at, reason, "write both with one type"));
        }
        let from = mapping.from.placed(source.dims(), budget).map_err(wrong)?;
        if from.count().is_none() || from.count() != to.count() {
            return Err(wrong("it is selected with another number of elements than where it belongs".into()));
        }
        let narrowed = narrowed(&from, &to, part);
        let (from_some, to_some, hull) = match &narrowed {
            Some((from_some, to_some, hull)) => (Some(from_some.as_slice()), Some(to_some.as_slice()), Some(hull.clone())),
            None => (None, None, from.hull()),
        };
        let Some(hull) = hull else { continue };
        if hull.iter().any(Range::is_empty) {
            continue;
        }
        let values = source.read_within(file, &hull, budget, depth + 1)?;
        copy(from.walk(from_some), to.walk(to_some), (hull.as_slice(), values.as_ref()), (part, &mut *out), own.datatype.size);
    }
    Ok(())
}

/// The source in this file; none where it is missing.
fn source<'m>(file: &File, mapping: &'m Mapping) -> Result<Option<&'m Dataset>, FormatError> {
    if let Some(known) = mapping.source.get() {
        return Ok(known.as_deref());
    }
    let read = match file.sources.get().and_then(|sources| sources.get(&mapping.path)) {
        Some(address) => {
            let header = header::read(file, *address)?;
            dataset::read(file, &header, file.byte(*address))?.map(Box::new)
        }
        None => None,
    };
    Ok(mapping.source.get_or_init(|| read).as_deref())
}

type Ranges = Vec<Range<u64>>;

/// Where both selections go through their axes alike: the numbers along each axis that lie in the part, in the source and in the virtual dataset, and
/// the ranges of the source that hold them.
fn narrowed(from: &Placed, to: &Placed, part: &[Range<u64>]) -> Option<(Ranges, Ranges, Ranges)> {
    let (Placed::Product(from), Placed::Product(to)) = (from, to) else { return None };
    // Axes of one element are passed over: a source of one axis may be a row of two.
    let long = |axes: &[selection::Blocks]| axes.iter().map(selection::Blocks::elements).filter(|count| *count != 1).collect::<Vec<_>>();
    if long(from) != long(to) {
        return None;
    }
    let to_some: Ranges = to.iter().zip(part).map(|(own, range)| own.within(range)).collect();
    if to_some.iter().any(Range::is_empty) {
        return Some((vec![0..0; from.len()], to_some, vec![0..0; from.len()]));
    }
    let mut own = to.iter().zip(&to_some).filter(|(own, _)| own.elements() != 1).map(|(_, range)| range.clone());
    let from_some: Option<Ranges> = from.iter().map(|axis| if axis.elements() == 1 { Some(0..1) } else { own.next() }).collect();
    let from_some = from_some?;
    let hull = from.iter().zip(&from_some).map(|(own, range)| own.at(range.start)..own.at(range.end - 1) + 1).collect();
    Some((from_some, to_some, hull))
}

/// Copies elements one after the other from one walk to another, those that lie in both boxes.
fn copy(
    from: impl Iterator<Item = (Vec<u64>, u64)>,
    to: impl Iterator<Item = (Vec<u64>, u64)>,
    (hull, values): (&[Range<u64>], &[u8]),
    (part, out): (&[Range<u64>], &mut [u8]),
    size: usize,
) {
    let (mut from, mut to) = (from, to);
    // The byte of a position in a box.
    let byte = |position: &[u64], ranges: &[Range<u64>]| -> usize {
        let place = position.iter().zip(ranges).fold(0u64, |place, (own, range)| place * (range.end - range.start) + (own - range.start));
        place as usize * size
    };
    let (mut one, mut other) = (from.next(), to.next());
    while let (Some((source, source_left)), Some((target, target_left))) = (&mut one, &mut other) {
        let length = (*source_left).min(*target_left);
        let outer = target.len().saturating_sub(1);
        let row = target.iter().zip(part).take(outer).all(|(own, range)| range.contains(own));
        // What of the stretch lies in the part.
        let (skip, end) = match (target.last(), part.last()) {
            (Some(own), Some(range)) => (range.start.saturating_sub(*own).min(length), range.end.saturating_sub(*own).min(length)),
            _ => (0, length),
        };
        if row && skip < end {
            let moved = |position: &[u64]| {
                let mut position = position.to_vec();
                if let Some(last) = position.last_mut() {
                    *last += skip;
                }
                position
            };
            let (start, into) = (byte(&moved(source), hull), byte(&moved(target), part));
            let bytes = (end - skip) as usize * size;
            if let (Some(own), Some(place)) = (values.get(start..start + bytes), out.get_mut(into..into + bytes)) {
                place.copy_from_slice(own);
            }
        }
        step(&mut one, length, &mut from);
        step(&mut other, length, &mut to);
    }
}

/// Goes `length` elements on along a stretch, or to the next.
fn step(now: &mut Option<(Vec<u64>, u64)>, length: u64, walk: &mut impl Iterator<Item = (Vec<u64>, u64)>) {
    match now {
        Some((position, left)) if *left > length => {
            *left -= length;
            if let Some(last) = position.last_mut() {
                *last += length;
            }
        }
        _ => *now = walk.next(),
    }
}

#[cfg(test)]
mod tests {
    use crate::document::Document;
    use crate::hdf5;
    use crate::lookup3::lookup3;
    use arrow::buffer::Buffer;
    use neuroflow_data::formats::Limits;
    use std::io::Read;
    use std::path::Path;
    use std::sync::Arc;

    fn made() -> Vec<u8> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files/virtual_late.h5.gz");
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// What comes of the virtual layout with a source in `in/m` and a block of 20 elements, after `change` and with its checksum made anew.
    fn changed(change: &dyn Fn(&mut Vec<u8>)) -> String {
        let mut bytes = made();
        // Version, one source, `.`, the path; the layout of `another_shape` is the only one that begins so.
        let begin = b"\x00\x01\x00\x00\x00\x00\x00\x00\x00.\x00/in/m\x00";
        let starts: Vec<usize> = (0..bytes.len() - begin.len()).filter(|at| bytes[*at..].starts_with(begin)).collect();
        let text = |bytes: Vec<u8>| {
            let document = hdf5::open(Arc::new(Buffer::from_vec(bytes)), &Limits::default())?;
            document.tensor("another_shape", None)
        };
        for at in starts {
            let length = u64::from_le_bytes(bytes[at - 8..at].try_into().unwrap()) as usize;
            let mut own = bytes[at..at + length - 4].to_vec();
            assert_eq!(lookup3(&own, 0).to_le_bytes(), bytes[at + length - 4..at + length]);
            change(&mut own);
            let sum = lookup3(&own, 0).to_le_bytes();
            bytes[at..at + length - 4].copy_from_slice(&own);
            bytes[at + length - 4..at + length].copy_from_slice(&sum);
        }
        match text(bytes) {
            Ok(tensor) => format!("{:?}", &tensor.values()[..5]),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn lies_in_a_layout_are_told() {
        assert_eq!(changed(&|_| {}), "[-1.0, -1.0, -1.0, 10.0, 12.0]");
        assert!(changed(&|own| own[0] = 9).contains("a virtual layout of version 9 is not read"));
        assert!(changed(&|own| own[5] = 9).contains("claims 38654705665 sources"));
        assert!(changed(&|own| own[13] = b'!').starts_with("[-1.0, -1.0, -1.0, -1.0"), "a missing source is the fill value");
        // The first selection begins with its sort and version.
        assert!(changed(&|own| own[17] = 7).contains("a selection of sort 7"));
        assert!(changed(&|own| own[17] = 1).contains("a selection of single points is not read"));
        assert!(changed(&|own| own[21] = 9).contains("a selection of blocks of version 9"));
        for place in 22..60 {
            for value in [0, 1, 0x7f, 0xff] {
                let text = changed(&|own| {
                    if let Some(byte) = own.get_mut(place) {
                        *byte = value;
                    }
                });
                assert!(text.starts_with('[') || text.starts_with("HDF5: "), "{place} {value}: {text}");
            }
        }
    }
}
