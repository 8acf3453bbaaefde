//! Versions of the ledger that cannot take their predecessor's place.

use remex::Successor;
use serde::{Deserialize, Serialize};

/// Its mapping panics.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Panics {
    opened: u64,
}

#[remex::service(name = "ledger", state_format = 9, version = "2.2.0")]
impl Panics {
    /// Does nothing of use.
    pub fn open(&mut self) -> u64 {
        self.opened += 1;
        self.opened
    }
}

impl Successor for Panics {
    type Predecessor = ledger_v1::Ledger;

    fn map(_: ledger_v1::Ledger) -> Result<Panics, remex::Unmappable> {
        panic!("the mapping met an account that it did not expect")
    }
}

/// Its mapping refuses.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Unmappable {
    opened: u64,
}

#[remex::service(name = "ledger", state_format = 10, version = "2.5.0")]
impl Unmappable {
    /// Does nothing of use.
    pub fn open(&mut self) -> u64 {
        self.opened += 1;
        self.opened
    }
}

impl Successor for Unmappable {
    type Predecessor = ledger_v1::Ledger;

    fn map(old: ledger_v1::Ledger) -> Result<Unmappable, remex::Unmappable> {
        let accounts = old.accounts.len();
        Err(remex::Unmappable::new(format!(
            "{accounts} accounts have no owner"
        )))
    }
}
