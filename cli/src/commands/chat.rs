//! `neuroflow chat`: a conversation in the terminal. The model looks and proposes; the person reads each card and decides.

use super::Place;
use super::agent::{Decision, Undone, colours, could_not, decide, gate, is_terminal, prompt, root, run_now};
use super::data::runtime;
use crate::arguments::{Chat as Arguments, ModelWay, ReaderArgument};
use crate::exit::{Exit, Failure};
use crate::project::Project as ProjectSettings;
use neuroflow_agent::budget::{self, Budget, BudgetLimits, Exhausted, Price, Spent, SpentToday};
use neuroflow_agent::model::{
    Endpoint, Limits, Model, ModelError, OpenAi, Probe, ProbeError, Replay, Store as Recordings, Structured, Trial, Way, probe_within,
};
use neuroflow_agent::secret::{FindingKind, KeySource, Scanner};
use neuroflow_agent::{
    Card, Chat, ChatError, Desk, Entry, Event, Exposure, Gate, Origin, ProposalId, Question, Reader, SYSTEM, SYSTEM_NEW, Settings, Shown,
    State, Turn, Unfinished, escape, escape_line, path_below, terminal,
};
use neuroflow_engine::label;
use rustyline::error::ReadlineError;
use std::collections::BTreeMap;
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
    if is_terminal() && arguments.once.is_none() {
        super::prompt::watch(&runtime);
    }
    let Talk { model, is_local, host, scanner, budget } = model_of(place, arguments, &settings, &runtime)?;
    let exposure = settings.exposure(if is_local { None } else { Some(host.as_str()) });
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
    let chat = Chat::new(model, desk, &system, budget, settings.window).with_scanner(scanner.clone());
    let (model, began) = (model_name(&settings), Some(talks_with(&settings)));
    let mut session = Session { place, chat, runtime, file, model, is_local, scanner, began };
    if let Some(said) = &arguments.once {
        let ended = session.once(said);
        session.leave();
        return ended;
    }
    if !is_terminal() {
        let failure = Failure::could_not_start("a conversation needs a terminal");
        return Err(failure.with_help("ask once with `neuroflow chat --once \"…\"`"));
    }
    super::agent::tell(session.chat.desk().gate())?;
    println!("{} about {}; the model may see {}.", escape_line(&name), escape_line(&session.file), seen_as(exposure));
    println!("It changes nothing: you read each proposal and decide. /help says what else can be typed.");
    let ended = session.talk();
    session.leave();
    ended
}

fn seen_as(exposure: Exposure) -> &'static str {
    match exposure {
        Exposure::Schema => "names and shapes of the data",
        Exposure::Aggregate => "names, shapes and aggregates of the data",
        Exposure::Sample => "single values of the data",
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

/// A model to talk with, and what it may take.
struct Talk {
    model: AnyModel,
    is_local: bool,
    host: String,
    /// Looks for what must not reach it.
    scanner: Scanner,
    budget: Budget,
}

/// The model that the settings name.
fn model_of(place: &Place, arguments: &Arguments, settings: &Settings, runtime: &tokio::runtime::Runtime) -> Result<Talk, Failure> {
    if let Some(folder) = &arguments.replay {
        let model: AnyModel = Box::new(Replay::new(Recordings::new(folder)));
        return Ok(Talk { model, is_local: true, host: "replay".into(), scanner: scanner(), budget: budget_of(settings, true)? });
    }
    let (model, is_local, host, scanner) = endpoint_of(place, settings)?;
    let mut budget = budget_of(settings, is_local)?;
    let way = match arguments.way {
        Some(ModelWay::Tools) => Way::Tools,
        Some(ModelWay::Object) => Way::Object,
        Some(ModelWay::Words) => Way::Words,
        None => {
            let probed = probed(&model, &mut budget, runtime)?;
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
    Ok(Talk { model, is_local, host, scanner, budget })
}

/// Finds out how a model is asked, within the budget.
fn probed(model: &OpenAi, budget: &mut Budget, runtime: &tokio::runtime::Runtime) -> Result<Probe, Failure> {
    let probed = runtime.block_on(probe_within(model, budget));
    keep_today(budget);
    probed.map_err(|error| match error {
        ProbeError::Budget(error) => used_up(error),
        error @ ProbeError::Model(_) => Failure::could_not_start(error),
    })
}

/// That the budget is used up, with what to do where a clock was wrong.
fn used_up(error: Exhausted) -> Failure {
    let is_ahead = matches!(error, Exhausted::Limit { ahead: Some(_), .. });
    let path = today_file().filter(|_| is_ahead);
    let help = path.map(|path| format!("when the clock is right, the day in {} was not: remove that file", path.display()));
    Failure { help, ..Failure::could_not_start(error) }
}

/// Looks for what must not leave this machine, but for the key of an endpoint.
fn scanner() -> Scanner {
    match std::env::var_os("HOME") {
        Some(home) => Scanner::new().with_home(Path::new(&home)),
        None => Scanner::new(),
    }
}

fn endpoint_of(place: &Place, settings: &Settings) -> Result<(OpenAi, bool, String, Scanner), Failure> {
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
    let root = root()?;
    let key = key.and_then(|key| key.read(|name| std::env::var(name).ok(), &root)).map_err(Failure::could_not_start)?;
    let Some(url) = settings.endpoint.clone() else {
        let failure = Failure::could_not_start("no model is set");
        return Err(
            failure.with_help("write `endpoint = \"http://127.0.0.1:8080/v1\"` and `model = \"…\"` under [agent] of neuroflow.toml")
        );
    };
    let name = model_name(settings);
    let scanner = key.iter().fold(scanner(), |scanner, key| scanner.with_key(key));
    let endpoint = Endpoint { url, model: name, key, offline: place.settings()?.offline, limits: Limits::default() };
    let is_local = endpoint.is_local();
    let host = endpoint.url.split("://").nth(1).and_then(|rest| rest.split(['/', ':']).next()).unwrap_or_default().to_owned();
    let model = OpenAi::new(endpoint, scanner.clone()).map_err(Failure::could_not_start)?;
    Ok((model, is_local, host, scanner))
}

/// What is limited, and what the model costs.
fn limits_of(settings: &Settings, model: &str, is_local: bool) -> Result<(BudgetLimits, Option<Price>), Failure> {
    let limits = settings.budget.limits().map_err(Failure::could_not_start)?;
    let prices = budget::prices(&settings.prices).map_err(Failure::could_not_start)?;
    Ok((limits, prices.of(model, is_local)))
}

/// The model's name at its endpoint.
fn model_name(settings: &Settings) -> String {
    settings.model.clone().unwrap_or_else(|| "default".into())
}

fn budget_of(settings: &Settings, is_local: bool) -> Result<Budget, Failure> {
    let model = model_name(settings);
    let (limits, price) = limits_of(settings, &model, is_local)?;
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
    let (model, is_local, host, _) = endpoint_of(place, &settings)?;
    println!("model     {}", escape_line(&model.name()));
    println!("place     {}", if is_local { "this machine" } else { "another machine" });
    println!("may see   {}", seen_as(settings.exposure(if is_local { None } else { Some(&host) })));
    println!("approval  {}", settings.level().word());
    let mut budget = budget_of(&settings, is_local)?;
    let found = probed(&model, &mut budget, &runtime()?)?;
    for (way, trial) in &found.trials {
        let said = match trial {
            Trial::Works { obeyed: true } => "works".to_owned(),
            Trial::Works { obeyed: false } => "gives a call, but not with the values that were asked for".to_owned(),
            Trial::Fails(what) => format!("fails: {what}"),
            Trial::Refused(error) => format!("refused: {error}"),
        };
        println!("{:<9} {}", way.to_string(), escape_line(&said));
    }
    println!("it took   {} tokens, {}", budget.spent().tokens, budget.spent().usd);
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
    /// Who is asked, whatever the settings say by now.
    model: String,
    is_local: bool,
    scanner: Scanner,
    /// What was set about it when the conversation began; none once the person was told that it is set otherwise now.
    began: Option<TalksWith>,
}

/// Settings that hold for a whole conversation: the endpoint, the model, where the key is, and what may be seen.
type TalksWith = ([Option<String>; 5], Option<Exposure>, BTreeMap<String, Exposure>);

fn talks_with(settings: &Settings) -> TalksWith {
    let Settings { endpoint, model, key_env, key_file, key_keyring, exposure, exposure_of, .. } = settings.clone();
    ([endpoint, model, key_env, key_file, key_keyring], exposure, exposure_of)
}

impl Session<'_> {
    /// Asks once. The exit code says whether there is a whole answer.
    fn once(&mut self, said: &str) -> Result<Exit, Failure> {
        let turn = self.turn(said);
        let ended = turn.and_then(|turn| {
            let (ids, question, exit) = match turn {
                Some(Turn::Offered(ids)) => (ids, None, Exit::Done),
                Some(Turn::Asked(question, ids)) => (ids, Some(question), Exit::Done),
                Some(Turn::Said) => (Vec::new(), None, Exit::Done),
                Some(Turn::Unfinished(unfinished)) => {
                    unanswered(unfinished);
                    (Vec::new(), None, Exit::StepFailed)
                }
                None => (Vec::new(), None, Exit::Interrupted),
            };
            for id in &ids {
                print!("{}", self.card(id)?.1);
                println!("it waits for an answer: `neuroflow agent review {}`", id.short());
            }
            question.iter().for_each(ask);
            Ok(exit)
        });
        self.end();
        ended
    }

    /// What still reads for an answer that nobody waits for does not hold the program.
    fn leave(self) {
        self.runtime.shutdown_background();
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
            // What is refused for a key in it is kept nowhere; a question with a path is there to be mended.
            let finding = self.scanner.scan(said.as_bytes());
            if finding.as_ref().is_none_or(|finding| finding.kind == FindingKind::Home) {
                let _ = editor.add_history_entry(said.as_str());
            }
            if let Some(command) = said.trim().strip_prefix('/') {
                match self.command(command) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(failure) => complain(&failure),
                }
                continue;
            }
            match self.turn(&said) {
                Ok(Some(Turn::Offered(ids))) => self.decide_all(&ids),
                Ok(Some(Turn::Asked(question, ids))) => {
                    self.decide_all(&ids);
                    ask(&question);
                }
                Ok(Some(Turn::Unfinished(unfinished))) => unanswered(unfinished),
                Ok(Some(Turn::Said) | None) => {}
                Err(failure) => complain(&failure),
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
                Shown::Notice(text) => {
                    let before = if at_start { "" } else { "\n" };
                    at_start = true;
                    writeln!(out, "{before}note: {}", escape_line(&text))
                }
            };
            let _ = written.and_then(|()| out.flush());
        };
        // A person may have raised a limit meanwhile, as the error about it says.
        let root = root()?;
        let settings = ProjectSettings::read(&root)?.agent.and(self.place.settings()?.agent);
        let (limits, price) = limits_of(&settings, &self.model, self.is_local)?;
        if self.began.take_if(|began| *began != talks_with(&settings)).is_some() {
            println!(
                "note: the endpoint, the model, its key or what it may see is set otherwise by now; this conversation goes on as it began, and a new one has \
                 what is set"
            );
        }
        let chat = &mut self.chat;
        chat.set(limits, price, settings.window);
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
                self.chat.stopped();
                Ok(None)
            }
            Some(Ok(turn)) => Ok(Some(turn)),
            Some(Err(ChatError::Budget(error))) => Err(used_up(error)),
            Some(Err(error @ ChatError::Window(_))) => Err(Failure::could_not_start(error)),
            Some(Err(error @ ChatError::Model(ModelError::Leak(_)))) => {
                Err(Failure::could_not_start(error).with_help("it is taken back; say it again without that"))
            }
            Some(Err(ChatError::Model(error @ ModelError::Refused { status: 401 | 403, .. }))) => {
                let help = "nothing is lost. The key is the one that was there when the conversation began; one that was changed since is read by a new one";
                Err(Failure::could_not_start(error).with_help(help))
            }
            Some(Err(error)) => {
                Err(Failure::could_not_start(error).with_help("nothing is lost; say it again, or `neuroflow agent doctor`"))
            }
        }
    }

    /// A proposal that waits, as a card; one that is stale by now says so.
    fn card(&self, id: &ProposalId) -> Result<(neuroflow_agent::Proposal, String, Card), Failure> {
        let gate = self.chat.desk().gate();
        let proposal = gate.store().proposal(id).map_err(Failure::could_not_start)?;
        let card = self.runtime.block_on(async {
            tokio::select! {
                card = gate.card(id) => card.map_err(could_not),
                _ = tokio::signal::ctrl_c() => Err(Failure::could_not_start(format!("whether {} is stale was not found out", id.short()))),
            }
        })?;
        Ok((proposal, terminal(&card, colours()), card))
    }

    fn decide_all(&mut self, ids: &[ProposalId]) {
        for id in ids {
            if let Err(failure) = self.decide(id) {
                complain(&failure);
            }
        }
    }

    fn decide(&mut self, id: &ProposalId) -> Result<(), Failure> {
        let (proposal, text, card) = self.card(id)?;
        print!("{text}");
        if let Some(moved) = &card.moved {
            println!("it can be read, and no longer approved; ask for it again");
            self.chat.tell(&format!("proposal {} is stale: {}", id.short(), escape_line(moved)));
            return Ok(());
        }
        let decided = decide(self.chat.desk().gate(), &proposal, &card)?;
        let short = id.short();
        match decided {
            Decision::Apply { run, applied } => {
                self.chat.tell(&format!("the person approved proposal {short}; {} changed", applied.files.join(", ")));
                if run && proposal.plan.is_some() {
                    self.run(&proposal.pipeline)?;
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

    /// Takes the latest applied proposal back, as a proposal of the person's; the model is told what came of it.
    fn undo(&mut self) -> Result<(), Failure> {
        let Some(Undone { id, back, decision }) = super::agent::undo(self.chat.desk().gate())? else { return Ok(()) };
        let (undone, short) = (id.short(), back.id().short().to_owned());
        match decision {
            Decision::Apply { run, applied } => {
                let what = format!("the person took proposal {undone} back, with a proposal of their own ({short})");
                self.chat.tell(&format!("{what}; {} changed: what you read of it before is no longer so", applied.files.join(", ")));
                if run && back.plan.is_some() {
                    self.run(&back.pipeline)?;
                }
            }
            Decision::Later => self.chat.tell(&format!("proposal {short} of the person, which takes {undone} back, waits")),
            Decision::Edited(other) => self.chat.tell(&format!("proposal {} of the person, in place of {undone}, waits", other.short())),
            // They thought better of it: all is as the model knows it.
            Decision::Rejected(_) => {}
        }
        Ok(())
    }

    fn run(&mut self, pipeline: &str) -> Result<(), Failure> {
        let ended = run_now(self.place, pipeline);
        let said = match &ended {
            Ok(exit) => format!("a run ended: {exit:?}"),
            // The mistakes were printed.
            Err(failure) if failure.message.is_empty() => "a run could not be made: the pipeline has mistakes; `check` names them".into(),
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
            "run" => {
                let file = self.file.clone();
                self.run(&file)?;
            }
            "diff" => {
                let waiting: Vec<ProposalId> = {
                    let statuses = self.chat.desk().gate().statuses().map_err(could_not)?;
                    statuses.into_iter().filter(|status| status.state == State::Offered).map(|status| status.id).collect()
                };
                if waiting.is_empty() {
                    println!("no proposal waits for an answer");
                }
                self.decide_all(&waiting);
            }
            "undo" => self.undo()?,
            "look" => self.look(rest.trim())?,
            "spent" => {
                let spent = self.chat.budget().spent();
                println!("{} tokens in {} questions, {}", spent.tokens, spent.turns, spent.usd);
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

/// Shows an error that was not printed yet.
fn complain(failure: &Failure) {
    if !failure.message.is_empty() {
        eprintln!("{failure}");
    }
}

/// Says why there is no whole answer.
fn unanswered(unfinished: Unfinished) {
    eprintln!("note: {unfinished}");
}

fn ask(question: &Question) {
    println!("{}", escape(&question.text));
    for (number, option) in question.options.iter().enumerate() {
        println!("  {}. {}", number + 1, escape_line(option));
    }
}
