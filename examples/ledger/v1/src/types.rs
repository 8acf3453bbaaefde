//! What the ledger's clients send and receive. All its versions share these types: what a client
//! was built with must be understood as long as there are such clients.

use serde::{Deserialize, Serialize};

/// An account's name.
pub type Account = String;

/// The most that one page of a reply has: a reply must stay small beside a batch of requests.
pub const PAGE_MAX: u32 = 1000;

/// A client's own name for a transfer. Clients number theirs in a stream of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reference {
    /// Whose numbers these are.
    pub stream: u32,
    /// Its number there.
    pub number: u64,
}

/// A run of references of one stream, none missing between the first and the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct References {
    /// The stream.
    pub stream: u32,
    /// The first number.
    pub first: u64,
    /// The last number.
    pub last: u64,
}

/// What a transfer did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// How many transfers were applied by then, this one included.
    pub sequence: u64,
    /// What is left in the account that paid.
    pub balance: u64,
}

/// Why nothing was done. The ledger is unchanged, but for the count of repetitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refused {
    /// A transfer was applied under this reference before.
    Repeated,
    /// Nobody opened this account.
    UnknownAccount {
        /// Which.
        account: Account,
    },
    /// The account does not hold as much.
    Insufficient {
        /// What it holds.
        available: u64,
    },
    /// A rule forbids it. Later versions have more rules, and clients of this one still
    /// understand them.
    Denied {
        /// Which.
        why: String,
    },
}

impl Refused {
    /// A rule forbids it.
    pub fn denied(why: impl Into<String>) -> Refused {
        Refused::Denied { why: why.into() }
    }
}

/// Part of what was applied, for those who hold it against their own record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    /// Runs of references, by stream and number; the first may begin before what was asked for.
    pub runs: Vec<References>,
    /// From where to ask for more, if there is more.
    pub next: Option<Reference>,
    /// How many transfers were applied in all.
    pub applied: u64,
    /// How often a transfer came again after it was applied. More than 0 means that some client
    /// reused a reference, or that a request was executed twice.
    pub repeated: u64,
}
