//! What clients ask of the ledger: transfers within small islands of accounts, and balances.

use std::collections::BTreeMap;

use client::{Kind, Request};
use ledger_v1::Reference;
use simulator::{Answered, Random, Timed, Workload, linearizable};

use crate::island::{ACCOUNTS, Island, Seen};
use crate::methods::Methods;

/// Islands: no transfer leaves one.
const ISLANDS: u64 = 16;
/// How many requests of a thousand read a balance; the others move something.
const READS_PER_MILLE: u64 = 600;
/// What each begins with.
const INITIAL: u64 = 1_000;

/// Transfers and balances of version 1, which all versions answer.
#[derive(Debug, Default)]
pub struct Transfers {
    methods: Methods,
    made: u64,
}

impl Transfers {
    /// Clients that were built with version 1.
    pub fn new() -> Transfers {
        Transfers::default()
    }
}

impl Workload for Transfers {
    fn first(&mut self) -> Vec<Request> {
        let accounts = (0..ISLANDS).flat_map(|island| (0..ACCOUNTS).map(move |n| (island, n)));
        accounts
            .map(|(island, number)| self.methods.open(island, number, INITIAL))
            .collect()
    }

    fn next(&mut self, random: &mut Random, session: u64) -> Request {
        let island = session % ISLANDS;
        let from = random.range(0, ACCOUNTS);
        if random.chance(READS_PER_MILLE) {
            return self.methods.balance(island, from);
        }
        self.made += 1;
        let to = (from + random.range(1, ACCOUNTS)) % ACCOUNTS;
        let reference = Reference {
            stream: u32::try_from(session).unwrap_or(u32::MAX),
            number: self.made,
        };
        let amount = random.range(1, 300);
        self.methods.transfer(island, from, to, amount, reference)
    }

    fn judge(&self, seen: &[Answered<'_>]) -> Result<(), String> {
        let mut islands: BTreeMap<u64, Vec<Timed<Seen>>> = BTreeMap::new();
        for answered in seen {
            // What may be stale promises no order.
            if answered.kind == Kind::StaleRead {
                continue;
            }
            let Answered {
                method,
                arguments,
                reply,
                ..
            } = answered;
            let (island, operation) = self.methods.seen(*method, arguments, reply)?;
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
