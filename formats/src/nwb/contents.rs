//! What is in an NWB file.

use super::clock::Clock;
use super::events::marked;
use super::series::{Series, Times};
use super::table::DynamicTable;
use super::types::Types;
use crate::document::{Contents, Item, What};
use crate::hdf5::document::{self, shown};
use crate::hdf5::group::{Link, Target};
use crate::hdf5::tree::{Object, Sort, Tree, join};
use crate::reading::type_word;
use neuroflow_data::formats::Format;
use std::collections::HashMap;

/// Marks of intervals that are looked at on opening.
const MARKS: u64 = 16 << 10;

/// What an object of the schema is.
#[derive(Debug, Clone)]
pub(super) enum Part {
    /// A recording, and its clock as far as it was looked at.
    Recording(Series, Clock),
    /// A series with its own times, or with more axes than a recording has.
    Series(Series),
    /// Texts with times.
    Annotations(Series),
    /// Marks of where intervals begin and end, and how many intervals they are; half of the marks where there are many.
    Marks(Series, u64),
    /// Intervals.
    Intervals(DynamicTable),
    /// Units with spike times.
    Units(DynamicTable, u64),
    /// Another table.
    Table(DynamicTable),
}

impl Part {
    /// The series, where it is one.
    pub fn series(&self) -> Option<&Series> {
        match self {
            Part::Recording(series, _) | Part::Series(series) | Part::Annotations(series) | Part::Marks(series, _) => Some(series),
            Part::Intervals(_) | Part::Units(..) | Part::Table(_) => None,
        }
    }
}

/// The contents, and the parts of the schema by the address of their group.
pub(super) fn read(tree: &Tree, types: &Types, contents: &mut Contents) -> HashMap<u64, Part> {
    let mut parts = HashMap::new();
    for object in &tree.objects {
        if let Some(part) = part(tree, types, object, &mut contents.notes) {
            parts.insert(object.address, part);
        }
    }
    list(tree, &parts, contents);
    facts(tree, contents);
    parts
}

/// Adds what is in the file, each group before what it holds.
fn list(tree: &Tree, parts: &HashMap<u64, Part>, contents: &mut Contents) {
    let mut waiting: Vec<(&Object, &Link)> = Vec::new();
    waiting.extend(tree.root().into_iter().flat_map(links_of));
    while let Some((object, link)) = waiting.pop() {
        let path = join(&object.path, &link.name);
        if path == "specifications" {
            continue;
        }
        let target = tree.follow(object, link);
        // What belongs to a series or a table is told by it, but for tables in a table, and for what a series has beside its values.
        let is_told = match (parts.get(&object.address), target) {
            (None, _) => false,
            (Some(_), Some(target)) if target.path == path && parts.contains_key(&target.address) => false,
            (Some(part), Some(target)) => !part.series().is_some_and(|series| target.path == path && series.has_beside(target, &link.name)),
            (Some(_), None) => true,
        };
        if !is_told {
            add(tree, parts, contents, path.clone(), target, link);
        }
        // Under other paths, an object is listed without what it holds.
        if let Some(target) = target.filter(|target| target.path == path) {
            waiting.extend(links_of(target));
        }
    }
}

/// What a group holds, the last first.
fn links_of(object: &Object) -> impl Iterator<Item = (&Object, &Link)> {
    let links: &[Link] = if let Sort::Group(links) = &object.sort { links } else { &[] };
    links.iter().rev().map(move |link| (object, link))
}

fn add(tree: &Tree, parts: &HashMap<u64, Part>, contents: &mut Contents, path: String, target: Option<&Object>, link: &Link) {
    match (target, &link.target) {
        (Some(target), _) => {
            let about = if target.path == path { String::new() } else { format!("the same as `/{}`", target.path) };
            push(tree, parts, contents, path, target, about);
        }
        (None, Target::External { file, path: to }) => {
            let note = format!("`/{path}` is a link to another file, which is not opened: `{}`", file.escape_debug());
            contents.notes.push(note);
            let about = "a link to another file, which is not opened".to_owned();
            contents.items.push(Item { path, what: What::Value(format!("{file}:{to}")), about });
        }
        (None, Target::Soft(to)) => {
            contents.items.push(Item { path, what: What::Value(to.clone()), about: "a link to nothing".into() });
        }
        _ => {}
    }
}

fn push(tree: &Tree, parts: &HashMap<u64, Part>, contents: &mut Contents, path: String, object: &Object, about: String) {
    let own = |text: &str| if about.is_empty() { shown(text.to_owned()) } else { about.clone() };
    let (what, about) = match parts.get(&object.address) {
        Some(Part::Recording(series, clock)) => (
            What::Recording {
                channels: series.width as usize,
                samples: series.samples,
                rate: clock.rate,
                span: (clock.first(), clock.last),
                unit: series.unit.clone(),
            },
            own(&series.about),
        ),
        Some(Part::Annotations(series)) => (What::Events { count: series.samples }, own(&series.about)),
        Some(Part::Marks(series, count)) => (What::Events { count: *count }, own(&series.about)),
        Some(Part::Series(series)) => (series_what(tree, series), own(&series.about)),
        Some(Part::Intervals(table)) => (What::Events { count: table.count }, own(&described(tree, object))),
        Some(Part::Units(table, spikes)) => (What::Spikes { units: table.count, spikes: *spikes }, own(&described(tree, object))),
        Some(Part::Table(table)) => (What::Table { rows: Some(table.count), columns: table.described() }, own(&described(tree, object))),
        None => {
            let what = document::what(tree, object);
            if let Sort::Unread(error) = &object.sort {
                contents.tell(error);
            }
            let described = described(tree, object);
            let described = document::packing(tree, object).map_or(described.clone(), |packing| packing.told(&described));
            (what, own(&described))
        }
    };
    contents.items.push(Item { path, what, about });
}

fn described(tree: &Tree, object: &Object) -> String {
    tree.text(object, "description").unwrap_or_default()
}

fn series_what(tree: &Tree, series: &Series) -> What {
    match series.dataset(tree) {
        Ok(dataset) if series.axes > 2 || !series.numeric && series.axes != 1 || series.other_times().is_some() => {
            What::Array { shape: dataset.dims().to_vec(), element: dataset.datatype.word(), unit: series.unit.clone(), axes: axes(series) }
        }
        _ => {
            let name = series.path.rsplit('/').next().unwrap_or_default();
            let value = if series.numeric { "float64" } else { "text" };
            let mut columns = vec![("time".to_owned(), "float64 (seconds)".to_owned())];
            if series.times == Times::Unknown {
                columns.clear();
            }
            let unit = if series.unit.is_empty() { String::new() } else { format!(" ({})", series.unit) };
            match series.width {
                1 => columns.push((name.to_owned(), format!("{value}{unit}"))),
                width => columns.push((format!("{name} × {width}"), format!("{value}{unit}"))),
            }
            columns.extend(series.beside.iter().map(|own| (own.name.clone(), type_word(&own.datatype))));
            What::Table { rows: Some(series.samples), columns }
        }
    }
}

/// Names of the axes of a series: time first.
pub(super) fn axes(series: &Series) -> Vec<String> {
    // Which axis is time, nobody knows.
    if series.other_times().is_some() {
        return Vec::new();
    }
    let others: &[&str] = match series.axes {
        2 => &["channel"],
        3 => &["x", "y"],
        4 => &["x", "y", "z"],
        _ => &[],
    };
    std::iter::once("time").chain(others.iter().copied()).map(str::to_owned).collect()
}

fn part(tree: &Tree, types: &Types, object: &Object, notes: &mut Vec<String>) -> Option<Part> {
    if !matches!(object.sort, Sort::Group(_)) {
        return None;
    }
    let own = tree.text(object, "neurodata_type")?;
    if types.is(&own, "TimeSeries") {
        let series = Series::read(tree, object);
        if types.is(&own, "ImageSeries") {
            outside(tree, object, notes);
        }
        let Some(series) = series else {
            notes.push(format!("`/{}` has no values: its `data` are missing, a single value, or elsewhere", object.path));
            return None;
        };
        if let Some(wrong) = series.other_times() {
            notes.push(format!("`/{}`: {wrong}", object.path));
            return Some(Part::Series(series));
        }
        if types.is(&own, "AnnotationSeries") && !series.numeric && series.axes == 1 {
            return Some(Part::Annotations(series));
        }
        if types.is(&own, "IntervalSeries") && series.numeric && series.axes == 1 {
            // Of many marks, it is known only later whether they make intervals.
            if series.samples > MARKS {
                let count = series.samples / 2;
                return Some(Part::Marks(series, count));
            }
            return Some(match marked(tree, &series) {
                Ok(intervals) => Part::Marks(series, intervals.len() as u64),
                Err(error) => {
                    notes.push(error.to_string());
                    Part::Series(series)
                }
            });
        }
        let limit = tree.file.limits.max_columns as u64;
        let regular =
            if series.numeric && series.axes <= 2 && series.width <= limit && series.width > 0 { series.looks_regular(tree) } else { None };
        return Some(match regular {
            Some(clock) => Part::Recording(series, clock),
            None => Part::Series(series),
        });
    }
    if types.is(&own, "DynamicTable") {
        let table = DynamicTable::read(tree, object, notes);
        if types.is(&own, "TimeIntervals") && table.column("start_time").is_some() {
            return Some(Part::Intervals(table));
        }
        let ragged = table.column("spike_times").filter(|column| column.indexes.len() == 1);
        return Some(match ragged.and_then(|column| tree.at(column.data)) {
            Some(times) => {
                let count = if let Sort::Dataset(dataset) = &times.sort { dataset.count() } else { 0 };
                Part::Units(table, count)
            }
            None => Part::Table(table),
        });
    }
    None
}

/// Notes the files that hold the pictures of a series.
fn outside(tree: &Tree, object: &Object, notes: &mut Vec<String>) {
    let Some(own) = tree.child(object, "external_file") else { return };
    let Sort::Dataset(dataset) = &own.sort else { return };
    if !dataset.datatype.is_text() {
        return;
    }
    let files = tree.texts(&own.path, dataset, &dataset.everything(), &mut tree.small_budget()).ok().flatten().unwrap_or_default();
    if !files.is_empty() {
        let names: Vec<String> = files.iter().take(8).map(|name| format!("`{}`", name.escape_debug())).collect();
        notes.push(format!("the pictures of `/{}` are in other files, which are not opened: {}", object.path, names.join(", ")));
    }
}

/// Facts on the session, the subject and the devices.
fn facts(tree: &Tree, contents: &mut Contents) {
    let mut fact = |name: String, object: &Object| {
        let Sort::Dataset(dataset) = &object.sort else { return };
        if dataset.count() == 0 || dataset.count() > 100 {
            return;
        }
        let mut budget = tree.small_budget();
        let everything = dataset.everything();
        let text = if dataset.datatype.is_text() {
            tree.texts(&object.path, dataset, &everything, &mut budget).ok().flatten().map(|texts| texts.join(", "))
        } else if dataset.datatype.is_number() {
            let numbers = tree.numbers(&object.path, dataset, &everything, &mut budget).ok().flatten();
            numbers.map(|numbers| numbers.iter().map(f64::to_string).collect::<Vec<_>>().join(", "))
        } else {
            None
        };
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            contents.facts.insert(name, shown(text));
        }
    };
    let Some(root) = tree.root() else { return };
    for name in ["identifier", "session_description", "session_start_time", "timestamps_reference_time", "file_create_date"] {
        if let Some(object) = tree.child(root, name) {
            fact(name.to_owned(), object);
        }
    }
    if let Some(general) = tree.child(root, "general") {
        for (name, object) in tree.children(general) {
            fact(name.to_owned(), object);
        }
        if let Some(subject) = tree.child(general, "subject") {
            for (name, object) in tree.children(subject) {
                fact(format!("subject_{name}"), object);
            }
        }
        if let Some(devices) = tree.child(general, "devices") {
            let names: Vec<&str> = tree.children(devices).map(|(name, _)| name).collect();
            if !names.is_empty() {
                contents.facts.insert("devices".into(), shown(names.join(", ")));
            }
        }
    }
}

/// Empty contents of the version that the file states.
pub(super) fn empty(version: String) -> Contents {
    Contents::new(Format::Nwb, version)
}
