//! The ledger, version 2: accounts can be frozen, and have statements.
//!
//! Another shape of state: an account is a structure now, and the applied references lie in one
//! flat map. Until the group behaves as 2.0.0 this version does what version 1 does, down to the
//! bytes of its replies: nothing is counted for the statements, and nothing can be frozen.

mod mapping;
mod transfers;

use std::collections::BTreeMap;
use std::ops::Bound;

use ledger_v1::{Account, AuditPage, PAGE_MAX, Receipt, Reference, Refused};
use remex::Context;
use serde::{Deserialize, Serialize};

pub use ledger_v1 as v1;
pub use transfers::Transfers;

/// The effective version from which transfers are counted for statements.
const STATEMENTS: &str = "2.0.0";

/// The state that every replica holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// The accounts.
    pub accounts: BTreeMap<Account, Holding>,
    /// All that was ever put in when accounts were opened: the sum of all balances.
    pub issued: u64,
    /// Which transfers were applied.
    pub transfers: Transfers,
}

/// One account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Holding {
    /// What it holds.
    pub balance: u64,
    /// Whether nothing may leave it.
    pub frozen: bool,
    /// Transfers that left it since 2.0.0.
    pub sent: u64,
    /// Transfers that reached it since 2.0.0.
    pub received: u64,
}

/// What an account's owner wants to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// What the account holds.
    pub balance: u64,
    /// Whether nothing may leave it.
    pub frozen: bool,
    /// Transfers that left it since 2.0.0.
    pub sent: u64,
    /// Transfers that reached it since 2.0.0.
    pub received: u64,
}

#[remex::service(name = "ledger", state_format = 2)]
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
        let holding = Holding {
            balance: initial,
            ..Holding::default()
        };
        self.accounts.insert(account, holding);
        Ok(())
    }

    /// Moves `amount` between two accounts, once for each `reference`.
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
        let payer = self.holding(&from)?;
        let available = payer.balance;
        if payer.frozen {
            return Err(Refused::denied("the account is frozen"));
        }
        self.holding(&to)?;
        let Some(balance) = available.checked_sub(amount) else {
            return Err(Refused::Insufficient { available });
        };
        let counts = u64::from(cx.behaves_as(STATEMENTS));
        let payer = self.holding(&from)?;
        payer.balance = balance;
        payer.sent += counts;
        let receiver = self.holding(&to)?;
        receiver.balance += amount;
        receiver.received += counts;
        let sequence = self.transfers.insert(reference);
        Ok(Receipt { sequence, balance })
    }

    /// What `account` holds, if it exists.
    #[read]
    pub fn balance(&self, account: Account) -> Option<u64> {
        self.accounts.get(&account).map(|holding| holding.balance)
    }

    /// Up to `limit` accounts (1 to 1000) after `after`, in order, and what each holds.
    #[read]
    pub fn accounts(&self, after: Option<Account>, limit: u32) -> Vec<(Account, u64)> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let accounts = self.accounts.range((after, Bound::Unbounded));
        let page = accounts.take(limit.clamp(1, PAGE_MAX) as usize);
        page.map(|(account, holding)| (account.clone(), holding.balance))
            .collect()
    }

    /// The sum of all balances. Only opening an account changes it.
    #[read]
    pub fn total(&self) -> u64 {
        self.accounts.values().map(|holding| holding.balance).sum()
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
        self.holding(&account)?.frozen = true;
        Ok(())
    }

    /// Lets transfers leave `account` again.
    #[since("2.0.0")]
    pub fn unfreeze(&mut self, account: Account) -> Result<(), Refused> {
        self.holding(&account)?.frozen = false;
        Ok(())
    }

    /// What its owner wants to know of `account`, if it exists.
    #[read]
    #[since("2.0.0")]
    pub fn statement(&self, account: Account) -> Option<Statement> {
        self.accounts.get(&account).map(|holding| Statement {
            balance: holding.balance,
            frozen: holding.frozen,
            sent: holding.sent,
            received: holding.received,
        })
    }

    fn holding(&mut self, account: &Account) -> Result<&mut Holding, Refused> {
        self.accounts
            .get_mut(account)
            .ok_or_else(|| Refused::UnknownAccount {
                account: account.clone(),
            })
    }
}
