//! The audit: what the load was told, held against what the ledger holds in the end.
//!
//! Every acknowledged transfer must be there, once; none may be there that was refused or never
//! sent; and each account must hold exactly what the transfers that are there leave in it, so that
//! a transfer cannot have been made twice under one reference either.

use std::collections::BTreeMap;

use ledger_v1::{Account, Reference, References};
use serde::Serialize;

use crate::ledger::{INITIAL, Ledger, account};
use crate::load::{Ended, Fate, LoadError};
use crate::schedule::transfer;

/// How much is read at a time: the most that the ledger gives.
const PAGE: u32 = 1000;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Audit {
    /// Transfers that were acknowledged.
    pub(crate) acknowledged: u64,
    /// Of these, how many the ledger lacks.
    pub(crate) lost: u64,
    /// Transfers that were made, or tried, more than once.
    pub(crate) duplicated: u64,
    /// Transfers that it holds although they were refused or never sent.
    pub(crate) phantom: u64,
    /// Transfers without a known outcome that it holds.
    pub(crate) unresolved_present: u64,
    /// Accounts that hold something else than the transfers leave in them.
    pub(crate) accounts_wrong: u64,
    /// What all accounts held together at the beginning.
    pub(crate) sum_expected: u64,
    /// What they hold now.
    pub(crate) sum_found: u64,
}

impl Audit {
    /// Whether the ledger is as it must be.
    pub(crate) fn is_clean(&self) -> bool {
        let wrong = self.lost + self.duplicated + self.phantom + self.accounts_wrong;
        wrong == 0 && self.sum_found == self.sum_expected
    }
}

/// What the ledger holds in the end.
#[derive(Debug, Default)]
struct Held {
    /// The references that were applied.
    runs: Vec<References>,
    /// How many the ledger says there are.
    applied: u64,
    /// How many came again.
    repeated: u64,
    /// What each account holds.
    accounts: BTreeMap<Account, u64>,
    /// The sum, as the ledger says it.
    total: u64,
}

/// Reads the ledger and judges it.
pub(crate) async fn audit(ledger: &Ledger, ended: &Ended) -> Result<Audit, LoadError> {
    let held = read(ledger).await?;
    Ok(judge(&held, &fates(ended), ledger.accounts))
}

async fn read(ledger: &Ledger) -> Result<Held, LoadError> {
    let session = ledger.patient();
    let mut held = Held::default();
    let mut from = Some(Reference {
        stream: 0,
        number: 0,
    });
    while let Some(reference) = from {
        let page = session
            .audit(reference, PAGE)
            .await
            .map_err(LoadError::Audit)?;
        held.runs.extend(page.runs);
        held.applied = page.applied;
        held.repeated = page.repeated;
        from = page.next;
    }
    loop {
        let after = held.accounts.keys().next_back().cloned();
        let page = session
            .accounts(after, PAGE)
            .await
            .map_err(LoadError::Audit)?;
        if page.is_empty() {
            break;
        }
        held.accounts.extend(page);
    }
    held.total = session.total().await.map_err(LoadError::Audit)?;
    Ok(held)
}

/// What the load knows of each transfer that it sent.
fn fates(ended: &Ended) -> BTreeMap<Reference, Fate> {
    let transfers = ended.requests.iter().filter_map(|done| done.transfer);
    transfers.collect()
}

fn judge(held: &Held, fates: &BTreeMap<Reference, Fate>, accounts: u32) -> Audit {
    let mut audit = Audit {
        acknowledged: count(fates, Fate::Acknowledged),
        duplicated: held.repeated,
        sum_expected: INITIAL * u64::from(accounts),
        sum_found: held.total,
        ..Audit::default()
    };
    let mut expected: Vec<i64> = vec![INITIAL.cast_signed(); accounts as usize];
    let mut present: BTreeMap<Reference, Fate> = BTreeMap::new();
    let mut listed = 0;
    for run in &held.runs {
        for number in run.first..=run.last {
            let stream = run.stream;
            let reference = Reference { stream, number };
            listed += 1;
            let Some(fate) = fates.get(&reference) else {
                audit.phantom += 1;
                // A run of numbers that were never sent may be long; one is enough to be wrong.
                break;
            };
            if present.insert(reference, *fate).is_some() {
                audit.duplicated += 1;
                continue;
            }
            let made = transfer(reference, accounts);
            expected[made.from as usize] -= made.amount.cast_signed();
            expected[made.to as usize] += made.amount.cast_signed();
        }
    }
    audit.phantom += count(&present, Fate::Refused);
    audit.unresolved_present = count(&present, Fate::Unknown);
    audit.lost = audit.acknowledged - count(&present, Fate::Acknowledged);
    audit.duplicated += held.applied.saturating_sub(listed);
    let wrong = (0..).zip(&expected).filter(|(number, expected)| {
        let holds = held.accounts.get(&account(*number)).copied();
        holds.map(u64::cast_signed) != Some(**expected)
    });
    let unknown = held.accounts.len().saturating_sub(expected.len());
    audit.accounts_wrong = (wrong.count() + unknown) as u64;
    audit
}

fn count(fates: &BTreeMap<Reference, Fate>, wanted: Fate) -> u64 {
    fates.values().filter(|fate| **fate == wanted).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNTS: u32 = 5;

    /// What the load knows: of stream 1 the transfers 1 to 6, of which 5 was refused and 6 is
    /// unknown.
    fn known() -> BTreeMap<Reference, Fate> {
        let fate = |number| match number {
            5 => Fate::Refused,
            6 => Fate::Unknown,
            _ => Fate::Acknowledged,
        };
        (1..=6)
            .map(|number| (reference(number), fate(number)))
            .collect()
    }

    fn reference(number: u64) -> Reference {
        Reference { stream: 1, number }
    }

    /// A ledger to which exactly these transfers were applied.
    fn held(numbers: &[u64]) -> Held {
        let mut held = Held {
            applied: numbers.len() as u64,
            total: INITIAL * u64::from(ACCOUNTS),
            ..Held::default()
        };
        held.accounts = (0..ACCOUNTS)
            .map(|number| (account(number), INITIAL))
            .collect();
        for number in numbers {
            held.runs.push(References {
                stream: 1,
                first: *number,
                last: *number,
            });
            apply(&mut held, *number);
        }
        held
    }

    fn apply(held: &mut Held, number: u64) {
        let made = transfer(reference(number), ACCOUNTS);
        *held.accounts.entry(account(made.from)).or_default() -= made.amount;
        *held.accounts.entry(account(made.to)).or_default() += made.amount;
    }

    fn judged(spoil: impl FnOnce(&mut Held)) -> Audit {
        let mut ledger = held(&[1, 2, 3, 4]);
        spoil(&mut ledger);
        judge(&ledger, &known(), ACCOUNTS)
    }

    #[test]
    fn a_ledger_with_all_that_was_acknowledged_is_clean() {
        let audit = judged(|_| {});
        assert!(audit.is_clean(), "{audit:?}");
        assert_eq!((audit.acknowledged, audit.unresolved_present), (4, 0));
        let with_unknown = judge(&held(&[1, 2, 3, 4, 6]), &known(), ACCOUNTS);
        assert!(with_unknown.is_clean(), "{with_unknown:?}");
        assert_eq!(with_unknown.unresolved_present, 1);
    }

    #[test]
    fn runs_are_read_as_all_their_numbers() {
        let audit = judged(|held| {
            held.runs = vec![References {
                stream: 1,
                first: 1,
                last: 4,
            }];
        });
        assert!(audit.is_clean(), "{audit:?}");
    }

    #[test]
    fn what_was_acknowledged_and_is_missing_is_lost() {
        assert_eq!(judge(&held(&[1, 2, 4]), &known(), ACCOUNTS).lost, 1);
        assert_eq!(judge(&held(&[]), &known(), ACCOUNTS).lost, 4);
    }

    #[test]
    fn what_was_refused_or_never_sent_must_not_be_there() {
        assert_eq!(
            judge(&held(&[1, 2, 3, 4, 5]), &known(), ACCOUNTS).phantom,
            1
        );
        let never_sent = judged(|held| {
            held.runs.push(References {
                stream: 9,
                first: 0,
                last: u64::MAX,
            });
        });
        assert_eq!(never_sent.phantom, 1);
        assert!(!never_sent.is_clean());
    }

    #[test]
    fn what_was_made_twice_is_found_by_the_list_the_count_and_the_accounts() {
        assert_eq!(judged(|held| held.repeated = 1).duplicated, 1);
        assert_eq!(judged(|held| held.applied += 1).duplicated, 1);
        let listed = judged(|held| {
            held.runs.push(References {
                stream: 1,
                first: 2,
                last: 3,
            });
        });
        assert_eq!(listed.duplicated, 2);
        let unlisted = judged(|held| apply(held, 2));
        assert_eq!(unlisted.accounts_wrong, 2, "payer and receiver");
        assert!(!unlisted.is_clean());
    }

    #[test]
    fn money_and_accounts_must_be_as_before() {
        assert!(!judged(|held| held.total += 1).is_clean());
        let vanished = judged(|held| {
            held.accounts.remove(&account(0));
        });
        assert_eq!(vanished.accounts_wrong, 1);
        let appeared = judged(|held| {
            held.accounts.insert("stranger".to_owned(), 0);
        });
        assert_eq!(appeared.accounts_wrong, 1);
    }
}
