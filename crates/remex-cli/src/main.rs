//! The `remex` command.
fn main() {}
