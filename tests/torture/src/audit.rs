//! The audit: what clients were told, held against what the ledger holds in the end.
//!
//! Each session numbers its transfers in a stream of its own, and goes on to the next number only when
//! one was made, or may have been. So the ledger must hold every number up to the last, each once, but
//! for those of which nobody knows.

use std::collections::BTreeSet;
use std::time::Duration;

use ledger_v1::{LedgerClient, PAGE_MAX, Reference, References};
use remex::CallError;
use serde::Serialize;

/// How long a page may take: everything else is over.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a session was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) stream: u32,
    /// The last number that it used.
    pub(crate) last: u64,
    /// The numbers of which it does not know whether they were made.
    pub(crate) unknown: BTreeSet<u64>,
}

/// What the ledger holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    runs: Vec<References>,
    /// How many transfers it says it made.
    pub(crate) applied: u64,
    /// How often one came again.
    repeated: u64,
    total: u64,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Audit {
    /// Transfers that were acknowledged.
    pub(crate) acknowledged: u64,
    /// Of these, how many the ledger lacks.
    pub(crate) lost: u64,
    /// Transfers that were made, or tried, more than once, or that nobody sent.
    pub(crate) duplicated: u64,
    /// Transfers of which nobody knew, and that were made.
    pub(crate) unknown_made: u64,
    /// What all accounts must hold together.
    pub(crate) sum_expected: u64,
    /// What they hold.
    pub(crate) sum_found: u64,
}

impl Audit {
    /// Whether the ledger is as it must be.
    pub(crate) fn is_clean(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.sum_expected == self.sum_found
    }
}

/// Reads what the ledger holds.
pub(crate) async fn read(session: client::Session) -> Result<Held, CallError> {
    let ledger = LedgerClient::new(session).with_deadline(PATIENCE);
    let mut held = Held::default();
    let mut from = Some(Reference {
        stream: 0,
        number: 0,
    });
    while let Some(reference) = from {
        let page = ledger.audit(reference, PAGE_MAX).await?;
        held.runs.extend(page.runs);
        held.applied = page.applied;
        held.repeated = page.repeated;
        from = page.next;
    }
    held.total = ledger.total().await?;
    Ok(held)
}

/// Holds one against the other.
pub(crate) fn judge(held: &Held, told: &[Told], sum_expected: u64) -> Audit {
    let mut audit = Audit {
        duplicated: held.repeated,
        sum_expected,
        sum_found: held.total,
        ..Audit::default()
    };
    let mut listed = 0;
    let mut present = 0;
    for told in told {
        let runs = held.runs.iter().filter(|run| run.stream == told.stream);
        let mut numbers = BTreeSet::new();
        for run in runs {
            listed += (run.last - run.first).saturating_add(1);
            // Numbers beyond the last that was sent are counted below, and may be many.
            numbers.extend(run.first..=run.last.min(told.last));
        }
        let unknown = told.unknown.intersection(&numbers).count() as u64;
        let sent = told.last - told.unknown.len() as u64;
        present += numbers.len() as u64;
        audit.acknowledged += sent;
        audit.unknown_made += unknown;
        audit.lost += sent - (numbers.len() as u64 - unknown);
    }
    // What is listed twice, or beyond what was sent, or counted and not listed, is one too many.
    audit.duplicated += held.applied.max(listed) - present;
    audit
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of stream 1 the numbers 1 to 6 were sent, of 4 nothing is known; the ledger holds these runs.
    fn judged(runs: &[(u64, u64)], spoil: impl FnOnce(&mut Held)) -> Audit {
        let told = Told {
            stream: 1,
            last: 6,
            unknown: BTreeSet::from([4]),
        };
        let of = |&(first, last)| References {
            stream: 1,
            first,
            last,
        };
        let mut held = Held {
            runs: runs.iter().map(of).collect(),
            applied: runs.iter().map(|(first, last)| last - first + 1).sum(),
            repeated: 0,
            total: 30,
        };
        spoil(&mut held);
        judge(&held, &[told], 30)
    }

    #[test]
    fn what_was_acknowledged_is_there_and_what_is_unknown_may_be() {
        for (runs, made) in [(&[(1, 3), (5, 6)][..], 0), (&[(1, 6)][..], 1)] {
            let audit = judged(runs, |_| {});
            assert!(audit.is_clean(), "{audit:?}");
            assert_eq!((audit.acknowledged, audit.unknown_made), (5, made));
        }
    }

    #[test]
    fn what_is_missing_is_lost() {
        assert_eq!(judged(&[(1, 2), (5, 6)], |_| {}).lost, 1);
        assert_eq!(judged(&[(1, 5)], |_| {}).lost, 1);
        assert_eq!(judged(&[], |_| {}).lost, 5);
    }

    #[test]
    fn what_is_there_twice_or_was_never_sent_is_duplicated() {
        assert_eq!(judged(&[(1, 6)], |held| held.repeated = 1).duplicated, 1);
        assert_eq!(judged(&[(1, 6)], |held| held.applied += 1).duplicated, 1);
        assert_eq!(judged(&[(1, 6), (2, 3)], |_| {}).duplicated, 2);
        assert_eq!(judged(&[(1, 8)], |_| {}).duplicated, 2);
    }

    #[test]
    fn the_sum_must_stand() {
        assert!(!judged(&[(1, 6)], |held| held.total -= 1).is_clean());
    }
}
