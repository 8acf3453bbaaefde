//! remex: stateful, actively replicated servers that stay in the air while their code is replaced.
//!
//! This crate is what authors of services and of clients depend on. A service is a type and an
//! impl:
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Default, Serialize, Deserialize)]
//! pub struct Store {
//!     entries: BTreeMap<String, String>,
//! }
//!
//! #[remex::service(name = "kv", state_format = 1)]
//! impl Store {
//!     /// Keeps `value` under `key`; gives what was there.
//!     pub fn put(&mut self, key: String, value: String) -> Option<String> {
//!         self.entries.insert(key, value)
//!     }
//!
//!     /// What is kept under `key`.
//!     #[read]
//!     pub fn get(&self, key: String) -> Option<String> {
//!         self.entries.get(&key).cloned()
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! and its whole `main` is [`serve::<Store>()`](serve()).
//!
//! # Its clients
//!
//! Beside each service stand two typed clients, one for async code and one that blocks:
//!
//! ```no_run
//! # #[derive(Default, serde::Serialize, serde::Deserialize)]
//! # pub struct Store { entries: std::collections::BTreeMap<String, String> }
//! # #[remex::service(name = "kv", state_format = 1)]
//! # impl Store {
//! #     #[read]
//! #     pub fn get(&self, key: String) -> Option<String> { self.entries.get(&key).cloned() }
//! # }
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = StoreClient::connect("kv", &["127.0.0.1:7000".parse()?]).await?;
//! let value = client.get("key".to_owned()).await?;
//! # Ok(())
//! # }
//! # fn blocking() -> Result<(), Box<dyn std::error::Error>> {
//! let client = StoreBlockingClient::connect("kv", &["127.0.0.1:7000".parse()?])?;
//! let value = client.with_stale_reads().get("key".to_owned())?;
//! # Ok(())
//! # }
//! # fn main() {}
//! ```
//!
//! `connect` opens a session on a connection of its own. Many sessions over one connection are
//! `StoreClient::new(client.session().await?)` on one [`Client`].
//!
//! A request keeps its number wherever it is retried, and is executed once. Where no reply can be
//! had, [`CallError`] says whether the request certainly did not happen.
//!
//! # What a service must keep to
//!
//! - **It is deterministic.** Time and randomness come with the request ([`Context`]); nothing is
//!   read from a clock, a file, a thread or a `HashMap`'s order.
//! - **Equal states have equal bytes.** A state is written as MessagePack with field names, in the
//!   order of its fields and of its maps: use `BTreeMap` and `BTreeSet`, never `HashMap`. The bytes
//!   go straight from the state to the writer, so that no second copy of the state exists.
//! - **Names are its protocol.** Methods, arguments and fields travel by name. An argument that a
//!   later version adds is marked `#[since("2.1.0")]`: old clients, which do not send it, are
//!   served with its default, and while the group still behaves as an older version a request that
//!   carries it is refused, as an old member refuses it. Arguments that a method does not know are
//!   refused; inside of an argument's own type serde's rules hold, so that fields added there need
//!   `#[serde(default)]` and must not matter before the effective version knows them.
//! - **It behaves as it is told.** Until the group's effective version is its own, a new version
//!   gives the replies of the old one: [`Context::behaves_as`].
//!
//! # The next version
//!
//! A version whose state has another shape raises `state_format` and says how the old state
//! becomes its own ([`Successor`]), and if it can, how back ([`Reversible`]). Mapping must commute
//! with execution: to map and then execute a request gives what executing and then mapping gives.

// The macro writes `::remex`, also in the tests of this crate.
extern crate self as remex;

mod error;
mod mapping;
#[doc(hidden)]
pub mod private;
mod serve;
mod shape;

pub use client::{self, CallError, Client, ConnectError, Session, blocking};
pub use error::OpenError;
pub use mapping::{Reversible, Successor, Unmappable};
pub use remex_macros::service;
pub use replica::{
    Call, Context, Description, JsonError, Method, OwnedCall, Refusal, Service, StateError,
};
pub use serve::{Server, serve};
pub use wire::{MethodId, OrderedTime, Position, Version};
