//! Two shapes under one format.

use serde::{Deserialize, Serialize};

mod v1 {
    #[derive(Default, serde::Serialize, serde::Deserialize)]
    pub struct Ledger {
        pub sum: u32,
    }

    #[remex::service(name = "ledger", state_format = 1)]
    impl Ledger {
        #[read]
        pub fn sum(&self) -> u32 {
            self.sum
        }
    }
}

#[derive(Default, Serialize, Deserialize)]
pub struct Ledger {
    sum: u64,
}

#[remex::service(name = "ledger", state_format = 1)]
impl Ledger {
    #[read]
    pub fn sum(&self) -> u64 {
        self.sum
    }
}

impl remex::Successor for Ledger {
    type Predecessor = v1::Ledger;

    fn map(old: v1::Ledger) -> Result<Self, remex::Unmappable> {
        Ok(Ledger { sum: old.sum.into() })
    }
}

fn main() {}
