//! Who a process is, so that another can tell whether it still lives.
//!
//! A process is named by its host, the start of the machine (boot id), its number and its own start: a number alone is given out again. The host's name includes the
//! space that numbers are counted in, so that containers that share a kernel do not take each other's processes for their own. These facts come from
//! the system, not from the cache's folder, so they do not go through [`crate::Disk`].

/// A process, as it is written into a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The machine, and the space in which processes are numbered.
    pub host: String,
    /// This start of the machine; empty where that is not known.
    pub boot: String,
    /// The process's number.
    pub pid: u32,
    /// When the process began, in the machine's own counting; 0 where that is not known.
    pub start: u64,
    /// Tells the caches apart that one process has open.
    pub user: String,
}

/// What can be said about another process from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It is this machine's, and it is there.
    Alive,
    /// It is this machine's, and it is gone.
    Dead,
    /// It is another machine's, or this one does not tell.
    Unknown,
}

const FIRST_LINE: &str = "neuroflow lease 1";

impl Identity {
    /// This process.
    pub fn own(user: &str) -> Identity {
        let line = |path: &str| std::fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
        let numbers = std::fs::read_link("/proc/self/ns/pid").map(|link| link.display().to_string()).unwrap_or_default();
        let pid = std::process::id();
        Identity {
            host: format!("{} {numbers}", line("/proc/sys/kernel/hostname")).trim().to_owned(),
            boot: line("/proc/sys/kernel/random/boot_id"),
            pid,
            start: start_of(pid).unwrap_or(0),
            user: user.to_owned(),
        }
    }

    /// The lease's text.
    pub fn write(&self) -> String {
        let Identity { host, boot, pid, start, user } = self;
        format!("{FIRST_LINE}\nhost {host}\nboot {boot}\npid {pid}\nstart {start}\nuser {user}\n")
    }

    /// Reads a lease's text; none when it is not one, or not all of it is there yet.
    pub fn read(bytes: &[u8]) -> Option<Identity> {
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() <= 4096 && text.ends_with('\n'))?;
        let mut lines = text.lines();
        if lines.next() != Some(FIRST_LINE) {
            return None;
        }
        let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned);
        let host = value("host")?;
        let boot = value("boot")?;
        let pid = value("pid")?.parse().ok()?;
        let start = value("start")?.parse().ok()?;
        let user = value("user")?;
        lines.next().is_none().then_some(Identity { host, boot, pid, start, user })
    }

    /// Whether the process lives, as far as this machine can tell.
    pub fn life(&self) -> Life {
        let here = Identity::own("");
        if self.host != here.host || here.boot.is_empty() || here.start == 0 {
            return Life::Unknown;
        }
        if self.boot != here.boot {
            return Life::Dead;
        }
        match start_of(self.pid) {
            Some(start) if start == self.start => Life::Alive,
            _ => Life::Dead,
        }
    }
}

/// When a process of this machine began; none when there is no such process, or only what is left of it.
fn start_of(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in brackets and may contain anything, brackets too. State is the first word behind it, the start the twentieth.
    let (_, words) = text.rsplit_once(')')?;
    let mut words = words.split_ascii_whitespace();
    let is_gone = matches!(words.next()?, "Z" | "X");
    words.nth(18)?.parse().ok().filter(|_| !is_gone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn this_process_lives_and_an_earlier_one_with_its_number_does_not() {
        let own = Identity::own("a");
        assert_eq!(Identity::read(own.write().as_bytes()), Some(own.clone()));
        assert_eq!(own.life(), Life::Alive);
        assert_eq!(Identity { start: own.start + 1, ..own.clone() }.life(), Life::Dead);
        assert_eq!(Identity { boot: "another start".into(), ..own.clone() }.life(), Life::Dead);
        assert_eq!(Identity { host: "elsewhere".into(), ..own.clone() }.life(), Life::Unknown);
        // No process has this number.
        assert_eq!(Identity { pid: u32::MAX, ..own }.life(), Life::Dead);
    }

    proptest! {
        #[test]
        fn a_lease_is_read_whole_or_not_at_all(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in any::<prop::sample::Index>()) {
            prop_assert!(Identity::read(&bytes).is_none());
            let text = Identity::own("user").write();
            prop_assert!(Identity::read(&text.as_bytes()[..cut.index(text.len())]).is_none());
        }
    }
}
