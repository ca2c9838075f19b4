//! The `neuroflow` command line: arguments in, pictures and exit codes out.
//!
//! Nothing is decided here. Commands ask the language, the engine and the cache, print what they say, and end with an [`exit::Exit`].

mod amounts;
pub mod arguments;
mod commands;
mod derivative;
pub mod exit;
mod latex;
mod meant;
mod progress;
pub mod project;
mod references;
mod report;
mod ro_crate;
mod score_text;
pub mod settings;
pub mod stages;

/// The guide for contributors; its code is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../CONTRIBUTING.md")]
pub struct Contributing;

use arguments::{Arguments, Command};
use clap::Parser;
use exit::{Exit, Failure};
use std::process::ExitCode;

/// Runs the program.
pub fn main() -> ExitCode {
    // A process that only watches over a program of a pipeline.
    if let Some(code) = neuroflow_engine::program::host_if_asked() {
        return code;
    }
    if let Some(code) = report::template::host_if_asked() {
        return code;
    }
    report_bugs();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to standard output and are no failure; a wrong command line is one.
            let exit = if error.use_stderr() { Exit::CouldNotStart } else { Exit::Done };
            let _ = error.print();
            return ExitCode::from(exit as u8);
        }
    };
    let exit = match run(arguments) {
        Ok(exit) => exit,
        Err(failure) => {
            if !failure.message.is_empty() {
                eprintln!("{failure}");
            }
            failure.exit
        }
    };
    ExitCode::from(exit as u8)
}

fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let place = commands::Place { cache: arguments.cache_dir, offline: arguments.offline };
    match arguments.command {
        Command::Run(run) => commands::run::run(&place, &run),
        Command::Check { files, set, format } => commands::check::check(&files, &set, format),
        Command::Fmt { files, check } => commands::fmt::fmt(&files, check),
        Command::Graph { file, format, out } => commands::graph::graph(&file, format, out.as_deref()),
        Command::Doc { name } => commands::doc::doc(&name),
        Command::Stages => commands::doc::stages(),
        Command::Explain(explain) => commands::explain::explain(&place, &explain),
        Command::Runs { n } => commands::runs::runs(&place, n),
        Command::Show { run, json } => commands::runs::show(&place, &run, json),
        Command::Inspect(inspect) => commands::inspect::inspect(&place, &inspect),
        Command::Get(get) => commands::get::get(&place, &get),
        Command::Diff(diff) => commands::diff::diff(&place, &diff),
        Command::Log(log) => commands::log::log(&place, &log),
        Command::Compare(compare) => commands::compare::compare(&place, &compare),
        Command::Keep(keep) => commands::keep::keep(&place, &keep),
        Command::Cite(cite) => commands::cite::cite(&place, &cite),
        Command::Export(export) => commands::export::export(&place, &export),
        Command::Bisect(bisect) => commands::bisect::bisect(&place, &bisect),
        Command::Verify(verify) => commands::verify::verify(&place, &verify),
        Command::Cache { command } => commands::cache::cache(&place, &command),
        Command::Data { command } => commands::data::data(&place, &command),
        Command::Propose(propose) => commands::propose::propose(&place, &propose),
        Command::Chat(chat) => commands::chat::chat(&place, &chat),
        Command::Agent { command } => commands::agent::agent(&place, &command),
        Command::Mcp(mcp) => commands::mcp::mcp(&place, &mcp),
        Command::Serve(serve) => commands::serve::serve(&place, &serve),
        Command::Doctor => commands::doctor::doctor(&place),
        Command::Top { once, json } => commands::top::top(&place, once, json),
        Command::Worker { manifest, index, sandbox, processes } => {
            let mut programs = place.settings()?.programs;
            programs.sandbox = sandbox.unwrap_or(programs.sandbox);
            programs.processes = processes.unwrap_or(programs.processes);
            commands::worker::worker(&place, manifest.as_deref().zip(index), programs)
        }
    }
}

/// A panic is a mistake of ours: it says how to report it. Panics that a reader of a damaged file turns into an error are not shown.
fn report_bugs() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if neuroflow_data::formats::panics_become_errors() {
            return;
        }
        // A reader that has seen enough, as in `neuroflow doc decode.classify | head`, is no mistake: the program ends as others do at a closed pipe.
        let message = panic.payload().downcast_ref::<String>();
        if message.is_some_and(|message| message.starts_with("failed printing to std") && message.contains("Broken pipe")) {
            std::process::exit(141);
        }
        eprintln!(
            "This is a mistake in neuroflow {}, not in your pipeline. Please report it with the lines below:\n{}/issues",
            env!("CARGO_PKG_VERSION"),
            env!("CARGO_PKG_REPOSITORY")
        );
        usual(panic);
    }));
}
