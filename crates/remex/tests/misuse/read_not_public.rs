//! A mark on a function that nobody can call.

use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
pub struct Ledger {
    sum: u64,
}

#[remex::service(name = "ledger", state_format = 1, version = "2.0.0")]
impl Ledger {
    #[read]
    fn sum(&self) -> u64 {
        self.sum
    }

    pub fn add(&mut self, by: u64) {
        self.sum += by;
    }
}

fn main() {}
