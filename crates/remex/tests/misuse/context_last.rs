//! A context behind the arguments.

use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
pub struct Ledger {
    sum: u64,
}

#[remex::service(name = "ledger", state_format = 1, version = "2.0.0")]
impl Ledger {
    pub fn add(&mut self, by: u64, cx: &remex::Context) {
        self.sum += by;
    }
}

fn main() {}
