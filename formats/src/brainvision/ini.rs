//! The text of `.vhdr` and `.vmrk`: sections of `key=value` lines, in UTF-8 or an older code page.

use crate::source::{Source, part};
use crate::text;
use neuroflow_data::formats::{Format, FormatError, Place, RAISE_LIMIT};
use std::sync::Arc;

/// A header or marker file is text that people read; more than this is none.
const MOST_BYTES: u64 = 256 << 20;

/// The lines of a text file by section.
#[derive(Debug)]
pub(super) struct Ini {
    /// The first line.
    pub title: String,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    section: usize,
    number: u64,
    key: String,
    value: String,
}

/// A value and its line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'i> {
    pub key: &'i str,
    pub value: &'i str,
    pub line: u64,
}

impl Entry<'_> {
    pub(super) fn wrong(&self, reason: impl Into<String>, help: &str) -> FormatError {
        FormatError::new(Format::BrainVision, Place::Line { line: self.line, field: None }, reason, help)
    }
}

const SECTIONS: [&str; 5] = ["common infos", "binary infos", "ascii infos", "channel infos", "marker infos"];
const OTHER: usize = SECTIONS.len();

impl Ini {
    pub(super) fn read(source: &Arc<dyn Source>) -> Result<Ini, FormatError> {
        if source.len() > MOST_BYTES {
            let reason = format!("a header or marker file of {} bytes", source.len());
            return Err(FormatError::new(Format::BrainVision, Place::File, reason, RAISE_LIMIT));
        }
        let bytes = part(source.as_ref(), Format::BrainVision, 0..source.len())?;
        let text = text::decoded(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes));
        let mut lines = text.lines();
        let title = lines.next().unwrap_or_default().trim().to_owned();
        let mut ini = Ini { title, lines: Vec::new() };
        let mut section = OTHER;
        // What a line takes here, and later as a marker and an event.
        let most = source.len().saturating_mul(4).saturating_add(64 << 20) / 384;
        for (place, line) in lines.enumerate() {
            let line = line.trim();
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                // What follows is free text.
                if name.eq_ignore_ascii_case("comment") {
                    break;
                }
                section = SECTIONS.iter().position(|own| own.eq_ignore_ascii_case(name)).unwrap_or(OTHER);
            } else if section != OTHER
                && !line.starts_with([';', '#'])
                && let Some((key, value)) = line.split_once('=')
            {
                let number = place as u64 + 2;
                if ini.lines.len() as u64 >= most {
                    let place = Place::Line { line: number, field: None };
                    let reason = format!("there are more than {most} entries, which a file of {} bytes may not have", source.len());
                    return Err(FormatError::new(Format::BrainVision, place, reason, "split the recording"));
                }
                ini.lines.push(Line { section, number, key: key.trim().into(), value: value.trim().into() });
            }
        }
        Ok(ini)
    }

    /// All entries of a section, in order.
    pub(super) fn section(&self, name: &str) -> impl Iterator<Item = Entry<'_>> {
        let section = SECTIONS.iter().position(|own| *own == name).unwrap_or(OTHER);
        let own = self.lines.iter().filter(move |line| line.section == section);
        own.map(|line| Entry { key: &line.key, value: &line.value, line: line.number })
    }

    /// The last value of a key that is not empty.
    pub(super) fn get(&self, section: &str, key: &str) -> Option<Entry<'_>> {
        self.section(section).filter(|entry| entry.key.eq_ignore_ascii_case(key) && !entry.value.is_empty()).last()
    }

    /// The version in the first line: 1 or 2.
    pub(super) fn version(&self, kind: &str) -> Option<&str> {
        let title = self.title.to_ascii_lowercase();
        let known = title.contains("vision") && title.contains(kind);
        let version = self.title.rsplit(' ').next()?;
        (known && matches!(version, "1.0" | "2.0")).then_some(version)
    }
}
