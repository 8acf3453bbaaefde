//! A ledger, version 1: accounts, and transfers between them whose sum is constant.
//!
//! Each transfer has a reference of its client's, under which it is applied at most once. The
//! references are kept, so that a client can hold its own record against the ledger: [`audit`].
//! The next versions lie beside this one; what differs between them is the point of the example.
//!
//! [`audit`]: Ledger::audit

mod applied;
mod types;

use std::collections::BTreeMap;
use std::ops::Bound;

use serde::{Deserialize, Serialize};

pub use applied::Applied;
pub use types::{Account, AuditPage, PAGE_MAX, Receipt, Reference, References, Refused};

/// The state that every replica holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// What each account holds.
    pub accounts: BTreeMap<Account, u64>,
    /// All that was ever put in when accounts were opened: the sum of all balances.
    pub issued: u64,
    /// Which transfers were applied.
    pub applied: Applied,
    /// How often a transfer came again under a reference that was applied before.
    pub repeated: u64,
}

#[remex::service(name = "ledger", state_format = 1)]
impl Ledger {
    /// Opens `account` with `initial` in it.
    pub fn open(&mut self, account: Account, initial: u64) -> Result<(), Refused> {
        if self.accounts.contains_key(&account) {
            return Err(Refused::denied("the account exists"));
        }
        let Some(issued) = self.issued.checked_add(initial) else {
            return Err(Refused::denied("the ledger cannot hold that much"));
        };
        self.issued = issued;
        self.accounts.insert(account, initial);
        Ok(())
    }

    /// Moves `amount` between two accounts, once for each `reference`.
    pub fn transfer(
        &mut self,
        from: Account,
        to: Account,
        amount: u64,
        reference: Reference,
    ) -> Result<Receipt, Refused> {
        if self.applied.contains(reference) {
            self.repeated += 1;
            return Err(Refused::Repeated);
        }
        if amount == 0 || from == to {
            return Err(Refused::denied("nothing would move"));
        }
        let available = self.holds(&from)?;
        let held = self.holds(&to)?;
        let Some(balance) = available.checked_sub(amount) else {
            return Err(Refused::Insufficient { available });
        };
        self.accounts.insert(from, balance);
        self.accounts.insert(to, held + amount);
        let sequence = self.applied.insert(reference);
        Ok(Receipt { sequence, balance })
    }

    /// What `account` holds, if it exists.
    #[read]
    pub fn balance(&self, account: Account) -> Option<u64> {
        self.accounts.get(&account).copied()
    }

    /// Up to `limit` accounts (1 to 1000) after `after`, in order, and what each holds.
    #[read]
    pub fn accounts(&self, after: Option<Account>, limit: u32) -> Vec<(Account, u64)> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let accounts = self.accounts.range((after, Bound::Unbounded));
        let page = accounts.take(limit.clamp(1, PAGE_MAX) as usize);
        page.map(|(account, holds)| (account.clone(), *holds))
            .collect()
    }

    /// The sum of all balances. Only opening an account changes it.
    #[read]
    pub fn total(&self) -> u64 {
        self.accounts.values().sum()
    }

    /// The references that were applied, from `from` on, in up to `limit` runs (1 to 1000).
    #[read]
    pub fn audit(&self, from: Reference, limit: u32) -> AuditPage {
        let (runs, next) = self.applied.page(from, limit.clamp(1, PAGE_MAX) as usize);
        AuditPage {
            runs,
            next,
            applied: self.applied.count(),
            repeated: self.repeated,
        }
    }

    fn holds(&self, account: &Account) -> Result<u64, Refused> {
        self.accounts
            .get(account)
            .copied()
            .ok_or_else(|| Refused::UnknownAccount {
                account: account.clone(),
            })
    }
}
