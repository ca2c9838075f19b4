//! Entry point of the `neuroflow` binary: see `neuroflow --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    neuroflow_cli::main()
}
