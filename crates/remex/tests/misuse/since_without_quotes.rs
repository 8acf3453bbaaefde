//! A version that is not a text.

use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
pub struct Ledger {
    sum: u64,
}

#[remex::service(name = "ledger", state_format = 1, version = "2.0.0")]
impl Ledger {
    #[since(2)]
    pub fn add(&mut self, by: u64) {
        self.sum += by;
    }
}

fn main() {}
