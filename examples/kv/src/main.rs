//! A replicated, upgradeable key-value store: all that its author writes.

use std::collections::BTreeMap;
use std::process::ExitCode;

use remex::Context;
use serde::{Deserialize, Serialize};

/// A value and where in the total order it was last written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    value: String,
    written: u64,
}

/// The state that every replica holds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Store {
    entries: BTreeMap<String, Entry>,
}

#[remex::service(name = "kv", state_format = 1)]
impl Store {
    /// Keeps `value` under `key`; gives what was there.
    pub fn put(&mut self, cx: &Context, key: String, value: String) -> Option<Entry> {
        let written = cx.position().0;
        self.entries.insert(key, Entry { value, written })
    }

    /// Removes what is kept under `key`, and gives it.
    pub fn delete(&mut self, key: String) -> Option<Entry> {
        self.entries.remove(&key)
    }

    /// What is kept under `key`.
    #[read]
    pub fn get(&self, key: String) -> Option<Entry> {
        self.entries.get(&key).cloned()
    }

    /// Up to `limit` keys that begin with `prefix`, in order.
    #[read]
    pub fn keys(&self, prefix: String, limit: u32) -> Vec<String> {
        let from = self.entries.range(prefix.clone()..);
        let found = from
            .map(|(key, _)| key)
            .take_while(|key| key.starts_with(&prefix));
        found.take(limit as usize).cloned().collect()
    }
}

fn main() -> ExitCode {
    remex::serve::<Store>()
}

#[cfg(test)]
mod tests;
