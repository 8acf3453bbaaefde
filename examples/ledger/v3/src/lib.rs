//! The ledger, version 3: a transfer to an account that nobody opened opens it.
//!
//! A method does something else than before, from the effective version 3.0.0 on and not from the
//! start of this binary. The state is split: balances, which every transfer touches, lie apart
//! from the profiles, which few accounts need.

mod mapping;

use std::collections::BTreeMap;
use std::ops::Bound;

use ledger_v2::v1::{Account, AuditPage, PAGE_MAX, Receipt, Reference, Refused};
use ledger_v2::{Statement, Transfers};
use remex::Context;
use serde::{Deserialize, Serialize};

pub use ledger_v2 as v2;

/// The effective version from which transfers are counted for statements.
const STATEMENTS: &str = "2.0.0";

/// The effective version from which a transfer opens the account that it goes to.
const OPENING: &str = "3.0.0";

/// The state that every replica holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// What each account holds.
    pub balances: BTreeMap<Account, u64>,
    /// What else is known of accounts. One whose profile would be that of a fresh account has
    /// none: equal ledgers have equal bytes.
    pub profiles: BTreeMap<Account, Profile>,
    /// All that was ever put in when accounts were opened: the sum of all balances.
    pub issued: u64,
    /// Which transfers were applied.
    pub transfers: Transfers,
}

/// What is known of an account besides its balance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Whether nothing may leave it.
    pub frozen: bool,
    /// Transfers that left it since 2.0.0.
    pub sent: u64,
    /// Transfers that reached it since 2.0.0.
    pub received: u64,
}

#[remex::service(name = "ledger", state_format = 3)]
impl Ledger {
    /// Opens `account` with `initial` in it.
    pub fn open(&mut self, account: Account, initial: u64) -> Result<(), Refused> {
        if self.balances.contains_key(&account) {
            return Err(Refused::denied("the account exists"));
        }
        let Some(issued) = self.issued.checked_add(initial) else {
            return Err(Refused::denied("the ledger cannot hold that much"));
        };
        self.issued = issued;
        self.balances.insert(account, initial);
        Ok(())
    }

    /// Moves `amount` between two accounts, once for each `reference`; opens the account that it
    /// goes to if nobody did.
    pub fn transfer(
        &mut self,
        cx: &Context,
        from: Account,
        to: Account,
        amount: u64,
        reference: Reference,
    ) -> Result<Receipt, Refused> {
        if self.transfers.contains(reference) {
            self.transfers.repeated += 1;
            return Err(Refused::Repeated);
        }
        if amount == 0 || from == to {
            return Err(Refused::denied("nothing would move"));
        }
        let available = self.holds(&from)?;
        if self
            .profiles
            .get(&from)
            .is_some_and(|profile| profile.frozen)
        {
            return Err(Refused::denied("the account is frozen"));
        }
        let held = match self.holds(&to) {
            Err(_) if cx.behaves_as(OPENING) => 0,
            held => held?,
        };
        let Some(balance) = available.checked_sub(amount) else {
            return Err(Refused::Insufficient { available });
        };
        if cx.behaves_as(STATEMENTS) {
            self.change_profile(&from, |profile| profile.sent += 1);
            self.change_profile(&to, |profile| profile.received += 1);
        }
        self.balances.insert(from, balance);
        self.balances.insert(to, held + amount);
        let sequence = self.transfers.insert(reference);
        Ok(Receipt { sequence, balance })
    }

    /// What `account` holds, if it exists.
    #[read]
    pub fn balance(&self, account: Account) -> Option<u64> {
        self.balances.get(&account).copied()
    }

    /// Up to `limit` accounts (1 to 1000) after `after`, in order, and what each holds.
    #[read]
    pub fn accounts(&self, after: Option<Account>, limit: u32) -> Vec<(Account, u64)> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let accounts = self.balances.range((after, Bound::Unbounded));
        let page = accounts.take(limit.clamp(1, PAGE_MAX) as usize);
        page.map(|(account, holds)| (account.clone(), *holds))
            .collect()
    }

    /// The sum of all balances. Only opening an account changes it.
    #[read]
    pub fn total(&self) -> u64 {
        self.balances.values().sum()
    }

    /// The references that were applied, from `from` on, in up to `limit` runs (1 to 1000).
    #[read]
    pub fn audit(&self, from: Reference, limit: u32) -> AuditPage {
        self.transfers
            .audit(from, limit.clamp(1, PAGE_MAX) as usize)
    }

    /// Lets nothing leave `account` any more.
    #[since("2.0.0")]
    pub fn freeze(&mut self, account: Account) -> Result<(), Refused> {
        self.holds(&account)?;
        self.change_profile(&account, |profile| profile.frozen = true);
        Ok(())
    }

    /// Lets transfers leave `account` again.
    #[since("2.0.0")]
    pub fn unfreeze(&mut self, account: Account) -> Result<(), Refused> {
        self.holds(&account)?;
        self.change_profile(&account, |profile| profile.frozen = false);
        Ok(())
    }

    /// What its owner wants to know of `account`, if it exists.
    #[read]
    #[since("2.0.0")]
    pub fn statement(&self, account: Account) -> Option<Statement> {
        let balance = self.balances.get(&account).copied()?;
        let profile = self.profiles.get(&account).cloned().unwrap_or_default();
        Some(Statement {
            balance,
            frozen: profile.frozen,
            sent: profile.sent,
            received: profile.received,
        })
    }

    /// Up to `limit` accounts (1 to 1000) that hold at least `least`, in order.
    #[read]
    #[since("3.0.0")]
    pub fn holders(&self, least: u64, limit: u32) -> Vec<(Account, u64)> {
        let holders = self.balances.iter().filter(|(_, holds)| **holds >= least);
        let page = holders.take(limit.clamp(1, PAGE_MAX) as usize);
        page.map(|(account, holds)| (account.clone(), *holds))
            .collect()
    }

    fn holds(&self, account: &Account) -> Result<u64, Refused> {
        self.balances
            .get(account)
            .copied()
            .ok_or_else(|| Refused::UnknownAccount {
                account: account.clone(),
            })
    }

    fn change_profile(&mut self, account: &Account, change: impl FnOnce(&mut Profile)) {
        let mut profile = self.profiles.remove(account).unwrap_or_default();
        change(&mut profile);
        if profile != Profile::default() {
            self.profiles.insert(account.clone(), profile);
        }
    }
}
