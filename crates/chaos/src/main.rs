//! The command line: arguments, wiring, exit codes and live progress
fn main() {}
