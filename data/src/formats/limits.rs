//! How much a file may make a reader hold.
//!
//! A few bytes can claim or inflate to terabytes. Readers therefore count what they are about to hold against a [`Budget`] before they hold
//! it, and reserve memory only for bytes that exist.

/// How much a file may ask for before a reader refuses it.
///
/// The defaults read every honest recording up to 8 GiB of values; tests and services that read files of strangers set smaller ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of values and inflated data one file may make the reader hold (default 8 GiB).
    pub max_total_bytes: u64,
    /// Inflated bytes one compressed byte may claim (default 1032, the most that deflate can do).
    pub max_inflation: u64,
    /// Bytes that any file may expand to, however small it is (default 256 MiB). Run-length codes of Parquet have no largest ratio, so a
    /// short honest file may hold a long constant column.
    pub free_bytes: u64,
    /// How deep structs and cells may nest (default 64).
    pub max_depth: usize,
    /// Columns one table may have (default 1 048 576).
    pub max_columns: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { max_total_bytes: 8 << 30, max_inflation: 1032, free_bytes: 256 << 20, max_depth: 64, max_columns: 1 << 20 }
    }
}

impl Limits {
    /// The most bytes that a file of `file_bytes` may expand to.
    pub fn expansion(&self, file_bytes: u64) -> u64 {
        self.max_total_bytes.min(self.free_bytes.max(file_bytes.saturating_mul(self.max_inflation)))
    }
}

/// What is left of [`Limits::max_total_bytes`] while a file is read.
#[derive(Debug, Clone)]
pub struct Budget {
    allowed: u64,
    left: u64,
}

impl Budget {
    /// A budget of `allowed` bytes.
    pub fn new(allowed: u64) -> Budget {
        Budget { allowed, left: allowed }
    }

    /// Bytes that may still be held.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Takes `bytes` out of the budget, or says why not.
    pub fn charge(&mut self, bytes: u64) -> Result<(), String> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(format!("reading on would need more than the {} bytes this file may hold in memory", self.allowed)),
        }
    }

    /// Gives back `bytes` that are no longer held.
    pub fn release(&mut self, bytes: u64) {
        self.left = self.left.saturating_add(bytes).min(self.allowed);
    }
}
