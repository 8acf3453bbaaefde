//! A service without a name.

use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
pub struct Ledger {
    sum: u64,
}

#[remex::service(state_format = 1)]
impl Ledger {
    pub fn add(&mut self, by: u64) {
        self.sum += by;
    }
}

fn main() {}
