//! How the program ends: the public list of exit codes, and errors that know theirs.

use neuroflow_agent::escape;
use std::fmt;

/// Why the program ends. The number is the exit code, and part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// An `expect` does not hold.
    ExpectFailed = 1,
    /// The pipeline is wrong.
    WrongPipeline = 2,
    /// A step failed.
    StepFailed = 3,
    /// It could not start: a missing file, an unreachable data set, an unusable cache.
    CouldNotStart = 4,
    /// A mistake of ours.
    Bug = 70,
    /// Stopped by a person.
    Interrupted = 130,
}

/// An error that ends the program.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What went wrong, for people; empty when it was printed already.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Failure {
    /// Something needed is not there.
    pub fn could_not_start(message: impl fmt::Display) -> Failure {
        Failure { exit: Exit::CouldNotStart, message: message.to_string(), help: None }
    }

    /// The message was printed already.
    pub fn printed(exit: Exit) -> Failure {
        Failure { exit, message: String::new(), help: None }
    }

    /// The same failure with advice.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Failure {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What went wrong may quote a file, whose words could command the terminal.
        write!(f, "error: {}", escape(&self.message))?;
        match &self.help {
            Some(help) => write!(f, "\n  = help: {}", escape(help)),
            None => Ok(()),
        }
    }
}
