//! A run as an RO-Crate: the pipeline, what it took and gave, and how, in the profiles that workflow runs have
//! (Process, Workflow and Provenance Run Crate 0.5; Workflow RO-Crate 1.0), on RO-Crate 1.1.

mod graph;
mod prov;

pub(crate) use graph::metadata;
pub(crate) use prov::provenance;

use neuroflow_cache::Digest;
use neuroflow_engine::label;
use neuroflow_engine::record::{RunRecord, TaskRow};
use serde_json::Value;
use std::collections::BTreeMap;

/// A step of the run: a call with its inputs and outputs.
pub(crate) struct Performed {
    /// The step with its member: `direction["m1"]`.
    pub(crate) label: String,
    /// The step's name.
    pub(crate) step: String,
    /// The stage or `exec`.
    pub(crate) stage: String,
    /// The stage's version; empty for a program.
    pub(crate) version: String,
    /// Parameters as they are written; for a program its command.
    pub(crate) params: BTreeMap<String, String>,
    /// The contents that it took.
    pub(crate) takes: Vec<Digest>,
    /// What it gave.
    pub(crate) gives: Vec<Given>,
    /// When it began and ended, RFC 3339; none when that is no longer known.
    pub(crate) when: Option<(String, String)>,
}

/// A result of a step.
pub(crate) struct Given {
    pub(crate) output: String,
    pub(crate) kind: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    /// The file in the crate that holds it; none when it is only named.
    pub(crate) file: Option<String>,
}

/// A file of the crate that is no result.
pub(crate) struct Part {
    pub(crate) path: String,
    pub(crate) name: String,
    pub(crate) format: &'static str,
    pub(crate) size: u64,
}

/// Everything that a crate says.
pub(crate) struct Contents<'a> {
    pub(crate) record: &'a RunRecord,
    /// The pipeline's title, when it has one.
    pub(crate) title: String,
    /// The path of the pipeline file in the crate.
    pub(crate) workflow: String,
    pub(crate) performed: Vec<Performed>,
    pub(crate) parts: Vec<Part>,
    /// Who wrote the commit that the pipeline is of, as version control knows; without an address. Who ran it is not known.
    pub(crate) author: Option<String>,
    /// The licence of the results, as an address or a name.
    pub(crate) licence: String,
    /// Where files of inputs are published: content to address.
    pub(crate) published: BTreeMap<Digest, String>,
    /// Licences and citations of the data sets that were taken, by input.
    pub(crate) sources: BTreeMap<String, (String, String)>,
}

/// The steps of a run from its rows and the records of its tasks. `recorded` gives what a key was made of, and when its task ran.
pub(crate) fn performed(rows: &[TaskRow], recorded: impl Fn(&Digest) -> Option<(Value, i64, f64)>) -> Vec<Performed> {
    let mut all: Vec<Performed> = Vec::new();
    for row in rows {
        if row.unasked || (label::part(&row.label).is_some() && row.joins.is_none()) {
            continue;
        }
        let (key, started, wall) = row.key.and_then(|key| recorded(&key)).unwrap_or((Value::Null, 0, 0.0));
        let gives = || {
            let given = row.outputs.iter().map(|(output, kind, digest, size)| Given {
                output: output.clone(),
                kind: kind.to_string(),
                digest: *digest,
                size: *size,
                file: None,
            });
            given.collect::<Vec<_>>()
        };
        // A join gives the step's scores anew, with their controls.
        if let Some(step) = &row.joins {
            if let Some(of) = all.iter_mut().find(|one| one.label == *step) {
                for given in gives() {
                    match of.gives.iter_mut().find(|known| known.kind == given.kind) {
                        Some(known) => (known.digest, known.size) = (given.digest, given.size),
                        None => of.gives.push(given),
                    }
                }
            }
            continue;
        }
        let texts = |value: &Value| -> BTreeMap<String, String> {
            let fields = value.as_object().into_iter().flatten();
            fields.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
        };
        let mut params = texts(&key["params"]);
        let stage = match key["command"].as_str() {
            Some(command) => {
                params.insert("command".into(), command.to_owned());
                "exec".to_owned()
            }
            None => key["stage"].as_str().unwrap_or(&row.cost).to_owned(),
        };
        let at = |milliseconds: i64| {
            jiff::Timestamp::from_millisecond(milliseconds).ok().map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        };
        all.push(Performed {
            label: row.label.clone(),
            step: label::step_name(&row.label).to_owned(),
            stage,
            version: key["version"].as_u64().map_or(String::new(), |version| version.to_string()),
            params,
            takes: texts(&key["inputs"]).values().filter_map(|text| text.parse().ok()).collect(),
            gives: gives(),
            when: (started > 0).then(|| at(started).zip(at(started.saturating_add(wall as i64)))).flatten(),
        });
    }
    all
}

/// A label as a part of a path or an address: letters, digits, `.`, `-` and `_`. A name, or a step with one member whose name is a word, stays readable as
/// it is; everything else ends in a digest, so that no two labels become the same.
pub(crate) fn plain(label: &str) -> String {
    let word = |text: &str| !text.is_empty() && text.len() <= 60 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if word(label) {
        return label.to_owned();
    }
    let member = label::members(label).strip_prefix("[\"").and_then(|rest| rest.strip_suffix("\"]"));
    if let Some(member) = member.filter(|member| word(member) && label::part(label).is_none() && word(label::step_name(label))) {
        return format!("{}-{member}", label::step_name(label));
    }
    let kept: String = label.chars().map(|letter| if letter.is_ascii_alphanumeric() || letter == '_' { letter } else { '-' }).collect();
    let short: String = kept.trim_matches('-').chars().take(60).collect();
    format!("{}-{}", short.trim_matches('-'), Digest::of(label.as_bytes()).short()).trim_start_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn labels_become_names_of_files_and_stay_different() {
        assert_eq!(plain("direction"), "direction");
        assert_eq!(plain("direction[\"m1\"]"), "direction-m1");
        let alike = ["a[\"x y\"]", "a[\"x/y\"]", "a-x-y", "a[\"x\"][\"y\"]", "a[\"x-y\"]", "a[\"x\"] · y", "a-m1", "a[\"m1\"]"];
        let names: std::collections::BTreeSet<String> = alike.iter().map(|label| plain(label)).collect();
        assert_eq!(names.len(), alike.len(), "{names:?}");
        for label in ["../../x", "a[\"../../etc\"]", "", "ä", "..", "con\u{0}"] {
            let name = plain(label);
            assert!(!name.is_empty() && !name.starts_with('.') && !name.contains('/') && name.is_ascii(), "{label}: {name}");
        }
        assert!(plain(&"x".repeat(500)).len() < 100);
    }
}
