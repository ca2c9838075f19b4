//! A person's signature under a commit, made by `ssh-keygen` or `gpg` as git does it, and checked where it is of an SSH key.

use git2::Repository;
use std::io::Write;
use std::process::{Command, Stdio};

/// Signs a text as git would, with the key of `user.signingkey`. `proves` says that the signature is to prove an approval: that is checked with SSH keys, so
/// that another kind would prove nothing.
pub(crate) fn sign(repository: &Repository, text: &str, proves: bool, by: &git2::Signature<'_>) -> Result<String, String> {
    let config = repository.config().and_then(|mut config| config.snapshot()).map_err(|error| error.message().to_owned())?;
    let (format, key) = (config.get_str("gpg.format").unwrap_or("openpgp"), config.get_path("user.signingkey"));
    match format {
        "ssh" => {
            let key = key.map_err(|_| "set `git config user.signingkey` to the file of a key".to_owned())?;
            let mut command = Command::new(config.get_str("gpg.ssh.program").unwrap_or("ssh-keygen"));
            command.args(["-Y", "sign", "-n", "git", "-f"]);
            // The key itself in place of its file: the private half is with an agent.
            let literal = key.to_str().and_then(|text| text.strip_prefix("key::").or(text.starts_with("ssh-").then_some(text)));
            let file = literal.map(|text| tempfile::NamedTempFile::new().and_then(|mut file| writeln!(file, "{text}").map(|()| file)));
            let file = file.transpose().map_err(|error| error.to_string())?;
            match &file {
                Some(file) => command.arg(file.path()).arg("-U"),
                None => command.arg(&key),
            };
            let signature = pipe(command, text)?;
            if signature.starts_with("-----BEGIN SSH SIGNATURE-----") { Ok(signature) } else { Err("ssh-keygen gave no signature".into()) }
        }
        _ if proves => Err("set `git config gpg.format ssh` and `user.signingkey`; other signatures are not made here".into()),
        "openpgp" => {
            let program = config.get_str("gpg.openpgp.program").or_else(|_| config.get_str("gpg.program")).unwrap_or("gpg").to_owned();
            let by = format!("{} <{}>", by.name().unwrap_or_default(), by.email().unwrap_or_default());
            let key = config.get_str("user.signingkey").map_or(by, str::to_owned);
            let mut command = Command::new(program);
            command.args(["--status-fd=2", "-bsau"]).arg(key);
            let signature = pipe(command, text)?;
            if signature.starts_with("-----BEGIN PGP") { Ok(signature) } else { Err("gpg gave no signature".into()) }
        }
        other => Err(format!(
            "`commit.gpgsign` is set with `gpg.format = {other}`, and signatures of that kind are not made here; commit by hand, or unset it for this repository"
        )),
    }
}

/// Who signed a text, by the keys of `gpg.ssh.allowedSignersFile`.
pub(crate) fn verify(repository: &Repository, text: &str, signature: &str) -> Result<String, String> {
    let config = repository.config().map_err(|error| error.message().to_owned())?;
    let allowed = config.get_path("gpg.ssh.allowedSignersFile");
    let allowed = allowed.map_err(|_| "set `git config gpg.ssh.allowedSignersFile` to the file of known keys".to_owned())?;
    let file = tempfile::NamedTempFile::new().and_then(|mut file| file.write_all(signature.as_bytes()).map(|()| file));
    let file = file.map_err(|error| error.to_string())?;
    let mut command = Command::new("ssh-keygen");
    command.args(["-Y", "find-principals", "-s"]).arg(file.path()).arg("-f").arg(&allowed);
    let principals = pipe(command, "").map_err(|_| "the signature is of no known key".to_owned())?;
    let who = principals.lines().next().unwrap_or_default().to_owned();
    let mut command = Command::new("ssh-keygen");
    command.args(["-Y", "verify", "-n", "git", "-I", &who, "-s"]).arg(file.path()).arg("-f").arg(&allowed);
    pipe(command, text).map(|_| who).map_err(|_| "the signature does not fit the commit".to_owned())
}

fn pipe(mut command: Command, text: &str) -> Result<String, String> {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| format!("{} can't be started: {error}", command.get_program().to_string_lossy()))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(text.as_bytes()).map_err(|error| error.to_string())?;
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
