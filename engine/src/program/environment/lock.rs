//! Which environment a pipeline means, and whether it is locked.

use super::{EnvironmentKind, requirements};
use crate::files::look::{Look, is_file, read_text};
use std::path::{Path, PathBuf};

/// An environment as a pipeline names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundEnvironment {
    /// What installs it.
    pub kind: EnvironmentKind,
    /// The lock and what belongs to it, the lock first.
    pub files: Vec<(String, FoundFile)>,
}

/// Where the content of a lock is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundFile {
    /// In a file.
    Path(PathBuf),
    /// In the pipeline itself.
    Text(String),
}

/// Finds the environment that `env = "…"` names, and holds it to being locked.
///
/// # Errors
/// When there is no such file, it is of no known kind, or something in it is left open; says what to do.
pub(crate) fn find(look: &dyn Look, folder: &Path, written: &str) -> Result<FoundEnvironment, String> {
    if written.contains("://") {
        image(written)?;
        return Ok(FoundEnvironment { kind: EnvironmentKind::Image, files: vec![("image".into(), FoundFile::Text(written.to_owned()))] });
    }
    let path = folder.join(written);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    match look.found(&path) {
        Ok(found) if found.is_file => {}
        Err(error) if error.kind() == std::io::ErrorKind::Other => return Err(format!("`{written}` can't be read: {error}")),
        _ => return Err(format!("there is no file `{written}`; `env` names a lock below {}", folder.display())),
    }
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    if ending == "sif" {
        return Ok(FoundEnvironment { kind: EnvironmentKind::ImageFile, files: vec![("image.sif".into(), FoundFile::Path(path))] });
    }
    let text = read_text(look, &path).map_err(|error| format!("`{written}` can't be read: {error}"))?;
    let kind = kind_of(&name, &text).map_err(|reason| format!("`{written}` {reason}"))?;
    let mut files = Vec::new();
    match kind {
        EnvironmentKind::Requirements => {
            requirements::check(&text).map_err(|reason| format!("`{written}`, {reason}"))?;
            files.push(("requirements.txt".into(), FoundFile::Path(path)));
        }
        EnvironmentKind::UvLock => {
            let project = path.with_file_name("pyproject.toml");
            if !is_file(look, &project) {
                return Err(format!("`{written}` needs its `pyproject.toml` beside it"));
            }
            files.push(("uv.lock".into(), FoundFile::Path(path)));
            files.push(("pyproject.toml".into(), FoundFile::Path(project)));
        }
        EnvironmentKind::Pylock => {
            requirements::from_pylock(&text).map_err(|reason| format!("`{written}`: {reason}"))?;
            files.push(("pylock.toml".into(), FoundFile::Path(path)));
        }
        EnvironmentKind::CondaExplicit => {
            explicit(&text).map_err(|reason| format!("`{written}`, {reason}"))?;
            files.push(("explicit.txt".into(), FoundFile::Path(path)));
        }
        EnvironmentKind::Image | EnvironmentKind::ImageFile => {
            image(text.trim()).map_err(|reason| format!("`{written}`: {reason}"))?;
            files.push(("image".into(), FoundFile::Path(path)));
        }
    }
    Ok(FoundEnvironment { kind, files })
}

fn kind_of(name: &str, text: &str) -> Result<EnvironmentKind, String> {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    if text.lines().any(|line| line.trim() == "@EXPLICIT") {
        return Ok(EnvironmentKind::CondaExplicit);
    }
    if name.starts_with("pylock") && ending == "toml" {
        return Ok(EnvironmentKind::Pylock);
    }
    if ending == "lock" && text.contains("[[package]]") {
        return if name.starts_with("poetry") {
            Err("is a lock of Poetry, which is not read; write `poetry export -o requirements.txt` and name that".into())
        } else if name == "uv.lock" {
            Ok(EnvironmentKind::UvLock)
        } else {
            Err("looks like a lock of uv; it must be called `uv.lock` and lie beside its `pyproject.toml`".into())
        };
    }
    match ending {
        "image" => Ok(EnvironmentKind::Image),
        "yml" | "yaml" => {
            Err("leaves versions open; make the environment once and write `conda list --explicit --sha256 > conda.lock`, and name that".into())
        }
        "toml" | "in" | "cfg" => Err("is no lock; write `uv pip compile --generate-hashes` of it to `requirements.txt`, and name that".into()),
        "txt" | "lock" => Ok(EnvironmentKind::Requirements),
        _ => Err("is no lock that is known: there are `requirements.txt`, `uv.lock`, `pylock.toml`, a list of conda with `@EXPLICIT`, a `.sif` file, and a file `.image` with `docker://…@sha256:…`".into()),
    }
}

/// An image is locked by the digest of its content; what a tag means changes.
fn image(reference: &str) -> Result<(), String> {
    if !reference.starts_with("docker://") || reference.contains(char::is_whitespace) {
        return Err(format!("`{reference}` is no reference to an image; write `docker://name@sha256:…`"));
    }
    let is_digest = |digest: &str| digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    match reference.split_once("@sha256:") {
        Some((_, digest)) if is_digest(digest) => Ok(()),
        _ => Err(format!(
            "the image `{reference}` has no digest, so what it holds may change; write `docker://name@sha256:…`, as `podman inspect --format '{{{{.Digest}}}}'` says"
        )),
    }
}

/// A conda list holds addresses of packages; anything else is left open.
fn explicit(text: &str) -> Result<(), String> {
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line == "@EXPLICIT" {
            continue;
        }
        let address = line.split('#').next().unwrap_or_default();
        if !line.contains("://") || ![".conda", ".tar.bz2"].iter().any(|ending| address.ends_with(ending)) {
            return Err(format!(
                "line {}, `{line}` is no address of a package; write the list with `conda list --explicit --sha256`",
                number + 1
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::look::Disk;

    fn found(name: &str, text: &str) -> Result<EnvironmentKind, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pyproject.toml"), "[project]\nname = \"x\"\nversion = \"1\"\n").unwrap();
        std::fs::write(folder.path().join(name), text).unwrap();
        find(&Disk, folder.path(), name).map(|found| found.kind)
    }

    #[test]
    fn locks_are_known_by_name_and_content() {
        let digest = "a".repeat(64);
        assert_eq!(found("requirements.txt", "numpy==2.1.0\n"), Ok(EnvironmentKind::Requirements));
        assert_eq!(found("py.lock", "# none\n"), Ok(EnvironmentKind::Requirements));
        assert_eq!(found("uv.lock", "version = 1\n[[package]]\nname = \"x\"\n"), Ok(EnvironmentKind::UvLock));
        let explicit = "@EXPLICIT\nhttps://example.org/linux-64/zlib-1.3-h0.conda#aa\n";
        assert_eq!(found("conda.lock", explicit), Ok(EnvironmentKind::CondaExplicit));
        assert_eq!(found("fsl.image", &format!("docker://example.org/fsl@sha256:{digest}\n")), Ok(EnvironmentKind::Image));
        assert_eq!(found("fsl.sif", "SIF"), Ok(EnvironmentKind::ImageFile));
        assert_eq!(find(&Disk, Path::new("/"), &format!("docker://x@sha256:{digest}")).map(|found| found.kind), Ok(EnvironmentKind::Image));
    }

    #[test]
    fn what_is_left_open_is_refused_with_a_remedy() {
        for (name, text, said) in [
            ("environment.yml", "dependencies: [numpy]", "conda list --explicit"),
            ("pyproject2.toml", "[project]", "uv pip compile"),
            ("fsl.image", "docker://example.org/fsl:latest", "has no digest"),
            ("fsl.image", "fsl", "docker://name@sha256"),
            ("py.lock", "numpy>=2\n", "line 1, `numpy>=2` is not pinned"),
            ("poetry.lock", "[[package]]\n", "poetry export"),
            ("conda.lock", "@EXPLICIT\nnumpy\n", "line 2, `numpy` is no address"),
            ("notes.md", "", "no lock that is known"),
        ] {
            let reason = found(name, text).unwrap_err();
            assert!(reason.contains(said), "{reason}");
        }
        assert!(find(&Disk, Path::new("/"), "nothing.lock").unwrap_err().contains("there is no file"));
    }
}
