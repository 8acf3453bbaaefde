//! An argument that borrows.

use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
pub struct Ledger {
    sum: u64,
}

#[remex::service(name = "ledger", state_format = 1, version = "2.0.0")]
impl Ledger {
    pub fn add(&mut self, by: &str) {
        self.sum += by.len() as u64;
    }
}

fn main() {}
