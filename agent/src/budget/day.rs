//! The day's money in the user's own folder, where all sessions of all projects find it.

use super::{Budget, SpentToday, Usd};
use crate::store::write_whole;
use std::fs::File;
use std::io;
use std::path::Path;

impl SpentToday {
    /// What is kept at a path; nothing where nothing is, or what is there can't be read.
    pub fn read(path: &Path) -> SpentToday {
        std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }
}

impl Budget {
    /// Joins what this session has spent today with what others have, who may be about to do the same, and keeps it whole or not at all.
    ///
    /// # Errors
    /// When the folder can't be made or written.
    pub fn keep_today(&mut self, path: &Path) -> io::Result<()> {
        if self.today().usd == Usd::default() {
            return Ok(());
        }
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        let lock = File::create(path.with_extension("lock"))?;
        lock.lock()?;
        self.join_today(&SpentToday::read(path));
        write_whole(path, &serde_json::to_vec(self.today())?)
    }
}
