//! What is in a file of the field, as a model may be told: at every level its things with their shapes, units, rates, channels and columns; labels of events
//! by their counts from `aggregate` on; what the file says in its own words at `sample` alone.

use super::data::{LEAST_MEMBERS, MOST, is_personal};
use super::said::source;
use super::{Said, View};
use crate::proposal::Exposure;
use neuroflow_formats::{Contents, Document, Format, Item, READERS, What, type_word};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The most things of a file that are told, and the most columns or channels of each.
const MOST_THINGS: usize = 60;
const MOST_NAMES: usize = 64;

/// The most labels of events, and the most events that are counted for them.
const MOST_LABELS: usize = 40;
const MOST_EVENTS: u64 = 1_000_000;

/// What is in a document, and how much of the data that shows.
pub(super) fn told(document: &dyn Document, view: &View<'_>, said: &mut Said) -> (Value, Exposure) {
    let contents = document.contents();
    let mut shown = Exposure::Schema;
    let is_thing = |item: &&Item| !matches!(item.what, What::Group | What::Value(_) | What::Text { .. });
    let things = contents.items.iter().filter(is_thing);
    let count = things.clone().count();
    let things: Vec<Value> = things.take(MOST_THINGS).map(|item| thing(document, item, view, said, &mut shown)).collect();
    let mut out = json!({ "format": format_said(contents, said), "things": things });
    if let Some(more @ 1..) = count.checked_sub(MOST_THINGS) {
        out["more_things"] = more.into();
    }
    let words = words(contents, view);
    if view.exposure() < Exposure::Sample {
        let names = words.iter().take(MOST).map(|(name, _)| said.say("the name of a fact of a file", name));
        out["says"] = names.collect();
        if !words.is_empty() {
            out["held_back"] = "what the file says in its own words needs the level `sample`; ask the person".into();
        }
        return (out, shown);
    }
    let words = words.iter().take(MOST).map(|(name, text)| {
        let value = match text {
            Some(text) => said.say(&source("what a file says of itself", name), text).into(),
            None => json!({ "masked": "about a participant" }),
        };
        (said.say("the name of a fact of a file", name), value)
    });
    out["says"] = Value::Object(words.collect::<Map<_, _>>());
    out["notes"] = contents.notes.iter().take(MOST).map(|note| said.say("a note about a file", note)).collect();
    (out, Exposure::Sample)
}

/// The format, which is ours to say, and the version, which the file says. A recording of a tree has both of its own and the tree's.
fn format_said(contents: &Contents, said: &mut Said) -> Value {
    let is_known = |word: &str| READERS.iter().flat_map(|reader| reader.formats).any(|format| format.to_string() == word);
    match contents.version.split_once(" in BIDS ").filter(|(own, _)| contents.format == Format::Bids && is_known(own)) {
        Some((own, version)) => format!("{own} in BIDS {}", said.say("the version of a format", version)).into(),
        None => Contents::new(contents.format, said.say("the version of a format", &contents.version)).format_and_version().into(),
    }
}

/// What the file says in its own words: facts about the whole, single values in it, and what it says about groups. None is one about a participant.
fn words<'c>(contents: &'c Contents, view: &View<'_>) -> BTreeMap<&'c str, Option<&'c str>> {
    let values = contents.items.iter().filter_map(|item| match &item.what {
        What::Value(text) => Some((item.path.as_str(), text.as_str())),
        What::Group | What::Text { .. } if !item.about.is_empty() => Some((item.path.as_str(), item.about.as_str())),
        _ => None,
    });
    let facts = contents.facts.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    facts.chain(values).map(|(name, text)| (name, (!is_about_somebody(name, view)).then_some(text))).collect()
}

/// Whether a fact is about a participant: `subject_age`, `general/subject/sex`, `entity sub`.
fn is_about_somebody(name: &str, view: &View<'_>) -> bool {
    let last = name.rsplit('/').next().unwrap_or(name).trim_start_matches('@');
    let last = last.strip_prefix("entity ").unwrap_or(last);
    let within = ["subject_", "patient_", "participant_"].iter().find_map(|whose| last.strip_prefix(whose)).unwrap_or(last);
    is_personal(last, view) || is_personal(within, view)
}

/// One thing: what it is, and its channels, columns or labels.
fn thing(document: &dyn Document, item: &Item, view: &View<'_>, said: &mut Said, shown: &mut Exposure) -> Value {
    let mut out = json!({ "path": said.say("the name of a thing in a file", &item.path), "is": item.what.word() });
    let about = match &item.what {
        What::Table { rows, columns } => json!({ "rows": rows, "columns": columns_said(columns, view, said) }),
        what => all_said(what.to_json(), said),
    };
    if let Value::Object(about) = about {
        out.as_object_mut().into_iter().for_each(|out| out.extend(about.clone()));
    }
    // Units and events have columns too, which analyses name.
    if let (What::Spikes { .. } | What::Events { .. }, Ok(rows)) = (&item.what, document.rows(&item.path)) {
        let schema = rows.schema();
        let columns: Vec<(String, String)> =
            schema.fields().iter().map(|field| (field.name().clone(), type_word(field.data_type()))).collect();
        out["columns"] = columns_said(&columns, view, said);
    }
    match &item.what {
        What::Recording { .. } => out["names"] = channels(document, item, said),
        What::Events { count } if *count <= MOST_EVENTS && view.exposure() >= Exposure::Aggregate => {
            out["labels"] = labels(document, item, view, said);
            *shown = (*shown).max(if view.exposure() < Exposure::Sample { Exposure::Aggregate } else { Exposure::Sample });
        }
        _ => {}
    }
    if !item.about.is_empty() && view.exposure() >= Exposure::Sample {
        out["about"] = said.say(&source("a description in a file", &item.path), &item.about).into();
    }
    out
}

/// The name of a type alone: names of fields inside, and of time zones, are a file's words. `list of` and `6 ×` before it are ours.
fn type_said(of_type: &str, said: &mut Said) -> String {
    let of_type = of_type.split('(').next().unwrap_or(of_type).trim();
    let (before, name) = of_type.rsplit_once(' ').unwrap_or(("", of_type));
    let is_ours = |word: &str| matches!(word, "list" | "of" | "×") || word.parse::<u64>().is_ok();
    if before.is_empty() || !before.split(' ').all(is_ours) {
        return said.say("the type of a column", of_type);
    }
    format!("{before} {}", said.say("the type of a column", name))
}

/// Names and types of columns, and how many more there are.
fn columns_said(columns: &[(String, String)], view: &View<'_>, said: &mut Said) -> Value {
    let named = columns.iter().take(MOST_NAMES).map(|(name, of_type)| {
        let name_said = said.say("the name of a column", name);
        match is_about_somebody(name, view) {
            true => json!([name_said, "masked: about a participant"]),
            false => json!([name_said, type_said(of_type, said)]),
        }
    });
    let mut named: Vec<Value> = named.collect();
    if let Some(more @ 1..) = columns.len().checked_sub(MOST_NAMES) {
        named.push(json!({ "more": more }));
    }
    named.into()
}

/// Every text within, as one that somebody else wrote.
fn all_said(value: Value, said: &mut Said) -> Value {
    match value {
        Value::String(text) => said.say("what a thing in a file is", &text).into(),
        Value::Array(values) => values.into_iter().take(MOST).map(|value| all_said(value, said)).collect(),
        Value::Object(fields) => Value::Object(fields.into_iter().map(|(key, value)| (key, all_said(value, said))).collect()),
        other => other,
    }
}

/// The names of channels; with unit and rate where they differ among them.
fn channels(document: &dyn Document, item: &Item, said: &mut Said) -> Value {
    let signals = match document.signals(&item.path) {
        Ok(signals) => signals,
        Err(error) => return json!({ "error": said.say("why a file can't be read", &error.to_string()) }),
    };
    let all = signals.channels();
    let alike = all.windows(2).all(|two| two[0].unit == two[1].unit && two[0].rate == two[1].rate);
    let named = all.iter().take(MOST_NAMES).map(|channel| {
        let name = said.say("the name of a channel", &channel.name);
        match alike {
            true => name.into(),
            false => json!([name, said.say("the unit of a channel", &channel.unit), channel.rate]),
        }
    });
    let mut named: Vec<Value> = named.collect();
    if let Some(more @ 1..) = all.len().checked_sub(MOST_NAMES) {
        named.push(json!({ "more": more }));
    }
    named.into()
}

/// How often each label is there; below the level `sample` only what is there often enough.
fn labels(document: &dyn Document, item: &Item, view: &View<'_>, said: &mut Said) -> Value {
    let events = match document.events(&item.path) {
        Ok(events) => events,
        Err(error) => return json!({ "error": said.say("why a file can't be read", &error.to_string()) }),
    };
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    events.labels().into_iter().for_each(|label| *counts.entry(label).or_default() += 1);
    let least = if view.exposure() < Exposure::Sample { LEAST_MEMBERS } else { 1 };
    let held_back = counts.values().filter(|count| **count < least).count();
    let told = counts.iter().filter(|(_, count)| **count >= least).take(MOST_LABELS);
    let told: Vec<Value> = told.map(|(label, count)| json!([said.say("a label of events", label), count])).collect();
    let left = counts.len() - held_back - told.len();
    json!({ "counts": told, "held_back": held_back, "more": left })
}
