//! What of a program's output is kept: its beginning and its end, however much it prints.

/// So many bytes of the beginning are kept, and as many of the end.
const KEPT: usize = 64 << 10;

/// The beginning and the end of what was printed.
#[derive(Default)]
pub(super) struct Kept {
    first: Vec<u8>,
    /// The latest bytes; cut to [`KEPT`] whenever it has grown to twice that.
    last: Vec<u8>,
    dropped: u64,
}

/// So much of the end is told while a program runs.
const TOLD: usize = 32 << 10;

impl Kept {
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let room = KEPT.saturating_sub(self.first.len()).min(bytes.len());
        let (first, rest) = bytes.split_at(room);
        self.first.extend_from_slice(first);
        let (dropped, rest) = rest.split_at(rest.len().saturating_sub(KEPT));
        if !dropped.is_empty() {
            self.dropped += (self.last.len() + dropped.len()) as u64;
            self.last.clear();
        }
        self.last.extend_from_slice(rest);
        if self.last.len() >= 2 * KEPT {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let over = self.last.len().saturating_sub(KEPT);
        self.last.drain(..over);
        self.dropped += over as u64;
    }

    /// How many bytes were printed.
    pub(super) fn count(&self) -> u64 {
        self.dropped + (self.first.len() + self.last.len()) as u64
    }

    /// The end of what was printed so far.
    pub(super) fn end(&self) -> Vec<u8> {
        let tail = |bytes: &[u8], most: usize| bytes.get(bytes.len().saturating_sub(most)..).unwrap_or_default().to_vec();
        // What was dropped stood between both.
        let mut end = if self.dropped > 0 { Vec::new() } else { tail(&self.first, TOLD.saturating_sub(self.last.len())) };
        end.extend(tail(&self.last, TOLD));
        end
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.cut();
        if self.dropped > 0 {
            self.first.extend(format!("\n… {} bytes are left out …\n", self.dropped).bytes());
        }
        self.first.extend(self.last);
        self.first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_beginning_and_the_end_are_kept_and_the_rest_is_counted(pieces in proptest::collection::vec(0usize..200_000, 0..8)) {
            let all: Vec<u8> = (0..pieces.iter().sum::<usize>()).map(|at| (at * 31 % 251) as u8).collect();
            let (mut kept, mut at) = (Kept::default(), 0);
            for piece in pieces {
                kept.take(&all[at..at + piece]);
                at += piece;
            }
            prop_assert_eq!(kept.count(), all.len() as u64);
            prop_assert_eq!(kept.end(), &all[all.len().saturating_sub(TOLD)..]);
            let log = kept.finish();
            if all.len() <= 2 * KEPT {
                prop_assert_eq!(log, all);
            } else {
                prop_assert!(log.starts_with(&all[..KEPT]) && log.ends_with(&all[all.len() - KEPT..]));
                let note = format!("\n… {} bytes are left out …\n", all.len() - 2 * KEPT);
                prop_assert_eq!(&log[KEPT..log.len() - KEPT], note.as_bytes());
            }
        }
    }
}
