//! The client of a group: connects to any member, follows the view, retries under the same number.
//!
//! [`Client`] is the handle for async code, [`blocking::Client`] the one for threads. Both drive one
//! sans-IO machine: many sessions share one connection, the requests of one turn leave in one
//! frame, and what a member did not answer goes to another under the same number, so that it is
//! executed once (design: sessions and exactly once; definite and indefinite errors). Every error
//! says whether the request was certainly not executed ([`CallError::is_definite`]).
//!
//! Reading order: `machine/events.rs` (what comes in and goes out), `machine.rs`,
//! `machine/sending.rs` (what is known of one request's copies), `machine/lane.rs` (numbers and the
//! window), `machine/links.rs` (which member to speak to), then `driver.rs` (the sockets); `attended.rs` stands in its
//! place in tests that simulate everything.

mod attended;
pub mod blocking;
mod driver;
mod error;
mod handle;
pub mod machine;
mod options;

pub use attended::{Attendant, Desk, Errand, Waiting, attended};
pub use error::{CallError, ConnectError, WishError};
pub use handle::{Client, Session};
pub use options::{Counters, JsonReply, Kind, Options, Reply, Request};
