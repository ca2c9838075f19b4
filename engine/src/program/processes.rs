//! All that a program started, found and ended, whatever it did to hide: left its group, its session or its parent.
//!
//! Processes are found from parent to child. A supervisor in a process of its own is the parent of every orphan below it (a "subreaper"), so there nothing
//! can leave its family. To end a family it is first stopped, member for member, until no new member appears: what stands still starts nothing.

use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long it is waited for processes that were killed.
const LAST_WAIT: Duration = Duration::from_secs(10);

/// Which processes belong to a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// All children of this process, and theirs: the process does nothing else.
    Alone,
    /// One child and its children, and whoever has the mark in its environment.
    Marked,
}

/// The processes of one program.
pub(super) struct Family<'a> {
    pub(super) reach: Reach,
    pub(super) first: Pid,
    pub(super) mark: &'a str,
}

/// Memory of a family, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Memory {
    /// The sum of what each has resident; pages that several share are counted for each.
    pub(super) resident: u64,
    /// The most that a single one ever had.
    pub(super) highest: u64,
    pub(super) processes: u64,
}

impl Family<'_> {
    /// Its living members, of which a program can have started more while they are listed.
    pub(super) fn members(&self) -> BTreeSet<u32> {
        let first = self.first.as_raw_nonzero().get().unsigned_abs();
        let mut found = BTreeSet::new();
        let mut open = match self.reach {
            Reach::Alone => children(std::process::id()),
            Reach::Marked => vec![first],
        };
        while let Some(process) = open.pop() {
            if found.insert(process) {
                open.extend(children(process));
            }
        }
        found
    }

    /// Memory that its members hold.
    pub(super) fn memory(&self) -> Memory {
        let mut memory = Memory::default();
        for process in self.members() {
            let Ok(text) = std::fs::read_to_string(format!("/proc/{process}/status")) else { continue };
            // The dead hold nothing.
            let Some(resident) = kibibytes(&text, "VmRSS:") else { continue };
            memory.resident += resident;
            memory.highest = memory.highest.max(kibibytes(&text, "VmHWM:").unwrap_or(0));
            memory.processes += 1;
        }
        memory
    }

    /// Memory that its members hold, with what they share counted once. Slower than [`Family::memory`].
    pub(super) fn proportional(&self) -> u64 {
        let of = |process: u32| kibibytes(&std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?, "Pss:");
        self.members().into_iter().filter_map(of).sum()
    }

    /// Whether nothing is left of a family that is alone, once its first process was waited for. One question to the system, which is all that a well-behaved program costs.
    pub(super) fn is_gone(&self) -> bool {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some(_)) => {}
                Ok(None) => return false,
                Err(error) => return error == rustix::io::Errno::CHILD,
            }
        }
    }

    /// Ends every member; gives those that are still there after a while.
    pub(super) fn end(&self) -> Vec<u32> {
        let alive = || -> BTreeSet<u32> {
            let marked = if self.reach == Reach::Marked { marked(self.mark) } else { BTreeSet::new() };
            let members = self.members().into_iter().chain(marked);
            members.filter(|process| state(*process).is_some_and(|state| !"ZX".contains(state))).collect()
        };
        let found = alive();
        if found.is_empty() {
            self.reap();
            return Vec::new();
        }
        // A group is ended in one call, which no fork escapes. Its number is its own while it has a member.
        let number = self.first.as_raw_nonzero().get().unsigned_abs();
        if found.iter().any(|process| group(*process) == Some(number)) {
            let _ = rustix::process::kill_process_group(self.first, Signal::KILL);
        }
        let mut stopped = BTreeSet::new();
        loop {
            let new: Vec<u32> = alive().difference(&stopped).copied().collect();
            if new.is_empty() {
                break;
            }
            new.iter().for_each(|process| self.signal(*process, Signal::STOP));
            stopped.extend(new);
        }
        let began = Instant::now();
        let mut pause = Duration::from_micros(100);
        loop {
            let left = alive();
            left.iter().for_each(|process| self.signal(*process, Signal::KILL));
            self.reap();
            let left = if left.is_empty() { left } else { alive() };
            if left.is_empty() || began.elapsed() > LAST_WAIT {
                return left.into_iter().collect();
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Sends a signal to a member. A number can have passed to a stranger since it was listed, so it is held by a descriptor first and then looked at again.
    fn signal(&self, process: u32, signal: Signal) {
        let Some(descriptor) = descriptor(process) else { return };
        let ours = match self.reach {
            Reach::Alone => std::iter::successors(Some(process), |process| parent(*process)).any(|process| process == std::process::id()),
            Reach::Marked => self.members().contains(&process) || has_mark(process, self.mark),
        };
        if ours {
            let _ = rustix::process::pidfd_send_signal(descriptor, signal);
        }
    }

    /// Takes note of the dead, all but the first, whose end its owner takes note of.
    fn reap(&self) {
        if self.reach != Reach::Alone {
            return;
        }
        for child in children(std::process::id()) {
            let pid = pid(child).filter(|pid| *pid != self.first);
            if let Some(pid) = pid {
                let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
            }
        }
    }
}

/// Ends whatever has `mark` in its environment, after its supervisor died.
pub(super) fn end_marked(mark: &str) {
    for signal in [Signal::STOP, Signal::KILL] {
        let mut seen = BTreeSet::new();
        loop {
            let new: Vec<u32> = marked(mark).difference(&seen).copied().collect();
            if new.is_empty() {
                break;
            }
            for process in &new {
                if let Some(descriptor) = descriptor(*process).filter(|_| has_mark(*process, mark)) {
                    let _ = rustix::process::pidfd_send_signal(descriptor, signal);
                }
            }
            seen.extend(new);
        }
    }
}

/// Threads on the whole machine: one small file, read before anything that costs more.
pub(super) fn threads_of_machine() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').nth(3)?.split('/').nth(1)?.parse().ok()
}

/// Processor time of a process that has ended but was not yet waited for, and of what it waited for, in milliseconds.
pub(super) fn processor_ms(process: u32) -> Option<f64> {
    /// A tick of these files is a hundredth of a second on every Linux.
    const TICK_MS: f64 = 10.0;
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name may hold anything, but nothing after the last bracket does.
    let fields = text.rsplit(')').next()?.split_whitespace();
    let ticks: Vec<u64> = fields.skip(11).take(4).filter_map(|field| field.parse().ok()).collect();
    (ticks.len() == 4).then(|| ticks.iter().sum::<u64>() as f64 * TICK_MS)
}

fn pid(process: u32) -> Option<Pid> {
    i32::try_from(process).ok().and_then(Pid::from_raw)
}

fn descriptor(process: u32) -> Option<OwnedFd> {
    rustix::process::pidfd_open(pid(process)?, PidfdFlags::empty()).ok()
}

/// The children of a process, of all its threads.
fn children(process: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task"));
    let mut found = Vec::new();
    for thread in threads.into_iter().flatten().flatten() {
        match std::fs::read_to_string(thread.path().join("children")) {
            Ok(text) => found.extend(text.split_whitespace().filter_map(|word| word.parse::<u32>().ok())),
            // Kernels without these files: every process is asked for its parent.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && thread.path().exists() => {
                return all().filter(|other| parent(*other) == Some(process)).collect();
            }
            Err(_) => {}
        }
    }
    found
}

fn all() -> impl Iterator<Item = u32> {
    std::fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn after_name(process: u32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    Some(text.rsplit(')').next()?.trim_start().to_owned())
}

fn state(process: u32) -> Option<char> {
    after_name(process)?.chars().next()
}

fn group(process: u32) -> Option<u32> {
    after_name(process)?.split(' ').nth(2)?.parse().ok()
}

fn parent(process: u32) -> Option<u32> {
    after_name(process)?.split(' ').nth(1)?.parse().ok()
}

fn marked(mark: &str) -> BTreeSet<u32> {
    all().filter(|process| has_mark(*process, mark)).collect()
}

fn has_mark(process: u32, mark: &str) -> bool {
    let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
    process != std::process::id() && environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
}

fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kibibytes| kibibytes << 10)
}
