//! The state mapping from version 1, and the way back (§2.1).

use std::collections::BTreeMap;

use ledger_v1::{Applied, Reference};
use remex::{Reversible, Successor, Unmappable};

use crate::{Holding, Ledger, Transfers, v1};

impl Successor for Ledger {
    type Predecessor = v1::Ledger;

    fn map(old: v1::Ledger) -> Result<Ledger, Unmappable> {
        let accounts = old.accounts.into_iter().map(|(account, balance)| {
            let holding = Holding {
                balance,
                ..Holding::default()
            };
            (account, holding)
        });
        let runs = old.applied.streams.into_iter().flat_map(|(stream, runs)| {
            let place = move |(number, last)| (Reference { stream, number }, last);
            runs.into_iter().map(place)
        });
        Ok(Ledger {
            accounts: accounts.collect(),
            issued: old.issued,
            transfers: Transfers {
                runs: runs.collect(),
                applied: old.applied.count,
                repeated: old.repeated,
            },
        })
    }
}

/// What version 1 cannot hold is refused where somebody relies on it (a frozen account would
/// thaw), and given up where it only informs (the counts of statements).
impl Reversible for Ledger {
    fn map_back(&self) -> Result<v1::Ledger, Unmappable> {
        if let Some((account, _)) = self.accounts.iter().find(|(_, holding)| holding.frozen) {
            return Err(Unmappable::new(format!(
                "the account \"{account}\" is frozen, which version 1 cannot keep; unfreeze it"
            )));
        }
        let accounts = self.accounts.iter();
        let accounts = accounts.map(|(account, holding)| (account.clone(), holding.balance));
        let mut streams = BTreeMap::<u32, BTreeMap<u64, u64>>::new();
        for (first, last) in &self.transfers.runs {
            streams
                .entry(first.stream)
                .or_default()
                .insert(first.number, *last);
        }
        Ok(v1::Ledger {
            accounts: accounts.collect(),
            issued: self.issued,
            applied: Applied {
                streams,
                count: self.transfers.applied,
            },
            repeated: self.transfers.repeated,
        })
    }
}
