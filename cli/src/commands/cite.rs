//! `neuroflow cite`: what a paper owes to others for the numbers of a run: data, software, methods.

use super::Place;
use crate::arguments::history::{CitationFormat, Cite};
use crate::exit::{Exit, Failure};
use crate::latex::in_latex;
use crate::meant;
use crate::references::{Publication, Reference, of_call, of_permutations, reference};
use neuroflow_agent::escape_line;
use neuroflow_engine::dataset::DataSet;
use neuroflow_engine::git::commits;
use neuroflow_engine::kept::Kept;
use neuroflow_engine::label;
use neuroflow_engine::record::RunRecord;
use neuroflow_engine::session::Session;
use std::collections::{BTreeMap, BTreeSet};

/// Everything that is to be cited for a run.
pub(crate) struct Citations {
    /// Data sets by name.
    pub(crate) data: BTreeMap<String, DataSet>,
    /// Inputs that are no data set of a registry: name, and what was taken.
    pub(crate) other: Vec<(String, String)>,
    /// Methods.
    pub(crate) methods: Vec<&'static Reference>,
    /// Programs that were started, by step; what they are is for their authors to say.
    pub(crate) programs: BTreeMap<String, String>,
}

pub(crate) fn cite(place: &Place, cite: &Cite) -> Result<Exit, Failure> {
    let session = place.session()?;
    let Some(known) = meant::run_or_kept(&session, &cite.run, None)? else {
        return Err(Failure::could_not_start(format!("nothing ran at `{}` yet", cite.run)));
    };
    let record = &known.record;
    let found = match &known.kept {
        Some((name, kept)) if session.rows(record).is_err() => of_kept(&session, name, kept)?,
        _ => citations(&session, record)?,
    };
    let text = match cite.format {
        CitationFormat::Bibtex => bibtex(record, &found),
        CitationFormat::Cff => cff(record, &found),
    };
    print!("{text}");
    Ok(Exit::Done)
}

/// Data sets that a run took, and inputs that are none.
fn data_of(session: &Session, record: &RunRecord) -> (BTreeMap<String, DataSet>, Vec<(String, String)>) {
    let (mut data, mut other) = (BTreeMap::new(), Vec::new());
    for input in record.inputs.iter().filter(|input| !input.simulated) {
        match input.taken.strip_prefix("data set ").and_then(|name| session.data.get(name).map(|set| (name, set))) {
            Some((name, set)) => {
                data.insert(name.to_owned(), set.clone());
            }
            None => other.push((input.name.clone(), input.taken.clone())),
        }
    }
    (data, other)
}

/// What is to be cited for a run that the project keeps, and this cache does not have.
fn of_kept(session: &Session, name: &str, kept: &Kept) -> Result<Citations, Failure> {
    if kept.methods.is_empty() && kept.results.is_empty() {
        let failure = Failure::could_not_start(format!("{name} was kept without what its methods are cited for"));
        return Err(failure.with_help(format!("`neuroflow run --at {name}` runs it again, and `neuroflow cite newest` says it then")));
    }
    let (data, other) = data_of(session, &kept.run);
    let methods = kept.methods.iter().filter_map(|key| reference(key)).collect();
    Ok(Citations { data, other, methods, programs: kept.programs.clone() })
}

/// What is to be cited for a run.
pub(crate) fn citations(session: &Session, record: &RunRecord) -> Result<Citations, Failure> {
    let (data, other) = data_of(session, record);
    let (mut keys, mut methods, mut programs) = (BTreeSet::new(), Vec::new(), BTreeMap::new());
    for row in session.rows(record).map_err(Failure::could_not_start)? {
        if row.unasked || row.joins.is_some() || label::part(&row.label).is_some() {
            continue;
        }
        let known = row.key.and_then(|key| session.cache.recorded(&key)).map(|known| known.summary["key"].clone()).unwrap_or_default();
        if let Some(command) = known["command"].as_str() {
            programs.insert(label::step_name(&row.label).to_owned(), command.to_owned());
        }
        let stage = known["stage"].as_str().unwrap_or(&row.cost).to_owned();
        for reference in of_call(&stage, |name| known["params"][name].as_str()) {
            if keys.insert(reference.key) {
                methods.push(reference);
            }
        }
    }
    let is_permuted =
        record.scores.values().flatten().any(|score| score.controls.iter().any(neuroflow_data::ControlResult::is_distribution));
    methods.extend(of_permutations().filter(|one| is_permuted && keys.insert(one.key)));
    methods.sort_by_key(|reference| reference.key);
    Ok(Citations { data, other, methods, programs })
}

fn authors(reference: &Reference) -> String {
    reference.authors.iter().map(|(family, given)| format!("{family}, {given}")).collect::<Vec<_>>().join(" and ")
}

/// A publication in a line.
pub(crate) fn in_words(reference: &Reference) -> String {
    let at = if reference.at.starts_with("10.") { format!("https://doi.org/{}", reference.at) } else { reference.at.to_owned() };
    format!("{} ({}). {}. {}. {at}", authors(reference), reference.year, reference.title, reference.venue)
}

fn entry(kind: &str, key: &str, fields: &[(&str, String)]) -> String {
    let lines = fields.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| {
        // Addresses are read as they are.
        let value = if matches!(*name, "url" | "doi") { value.clone() } else { in_latex(value) };
        format!("  {name} = {{{value}}},\n")
    });
    format!("@{kind}{{{key},\n{}}}\n\n", lines.collect::<String>())
}

/// A name as a key of a bibliography.
fn as_key(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '-' }).collect()
}

/// A line between entries. BibTeX has no comments: an entry begins wherever an `@` stands.
fn remark(text: &str) -> String {
    format!("% {}\n", escape_line(text).replace('@', "(at)"))
}

pub(crate) fn bibtex(record: &RunRecord, found: &Citations) -> String {
    let mut text = remark(&format!("For {}. What the methods are cited for: `neuroflow doc STAGE`.", meant::title(record))) + "\n";
    text += &entry(
        "software",
        "neuroflow",
        &[
            ("title", "neuroflow: typed, content-addressed pipelines for brain data".into()),
            ("version", record.neuroflow.clone()),
            ("url", env!("CARGO_PKG_REPOSITORY").into()),
        ],
    );
    for (name, set) in &found.data {
        text += &entry(
            "misc",
            &as_key(name),
            &[
                ("title", set.title.clone()),
                ("note", format!("{}. Licence: {}", set.citation.trim_end_matches('.'), set.licence)),
                ("howpublished", set.source.clone()),
            ],
        );
    }
    for reference in &found.methods {
        let (number, volume) = match reference.volume.split_once('(') {
            Some((volume, number)) => (number.trim_end_matches(')').to_owned(), volume.to_owned()),
            None => (String::new(), reference.volume.to_owned()),
        };
        let is_proceedings = reference.kind == Publication::Proceedings;
        let at = if reference.at.starts_with("10.") { ("doi", reference.at.to_owned()) } else { ("url", reference.at.to_owned()) };
        text += &entry(
            if is_proceedings { "inproceedings" } else { "article" },
            reference.key,
            &[
                ("author", authors(reference)),
                ("title", reference.title.into()),
                (if is_proceedings { "booktitle" } else { "journal" }, reference.venue.into()),
                ("year", reference.year.to_string()),
                ("volume", volume),
                ("number", number),
                ("pages", reference.pages.replace('-', "--")),
                at,
            ],
        );
    }
    for (name, taken) in &found.other {
        text += &remark(&format!("input {name}: {taken}; it is in no registry of data, so cite it by hand"));
    }
    for (step, command) in &found.programs {
        text += &remark(&format!("step {step}: the program `{command}`; cite what it is made of"));
    }
    text
}

/// A text of YAML, always in quotes.
fn quoted(text: &str) -> String {
    serde_json::Value::String(escape_line(text)).to_string()
}

pub(crate) fn cff(record: &RunRecord, found: &Citations) -> String {
    let commit = record.revision.as_ref().map(|at| at.commit.clone());
    let author = commit.as_ref().and_then(|id| commits(&record.pipeline_file(), std::slice::from_ref(id)).remove(id));
    // The address stays in the version control.
    let author = author.map(|commit| commit.author.split(" <").next().unwrap_or_default().to_owned()).filter(|name| !name.is_empty());
    let mut text = format!(
        "cff-version: 1.2.0\nmessage: \"If you use these results, cite them and what they rest on.\"\ntype: dataset\ntitle: {}\nauthors:\n  - name: {}\ndate-released: {}\n",
        quoted(&format!("Results of the pipeline {} (run {})", record.pipeline, record.id)),
        quoted(author.as_deref().unwrap_or("the authors of the pipeline")),
        quoted(record.started.get(..10).unwrap_or_default()),
    );
    if let Some(commit) = commit {
        text += &format!("commit: {}\n", quoted(&commit));
    }
    text += "references:\n";
    text += &format!(
        "  - type: software\n    title: \"neuroflow\"\n    version: {}\n    url: {}\n    authors:\n      - name: \"the neuroflow developers\"\n",
        quoted(&record.neuroflow),
        quoted(env!("CARGO_PKG_REPOSITORY"))
    );
    for set in found.data.values() {
        text += &format!(
            "  - type: data\n    title: {}\n    notes: {}\n    license: {}\n    authors:\n      - name: {}\n",
            quoted(&set.title),
            quoted(&set.source),
            quoted(&set.licence),
            quoted(&set.citation)
        );
    }
    for reference in &found.methods {
        text += &format!(
            "  - type: {}\n    title: {}\n    {}: {}\n    year: {}\n",
            if reference.kind == Publication::Proceedings { "conference-paper" } else { "article" },
            quoted(reference.title),
            if reference.kind == Publication::Proceedings { "collection-title" } else { "journal" },
            quoted(reference.venue),
            reference.year
        );
        text += &match reference.at.starts_with("10.") {
            true => format!("    doi: {}\n", quoted(reference.at)),
            false => format!("    url: {}\n", quoted(reference.at)),
        };
        text += "    authors:\n";
        for (family, given) in reference.authors {
            text += &format!("      - family-names: {}\n        given-names: {}\n", quoted(family), quoted(given));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_entry_of_a_bibliography_begins_in_a_remark() {
        assert_eq!(remark("step a: the program `foo@bar{x}`\n@article{y"), "% step a: the program `foo(at)bar{x}`<U+000A>(at)article{y\n");
    }
}
