//! `data_schema` and `data_stats`: what is in the data, as far as it may be shown.

use super::contents::told;
use super::{ReadTool, Said, ToolReply, View, text};
use crate::model::{Field, FieldKind};
use crate::proposal::Exposure;
use async_trait::async_trait;
use neuroflow_data::{Artifact, FileTree, Kind, Payload};
use neuroflow_dsl::pipeline::Alternative;
use neuroflow_engine::readers::{self, Reader, Takes};
use neuroflow_engine::{Digest, label};
use neuroflow_formats::Opened;
use serde_json::{Map, Value, json};

/// The most columns, axes or members that are told.
pub(super) const MOST: usize = 200;

/// A number over fewer members than this could be one of theirs.
pub(super) const LEAST_MEMBERS: usize = 10;

/// Columns that are about a participant; shown only where the project names them.
const PERSONAL: [&str; 26] = [
    "patient",
    "patient_id",
    "patient_notes",
    "subjects",
    "participants",
    "sub",
    "birthday",
    "birth_date",
    "participant",
    "participant_id",
    "subject",
    "subject_id",
    "name",
    "first_name",
    "last_name",
    "age",
    "sex",
    "gender",
    "date_of_birth",
    "dob",
    "birth",
    "handedness",
    "hand",
    "birthdate",
    "email",
    "address",
];

pub(super) struct DataSchema;

#[async_trait]
impl ReadTool for DataSchema {
    fn name(&self) -> &'static str {
        "data_schema"
    }

    fn doc(&self) -> &'static str {
        "What an input, or the latest result of a step, consists of: kind, axes with lengths and units, columns with types; of a file of the field, what is in \
         it. Columns of trials are what `target` and `by` name. No values."
    }

    fn fields(&self) -> Vec<Field> {
        vec![Field::new("of", FieldKind::String, "an input or a step, such as responses; one member with responses[\"m1\"]")]
    }

    async fn call(&self, view: &View<'_>, arguments: &Map<String, Value>) -> ToolReply {
        let of = text(arguments, "of");
        let (mut said, mut exposure) = (Said::default(), Exposure::Schema);
        let content = match found(view, of, &mut said).await {
            Ok(Found::Members(labels)) => {
                let shown: Vec<String> = labels.iter().take(MOST).map(|label| said.say("the name of a file of an input", label)).collect();
                json!({ "of": of, "members": labels.len(), "labels": shown, "more": format!("{of}[\"LABEL\"] says what is in one") })
            }
            Ok(Found::Value(label, artifact)) => {
                let mut content = described(&artifact, view, &mut said);
                content["of"] = said.say("the name of a member", &label).into();
                content
            }
            Ok(Found::File(label, document)) => {
                let (mut content, shown) = told(document.as_ref(), view, &mut said);
                content["of"] = said.say("the name of a member", &label).into();
                exposure = shown;
                content
            }
            Err(reason) => return ToolReply { free_text: said.free_text(), ..ToolReply::refusal(reason) },
        };
        ToolReply { exposure, free_text: said.free_text(), ..ToolReply::plain(content) }
    }
}

enum Found {
    Members(Vec<String>),
    File(String, Opened),
    Value(String, Artifact),
}

async fn found(view: &View<'_>, of: &str, said: &mut Said) -> Result<Found, String> {
    let name = of.split(['[', '.']).next().unwrap_or(of).trim();
    let planned = view.planned().await.ok_or("the pipeline can't be planned; `check` says why")?;
    if let Some(at) = planned.prepared.pipeline.input(name) {
        let (record, declared) = (&planned.prepared.inputs[at], &planned.prepared.pipeline.inputs[at]);
        // Of several alternatives, the one that was taken names its path.
        let mut alternatives = declared.alternatives.iter().filter(|one| !one.is_stage);
        let is_taken = |one: &&Alternative| match one.arguments.first() {
            Some(neuroflow_stage::Value::Text(path)) => record.taken.contains(path.as_str()),
            _ => false,
        };
        let reader = alternatives.find(is_taken).and_then(|one| readers::reader(&one.reader));
        return match (record.members.as_slice(), member(of), reader) {
            ([(label, digest)], _, _) if label.is_empty() && declared.kind != Kind::Dir && declared.kind != Kind::File => {
                load(view, declared.kind, digest).map(|artifact| Found::Value(name.to_owned(), artifact))
            }
            // Files that belong together are one.
            (members, _, Some(reader)) if reader.takes != Takes::File && reader.name != "bids" => {
                let mut tree = FileTree::new();
                for (path, digest) in members {
                    let file = load(view, Kind::File, digest)?;
                    let bytes = file.bytes().map_err(|error| error.to_string())?;
                    tree.insert(path.clone(), bytes.clone()).map_err(|error| error.to_string())?;
                }
                document(reader, &Artifact::from_tree(tree), name, said)
            }
            ([(label, digest)], None, Some(reader)) if label.is_empty() && declared.kind == Kind::File => {
                document(reader, &load(view, Kind::File, digest)?, name, said)
            }
            // Arrays of an archive are told by the step that takes them.
            (members, Some(wanted), Some(reader)) if reader.name != "npz" => {
                let found = members.iter().find(|(label, _)| label == wanted);
                let (label, digest) = found.ok_or_else(|| format!("`{}` has no member of this name", crate::escape_line(name)))?;
                match load(view, reader.kind, digest)? {
                    artifact if matches!(reader.kind, Kind::File | Kind::Dir) => document(reader, &artifact, label, said),
                    artifact => Ok(Found::Value(label.clone(), artifact)),
                }
            }
            (members, ..) => Ok(Found::Members(members.iter().map(|(label, _)| label.clone()).collect())),
        };
    }
    if planned.prepared.pipeline.step(name).is_none() {
        return Err(format!("the pipeline has no input or step `{}`", crate::escape_line(name)));
    }
    let run = view.runs(1).into_iter().next().ok_or("the pipeline has not run yet, so its results are not known")?;
    let results = view.results(&run);
    let wanted = of.trim();
    let mut fitting = results.iter().filter(|(label, _)| *label == wanted || label::step_name(label) == wanted);
    let (label, outputs) = fitting.next().ok_or_else(|| format!("`{}` has no result in the latest run", crate::escape_line(of)))?;
    let (kind, digest) =
        outputs.values().find(|(kind, _)| *kind != Kind::Scores).or_else(|| outputs.values().next()).ok_or("it gave nothing")?;
    load(view, *kind, digest).map(|artifact| Found::Value(label.clone(), artifact))
}

/// The label of a member that is asked for, as in `units["m1"]`.
fn member(of: &str) -> Option<&str> {
    of.split_once("[\"")?.1.split_once("\"]").map(|(label, _)| label)
}

/// What is in a file of an input, called `label`.
fn document(reader: Reader, artifact: &Artifact, label: &str, said: &mut Said) -> Result<Found, String> {
    match readers::document(&reader, artifact, "") {
        Some(Ok(document)) => Ok(Found::File(label.to_owned(), document)),
        Some(Err(error)) => Err(said.say("why a file can't be read", &error.to_string())),
        None => Err("this is no file".into()),
    }
}

fn load(view: &View<'_>, kind: Kind, digest: &Digest) -> Result<Artifact, String> {
    view.session().artifact(kind, digest)
}

pub(super) fn described(artifact: &Artifact, view: &View<'_>, said: &mut Said) -> Value {
    let meta = artifact.meta();
    let axes = meta.axes.iter().take(MOST).map(|axis| {
        let properties: Vec<String> = axis.properties.iter().take(MOST).map(|(name, _)| said.say("the name of a property", name)).collect();
        let unit = axis.unit.as_ref().map(|unit| said.say("the unit of an axis", unit));
        json!({ "axis": said.say("the name of an axis", &axis.name), "length": axis.len(), "unit": unit, "properties": properties })
    });
    let axes: Vec<Value> = axes.collect();
    let unit = meta.unit.as_ref().map(|unit| said.say("a unit", unit));
    let mut out = json!({ "kind": artifact.kind().to_string(), "axes": axes, "unit": unit });
    if let Payload::Batch(batch) = artifact.payload() {
        out["rows"] = batch.num_rows().into();
        let schema = batch.schema();
        let columns = schema.fields().iter().take(MOST).map(|field| {
            if is_personal(field.name(), view) {
                return json!({ "column": said.say("the name of a column", field.name()), "masked": "about a participant" });
            }
            // The name of the type alone: names of fields inside, and of time zones, are a file's words.
            let of_type = field.data_type().to_string();
            json!({ "column": said.say("the name of a column", field.name()), "type": of_type.split('(').next() })
        });
        out["columns"] = columns.collect();
    }
    if let Payload::Tree(tree) = artifact.payload() {
        out["files"] = tree.iter().take(MOST).map(|(name, _)| said.say("the name of a file inside", name)).collect();
    }
    out
}

/// Whether a column or fact is about a participant, and not one that the project shows.
pub(super) fn is_personal(column: &str, view: &View<'_>) -> bool {
    let name: String =
        column.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' }).collect();
    PERSONAL.contains(&name.as_str()) && !view.settings().show_columns.iter().any(|shown| shown == column)
}

pub(super) struct DataStats;

#[async_trait]
impl ReadTool for DataStats {
    fn name(&self) -> &'static str {
        "data_stats"
    }

    fn doc(&self) -> &'static str {
        "Numbers over columns of an input or of the latest result of a step: count, mean, standard deviation, 5 % and 95 %, missing. Needs the level \
         `aggregate`; numbers over fewer than 10 rows are held back."
    }

    fn fields(&self) -> Vec<Field> {
        vec![
            Field::new("of", FieldKind::String, "an input or a step"),
            Field::new("columns", FieldKind::Strings, "the columns; all numeric ones when null").or_null(),
        ]
    }

    async fn call(&self, view: &View<'_>, arguments: &Map<String, Value>) -> ToolReply {
        if view.exposure() < Exposure::Aggregate {
            return ToolReply::refusal(
                "numbers of the data may not be shown here; a person allows it with `exposure = \"aggregate\"` under [agent] of neuroflow.toml",
            );
        }
        let mut said = Said::default();
        let artifact = match found(view, text(arguments, "of"), &mut said).await {
            Ok(Found::Value(_, artifact)) => artifact,
            Ok(Found::Members(_) | Found::File(..)) => return ToolReply::refusal("these are files; ask for the step that reads them"),
            Err(reason) => return ToolReply { free_text: said.free_text(), ..ToolReply::refusal(reason) },
        };
        let wanted: Vec<String> = match arguments.get("columns").and_then(Value::as_array) {
            Some(names) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            None => artifact.column_names(),
        };
        let rows: Vec<Value> = wanted.iter().take(MOST).filter_map(|column| stats(&artifact, column, view, &mut said)).collect();
        ToolReply { exposure: Exposure::Aggregate, free_text: said.free_text(), ..ToolReply::plain(json!({ "columns": rows })) }
    }
}

fn stats(artifact: &Artifact, column: &str, view: &View<'_>, said: &mut Said) -> Option<Value> {
    let name = said.say("the name of a column", column);
    if is_personal(column, view) {
        return Some(json!({ "column": name, "masked": "about a participant" }));
    }
    let numbers = artifact.numbers(column).ok()?;
    let mut known: Vec<f64> = numbers.iter().copied().filter(|number| number.is_finite()).collect();
    if known.len() < LEAST_MEMBERS {
        return Some(json!({ "column": name, "held_back": format!("fewer than {LEAST_MEMBERS} values") }));
    }
    known.sort_by(f64::total_cmp);
    let n = known.len() as f64;
    let mean = known.iter().sum::<f64>() / n;
    let sd = (known.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    // Of few values, the ends would be single ones.
    let tail = |share: f64| (n >= 200.0).then(|| known[((share * n) as usize).min(known.len() - 1)]);
    let rounded = |value: f64| format!("{value:.4e}").parse::<f64>().unwrap_or(value);
    Some(json!({ "column": name, "n": known.len(), "missing": numbers.len() - known.len(), "mean": rounded(mean), "sd": rounded(sd),
                 "low_5": tail(0.05).map(rounded), "high_95": tail(0.95).map(rounded) }))
}
