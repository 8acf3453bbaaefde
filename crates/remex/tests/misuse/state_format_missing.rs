//! A service whose states have no format.

use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
pub struct Ledger {
    sum: u64,
}

#[remex::service(name = "ledger")]
impl Ledger {
    pub fn add(&mut self, by: u64) {
        self.sum += by;
    }
}

fn main() {}
