//! What an island of accounts is, written apart from the ledger: the specification by which its
//! clients' histories are judged.

use ledger_v1::{Receipt, Refused};
use simulator::Specification;

use crate::load::ACCOUNTS;

/// What each account of an island holds; `None` until it is opened.
pub(crate) type Island = [Option<u64>; ACCOUNTS as usize];

/// What was asked of an island, and what was answered.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
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
                (Some(available), Some(held), Ok(receipt)) => {
                    let rest = available.checked_sub(*amount)?;
                    next[*from] = Some(rest);
                    next[*to] = Some(held + amount);
                    receipt.balance == rest
                }
                (Some(holds), Some(_), Err(Refused::Insufficient { available })) => {
                    holds < *amount && holds == *available
                }
                (None, _, Err(Refused::UnknownAccount { .. }))
                | (_, None, Err(Refused::UnknownAccount { .. })) => true,
                (_, _, _) => false,
            },
        };
        fits.then_some(next)
    }
}
