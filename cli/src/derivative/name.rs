//! Where a result stands in the dataset, and what its file is called.

use super::origin::Recording;
use neuroflow_engine::Digest;
use neuroflow_engine::label;
use neuroflow_formats::bids::entity;

/// The longest description in a name.
const LONGEST: usize = 80;

/// The place of a result: a folder, and the entities that its name begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    /// With a `/` at its end; empty at the top.
    pub(super) folder: String,
    /// `sub-01_task-rest`; empty when the recordings behind it share nothing.
    entities: String,
    /// The datatype of all recordings behind it; empty when there is none.
    pub(super) datatype: String,
}

impl Spot {
    /// Where the result of some recordings stands: what they share is in its name, and what no subject has alone is at the top.
    pub(super) fn of(recordings: &[&Recording]) -> Spot {
        let nowhere = Spot { folder: String::new(), entities: String::new(), datatype: String::new() };
        let Some((first, others)) = recordings.split_first() else { return nowhere };
        let shared = |key: &str, value: &str| others.iter().all(|other| other.file.name.get(key) == Some(value));
        let known = |key: &str| key != "desc" && entity(key).is_some_and(|entity| entity.short == key);
        let entities: Vec<&(String, String)> =
            first.file.name.entities.iter().filter(|(key, value)| known(key) && shared(key, value)).collect();
        let value = |key: &str| entities.iter().find(|(of, _)| of == key).map(|(_, value)| value.as_str());
        let datatype = &first.file.datatype;
        let datatype = if others.iter().all(|other| other.file.datatype == *datatype) { datatype.clone() } else { String::new() };
        let mut folder = String::new();
        if let Some(subject) = value("sub") {
            folder = format!("sub-{subject}/");
            if let Some(session) = value("ses") {
                folder += &format!("ses-{session}/");
            }
            if !datatype.is_empty() {
                folder += &format!("{datatype}/");
            }
        }
        // A session of one subject is no session of the group.
        let is_told = |key: &str| key != "ses" || !folder.is_empty();
        let told = entities.iter().filter(|(key, _)| is_told(key)).map(|(key, value)| format!("{key}-{value}"));
        Spot { entities: told.collect::<Vec<_>>().join("_"), folder, datatype }
    }

    /// Whether it is about one subject.
    pub(super) fn is_of_subject(&self) -> bool {
        !self.folder.is_empty()
    }

    /// Whether its name has an entity.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entities.split('_').any(|part| part.strip_prefix(key).is_some_and(|rest| rest.starts_with('-')))
    }

    /// The path of a file without its extension: `sub-01/eeg/sub-01_task-rest_desc-power_psd`.
    pub(super) fn stem(&self, desc: &str, suffix: &str) -> String {
        let joint = if self.entities.is_empty() { "" } else { "_" };
        format!("{}{}{joint}desc-{desc}_{suffix}", self.folder, self.entities)
    }
}

/// The value of `desc`: the step, members that are no recordings of its own, and the output when it is not the first, as letters and digits.
pub(super) fn desc(step: &str, own: &[&Recording], further: Option<&str>) -> String {
    let members = label::members(step);
    let members = members.strip_prefix("[\"").and_then(|rest| rest.strip_suffix("\"]"));
    let members = members.into_iter().flat_map(|members| members.split("\"][\""));
    // Which recording it is, its entities say.
    let told = |member: &&str| !matches!(own, [only] if only.label == *member);
    let parts: Vec<&str> = std::iter::once(label::step_name(step)).chain(members.filter(told)).chain(further).collect();
    let mut desc = String::new();
    for word in parts.iter().flat_map(|part| part.split(|letter: char| !letter.is_ascii_alphanumeric())).filter(|word| !word.is_empty()) {
        let (head, rest) = word.split_at(1);
        desc += &if desc.is_empty() { head.to_owned() } else { head.to_ascii_uppercase() };
        desc += rest;
    }
    // Letters that a name can't have must not make two names the same.
    if desc.is_empty() || desc.len() > LONGEST || !parts.iter().all(|part| part.is_ascii()) {
        desc.truncate(LONGEST);
        desc += &Digest::of(parts.join("\n").as_bytes()).short();
    }
    desc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_letters_and_digits_and_stays_readable() {
        for (step, further, wanted) in [
            ("psd", None, "psd"),
            ("psd[\"alpha\"]", None, "psdAlpha"),
            ("lab/power_law[\"low-gamma\"][\"b 2\"]", Some("fit"), "labPowerLawLowGammaB2Fit"),
        ] {
            assert_eq!(desc(step, &[], further), wanted);
        }
        let (one, other) = (desc("a[\"ä\"]", &[], None), desc("a[\"ö\"]", &[], None));
        assert!(one != other && one.starts_with('a') && one.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{one}");
        assert!(desc(&"x".repeat(500), &[], None).len() < 100);
    }
}
