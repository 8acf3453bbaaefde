//! A version whose mapping panics on the state that it is given.

use std::process::ExitCode;

use remex::{Successor, Unmappable};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct Ledger {
    opened: u64,
}

#[allow(unreachable_pub, reason = "a service's methods are public")]
#[remex::service(name = "ledger", state_format = 9, version = "1.9.0")]
impl Ledger {
    /// Does nothing of use.
    pub fn open(&mut self) -> u64 {
        self.opened += 1;
        self.opened
    }
}

impl Successor for Ledger {
    type Predecessor = ledger_v1::Ledger;

    fn map(_old: ledger_v1::Ledger) -> Result<Ledger, Unmappable> {
        panic!("the mapping met an account that it did not expect")
    }
}

fn main() -> ExitCode {
    remex::serve::<Ledger>()
}
