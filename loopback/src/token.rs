//! A secret that a client shows with each request to a server on this machine.

use std::io::Write;
use std::path::Path;

/// 256 random bits as hexadecimal digits. It is written nowhere but where it is shown once, and where it is kept when it is to outlive the process.
pub struct Token(String);

const DIGITS: usize = 64;

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// When the system gives no random numbers, in words.
    pub fn new() -> Result<Token, String> {
        let mut bytes = [0u8; DIGITS / 2];
        getrandom::fill(&mut bytes).map_err(|error| format!("the system gives no random numbers: {error}"))?;
        Ok(Token(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// The one that is kept in a file that only this person can read; a new one when there is none, when somebody else could have read it, or when
    /// `anew` is wanted.
    ///
    /// # Errors
    /// When it can't be kept, in words.
    pub fn kept(path: &Path, anew: bool) -> Result<Token, String> {
        let known =
            std::fs::read_to_string(path).ok().filter(|text| text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if let Some(known) = known.filter(|_| !anew && is_private(path)) {
            return Ok(Token(known));
        }
        let token = Token::new()?;
        let told = |error: std::io::Error| format!("{} can't be written: {error}", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(told)?;
        }
        // Beside the file and renamed: whoever holds the old file open sees nothing of the new one.
        let beside = path.with_extension(format!("{}.new", std::process::id()));
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written =
            options.open(&beside).and_then(|mut file| file.write_all(token.0.as_bytes())).and_then(|()| std::fs::rename(&beside, path));
        written.map_err(|error| {
            let _ = std::fs::remove_file(&beside);
            told(error)
        })?;
        Ok(token)
    }

    /// The text, to be shown to the person once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether a header `Authorization` shows it. Digests are compared, so that how long it takes tells nothing.
    pub fn fits(&self, header: Option<&str>) -> bool {
        let shown = header.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        shown.is_some_and(|shown| blake3::hash(shown.as_bytes()) == blake3::hash(self.0.as_bytes()))
    }
}

#[cfg(unix)]
fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o077 == 0)
}

#[cfg(not(unix))]
fn is_private(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_fits_itself_and_nothing_else() {
        let token = Token::new().unwrap();
        assert_eq!(token.reveal().len(), 64);
        assert_ne!(token.reveal(), Token::new().unwrap().reveal());
        assert!(token.fits(Some(&format!("Bearer {}", token.reveal()))));
        assert!(token.fits(Some(&format!("bearer {}", token.reveal()))));
        for wrong in [
            String::new(),
            "Bearer".into(),
            "Bearer ".into(),
            format!("Basic {}", token.reveal()),
            token.reveal().into(),
            format!("Bearer {}0", token.reveal()),
            format!("Bearer {}", &token.reveal()[..63]),
        ] {
            assert!(!token.fits(Some(&wrong)), "{wrong}");
        }
        assert!(!token.fits(None));
    }

    #[test]
    fn a_kept_token_outlives_the_process_and_is_no_one_elses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("serve/one");
        let first = Token::kept(&path, false).unwrap();
        assert_eq!(Token::kept(&path, false).unwrap().reveal(), first.reveal());
        let second = Token::kept(&path, true).unwrap();
        assert_ne!(second.reveal(), first.reveal());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            assert_ne!(Token::kept(&path, false).unwrap().reveal(), second.reveal());
        }
        std::fs::write(&path, "short").unwrap();
        assert_eq!(Token::kept(&path, false).unwrap().reveal().len(), 64);
    }
}
