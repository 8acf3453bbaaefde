//! The state mapping from version 2 (§2.1). None leads back: once behaviour is that of 3.0.0, the
//! ledger has no way to version 2 but forward again.

use std::collections::BTreeMap;

use remex::{Successor, Unmappable};

use crate::{Ledger, Profile, v2};

impl Successor for Ledger {
    type Predecessor = v2::Ledger;

    fn map(old: v2::Ledger) -> Result<Ledger, Unmappable> {
        let mut balances = BTreeMap::new();
        let mut profiles = BTreeMap::new();
        for (account, holding) in old.accounts {
            let profile = Profile {
                frozen: holding.frozen,
                sent: holding.sent,
                received: holding.received,
            };
            if profile != Profile::default() {
                profiles.insert(account.clone(), profile);
            }
            balances.insert(account, holding.balance);
        }
        Ok(Ledger {
            balances,
            profiles,
            issued: old.issued,
            transfers: old.transfers,
        })
    }
}
