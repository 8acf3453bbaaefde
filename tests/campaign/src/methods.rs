//! The ledger's methods as clients that were built with version 1 call them: requests as bytes, and
//! what requests and replies mean in an island of accounts. All versions answer them.

use std::collections::BTreeMap;

use client::{Kind, Request};
use ledger_v1::{Receipt, Reference, Refused};
use remex::{MethodId, Version};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use simulator::Edition;

use crate::island::Seen;

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

/// The methods of version 1.
#[derive(Debug)]
pub struct Methods {
    /// Their ids and the fingerprints of their arguments.
    known: BTreeMap<&'static str, (MethodId, u32)>,
}

impl Default for Methods {
    fn default() -> Methods {
        Methods::new()
    }
}

impl Methods {
    /// As version 1 describes them.
    pub fn new() -> Methods {
        let edition = Edition::of::<ledger_v1::Ledger>();
        let description = &edition.program.description;
        assert_eq!(description.version, Version::new(1, 0, 0));
        let known = description.methods.iter().filter_map(|method| {
            let name = ["open", "transfer", "balance"]
                .into_iter()
                .find(|name| *name == method.name)?;
            Some((name, (method.id, method.signature)))
        });
        Methods {
            known: known.collect(),
        }
    }

    /// Opens an account of an island.
    pub fn open(&self, island: u64, number: u64, initial: u64) -> Request {
        let account = account(island, number);
        self.request("open", Kind::Write, &Open { account, initial })
    }

    /// Moves something within an island.
    pub fn transfer(
        &self,
        island: u64,
        from: u64,
        to: u64,
        amount: u64,
        reference: Reference,
    ) -> Request {
        let transfer = Transfer {
            from: account(island, from),
            to: account(island, to),
            amount,
            reference,
        };
        self.request("transfer", Kind::Write, &transfer)
    }

    /// Looks at an account of an island.
    pub fn balance(&self, island: u64, number: u64) -> Request {
        let account = account(island, number);
        self.request("balance", Kind::Read, &Balance { account })
    }

    fn request(&self, method: &str, kind: Kind, arguments: &impl Serialize) -> Request {
        let (method, signature) = self.known[method];
        let arguments = rmp_serde::to_vec_named(arguments).expect("plain structures encode");
        Request {
            method,
            signature,
            kind,
            arguments: arguments.into(),
            deadline: None,
        }
    }

    /// Of which island a request was, and what was asked and answered.
    ///
    /// # Errors
    ///
    /// The request is none of these, or the reply is not the method's.
    pub fn seen(
        &self,
        method: MethodId,
        arguments: &[u8],
        reply: &[u8],
    ) -> Result<(u64, Seen), String> {
        let named = |name| self.known[name].0 == method;
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

fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, String> {
    rmp_serde::from_slice(bytes).map_err(|error| format!("{what} does not decode: {error}"))
}

fn account(island: u64, number: u64) -> String {
    format!("{island}/{number}")
}

/// The island, and the account's number there.
fn place(account: &str) -> Result<(u64, usize), String> {
    let parts = account.split_once('/');
    let parsed = parts
        .and_then(|(island, number)| Some((island.parse().ok()?, number.parse::<usize>().ok()?)));
    parsed.ok_or_else(|| format!("no client names an account {account:?}"))
}
