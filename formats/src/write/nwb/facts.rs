//! What an NWB file says about its session beside the data. The caller gives all of it: no clock is read here.

use super::bad;
use neuroflow_data::formats::FormatError;
use std::collections::BTreeMap;

/// Facts of a session and of how the file came to be. [`Facts::check`] says what is missing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// What the session was, in words.
    pub session_description: String,
    /// A text that no other file has.
    pub identifier: String,
    /// When the session began, as ISO 8601 with a time zone: `2026-11-30T09:30:00+01:00`.
    pub session_start_time: String,
    /// The moment that time 0 stands for, as above; the session's start when it is not given.
    pub timestamps_reference_time: Option<String>,
    /// When the file was made, as above.
    pub file_create_date: String,
    /// Who made the experiment, each as `Last, First`.
    pub experimenter: Vec<String>,
    /// Words to find the file by.
    pub keywords: Vec<String>,
    /// Where the data were published, such as `doi:10.1000/182`.
    pub related_publications: Vec<String>,
    /// Further texts under `general`: see [`GENERAL`].
    pub general: BTreeMap<String, String>,
    /// The subject: see [`SUBJECT`]. Empty when nothing is known.
    pub subject: BTreeMap<String, String>,
    /// The device that recorded, with a description.
    pub device: Option<(String, String)>,
    /// Seconds between two spike times that can be told apart: 1 over the rate that they were found at.
    pub spike_resolution: Option<f64>,
    /// The pipeline's file name and text.
    pub script: Option<(String, String)>,
    /// Programs that made the file, with their versions.
    pub generated_by: Vec<(String, String)>,
    /// Where the values come from: run, step, stage, version, parameters, digests of inputs.
    pub provenance: Vec<(String, String)>,
}

/// Texts that `general` may have (NWB schema, "NWBFile").
pub const GENERAL: [&str; 12] = [
    "data_collection",
    "experiment_description",
    "institution",
    "lab",
    "notes",
    "pharmacology",
    "protocol",
    "session_id",
    "slices",
    "stimulus",
    "surgery",
    "virus",
];

/// Texts that a subject may have (NWB schema, "Subject").
pub const SUBJECT: [&str; 9] = ["age", "date_of_birth", "description", "genotype", "sex", "species", "strain", "subject_id", "weight"];

impl Facts {
    /// Refuses facts that no valid file can have.
    ///
    /// # Errors
    /// When a required text is empty, a time is not ISO 8601 with a zone, or a name is not one of [`GENERAL`] or [`SUBJECT`].
    pub fn check(&self) -> Result<(), FormatError> {
        for (path, text) in [("/session_description", &self.session_description), ("/identifier", &self.identifier)] {
            if text.is_empty() {
                return Err(bad(path, "an NWB file needs this text, and it is empty", "give it"));
            }
        }
        let times = [("/session_start_time", Some(&self.session_start_time)), ("/file_create_date", Some(&self.file_create_date))];
        let further = [
            ("/timestamps_reference_time", self.timestamps_reference_time.as_ref()),
            ("/general/subject/date_of_birth", self.subject.get("date_of_birth")),
        ];
        for (path, time) in times.into_iter().chain(further) {
            if let Some(time) = time
                && !is_moment(time)
            {
                let reason = format!("`{}` is no time of ISO 8601 with a time zone", time.escape_debug());
                return Err(bad(path, reason, "write it as `2026-11-30T09:30:00+01:00`"));
            }
        }
        for (group, names, texts) in [("/general", &GENERAL[..], &self.general), ("/general/subject", &SUBJECT[..], &self.subject)] {
            if let Some(name) = texts.keys().find(|name| !names.contains(&name.as_str())) {
                let reason = format!("NWB has no text `{}` here", name.escape_debug());
                return Err(bad(group, reason, format!("use one of {}", names.join(", "))));
            }
        }
        Ok(())
    }
}

/// Whether a text is `YYYY-MM-DDThh:mm:ss[.f…](Z|±hh:mm)`, with numbers in their ranges.
pub fn is_moment(text: &str) -> bool {
    let Some((date, rest)) = text.split_once('T') else { return false };
    let (time, zone) = match rest.strip_suffix('Z') {
        Some(time) => (time, None),
        None => match rest.rfind(['+', '-']) {
            Some(sign) => (rest.get(..sign).unwrap_or_default(), rest.get(sign + 1..)),
            None => return false,
        },
    };
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let within = |text: &str, separator: char, digits: &[usize], ranges: &[(u32, u32)]| {
        let parts: Vec<&str> = text.split(separator).collect();
        parts.len() == digits.len()
            && parts.iter().zip(digits).zip(ranges).all(|((part, &digits), &(least, most))| {
                part.len() == digits
                    && part.bytes().all(|byte| byte.is_ascii_digit())
                    && part.parse().is_ok_and(|number: u32| (least..=most).contains(&number))
            })
    };
    within(date, '-', &[4, 2, 2], &[(1, 9999), (1, 12), (1, 31)])
        && within(time, ':', &[2, 2, 2], &[(0, 23), (0, 59), (0, 60)])
        && (1..=9).contains(&fraction.len())
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
        && zone.is_none_or(|zone| within(zone, ':', &[2, 2], &[(0, 23), (0, 59)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_a_date_a_time_and_a_zone() {
        for good in ["2026-11-30T09:30:00+01:00", "2026-11-30T09:30:00Z", "1999-01-01T00:00:00.123456-11:30"] {
            assert!(is_moment(good), "{good}");
        }
        for bad in [
            "2026-11-30",
            "2026-11-30T09:30:00",
            "2026-13-30T09:30:00Z",
            "2026-11-30 09:30:00Z",
            "2026-11-30T9:30:00Z",
            "2026-11-30T09:30:00.Z",
            "2026-11-30T09:30:00+1",
            "T",
            "",
        ] {
            assert!(!is_moment(bad), "{bad}");
        }
    }

    #[test]
    fn what_is_missing_or_unknown_is_said() {
        let whole = Facts {
            session_description: "d".into(),
            identifier: "i".into(),
            session_start_time: "2026-11-30T09:30:00Z".into(),
            file_create_date: "2026-11-30T09:30:00Z".into(),
            ..Facts::default()
        };
        assert_eq!(whole.check(), Ok(()));
        let said = |facts: Facts| facts.check().unwrap_err().to_string();
        let error = said(Facts { identifier: String::new(), ..whole.clone() });
        assert_eq!(error, "NWB: object `/identifier`: an NWB file needs this text, and it is empty; give it");
        let error = said(Facts { file_create_date: "today".into(), ..whole.clone() });
        assert!(error.starts_with("NWB: object `/file_create_date`: `today` is no time of ISO 8601"), "{error}");
        let error = said(Facts { subject: BTreeMap::from([("name".into(), "Mickey".into())]), ..whole });
        assert!(error.starts_with("NWB: object `/general/subject`: NWB has no text `name` here; use one of age, "), "{error}");
    }
}
