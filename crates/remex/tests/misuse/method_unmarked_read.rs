//! A method that changes nothing and does not say so.

use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
pub struct Ledger {
    sum: u64,
}

#[remex::service(name = "ledger", state_format = 1, version = "2.0.0")]
impl Ledger {
    pub fn sum(&self) -> u64 {
        self.sum
    }
}

fn main() {}
