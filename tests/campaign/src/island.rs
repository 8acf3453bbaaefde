//! What an island of accounts is, written apart from the ledger: the specification by which its
//! clients' histories are judged.

use ledger_v1::{Receipt, Refused};
use simulator::Specification;

/// Accounts of an island.
pub const ACCOUNTS: u64 = 3;

/// What each account of an island holds; `None` until it is opened.
pub type Island = [Option<u64>; ACCOUNTS as usize];

/// What was asked of an island, and what was answered.
#[derive(Clone, Debug)]
pub enum Seen {
    /// An account was opened.
    Open {
        /// Which.
        account: usize,
        /// With what.
        initial: u64,
        /// The answer.
        reply: Result<(), Refused>,
    },
    /// Something moved.
    Transfer {
        /// From which account.
        from: usize,
        /// To which.
        to: usize,
        /// How much.
        amount: u64,
        /// The answer.
        reply: Result<Receipt, Refused>,
    },
    /// Something was to move, and nobody was answered whether it did.
    Unanswered {
        /// From which account.
        from: usize,
        /// To which.
        to: usize,
        /// How much.
        amount: u64,
    },
    /// Somebody looked.
    Balance {
        /// At which account.
        account: usize,
        /// The answer.
        reply: Option<u64>,
    },
}

impl Specification for Seen {
    type State = Island;

    /// References never repeat and nothing is frozen in a run, and all accounts are open before any
    /// version opens them by itself: all versions keep to this.
    fn step(&self, island: &Island) -> Option<Island> {
        let mut next = *island;
        let fits = match self {
            Seen::Open {
                account,
                initial,
                reply,
            } => match (island[*account], reply) {
                (None, Ok(())) => {
                    next[*account] = Some(*initial);
                    true
                }
                (Some(_), Err(_)) => true,
                (None, Err(_)) | (Some(_), Ok(())) => false,
            },
            Seen::Balance { account, reply } => island[*account] == *reply,
            Seen::Transfer {
                from,
                to,
                amount,
                reply,
            } => match (island[*from], island[*to], reply) {
                (Some(_), Some(_), Ok(receipt)) => {
                    next = moved(island, *from, *to, *amount)?;
                    next[*from] == Some(receipt.balance)
                }
                (Some(holds), Some(_), Err(Refused::Insufficient { available })) => {
                    holds < *amount && holds == *available
                }
                (None, _, Err(Refused::UnknownAccount { .. }))
                | (_, None, Err(Refused::UnknownAccount { .. })) => true,
                (_, _, _) => false,
            },
            // One that was refused did nothing, as one that never came.
            Seen::Unanswered { from, to, amount } => {
                next = moved(island, *from, *to, *amount)?;
                true
            }
        };
        fits.then_some(next)
    }
}

/// The island after so much moved, if it can.
fn moved(island: &Island, from: usize, to: usize, amount: u64) -> Option<Island> {
    let mut next = *island;
    next[from] = Some(island[from]?.checked_sub(amount)?);
    next[to] = Some(island[to]? + amount);
    Some(next)
}

#[cfg(test)]
mod tests {
    use simulator::{Timed, linearizable};

    use super::*;

    /// A history of an island whose accounts 0 and 1 hold 10 each, written as `0>1:4=6@1-2`: from the
    /// first to the second account 4, after which the payer holds 6, asked at 1 and answered at 2;
    /// `0>1:40!6@1-2` was refused because there were 6; `0>1:4@1-` was never answered; `0=6@1-2` looked.
    fn check(text: &str) -> bool {
        let operation = |word: &str| {
            let (what, when) = word.split_once('@')?;
            let (asked, answered) = when.split_once('-')?;
            Some(Timed {
                asked_at: asked.parse().ok()?,
                answered_at: answered.parse().ok(),
                operation: seen(what)?,
            })
        };
        let history: Vec<_> = text
            .split_whitespace()
            .map(|word| operation(word).expect("a test's history is well written"))
            .collect();
        linearizable([Some(10), Some(10), None], &history).is_ok()
    }

    fn seen(text: &str) -> Option<Seen> {
        let Some((from, rest)) = text.split_once('>') else {
            let (account, holds) = text.split_once('=')?;
            return Some(Seen::Balance {
                account: account.parse().ok()?,
                reply: holds.parse().ok(),
            });
        };
        let (to, rest) = rest.split_once(':')?;
        let (from, to) = (from.parse().ok()?, to.parse().ok()?);
        if let Some((amount, balance)) = rest.split_once('=') {
            let balance = balance.parse().ok()?;
            return Some(Seen::Transfer {
                from,
                to,
                amount: amount.parse().ok()?,
                reply: Ok(Receipt {
                    sequence: 0,
                    balance,
                }),
            });
        }
        if let Some((amount, available)) = rest.split_once('!') {
            let available = available.parse().ok()?;
            return Some(Seen::Transfer {
                from,
                to,
                amount: amount.parse().ok()?,
                reply: Err(Refused::Insufficient { available }),
            });
        }
        let amount = rest.parse().ok()?;
        Some(Seen::Unanswered { from, to, amount })
    }

    #[test]
    fn transfers_and_balances_in_an_order_are_in_order() {
        assert!(check("0>1:4=6@1-2 1=14@3-4 1>0:14=0@5-6 0=20@7-8"));
        assert!(check("0>1:4=6@1-9 1>0:4=10@2-8 0>1:40!10@10-11"));
    }

    #[test]
    fn a_balance_from_before_an_acknowledged_transfer_is_found() {
        assert!(!check("0>1:4=6@1-2 0=10@3-4"));
        assert!(!check("0>1:4=6@1-2 1=10@3-4"));
    }

    #[test]
    fn an_acknowledged_transfer_that_is_lost_or_made_twice_is_found() {
        assert!(!check("0>1:4=6@1-2 0>1:1=9@3-4"), "lost");
        assert!(!check("0>1:4=6@1-2 0=2@3-4"), "made twice");
        assert!(!check("0>1:4=6@1-2 0>1:10!10@3-4"), "lost");
    }

    #[test]
    fn a_transfer_without_an_answer_was_made_once_or_not_at_all() {
        assert!(check("0>1:4@1- 0=10@2-3 0=6@4-5"));
        assert!(check("0>1:4@1- 0=10@2-3 0=10@4-5"));
        assert!(!check("0>1:4@1- 0=6@2-3 0=10@4-5"));
        assert!(!check("0>1:4@1- 0=2@4-5"));
    }
}
