//! The `neuroflow` command line: arguments in, pictures and exit codes out.
