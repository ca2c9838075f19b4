//! Trees that were damaged on the way: every one opens and tells, or is an error that names format and place.

use super::*;

/// Numbers that are the same on each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end.max(1)
    }
}

/// Asks a tree for all that it has.
fn use_all(tree: &BidsTree) {
    let told = |error: FormatError| {
        let text = error.to_string();
        assert!(text.starts_with("BIDS: ") && text.contains("; "), "{text}");
    };
    let _ = tree.validate();
    let _ = tree.files().map_err(told);
    let _ = tree.select(&[("subject", "all")]).map_err(told);
    let _ = tree.participants().map_err(told);
    for file in tree.all() {
        let path = &file.path;
        let _ = tree.sidecar(path).map_err(told);
        let _ = tree.associated(path).map_err(told);
        let _ = tree.scan(path).map_err(told);
        let _ = tree.events(path).map_err(told);
        let _ = tree.channels(path).map_err(told);
        let _ = tree.electrodes(path, None).map_err(told);
        let _ = tree.coordsystem(path, None).map_err(told);
        if let Ok(rows) = Document::rows(tree, path).map_err(told) {
            let columns: Vec<usize> = (0..rows.schema().fields().len()).collect();
            let _ = rows.read(&columns, 0..rows.count()).map_err(told);
        }
    }
}

fn opened(files: &[(String, Vec<u8>)]) -> Option<BidsTree> {
    let mut tree = FileTree::default();
    for (path, bytes) in files {
        // A name that can't be one is not in a folder either.
        let _ = tree.insert(path.clone(), Buffer::from_vec(bytes.clone()));
    }
    let limits = Limits { max_total_bytes: 64 << 20, free_bytes: 16 << 20, ..Limits::default() };
    open(Arc::new(tree), &limits).ok()
}

fn owned() -> Vec<(String, Vec<u8>)> {
    valid().into_iter().map(|(path, bytes)| (path.to_owned(), bytes)).collect()
}

#[test]
fn files_cut_short_are_told() {
    let whole = owned();
    for place in 0..whole.len() {
        let length = whole[place].1.len();
        for part in 0..60.min(length) {
            let mut files = whole.clone();
            files[place].1.truncate(part * length / 60.min(length));
            use_all(&opened(&files).unwrap());
        }
    }
}

#[test]
fn flipped_bytes_and_broken_names_are_told() {
    let rounds = std::env::var("NEUROFLOW_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(600);
    let whole = owned();
    let mut chance = Chance(7);
    let begun = std::time::Instant::now();
    for _ in 0..rounds {
        let mut files = whole.clone();
        for _ in 0..=chance.below(4) {
            let place = chance.below(files.len());
            let (path, bytes) = &mut files[place];
            match chance.below(5) {
                0 if !path.is_empty() => {
                    // Names hold ASCII here; any letter may take the place of another.
                    let at = chance.below(path.len());
                    let letter = [b'-', b'_', b'.', b'/', b'9', b'a', b'*', b' '][chance.below(8)];
                    let mut letters = path.clone().into_bytes();
                    letters[at] = letter;
                    *path = String::from_utf8_lossy(&letters).into_owned();
                }
                1 => bytes.truncate(chance.below(bytes.len() + 1)),
                2 => {
                    let at = chance.below(bytes.len() + 1);
                    let word: &[u8] = [&b"\t"[..], b"\n", b"\"", b"n/a", b"{", b"1e999", b"\xff", b"\0", b"[[[[", b"-"][chance.below(10)];
                    bytes.splice(at..at, word.iter().copied());
                }
                _ if !bytes.is_empty() => {
                    let at = chance.below(bytes.len());
                    bytes[at] ^= 1 << chance.below(8);
                }
                _ => {}
            }
        }
        if let Some(tree) = opened(&files) {
            use_all(&tree);
        }
    }
    assert!(begun.elapsed().as_millis() < 100 * rounds as u128 + 10_000, "{:?}", begun.elapsed());
}
