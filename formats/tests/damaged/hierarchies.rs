//! HDF5, NWB and MATLAB 7.3: the small files of `tests/files` with one structure at a time changed.

use super::bytes::{cut, find, put};
use super::{Case, one};
use crate::hdf5::made_file;

pub fn cases() -> Vec<Case> {
    [earliest(), latest(), nwb(), mat73(), put_together(), szip()].into_iter().flatten().collect()
}

/// Every place of a signature.
fn places(bytes: &[u8], signature: &[u8]) -> Vec<usize> {
    (0..bytes.len() - signature.len()).filter(|at| &bytes[*at..at + signature.len()] == signature).collect()
}

fn earliest() -> Vec<Case> {
    let whole = made_file("earliest.h5");
    let at = |damage: &str, at: usize, own: &[u8]| one("earliest.h5", damage, put(&whole, at, own));
    // Those of the group `sub`: the root has its links in its header, because one leads to another file.
    let last = |signature: &[u8]| *places(&whole, signature).last().unwrap();
    let (tree, node, heap, global) = (last(b"TREE"), last(b"SNOD"), last(b"HEAP"), last(b"GCOL"));
    let chunks = *places(&whole, b"TREE").iter().find(|at| whole[*at + 4] == 1).unwrap();
    let mut cases = vec![
        one("earliest.h5", "cut in the superblock", cut(&whole, 40)),
        one("earliest.h5", "cut in the tree of a group", cut(&whole, tree + 20)),
        one("earliest.h5", "cut in the names of a group", cut(&whole, heap + 20)),
        at("a superblock of a version that is none", 8, &[9]),
        at("addresses of 3 bytes", 13, &[3]),
        at("an end of the file beyond its end", 40, &(1u64 << 62).to_le_bytes()),
        at("a root beyond the end", 64, &(1u64 << 62).to_le_bytes()),
        at("a tree with another signature", tree, b"TRUE"),
        at("a tree with 65535 entries", tree + 6, &[0xff, 0xff]),
        at("a tree that is its own child", tree + 32, &(tree as u64).to_le_bytes()),
        at("a node with another signature", node, b"SNOW"),
        at("a node with 65535 links", node + 6, &[0xff, 0xff]),
        at("a name beyond the names", node + 8, &(1u64 << 40).to_le_bytes()),
        at("an object beyond the end", node + 16, &(1u64 << 62).to_le_bytes()),
        at("a heap with another signature", heap, b"HEAT"),
        at("a heap of 2^63 bytes", heap + 8, &(1u64 << 63).to_le_bytes()),
        at("a heap whose values lie beyond the end", heap + 24, &(1u64 << 62).to_le_bytes()),
        at("a collection of 2^63 bytes", global + 8, &(1u64 << 63).to_le_bytes()),
        at("a collection with another signature", global, b"GCOM"),
        at("a value of 2^63 bytes in a collection", global + 16 + 8, &(1u64 << 63).to_le_bytes()),
        at("chunks in a tree with 65535 entries", chunks + 6, &[0xff, 0xff]),
        at("a chunk beyond the end", chunks + 24 + 8 + 24, &(1u64 << 62).to_le_bytes()),
        at("a chunk of 2^32 - 1 bytes", chunks + 24, &u32::MAX.to_le_bytes()),
    ];
    // Cuts at every structure: what lies behind is gone, and whatever needs it says so.
    for (name, signature) in [("tree", b"TREE"), ("node", b"SNOD"), ("heap", b"HEAP"), ("collection", b"GCOL")] {
        for (number, at) in places(&whole, signature).into_iter().enumerate().take(3) {
            cases.push(one("earliest.h5", &format!("cut at {name} {number}"), cut(&whole, at + 4)));
        }
    }
    cases
}

fn latest() -> Vec<Case> {
    let whole = made_file("latest.h5");
    let at = |damage: &str, at: usize, own: &[u8]| one("latest.h5", damage, put(&whole, at, own));
    let headers = places(&whole, b"OHDR");
    let mut cases = vec![
        one("latest.h5", "cut in the superblock", cut(&whole, 30)),
        at("a superblock with another checksum", 44, &[1, 2, 3, 4]),
        at("a root beyond the end", 36, &(1u64 << 62).to_le_bytes()),
        at("an object header with another checksum", headers[0] + 9, &[0xff]),
    ];
    let kinds: [(&str, &[u8; 4]); 9] = [
        ("object header", b"OHDR"),
        ("continuation", b"OCHK"),
        ("fractal heap", b"FRHP"),
        ("block of a heap", b"FHDB"),
        ("tree of names", b"BTHD"),
        ("leaf of names", b"BTLF"),
        ("fixed array", b"FAHD"),
        ("extensible array", b"EAHD"),
        ("block of a fixed array", b"FADB"),
    ];
    for (name, signature) in kinds {
        let Some(first) = places(&whole, signature).last().copied() else { continue };
        cases.push(at(&format!("{name} with another signature"), first, b"none"));
        cases.push(one("latest.h5", &format!("cut in the last {name}"), cut(&whole, first + 6)));
        cases.push(at(&format!("{name} with a length that lies"), first + 5, &[0xff; 6]));
    }
    cases
}

fn nwb() -> Vec<Case> {
    let (whole, times) = (made_file("small.nwb"), made_file("times.nwb"));
    vec![
        one("times.nwb", "cut in half", cut(&times, times.len() / 2)),
        one("times.nwb", "cut in the last kilobyte", cut(&times, times.len() - 1000)),
        one("small.nwb", "cut in half", cut(&whole, whole.len() / 2)),
        one("small.nwb", "cut in the last kilobyte", cut(&whole, whole.len() - 1000)),
    ]
}

fn mat73() -> Vec<Case> {
    let whole = made_file("small.mat");
    let values = made_file("values73.mat");
    vec![
        one("values73.mat", "cut in half", cut(&values, values.len() / 2)),
        one("values73.mat", "cells that are numbers", put(&values, find(&values, b"int16"), b"cell\0")),
        one("small.mat", "cut in the superblock", cut(&whole, 512 + 20)),
        one("small.mat", "cut in half", cut(&whole, whole.len() / 2)),
        one("small.mat", "the superblock with another version", put(&whole, find(&whole, b"\x89HDF") + 8, &[9])),
    ]
}

fn put_together() -> Vec<Case> {
    let whole = made_file("virtual_late.h5");
    let layout = find(&whole, b".\0/in/m\0");
    let at = |damage: &str, at: usize, own: &[u8]| one("virtual_late.h5", damage, put(&whole, at, own));
    vec![
        one("virtual_late.h5", "cut in the layout of a virtual dataset", cut(&whole, layout)),
        one("virtual_late.h5", "a virtual dataset that is made of itself", whole.clone()),
        at("a virtual layout with 2^40 sources and another checksum", layout - 3, &[1]),
        at("a virtual layout of another path and checksum", layout + 3, b"x"),
    ]
}

fn szip() -> Vec<Case> {
    let whole = made_file("szip.h5");
    // Chunks of 17 × 18 bytes tell their length first.
    let chunk = find(&whole, &306u32.to_le_bytes());
    vec![
        one("szip.h5", "a chunk that claims 2^32 - 1 bytes", put(&whole, chunk, &[0xff; 4])),
        one("szip.h5", "a chunk of ones", put(&whole, chunk + 4, &[0xff; 12])),
        one("szip.h5", "a chunk of zeros", put(&whole, chunk + 4, &[0; 12])),
        one("szip.h5", "cut in a chunk", cut(&whole, chunk + 6)),
    ]
}
