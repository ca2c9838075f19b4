//! Time-stamped lists of annotations (EDF+ specification, section 2.2.4).
//!
//! In each data record an annotation channel holds lists `+onset␕duration␔text␔text␔␀`. The first list of the first such channel keeps time: its
//! first
//! text is empty, and its onset is when the record begins.

use crate::text;

/// Bytes that separate.
const TEXT: u8 = 0x14;
const DURATION: u8 = 0x15;

/// One list.
#[derive(Debug, PartialEq)]
pub(super) struct Tal<'b> {
    pub onset: f64,
    pub duration: Option<f64>,
    /// Its texts; the first of a list that keeps time is empty.
    pub texts: Vec<&'b [u8]>,
}

/// The lists in one record's part of an annotation channel, and how many bytes groups could not be read as one.
pub(super) fn lists(bytes: &[u8]) -> (Vec<Tal<'_>>, usize) {
    let (mut lists, mut unread) = (Vec::new(), 0);
    for group in bytes.split(|&byte| byte == 0).filter(|group| !group.is_empty()) {
        match list(group) {
            Some(list) => lists.push(list),
            None => unread += 1,
        }
    }
    (lists, unread)
}

fn list(group: &[u8]) -> Option<Tal<'_>> {
    let mut parts = group.split(|&byte| byte == TEXT);
    let stamp = parts.next()?;
    let mut stamp = stamp.splitn(2, |&byte| byte == DURATION);
    let onset = stamp.next()?;
    let (sign, digits) = match onset.split_first()? {
        (b'+', digits) => (1.0, digits),
        (b'-', digits) => (-1.0, digits),
        _ => return None,
    };
    let onset = sign * seconds(digits)?;
    let duration = match stamp.next() {
        Some(digits) if !digits.is_empty() => Some(seconds(digits)?),
        _ => None,
    };
    let mut texts: Vec<&[u8]> = parts.collect();
    // Every text ends with the separator, so that the last part is what follows it: nothing.
    if texts.pop().is_none_or(|rest| !rest.is_empty()) {
        return None;
    }
    Some(Tal { onset, duration, texts })
}

/// Digits with at most one point; no exponent, no word.
fn seconds(digits: &[u8]) -> Option<f64> {
    let plain = digits.first().is_some_and(u8::is_ascii_digit) && digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    std::str::from_utf8(digits).ok().filter(|_| plain)?.parse::<f64>().ok().filter(|seconds| seconds.is_finite())
}

/// A text and, after `@@`, the channel it belongs to.
pub(super) fn label(bytes: &[u8], channels: &[String]) -> (String, Option<String>) {
    let text = text::decoded(bytes);
    match text.split_once("@@") {
        Some((label, channel)) if channels.iter().any(|own| own == channel) => (label.to_owned(), Some(channel.to_owned())),
        _ => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_onsets_durations_and_texts() {
        let (all, unread) = lists(b"+0\x14\x14\0+1.5\x152.25\x14left\x14right\x14\0-0.065\x14back\x14\0\0\0");
        assert_eq!(unread, 0);
        assert_eq!(all[0], Tal { onset: 0.0, duration: None, texts: vec![b""] });
        assert_eq!(all[1], Tal { onset: 1.5, duration: Some(2.25), texts: vec![b"left", b"right"] });
        assert_eq!(all[2], Tal { onset: -0.065, duration: None, texts: vec![b"back"] });
    }

    #[test]
    fn what_is_no_list_is_counted() {
        for bytes in [
            &b"+1e5\x14a\x14\0"[..],
            b"1\x14a\x14\0",
            b"+\x14a\x14\0",
            b"+inf\x14a\x14\0",
            b"+1.2.3\x14a\x14\0",
            b"+1\x14a\0",
            b"+1\x15x\x14a\x14\0",
        ] {
            let (all, unread) = lists(bytes);
            assert!(all.is_empty() && unread == 1, "{bytes:?}");
        }
    }

    #[test]
    fn a_text_may_name_its_channel() {
        let channels = ["C3".to_owned()];
        assert_eq!(label(b"spike@@C3", &channels), ("spike".into(), Some("C3".into())));
        assert_eq!(label(b"spike@@C9", &channels), ("spike@@C9".into(), None));
        assert_eq!(label(b"Aufw\xe4rts", &channels), ("Aufwärts".into(), None));
    }
}
