//! Supervisors: processes of neuroflow's own program, each of which runs one program at a time and outlives nothing.
//!
//! Why a process: it is the parent of every orphan below it, so a program can't leave anything behind; and it sees the end of the pipe that neuroflow holds,
//! however neuroflow died, and ends what runs. They are started when they are needed, and used again.
//! A program that embeds the engine and does not call [`host_if_asked`] has none: programs are then watched from within, and a daemon is found by its mark.

use super::job::{End, Job, Report, receive, send};
use super::launch::Launchers;
use super::processes::{Reach, end_marked};
use super::supervise::supervise;
use neuroflow_stage::CancelToken;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::ffi::OsString;
use std::io::{Error, Result};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// The argument that makes a supervisor of neuroflow's own program.
const ASKED: &str = "__supervise-programs";
/// How often it is looked whether a running program is still wanted.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 30_000_000 };
/// How long a supervisor may take to end what it watches.
const PATIENCE: Duration = Duration::from_secs(15);

static HOSTED: OnceLock<()> = OnceLock::new();

/// Becomes a supervisor when this process was started as one; gives the exit code then. Called first in `main`, before anything is read or printed.
pub fn host_if_asked() -> Option<ExitCode> {
    let _ = HOSTED.set(());
    if std::env::args_os().nth(1)? != ASKED {
        return None;
    }
    Some(match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

/// Whether a program's end is the end of all that it started, without exception.
pub(super) fn is_exact() -> bool {
    HOSTED.get().is_some()
}

fn serve() -> Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let (mut from, mut to) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut launchers = Launchers::default();
    // One message at a time, and no more is sent before the answer: nothing of the next one is in the reader's buffer while the pipe is watched.
    while let Some((job, _)) = receive::<Job>(&mut from)? {
        let (report, log) = supervise(&job, from.as_fd(), Reach::Alone, &mut launchers);
        send(&mut to, &report, &log)?;
    }
    Ok(())
}

/// Supervisors that wait for work.
#[derive(Default)]
pub(super) struct Hosts {
    idle: Mutex<Vec<Host>>,
}

struct Host {
    child: Child,
    /// None once it was told to stop.
    to: Option<ChildStdin>,
    from: ChildStdout,
    /// Where it worked at last.
    folder: OsString,
}

impl Hosts {
    /// Runs a program and waits for its end.
    pub(super) fn run(&self, job: &Job, cancel: &CancelToken) -> (Report, Vec<u8>) {
        if HOSTED.get().is_none() {
            return within(job, cancel);
        }
        let idle = self.idle(job);
        let answer = idle.map_or_else(Host::start, Ok).and_then(|mut host| {
            let answer = host.ask(job, cancel);
            match answer {
                Ok(answer) if host.to.is_some() => {
                    self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(host);
                    Ok(answer)
                }
                answer => {
                    host.end();
                    answer
                }
            }
        });
        answer.unwrap_or_else(|error| {
            end_marked(&job.mark);
            let end = End::NotStarted(format!("its supervisor ended: {error}"));
            (Report { end, peak_bytes: None, cpu_ms: None, left: Vec::new() }, Vec::new())
        })
    }
}

impl Hosts {
    /// A supervisor without work: rather one that has worked in the job's folder, for its sandbox is there already.
    fn idle(&self, job: &Job) -> Option<Host> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let position = idle.iter().rposition(|host| host.folder == job.folder).or_else(|| idle.len().checked_sub(1))?;
        Some(idle.remove(position))
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        let idle = self.idle.get_mut().unwrap_or_else(PoisonError::into_inner);
        idle.iter_mut().for_each(|host| host.to = None);
        idle.drain(..).for_each(Host::end);
    }
}

impl Host {
    fn start() -> Result<Host> {
        let mut command = Command::new(own_program()?);
        command.arg0("neuroflow-supervisor").arg(ASKED).stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        // It needs to know where programs are, and where the folder is that they must not read; it holds no secret that they could look for.
        command.env_clear().envs(["PATH", "HOME"].iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        let mut child = command.spawn()?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(to), Some(from)) => Ok(Host { child, to: Some(to), from, folder: OsString::new() }),
            _ => Err(Error::other("it has no pipes")),
        }
    }

    fn ask(&mut self, job: &Job, cancel: &CancelToken) -> Result<(Report, Vec<u8>)> {
        let gone = || Error::other("it ended before its program did");
        self.folder.clone_from(&job.folder);
        send(self.to.as_mut().ok_or_else(gone)?, job, &[])?;
        let mut told = None;
        loop {
            let mut asked = [PollFd::new(&self.from, PollFlags::IN)];
            match poll(&mut asked, Some(&LOOK)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return receive(&mut self.from)?.ok_or_else(gone),
                Err(error) => return Err(error.into()),
            }
            if told.is_none() && cancel.is_cancelled() {
                // The end of its input: it ends what it watches, answers, and ends.
                self.to = None;
                told = Some(std::time::Instant::now());
            }
            if told.is_some_and(|told| told.elapsed() > PATIENCE) {
                return Err(Error::other("it does not answer"));
            }
        }
    }

    fn end(mut self) {
        self.to = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program that runs, even when its file was replaced meanwhile.
fn own_program() -> Result<PathBuf> {
    let link = PathBuf::from("/proc/self/exe");
    if link.exists() { Ok(link) } else { std::env::current_exe() }
}

/// Watches a program from within this process.
fn within(job: &Job, cancel: &CancelToken) -> (Report, Vec<u8>) {
    let failed =
        |error: Error| (Report { end: End::NotStarted(error.to_string()), peak_bytes: None, cpu_ms: None, left: Vec::new() }, Vec::new());
    let (reader, writer) = match std::io::pipe() {
        Ok(pipe) => pipe,
        Err(error) => return failed(error),
    };
    std::thread::scope(|scope| {
        let watched = scope.spawn(|| supervise(job, reader.as_fd(), Reach::Marked, &mut Launchers::default()));
        let mut control = Some(writer);
        while !watched.is_finished() {
            if cancel.is_cancelled() {
                control = None;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        drop(control);
        watched.join().unwrap_or_else(|_| failed(Error::other("the thread that watches it ended")))
    })
}

/// A status in words, as the system says it.
pub(super) fn status(raw: i32) -> String {
    use std::os::unix::process::ExitStatusExt;
    std::process::ExitStatus::from_raw(raw).to_string()
}
