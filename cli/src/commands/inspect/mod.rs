//! `neuroflow inspect`: what is in a file or folder of data, and how to read it in a pipeline.

mod look;
mod page;
mod plot;
mod rows;

use super::Place;
use super::afar::{self, Afar};
use crate::amounts::bytes;
use crate::arguments::Inspect;
use crate::exit::{Exit, Failure};
use look::Looked;
use neuroflow_agent::{escape_json, escape_line};
use neuroflow_formats::bids;
use neuroflow_formats::disk::{OnDisk, open_path};
use neuroflow_formats::{Document, Folder, Format, FormatError, Limits, Options, Place as At, What};
use std::path::Path;
use std::sync::Arc;

/// So many items are listed.
const MOST_ITEMS: usize = 400;
/// So many broken rules are listed.
const MOST_FINDINGS: usize = 20;
/// So many facts are listed.
const MOST_FACTS: usize = 24;

/// A file or folder, opened.
struct Opened {
    document: Arc<dyn Document>,
    /// Its size in bytes; none of a folder.
    size: Option<u64>,
    /// Its name, without folders.
    name: String,
    /// The folder, when it is one.
    folder: Option<Arc<dyn Folder>>,
}

pub(crate) fn inspect(place: &Place, inspect: &Inspect) -> Result<Exit, Failure> {
    let opened = open(place, &inspect.what, inspect.reader.as_deref())?;
    if let Some(query) = &inspect.sql {
        return rows::answer(&opened, query, inspect.out.as_deref());
    }
    if inspect.check {
        return check(&opened, &inspect.what);
    }
    if inspect.json {
        println!("{}", escape_json(&json(&opened)?));
    } else if let Some(out) = &inspect.html {
        page::write(&opened, out)?;
        println!("what is in {}: {}", escape_line(&inspect.what), out.display());
    } else {
        match &inspect.item {
            Some(item) => one(&opened, item, inspect.rows)?,
            None => all(&opened, &inspect.what, inspect.reader.as_deref()),
        }
    }
    // What is there was shown; that it is not all there is an error all the same.
    match opened.document.contents().whole() {
        Ok(()) => Ok(Exit::Done),
        Err(error) => Err(told(&inspect.what, error)),
    }
}

/// Reads all of it.
fn check(opened: &Opened, what: &str) -> Result<Exit, Failure> {
    let broken = neuroflow_formats::read_through(opened.document.as_ref(), &mut |_, _| {});
    let items = opened.document.contents().items.len();
    let Some((first, rest)) = broken.split_first() else {
        println!("{}: {}, {items} items, whole", escape_line(&opened.name), escape_line(&opened.document.contents().format_and_version()));
        return Ok(Exit::Done);
    };
    for error in rest.iter().take(MOST_FINDINGS) {
        println!("{}", escape_line(&format!("{what}: {error}")));
    }
    if let Some(more @ 1..) = rest.len().checked_sub(MOST_FINDINGS) {
        println!("and {more} more");
    }
    Err(told(what, first.clone()))
}

/// A reader's error as a failure of the command.
fn told(what: &str, error: FormatError) -> Failure {
    let FormatError { format, place, reason, help } = error;
    let said = match (format, place) {
        // What is no file of any format has no place that says more.
        (Format::Unknown, _) => format!("{what}: {reason}"),
        (format, At::File) => format!("{what}: {format}: {reason}"),
        (format, place) => format!("{what}: {format}: {place}: {reason}"),
    };
    let help = if help.starts_with("name its reader: ") { format!("{help}, as in `--as csv`") } else { help };
    Failure::could_not_start(said).with_help(help)
}

fn open(place: &Place, what: &str, reader: Option<&str>) -> Result<Opened, Failure> {
    let options = Options::default();
    match afar::open(place, what, reader)? {
        Some(Afar::File(source, name)) => {
            let size = Some(source.len());
            let document = neuroflow_formats::open_as(reader, &name, source, &options).map_err(|error| told(what, error))?;
            return Ok(Opened { document, size, name, folder: None });
        }
        Some(Afar::Folder(folder, name)) => {
            let document =
                neuroflow_formats::open_folder_as(reader, Arc::clone(&folder), "", &options).map_err(|error| told(what, error))?;
            return Ok(Opened { document, size: None, name, folder: Some(folder) });
        }
        None => {}
    }
    let path = Path::new(what);
    let name = path.file_name().map_or_else(|| what.to_owned(), |name| name.to_string_lossy().into_owned());
    let OnDisk { document, size, folder } = open_path(path, reader, &options).map_err(|error| told(what, error))?;
    Ok(Opened { document, size, name, folder })
}

/// Everything in it, each with a line and a small picture where one says something.
fn all(opened: &Opened, what: &str, reader: Option<&str>) {
    let contents = opened.document.contents();
    let size = opened.size.map(|size| format!(", {}", bytes(size))).unwrap_or_default();
    println!("{}: {}{size}", escape_line(&opened.name), escape_line(&contents.format_and_version()));
    let width = contents.facts.keys().map(|name| name.chars().count()).max().unwrap_or(0).min(28);
    if !contents.facts.is_empty() {
        println!();
    }
    for (name, value) in contents.facts.iter().take(MOST_FACTS) {
        println!("  {:<width$}  {}", escape_line(name), escape_line(&plot::shortened(value, 100)));
    }
    if let Some(more @ 1..) = contents.facts.len().checked_sub(MOST_FACTS) {
        println!("  and {more} more facts; `--json` has all");
    }
    println!();
    for item in contents.items.iter().take(MOST_ITEMS) {
        let depth = item.path.matches('/').count();
        let name = item.path.rsplit('/').next().unwrap_or(&item.path);
        let indent = "  ".repeat(depth + 1);
        println!("{indent}{}  {}", escape_line(name), escape_line(&look::in_words(&item.what)));
        if !item.about.is_empty() && contents.items.len() <= 80 {
            println!("{indent}  {}", escape_line(&plot::shortened(&item.about, 110)));
        }
        if contents.items.len() <= 60 || matches!(item.what, What::Recording { .. } | What::Spikes { .. } | What::Events { .. }) {
            let looked = Looked::at(opened.document.as_ref(), item, 3);
            looked.lines.iter().for_each(|line| println!("{indent}  {}", escape_line(line)));
        }
    }
    if let Some(more @ 1..) = contents.items.len().checked_sub(MOST_ITEMS) {
        println!("  and {more} more; `--json` has all");
    }
    for note in &contents.notes {
        println!("\nnote: {}", escape_line(note));
    }
    for error in contents.damage.iter().skip(1) {
        println!("\ndamage: {}", escape_line(&error.to_string()));
    }
    checks(opened);
    let lines = neuroflow_agent::lines(contents, what, reader);
    if !lines.is_empty() {
        println!("\nin a pipeline:\n");
        lines.iter().for_each(|line| println!("  {}", escape_line(line)));
    }
}

/// What breaks a rule of BIDS in a tree, the worst first.
fn checks(opened: &Opened) {
    let Some(folder) = opened.folder.as_ref().filter(|_| opened.document.contents().format == Format::Bids) else { return };
    let Ok(tree) = bids::open(Arc::clone(folder), &Limits::default()) else { return };
    let mut found = tree.validate();
    found.sort_by_key(|finding| finding.severity != bids::Severity::Error);
    let errors = found.iter().filter(|finding| finding.severity == bids::Severity::Error).count();
    println!("\nchecked against BIDS: {errors} errors, {} warnings", found.len() - errors);
    for finding in found.iter().take(MOST_FINDINGS) {
        println!("  {}", escape_line(&finding.to_string()));
    }
    if let Some(more @ 1..) = found.len().checked_sub(MOST_FINDINGS) {
        println!("  and {more} more; `--json` has all");
    }
}

/// One item, in more detail.
fn one(opened: &Opened, path: &str, rows: usize) -> Result<(), Failure> {
    let contents = opened.document.contents();
    let path = path.trim_matches('/');
    let Some(item) = contents.item(path) else {
        let names: Vec<&str> = contents.items.iter().map(|item| item.path.as_str()).collect();
        let near = neuroflow_stage::nearest(path, names.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        let failure = Failure::could_not_start(format!("there is nothing called `{path}` in {}", opened.name));
        return Err(
            failure.with_help(near.unwrap_or_else(|| format!("it has {}", names.into_iter().take(12).collect::<Vec<_>>().join(", "))))
        );
    };
    println!("{}  {}", escape_line(&item.path), escape_line(&look::in_words(&item.what)));
    if !item.about.is_empty() {
        println!("{}", escape_line(&item.about));
    }
    let looked = Looked::at(opened.document.as_ref(), item, 256);
    looked.lines.iter().for_each(|line| println!("  {}", escape_line(line)));
    rows::head(opened, item, rows)
}

fn json(opened: &Opened) -> Result<String, Failure> {
    let contents = opened.document.contents();
    let items: Vec<serde_json::Value> = contents
        .items
        .iter()
        .map(|item| serde_json::json!({ "path": item.path, "kind": item.what.word(), "about": item.about, "is": item.what.to_json() }))
        .collect();
    let tree = opened.folder.as_ref().filter(|_| contents.format == Format::Bids);
    let tree = tree.and_then(|folder| bids::open(Arc::clone(folder), &Limits::default()).ok());
    let findings: Vec<String> = tree.iter().flat_map(|tree| tree.validate()).map(|finding| finding.to_string()).collect();
    let whole = serde_json::json!({
        "name": opened.name, "format": contents.format.to_string(), "version": contents.version, "bytes": opened.size,
        "facts": contents.facts, "items": items, "notes": contents.notes, "findings": findings,
        "damage": contents.damage.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    serde_json::to_string_pretty(&whole).map_err(Failure::could_not_start)
}
