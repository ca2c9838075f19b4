//! What a program has printed so far, told while it runs: a small file that is written anew, and gone when the program is.

use super::log::Kept;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often the file is written at most. A program that ends sooner needs none.
const EVERY: Duration = Duration::from_millis(500);

/// Tells what a program prints.
pub(super) struct Printed {
    /// None when nobody is to be told.
    path: Option<PathBuf>,
    next: Instant,
    /// How much had been printed when it was told last.
    told: u64,
}

impl Printed {
    pub(super) fn new(path: Option<PathBuf>) -> Printed {
        Printed { path, next: Instant::now() + EVERY, told: 0 }
    }

    /// Tells what is new, now and then. Where it can't be written, nothing is told, and the program goes on.
    pub(super) fn tell(&mut self, kept: &Kept) {
        let Some(path) = self.path.as_ref().filter(|_| kept.count() > self.told && Instant::now() >= self.next) else { return };
        self.told = kept.count();
        self.next = Instant::now() + EVERY;
        // Beside and renamed: a reader never sees half of it.
        let beside = path.with_extension("new");
        let _ = std::fs::write(&beside, kept.end()).and_then(|()| std::fs::rename(&beside, path));
    }
}

impl Drop for Printed {
    fn drop(&mut self) {
        if let Some(path) = self.path.as_ref().filter(|_| self.told > 0) {
            let _ = std::fs::remove_file(path);
        }
    }
}
