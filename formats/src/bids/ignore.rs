//! `.bidsignore`: which files do not count when the tree is checked. Its patterns are those of `.gitignore` (BIDS 1.10, "Common principles:
//! Validation").

use super::fault;
use neuroflow_data::formats::FormatError;

/// The most patterns, and the most bytes of one: each is tried on each path.
const MOST_PATTERNS: usize = 512;
const LONGEST_PATTERN: usize = 256;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    glob: Vec<u8>,
    negated: bool,
    folders_only: bool,
    /// Whether it begins at the top; a pattern without a slash fits a name in any folder.
    anchored: bool,
}

/// The patterns of a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ignore {
    patterns: Vec<Pattern>,
}

impl Ignore {
    /// Reads the file; patterns beyond what is read are told.
    pub(super) fn read(bytes: &[u8]) -> (Ignore, Vec<FormatError>) {
        let mut ignore = Ignore::default();
        let mut faults = Vec::new();
        for (line, text) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let text = text.trim_ascii_end();
            if text.is_empty() || text.starts_with(b"#") {
                continue;
            }
            if text.len() > LONGEST_PATTERN || ignore.patterns.len() == MOST_PATTERNS {
                let reason = format!("line {}: at most {MOST_PATTERNS} patterns of {LONGEST_PATTERN} bytes are read", line + 1);
                faults.push(fault(".bidsignore", reason, "use patterns with `*` for many files"));
                break;
            }
            let (negated, text) = text.strip_prefix(b"!").map_or((false, text), |text| (true, text));
            let (folders_only, text) = text.strip_suffix(b"/").map_or((false, text), |text| (true, text));
            let anchored = text.contains(&b'/');
            let text = text.strip_prefix(b"/").unwrap_or(text);
            if !text.is_empty() {
                ignore.patterns.push(Pattern { glob: text.to_vec(), negated, folders_only, anchored });
            }
        }
        (ignore, faults)
    }

    /// Whether a path, or a folder above it, fits; the last pattern that fits decides.
    pub(super) fn has(&self, path: &str) -> bool {
        if self.patterns.is_empty() {
            return false;
        }
        let path = path.trim_end_matches('/');
        let ends: Vec<usize> = path.match_indices('/').map(|(at, _)| at).chain([path.len()]).collect();
        for end in ends {
            let part = path.get(..end).unwrap_or(path);
            let is_folder = end < path.len();
            let decides = self.patterns.iter().rev().find(|pattern| {
                let text = if pattern.anchored { part } else { part.rsplit('/').next().unwrap_or(part) };
                (is_folder || !pattern.folders_only) && fits(&pattern.glob, text.as_bytes())
            });
            match decides {
                Some(pattern) if !pattern.negated => return true,
                _ => {}
            }
        }
        false
    }
}

/// Whether a text fits a pattern of `*` (anything but `/`), `**` (anything), `?` and `[…]`. One row of a table for each byte of the pattern, so
/// the time is the product of both lengths whatever they hold.
fn fits(glob: &[u8], text: &[u8]) -> bool {
    let mut reached = vec![false; text.len() + 1];
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    let mut rest = glob;
    while let Some((&token, after)) = rest.split_first() {
        let mut next = vec![false; text.len() + 1];
        match token {
            b'*' => {
                let (deep, mut after) = after.strip_prefix(b"*").map_or((false, after), |after| (true, after));
                // `**/` also stands for no folder at all.
                let none = deep && after.first() == Some(&b'/');
                if none {
                    after = after.get(1..).unwrap_or(&[]);
                }
                let mut open = false;
                for (at, state) in next.iter_mut().enumerate() {
                    let here = reached.get(at).copied().unwrap_or(false);
                    let before = at.checked_sub(1).and_then(|at| text.get(at)).copied();
                    if before == Some(b'/') && !deep {
                        open = false;
                    }
                    *state = if none { here || (open && before == Some(b'/')) } else { here || open };
                    open |= here;
                }
                rest = after;
            }
            _ => {
                let (class, after) = class(token, after);
                for (at, byte) in text.iter().enumerate() {
                    let can = reached.get(at).copied().unwrap_or(false) && class.fits(*byte);
                    if let Some(state) = next.get_mut(at + 1) {
                        *state = can;
                    }
                }
                rest = after;
            }
        }
        reached = next;
    }
    reached.last().copied().unwrap_or(false)
}

/// What one byte may be.
enum Class<'g> {
    Any,
    One(u8),
    Set { negated: bool, members: &'g [u8] },
}

impl Class<'_> {
    fn fits(&self, byte: u8) -> bool {
        match self {
            Class::Any => byte != b'/',
            Class::One(own) => *own == byte,
            Class::Set { negated, members } => {
                let mut found = false;
                let mut rest = *members;
                while let Some((&low, after)) = rest.split_first() {
                    match after {
                        [b'-', high, after @ ..] => {
                            found |= (low..=*high).contains(&byte);
                            rest = after;
                        }
                        _ => {
                            found |= low == byte;
                            rest = after;
                        }
                    }
                }
                found != *negated && byte != b'/'
            }
        }
    }
}

/// The class that a token begins, and what follows it.
fn class(token: u8, after: &[u8]) -> (Class<'_>, &[u8]) {
    match (token, after.split_first()) {
        (b'?', _) => (Class::Any, after),
        (b'\\', Some((&byte, after))) => (Class::One(byte), after),
        (b'[', Some(_)) => match after.iter().skip(1).position(|byte| *byte == b']') {
            Some(end) => {
                let (members, rest) = after.split_at_checked(end + 1).unwrap_or((after, &[]));
                let (negated, members) = match members.split_first() {
                    Some((b'!' | b'^', members)) => (true, members),
                    _ => (false, members),
                };
                (Class::Set { negated, members }, rest.get(1..).unwrap_or(&[]))
            }
            None => (Class::One(token), after),
        },
        _ => (Class::One(token), after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_git_has_them() {
        let ignored = |patterns: &str, path: &str| Ignore::read(patterns.as_bytes()).0.has(path);
        for (patterns, path) in [
            ("*.log", "sub-01/eeg/a.log"),
            ("extra/", "extra/x/y.txt"),
            ("/extra/*.txt", "extra/y.txt"),
            ("**/*_skip.*", "sub-01/eeg/a_skip.tsv"),
            ("**/*_skip.*", "a_skip.tsv"),
            ("sub-01/**", "sub-01/eeg/a.tsv"),
            ("sub-0[1-3]/", "sub-02/a"),
            ("a?c", "abc"),
            ("# no\n\\#x", "#x"),
            ("[!a]b", "cb"),
            ("*\n!keep.txt\nkeep.*", "keep.txt"),
        ] {
            assert!(ignored(patterns, path), "{patterns} {path}");
        }
        for (patterns, path) in [
            ("*.log\n!a.log", "a.log"),
            ("extra/", "extra"),
            ("/extra/*.txt", "extra/x/y.txt"),
            ("/a", "b/a"),
            ("a?c", "a/c"),
            ("", "a"),
            ("#a", "#a"),
            ("sub-0[1-3]/", "sub-04/a"),
        ] {
            assert!(!ignored(patterns, path), "{patterns} {path}");
        }
    }

    #[test]
    fn a_pattern_of_stars_takes_no_longer_than_its_length() {
        let pattern = "*a".repeat(LONGEST_PATTERN / 2);
        let ignore = Ignore::read(pattern.as_bytes()).0;
        let begun = std::time::Instant::now();
        assert!(!ignore.has(&"a".repeat(2000).replace("aaaaaaaaaa", "aaaaaaaaab")));
        assert!(begun.elapsed().as_secs() < 2);
        assert_eq!(Ignore::read("x\n".repeat(600).as_bytes()).1.len(), 1);
    }
}
