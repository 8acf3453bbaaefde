//! What clients ask of the ledger: transfers within small islands of accounts, and balances.

use std::collections::BTreeMap;

use client::{Kind, Request};
use ledger_v1::{Receipt, Reference, Refused};
use remex::{MethodId, Version};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use simulator::{Answered, Edition, Random, Timed, Workload, linearizable};

use crate::island::{Island, Seen};

/// Islands: no transfer leaves one.
const ISLANDS: u64 = 16;
/// Accounts of an island.
pub(crate) const ACCOUNTS: u64 = 3;
/// How many requests of a thousand read a balance; the others move something.
const READS_PER_MILLE: u64 = 600;
/// What each begins with.
const INITIAL: u64 = 1_000;

#[derive(Serialize, Deserialize)]
struct Open {
    account: String,
    initial: u64,
}

#[derive(Serialize, Deserialize)]
struct Transfer {
    from: String,
    to: String,
    amount: u64,
    reference: Reference,
}

#[derive(Serialize, Deserialize)]
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

fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, String> {
    rmp_serde::from_slice(bytes).map_err(|error| format!("{what} does not decode: {error}"))
}

/// The island, and the account's number there.
fn place(account: &str) -> Result<(u64, usize), String> {
    let parts = account.split_once('/');
    let parsed = parts
        .and_then(|(island, number)| Some((island.parse().ok()?, number.parse::<usize>().ok()?)));
    parsed.ok_or_else(|| format!("no client names an account {account:?}"))
}

impl Transfers {
    fn seen(&self, answered: &Answered<'_>) -> Result<(u64, Seen), String> {
        let named = |name| self.methods[name].0 == answered.method;
        let (arguments, reply) = (answered.arguments, answered.reply);
        if named("open") {
            let Open { account, initial } = decode("an open", arguments)?;
            let (island, account) = place(&account)?;
            let reply: Result<(), Refused> = decode("a reply to open", reply)?;
            return Ok((
                island,
                Seen::Open {
                    account,
                    initial,
                    reply,
                },
            ));
        }
        if named("balance") {
            let Balance { account } = decode("a balance", arguments)?;
            let (island, account) = place(&account)?;
            let reply = decode("a reply to balance", reply)?;
            return Ok((island, Seen::Balance { account, reply }));
        }
        let asked: Transfer = decode("a transfer", arguments)?;
        let (island, from) = place(&asked.from)?;
        let (_, to) = place(&asked.to)?;
        let reply: Result<Receipt, Refused> = decode("a reply to transfer", reply)?;
        let amount = asked.amount;
        Ok((
            island,
            Seen::Transfer {
                from,
                to,
                amount,
                reply,
            },
        ))
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

    fn judge(&self, seen: &[Answered<'_>]) -> Result<(), String> {
        let mut islands: BTreeMap<u64, Vec<Timed<Seen>>> = BTreeMap::new();
        for answered in seen {
            // What may be stale promises no order.
            if answered.kind == Kind::StaleRead {
                continue;
            }
            let (island, operation) = self.seen(answered)?;
            islands.entry(island).or_default().push(Timed {
                asked_at: answered.asked_at,
                answered_at: Some(answered.answered_at),
                operation,
            });
        }
        islands.iter().try_for_each(|(island, history)| {
            linearizable(Island::default(), history)
                .map_err(|why| format!("island {island}: {why}"))
        })
    }
}
