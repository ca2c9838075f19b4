//! What a supervisor is asked, and what it answers: the same words in one process and between two.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::ffi::OsString;
use std::io::{Error, Read, Result, Write};

/// A program to be run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Job {
    /// The program and its arguments.
    pub(super) command: Vec<OsString>,
    /// The folder that it runs in, and may write to.
    pub(super) folder: OsString,
    /// Its whole environment.
    pub(super) variables: Vec<(String, OsString)>,
    /// What it may do, when Landlock keeps it to that.
    pub(super) landlock: Option<Allowed>,
    /// Seconds that it may run.
    pub(super) time: Option<f64>,
    /// Bytes that it may hold in memory.
    pub(super) memory: Option<u64>,
    /// Processes that it may have at once.
    pub(super) processes: u64,
    /// A variable of its environment and of all that it starts, by which they are found when their supervisor is dead.
    pub(super) mark: String,
    /// Where it is told what it has printed so far.
    pub(super) printed: Option<OsString>,
}

/// What a program may do beside reading and writing its folder.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Allowed {
    /// Files and folders that it may read.
    pub(super) reads: Vec<OsString>,
    /// Whether it may use the network.
    pub(super) network: bool,
    /// Whether it may use graphics cards.
    pub(super) gpu: bool,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum End {
    /// By itself, with a status as the system gives it.
    Status(i32),
    /// It ran for too long.
    TimedOut,
    /// It, and what it started, held more memory than it may.
    OutOfMemory,
    /// It, and what it started, were too many processes.
    TooMany(u64),
    /// Nobody wants its result any more.
    Cancelled,
    /// It never began.
    NotStarted(String),
}

/// What there is to say about a program that ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) end: End,
    /// The most memory that it was seen to hold with all that it started, in bytes; none when it ended too soon to be seen.
    pub(super) peak_bytes: Option<u64>,
    /// Processor time of it and of what it waited for, in milliseconds.
    pub(super) cpu_ms: Option<f64>,
    /// Processes that could not be ended.
    pub(super) left: Vec<u32>,
}

/// Nothing that supervisors say is longer; more is a mistake.
const LONGEST: usize = 64 << 20;

/// Writes a message and bytes that belong to it.
pub(super) fn send(to: &mut impl Write, message: &impl Serialize, bytes: &[u8]) -> Result<()> {
    let message = serde_json::to_vec(message)?;
    let mut frame = Vec::with_capacity(8 + message.len() + bytes.len());
    for part in [message.as_slice(), bytes] {
        frame.extend(u32::try_from(part.len()).map_err(Error::other)?.to_le_bytes());
        frame.extend(part);
    }
    to.write_all(&frame)?;
    to.flush()
}

/// Reads a message and its bytes; none at the end.
pub(super) fn receive<M: DeserializeOwned>(from: &mut impl Read) -> Result<Option<(M, Vec<u8>)>> {
    let mut parts = [Vec::new(), Vec::new()];
    for (position, part) in parts.iter_mut().enumerate() {
        let mut length = [0; 4];
        match from.read_exact(&mut length) {
            Err(error) if position == 0 && error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        let length = u32::from_le_bytes(length) as usize;
        if length > LONGEST {
            return Err(Error::other("a message is too long"));
        }
        part.resize(length, 0);
        from.read_exact(part)?;
    }
    let [message, bytes] = parts;
    Ok(Some((serde_json::from_slice(&message)?, bytes)))
}
