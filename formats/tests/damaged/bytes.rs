//! Ways to damage bytes.

/// The first `end` bytes.
pub fn cut(bytes: &[u8], end: usize) -> Vec<u8> {
    bytes[..end].to_vec()
}

/// `own` written over what stands at `at`.
pub fn put(bytes: &[u8], at: usize, own: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + own.len()].copy_from_slice(own);
    bytes
}

/// `text` written over a field of `width` bytes, blank to its end.
pub fn field(bytes: &[u8], at: usize, width: usize, text: &str) -> Vec<u8> {
    put(bytes, at, format!("{text:width$}").as_bytes())
}

/// Where `what` stands for the first time.
pub fn find(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).position(|own| own == what).unwrap_or_else(|| panic!("no {:?}", String::from_utf8_lossy(what)))
}

/// The first `old` made to `new`, of any length.
pub fn swap(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = find(bytes, old);
    [&bytes[..at], new, &bytes[at + old.len()..]].concat()
}
