//! The `neuroflow` command line: arguments in, pictures and exit codes out.

use std::process::ExitCode;

/// Runs the program.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
