//! A state that a new group cannot begin with.

use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub struct Ledger {
    sum: u64,
}

#[remex::service(name = "ledger", state_format = 1)]
impl Ledger {
    #[read]
    pub fn sum(&self) -> u64 {
        self.sum
    }
}

fn main() {}
