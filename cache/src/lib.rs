//! Digests, the object store, action records, run records and garbage collection.
//!
//! Two maps, and what keeps them honest: *objects*, content named by its digest, and *actions*, the answer to a key. Both are written so that a crash at
//! any instant leaves the old state or the new one, and read so that nothing half-written is ever served.
//!
//! This crate knows bytes; not the language, not science, not who asked.

mod actions;
mod cache;
pub mod canonical;
mod claims;
mod digest;
pub mod disk;
mod error;
pub mod faulty;
mod objects;
mod stat_cache;

pub use actions::{ActionOutput, ActionRecord};
pub use cache::{Cache, CacheStats, GcReport, VerifyReport};
pub use canonical::KeyEncoder;
pub use claims::{Claim, Claimed};
pub use digest::Digest;
pub use disk::{Disk, OsDisk};
pub use error::CacheError;
