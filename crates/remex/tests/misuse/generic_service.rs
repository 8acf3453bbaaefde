//! A state without one shape.

use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
pub struct Ledger<T> {
    sum: T,
}

#[remex::service(name = "ledger", state_format = 1)]
impl<T: Copy> Ledger<T> {
    #[read]
    pub fn sum(&self) -> T {
        self.sum
    }
}

fn main() {}
