//! Digests, the object store, action records, run records, the remote cache and garbage collection.
//!
//! Two maps, and what keeps them honest: *objects*, content named by its digest, and *actions*, the answer to a key. Both are written so that a crash at
//! any instant leaves the old state or the new one, and read so that nothing half-written is ever served.
//!
//! This crate knows bytes; not the language, not science, not who asked. `docs/cache.md` describes the folder for people.

mod archive;
mod cache;
pub mod canonical;
mod claims;
mod commit;
mod digest;
pub mod disk;
mod error;
pub mod faulty;
pub mod format;
mod frame;
mod gate;
mod gc;
mod input;
mod keeper;
pub mod lease;
mod legacy;
mod locks;
pub mod machine;
mod merge;
mod objects;
mod own_segment;
mod pins;
mod presence;
mod record;
mod recover;
mod remote;
mod runs;
mod segments;
mod shared;
mod stat_cache;
mod table;
mod tree_hash;
mod users;
mod verify;
mod writing;

/// The locks of those files that `models/` compiles with locks of its own.
mod sync {
    pub(crate) use std::sync::{Mutex, MutexGuard};
}

pub use archive::Moved;
pub use cache::{Cache, CacheStats, OpenOptions, UPLOAD_LIMIT};
pub use canonical::KeyEncoder;
pub use claims::{Claim, Claimed};
pub use digest::Digest;
pub use disk::{Disk, OsDisk};
pub use error::CacheError;
pub use gc::{GcReport, GcWish};
pub use locks::Locks;
pub use presence::Presence;
pub use record::{ActionOutput, ActionRecord, Brief};
pub use remote::{Remote, RemoteConfig, RemoteMode};
pub use users::Patience;
pub use verify::{RunState, VerifyReport};
