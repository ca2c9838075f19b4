//! Entry point of the `neuroflow` binary.
fn main() {}
