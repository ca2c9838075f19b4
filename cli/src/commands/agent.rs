//! `neuroflow agent`: what waits for an answer, what was answered, and the proof of it.

use super::data::runtime;
use super::{Place, print_diagnostics};
use crate::arguments::{AgentCommand, CardFormat, MessageFormat, SummaryOf};
use crate::exit::{Exit, Failure};
use crate::project::{FILE, Project as Settings};
use neuroflow_agent::{
    Applied, Approval, Card, Desk, Draft, Entry, Event, Exposure, Gate, GateError, How, Ledger, Level, Origin, Person, Project, Proposal,
    ProposalId, State, Wrong, ask, calibration, escape_line, terminal,
};
use neuroflow_engine::Digest;
use neuroflow_engine::git::short;
use neuroflow_engine::program::ProgramOptions;
use std::future::Future;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) fn agent(place: &Place, command: &AgentCommand) -> Result<Exit, Failure> {
    match command {
        AgentCommand::Review { id, r#as } => review(place, id.as_deref(), *r#as),
        AgentCommand::Log { n } => log(place, *n),
        AgentCommand::History => history(place),
        AgentCommand::Verify { range } => verify(place, range.as_deref()),
        AgentCommand::Summarize { pipeline, what, depth } => summarize(place, pipeline.as_deref(), *what, *depth),
        AgentCommand::Doctor => super::chat::doctor(place),
    }
}

/// The gate of the project that is worked in.
pub(crate) fn gate(place: &Place) -> Result<Gate, Failure> {
    let gate = Gate::of(project(place)?);
    gate.mend().map_err(could_not)?;
    Ok(gate)
}

/// The folder of the project that is worked in: the nearest one, from here upward, that has a neuroflow.toml, else one that has an agent's folder; else this one.
///
/// Nothing above the work tree of git is looked at, and no folder of somebody else: its settings would be theirs. Nor is the home folder a project for what
/// lies in it, whatever somebody once proposed there.
pub(crate) fn root() -> Result<PathBuf, Failure> {
    let here = std::env::current_dir().map_err(Failure::could_not_start)?;
    let home = std::env::home_dir().and_then(|home| home.canonicalize().ok());
    let is_home = |folder: &Path| home.is_some() && folder.canonicalize().ok() == home;
    let mut with_ledger = None;
    for folder in here.ancestors() {
        if folder != here && !is_of_same_owner(folder, &here) {
            break;
        }
        if folder != here && is_home(folder) {
            continue;
        }
        // A link counts as well: it is refused where it is opened, and not passed over.
        let has = |name: &str| folder.join(name).symlink_metadata().is_ok();
        if has(FILE) {
            return Ok(folder.to_path_buf());
        }
        if has(".neuroflow") {
            with_ledger = with_ledger.or(Some(folder));
        }
        if has(".git") {
            break;
        }
    }
    Ok(with_ledger.map_or_else(|| here.clone(), Path::to_path_buf))
}

#[cfg(unix)]
fn is_of_same_owner(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let owner = |path: &Path| path.metadata().map(|found| found.uid()).ok();
    owner(one).is_some() && owner(one) == owner(other)
}

#[cfg(not(unix))]
fn is_of_same_owner(_one: &Path, _other: &Path) -> bool {
    true
}

/// The project that is worked in. Nothing is fetched for a proposal.
fn project(place: &Place) -> Result<Project, Failure> {
    let (here, root) = (std::env::current_dir().map_err(Failure::could_not_start)?, root()?);
    // A project's data sets and its remote cache are read from the folder that one is in.
    let told = |error: std::io::Error| Failure::could_not_start(format!("{}: {error}", root.display()));
    let cache = std::path::absolute(place.settings()?.cache).map_err(told)?;
    std::env::set_current_dir(&root).map_err(told)?;
    let session = Place { cache: Some(cache), offline: place.offline }.session();
    std::env::set_current_dir(here).map_err(Failure::could_not_start)?;
    let mut session = session?;
    session.sources.offline = true;
    let settings = Settings::read(&root)?.agent.and(place.settings()?.agent);
    let own = crate::settings::Settings::file();
    Ok(Project { root, session: Arc::new(session), settings, own, worker: Some(for_trials) })
}

/// A worker for trials: it has a cache of its own, no programs to start, and no network.
fn for_trials(cache: &Path) -> neuroflow_engine::schedule::WorkerCommand {
    super::run::worker_command(None, cache, &ProgramOptions { offline: true, ..ProgramOptions::default() })
}

pub(crate) fn could_not(error: GateError) -> Failure {
    let help = match &error {
        GateError::Commit(error) => error.help(),
        GateError::Stale { .. } => Some("`neuroflow agent review ID` still shows it"),
        GateError::Uncommitted(_) => Some("commit or undo them first"),
        _ => None,
    };
    let failure = Failure::could_not_start(&error);
    match help {
        Some(help) => failure.with_help(help),
        None => failure,
    }
}

/// Why a change can't be offered, as the end of the program.
pub(crate) fn print_wrong(error: &Wrong) -> Failure {
    let failure = Failure::could_not_start(error);
    match error {
        Wrong::Edit(edit) => match &edit.help {
            Some(help) => failure.with_help(help.clone()),
            None => failure,
        },
        Wrong::Prediction { .. } => failure.with_help("a prediction is a condition as behind `expect`, such as `direction.accuracy > 0.5`"),
        _ => failure,
    }
}

/// A person at a terminal.
pub(crate) struct AtTerminal;

impl Person for AtTerminal {
    fn level(&self) -> Level {
        Level::Terminal
    }

    fn name(&self) -> String {
        neuroflow_agent::person_name()
    }

    fn confirm(&mut self, proposal: &ProposalId) -> Option<String> {
        prompt(&format!("type {} to say yes: ", &proposal.short()[..6]))
    }
}

/// Whether a person can be asked here.
pub(crate) fn is_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// A line from the person; none when they gave none: see [`super::prompt`].
pub(crate) fn prompt(question: &str) -> Option<String> {
    super::prompt::line(question)
}

pub(crate) fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Says what a client's yes did where the person wants to be told; at a terminal, once.
pub(super) fn tell(gate: &Gate) -> Result<(), Failure> {
    for (by, proposal) in neuroflow_agent::untold(gate).map_err(could_not)? {
        let id = proposal.id();
        println!(
            "done meanwhile: {} \"{}\", at the word of {} (`neuroflow agent review {}` shows it)",
            id.short(),
            escape_line(&proposal.intent),
            escape_line(&by),
            id.short()
        );
        if is_terminal() {
            gate.note(Entry::now(Event::Told, Some(&id), &neuroflow_agent::person_name())).map_err(could_not)?;
        }
    }
    Ok(())
}

/// Does what may take long, beside a person who may stop it with Ctrl-C; none then. What still reads for it does not hold the program.
fn unless_stopped<T>(work: impl Future<Output = T>) -> Result<Option<T>, Failure> {
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        tokio::select! {
            done = work => Some(done),
            _ = tokio::signal::ctrl_c() => None,
        }
    });
    runtime.shutdown_background();
    Ok(done)
}

fn review(place: &Place, id: Option<&str>, form: CardFormat) -> Result<Exit, Failure> {
    let gate = gate(place)?;
    let watching = runtime()?;
    if is_terminal() && form == CardFormat::Text {
        // A hook or an editor that Ctrl-C ends leaves something to be put in order here.
        super::prompt::watch(&watching);
    }
    if id.is_none() && form == CardFormat::Text {
        tell(&gate)?;
    }
    let statuses = gate.statuses().map_err(could_not)?;
    let id = match id {
        Some(beginning) => gate.store().find(beginning).map_err(Failure::could_not_start)?,
        None => {
            let waiting: Vec<_> = statuses.iter().filter(|status| status.state == State::Offered).collect();
            match waiting.as_slice() {
                [] => {
                    println!("no proposal waits for an answer");
                    return Ok(Exit::Done);
                }
                [only] => only.id.clone(),
                several => {
                    for status in several {
                        let intent = gate.store().proposal(&status.id).map(|proposal| proposal.intent).unwrap_or_default();
                        println!("{}  {}  {}", status.id.short(), status.at, escape_line(&intent));
                    }
                    println!("show one with `neuroflow agent review ID`");
                    return Ok(Exit::Done);
                }
            }
        }
    };
    let proposal = gate.store().proposal(&id).map_err(Failure::could_not_start)?;
    let Some(card) = unless_stopped(gate.card(&id))? else { return Ok(Exit::Interrupted) };
    let card = card.map_err(could_not)?;
    let waits = card.state == State::Offered && card.moved.is_none();
    match form {
        CardFormat::Text => print!("{}", terminal(&card, colours())),
        CardFormat::Markdown => print!("{}", neuroflow_agent::markdown(&card)),
        CardFormat::Html => print!("{}", neuroflow_agent::html(&card)),
        CardFormat::Json => println!("{}", neuroflow_agent::json(&card)),
    }
    if !waits || form != CardFormat::Text {
        return Ok(Exit::Done);
    }
    if !is_terminal() {
        println!("it waits for an answer; a person gives it in a terminal: `neuroflow agent review {}`", id.short());
        return Ok(Exit::Done);
    }
    match decide(&gate, &proposal, &card)? {
        Decision::Apply { run, .. } if run && proposal.plan.is_some() => run_now(place, &proposal.pipeline),
        Decision::Later | Decision::Edited(_) if super::prompt::was_pressed() => Ok(Exit::Interrupted),
        _ => Ok(Exit::Done),
    }
}

/// What a person decided at a card.
pub(crate) enum Decision {
    /// The change is made; whether the pipeline is to be run.
    Apply { run: bool, applied: Applied },
    /// No, and why.
    Rejected(String),
    /// Not now.
    Later,
    /// The person changed it; this is the proposal in its place, which is applied or waits.
    Edited(ProposalId),
}

/// Asks at a terminal what becomes of a proposal, and does it.
pub(crate) fn decide(gate: &Gate, proposal: &Proposal, card: &Card) -> Result<Decision, Failure> {
    let mut desktop = None;
    let decided = decide_with(gate, proposal, card, &mut desktop);
    if let Some(desktop) = desktop {
        desktop.leave();
    }
    decided
}

fn decide_with(gate: &Gate, proposal: &Proposal, card: &Card, desktop: &mut Option<Desktop>) -> Result<Decision, Failure> {
    let id = proposal.id();
    let keys = if proposal.plan.is_some() { "approve [a] · approve, don't run [w] · " } else { "approve [a] · " };
    loop {
        let Some(key) = prompt(&format!("{keys}edit [e] · reject [r] · all tasks [x] · later [q]: ")) else {
            return Ok(Decision::Later);
        };
        match key.as_str() {
            "a" | "w" => {
                let with_own = if card.uncommitted.is_empty() {
                    false
                } else {
                    let question = format!(
                        "{} has changes of your own; commit them first, as a commit of their own? [y/N] ",
                        card.uncommitted.join(", ")
                    );
                    if prompt(&escape_line(&question)).as_deref() != Some("y") {
                        println!("nothing is changed");
                        continue;
                    }
                    true
                };
                let Some(approval) =
                    ask(proposal, &gate.settings().map_err(could_not)?, &mut AtTerminal).map_err(Failure::could_not_start)?
                else {
                    println!("that is not its name; nothing is changed");
                    continue;
                };
                return Ok(match apply(gate, proposal, approval, with_own)? {
                    Some(applied) => Decision::Apply { run: key == "a", applied },
                    None => Decision::Later,
                });
            }
            "r" => {
                // Who leaves the question has not said no.
                let Some(reason) = prompt("why? ") else {
                    println!("nothing is rejected");
                    continue;
                };
                gate.reject(&id, &reason, &neuroflow_agent::person_name()).map_err(could_not)?;
                println!("rejected");
                return Ok(Decision::Rejected(reason));
            }
            "x" => card.tasks().iter().for_each(|line| println!("  {line}")),
            "e" => {
                if let Some(edited) = edit(gate, proposal, desktop)? {
                    gate.reject(&id, "edited into another proposal", &neuroflow_agent::person_name()).map_err(could_not)?;
                    let card = Card::of(gate.project(), &edited, State::Offered, None, gate.uncommitted(&edited));
                    print!("{}", terminal(&card, colours()));
                    return match decide(gate, &edited, &card)? {
                        Decision::Later => Ok(Decision::Edited(edited.id())),
                        decided => Ok(decided),
                    };
                }
            }
            "q" | "" => return Ok(Decision::Later),
            _ => println!("one of the letters in brackets, and Enter"),
        }
    }
}

/// Makes an approved change; none when the person stopped it before anything was written.
fn apply(gate: &Gate, proposal: &Proposal, approval: Approval, with_own: bool) -> Result<Option<Applied>, Failure> {
    let Some(applied) = unless_stopped(gate.apply(proposal, approval, with_own))? else {
        println!("stopped; nothing is changed, and {} waits", proposal.id().short());
        return Ok(None);
    };
    let applied = applied.map_err(could_not)?;
    let at = applied
        .commit
        .as_ref()
        .map_or_else(|| "there is no repository, so no commit".to_owned(), |commit| format!("commit {}", short(commit)));
    println!("applied to {}; {at}", escape_line(&applied.files.join(", ")));
    Ok(Some(applied))
}

/// A text that a person is working on: a file in a folder of its own, which nobody else can look into or has prepared.
struct Desktop {
    folder: tempfile::TempDir,
    file: PathBuf,
}

impl Desktop {
    fn new(name: &str, text: &str) -> std::io::Result<Desktop> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("neuroflow-edit-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let folder = builder.tempdir()?;
        let file = folder.path().join(name);
        std::fs::OpenOptions::new().write(true).create_new(true).open(&file)?.write_all(text.as_bytes())?;
        Ok(Desktop { folder, file })
    }

    /// Leaves what was written where it is.
    fn leave(self) {
        println!("what you wrote is kept in {}", escape_line(&self.file.display().to_string()));
        let _ = self.folder.keep();
    }
}

/// The editor that a person named. A variable that is set to nothing names none.
fn editor() -> String {
    let named = ["VISUAL", "EDITOR"].into_iter().filter_map(|name| std::env::var(name).ok());
    named.into_iter().find(|editor| !editor.trim().is_empty()).unwrap_or_else(|| "vi".into())
}

/// The change as a person makes it in an editor; none when it stays as it is. What was written and can't be offered yet stays on the desktop.
fn edit(gate: &Gate, proposal: &Proposal, desktop: &mut Option<Desktop>) -> Result<Option<Proposal>, Failure> {
    let mut stay = proposal.files.iter().filter(|file| !file.is_gone());
    let Some(file) = stay.clone().find(|file| file.path == proposal.pipeline).or_else(|| stay.next()) else {
        println!("there is nothing in it to be edited: it removes files");
        return Ok(None);
    };
    let before = gate.project().read(&file.path).map_err(|error| print_wrong(&error))?.unwrap_or_default();
    let offered = file.apply(&before).map_err(|error| print_wrong(&Wrong::Edit(error)))?;
    let on_it = match desktop.take() {
        Some(begun) => begun,
        None => Desktop::new(file.path.rsplit('/').next().unwrap_or("pipeline.nf"), &offered).map_err(|error| {
            let failure = Failure::could_not_start(format!("there is no place to edit it in: {error}"));
            failure.with_help("TMPDIR names another folder")
        })?,
    };
    let place = on_it.file.clone();
    let editor = editor();
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let status = std::process::Command::new(program).args(words).arg(&place).status();
    let ended_well = status.is_ok_and(|status| status.success());
    if !ended_well {
        println!("the editor `{program}` did not end well; nothing is changed (EDITOR names another)");
    }
    let made = match std::fs::read_to_string(&place) {
        Ok(made) if made == offered => {
            if ended_well {
                println!("nothing was changed in it");
            }
            return Ok(None);
        }
        Ok(made) => Some(made).filter(|_| ended_well),
        Err(error) => {
            eprintln!("error: {}: {error}", escape_line(&place.display().to_string()));
            None
        }
    };
    let edited = match made {
        Some(made) => offer_edited(gate, proposal, &file.path, before, made)?,
        None => None,
    };
    if edited.is_none() {
        println!("what you wrote is kept; [e] goes on with it, in {}", escape_line(&place.display().to_string()));
        *desktop = Some(on_it);
    }
    Ok(edited)
}

/// Offers a person's text in place of a proposal; none, with the reason shown, when it can't be offered.
fn offer_edited(gate: &Gate, proposal: &Proposal, path: &str, before: String, made: String) -> Result<Option<Proposal>, Failure> {
    let change = neuroflow_dsl::edit::Change { at: 0, old: before, new: made };
    let mut files: Vec<(String, How)> = Vec::new();
    for other in &proposal.files {
        let how = match other {
            _ if other.path == path => How::Changes(vec![change.clone()]),
            _ if other.is_gone() => How::Gone,
            _ => How::Changes(other.changes.clone()),
        };
        files.push((other.path.clone(), how));
    }
    let draft = Draft {
        pipeline: proposal.pipeline.clone(),
        files,
        intent: proposal.intent.clone(),
        predictions: proposal.predictions.clone(),
        seen: proposal.seen.clone(),
        // What a person wrote is a person's, and stands in the ledger with what it came from.
        origin: Origin::Human,
        transcript: proposal.transcript,
        parent: Some(proposal.id()),
    };
    let Some(edited) = unless_stopped(gate.propose(draft))? else {
        println!("stopped");
        return Ok(None);
    };
    let edited = match edited {
        Ok(edited) => edited,
        Err(Wrong::Mistakes { file, text, found }) => {
            print_diagnostics(Path::new(&file), &text, &found, MessageFormat::Text);
            return Ok(None);
        }
        Err(error) => {
            eprintln!("{}", print_wrong(&error));
            return Ok(None);
        }
    };
    match gate.offer(edited, &neuroflow_agent::person_name()) {
        Ok(edited) => Ok(Some(edited)),
        Err(error) => {
            eprintln!("{}", could_not(error));
            Ok(None)
        }
    }
}

/// A proposal that takes another one back.
pub(crate) struct Undone {
    /// What is taken back.
    pub(crate) id: ProposalId,
    /// What takes it back.
    pub(crate) back: Proposal,
    pub(crate) decision: Decision,
}

/// Offers to take the latest applied proposal back: a change like any other, with its card and its own decision. None when there is nothing to take back, or
/// the person stopped it.
pub(crate) fn undo(gate: &Gate) -> Result<Option<Undone>, Failure> {
    let entries = Ledger::read(&gate.store().ledger()).map_err(|error| could_not(error.into()))?;
    let applied = |entry: &&Entry| entry.event == Event::Applied;
    let Some(last) = entries.iter().rev().find(applied).and_then(|entry| entry.proposal.clone()) else {
        println!("no proposal was applied here");
        return Ok(None);
    };
    let proposal = gate.store().proposal(&last).map_err(Failure::could_not_start)?;
    let mut files = Vec::new();
    for file in &proposal.files {
        let now = gate.project().read(&file.path).map_err(|error| print_wrong(&error))?;
        let is_as_left = now.as_ref().map(|text| Digest::of(text.as_bytes())) == file.after;
        let now = now.unwrap_or_default();
        let how = match file.base {
            // It was begun by the proposal.
            None => Some(How::Gone),
            Some(_) => file.undo(&now).map(|back| How::Changes(vec![neuroflow_dsl::edit::Change { at: 0, old: now, new: back }])),
        };
        let Some(how) = how.filter(|_| is_as_left) else {
            let failure = Failure::could_not_start(format!("{} was changed since proposal {}", file.path, last.short()));
            return Err(failure.with_help("take it back by hand, or with git"));
        };
        files.push((file.path.clone(), how));
    }
    let draft = Draft {
        pipeline: proposal.pipeline.clone(),
        files,
        intent: format!("take proposal {} back", last.short()),
        predictions: Vec::new(),
        seen: neuroflow_agent::Seen::default(),
        origin: Origin::Human,
        transcript: None,
        parent: None,
    };
    let Some(back) = unless_stopped(gate.propose(draft))? else {
        println!("stopped; nothing is offered");
        return Ok(None);
    };
    let back = gate.offer(back.map_err(|error| print_wrong(&error))?, &neuroflow_agent::person_name()).map_err(could_not)?;
    let card = Card::of(gate.project(), &back, State::Offered, None, gate.uncommitted(&back));
    print!("{}", terminal(&card, colours()));
    let decision = decide(gate, &back, &card)?;
    Ok(Some(Undone { id: last, back, decision }))
}

pub(crate) fn run_now(place: &Place, pipeline: &str) -> Result<Exit, Failure> {
    // A pipeline is named from the project's folder, and what it runs with is read from there.
    std::env::set_current_dir(root()?).map_err(Failure::could_not_start)?;
    super::run::run(place, &crate::arguments::Run::of(Path::new(pipeline)))
}

/// What a model is told about the project.
fn summarize(place: &Place, file: Option<&Path>, what: SummaryOf, depth: u64) -> Result<Exit, Failure> {
    let gate = gate(place)?;
    let pipeline = super::chat::file_of(&gate, file, false)?;
    let what = match what {
        SummaryOf::Project => "project",
        SummaryOf::Data => "data",
        SummaryOf::Dag => "dag",
        SummaryOf::Results => "results",
    };
    let arguments = serde_json::json!({ "what": what, "depth": depth });
    let mut desk = Desk::new(gate, pipeline, Exposure::Schema, Origin::Human);
    let told = runtime()?.block_on(desk.call("summarize", &arguments, &String::new)).text;
    let told: serde_json::Value = serde_json::from_str(&told).map_err(Failure::could_not_start)?;
    print!("{}", outline(&told, 0));
    Ok(Exit::Done)
}

/// A JSON value as lines, what is inside further right.
fn outline(value: &serde_json::Value, indent: usize) -> String {
    use serde_json::Value;
    let plain = |value: &Value| match value {
        Value::String(text) if !text.contains('\n') => Some(text.clone()),
        Value::Null => Some("-".into()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Array(list) if list.is_empty() => Some("none".into()),
        _ => None,
    };
    let pad = " ".repeat(indent);
    match value {
        Value::Object(fields) => {
            let lines = fields.iter().map(|(name, inner)| match plain(inner) {
                Some(text) => format!("{pad}{name}: {text}\n"),
                None => format!("{pad}{name}:\n{}", outline(inner, indent + 2)),
            });
            lines.collect()
        }
        Value::Array(list) => {
            let lines = list.iter().map(|inner| match plain(inner) {
                Some(text) => format!("{pad}- {text}\n"),
                // Its first line stands behind the dash.
                None => outline(inner, indent + 2).replacen(&" ".repeat(indent + 2), &format!("{pad}- "), 1),
            });
            lines.collect()
        }
        Value::String(text) => text.lines().map(|line| format!("{pad}{line}\n")).collect(),
        other => format!("{pad}{other}\n"),
    }
}

fn log(place: &Place, most: usize) -> Result<Exit, Failure> {
    let gate = gate(place)?;
    let entries = Ledger::read(&gate.store().ledger()).map_err(|error| could_not(error.into()))?;
    if entries.is_empty() {
        println!("nothing was proposed here yet");
    }
    for entry in entries.iter().skip(entries.len().saturating_sub(most)) {
        let what = serde_json::to_value(entry.event).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default();
        let id = entry.proposal.as_ref().map(|id| id.short().to_owned()).unwrap_or_default();
        let mut more = Vec::new();
        if entry.event == Event::Offered
            && let Some(Ok(proposal)) = entry.proposal.as_ref().map(|id| gate.store().proposal(id))
        {
            more.push(proposal.intent);
        }
        more.extend(entry.level.map(|level| format!("at level {}", level.word())));
        more.extend(entry.detail["commit"].as_str().map(|commit| format!("commit {}", short(commit))));
        if let Some(predictions) = entry.detail["predictions"].as_array() {
            let held = predictions.iter().filter(|one| one["holds"] == true).count();
            more.push(format!("{held} of {} predictions held", predictions.len()));
        }
        if !entry.reason.is_empty() {
            more.push(format!("\"{}\"", entry.reason));
        }
        println!("{}  {what:<10} {id:<10}  {}  {}", escape_line(&entry.at), escape_line(&entry.actor), escape_line(&more.join(" · ")));
    }
    let back = entries.windows(2).filter(|two| two[1].at < two[0].at).count();
    if back > 0 {
        println!("note: the clock was set back {back} times; lines stand in the order in which they were written");
    }
    Ok(Exit::Done)
}

fn history(place: &Place) -> Result<Exit, Failure> {
    let gate = gate(place)?;
    let entries = Ledger::read(&gate.store().ledger()).map_err(|error| could_not(error.into()))?;
    let statuses = gate.statuses().map_err(could_not)?;
    let count = |state: State| statuses.iter().filter(|status| status.state == state).count();
    println!(
        "{} proposals: {} applied, {} rejected, {} withdrawn, {} stale, {} waiting",
        statuses.len(),
        count(State::Applied),
        count(State::Rejected),
        count(State::Withdrawn),
        count(State::Stale),
        count(State::Offered)
    );
    for entry in entries.iter().filter(|entry| entry.event == Event::Compared) {
        let id = entry.proposal.as_ref().map(|id| id.short().to_owned()).unwrap_or_default();
        for one in entry.detail["predictions"].as_array().into_iter().flatten() {
            let judged: Result<neuroflow_agent::Judged, _> = serde_json::from_value(one.clone());
            let Ok(judged) = judged else { continue };
            println!("{id}  {:<12} {}   ({})", judged.word(), escape_line(&judged.condition), escape_line(&judged.told()));
        }
    }
    let found = calibration(&entries);
    let tested = found.held + found.failed;
    if tested + found.untested > 0 {
        println!("predictions: {} held, {} failed, {} not testable", found.held, found.failed, found.untested);
    }
    if found.known > 0 {
        println!("predictions whose results were known: {}; they count for nothing", found.known);
    }
    if !found.costs.is_empty() {
        let within = found.costs.iter().filter(|(_, most, took)| took <= most).count();
        println!("costs: {within} of {} runs took no longer than the estimate for 9 of 10", found.costs.len());
    }
    let looks = entries.iter().filter(|entry| entry.event == Event::Looked).count();
    if looks > 0 {
        println!("held-out scores were looked at {looks} times");
    }
    Ok(Exit::Done)
}

fn verify(place: &Place, range: Option<&str>) -> Result<Exit, Failure> {
    let findings = neuroflow_agent::verify(&project(place)?, range).map_err(Failure::could_not_start)?;
    let mut wrong = 0;
    for finding in &findings {
        let commit = finding.commit.get(..10).unwrap_or("-");
        let said = if finding.wrong.is_empty() { "holds".to_owned() } else { finding.wrong.join("; ") };
        println!("{commit:<10}  {}  {}", escape_line(&finding.subject), escape_line(&said));
        wrong += usize::from(!finding.wrong.is_empty());
    }
    let commits = findings.iter().filter(|finding| finding.proposal.is_some()).count();
    println!("{commits} commits of proposals, {wrong} things do not hold");
    Ok(if wrong == 0 { Exit::Done } else { Exit::ExpectFailed })
}
