//! The person's home folder in texts that are shared: it is `~` there, for where it lies is about one machine and often names the person.

use std::path::PathBuf;

fn home() -> Option<String> {
    std::env::home_dir().and_then(|home| home.to_str().map(str::to_owned))
}

/// A text in which the home folder is `~`, wherever a path begins with it.
pub fn told(text: &str) -> String {
    home().map_or_else(|| text.to_owned(), |home| with_tilde(text, &home))
}

/// A path that begins with `~/`, where it is on this machine; every other text is as it was.
pub fn real(text: &str) -> PathBuf {
    let below = text.strip_prefix("~/").and_then(|rest| Some(std::env::home_dir()?.join(rest)));
    below.unwrap_or_else(|| PathBuf::from(text))
}

fn with_tilde(text: &str, home: &str) -> String {
    let home = home.trim_end_matches('/');
    if home.len() < 2 {
        return text.to_owned();
    }
    let (mut told, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(home) {
        let (before, found) = rest.split_at(at);
        let after = &found[home.len()..];
        let in_name = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        let is_path = !before.ends_with(in_name) && !after.starts_with(in_name);
        told.push_str(before);
        told.push_str(if is_path { "~" } else { home });
        rest = after;
    }
    told + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_folder_is_a_tilde_wherever_a_path_begins_with_it() {
        for (text, told) in [
            ("/home/ada/x.nf", "~/x.nf"),
            ("step `a`: /home/ada/data/b.csv: no such file; /home/ada", "step `a`: ~/data/b.csv: no such file; ~"),
            ("/home/adam/x and /mnt/home/ada/x", "/home/adam/x and /mnt/home/ada/x"),
            ("--out=/home/ada/reports", "--out=~/reports"),
            ("", ""),
        ] {
            assert_eq!(with_tilde(text, "/home/ada"), told);
            assert_eq!(with_tilde(text, "/"), text);
        }
    }
}
