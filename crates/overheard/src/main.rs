//! The binary: command line, configuration, wiring, life cycle.
fn main() {}
