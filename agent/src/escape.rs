//! What the eye is shown: every text that comes from outside passes here before it stands on a card.
//!
//! Control characters could move the cursor and overwrite what is approved; format characters can hide or reorder it. All of them are shown by their
//! number instead, and a text that only looks like ASCII is told apart by [`is_plain`].

/// A text of one line: everything that is not to be seen, and line ends, by its number.
pub fn escape_line(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, letter| {
        push(&mut out, letter);
        out
    })
}

/// A text that may have several lines.
pub fn escape(text: &str) -> String {
    text.split('\n').map(|line| escape_line(line.strip_suffix('\r').unwrap_or(line))).collect::<Vec<_>>().join("\n")
}

/// A text in quotes as the pipeline language writes it, everything that is not to be seen by its number: it means the same and hides nothing.
pub fn quoted(text: &str) -> String {
    let body = text.chars().fold(String::with_capacity(text.len()), |mut out, letter| {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            _ if is_hidden(letter) => out.push_str(&format!("\\u{{{:x}}}", u32::from(letter))),
            _ => out.push(letter),
        }
        out
    });
    format!("\"{body}\"")
}

/// JSON that means the same with everything that is not to be seen spelt out. Space and line ends between values stay.
pub fn escape_json(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut out, letter| {
        match letter {
            '\n' => out.push(letter),
            // Within texts alone, since nothing hidden may stand between values.
            _ if is_hidden(letter) => letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
            _ => out.push(letter),
        }
        out
    })
}

/// A page on which everything that is not to be seen is spelt out in letters that mean nothing to it, wherever they stand: `[U+202E]`.
pub fn escape_page(html: &str) -> String {
    html.chars().fold(String::with_capacity(html.len()), |mut out, letter| {
        match letter {
            '\n' | '\r' | '\t' => out.push(letter),
            _ if is_hidden(letter) => out.push_str(&format!("[U+{:04X}]", u32::from(letter))),
            _ => out.push(letter),
        }
        out
    })
}

/// Whether a text is all printable ASCII: where it is not, a letter may be another one than it seems.
pub fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t'))
}

fn push(out: &mut String, letter: char) {
    match letter {
        '\t' => out.push_str("    "),
        _ if is_hidden(letter) => out.push_str(&format!("<U+{:04X}>", u32::from(letter))),
        _ => out.push(letter),
    }
}

/// Control (C0, C1), format and private-use characters, separators of lines and paragraphs, fillers and variation selectors: all that changes what is seen
/// without being seen.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(u32::from(letter),
            0x00AD | 0x034F | 0x061C | 0x0600..=0x0605 | 0x06DD | 0x070F | 0x0890..=0x0891 | 0x08E2
            | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F
            | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB
            | 0x110BD | 0x110CD | 0x13430..=0x1345F | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A
            | 0xE000..=0xF8FF | 0xE0000..=0xE0FFF | 0xF0000..=0x10FFFF)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_can_not_be_seen_is_told_by_its_number() {
        assert_eq!(escape_line("a\u{1b}[2Jb\u{202e}c\u{200b}"), "a<U+001B>[2Jb<U+202E>c<U+200B>");
        assert_eq!(escape("one\r\ntwo\rthree"), "one\ntwo<U+000D>three");
        assert_eq!(escape_line("naïve Größe 神経"), "naïve Größe 神経");
        assert!(is_plain("scene = 1") && !is_plain("sсene = 1"));
    }

    #[test]
    fn texts_in_quotes_mean_the_same_and_hide_nothing() {
        let quoted = quoted("a\"b\\c\u{1b}[2J\u{202e}\n");
        assert_eq!(quoted, r#""a\"b\\c\u{1b}[2J\u{202e}\u{a}""#);
        assert_eq!(escape_page("<p>\u{1b}[2J\u{202e}</p>\n"), "<p>[U+001B][2J[U+202E]</p>\n");
        assert_eq!(escape_json("{\n  \"a\": \"\u{9b}\u{e0041}ä\"\n}"), "{\n  \"a\": \"\\u009b\\udb40\\udc41ä\"\n}");
    }

    proptest! {
        #[test]
        fn json_means_the_same(text in any::<String>()) {
            let json = serde_json::to_string_pretty(&[&text]).unwrap();
            let shown = escape_json(&json);
            prop_assert!(shown.chars().all(|letter| letter == '\n' || !is_hidden(letter)));
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), [text]);
        }

        #[test]
        fn nothing_hidden_is_left(text in any::<String>()) {
            let shown = escape(&text);
            prop_assert!(shown.chars().all(|letter| letter == '\n' || !is_hidden(letter)));
            prop_assert_eq!(escape(&shown), shown.clone());
        }
    }
}
