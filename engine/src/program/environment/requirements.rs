//! Lists for pip: whether they pin everything, and how a `pylock.toml` becomes one.

/// Options of a list that choose where packages come from, and not which.
const HARMLESS: [&str; 14] = [
    "--index-url",
    "-i",
    "--extra-index-url",
    "--find-links",
    "-f",
    "--no-index",
    "--only-binary",
    "--no-binary",
    "--prefer-binary",
    "--require-hashes",
    "--trusted-host",
    "--pre",
    "--use-feature",
    "--no-deps",
];

/// What is known about a list that pins everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pinned {
    /// Whether every package has the digests of its files.
    pub(super) hashes: bool,
    /// Whether the list says that no index is to be asked.
    pub(super) no_index: bool,
}

/// Checks that a list leaves nothing open.
///
/// # Errors
/// The first line that does, and what to do.
pub(super) fn check(text: &str) -> Result<Pinned, String> {
    let (mut with, mut without) = (0usize, None);
    let mut pinned = Pinned { hashes: false, no_index: false };
    for (number, line) in lines(text) {
        let place = |reason: &str| format!("line {number}, `{}` {reason}", shortened(&line));
        let first = line.split([' ', '=']).next().unwrap_or_default();
        if line.starts_with('-') {
            if ["-r", "--requirement", "-c", "--constraint"].iter().any(|option| first.starts_with(option) && !HARMLESS.contains(&first)) {
                return Err(place("names another file; put everything into one, as `uv pip compile` does"));
            }
            if !HARMLESS.contains(&first) {
                return Err(place("is an option that a lock can't have"));
            }
            pinned.no_index |= first == "--no-index";
            continue;
        }
        let requirement = line.split(" --hash").next().unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let hashed = line.contains("--hash=") || line.contains("--hash ");
        if let Some((_, address)) = requirement.split_once('@') {
            let by_commit = address.contains("git+") && address.rsplit('@').next().is_some_and(|commit| commit.len() >= 40);
            if !hashed && !by_commit && !address.contains("#sha256=") {
                return Err(place("has no digest; write `--hash=sha256:…` behind it"));
            }
        } else {
            let exact = requirement.split_once("==").filter(|(name, version)| {
                let version = version.trim_start_matches('=').trim();
                let plain = |c: char| c.is_alphanumeric() || ".+!-_".contains(c);
                !name.contains(['<', '>', '~', '!', ',']) && !version.is_empty() && version.chars().all(plain)
            });
            if exact.is_none() {
                return Err(place(
                    "is not pinned; write the lock with `uv pip compile --generate-hashes` or `pip freeze`, so that every package has its `==` version",
                ));
            }
        }
        if hashed {
            with += 1;
        } else {
            without
                .get_or_insert_with(|| place("has no `--hash`, and others have; write the lock with `uv pip compile --generate-hashes`"));
        }
    }
    pinned.hashes = with > 0;
    match without {
        Some(reason) if with > 0 => Err(reason),
        _ => Ok(pinned),
    }
}

/// The lines of a list with their numbers, continued lines as one, without comments.
fn lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut continued = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.starts_with('#') {
            continue;
        }
        let (line, goes_on) = line.strip_suffix('\\').map_or((line, false), |line| (line.trim_end(), true));
        match lines.last_mut().filter(|_| continued) {
            Some((_, before)) => {
                before.push(' ');
                before.push_str(line);
            }
            None => lines.push((number + 1, line.to_owned())),
        }
        continued = goes_on;
    }
    lines.retain(|(_, line)| !line.is_empty());
    lines
}

fn shortened(line: &str) -> String {
    let short: String = line.chars().take(60).collect();
    if short.len() < line.len() { format!("{short}…") } else { short }
}

/// A list for pip with the same packages, versions and digests as a `pylock.toml`.
///
/// # Errors
/// When it is none, or holds what such a list can't say.
pub(super) fn from_pylock(text: &str) -> Result<String, String> {
    let lock: toml::Table = toml::from_str(text).map_err(|error| format!("it can't be read: {}", error.message()))?;
    if lock.get("lock-version").and_then(toml::Value::as_str).is_none_or(|version| !version.starts_with("1.")) {
        return Err("it has no `lock-version = \"1.0\"`".into());
    }
    let mut list = String::new();
    for package in lock.get("packages").and_then(toml::Value::as_array).into_iter().flatten() {
        let text = |name: &str| package.get(name).and_then(toml::Value::as_str);
        let name = text("name").ok_or("a package has no name")?;
        let version = text("version").ok_or_else(|| format!("`{name}` has no version: sources of a working folder are no lock"))?;
        let files = package.get("wheels").and_then(toml::Value::as_array).into_iter().flatten().chain(package.get("sdist"));
        let digests: Vec<&str> = files.filter_map(|file| file.get("hashes")?.get("sha256")?.as_str()).collect();
        if digests.is_empty() {
            return Err(format!("`{name}` has no file with a sha256"));
        }
        list.push_str(&format!("{name}=={version}"));
        if let Some(marker) = text("marker") {
            list.push_str(&format!(" ; {marker}"));
        }
        digests.iter().for_each(|digest| list.push_str(&format!(" --hash=sha256:{digest}")));
        list.push('\n');
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pinned_lists_pass() {
        let with = "# made by\n--no-index\n--find-links /wheels\nnumpy==2.1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\nx[y]==1.0+cpu ; python_version < \"4\" --hash=sha256:cc # why\n";
        assert_eq!(check(with), Ok(Pinned { hashes: true, no_index: true }));
        assert_eq!(check("a==1\nb===2.0\n"), Ok(Pinned { hashes: false, no_index: false }));
        assert_eq!(check(&format!("x @ git+https://example.org/x@{}\n", "0".repeat(40))), Ok(Pinned { hashes: false, no_index: false }));
    }

    #[test]
    fn anything_left_open_is_named_with_its_line() {
        for (text, said) in [
            ("a==1\n\nb\n", "line 3, `b` is not pinned"),
            ("a==1.*\n", "is not pinned"),
            ("a~=1.0\n", "is not pinned"),
            ("a>1,==2\n", "is not pinned"),
            ("./wheel.whl\n", "is not pinned"),
            ("-e .\n", "an option that a lock can't have"),
            ("-r other.txt\n", "names another file"),
            ("a==1 --hash=sha256:aa\nb==2\n", "line 2, `b==2` has no `--hash`"),
            ("a @ https://example.org/a.whl\n", "has no digest"),
            ("a @ git+https://example.org/a@main\n", "has no digest"),
        ] {
            let reason = check(text).unwrap_err();
            assert!(reason.contains(said), "{text}: {reason}");
        }
    }

    #[test]
    fn a_pylock_becomes_a_list() {
        let lock = "lock-version = \"1.0\"\n[[packages]]\nname = \"a\"\nversion = \"1.2\"\nmarker = \"python_version > '3'\"\n\
                    [[packages.wheels]]\nname = \"a.whl\"\nhashes = { sha256 = \"aa\" }\n[packages.sdist]\nhashes = { sha256 = \"bb\" }\n";
        let list = from_pylock(lock).unwrap();
        assert_eq!(list, "a==1.2 ; python_version > '3' --hash=sha256:aa --hash=sha256:bb\n");
        assert!(check(&list).unwrap().hashes);
        assert!(from_pylock("x = 1").unwrap_err().contains("lock-version"));
        assert!(from_pylock("lock-version = \"1.0\"\n[[packages]]\nname = \"a\"\n").unwrap_err().contains("no version"));
    }
}
