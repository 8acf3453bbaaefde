//! Which transfers were applied: one flat map of runs, and how often some came again.

use std::collections::BTreeMap;

use ledger_v1::{AuditPage, Reference, References};
use serde::{Deserialize, Serialize};

/// The references that were applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfers {
    /// Runs of references that follow each other: the first, and the last number. Runs of one
    /// stream never touch.
    pub runs: BTreeMap<Reference, u64>,
    /// How many references that are.
    pub applied: u64,
    /// How often a transfer came again under a reference that was applied before.
    pub repeated: u64,
}

impl Transfers {
    /// Whether this reference was applied.
    pub fn contains(&self, reference: Reference) -> bool {
        let before = self.runs.range(..=reference).next_back();
        before.is_some_and(|(first, last)| {
            first.stream == reference.stream && *last >= reference.number
        })
    }

    /// Notes a reference that is not there yet; how many there are then.
    pub fn insert(&mut self, reference: Reference) -> u64 {
        let before = self.runs.range(..reference).next_back();
        let first = match before {
            Some((first, last))
                if first.stream == reference.stream
                    && last.checked_add(1) == Some(reference.number) =>
            {
                *first
            }
            Some(_) | None => reference,
        };
        let after = reference.number.checked_add(1).and_then(|number| {
            let stream = reference.stream;
            self.runs.remove(&Reference { stream, number })
        });
        self.runs.insert(first, after.unwrap_or(reference.number));
        self.applied += 1;
        self.applied
    }

    /// Up to `limit` runs that do not end before `from`, and the counts.
    pub fn audit(&self, from: Reference, limit: usize) -> AuditPage {
        let before = self.runs.range(..from).next_back();
        let around =
            before.filter(|(first, last)| first.stream == from.stream && **last >= from.number);
        let mut runs = around.into_iter().chain(self.runs.range(from..));
        let page = runs.by_ref().take(limit).map(|(first, last)| References {
            stream: first.stream,
            first: first.number,
            last: *last,
        });
        AuditPage {
            runs: page.collect(),
            next: runs.next().map(|(first, _)| *first),
            applied: self.applied,
            repeated: self.repeated,
        }
    }
}
