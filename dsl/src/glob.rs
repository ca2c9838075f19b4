//! Patterns of paths: `*` for any characters of one name, `?` for one, `**` for any number of folders. Names that begin with a point are named, not matched.

/// Whether a path, with `/` between its names, fits a pattern.
pub fn matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').filter(|part| *part != "." && !part.is_empty()).collect();
    let path: Vec<&str> = path.split('/').filter(|part| *part != "." && !part.is_empty()).collect();
    // For each prefix of the pattern, whether it fits the names so far: no pattern takes more than its length times the path's.
    let mut fits = vec![false; pattern.len() + 1];
    fits[0] = true;
    for (at, part) in pattern.iter().enumerate() {
        fits[at + 1] = fits[at] && *part == "**";
    }
    for name in path {
        let mut next = vec![false; pattern.len() + 1];
        for (at, part) in pattern.iter().enumerate() {
            next[at + 1] =
                if *part == "**" { next[at] || (fits[at + 1] && !name.starts_with('.')) } else { fits[at] && name_matches(part, name) };
        }
        fits = next;
    }
    fits.last().copied().unwrap_or(false)
}

/// Whether a pattern names more than one path.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

fn name_matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let mut fits = vec![false; pattern.len() + 1];
    fits[0] = true;
    for (at, character) in pattern.iter().enumerate() {
        fits[at + 1] = fits[at] && *character == '*';
    }
    for character in name.chars() {
        let mut next = vec![false; pattern.len() + 1];
        for (at, wanted) in pattern.iter().enumerate() {
            next[at + 1] = match wanted {
                '*' => next[at] || fits[at + 1],
                '?' => fits[at],
                wanted => fits[at] && *wanted == character,
            };
        }
        fits = next;
    }
    fits.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stay_within_a_name_and_two_stars_cross_folders() {
        for (pattern, path, fits) in [
            ("data/*.csv", "data/a.csv", true),
            ("data/*.csv", "data/b/a.csv", false),
            ("data/**/*.csv", "data/a.csv", true),
            ("data/**/*.csv", "data/b/c/a.csv", true),
            ("**", "a/b", true),
            ("s?b-*.nwb", "sub-01.nwb", true),
            ("s?b-*.nwb", "sb-01.nwb", false),
            ("*", ".hidden", false),
            ("**/a", ".git/a", false),
            (".*", ".hidden", true),
            ("./a", "a", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXbY", false),
            ("*é?", "néz", true),
        ] {
            assert_eq!(matches(pattern, path), fits, "{pattern} {path}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        assert!(!matches(&"*a".repeat(500), &"a".repeat(400)));
        assert!(!matches(&format!("{}c", "**/".repeat(500)), "b"));
    }
}
