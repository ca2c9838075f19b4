//! Keys, and a look at everything that leaves the machine.
//!
//! A [`Secret`] can't be printed, compared or written down by accident: it has no `Debug`, no `Display` and no `Serialize`.
//! A [`Scanner`] looks through each outgoing body; what it finds stops the request.

mod keyring;
mod scanner;

pub use scanner::{Finding, FindingKind, Scanner};

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A key. The only way to its text is [`Secret::expose`], which is easy to search for.
#[derive(Clone)]
pub struct Secret(String);

/// The largest file that can be a key.
const KEY_BYTES: u64 = 16 << 10;

impl Secret {
    /// A key from its text, without the space around it.
    ///
    /// # Errors
    /// When it is empty, or not one line of visible ASCII, as all keys are.
    pub fn new(text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SecretError::NotAKey);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text, for the one header that it belongs in.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Why there is no key. No text of a key stands in here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// What was found can't be a key.
    #[error("the key is empty, or not one line of plain characters")]
    NotAKey,
    /// The key itself stands in a file of the project.
    #[error(
        "a key stands in {0}, where everyone who gets the project reads it: take it out, have it replaced where it was issued, and write `key_keyring = \"NAME\"`, `key_env = \"NAME\"` or `key_file = \"PATH\"` (outside of the project, mode 0600) instead"
    )]
    InProject(String),
    /// The setting names no variable.
    #[error(
        "`key_env` must be the name of an environment variable, such as `MODEL_KEY`; what stands there is none, and not shown in case it is the key itself"
    )]
    NotAName,
    /// The variable is not set.
    #[error("the environment variable `{0}`, which `key_env` names, is not set")]
    Unset(String),
    /// Two places are named.
    #[error("more than one of `key_env`, `key_file` and `key_keyring` is set; keep one")]
    Several,
    /// The setting names no key of a keyring.
    #[error(
        "`key_keyring` must be a name of letters, digits, `-`, `_` and `.`, at most 64; what stands there is none, and not shown in case it is the key itself"
    )]
    NotAKeyringName,
    /// The keyring has no such key, or can't be asked.
    #[error("the key `{name}` can't be had from the system's keyring: {reason}")]
    Keyring {
        /// The key's name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The file can't be read.
    #[error("the key file {path} can't be read: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Others can read the file.
    #[error("the key file {path} can be read by others (mode {mode:04o}); run `chmod 600` on it")]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

/// Where a key is, as the settings say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// There is none; servers on one's own machine need none.
    None,
    /// In an environment variable.
    Variable(String),
    /// In a file of mode 0600.
    File(PathBuf),
    /// In the system's keyring, under this name.
    Keyring(String),
}

/// The settings of a key, as they are written.
#[derive(Clone, Copy, Default)]
pub struct KeySettings<'a> {
    /// `key`, which is refused.
    pub key: Option<&'a str>,
    /// `key_env`.
    pub variable: Option<&'a str>,
    /// `key_file`.
    pub file: Option<&'a str>,
    /// `key_keyring`.
    pub keyring: Option<&'a str>,
}

impl KeySource {
    /// From the settings of `place`, the file that they stand in, for messages.
    ///
    /// # Errors
    /// When `key` is set, which would be a key in a project file; when what should be a name is none; when more than one is set.
    pub fn from_settings(place: &str, settings: KeySettings<'_>) -> Result<Self, SecretError> {
        if settings.key.is_some() {
            return Err(SecretError::InProject(place.to_owned()));
        }
        match (settings.variable, settings.file, settings.keyring) {
            (Some(name), None, None) => {
                let is_name = name.len() <= 64
                    && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
                    && !name.starts_with(|first: char| first.is_ascii_digit())
                    && !name.is_empty();
                if is_name { Ok(Self::Variable(name.to_owned())) } else { Err(SecretError::NotAName) }
            }
            (None, Some(path), None) => Ok(Self::File(path.into())),
            (None, None, Some(name)) => {
                let fits = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'_' | b'.');
                let is_name = !name.is_empty() && name.len() <= 64 && !name.starts_with('-') && name.bytes().all(fits);
                if is_name { Ok(Self::Keyring(name.to_owned())) } else { Err(SecretError::NotAKeyringName) }
            }
            (None, None, None) => Ok(Self::None),
            _ => Err(SecretError::Several),
        }
    }

    /// The key. `environment` looks up a variable; `project` is the folder in which no key may lie.
    ///
    /// # Errors
    /// When the variable is not set, the file can't be read, lies within the project, or is open to others, the keyring has none, or what is there is no key.
    pub fn read(&self, environment: impl Fn(&str) -> Option<String>, project: &Path) -> Result<Option<Secret>, SecretError> {
        let key = match self {
            Self::None => return Ok(None),
            Self::Variable(name) => Secret::new(&environment(name).ok_or_else(|| SecretError::Unset(name.clone()))?)?,
            Self::File(path) => read_file(path, project)?,
            Self::Keyring(name) => keyring::read(name)?,
        };
        remember(&key);
        Ok(Some(key))
    }
}

/// Keys that this process has read: what is written down is looked through for them, wherever they came from.
static READ: Mutex<Vec<Secret>> = Mutex::new(Vec::new());

fn remember(key: &Secret) {
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    if !read.iter().any(|known| known.expose() == key.expose()) {
        read.push(key.clone());
    }
}

impl Scanner {
    /// Looks for each key that this process has read, and for the home folder: for all that must not be written down.
    #[must_use]
    pub fn of_this_process() -> Self {
        let read = READ.lock().unwrap_or_else(PoisonError::into_inner);
        let scanner = read.iter().fold(Scanner::new(), Scanner::with_key);
        match std::env::var_os("HOME") {
            Some(home) => scanner.with_home(Path::new(&home)),
            None => scanner,
        }
    }
}

fn read_file(path: &Path, project: &Path) -> Result<Secret, SecretError> {
    let failed = |error: std::io::Error| SecretError::File { path: path.to_owned(), reason: error.to_string() };
    let real = path.canonicalize().map_err(failed)?;
    if project.canonicalize().is_ok_and(|project| real.starts_with(project)) {
        return Err(SecretError::InProject(path.display().to_string()));
    }
    // Opened first and looked at afterwards, so that what is looked at is what is read.
    let file = std::fs::File::open(&real).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(SecretError::File { path: path.to_owned(), reason: "it is no plain file".into() });
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(SecretError::Open { path: path.to_owned(), mode });
        }
    }
    let mut text = String::new();
    file.take(KEY_BYTES).read_to_string(&mut text).map_err(failed)?;
    Secret::new(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_the_settings_is_refused_and_not_repeated() {
        let from = |settings: KeySettings<'_>| KeySource::from_settings("neuroflow.toml", settings);
        let error = from(KeySettings { key: Some("sk-very-secret"), ..KeySettings::default() }).unwrap_err().to_string();
        assert!(error.contains("neuroflow.toml") && error.contains("key_env") && !error.contains("very-secret"), "{error}");
        let error = from(KeySettings { variable: Some("sk-very-secret"), ..KeySettings::default() }).unwrap_err().to_string();
        assert!(error.contains("name of an environment variable") && !error.contains("very-secret"), "{error}");
        for name in ["", "-w", "a b", "sk/very-secret", "ä"] {
            let error = from(KeySettings { keyring: Some(name), ..KeySettings::default() }).unwrap_err().to_string();
            assert!(error.contains("key_keyring") && !error.contains("very-secret"), "{error}");
        }
        assert!(from(KeySettings { variable: Some("A"), file: Some("b"), ..KeySettings::default() }).is_err());
        assert!(from(KeySettings { file: Some("b"), keyring: Some("c"), ..KeySettings::default() }).is_err());
        assert_eq!(from(KeySettings::default()).unwrap(), KeySource::None);
    }

    #[test]
    fn a_variable_is_looked_up_by_its_name_alone() {
        let source = KeySource::from_settings("x", KeySettings { variable: Some("MODEL_KEY"), ..KeySettings::default() }).unwrap();
        let environment = |name: &str| (name == "MODEL_KEY").then(|| " abcdef\n".to_owned());
        assert_eq!(source.read(environment, Path::new(".")).unwrap().unwrap().expose(), "abcdef");
        assert!(matches!(source.read(|_| None, Path::new(".")), Err(SecretError::Unset(name)) if name == "MODEL_KEY"));
        assert!(source.read(|_| Some("two words".into()), Path::new(".")).is_err());
        assert!(source.read(|_| Some(String::new()), Path::new(".")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_read_when_nobody_else_can_and_it_is_outside_of_the_project() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("project");
        std::fs::create_dir(&project).unwrap();
        let write = |path: &Path, mode: u32| {
            std::fs::write(path, "abcdef\n").unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
            KeySource::File(path.to_owned()).read(|_| None, &project).map(|key| key.unwrap().expose().to_owned())
        };
        assert_eq!(write(&folder.path().join("key"), 0o600).unwrap(), "abcdef");
        assert!(matches!(write(&folder.path().join("open"), 0o640), Err(SecretError::Open { mode: 0o640, .. })));
        assert!(matches!(write(&project.join("key"), 0o600), Err(SecretError::InProject(_))));
        // A link is where it points.
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(project.join("key"), &link).unwrap();
        assert!(matches!(KeySource::File(link).read(|_| None, &project), Err(SecretError::InProject(_))));
        assert!(matches!(
            KeySource::File(folder.path().into()).read(|_| None, &project),
            Err(SecretError::File { .. } | SecretError::InProject(_) | SecretError::Open { .. })
        ));
        assert!(matches!(KeySource::File(folder.path().join("gone")).read(|_| None, &project), Err(SecretError::File { .. })));
    }
}
