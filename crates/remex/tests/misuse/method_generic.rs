//! A method that takes any type.

use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
pub struct Ledger {
    sum: u64,
}

#[remex::service(name = "ledger", state_format = 1, version = "2.0.0")]
impl Ledger {
    pub fn add<T: Into<u64>>(&mut self, by: T) {
        self.sum += by.into();
    }
}

fn main() {}
