//! The mark on the type.

#[remex::service(name = "ledger", state_format = 1)]
pub struct Ledger;

fn main() {}
