//! `neuroflow export`: a run as an RO-Crate folder, with what another machine needs to make it again; or as a derivative dataset of BIDS.

use super::Place;
use super::cite;
use crate::arguments::history::{Export, ExportForm};
use crate::derivative;
use crate::exit::{Exit, Failure};
use crate::meant;
use crate::ro_crate::{Contents, Part, metadata, performed, plain, provenance};
use neuroflow_agent::{Card, Project, ProposalId, Settings as AgentSettings, State, Store, escape_line, path_below, states};
use neuroflow_cache::Digest;
use neuroflow_engine::git::commits;
use neuroflow_engine::home;
use neuroflow_engine::record::RunRecord;
use neuroflow_engine::session::Session;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The folder of results in the crate.
const RESULTS: &str = "results";

pub(crate) fn export(place: &Place, export: &Export) -> Result<Exit, Failure> {
    let session = Arc::new(place.session()?);
    let Some(record) = meant::run(&session, &export.run, None)? else {
        return Err(Failure::could_not_start(format!("nothing ran at `{}` yet", export.run)));
    };
    if export.bundle && export.form == ExportForm::Bids {
        let failure = Failure::could_not_start("a dataset of BIDS has no place for what `--bundle` carries");
        return Err(failure.with_help("leave `--as bids` out, or export twice"));
    }
    let out = &export.out;
    if out.exists() && std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        let failure = Failure::could_not_start(format!("{} is there already, and not empty", out.display()));
        return Err(failure.with_help("name a folder that is not there yet"));
    }
    // Written aside and renamed, so that what is made is whole or not there.
    let aside = aside(out);
    let made = match export.form {
        ExportForm::RoCrate => write(&session, &record, export, &aside),
        ExportForm::Bids => derivative::write(&session, &record, export, &aside),
    };
    let done = made.and_then(|told| {
        let _ = std::fs::remove_dir(out);
        std::fs::rename(&aside, out).map_err(|error| Failure::could_not_start(format!("{}: {error}", out.display())))?;
        Ok(told)
    });
    match done {
        Ok(told) => {
            println!("{told} in {}", out.display());
            Ok(Exit::Done)
        }
        Err(failure) => {
            let _ = std::fs::remove_dir_all(&aside);
            Err(failure)
        }
    }
}

fn aside(out: &Path) -> PathBuf {
    let name = out.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_else(|| "crate".into());
    out.with_file_name(format!(".{name}.{}.new", std::process::id()))
}

/// Writes into a folder, and remembers what is there.
struct Folder<'a> {
    root: &'a Path,
    parts: Vec<Part>,
}

impl Folder<'_> {
    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), Failure> {
        let place = self.root.join(path);
        let folder = place.parent().unwrap_or(self.root);
        let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&place, bytes));
        written.map_err(|error| Failure::could_not_start(format!("{}: {error}", place.display())))
    }

    fn part(&mut self, path: &str, name: &str, format: &'static str, bytes: &[u8]) -> Result<(), Failure> {
        self.write(path, bytes)?;
        self.parts.push(Part { path: path.to_owned(), name: name.to_owned(), format, size: bytes.len() as u64 });
        Ok(())
    }
}

fn write(session: &Arc<Session>, record: &RunRecord, export: &Export, root: &Path) -> Result<String, Failure> {
    let rows = session.rows(record).map_err(Failure::could_not_start)?;
    let recorded = |key: &Digest| {
        let known = session.cache.recorded(key)?;
        Some((known.summary["key"].clone(), known.started_unix_ms, known.wall_ms))
    };
    let mut performed = performed(&rows, recorded);
    let mut folder = Folder { root, parts: Vec::new() };
    let text = |digest: &Digest, what: &str| -> Result<Vec<u8>, Failure> {
        let gone = || Failure::could_not_start(format!("{what} of run {} was removed from the cache", record.id));
        session.cache.get_whole(digest).map_err(Failure::could_not_start)?.map(|bytes| bytes.to_vec()).ok_or_else(gone)
    };
    let file = record.pipeline_file();
    let workflow = file.file_name().map_or_else(|| "pipeline.nf".to_owned(), |name| name.to_string_lossy().into_owned());
    let workflow = format!("{}.nf", plain(workflow.trim_end_matches(".nf")));
    let source = text(&record.source, "the pipeline")?;
    folder.write(&workflow, &source)?;
    for (path, digest) in &record.used {
        // Beside the pipeline, as it names them; what lies elsewhere gets a name of its own.
        let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        let path = if inside { path.replace('\\', "/") } else { format!("used/{}.nf", plain(path)) };
        folder.part(&path, &format!("used by {workflow}"), "text/plain", &text(digest, "a file")?)?;
    }
    let (mut written, mut left_out, mut taken) = (0, 0, BTreeSet::new());
    for one in &mut performed {
        for given in &mut one.gives {
            if given.size > export.largest_mb.saturating_mul(1 << 20) {
                left_out += 1;
                continue;
            }
            let Ok(Some(bytes)) = session.cache.get_whole(&given.digest) else {
                left_out += 1;
                continue;
            };
            let ending = if bytes.starts_with(b"ARROW1") { "arrow" } else { "bin" };
            // Some file systems do not tell `A` from `a`.
            let mut stem = format!("{RESULTS}/{}/{}", plain(&one.label), plain(&given.output));
            if !taken.insert(stem.to_lowercase()) {
                stem += &format!("-{}", given.digest.short());
            }
            let file = format!("{stem}.{ending}");
            folder.write(&file, &bytes)?;
            given.file = Some(file);
            written += 1;
        }
    }
    folder.part("scores.json", "all scores, with intervals and controls", "application/json", &pretty(&record.scores)?)?;
    folder.part("run.json", "the record of the run", "application/json", &pretty(&record.without_machine())?)?;
    let mut other_pages = Vec::new();
    for (name, path) in &record.reports {
        // A page of that name may be another run's by now.
        let page = record.pages.iter().find(|(of, _)| of == name).map(|(_, page)| *page);
        match std::fs::read(home::real(path)) {
            Ok(bytes) if page == Some(Digest::of(&bytes)) => {
                folder.part(&format!("reports/{}.html", plain(name)), &format!("the report {name}"), "text/html", &bytes)?;
            }
            _ => other_pages.push(name.as_str()),
        }
    }
    let citations = cite::citations(session, record)?;
    folder.part("CITATION.cff", "how to cite these results", "application/yaml", cite::cff(record, &citations).as_bytes())?;
    folder.part(
        "references.bib",
        "data, software and methods to cite",
        "application/x-bibtex",
        cite::bibtex(record, &citations).as_bytes(),
    )?;
    proposals(session, record, &mut folder)?;
    if export.bundle {
        let file = root.join("cache.tar");
        session.cache.export(&record.id, &file).map_err(Failure::could_not_start)?;
        let size = std::fs::metadata(&file).map(|found| found.len()).unwrap_or_default();
        folder.parts.push(Part {
            path: "cache.tar".into(),
            name: "the run with everything it names, for another cache".into(),
            format: "application/x-tar",
            size,
        });
        folder.part("AGAIN.md", "how to make the results again", "text/markdown", again(record).as_bytes())?;
    }
    let author = record.revision.as_ref().and_then(|at| commits(&file, std::slice::from_ref(&at.commit)).remove(&at.commit));
    let author = author.map(|commit| commit.author.split(" <").next().unwrap_or_default().to_owned()).filter(|name| !name.is_empty());
    let (mut published, mut sources) = (BTreeMap::new(), BTreeMap::new());
    for input in &record.inputs {
        let Some(set) = input.taken.strip_prefix("data set ").and_then(|name| session.data.get(name)) else { continue };
        sources.insert(input.name.clone(), (set.licence.clone(), set.citation.clone()));
        for (label, digest) in &input.members {
            let address = set.files.iter().find(|file| file.label == *label).and_then(|file| file.address(set));
            published.extend(address.filter(|address| address.starts_with("https://")).map(|address| (*digest, address)));
        }
    }
    let checked = super::check_text(&file, &String::from_utf8_lossy(&source), &[], &session.registry);
    let title = checked.pipeline.title.unwrap_or_default();
    let contents =
        Contents { record, title, workflow, performed, parts: folder.parts, author, licence: export.licence.clone(), published, sources };
    let place = Folder { root, parts: Vec::new() };
    let prov = pretty(&provenance(&contents))?;
    place.write("prov.jsonld", &prov)?;
    let mut contents = contents;
    contents.parts.push(Part {
        path: "prov.jsonld".into(),
        name: "provenance as W3C PROV".into(),
        format: "application/ld+json",
        size: prov.len() as u64,
    });
    place.write("ro-crate-metadata.json", &pretty(&metadata(&contents))?)?;
    let mut without = String::new();
    if left_out > 0 {
        without = format!(", {left_out} only named (larger than {} MB, or no longer in the cache)", export.largest_mb);
    }
    if !other_pages.is_empty() {
        let names = other_pages.join(", ");
        without += &format!(", without the report {names} (its page is gone or shows another run; run again to have it)");
    }
    Ok(format!("run {} as an RO-Crate: {written} results{without},", record.id))
}

/// A value as indented JSON.
fn pretty<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec_pretty(value).map_err(Failure::could_not_start)
}

/// Proposals to this pipeline and what became of them, as the ledger has it.
fn proposals(session: &Arc<Session>, record: &RunRecord, folder: &mut Folder<'_>) -> Result<(), Failure> {
    let Ok(root) = super::agent::root() else { return Ok(()) };
    let store = Store::of(&root);
    // Cards are only shown here, so that no settings count.
    let project = Project { root: root.clone(), session: Arc::clone(session), settings: AgentSettings::default(), own: None, worker: None };
    // Proposals name a pipeline by its path below the project's folder.
    let pipeline = path_below(&root, &record.pipeline_file()).ok();
    let entries = neuroflow_agent::Ledger::read(&store.ledger()).map_err(Failure::could_not_start)?;
    let states: BTreeMap<ProposalId, State> = states(&entries).into_iter().map(|status| (status.id, status.state)).collect();
    let mut lines = String::new();
    for entry in &entries {
        let proposal = entry.proposal.as_ref().and_then(|id| store.proposal(id).ok());
        let is_of = match &proposal {
            Some(proposal) => Some(proposal.pipeline.as_str()) == pipeline.as_deref(),
            None => pipeline.is_some() && entry.detail["pipeline"].as_str() == pipeline.as_deref(),
        };
        if !is_of {
            continue;
        }
        lines += &serde_json::to_string(entry).map_err(Failure::could_not_start)?;
        lines.push('\n');
        if let Some(proposal) = proposal {
            let path = format!("proposals/{}.json", proposal.id());
            if !folder.parts.iter().any(|part| part.path == path) {
                let bytes = pretty(&proposal)?;
                let intent = escape_line(&proposal.intent);
                folder.part(&path, &format!("a proposal: {intent}"), "application/json", &bytes)?;
                let state = states.get(&proposal.id()).copied().unwrap_or(State::Offered);
                // Whether the files have moved since is this machine's affair.
                let card = Card::of(&project, &proposal, state, None, Vec::new());
                folder.part(
                    &format!("proposals/{}.html", proposal.id()),
                    &format!("the card of a proposal: {intent}"),
                    "text/html",
                    neuroflow_agent::html(&card).as_bytes(),
                )?;
            }
        }
    }
    if !lines.is_empty() {
        folder.part(
            "proposals/ledger.jsonl",
            "what was proposed to this pipeline, answered, predicted and looked at",
            "application/jsonl",
            lines.as_bytes(),
        )?;
    }
    Ok(())
}

fn again(record: &RunRecord) -> String {
    format!(
        "# Make these results again\n\nWith neuroflow {} or a later one with the same versions of its stages, on a machine without a network:\n\n```sh\n\
         neuroflow --cache-dir again cache import cache.tar\n\
         neuroflow --cache-dir again --offline show {id}          # what was found\n\
         neuroflow --cache-dir again --offline verify {id}        # computed again, and compared byte by byte\n\
         neuroflow --cache-dir again --offline run --at {id}      # the same pipeline, with its files and its data\n```\n",
        record.neuroflow,
        id = record.id
    )
}
