//! What a change does to a text, line by line.

use git2::{DiffOptions, Patch};

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It stays.
    Same,
    /// It is new.
    Added,
    /// It is no longer there.
    Removed,
    /// Lines between are left out.
    Gap,
}

/// A line of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What became of it.
    pub mark: Mark,
    /// Its number: afterwards, for a removed one before.
    pub number: usize,
    /// What it says, without its end.
    pub text: String,
}

/// The difference of two texts, with `around` lines that stay around each change. No line is left out silently: a gap is a line of its own.
pub fn unified(before: &str, after: &str, around: u32) -> Vec<Line> {
    let mut options = DiffOptions::new();
    options.context_lines(around).force_text(true).indent_heuristic(true);
    let Ok(patch) = Patch::from_buffers(before.as_bytes(), None, after.as_bytes(), None, Some(&mut options)) else { return Vec::new() };
    let mut lines = Vec::new();
    for hunk in 0..patch.num_hunks() {
        if hunk > 0 {
            lines.push(Line { mark: Mark::Gap, number: 0, text: String::new() });
        }
        for at in 0..patch.num_lines_in_hunk(hunk).unwrap_or(0) {
            let Ok(line) = patch.line_in_hunk(hunk, at) else { continue };
            let (mark, number) = match line.origin() {
                '+' => (Mark::Added, line.new_lineno()),
                '-' => (Mark::Removed, line.old_lineno()),
                ' ' => (Mark::Same, line.new_lineno()),
                _ => continue,
            };
            let text = String::from_utf8_lossy(line.content()).trim_end_matches('\n').to_owned();
            lines.push(Line { mark, number: number.unwrap_or(0) as usize, text });
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_carry_their_numbers() {
        let found = unified("a\nb\nc\nd\n", "a\nB\nc\nd\n", 1);
        let shown: Vec<(Mark, usize, &str)> = found.iter().map(|line| (line.mark, line.number, line.text.as_str())).collect();
        assert_eq!(shown, [(Mark::Same, 1, "a"), (Mark::Removed, 2, "b"), (Mark::Added, 2, "B"), (Mark::Same, 3, "c")]);
        assert_eq!(unified("", "a\n", 3).len(), 1);
    }
}
