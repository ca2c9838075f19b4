//! `neuroflow propose`: a person's patch, or typed edits, through the gate that every change takes.

use super::agent::{gate, print_wrong};
use super::data::runtime;
use super::{Place, print_diagnostics};
use crate::arguments::{MessageFormat, Propose};
use crate::exit::{Exit, Failure};
use neuroflow_agent::{Card, Draft, How, Origin, Project, Seen, State, Wrong, drafts, path_below, terminal};
use neuroflow_dsl::edit::Edit;
use std::io::{IsTerminal, Read};
use std::path::Path;

/// The longest patch that is read, in bytes.
const LONGEST: u64 = 4 << 20;

pub(crate) fn propose(place: &Place, propose: &Propose) -> Result<Exit, Failure> {
    let text = read(&propose.file)?;
    let gate = gate(place)?;
    let project = gate.project();
    let is_edits = propose.file.extension().is_some_and(|ending| ending == "json") || text.trim_start().starts_with(['[', '{']);
    let files = if is_edits { edits(propose, project, &text)? } else { patch(&propose.file, project, &text)? };
    let pipeline = match &propose.pipeline {
        Some(file) => path_below(&project.root, file).map_err(|error| Failure::could_not_start(&error))?,
        None => about(project, &files)?,
    };
    let draft = Draft {
        pipeline,
        files,
        intent: propose.because.clone().unwrap_or_default(),
        predictions: propose.predict.clone(),
        seen: Seen::default(),
        origin: Origin::Human,
        transcript: None,
        parent: None,
    };
    let proposal = runtime()?.block_on(project.propose(draft)).map_err(|error| refused(&error))?;
    let proposal = gate.offer(proposal, &neuroflow_agent::person_name()).map_err(|error| Failure::could_not_start(&error))?;
    let id = proposal.id();
    let card = Card::of(project, &proposal, State::Offered, None, gate.uncommitted(&proposal));
    if propose.format == MessageFormat::Json {
        println!("{}", neuroflow_agent::json(&card));
        return Ok(Exit::Done);
    }
    print!("{}", terminal(&card, std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()));
    println!("nothing is changed yet; answer with `neuroflow agent review {}`", id.short());
    Ok(Exit::Done)
}

fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let told = |error: std::io::Error| Failure::could_not_start(format!("{}: {error}", file.display()));
    if file == Path::new("-") {
        std::io::stdin().take(LONGEST).read_to_string(&mut text).map_err(told)?;
    } else {
        std::fs::File::open(file).map_err(told)?.take(LONGEST).read_to_string(&mut text).map_err(told)?;
    }
    Ok(text)
}

fn patch(file: &Path, project: &Project, text: &str) -> Result<Vec<(String, How)>, Failure> {
    let mut read = |path: &str| project.read(path).map_err(|error| error.to_string());
    // Where the person is, as far as that is in the project.
    let here = path_below(&project.root, Path::new(".")).map(|path| if path.is_empty() { path } else { path + "/" });
    let found = drafts(text, &project.below(), &here.unwrap_or_default(), &mut read).map_err(|error| {
        let failure = Failure::could_not_start(format!("{}: {error}", file.display()));
        failure.with_help("write it with `git diff > change.diff`, or give typed edits as JSON: `neuroflow doc edits`")
    })?;
    Ok(found.into_iter().map(|(path, changes)| (path, How::Changes(changes))).collect())
}

fn edits(propose: &Propose, project: &Project, text: &str) -> Result<Vec<(String, How)>, Failure> {
    let wrong = |error: &dyn std::fmt::Display| {
        let failure = Failure::could_not_start(format!("{}: {error}", propose.file.display()));
        failure.with_help(
            "a list of edits is expected: `[{\"op\": \"set_argument\", \"step\": \"direction\", \"key\": \"folds\", \"value\": \"10\"}]`",
        )
    };
    let edits: Vec<Edit> = serde_json::from_str(text).map_err(|error| wrong(&error))?;
    let pipeline = match &propose.pipeline {
        Some(file) => path_below(&project.root, file).map_err(|error| wrong(&error))?,
        None => match project.pipelines().as_slice() {
            [only] => only.clone(),
            _ => return Err(Failure::could_not_start("edits name no file").with_help("name the pipeline: `--pipeline pipelines/x.nf`")),
        },
    };
    Ok(vec![(pipeline, How::Edits(edits))])
}

/// The pipeline that a patch is about: the only one among its files, else the only one of the project that uses one of them.
fn about(project: &Project, files: &[(String, How)]) -> Result<String, Failure> {
    let named: Vec<&String> = files.iter().map(|(path, _)| path).filter(|path| path.ends_with(".nf")).collect();
    let declares = |path: &&&String| {
        let text = project.read(path).ok().flatten().unwrap_or_default();
        let begins = |how: &How| matches!(how, How::Changes(changes) if changes.iter().any(|change| change.new.contains("pipeline ")));
        let brings = files.iter().any(|(known, how)| known == **path && begins(how));
        text.lines().any(|line| line.trim_start().starts_with("pipeline ")) || brings
    };
    let whole: Vec<&&String> = named.iter().filter(declares).collect();
    match (whole.as_slice(), named.as_slice()) {
        ([only], _) => Ok((**only).clone()),
        ([], [only]) => {
            let using = project.pipelines().into_iter().filter(|path| {
                let text = project.read(path).ok().flatten().unwrap_or_default();
                project.check(path, &text, &std::collections::BTreeMap::new()).files.iter().any(|used| only.ends_with(&used.path))
            });
            using
                .into_iter()
                .next()
                .ok_or_else(|| Failure::could_not_start(format!("no pipeline uses {only}")).with_help("name it: `--pipeline FILE`"))
        }
        ([], []) => Ok(String::new()),
        _ => Err(Failure::could_not_start("the patch is about more than one pipeline")
            .with_help("propose them one by one, or name the pipeline: `--pipeline FILE`")),
    }
}

/// Why a change can't be offered, as the end of the program.
fn refused(error: &Wrong) -> Failure {
    match error {
        Wrong::Mistakes { file, text, found } => {
            eprintln!("error: with this change the pipeline would be wrong:");
            print_diagnostics(Path::new(file), text, found, MessageFormat::Text);
            Failure::printed(Exit::WrongPipeline)
        }
        other => print_wrong(other),
    }
}
