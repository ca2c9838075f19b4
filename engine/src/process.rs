//! What the system says about a process: how much memory it holds, how much time it took, and how it ended.

use crate::outcome::Usage;
use std::process::ExitStatus;
use std::time::Instant;

/// A process whose memory and processor time are watched. On systems without `/proc` nothing is known.
pub(crate) struct Watched {
    process: u32,
    held: Option<u64>,
    peak: Option<u64>,
    cpu_before: Option<f64>,
    cpu: Option<f64>,
}

impl Watched {
    pub(crate) fn new(process: u32) -> Watched {
        // The peak begins anew where the system lets us say so.
        let _ = std::fs::write(format!("/proc/{process}/clear_refs"), "5");
        let cpu_before = cpu_ms(process);
        Watched { process, held: None, peak: None, cpu_before, cpu: None }
    }

    /// This process, without disturbing what others count of it.
    pub(crate) fn of_self() -> Watched {
        Watched { process: std::process::id(), held: None, peak: None, cpu_before: None, cpu: None }
    }

    /// Looks again.
    pub(crate) fn look(&mut self) {
        let Ok(status) = std::fs::read_to_string(format!("/proc/{}/status", self.process)) else { return };
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kilobytes| kilobytes.saturating_mul(1024))
        };
        self.held = bytes("VmRSS:").or(self.held);
        self.peak = self.peak.max(bytes("VmHWM:")).max(self.held);
        self.cpu = cpu_ms(self.process).or(self.cpu);
    }

    /// Bytes of resident memory when it was looked at last.
    pub(crate) fn held_bytes(&self) -> Option<u64> {
        self.held
    }

    /// The most bytes of resident memory so far.
    pub(crate) fn peak_bytes(&self) -> Option<u64> {
        self.peak
    }

    /// Milliseconds of processor time since it was first looked at.
    pub(crate) fn cpu_ms(&self) -> Option<f64> {
        Some(self.cpu? - self.cpu_before?)
    }

    pub(crate) fn usage(&self, began: Instant) -> Usage {
        Usage { wall_ms: began.elapsed().as_secs_f64() * 1e3, cpu_ms: self.cpu_ms(), peak_bytes: self.peak_bytes(), ..Usage::default() }
    }
}

/// Linux counts processor time in hundredths of a second, whatever its own clock does.
const MS_PER_TICK: f64 = 10.0;

/// Milliseconds of processor time of a process, user and system.
fn cpu_ms(process: u32) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in parentheses may hold anything; what follows it are numbers.
    let rest = text.rsplit_once(')')?.1;
    let mut fields = rest.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) * MS_PER_TICK)
}

/// How a process ended, in words: `ended with exit code 3`, `was ended by signal 11 (SIGSEGV)`.
pub(crate) fn ended_by(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let name = match signal {
            4 => " (SIGILL: an instruction that this processor does not have)",
            6 => " (SIGABRT)",
            7 => " (SIGBUS: a file that it read was cut short)",
            9 => " (SIGKILL: by a person, or by the system when memory ran out)",
            11 => " (SIGSEGV: a mistake in a program)",
            15 => " (SIGTERM)",
            _ => "",
        };
        return format!("was ended by signal {signal}{name}");
    }
    match status.code() {
        Some(code) => format!("ended with exit code {code}"),
        None => "ended".into(),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_is_seen_with_its_memory() {
        let mut watched = Watched::new(std::process::id());
        watched.look();
        let before = watched.held_bytes().unwrap();
        let ballast = vec![1u8; 64 << 20];
        watched.look();
        assert!(watched.held_bytes().unwrap() > before + (60 << 20), "{before} {}", ballast.len());
        assert!(watched.peak_bytes() >= watched.held_bytes());
        assert!(watched.cpu_ms().unwrap() >= 0.0);
    }

    #[test]
    fn a_process_that_is_gone_holds_nothing_new() {
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let mut watched = Watched::new(child.id());
        watched.look();
        assert_eq!(watched.held_bytes(), None);
    }

    #[test]
    fn the_end_of_a_process_is_told_in_words() {
        let ended = |command: &str| ended_by(Command::new("sh").args(["-c", command]).status().unwrap());
        assert_eq!(ended("exit 3"), "ended with exit code 3");
        assert!(ended("kill -SEGV $$").starts_with("was ended by signal 11 (SIGSEGV"));
    }
}
