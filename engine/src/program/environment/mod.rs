//! Locked environments: what a program runs in is a file that pins everything, and is part of the key.
//!
//! An environment is made once below `environments/` of the cache, named by its lock, this platform and the Python that it builds on, and used by every step
//! and every run that has the same. It is made at the place where it stays, because scripts hold the path of their interpreter; a file `ready`, written
//! last, says that it is whole. Processes that want the same one wait for the one that makes it.

mod build;
mod container;
mod lock;
mod requirements;

pub(super) use build::{Environments, Ready};
pub(super) use container::remove_left;
pub(crate) use lock::find;
pub use lock::{FoundEnvironment, FoundFile};

use serde::{Deserialize, Serialize};

/// What installs an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EnvironmentKind {
    /// A list for pip, with every version given.
    Requirements,
    /// A lock of uv with its project.
    UvLock,
    /// A `pylock.toml`.
    Pylock,
    /// A list of packages for conda, by their addresses.
    CondaExplicit,
    /// A reference to an image of a container, by its digest.
    Image,
    /// An image of a container.
    ImageFile,
}

impl EnvironmentKind {
    /// Its name in keys and records.
    pub fn name(self) -> &'static str {
        match self {
            EnvironmentKind::Requirements => "requirements",
            EnvironmentKind::UvLock => "uv",
            EnvironmentKind::Pylock => "pylock",
            EnvironmentKind::CondaExplicit => "conda",
            EnvironmentKind::Image => "image",
            EnvironmentKind::ImageFile => "sif",
        }
    }
}
