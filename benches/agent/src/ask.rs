//! A task in a project of its own, asked and answered.

use crate::check::{self, Came};
use crate::task::{Line, Task, pipeline};
use neuroflow_agent::budget::{Budget, BudgetLimits, Price, Spent, SpentToday};
use neuroflow_agent::model::{Model, ModelError, Reply, Request, Scripted, ToolCall};
use neuroflow_agent::{Chat, Desk, Exposure, Gate, Origin, Project, SYSTEM, SYSTEM_NEW, Settings, Shown, Turn};
use neuroflow_cache::{Cache, OsDisk};
use neuroflow_engine::dataset::DataRegistry;
use neuroflow_engine::fetch::Sources;
use neuroflow_engine::folder::Folder;
use neuroflow_engine::ready::{Machine, total_memory};
use neuroflow_engine::schedule::{Observer, Observers, RunOptions};
use neuroflow_engine::session::{Clock, Purpose, RunInfo, Session};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What does not hold of a script's answer.
pub(crate) async fn scripted(task: &Task, lines: &[Line]) -> Result<Vec<String>, String> {
    let lines = lines.to_vec();
    let model = Scripted::new(move |request, number| match lines.get(number) {
        Some(line) => Ok(said(line, request, number)),
        None if number > 20 => Err(ModelError::ScriptEnded(number)),
        None => Ok(Reply::text(request, "That is all.")),
    });
    with(task, Box::new(model)).await
}

/// A line of a script as a model says it. What a script does not say is left open.
fn said(line: &Line, request: &Request, number: usize) -> Reply {
    if let Some(text) = &line.text {
        return Reply::text(request, text.clone());
    }
    let name = line.tool.clone().unwrap_or_default();
    let given: serde_json::Value = serde_json::from_str(line.arguments.as_deref().unwrap_or("{}")).unwrap_or_default();
    let fields = request.tool(&name).map(|tool| tool.schema.fields()).unwrap_or_default();
    let mut all: serde_json::Map<String, serde_json::Value> =
        fields.iter().map(|field| (field.name.clone(), serde_json::Value::Null)).collect();
    all.extend(given.as_object().cloned().unwrap_or_default());
    Reply::calls(request, vec![ToolCall { id: format!("call_{number}"), name, arguments: all.into() }])
}

/// What does not hold of a model's answer.
pub(crate) async fn with(task: &Task, model: Box<dyn Model>) -> Result<Vec<String>, String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let folder = tempfile::tempdir().map_err(|error| told(&error))?;
    let root = folder.path().join("project");
    std::fs::create_dir_all(root.join("data")).map_err(|error| told(&error))?;
    let trials = "session,trial,rate\na,1,2.5\na,2,3.0\nb,1,1.5\n";
    std::fs::write(root.join("data/trials.csv"), trials).map_err(|error| told(&error))?;
    let is_new = task.pipeline.is_empty();
    let before = if is_new { String::new() } else { pipeline(&task.pipeline)?.to_owned() };
    let file = if is_new { "analysis.nf".to_owned() } else { format!("{}.nf", task.pipeline) };
    if !is_new {
        std::fs::write(root.join(&file), &before).map_err(|error| told(&error))?;
    }
    let cache = Cache::open(&folder.path().join("cache"), Arc::new(OsDisk::default())).map_err(|error| told(&error))?;
    let session = Arc::new(Session {
        cache: Arc::new(cache),
        registry: Arc::new(neuroflow_cli::stages::registry()),
        data: DataRegistry::default(),
        sources: Sources { mirrors: Vec::new(), offline: true },
    });
    let project = Project { root: root.clone(), session, settings: Settings::default(), own: None, worker: None };
    if task.runs {
        run(&project, &file, &before).await?;
    }
    let origin = Origin::Chat { model: model.name() };
    let desk = Desk::new(Gate::of(project.clone()), file.clone(), Exposure::Schema, origin);
    let budget = Budget::new(BudgetLimits::default(), "any", Some(Price::FREE), Spent::default(), SpentToday::default());
    let system = if is_new { format!("{SYSTEM}\n{SYSTEM_NEW}") } else { SYSTEM.to_owned() };
    let mut chat = Chat::new(model, desk, &system, budget, None);
    let mut came = Came { before, file, ..Came::default() };
    let mut answers = task.answers.iter();
    let mut said = task.ask.clone();
    loop {
        let words = &mut came.words;
        let mut show = |shown: Shown<'_>| {
            if let Shown::Text(text) = shown {
                words.push_str(text);
            }
        };
        match chat.turn(&said, &mut show).await.map_err(|error| told(&error))? {
            Turn::Asked(question, ids) => {
                for id in &ids {
                    came.proposals.push(chat.desk().proposal(id)?);
                }
                came.questions.push(question.text);
                match answers.next() {
                    Some(answer) => said.clone_from(answer),
                    None => break,
                }
            }
            Turn::Offered(ids) => {
                for id in &ids {
                    came.proposals.push(chat.desk().proposal(id)?);
                }
                break;
            }
            Turn::Said | Turn::Unfinished(_) => break,
        }
    }
    came.looks = chat.desk().seen().looks;
    // The project must be as it was, whatever was said.
    let now = std::fs::read_to_string(root.join(&came.file)).unwrap_or_default();
    if now != came.before {
        return Err("the pipeline was changed without an approval".into());
    }
    Ok(check::wrong(&task.check, &came, &project))
}

/// Runs the pipeline once, as a person did before.
async fn run(project: &Project, file: &str, text: &str) -> Result<(), String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let checked = project.check(file, text, &BTreeMap::new());
    let folder = Folder::of(&project.root.join(file));
    let session = &project.session;
    let prepared = session.prepare(checked.pipeline, (&project.root, folder.path()), Purpose::Run, true, &|_, _, _| {}).await;
    let mut prepared = prepared.map_err(|error| told(&error))?;
    let (clock, run_id) = Clock::start();
    let machine = Machine { cores: 2, memory: total_memory(), gpus: 0, pools: BTreeMap::new() };
    let options = RunOptions::here(machine, run_id);
    let observer: Arc<dyn Observer> = Arc::new(Observers(Vec::new()));
    let outcome = session.run(&mut prepared, &options, &observer).await;
    let info = RunInfo {
        file: Path::new(file).to_path_buf(),
        text: text.to_owned(),
        used: Vec::new(),
        command: Vec::new(),
        set: Vec::new(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    let record = session.record(&prepared, &outcome, &info, &options, &clock).map_err(|error| told(&error))?;
    session.write(&record).map_err(|error| told(&error))
}
