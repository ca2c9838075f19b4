//! `neuroflow chat`: a conversation in the terminal. The model looks and proposes; the person reads each card and decides.

use super::Place;
use super::agent::{Decision, colours, could_not, decide, gate, is_terminal, prompt, run_now};
use super::data::runtime;
use crate::arguments::{Chat as Arguments, ModelWay, ReaderArgument};
use crate::exit::{Exit, Failure};
use neuroflow_agent::budget::{self, Budget, Exhausted, Spent, SpentToday};
use neuroflow_agent::model::{Endpoint, Limits, Model, OpenAi, Probe, Replay, Store as Recordings, Structured, Trial, Way, probe};
use neuroflow_agent::secret::{KeySource, Scanner};
use neuroflow_agent::{
    Card, Chat, ChatError, Desk, Entry, Event, Gate, Origin, ProposalId, Question, Reader, SYSTEM, SYSTEM_NEW, Settings, Shown, State,
    Turn, escape, escape_line, path_below, terminal,
};
use neuroflow_engine::label;
use rustyline::error::ReadlineError;
use std::io::Write;
use std::path::Path;

/// What can be typed beside words.
const HELP: &str = "\
/run         run the pipeline as it is
/diff        proposals that wait, as cards
/undo        take the latest applied proposal back, as a proposal of your own
/look STEP   show the model a step's scores; the look is counted
/spent       tokens and money so far
/help        this list
/quit        end; Ctrl-D too. Ctrl-C stops an answer. A line that ends in \\ goes on";

/// A model behind whatever asks it.
type AnyModel = Box<dyn Model>;

pub(crate) fn chat(place: &Place, arguments: &Arguments) -> Result<Exit, Failure> {
    let gate = gate(place)?;
    let settings = gate.project().settings.clone();
    let file = file_of(&gate, arguments.file.as_deref(), arguments.new)?;
    let runtime = runtime()?;
    let (model, is_local, host) = model_of(place, arguments, &settings, &runtime)?;
    let exposure = settings.exposure(if is_local { None } else { Some(host.as_str()) });
    let budget = budget_of(&settings, is_local)?;
    let origin = Origin::Chat { model: model.name() };
    let is_new = arguments.new || !gate.project().root.join(&file).exists();
    let reader = arguments.reader.map(|who| match who {
        ReaderArgument::Novice => Reader::Novice,
        ReaderArgument::Expert => Reader::Expert,
    });
    let parts = [Some(SYSTEM), is_new.then_some(SYSTEM_NEW), reader.or(settings.reader).map(Reader::told)];
    let system = parts.into_iter().flatten().collect::<Vec<_>>().join("\n");
    let name = model.name();
    let desk = Desk::new(gate, file.clone(), exposure, origin);
    let mut session = Session { place, chat: Chat::new(model, desk, &system, budget, settings.window), runtime, file };
    if let Some(said) = &arguments.once {
        return session.once(said);
    }
    if !is_terminal() {
        let failure = Failure::could_not_start("a conversation needs a terminal");
        return Err(failure.with_help("ask once with `neuroflow chat --once \"…\"`"));
    }
    super::agent::tell(session.chat.desk().gate())?;
    println!("{} about {}; the model may see {}.", escape_line(&name), escape_line(&session.file), seen_as(exposure));
    println!("It changes nothing: you read each proposal and decide. /help says what else can be typed.");
    session.talk()
}

fn seen_as(exposure: neuroflow_agent::Exposure) -> &'static str {
    match exposure {
        neuroflow_agent::Exposure::Schema => "names and shapes of the data",
        neuroflow_agent::Exposure::Aggregate => "names, shapes and aggregates of the data",
        neuroflow_agent::Exposure::Sample => "single values of the data",
    }
}

/// The pipeline that is talked about.
pub(super) fn file_of(gate: &Gate, file: Option<&Path>, new: bool) -> Result<String, Failure> {
    let project = gate.project();
    if let Some(file) = file {
        let path = path_below(&project.root, file).map_err(Failure::could_not_start)?;
        let there = project.read(&path).map_err(Failure::could_not_start)?.is_some();
        if !there && !new {
            let failure = Failure::could_not_start(format!("there is no file {}", file.display()));
            return Err(failure.with_help("`neuroflow chat --new FILE` drafts it from the data in this folder"));
        }
        return Ok(path);
    }
    let pipelines = project.pipelines();
    match pipelines.as_slice() {
        _ if new => {
            let free = |name: &&str| !pipelines.iter().any(|known| known == name);
            let names = ["pipelines/analysis.nf", "pipelines/analysis_2.nf", "pipelines/analysis_3.nf"];
            let name = names.iter().find(|name| free(name));
            name.map(|name| (*name).to_owned())
                .ok_or_else(|| Failure::could_not_start("name the new pipeline: `neuroflow chat --new FILE`"))
        }
        [only] => Ok(only.clone()),
        [] => Err(Failure::could_not_start("there is no pipeline here")
            .with_help("`neuroflow chat --new` drafts one from the data in this folder")),
        several => {
            let failure = Failure::could_not_start("there is more than one pipeline here");
            Err(failure
                .with_help(format!("name one: {}", several.iter().take(10).map(|path| path.as_str()).collect::<Vec<_>>().join(", "))))
        }
    }
}

/// The model that the settings name: itself, whether it is on this machine, and its host.
fn model_of(
    place: &Place,
    arguments: &Arguments,
    settings: &Settings,
    runtime: &tokio::runtime::Runtime,
) -> Result<(AnyModel, bool, String), Failure> {
    if let Some(folder) = &arguments.replay {
        return Ok((Box::new(Replay::new(Recordings::new(folder))), true, "replay".into()));
    }
    let (model, is_local, host) = endpoint_of(place, settings)?;
    let way = match arguments.way {
        Some(ModelWay::Tools) => Way::Tools,
        Some(ModelWay::Object) => Way::Object,
        Some(ModelWay::Words) => Way::Words,
        None => {
            let probed = runtime.block_on(probe(&model)).map_err(Failure::could_not_start)?;
            probed.way().ok_or_else(|| {
                let failure = Failure::could_not_start("the model gives no call in any way that it can be asked");
                failure.with_help("`neuroflow agent doctor` says what it answers")
            })?
        }
    };
    let model: AnyModel = match &arguments.record {
        Some(folder) => Box::new(Replay::record(Recordings::new(folder), Structured::new(model, way), |path| {
            is_terminal() && prompt(&format!("record {} anew? [y/N] ", escape_line(&path.display().to_string()))).as_deref() == Some("y")
        })),
        None => Box::new(Structured::new(model, way)),
    };
    Ok((model, is_local, host))
}

fn endpoint_of(place: &Place, settings: &Settings) -> Result<(OpenAi, bool, String), Failure> {
    // A project that somebody else wrote may name any machine and any variable; a key goes only where the person sends it.
    let url = settings.endpoint.as_deref().unwrap_or_default();
    let is_meant = url.is_empty() || Endpoint::new(url, "").is_local() || place.settings()?.agent.endpoint.as_deref() == Some(url);
    if settings.has_key() && !is_meant {
        let url = escape_line(url);
        let failure =
            Failure::could_not_start(format!("this project would have a key of yours sent to {url}, which your own settings do not name"));
        return Err(failure
            .with_help("if you trust it, write the same `endpoint` under [agent] of neuroflow's config.toml in your own settings folder"));
    }
    let key = KeySource::from_settings("neuroflow.toml", settings.key_settings());
    let root = super::agent::root()?;
    let key = key.and_then(|key| key.read(|name| std::env::var(name).ok(), &root)).map_err(Failure::could_not_start)?;
    let Some(url) = settings.endpoint.clone() else {
        let failure = Failure::could_not_start("no model is set");
        return Err(
            failure.with_help("write `endpoint = \"http://127.0.0.1:8080/v1\"` and `model = \"…\"` under [agent] of neuroflow.toml")
        );
    };
    let name = settings.model.clone().unwrap_or_else(|| "default".into());
    let endpoint = Endpoint { url, model: name, key, offline: place.settings()?.offline, limits: Limits::default() };
    let is_local = endpoint.is_local();
    let host = endpoint.url.split("://").nth(1).and_then(|rest| rest.split(['/', ':']).next()).unwrap_or_default().to_owned();
    let mut scanner = Scanner::new();
    if let Some(home) = std::env::var_os("HOME") {
        scanner = scanner.with_home(Path::new(&home));
    }
    let model = OpenAi::new(endpoint, scanner).map_err(Failure::could_not_start)?;
    Ok((model, is_local, host))
}

fn budget_of(settings: &Settings, is_local: bool) -> Result<Budget, Failure> {
    let limits = settings.budget.limits().map_err(Failure::could_not_start)?;
    let prices = budget::prices(&settings.prices).map_err(Failure::could_not_start)?;
    let model = settings.model.clone().unwrap_or_else(|| "default".into());
    let price = prices.of(&model, is_local);
    Ok(Budget::new(limits, model, price, Spent::default(), read_today()))
}

/// Where the day's money is kept: with the user, for all projects together.
fn today_file() -> Option<std::path::PathBuf> {
    let base = std::env::var_os("XDG_STATE_HOME").map(std::path::PathBuf::from);
    let base = base.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".local").join("state")));
    base.map(|base| base.join("neuroflow").join("spent_today.json"))
}

fn read_today() -> SpentToday {
    today_file().map(|path| SpentToday::read(&path)).unwrap_or_default()
}

fn keep_today(budget: &mut Budget) {
    let Some(path) = today_file() else { return };
    if let Err(error) = budget.keep_today(&path) {
        eprintln!("warning: what was spent today can't be kept: {error}");
    }
}

pub(crate) fn doctor(place: &Place) -> Result<Exit, Failure> {
    let settings = gate(place)?.project().settings.clone();
    let (model, is_local, host) = endpoint_of(place, &settings)?;
    println!("model     {}", escape_line(&model.name()));
    println!("place     {}", if is_local { "this machine" } else { "another machine" });
    println!("may see   {}", seen_as(settings.exposure(if is_local { None } else { Some(&host) })));
    println!("approval  {}", settings.level().word());
    let found: Probe = runtime()?.block_on(probe(&model)).map_err(Failure::could_not_start)?;
    for (way, trial) in &found.trials {
        let said = match trial {
            Trial::Works { obeyed: true } => "works".to_owned(),
            Trial::Works { obeyed: false } => "gives a call, but not with the values that were asked for".to_owned(),
            Trial::Fails(what) => format!("fails: {what}"),
            Trial::Refused(error) => format!("refused: {error}"),
        };
        println!("{:<9} {}", way.to_string(), escape_line(&said));
    }
    match found.way() {
        Some(way) => println!("it is asked by {way}"),
        None => return Err(Failure::could_not_start("the model gives no call in any way that it can be asked")),
    }
    Ok(Exit::Done)
}

/// A conversation in a terminal.
struct Session<'p> {
    place: &'p Place,
    chat: Chat<AnyModel>,
    runtime: tokio::runtime::Runtime,
    file: String,
}

impl Session<'_> {
    fn once(&mut self, said: &str) -> Result<Exit, Failure> {
        match self.turn(said)? {
            Some(Turn::Offered(ids)) => {
                for id in &ids {
                    print!("{}", self.card(id)?.1);
                    println!("it waits for an answer: `neuroflow agent review {}`", id.short());
                }
            }
            Some(Turn::Asked(question)) => ask(&question),
            Some(Turn::Said) | None => {}
        }
        self.end();
        Ok(Exit::Done)
    }

    fn talk(&mut self) -> Result<Exit, Failure> {
        let mut editor = rustyline::DefaultEditor::new().map_err(Failure::could_not_start)?;
        // A project that was got from somebody may have a link in this place; lines are then remembered nowhere.
        let history = self.chat.desk().gate().store().place("history");
        match &history {
            Ok(history) => drop(editor.load_history(history)),
            Err(error) => eprintln!("warning: the lines that you type are not kept: {error}"),
        }
        while let Some(said) = read(&mut editor)? {
            if said.trim().is_empty() {
                continue;
            }
            let _ = editor.add_history_entry(said.as_str());
            if let Some(command) = said.trim().strip_prefix('/') {
                match self.command(command) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(failure) => eprintln!("{failure}"),
                }
                continue;
            }
            match self.turn(&said) {
                Ok(Some(Turn::Offered(ids))) => {
                    for id in &ids {
                        if let Err(failure) = self.decide(id) {
                            eprintln!("{failure}");
                        }
                    }
                }
                Ok(Some(Turn::Asked(question))) => ask(&question),
                Ok(Some(Turn::Said) | None) => {}
                Err(failure) => eprintln!("{failure}"),
            }
        }
        // Looked at again: the folder may have been made meanwhile.
        let store = self.chat.desk().gate().store();
        if let Ok(history) = history.and_then(|_| store.place("history"))
            && store.folder().is_dir()
        {
            let _ = editor.save_history(&history);
        }
        self.end();
        Ok(Exit::Done)
    }

    /// One turn; none when the person stopped it.
    fn turn(&mut self, said: &str) -> Result<Option<Turn>, Failure> {
        let colour = colours();
        let mut at_start = true;
        let mut show = |shown: Shown<'_>| {
            let mut out = std::io::stdout().lock();
            let written = match shown {
                Shown::Text(text) => {
                    at_start = text.ends_with('\n');
                    write!(out, "{}", escape(text))
                }
                Shown::Looks(tool) => {
                    let before = if at_start { "" } else { "\n" };
                    at_start = true;
                    let (dim, plain) = if colour { ("\u{1b}[2m", "\u{1b}[0m") } else { ("", "") };
                    writeln!(out, "{before}{dim}· {}{plain}", escape_line(tool))
                }
                Shown::Notice(text) => writeln!(out, "note: {}", escape_line(&text)),
            };
            let _ = written.and_then(|()| out.flush());
        };
        let chat = &mut self.chat;
        chat.budget_mut().join_today(&read_today());
        let turn = self.runtime.block_on(async {
            tokio::select! {
                turn = chat.turn(said, &mut show) => Some(turn),
                _ = tokio::signal::ctrl_c() => None,
            }
        });
        if !at_start {
            println!();
        }
        keep_today(self.chat.budget_mut());
        match turn {
            None => {
                println!("stopped");
                self.chat.tell("the person stopped the answer");
                Ok(None)
            }
            Some(Ok(turn)) => Ok(Some(turn)),
            Some(Err(error @ ChatError::Budget(Exhausted::Limit { ahead: Some(_), .. }))) => {
                let kept =
                    today_file().map(|path| format!("when the clock is right, the day in {} was not: remove that file", path.display()));
                Err(Failure { help: kept, ..Failure::could_not_start(error) })
            }
            Some(Err(error @ ChatError::Budget(_))) => Err(Failure::could_not_start(error)),
            Some(Err(error)) => {
                Err(Failure::could_not_start(error).with_help("nothing is lost; say it again, or `neuroflow agent doctor`"))
            }
        }
    }

    fn card(&self, id: &ProposalId) -> Result<(neuroflow_agent::Proposal, String, Card), Failure> {
        let gate = self.chat.desk().gate();
        let proposal = gate.store().proposal(id).map_err(Failure::could_not_start)?;
        let card = self.runtime.block_on(gate.card(id)).map_err(could_not)?;
        Ok((proposal, terminal(&card, colours()), card))
    }

    fn decide(&mut self, id: &ProposalId) -> Result<(), Failure> {
        let (proposal, text, card) = self.card(id)?;
        print!("{text}");
        if card.moved.is_some() {
            return Ok(());
        }
        let decided = decide(self.chat.desk().gate(), &proposal, &card)?;
        let short = id.short();
        match decided {
            Decision::Apply { run, applied } => {
                self.chat.tell(&format!("the person approved proposal {short}; {} changed", applied.files.join(", ")));
                if run && proposal.plan.is_some() {
                    self.run()?;
                }
            }
            Decision::Rejected(reason) => self.chat.tell(&format!("the person rejected proposal {short}: {}", escape_line(&reason))),
            Decision::Edited(other) => {
                self.chat.tell(&format!("the person changed proposal {short}; {} waits in its place", other.short()));
            }
            Decision::Later => self.chat.tell(&format!("proposal {short} waits")),
        }
        Ok(())
    }

    fn run(&mut self) -> Result<(), Failure> {
        let ended = run_now(self.place, &self.file);
        let said = match &ended {
            Ok(exit) => format!("a run ended: {exit:?}"),
            Err(failure) => format!("a run could not be made: {}", escape_line(&failure.message)),
        };
        self.chat.tell(&said);
        ended.map(|_| ())
    }

    /// A command; false ends the conversation.
    fn command(&mut self, command: &str) -> Result<bool, Failure> {
        let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        match word {
            "quit" | "q" | "exit" => return Ok(false),
            "help" => println!("{HELP}"),
            "run" => self.run()?,
            "diff" => {
                let waiting: Vec<ProposalId> = {
                    let statuses = self.chat.desk().gate().statuses().map_err(could_not)?;
                    statuses.into_iter().filter(|status| status.state == State::Offered).map(|status| status.id).collect()
                };
                if waiting.is_empty() {
                    println!("no proposal waits for an answer");
                }
                for id in &waiting {
                    self.decide(id)?;
                }
            }
            "undo" => super::agent::undo(self.chat.desk().gate(), &self.runtime)?,
            "look" => self.look(rest.trim())?,
            "spent" => {
                let spent = self.chat.budget().spent();
                println!("{} tokens in {} questions, {} dollars", spent.tokens, spent.turns, spent.usd);
            }
            _ => println!("there is no /{}; /help lists what there is", escape_line(word)),
        }
        Ok(true)
    }

    /// A person shows the model scores; that is a look too.
    fn look(&mut self, step: &str) -> Result<(), Failure> {
        let gate = self.chat.desk().gate();
        let session = &gate.project().session;
        let checked =
            gate.project().read(&self.file).ok().flatten().map(|text| gate.project().check(&self.file, &text, &Default::default()));
        let name = checked.map(|checked| checked.pipeline.name).unwrap_or_default();
        let run = session.latest_of(&name).ok_or_else(|| Failure::could_not_start("the pipeline has not run yet"))?;
        let lines: Vec<String> = run
            .scores
            .iter()
            .filter(|(label, _)| label::step_name(label) == step)
            .flat_map(|(label, scores)| scores.iter().map(move |score| escape_line(&format!("{label}: {score}"))))
            .collect();
        if lines.is_empty() {
            return Err(Failure::could_not_start(format!("`{}` has no scores in run {}", escape_line(step), run.id)));
        }
        let mut entry = Entry::now(Event::Looked, None, &neuroflow_agent::person_name());
        entry.detail = serde_json::json!({ "step": step, "prediction": "", "pipeline": self.file });
        gate.note(entry).map_err(could_not)?;
        lines.iter().for_each(|line| println!("{line}"));
        self.chat.tell(&format!("the person shows you scores of run {}: {}", run.id, lines.join("; ")));
        Ok(())
    }

    fn end(&self) {
        let spent = self.chat.budget().spent();
        let gate = self.chat.desk().gate();
        let is_known = gate.store().folder().is_dir();
        if is_known && gate.store().keep_transcript(&self.chat.transcript()).is_err() {
            eprintln!("warning: the conversation could not be kept");
        }
        let mut entry = Entry::now(Event::Spent, None, &neuroflow_agent::person_name());
        entry.detail =
            serde_json::json!({ "tokens": spent.tokens, "estimated": spent.estimated_tokens, "turns": spent.turns, "usd": spent.usd });
        if is_known && let Err(error) = gate.note(entry) {
            eprintln!("warning: what was spent could not be noted: {error}");
        }
    }
}

/// A person's words; none at the end. A line that ends in a backslash goes on.
fn read(editor: &mut rustyline::DefaultEditor) -> Result<Option<String>, Failure> {
    let mut said = String::new();
    loop {
        match editor.readline(if said.is_empty() { "> " } else { "  " }) {
            Ok(line) => match line.strip_suffix('\\') {
                Some(begun) => {
                    said.push_str(begun);
                    said.push('\n');
                }
                None => return Ok(Some(said + &line)),
            },
            Err(ReadlineError::Interrupted) => said.clear(),
            Err(ReadlineError::Eof) => return Ok(None),
            Err(error) => return Err(Failure::could_not_start(error)),
        }
    }
}

fn ask(question: &Question) {
    println!("{}", escape(&question.text));
    for (number, option) in question.options.iter().enumerate() {
        println!("  {}. {}", number + 1, escape_line(option));
    }
}
