//! What every program may read: the machine's programs, libraries and settings, and where the folders of `PATH` are installed.

use super::Allowed;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Programs, libraries and facts about the machine.
const FOLDERS: [&str; 17] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/proc",
    "/sys",
    "/nix/store",
    "/gnu/store",
    "/run/current-system",
    "/snap",
    "/var/lib/texmf",
    "/var/cache/fontconfig",
    "/cvmfs",
];
/// Settings that everybody may read by their mode and that still are nobody's business: they can hold keys.
const SECRET: [&str; 5] = ["ssh", "shadow", "gshadow", "sudoers.d", "krb5.keytab"];
/// What is there in a folder in which programs are installed, next to `bin`.
const SIGNS: [&str; 6] = ["lib", "lib64", "libexec", "conda-meta", "pyvenv.cfg", "versions"];

/// What every program may read; found once a process.
pub(in crate::program) fn folders() -> &'static [PathBuf] {
    static FOUND: OnceLock<Vec<PathBuf>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let mut found: BTreeSet<PathBuf> = FOLDERS.iter().map(PathBuf::from).filter(|path| path.exists()).collect();
        found.extend(settings());
        let path = std::env::var_os("PATH").unwrap_or_default();
        for folder in std::env::split_paths(&path).filter(|folder| folder.is_absolute()) {
            found.extend(installed_around(&folder));
        }
        // What lies below another folder of the list needs no place of its own.
        let all = found.clone();
        found.retain(|path| !path.ancestors().skip(1).any(|above| all.contains(above)));
        found.into_iter().collect()
    })
}

/// What of `/etc` everybody may read.
fn settings() -> Vec<PathBuf> {
    let readable = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        !SECRET.contains(&name) && everybody_reads(path)
    };
    let within = |folder: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).filter(readable).collect()
    };
    // Certificates lie beside private keys.
    let (ssl, others): (Vec<PathBuf>, Vec<PathBuf>) = within(Path::new("/etc")).into_iter().partition(|path| path.ends_with("ssl"));
    others.into_iter().chain(ssl.iter().flat_map(|folder| within(folder))).collect()
}

fn everybody_reads(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o004 != 0)
    }
    #[cfg(not(unix))]
    path.exists()
}

/// A folder of programs, and the folder in which they are installed: `/x/conda` for `/x/conda/bin`. What a link in it leads to counts as well.
pub(in crate::program) fn installed_around(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_path_buf()];
    if let Some(prefix) = folder.parent()
        && SIGNS.iter().any(|sign| prefix.join(sign).exists())
    {
        // Not the home folder, nor what holds it, nor `~/.local`, where keys are kept as well.
        let holds_home = std::env::home_dir().is_some_and(|home| home.starts_with(prefix) || home.join(".local") == prefix);
        if holds_home {
            found.extend(["lib", "lib64", "libexec"].map(|name| prefix.join(name)).into_iter().filter(|path| path.exists()));
        } else {
            found.push(prefix.to_path_buf());
        }
    }
    found
}

/// Where a program that a command names is really installed, behind every link: the interpreter of a virtual environment is a link to another.
pub(in crate::program) fn installation(program: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if let Ok(real) = program.canonicalize()
        && let Some(folder) = real.parent()
    {
        found.extend(installed_around(folder));
    }
    found
}

/// Everything that a program may read beside its own folder.
pub(super) fn readable(allowed: &Allowed) -> Vec<PathBuf> {
    folders().iter().cloned().chain(allowed.reads.iter().map(PathBuf::from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_folder_is_never_opened_for_the_programs_in_it() {
        let home = std::env::home_dir().unwrap();
        assert!(folders().iter().all(|folder| !home.starts_with(folder)), "{:?}", folders());
        assert!(!installed_around(&home.join("bin")).contains(&home));
        assert!(!installed_around(&home.join(".local/bin")).contains(&home.join(".local")));
    }

    #[test]
    fn what_everybody_may_not_read_is_no_setting() {
        let found = settings();
        assert!(!found.iter().any(|path| ["shadow", "ssh", "ssl"].iter().any(|name| path.ends_with(name))), "{found:?}");
    }
}
