//! Programs where the system is not Linux: their time is watched and their process group is ended, and no more than that is promised.

use super::job::{End, Job, Report};
use super::log::Kept;
use super::printed::Printed;
use neuroflow_stage::CancelToken;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// There are no supervisors here.
pub fn host_if_asked() -> Option<ExitCode> {
    None
}

/// Whether a program's end is the end of all that it started, without exception.
pub(super) fn is_exact() -> bool {
    false
}

/// Runs programs from within.
#[derive(Default)]
pub(super) struct Hosts;

impl Hosts {
    pub(super) fn run(&self, job: &Job, cancel: &CancelToken) -> (Report, Vec<u8>) {
        let report = |end| Report { end, peak_bytes: None, cpu_ms: None, left: Vec::new() };
        match watched(job, cancel) {
            Ok((end, log)) => (report(end), log),
            Err(error) => (report(End::NotStarted(error.to_string())), Vec::new()),
        }
    }
}

fn watched(job: &Job, cancel: &CancelToken) -> std::io::Result<(End, Vec<u8>)> {
    let [program, arguments @ ..] = job.command.as_slice() else { return Err(std::io::Error::other("there is no command")) };
    let (mut reader, writer) = std::io::pipe()?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&job.folder).env_clear().envs(job.variables.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn()?;
    // The command holds the pipe's ends for writing; while it lives, the pipe does not end.
    drop(command);
    let (sender, receiver) = mpsc::channel();
    let kept = Arc::new(Mutex::new(Kept::default()));
    let taking = Arc::clone(&kept);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(read @ 1..) = reader.read(&mut buffer) {
            lock(&taking).take(buffer.get(..read).unwrap_or_default());
        }
        // Nobody listens any more when the program's descendants kept the pipe open for too long.
        let _ = sender.send(std::mem::take(&mut *lock(&taking)).finish());
    });
    let mut printed = Printed::new(job.printed.clone().map(PathBuf::from));
    let began = Instant::now();
    let mut pause = Duration::from_micros(300);
    let end = loop {
        printed.tell(&lock(&kept));
        if let Some(status) = child.try_wait()? {
            break End::Status(raw(status));
        }
        if cancel.is_cancelled() {
            break End::Cancelled;
        }
        if job.time.is_some_and(|limit| began.elapsed().as_secs_f64() > limit) {
            break End::TimedOut;
        }
        std::thread::sleep(pause);
        pause = (pause * 3 / 2).min(Duration::from_millis(20));
    };
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
    Ok((end, receiver.recv_timeout(Duration::from_secs(2)).unwrap_or_default()))
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(unix)]
fn raw(status: std::process::ExitStatus) -> i32 {
    std::os::unix::process::ExitStatusExt::into_raw(status)
}

#[cfg(not(unix))]
fn raw(status: std::process::ExitStatus) -> i32 {
    status.code().unwrap_or(-1)
}

/// A status in words, as the system says it.
pub(super) fn status(raw: i32) -> String {
    #[cfg(unix)]
    {
        std::os::unix::process::ExitStatusExt::from_raw(raw).to_string()
    }
    #[cfg(not(unix))]
    format!("exit code: {raw}")
}
