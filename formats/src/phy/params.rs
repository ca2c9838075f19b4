//! `params.py`: a Python program by name, a list of settings by use. Only lines `name = literal` are read; nothing is run.

use crate::text;
use std::collections::BTreeMap;

/// The settings, and how many lines were something else.
pub(super) fn read(bytes: &[u8]) -> (BTreeMap<String, String>, usize) {
    let mut settings = BTreeMap::new();
    let mut left_out = 0;
    for line in text::decoded(bytes).lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let named = line.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
        let pair = named.filter(|(name, _)| is_name(name)).and_then(|(name, value)| Some((name.to_owned(), literal(value)?)));
        match pair {
            Some((name, value)) => drop(settings.insert(name, value)),
            None => left_out += 1,
        }
    }
    (settings, left_out)
}

fn is_name(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

/// A number, a quoted text without escapes that matter, `True`, `False` or `None`.
fn literal(value: &str) -> Option<String> {
    let quoted = value.strip_prefix('r').unwrap_or(value);
    for quote in ['\'', '"'] {
        if let Some(inner) = quoted.strip_prefix(quote) {
            let (text, rest) = inner.split_once(quote)?;
            return is_rest(rest).then(|| text.to_owned());
        }
    }
    let (word, rest) = value.split_once('#').map_or((value, ""), |(word, rest)| (word.trim(), rest));
    let plain = word.replace('_', "");
    let number =
        plain.starts_with(|letter: char| letter.is_ascii_digit() || matches!(letter, '-' | '+' | '.')) && plain.parse::<f64>().is_ok();
    (number || matches!(word, "True" | "False" | "None"))
        .then(|| if number { plain } else { word.to_owned() })
        .filter(|_| rest.len() < 10_000)
}

fn is_rest(rest: &str) -> bool {
    rest.trim().is_empty() || rest.trim_start().starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_literals_are_read() {
        let text = b"dat_path = r'../raw.dat'\nn_channels_dat = 385\nsample_rate = 30000. # Hz\nhp_filtered=False\n\n# note\nimport os\n\
                     path = os.getcwd()\nx = __import__('os').system('true')\ndtype = 'int16'\noffset = 0\nrate2 = 3e4\nlist = [1, 2]\n";
        let (settings, left_out) = read(text);
        let expected = [
            ("dat_path", "../raw.dat"),
            ("dtype", "int16"),
            ("hp_filtered", "False"),
            ("n_channels_dat", "385"),
            ("offset", "0"),
            ("rate2", "3e4"),
            ("sample_rate", "30000."),
        ];
        assert_eq!(settings, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!(left_out, 4);
    }
}
