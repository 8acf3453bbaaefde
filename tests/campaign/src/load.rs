//! What clients ask of the ledger: transfers within small islands of accounts, and balances.

use std::collections::BTreeMap;

use client::{Kind, Request};
use ledger_v1::Reference;
use remex::{MethodId, Version};
use serde::Serialize;
use simulator::{Edition, Random, Workload};

/// Islands: no transfer leaves one.
const ISLANDS: u64 = 16;
/// Accounts of an island.
const ACCOUNTS: u64 = 3;
/// How many requests of a thousand read a balance; the others move something.
const READS_PER_MILLE: u64 = 600;
/// What each begins with.
const INITIAL: u64 = 1_000;

#[derive(Serialize)]
struct Open {
    account: String,
    initial: u64,
}

#[derive(Serialize)]
struct Transfer {
    from: String,
    to: String,
    amount: u64,
    reference: Reference,
}

#[derive(Serialize)]
struct Balance {
    account: String,
}

/// Transfers and balances of version 1, which all versions answer.
#[derive(Debug)]
pub struct Transfers {
    /// The methods' ids and the fingerprints of their arguments.
    methods: BTreeMap<&'static str, (MethodId, u32)>,
    made: u64,
}

impl Default for Transfers {
    fn default() -> Transfers {
        Transfers::new()
    }
}

impl Transfers {
    /// Clients that were built with version 1.
    pub fn new() -> Transfers {
        let edition = Edition::of::<ledger_v1::Ledger>();
        let known = &edition.program.description;
        assert_eq!(known.version, Version::new(1, 0, 0));
        let methods = known.methods.iter().filter_map(|method| {
            let name = ["open", "transfer", "balance", "total"]
                .into_iter()
                .find(|name| *name == method.name)?;
            Some((name, (method.id, method.signature)))
        });
        Transfers {
            methods: methods.collect(),
            made: 0,
        }
    }

    fn request(&self, method: &str, kind: Kind, arguments: &impl Serialize) -> Request {
        let (method, signature) = self.methods[method];
        let arguments = rmp_serde::to_vec_named(arguments).expect("plain structures encode");
        Request {
            method,
            signature,
            kind,
            arguments: arguments.into(),
            deadline: None,
        }
    }
}

fn account(island: u64, number: u64) -> String {
    format!("{island}/{number}")
}

impl Workload for Transfers {
    fn first(&mut self) -> Vec<Request> {
        let accounts = (0..ISLANDS).flat_map(|island| (0..ACCOUNTS).map(move |n| (island, n)));
        accounts
            .map(|(island, number)| {
                let open = Open {
                    account: account(island, number),
                    initial: INITIAL,
                };
                self.request("open", Kind::Write, &open)
            })
            .collect()
    }

    fn next(&mut self, random: &mut Random, session: u64) -> Request {
        let island = session % ISLANDS;
        let from = random.range(0, ACCOUNTS);
        if random.chance(READS_PER_MILLE) {
            let account = account(island, from);
            return self.request("balance", Kind::Read, &Balance { account });
        }
        self.made += 1;
        let to = (from + random.range(1, ACCOUNTS)) % ACCOUNTS;
        let transfer = Transfer {
            from: account(island, from),
            to: account(island, to),
            amount: random.range(1, 300),
            reference: Reference {
                stream: u32::try_from(session).unwrap_or(u32::MAX),
                number: self.made,
            },
        };
        self.request("transfer", Kind::Write, &transfer)
    }
}
