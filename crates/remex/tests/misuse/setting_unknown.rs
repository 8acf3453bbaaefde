//! A setting that does not exist.

use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
pub struct Ledger {
    sum: u64,
}

#[remex::service(name = "ledger", state_format = 1, format = 2)]
impl Ledger {
    pub fn add(&mut self, by: u64) {
        self.sum += by;
    }
}

fn main() {}
