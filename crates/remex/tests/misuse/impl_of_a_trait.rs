//! The mark on the wrong impl.

use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub struct Ledger;

#[remex::service(name = "ledger", state_format = 1)]
impl Default for Ledger {
    fn default() -> Self {
        Ledger
    }
}

fn main() {}
