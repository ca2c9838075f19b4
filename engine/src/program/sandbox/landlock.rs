//! Landlock: a thread gives up rights, and everything that it starts has given them up.

use super::system;
use crate::program::job::Allowed;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};
use std::path::{Path, PathBuf};

/// The newest version that is asked for; what an older kernel lacks is left out.
const ASKED: ABI = ABI::V10;
/// Devices without any state that one program could leave for another.
const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
/// Memory that processes of one program share; Python's locks live there.
const SHARED_MEMORY: &str = "/dev/shm";

/// The version that this kernel has; none when it has no Landlock or has it switched off.
pub(super) fn version() -> Option<i32> {
    // Asked by a thread that gives up what it does not need and ends.
    let status = std::thread::spawn(|| {
        let ruleset = Ruleset::default().handle_access(AccessFs::from_all(ABI::V1)).ok()?.create().ok()?;
        Some(ruleset.restrict_self().ok()?.landlock)
    });
    match status.join().ok()?? {
        LandlockStatus::Available { effective_abi, kernel_abi } => Some(kernel_abi.unwrap_or(effective_abi as i32)),
        LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => None,
    }
}

/// Binds this thread, and all that it will start, to what is allowed.
///
/// # Errors
/// When the kernel refuses, in words.
pub(in crate::program) fn enter(allowed: &Allowed, folder: &Path) -> Result<(), String> {
    let said = |error: RulesetError| format!("it can't be put into a sandbox: {error}");
    let mut ruleset =
        Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(AccessFs::from_all(ASKED)).map_err(said)?;
    if !allowed.network {
        ruleset = ruleset.handle_access(AccessNet::from_all(ASKED)).map_err(said)?;
    }
    ruleset = ruleset.scope(Scope::from_all(ASKED)).map_err(said)?;
    let mut ruleset = ruleset.create().map_err(said)?;
    let read = AccessFs::from_read(ASKED);
    for path in system::folders().iter().cloned().chain(allowed.reads.iter().map(PathBuf::from)) {
        ruleset = grant(ruleset, &path, read)?;
    }
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    for path in DEVICES {
        ruleset = grant(ruleset, Path::new(path), device)?;
    }
    if allowed.gpu {
        for path in graphics_cards() {
            ruleset = grant(ruleset, &path, device | AccessFs::ReadDir)?;
        }
    }
    for path in [folder, Path::new(SHARED_MEMORY)] {
        ruleset = grant(ruleset, path, AccessFs::from_all(ASKED))?;
    }
    ruleset.restrict_self().map_err(said)?;
    Ok(())
}

/// Grants rights below a path; one that is not there needs none. Rights that only folders have are left out for files.
fn grant(ruleset: RulesetCreated, path: &Path, access: BitFlags<AccessFs>) -> Result<RulesetCreated, String> {
    let Ok(descriptor) = PathFd::new(path) else { return Ok(ruleset) };
    let is_folder = rustix::fs::fstat(&descriptor).is_ok_and(|found| rustix::fs::FileType::from_raw_mode(found.st_mode).is_dir());
    let access = if is_folder { access } else { access & AccessFs::from_file(ASKED) };
    ruleset.add_rule(PathBeneath::new(descriptor, access)).map_err(|error| format!("it can't be given {}: {error}", path.display()))
}

fn graphics_cards() -> Vec<PathBuf> {
    let is_card = |name: &str| name.starts_with("nvidia") || name == "dri" || name == "kfd";
    let devices = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    devices.filter(|entry| entry.file_name().to_str().is_some_and(is_card)).map(|entry| entry.path()).collect()
}
