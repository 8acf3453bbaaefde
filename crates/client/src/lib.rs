//! The client of a group: connects to any member, follows the view, retries under the same number.
//!
//! [`Client`] is the handle for async code, [`blocking::Client`] the one for threads. Both drive one
//! sans-IO machine: many sessions share one connection, requests of one turn leave in one frame,
//! and what a member did not answer goes to another under the same number, so that it is executed
//! once. Every error says whether the request was certainly not executed
//! ([`CallError::is_definite`]).

pub mod blocking;
mod driver;
mod error;
mod handle;
mod machine;
mod options;

pub use error::{CallError, ConnectError, UpgradeError};
pub use handle::{Client, JsonReply, Session};
pub use options::{Counters, Kind, Options, Reply, Request};
