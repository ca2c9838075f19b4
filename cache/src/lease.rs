//! Leases: who owns a thing, on file systems whose locks can't be relied on.
//!
//! A thing has a ledger of numbered entries. An entry is made by exactly one process and never changed, and **the highest number counts**: it is a process's lease,
//! or says that the thing is free. Who finds it free, or its owner dead, makes the next number and looks again: if that is still the highest, the thing is
//! theirs. So two who find the same owner dead can't both succeed, and an owner that was only slow changes nothing by letting go late. Lower entries mean
//! nothing and are removed at leisure; the highest never is, so numbers only grow.
//!
//! Whether an owner is dead is the caller's to say. Nothing here compares clocks.

use std::io;

/// A thing's entries.
pub trait Ledger {
    /// The numbers of all entries, in any order.
    ///
    /// # Errors
    /// When the disk refuses.
    fn numbers(&self) -> io::Result<Vec<u64>>;
    /// Makes an entry; false when there is one of this number.
    ///
    /// # Errors
    /// When the disk refuses.
    fn create(&self, number: u64, content: &[u8]) -> io::Result<bool>;
    /// An entry's content; none when it is gone.
    ///
    /// # Errors
    /// When the disk refuses.
    fn read(&self, number: u64) -> io::Result<Option<Vec<u8>>>;
    /// Removes an entry that may be gone already.
    ///
    /// # Errors
    /// When the disk refuses.
    fn remove(&self, number: u64) -> io::Result<()>;
}

/// What an entry says that ends a lease.
pub const FREE: &[u8] = b"free\n";

/// The answer to [`take`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// The thing is ours, by this entry.
    Mine(u64),
    /// Somebody has it: their lease.
    Other(Vec<u8>),
}

/// Takes a thing that is free or whose owner `is_dead` (called with the number and the lease). `own` is our lease.
///
/// # Errors
/// When the disk refuses; then nothing is taken, unless this process dies as well, when others find it dead.
pub fn take(ledger: &impl Ledger, own: &[u8], mut is_dead: impl FnMut(u64, &[u8]) -> bool) -> io::Result<Taken> {
    loop {
        let top = ledger.numbers()?.into_iter().max();
        if let Some(top) = top {
            // An entry that vanished was not the highest any more.
            let Some(lease) = ledger.read(top)? else { continue };
            if lease != FREE && !is_dead(top, &lease) {
                return Ok(Taken::Other(lease));
            }
        }
        let number = top.unwrap_or(0).checked_add(1).ok_or_else(|| io::Error::other("a ledger without numbers left"))?;
        if !ledger.create(number, own)? {
            continue;
        }
        let looked = ledger.numbers().and_then(|numbers| {
            if numbers.iter().any(|other| *other > number) {
                return ledger.remove(number).map(|()| false);
            }
            numbers.into_iter().filter(|other| *other < number).try_for_each(|lower| ledger.remove(lower)).map(|()| true)
        });
        match looked {
            Ok(true) => return Ok(Taken::Mine(number)),
            Ok(false) => {}
            Err(error) => {
                // Nobody would use the lease: others need not wait for it.
                let _ = release(ledger, number);
                return Err(error);
            }
        }
    }
}

/// Lets go of a thing. When it was taken over meanwhile, that stands.
///
/// # Errors
/// When the disk refuses; then others wait until this process is found dead.
pub fn release(ledger: &impl Ledger, number: u64) -> io::Result<()> {
    ledger.create(number.saturating_add(1), FREE)?;
    ledger.remove(number)
}
