//! What is measured: a service that does as little as a service can, so that what is left is the
//! price of replication. Its next version is in [`next`].

mod digest;
pub mod next;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use digest::Page;

/// Values by key.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Store {
    entries: BTreeMap<String, String>,
    writes: u64,
}

#[remex::service(name = "bench-store", state_format = 1, version = "1.0.0")]
impl Store {
    /// Keeps `value` under `key`.
    pub fn put(&mut self, key: String, value: String) {
        self.entries.insert(key, value);
        self.writes += 1;
    }

    /// What is kept under `key`.
    #[read]
    pub fn get(&self, key: String) -> Option<String> {
        self.entries.get(&key).cloned()
    }

    /// How many writes there were.
    #[read]
    pub fn writes(&self) -> u64 {
        self.writes
    }

    /// The digest of some of the entries: those behind `after`.
    #[read]
    pub fn digest(&self, after: Option<String>) -> Page {
        digest::page(&self.entries, after, String::as_str)
    }
}
