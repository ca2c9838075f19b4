//! SLURM through its commands: `sbatch`, `squeue`, `scontrol`, `scancel`, and `sacct` where it is kept.

use super::client::{Array, ClientError, ClusterClient, Detail, ElementId, Elements, JobEnd, JobId, JobState, Limits, Seen};
use super::parse;
use super::script;
use super::settings::SlurmSettings;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether a command that has said all it says has ended.
const LOOK: Duration = Duration::from_millis(5);
/// More than this of what a command prints is not read.
const MOST_OUTPUT: u64 = 256 << 20;
/// How far back `sacct` looks; without it, it forgets what began before midnight.
const ACCOUNTED_SINCE: &str = "--starttime=now-30days";

/// SLURM's commands.
pub struct SlurmCommands {
    settings: SlurmSettings,
    patience: Duration,
    /// Whether `sacct` has something to say.
    accounting: AtomicBool,
}

struct Said {
    status: ExitStatus,
    out: String,
    err: String,
}

impl SlurmCommands {
    /// The commands that are found on the path.
    pub fn new(settings: SlurmSettings) -> SlurmCommands {
        SlurmCommands { settings, patience: PATIENCE, accounting: AtomicBool::new(true) }
    }

    /// Runs a command; a failure is one of its own, not of what it says.
    fn said(&self, program: &str, arguments: &[OsString], input: Vec<u8>) -> Result<Said, ClientError> {
        let mut command = Command::new(program);
        command.args(arguments);
        for (name, _) in std::env::vars_os().filter(|(name, _)| decides(name)) {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Out of the terminal's group: Ctrl-C is the run's to answer.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => ClientError::Refused(format!("there is no `{program}` on this machine's path")),
            _ => ClientError::Away(format!("`{program}` can't be started: {error}")),
        })?;
        said(child, input, self.patience).map_err(|error| ClientError::Away(format!("`{program}`: {error}")))
    }

    /// Runs a command whose failure is told in words.
    fn ask(&self, program: &str, arguments: &[OsString], input: Vec<u8>) -> Result<String, ClientError> {
        let said = self.said(program, arguments, input)?;
        if said.status.success() { Ok(said.out) } else { Err(parse::failure(program, &said.err)) }
    }

    fn shown(&self, job: &JobId) -> Result<BTreeMap<ElementId, Detail>, ClientError> {
        let said = self.said("scontrol", &words(&["show", "job", "-o", &job.0]), Vec::new())?;
        match said.status.success() {
            true => Ok(parse::shown(&said.out)),
            false if parse::is_forgotten(&said.err) || parse::is_forgotten(&said.out) => Ok(BTreeMap::new()),
            false => Err(as_away(parse::failure("scontrol", &said.err))),
        }
    }

    /// What accounting knows; nothing where there is none.
    fn accounted(&self, jobs: &BTreeSet<&JobId>) -> BTreeMap<ElementId, Detail> {
        if !self.accounting.load(Ordering::Relaxed) || jobs.is_empty() {
            return BTreeMap::new();
        }
        let jobs: Vec<&str> = jobs.iter().map(|job| job.0.as_str()).collect();
        let format = format!("--format={}", parse::ACCOUNTING_FORMAT);
        let jobs = format!("--jobs={}", jobs.join(","));
        let arguments = words(&["--noheader", "--parsable2", "--allocations", "--array", ACCOUNTED_SINCE, &format, &jobs]);
        match self.ask("sacct", &arguments, Vec::new()) {
            Ok(output) => parse::accounted(&output),
            Err(ClientError::Away(_)) => BTreeMap::new(),
            Err(_) => {
                // Not kept here, or not to be had; `scontrol` remembers for a while.
                self.accounting.store(false, Ordering::Relaxed);
                BTreeMap::new()
            }
        }
    }
}

/// Whether a variable of the environment changes what SLURM's commands do. A run inside a job has many, and they are meant for that job.
fn decides(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name != "SLURM_CONF"
        && ["SLURM_", "SBATCH_", "SQUEUE_", "SCANCEL_", "SACCT_", "SCONTROL_"].iter().any(|prefix| name.starts_with(prefix))
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

/// A question can't be wrong: whatever it fails by will pass.
fn as_away(error: ClientError) -> ClientError {
    match error {
        ClientError::Refused(words) | ClientError::Full(words) | ClientError::Away(words) => ClientError::Away(words),
    }
}

fn said(mut child: Child, input: Vec<u8>, patience: Duration) -> std::io::Result<Said> {
    let until = Instant::now() + patience;
    let (sender, read) = mpsc::channel();
    let read_all = |at: usize, pipe: Option<Box<dyn Read + Send>>| {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(pipe) = pipe {
                let _ = pipe.take(MOST_OUTPUT).read_to_end(&mut bytes);
            }
            let _ = sender.send((at, bytes));
        });
    };
    read_all(0, child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>));
    read_all(1, child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>));
    if let Some(mut pipe) = child.stdin.take() {
        // A command that does not read to the end says so by how it ends.
        std::thread::spawn(move || pipe.write_all(&input));
    }
    let mut texts = [String::new(), String::new()];
    let mut late = false;
    for _ in 0..2 {
        match read.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok((at, bytes)) => texts[at] = String::from_utf8_lossy(&bytes).into_owned(),
            Err(_) => late = true,
        }
    }
    let [out, err] = texts;
    loop {
        if let Some(status) = child.try_wait()? {
            if late {
                break;
            }
            return Ok(Said { status, out, err });
        }
        if late || Instant::now() >= until {
            child.kill()?;
            child.wait()?;
            break;
        }
        std::thread::sleep(LOOK);
    }
    Err(std::io::Error::other(format!("no answer within {} s", patience.as_secs_f64())))
}

impl ClusterClient for SlurmCommands {
    fn name(&self) -> &str {
        "SLURM"
    }

    fn limits(&self) -> Result<Limits, ClientError> {
        Ok(parse::limits(&self.ask("scontrol", &words(&["show", "config"]), Vec::new())?))
    }

    fn submit(&self, array: &Array) -> Result<JobId, ClientError> {
        let script = script::script(array, &self.settings.setup);
        let output = self.ask("sbatch", &script::arguments(array, &self.settings), script)?;
        parse::submitted(&output).ok_or_else(|| {
            let printed: String = output.chars().take(200).collect();
            ClientError::Away(format!("`sbatch` printed `{}`, which names no job", printed.trim()))
        })
    }

    fn jobs(&self, tags: &[String]) -> Result<Vec<Seen>, ClientError> {
        let format = format!("--format={}", parse::QUEUE_FORMAT);
        let mut arguments = words(&["--noheader", "--array", "--states=all", &format]);
        #[cfg(unix)]
        arguments.push(format!("--user={}", rustix::process::getuid().as_raw()).into());
        let output = self.ask("squeue", &arguments, Vec::new()).map_err(|error| match error {
            // Only a command that is not there is not worth waiting for.
            ClientError::Refused(words) if words.starts_with("there is no") => ClientError::Refused(words),
            error => as_away(error),
        })?;
        Ok(parse::queue(&output, tags))
    }

    fn details(&self, elements: &[ElementId]) -> Result<BTreeMap<ElementId, Detail>, ClientError> {
        let jobs: BTreeSet<&JobId> = elements.iter().map(|element| &element.job).collect();
        let mut details = BTreeMap::new();
        for job in &jobs {
            details.extend(self.shown(job)?);
        }
        // Only accounting knows who cancelled a job, and what the controller has forgotten.
        let is_known =
            |element: &ElementId| details.get(element).is_some_and(|detail: &Detail| detail.state != JobState::Ended(JobEnd::Cancelled));
        let asked = elements.iter().filter(|element| !is_known(element)).map(|element| &element.job).collect();
        for (element, detail) in self.accounted(&asked) {
            let known = details.entry(element).or_insert_with(|| detail.clone());
            if matches!(detail.state, JobState::Ended(_)) && known.state == detail.state {
                *known = detail;
            }
        }
        details.retain(|element, _| elements.contains(element));
        Ok(details)
    }

    fn cancel(&self, jobs: &[(JobId, Elements)]) -> Result<(), ClientError> {
        let number = |(job, elements): &(JobId, Elements)| match elements {
            Elements::All => OsString::from(&job.0),
            Elements::Some(indices) => {
                let indices: Vec<String> = indices.iter().map(usize::to_string).collect();
                format!("{}_[{}]", job.0, indices.join(",")).into()
            }
        };
        let numbers: Vec<OsString> = jobs.iter().filter(|(_, elements)| *elements != Elements::Some(Vec::new())).map(number).collect();
        if numbers.is_empty() {
            return Ok(());
        }
        let said = self.said("scancel", &numbers, Vec::new())?;
        if said.status.success() || parse::is_forgotten(&said.err) {
            return Ok(());
        }
        Err(as_away(parse::failure("scancel", &said.err)))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn commands(patience: Duration) -> SlurmCommands {
        SlurmCommands { patience, ..SlurmCommands::new(SlurmSettings::default()) }
    }

    #[test]
    fn a_command_that_is_not_there_is_refused_and_one_that_does_not_answer_is_away() {
        let commands = commands(Duration::from_millis(200));
        let missing = commands.ask("no-such-command-of-slurm", &[], Vec::new());
        assert_eq!(missing, Err(ClientError::Refused("there is no `no-such-command-of-slurm` on this machine's path".into())));
        let began = Instant::now();
        let slow = commands.ask("sh", &words(&["-c", "exec sleep 60"]), Vec::new());
        assert!(matches!(slow, Err(ClientError::Away(words)) if words.contains("no answer within 0.2 s")));
        assert!(began.elapsed() < Duration::from_secs(30));
        // One that says all it says and does not end.
        let silent = commands.ask("sh", &words(&["-c", "exec sleep 60 >&- 2>&-"]), Vec::new());
        assert!(matches!(silent, Err(ClientError::Away(_))));
    }

    #[test]
    fn input_and_output_of_any_size_pass() {
        let commands = commands(Duration::from_secs(60));
        let input = vec![b'x'; 3 << 20];
        assert_eq!(commands.ask("cat", &[], input.clone()).unwrap().len(), input.len());
        // A command that does not read its input.
        assert_eq!(commands.ask("echo", &words(&["12"]), input).unwrap(), "12\n");
        let failed = commands.ask("sh", &words(&["-c", "echo trouble >&2; exit 1"]), Vec::new());
        assert_eq!(failed, Err(ClientError::Refused("trouble".into())));
    }

    #[test]
    fn the_environment_of_an_outer_job_decides_nothing() {
        let decided = |name: &str| decides(OsStr::new(name));
        assert!(decided("SLURM_MEM_PER_CPU") && decided("SBATCH_WAIT") && decided("SLURM_CLUSTERS"));
        assert!(!decided("SLURM_CONF") && !decided("PATH"));
    }
}
