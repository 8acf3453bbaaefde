//! Linearizable reads: positions that a reader must have applied.
//!
//! The engine's safe read index is used, never its lease reads (unsafe across a hand-over). It
//! drops reads before a term's first commit and at a change of leader, so they are asked again.

use std::collections::BTreeMap;
use std::time::Duration;

use wire::Time;

/// When an unanswered read is asked again: a lost message, a change of leader nobody noticed.
const RETRY: Duration = Duration::from_millis(50);

#[derive(Default)]
pub(crate) struct Reads {
    /// Open reads by token, with the time at which they are asked again.
    open: BTreeMap<u64, Time>,
}

impl Reads {
    pub(crate) fn opened(&mut self, now: Time, token: u64) {
        self.open.insert(token, now.after(RETRY));
    }

    /// Whether the read was still open; a second answer is ignored.
    pub(crate) fn answered(&mut self, token: u64) -> bool {
        self.open.remove(&token).is_some()
    }

    pub(crate) fn due(&mut self, now: Time, all: bool) -> Vec<u64> {
        let due: Vec<u64> = self
            .open
            .iter()
            .filter(|&(_, &again)| all || again <= now)
            .map(|(&token, _)| token)
            .collect();
        for &token in &due {
            self.open.insert(token, now.after(RETRY));
        }
        due
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.open.values().min().copied()
    }
}
