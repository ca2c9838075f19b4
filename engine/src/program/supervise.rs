//! Watching one program: its output, its time, its memory, its processes, and the end of all of them.
//!
//! One loop waits for whatever comes first: output, the program's end, a word that it is no longer wanted, or the next look at its memory.

use super::job::{End, Job, Report};
use super::launch::Launchers;
use super::log::Kept;
use super::printed::Printed;
use super::processes::{Family, Reach, processor_ms, threads_of_machine};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, PidfdFlags};
use std::io::{PipeReader, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

/// The first look at a program's memory; later ones are further apart, up to [`LATER_LOOKS`].
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LATER_LOOKS: Duration = Duration::from_millis(100);

/// Runs a program to its end. The end of `control` says that the result is no longer wanted.
pub(super) fn supervise(job: &Job, control: BorrowedFd<'_>, reach: Reach, launchers: &mut Launchers) -> (Report, Vec<u8>) {
    let nothing = |end| (Report { end, peak_bytes: None, cpu_ms: None, left: Vec::new() }, Vec::new());
    let (reader, child) = match launchers.start(job) {
        Ok(started) => started,
        Err(error) => return nothing(End::NotStarted(error.to_string())),
    };
    let Some(first) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else {
        return nothing(End::NotStarted("the system gave it no number".into()));
    };
    let family = Family { reach, first, mark: &job.mark };
    let printed = Printed::new(job.printed.clone().map(PathBuf::from));
    let mut watch = Watch { job, family, child, output: Some(reader), kept: Kept::default(), printed, peak: 0, weighed_at: 0 };
    let end = watch.wait(control);
    watch.finish(end)
}

struct Watch<'a> {
    job: &'a Job,
    family: Family<'a>,
    child: Child,
    /// None when every process has closed its output.
    output: Option<PipeReader>,
    kept: Kept,
    printed: Printed,
    /// The most memory seen, in bytes.
    peak: u64,
    /// The resident memory when shared pages were last told apart.
    weighed_at: u64,
}

impl Watch<'_> {
    fn wait(&mut self, control: BorrowedFd<'_>) -> End {
        let Ok(ended) = rustix::process::pidfd_open(self.family.first, PidfdFlags::empty()) else {
            // Without descriptors of processes (before Linux 5.3) nothing can be watched; the program is not run unwatched.
            return End::NotStarted("this system is too old: it has no descriptors of processes".into());
        };
        let began = Instant::now();
        let limit = self.job.time.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let mut threads = None;
        let (mut pause, mut look) = (FIRST_LOOK, began + FIRST_LOOK);
        let mut buffer = vec![0; 1 << 16];
        loop {
            self.printed.tell(&self.kept);
            let now = Instant::now();
            if limit.is_some_and(|limit| now - began >= limit) {
                return End::TimedOut;
            }
            if now >= look {
                let before = *threads.get_or_insert_with(threads_of_machine);
                if let Some(end) = self.look(before) {
                    return end;
                }
                pause = (pause * 3 / 2).min(LATER_LOOKS);
                look = Instant::now() + pause;
            }
            let until = limit.map_or(look, |limit| look.min(began + limit));
            let wait = until.saturating_duration_since(Instant::now());
            let wait = Timespec { tv_sec: wait.as_secs().cast_signed(), tv_nsec: wait.subsec_nanos().into() };
            let output = self.output.as_ref().map(AsFd::as_fd);
            let mut asked = vec![PollFd::from_borrowed_fd(ended.as_fd(), PollFlags::IN), PollFd::from_borrowed_fd(control, PollFlags::IN)];
            asked.extend(output.map(|output| PollFd::from_borrowed_fd(output, PollFlags::IN)));
            match poll(&mut asked, Some(&wait)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return End::Cancelled,
            }
            let ready: Vec<bool> = asked.iter().map(|asked| !asked.revents().is_empty()).collect();
            if ready.get(2) == Some(&true) {
                self.read(&mut buffer);
            }
            if ready[1] {
                return End::Cancelled;
            }
            if ready[0] {
                return End::Status(0);
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8]) {
        let read = self.output.as_mut().map_or(Ok(0), |output| output.read(buffer));
        match read {
            Ok(read @ 1..) => self.kept.take(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            _ => self.output = None,
        }
    }

    /// Looks at memory and number of processes; the end, when there is too much of either.
    fn look(&mut self, threads_before: Option<u64>) -> Option<End> {
        // So many new threads on the whole machine are too many, whoever has them; only then it is worth counting a family that is perhaps huge.
        let more = threads_of_machine().zip(threads_before).map_or(0, |(now, before)| now.saturating_sub(before));
        if more > self.job.processes {
            let members = self.family.members().len() as u64;
            if members > self.job.processes {
                return Some(End::TooMany(members));
            }
        }
        let memory = self.family.memory();
        let mut held = memory.resident;
        let over = |held: u64| self.job.memory.is_some_and(|limit| held > limit);
        // Pages that several processes share are counted once before a program is called too large, or is said to have held more than ever.
        if memory.processes > 1 && (over(held) || held > self.peak.max(self.weighed_at + self.weighed_at / 8)) {
            self.weighed_at = held;
            held = self.family.proportional();
        } else if memory.processes > 1 {
            held = held.min(self.peak);
        }
        self.peak = self.peak.max(held).max(memory.highest);
        over(held).then_some(End::OutOfMemory)
    }

    /// Ends what is left, and takes the last of the output.
    fn finish(mut self, end: End) -> (Report, Vec<u8>) {
        let mut left = Vec::new();
        let ended = matches!(end, End::Status(_));
        // Until it is waited for, its number is its own.
        let quick = ended && self.family.reach == Reach::Alone;
        if !quick {
            left = self.family.end();
        }
        let cpu_ms = processor_ms(self.child.id());
        let end = if ended {
            self.child
                .wait()
                .map_or_else(|error| End::NotStarted(format!("it can't be waited for: {error}")), |status| End::Status(status.into_raw()))
        } else {
            // What can't be ended is not waited for.
            let _ = self.child.try_wait();
            end
        };
        if quick && !self.family.is_gone() {
            left = self.family.end();
        }
        if let Some(output) = &self.output {
            let _ = fcntl_getfl(output).and_then(|flags| fcntl_setfl(output, flags | OFlags::NONBLOCK));
        }
        // Everyone who could write is dead, or can't be ended; no more is read than a pipe holds.
        let mut buffer = vec![0; 1 << 16];
        for _ in 0..16 {
            match self.output.as_mut().map(|output| output.read(&mut buffer)) {
                Some(Ok(read @ 1..)) => self.kept.take(buffer.get(..read).unwrap_or_default()),
                _ => break,
            }
        }
        let peak_bytes = (self.peak > 0).then_some(self.peak);
        (Report { end, peak_bytes, cpu_ms, left }, self.kept.finish())
    }
}
