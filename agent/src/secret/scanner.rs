//! A look at what is about to leave: known keys, planted words, the home folder, and whatever has the shape of a key.

use super::Secret;
use base64::Engine as _;
use std::path::Path;

/// A key shorter than this is not looked for: servers on one's own machine are given keys like `none`, which stand in ordinary text.
const SCANNED: usize = 12;

/// What was found in a text that was about to leave. It names the kind and the place, never the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it holds {kind} (at byte {at} of the body); {}", .kind.advice())]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// Where it begins, in bytes.
    pub at: usize,
}

/// Kinds of what must not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingKind {
    /// A key that the settings name.
    Key,
    /// A word that was planted to be found.
    Canary,
    /// Something that looks like a key, by the name of its kind.
    LooksLike(&'static str),
    /// The path of the home folder, which holds a person's name.
    Home,
}

impl FindingKind {
    fn advice(self) -> &'static str {
        match self {
            Self::Key => "find out how it got into the conversation, and have it replaced if it was shown elsewhere too",
            Self::Canary => "something read what it must not",
            Self::LooksLike(_) => "take it out of the file that it stands in; if it is no key, shorten or rename it",
            Self::Home => "give paths within the project",
        }
    }
}

impl std::fmt::Display for FindingKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key => formatter.write_str("the key of the endpoint"),
            Self::Canary => formatter.write_str("a planted word"),
            Self::LooksLike(what) => write!(formatter, "what looks like {what}"),
            Self::Home => formatter.write_str("the path of your home folder"),
        }
    }
}

/// Looks through texts before they leave.
#[derive(Clone, Default)]
pub struct Scanner {
    /// What is looked for word by word, and what it means.
    words: Vec<(Vec<u8>, FindingKind)>,
}

impl Scanner {
    /// Looks for what has the shape of a key, and nothing else yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks for a key too: as it is, as it is written within JSON, and in Base64. Keys of fewer than 12 characters are not looked for.
    #[must_use]
    pub fn with_key(mut self, key: &Secret) -> Self {
        let text = key.expose();
        if text.len() >= SCANNED {
            self.add(text, FindingKind::Key);
            // Whole groups of three bytes from each beginning, whatever stands before and behind.
            for skip in 0..3 {
                let rest = &text.as_bytes()[skip..];
                let whole = &rest[..rest.len() / 3 * 3];
                self.words.push((base64::engine::general_purpose::STANDARD.encode(whole).into_bytes(), FindingKind::Key));
            }
        }
        self
    }

    /// Looks for a planted word too.
    #[must_use]
    pub fn with_canary(mut self, word: &str) -> Self {
        self.add(word, FindingKind::Canary);
        self
    }

    /// Looks for the path of the home folder too, and for where it really lies when that is a link. `/` alone is not looked for.
    #[must_use]
    pub fn with_home(mut self, home: &Path) -> Self {
        let real = home.canonicalize().ok().filter(|real| real != home);
        for home in std::iter::once(home).chain(real.as_deref()) {
            if home.components().count() > 1 {
                self.add(&home.display().to_string(), FindingKind::Home);
            }
        }
        self
    }

    fn add(&mut self, text: &str, kind: FindingKind) {
        if text.is_empty() {
            return;
        }
        self.words.push((text.as_bytes().to_vec(), kind));
        let quoted = serde_json::Value::from(text).to_string();
        let escaped = quoted.trim_matches('"');
        if escaped != text {
            self.words.push((escaped.as_bytes().to_vec(), kind));
        }
    }

    /// The first thing in a body that must not leave.
    #[must_use]
    pub fn scan(&self, body: &[u8]) -> Option<Finding> {
        let known = self
            .words
            .iter()
            .filter_map(|(word, kind)| find(body, word, *kind).map(|at| Finding { kind: *kind, at }))
            .min_by_key(|found| found.at);
        known.or_else(|| shapes(body).next().map(|(at, _, what)| Finding { kind: FindingKind::LooksLike(what), at }))
    }

    /// Whether a key stands in a body that somebody named: no look at what merely may be one.
    #[must_use]
    pub fn key_in(&self, body: &[u8]) -> Option<Finding> {
        let meant = self.words.iter().filter(|(_, kind)| matches!(kind, FindingKind::Key | FindingKind::Canary));
        meant.filter_map(|(word, kind)| find(body, word, *kind).map(|at| Finding { kind: *kind, at })).min_by_key(|found| found.at)
    }

    /// A text with all of it replaced by `[removed]`, for messages.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (word, _) in &self.words {
            if let Ok(word) = std::str::from_utf8(word) {
                text = text.replace(word, "[removed]");
            }
        }
        let mut redacted = String::new();
        let mut end = 0;
        for (at, length, _) in shapes(text.as_bytes()) {
            redacted.push_str(&text[end..at]);
            redacted.push_str("[removed]");
            end = at + length;
        }
        redacted + &text[end..]
    }
}

fn find(body: &[u8], word: &[u8], kind: FindingKind) -> Option<usize> {
    let first = *word.first()?;
    let last = body.len().checked_sub(word.len())?;
    // `/home/anna` is not within `/home/annabel`.
    let ends = |at: usize| kind != FindingKind::Home || !body.get(at + word.len()).is_some_and(u8::is_ascii_alphanumeric);
    (0..=last).find(|at| body[*at] == first && body[*at..].starts_with(word) && ends(*at))
}

/// How keys of known issuers begin, and how long what follows is at least.
const PREFIXES: &[(&str, usize, &str)] = &[
    ("sk-", 20, "a key of a model's endpoint"),
    ("ghp_", 30, "a token of GitHub"),
    ("gho_", 30, "a token of GitHub"),
    ("ghs_", 30, "a token of GitHub"),
    ("github_pat_", 30, "a token of GitHub"),
    ("glpat-", 18, "a token of GitLab"),
    ("hf_", 30, "a token of Hugging Face"),
    ("AKIA", 16, "a key of AWS"),
    ("ASIA", 16, "a key of AWS"),
    ("AIza", 30, "a key of Google"),
    ("xoxb-", 20, "a token of Slack"),
    ("xoxp-", 20, "a token of Slack"),
    ("pypi-", 30, "a token of PyPI"),
    ("npm_", 30, "a token of npm"),
    ("eyJ", 60, "a signed token"),
];

/// Whatever has the shape of a key: where, how long, and what.
fn shapes(body: &[u8]) -> impl Iterator<Item = (usize, usize, &'static str)> {
    const PEM: &[u8] = b"PRIVATE KEY-----";
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < body.len() {
            let start = at;
            // In JSON a line end is a backslash and a letter, and the letter belongs to no word.
            if body[start] == b'\\' {
                at += if body.get(start + 1) == Some(&b'u') { 6 } else { 2 };
                continue;
            }
            let length = body[start..].iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')).count();
            if length == 0 {
                at += 1;
                continue;
            }
            at += length;
            let token = &body[start..at];
            if token.ends_with(b"KEY-----") && body[..at].ends_with(PEM) {
                return Some((start, length, "a private key"));
            }
            let is_issued = |(prefix, least, _): &&(&str, usize, &str)| {
                (0..token.len()).filter(|place| *place == 0 || !token[place - 1].is_ascii_alphanumeric()).any(|place| {
                    let rest = token[place..].strip_prefix(prefix.as_bytes());
                    rest.is_some_and(|rest| rest.len() >= *least && rest.iter().any(u8::is_ascii_digit))
                })
            };
            if let Some((_, _, what)) = PREFIXES.iter().find(is_issued) {
                return Some((start, length, *what));
            }
            // Names hold such signs too; a drawn token is looked for between them.
            if token.split(|byte| !byte.is_ascii_alphanumeric()).any(is_drawn) {
                return Some((start, length, "a key (a long random word)"));
            }
        }
        None
    })
}

/// Whether a word looks as if each of its characters had been drawn from letters and digits: it is long, less than two thirds of it are small letters
/// (by chance 42 %; in names and in camel case most are), kinds change at two places of five at least (by chance 62 %), and no character comes back
/// often. Hexadecimal digests are not meant: they have one case.
fn is_drawn(word: &[u8]) -> bool {
    if word.len() < 32 {
        return false;
    }
    let class = |byte: u8| match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        _ => 2,
    };
    let has = |wanted: i32| word.iter().any(|byte| class(*byte) == wanted);
    let small = word.iter().filter(|byte| class(**byte) == 0).count();
    let changes = word.windows(2).filter(|pair| class(pair[0]) != class(pair[1])).count();
    let entropy = entropy(word);
    has(0) && has(1) && has(2) && small * 3 < word.len() * 2 && changes * 5 >= word.len() * 2 && entropy >= 4.0
}

/// Shannon's entropy of the characters, in bits each.
fn entropy(word: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in word {
        counts[usize::from(*byte)] += 1;
    }
    let total = word.len() as f64;
    counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / total).map(|share| -share * share.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "planted/key\"with\\signs-0123456789";

    fn kinds(scanner: &Scanner, text: &str) -> Option<FindingKind> {
        scanner.scan(text.as_bytes()).map(|found| found.kind)
    }

    #[test]
    fn a_key_is_found_as_it_is_in_json_and_in_base64() {
        let scanner = Scanner::new().with_key(&Secret::new(KEY).unwrap());
        assert_eq!(kinds(&scanner, &format!("x{KEY}y")), Some(FindingKind::Key));
        assert_eq!(kinds(&scanner, &serde_json::json!({"content": KEY}).to_string()), Some(FindingKind::Key));
        for before in ["", "a", "ab"] {
            let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{before}{KEY} and more"));
            assert_eq!(kinds(&scanner, &encoded), Some(FindingKind::Key), "{encoded}");
        }
        assert_eq!(kinds(&scanner, "planted/key without the rest"), None);
        let found = scanner.scan(format!("12345{KEY}").as_bytes()).unwrap();
        assert_eq!(found.at, 5);
        assert!(!found.to_string().contains("planted"));
        assert!(!scanner.redact(&format!("bad key {KEY}!")).contains("planted"));
    }

    #[test]
    fn canaries_and_the_home_folder_are_found() {
        let scanner = Scanner::new().with_canary("kanarienvogel").with_home(Path::new("/home/someone"));
        assert_eq!(kinds(&scanner, "a kanarienvogel"), Some(FindingKind::Canary));
        assert_eq!(kinds(&scanner, "/home/someone/data"), Some(FindingKind::Home));
        assert_eq!(kinds(&scanner, "/home/someoneelse/data"), None);
        assert_eq!(kinds(&Scanner::new().with_home(Path::new("/")), "a/b"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_home_folder_that_is_a_link_is_found_under_both_names() {
        let place = tempfile::tempdir().unwrap();
        let (real, link) = (place.path().canonicalize().unwrap().join("real"), place.path().join("link"));
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let scanner = Scanner::new().with_home(&link);
        for home in [&real, &link] {
            assert_eq!(kinds(&scanner, &format!("{}/data", home.display())), Some(FindingKind::Home));
        }
    }

    #[test]
    fn what_has_the_shape_of_a_key_is_found() {
        for (text, expected) in [
            ("sk-proj-aB3dE6gH9jK2mN5pQ8sT", "a key of a model's endpoint"),
            ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "a token of GitHub"),
            ("AKIAIOSFODNN7EXAMPLE", "a key of AWS"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", "a private key"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U", "a signed token"),
            ("secret = wJa9rXUtn4FEMI7K7MDENGbPxRf1CYEXA2MPLEKEYq", "a key (a long random word)"),
        ] {
            let found = Scanner::new().scan(format!("{{\"content\": \"{text}\"}}").as_bytes());
            assert_eq!(found.map(|found| found.kind), Some(FindingKind::LooksLike(expected)), "{text}");
            let lines = serde_json::json!({"content": format!("one\n{text}\u{1}")}).to_string();
            assert!(Scanner::new().scan(lines.as_bytes()).is_some(), "{lines}");
            assert!(Scanner::new().scan(format!("KEY={text}").as_bytes()).is_some());
            let word = text.split(' ').next_back().unwrap();
            assert!(!Scanner::new().redact(text).contains(word), "{text}");
        }
    }

    #[test]
    fn what_stands_in_ordinary_questions_is_not_taken_for_a_key() {
        for text in [
            "b3-5f2c9d7e1a4b8c3d6e0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d",
            "data/sub-01/ses-02/func/sub-01_ses-02_task-rest_acq-highres_run-01_space-MNI152NLin2009cAsym_res-2_desc-preproc_bold.nii.gz",
            "shuffledResponsesOfTheSecondSessionWithTenFoldsAndARidgePenalty2",
            "AnExtremelyLongCamelCaseNameOfAnErrorThatSomeLibraryReports404Times",
            "task-0123456789012345678901234567890123456789",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "p-4f1c9e8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e",
            "sk-learn is a library",
            "sk-estimator-of-a-long-named-thing",
            "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "decode.classify(responses, target = \"frame\", model = logistic(penalty = l2, strength = auto), cv = kfold(5))",
        ] {
            assert_eq!(Scanner::new().scan(text.as_bytes()), None, "{text}");
            assert_eq!(Scanner::new().redact(text), text);
        }
    }

    /// Random tokens of 40 letters and digits, as issuers draw them: nearly all are found.
    #[test]
    fn drawn_tokens_are_found() {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let drawn = |number: u32| -> Vec<u8> {
            let mut bytes = blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof();
            let mut token = [0; 40];
            bytes.fill(&mut token);
            token.iter().map(|byte| LETTERS[usize::from(*byte) % LETTERS.len()]).collect()
        };
        let found = (0..1000).filter(|number| Scanner::new().scan(&drawn(*number)).is_some()).count();
        assert!(found >= 970, "{found} of 1000");
    }

    #[test]
    fn short_keys_of_local_servers_do_not_stop_ordinary_text() {
        assert_eq!(kinds(&Scanner::new().with_key(&Secret::new("ollama").unwrap()), "I use ollama"), None);
    }
}
