//! Programs as steps: an empty folder with its inputs, a clean environment, a sandbox, a bounded log, and an end to everything that it started.
//!
//! The program sees `in/NAME.arrow` for each result it is given (`in/NAME` for files and folders), the scripts that its command names, and writes the one
//! file that it declared. It can't publish anything else, and it can't read what nobody gave it. Nothing of it survives: not its end, not the run's, not
//! that of neuroflow itself. See `docs/adr/20261125-sandbox.md` and `docs/adr/20261125-supervisors.md`.

pub mod environment;
mod equip;
#[cfg(target_os = "linux")]
mod host;
#[cfg(not(target_os = "linux"))]
#[path = "unwatched.rs"]
mod host;
mod inputs;
mod job;
#[cfg(target_os = "linux")]
mod launch;
mod log;
mod output;
mod printed;
#[cfg(target_os = "linux")]
mod processes;
mod sandbox;
mod scratch;
pub mod scripts;
#[cfg(target_os = "linux")]
mod supervise;
#[cfg(all(test, target_os = "linux"))]
mod tests;

pub use equip::{Equipment, Wishes};
pub use host::host_if_asked;
pub use sandbox::SandboxWish;

use crate::task::{Argument, ExecCall};
use environment::{Environments, Ready};
use host::Hosts;
use inputs::Inputs;
use job::{Allowed, End, Job, Report};
use neuroflow_cache::Cache;
use neuroflow_data::Artifact;
use neuroflow_dsl::command::{self, Rendered};
use neuroflow_stage::{CancelToken, Context, StageError, Value};
use sandbox::{Sandbox, system};
use scratch::Scratch;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The shell, by its place: every system has it there, and a search on `PATH` costs more than the start itself.
const SHELL: &str = "/bin/sh";
/// Lines of a failed program's output that its message shows.
const SHOWN_LINES: usize = 12;
/// The folder of running programs, below the cache.
const SCRATCH: &str = "scratch";
/// The variable by which all that a process of neuroflow started is found.
const MARK: &str = "NEUROFLOW_TASK";

/// How programs are run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramOptions {
    /// The sandbox.
    pub sandbox: SandboxWish,
    /// Never use the network to make an environment.
    pub offline: bool,
    /// Processes that one program may have at once.
    pub processes: u64,
}

impl Default for ProgramOptions {
    fn default() -> ProgramOptions {
        ProgramOptions { sandbox: SandboxWish::default(), offline: false, processes: 4096 }
    }
}

/// What a program gave, and what there is to say about it.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) output: Artifact,
    /// The beginning and the end of what it printed.
    pub(crate) log: Vec<u8>,
    /// What kept it from the rest of the machine.
    pub(crate) sandbox: serde_json::Value,
    /// The name of its environment.
    pub(crate) environment: Option<String>,
    /// The most memory that it was seen to hold; none when it ended too soon to be seen.
    pub(crate) peak_bytes: Option<u64>,
    /// Its processor time in milliseconds.
    pub(crate) cpu_ms: Option<f64>,
}

/// How a program ended that gave nothing.
#[derive(Debug)]
pub enum Ending {
    /// It failed; another try may pass.
    Failed(StageError),
    /// It can't be run, and another try would end the same.
    Refused(StageError),
    /// It held more memory than it may.
    OutOfMemory {
        /// Bytes that it may hold.
        limit: u64,
        /// Bytes that it held.
        peak: u64,
    },
    /// It ran for longer than it may.
    TimedOut {
        /// Seconds that it may run.
        seconds: f64,
    },
    /// The world's fault: a full disk, an unreadable cache.
    World(String),
    /// The run was stopped.
    Cancelled,
}

/// A failure that another try may mend.
fn refused(message: String, help: impl Into<String>) -> Ending {
    Ending::Failed(StageError::refused_with_help(message, help))
}

/// What all programs of a run share.
pub(crate) struct Programs {
    // Dropped first: supervisors end before the folders that they watch over are removed.
    hosts: Hosts,
    scratch: OnceLock<Result<Scratch, String>>,
    cache: Arc<Cache>,
    options: ProgramOptions,
    notice: Box<dyn Fn(&str) + Send + Sync>,
    sandbox: OnceLock<Result<Sandbox, String>>,
    environments: Environments,
    /// For each template, where the programs that it names are installed.
    installations: Mutex<BTreeMap<String, Vec<PathBuf>>>,
}

impl Programs {
    /// Programs of a run. Nothing is started or made before the first one runs. `notice` is told what a person should know.
    pub(crate) fn new(cache: Arc<Cache>, options: ProgramOptions, notice: impl Fn(&str) + Send + Sync + 'static) -> Programs {
        Programs {
            hosts: Hosts::default(),
            scratch: OnceLock::new(),
            cache,
            options,
            notice: Box::new(notice),
            sandbox: OnceLock::new(),
            environments: Environments::default(),
            installations: Mutex::default(),
        }
    }

    /// Runs a program once, in an empty folder, holding at most `memory` bytes. What it prints is told in the file `printed` while it runs.
    ///
    /// # Errors
    /// How it ended, when it did not end well.
    pub(crate) fn run(
        &self,
        call: &ExecCall,
        arguments: &[Argument],
        values: &[Artifact],
        context: &Context,
        memory: Option<u64>,
        printed: Option<&Path>,
    ) -> Result<Ended, Ending> {
        if context.cancel.is_cancelled() {
            return Err(Ending::Cancelled);
        }
        let sandbox = self.sandbox()?;
        let environment = match &call.environment {
            Some(locked) => Some(self.environments.ready(locked, self, &context.cancel)?),
            None => None,
        };
        let mut folder = self.folder()?;
        let rendered = lay_out(call, arguments, values, &self.cache, &folder.path)?;
        let allowed = Allowed {
            reads: self.reads(call, environment.as_ref()).into_iter().map(OsString::from).collect(),
            network: call.network,
            gpu: context.gpu != neuroflow_stage::GpuPolicy::Never,
        };
        let mut variables = variables(call, &rendered, context, &folder.path, environment.as_ref());
        let mark = self.mark(&mut variables);
        let job = Job {
            command: [SHELL, "-e", "-c", &rendered.command].map(OsString::from).to_vec(),
            folder: folder.path.clone().into(),
            variables,
            landlock: None,
            time: call.time,
            memory,
            processes: self.options.processes,
            mark,
            printed: printed.map(OsString::from),
        };
        let container = environment.as_ref().and_then(|environment| environment.container.as_ref());
        let (job, described) = match container {
            Some(container) => (container.enclose(job, &allowed), container.described(call.network)),
            None => (sandbox.enclose(job, allowed.clone()), sandbox.described(call.network)),
        };
        if let Some(container) = container {
            container.noted(&job);
        }
        let (report, log) = self.supervised(&job, &context.cancel);
        if let Some(container) = container.filter(|_| !matches!(report.end, End::Status(_))) {
            container.remove(&job);
        }
        folder.once = !host::is_exact() || !report.left.is_empty() || matches!(report.end, End::NotStarted(_));
        self.ended_well(&report, call, memory, || {
            let printed = String::from_utf8_lossy(&log);
            let kept = if container.is_some() { None } else { sandbox::explained(&printed, sandbox, &allowed, &folder.path) };
            (tail(&printed), [kept, Some(described_command(&rendered))].into_iter().flatten().collect::<Vec<_>>().join("\n  "))
        })?;
        Ok(Ended {
            output: output::take(call, &folder.path)?,
            log,
            sandbox: described,
            environment: environment.map(|environment| environment.name),
            peak_bytes: report.peak_bytes,
            cpu_ms: report.cpu_ms,
        })
    }

    /// Holds a report to a good end. `printed` gives the last lines and what to do.
    fn ended_well(
        &self,
        report: &Report,
        call: &ExecCall,
        memory: Option<u64>,
        printed: impl Fn() -> (String, String),
    ) -> Result<(), Ending> {
        if !report.left.is_empty() {
            self.tell(&format!("warning: processes {:?} of a program can't be ended", report.left));
        }
        match &report.end {
            End::Status(0) => Ok(()),
            End::Status(status) => {
                let (tail, help) = printed();
                Err(refused(format!("the program ended with {}; {tail}", host::status(*status)), help))
            }
            End::TimedOut => Err(Ending::TimedOut { seconds: call.time.unwrap_or_default() }),
            End::OutOfMemory => {
                let limit = memory.unwrap_or_default();
                Err(Ending::OutOfMemory { limit, peak: report.peak_bytes.unwrap_or(limit) })
            }
            End::TooMany(processes) => Err(Ending::Refused(StageError::refused_with_help(
                format!(
                    "the program had {processes} processes at once, and may have {}; it was stopped with all of them",
                    self.options.processes
                ),
                "if it needs so many, set NEUROFLOW_PROCESSES to a higher number",
            ))),
            End::Cancelled => Err(Ending::Cancelled),
            End::NotStarted(reason) => Err(Ending::Failed(StageError::refused(format!("the program can't be run: {reason}")))),
        }
    }

    /// An empty folder, removed when it is dropped or, when this process is killed, by the next one.
    pub(crate) fn folder(&self) -> Result<scratch::Folder, Ending> {
        self.scratch()?.folder()
    }

    fn sandbox(&self) -> Result<&Sandbox, Ending> {
        let chosen = self.sandbox.get_or_init(|| {
            let chosen = Sandbox::choose(self.options.sandbox);
            if let Ok(Sandbox::None(reason)) = &chosen {
                self.tell(&format!("programs run without a sandbox: {reason}"));
            }
            chosen
        });
        chosen.as_ref().map_err(|reason| {
            let help = "use a machine that has one, or set NEUROFLOW_SANDBOX=off to run programs without; the record will say so";
            Ending::Refused(StageError::refused_with_help(
                format!("programs must run in a sandbox here, and there is none: {reason}"),
                help,
            ))
        })
    }

    fn scratch(&self) -> Result<&Scratch, Ending> {
        let scratch = self.scratch.get_or_init(|| Scratch::new(&self.cache.root().join(SCRATCH)));
        scratch.as_ref().map_err(|reason| Ending::World(reason.clone()))
    }

    /// Puts the mark into an environment; gives it as it stands there.
    fn mark(&self, variables: &mut Vec<(String, OsString)>) -> String {
        let mark = self.scratch().map_or_else(|_| format!("{MARK}={}", std::process::id()), Scratch::mark);
        let value = mark.split_once('=').map_or("", |(_, value)| value);
        variables.retain(|(name, _)| name != MARK);
        variables.push((MARK.to_owned(), value.into()));
        mark
    }

    /// Runs a job under a supervisor.
    fn supervised(&self, job: &Job, cancel: &CancelToken) -> (Report, Vec<u8>) {
        self.hosts.run(job, cancel)
    }

    fn tell(&self, line: &str) {
        (self.notice)(line);
    }

    /// What a program may read beside its folder and the system: what it declared, its environment, and where the programs that it names really are.
    fn reads(&self, call: &ExecCall, environment: Option<&Ready>) -> Vec<PathBuf> {
        let mut installations = self.installations.lock().unwrap_or_else(PoisonError::into_inner);
        let found = installations.entry(call.template.clone()).or_insert_with(|| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
            let words = scripts::words(&call.template).into_iter().filter(|word| !word.contains('/'));
            let programs = words.filter_map(|word| folders.iter().map(|folder| folder.join(word)).find(|path| path.is_file()));
            let mut found: Vec<PathBuf> = programs.flat_map(|program| system::installation(&program)).collect();
            found.retain(|path| !system::folders().iter().any(|above| path.starts_with(above)) && !self.is_private(path, &call.home));
            found.sort();
            found.dedup();
            found
        });
        let environment = environment.map(|environment| environment.reads.clone()).unwrap_or_default();
        call.reads.iter().chain(found.iter()).cloned().chain(environment).collect()
    }

    /// Whether opening a folder would open the pipeline's folder or the cache with it.
    fn is_private(&self, folder: &Path, pipeline: &Path) -> bool {
        (!pipeline.as_os_str().is_empty() && pipeline.starts_with(folder)) || self.cache.root().starts_with(folder)
    }
}

/// Lays out inputs and scripts, and fills in the command.
fn lay_out(call: &ExecCall, arguments: &[Argument], values: &[Artifact], cache: &Cache, folder: &Path) -> Result<Rendered, Ending> {
    inputs::lay_scripts(call, cache, folder)?;
    let inputs = Inputs::lay_out(arguments, values, folder)?;
    let mut names: BTreeMap<String, serde_json::Value> = call.params.iter().map(|(name, value)| (name.clone(), json(value))).collect();
    names.extend(inputs.paths.iter().map(|(name, path)| (name.clone(), path.clone().into())));
    names.insert(command::OUT.into(), call.file.clone().into());
    names.insert(command::SEED.into(), call.seed.into());
    let rendered = command::render(&call.template, &names)
        .map_err(|reason| Ending::Refused(StageError::refused(format!("the command can't be filled in: {reason}"))))?;
    for (path, format, wanted) in &rendered.asked {
        inputs.convert(path, format, &folder.join(wanted))?;
    }
    Ok(rendered)
}

/// The whole environment of a program: nothing of this machine's settings but where programs are, so that no secret of it reaches the program or its log.
fn variables(
    call: &ExecCall,
    rendered: &Rendered,
    context: &Context,
    folder: &Path,
    environment: Option<&Ready>,
) -> Vec<(String, OsString)> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let path = match environment {
        Some(environment) => std::env::join_paths(environment.programs.iter().cloned().chain(std::env::split_paths(&path))).unwrap_or(path),
        None => path,
    };
    let threads = context.threads.to_string();
    let mut variables: Vec<(String, OsString)> = [
        ("PATH", path),
        ("HOME", folder.into()),
        ("TMPDIR", folder.join(scratch::TEMPORARY).into()),
        ("LC_ALL", "C.UTF-8".into()),
        ("TZ", "UTC".into()),
        ("NEUROFLOW_SEED", call.seed.to_string().into()),
        ("NEUROFLOW_CORES", threads.clone().into()),
        ("OMP_NUM_THREADS", threads.into()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec();
    match &call.environment {
        Some(locked) if locked.kind == environment::EnvironmentKind::CondaExplicit => {
            variables.extend(environment.map(|ready| ("CONDA_PREFIX".to_owned(), ready.prefix.clone().into())));
        }
        Some(_) => variables.extend(environment.map(|ready| ("VIRTUAL_ENV".to_owned(), ready.prefix.clone().into()))),
        None => {}
    }
    variables.extend(rendered.variables.iter().map(|(name, value)| (name.clone(), value.into())));
    variables
}

fn tail(printed: &str) -> String {
    let lines: Vec<&str> = printed.lines().collect();
    let tail = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n    ");
    if tail.is_empty() { "it printed nothing".to_owned() } else { format!("it printed at last:\n    {tail}") }
}

/// The command and the variables in it, for a person.
fn described_command(rendered: &Rendered) -> String {
    let variables: Vec<String> = rendered.variables.iter().map(|(name, value)| format!("{name} = {value:?}")).collect();
    let with = if variables.is_empty() { String::new() } else { format!("\n    with {}", variables.join(", ")) };
    format!("the command was: {}{with}", rendered.command.trim())
}

/// A value as a template sees it; quantities are numbers in their base unit (seconds, hertz, volts, …).
fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Number(value) => (*value).into(),
        Value::Quantity(quantity) => quantity.value.into(),
        Value::Text(text) | Value::Word(text) => text.clone().into(),
        Value::List(values) => values.iter().map(json).collect::<Vec<_>>().into(),
        Value::Range(start, end) => vec![json(start), json(end)].into(),
        call => call.to_string().into(),
    }
}
