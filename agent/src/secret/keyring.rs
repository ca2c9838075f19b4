//! A key in the system's keyring, asked for with the system's own command (see `docs/adr/20261130-keyring.md`).

use super::{KEY_BYTES, Secret, SecretError};
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a person may take to unlock the keyring.
const PATIENCE: Duration = Duration::from_secs(120);

/// So much of what the command says of its failure is read.
const SAID_BYTES: u64 = 2048;

/// What `security` ends with when there is no such key (`errSecItemNotFound`).
const NOT_FOUND: i32 = 44;

/// How often it is looked whether the command has ended.
const LOOK: Duration = Duration::from_millis(10);

/// The command that prints a key, and the one that a person stores it with.
fn commands(name: &str) -> Result<([String; 2], Vec<String>), SecretError> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    if cfg!(target_os = "macos") {
        let ask = words(&["find-generic-password", "-s", "neuroflow", "-a", name, "-w"]);
        let store = format!("security add-generic-password -s neuroflow -a {name} -w");
        Ok((["security".to_owned(), store], ask))
    } else if cfg!(unix) {
        let ask = words(&["lookup", "service", "neuroflow", "key", name]);
        let store = format!("secret-tool store --label=\"neuroflow {name}\" service neuroflow key {name}");
        Ok((["secret-tool".to_owned(), store], ask))
    } else {
        Err(SecretError::Keyring { name: name.to_owned(), reason: "keyrings are known on Linux and macOS; use `key_file`".into() })
    }
}

/// The key of this name.
pub(super) fn read(name: &str) -> Result<Secret, SecretError> {
    let ([program, store], ask) = commands(name)?;
    let failed = |reason: String| SecretError::Keyring { name: name.to_owned(), reason };
    let started = Command::new(&program).args(ask).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = started.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => failed(format!("the command `{program}` is not here; install it, or use `key_file`")),
        _ => failed(format!("`{program}` can't be started: {error}")),
    })?;
    let mut text = String::new();
    // What it says, and why not, is far smaller than a pipe, so the command never waits to be read.
    let began = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if began.elapsed() < PATIENCE => std::thread::sleep(LOOK),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed(format!("`{program}` gave no answer in {} s", PATIENCE.as_secs())));
            }
            Err(error) => return Err(failed(error.to_string())),
        }
    };
    let read = child.stdout.take().map(|output| output.take(KEY_BYTES).read_to_string(&mut text));
    if status.success() && !text.is_empty() && read.is_some_and(|read| read.is_ok()) {
        return Secret::new(&text);
    }
    let mut said = Vec::new();
    if let Some(errors) = child.stderr.take() {
        let _ = errors.take(SAID_BYTES).read_to_end(&mut said);
    }
    let said = String::from_utf8_lossy(&said);
    Err(failed(match said.lines().map(str::trim).find(|line| !line.is_empty()) {
        // A keyring without the key says nothing on Linux, and ends with this number on macOS.
        Some(reason) if status.code() != Some(NOT_FOUND) => {
            format!(
                "`{program}` could not ask the keyring: {}; see that it runs and is unlocked, or use `key_file`",
                crate::escape_line(reason)
            )
        }
        _ => format!("there is none; `{store}` asks for it and keeps it"),
    }))
}
