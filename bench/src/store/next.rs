//! The next version of the store: it keeps with each value how often it was replaced.

use std::collections::BTreeMap;

use remex::{Context, Successor, Unmappable};
use serde::{Deserialize, Serialize};

use crate::digest::{self, Page};

/// The effective version from which replacements are counted.
const COUNTS: &str = "2.0.0";

/// Values by key.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Store {
    entries: BTreeMap<String, Entry>,
    writes: u64,
}

/// What is kept under a key.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Entry {
    value: String,
    replaced: u64,
}

#[remex::service(name = "bench-store", state_format = 2, version = "2.0.0")]
impl Store {
    /// Keeps `value` under `key`.
    pub fn put(&mut self, cx: &Context, key: String, value: String) {
        let counts = u64::from(cx.behaves_as(COUNTS));
        self.entries
            .entry(key)
            .and_modify(|entry| entry.replaced += counts)
            .or_default()
            .value = value;
        self.writes += 1;
    }

    /// What is kept under `key`.
    #[read]
    pub fn get(&self, key: String) -> Option<String> {
        self.entries.get(&key).map(|entry| entry.value.clone())
    }

    /// How many writes there were.
    #[read]
    pub fn writes(&self) -> u64 {
        self.writes
    }

    /// The digest of some of the entries: those behind `after`.
    #[read]
    pub fn digest(&self, after: Option<String>) -> Page {
        digest::page(&self.entries, after, |entry| entry.value.as_str())
    }

    /// How often the value under `key` was replaced since 2.0.0.
    #[read]
    #[since("2.0.0")]
    pub fn replaced(&self, key: String) -> Option<u64> {
        self.entries.get(&key).map(|entry| entry.replaced)
    }
}

impl Successor for Store {
    type Predecessor = crate::Store;

    fn map(old: crate::Store) -> Result<Store, Unmappable> {
        let entry = |value| Entry { value, replaced: 0 };
        let entries = old.entries.into_iter();
        Ok(Store {
            entries: entries.map(|(key, value)| (key, entry(value))).collect(),
            writes: old.writes,
        })
    }
}
