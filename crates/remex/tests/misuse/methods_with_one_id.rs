//! Two names with one hash.

use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
pub struct Ledger {
    sum: u64,
}

#[remex::service(name = "ledger", state_format = 1, version = "2.0.0")]
impl Ledger {
    pub fn costarring(&mut self) {}

    pub fn liquid(&mut self) {}
}

fn main() {}
