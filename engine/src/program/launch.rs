//! Starting programs within a sandbox.
//!
//! A Landlock domain binds the thread that enters it and all that this thread starts, and it can't be left. So each kind of domain has a thread that entered
//! it once and starts one program after another: to enter a domain of a hundred rules takes longer than to start a small program.

use super::job::{Allowed, Job};
use super::sandbox::landlock;
use std::ffi::OsString;
use std::io::{Error, PipeReader, PipeWriter, Result};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};

/// So many domains are kept: a pipeline alternates between few kinds of programs.
const KEPT: usize = 8;

/// Threads that start programs.
#[derive(Default)]
pub(super) struct Launchers {
    /// The latest used last.
    kept: Vec<Launcher>,
}

struct Launcher {
    folder: OsString,
    allowed: Allowed,
    jobs: Sender<(Job, PipeWriter)>,
    started: Receiver<Result<Child>>,
}

impl Launchers {
    /// Starts a program as the leader of a group of its own; gives the end of the pipe that it prints to.
    pub(super) fn start(&mut self, job: &Job) -> Result<(PipeReader, Child)> {
        let (reader, writer) = std::io::pipe()?;
        let child = match &job.landlock {
            None => spawn(job, writer)?,
            Some(allowed) => {
                let fits = |launcher: &Launcher| launcher.folder == job.folder && launcher.allowed == *allowed;
                let launcher = match self.kept.iter().position(fits) {
                    Some(position) => self.kept.remove(position),
                    None => Launcher::new(job, allowed)?,
                };
                let gone = |_| Error::other("the thread that starts it ended");
                launcher.jobs.send((job.clone(), writer)).map_err(|_| Error::other("the thread that starts it ended"))?;
                let child = launcher.started.recv().map_err(gone)?;
                if self.kept.len() >= KEPT {
                    self.kept.remove(0);
                }
                self.kept.push(launcher);
                child?
            }
        };
        Ok((reader, child))
    }
}

impl Launcher {
    fn new(job: &Job, allowed: &Allowed) -> Result<Launcher> {
        let (jobs, wanted) = channel::<(Job, PipeWriter)>();
        let (tells, started) = channel();
        let (own, folder) = (allowed.clone(), job.folder.clone());
        std::thread::Builder::new().name("launcher".into()).spawn(move || {
            let entered = landlock::enter(&own, Path::new(&folder));
            // It ends when nobody has a job for it any more.
            for (job, writer) in wanted {
                let child = entered.clone().map_err(Error::other).and_then(|()| spawn(&job, writer));
                if tells.send(child).is_err() {
                    break;
                }
            }
        })?;
        Ok(Launcher { folder: job.folder.clone(), allowed: allowed.clone(), jobs, started })
    }
}

fn spawn(job: &Job, writer: PipeWriter) -> Result<Child> {
    let [program, arguments @ ..] = job.command.as_slice() else { return Err(Error::other("there is no command")) };
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&job.folder).env_clear().envs(job.variables.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
    // The command holds the pipe's ends for writing, and is gone when this returns.
    command.spawn()
}
