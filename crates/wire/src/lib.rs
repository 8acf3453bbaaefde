//! Bytes and values: every message of remex, versioned and tagged.
//!
//! The enums here are the protocol's document; `docs/protocol.md` lists them in one table. Fields
//! and variants carry explicit numbers that are never reused: unknown fields are skipped, unknown
//! variants, kinds and formats are errors that end the connection and harm nothing else.

pub mod client;
pub mod daemon;
pub mod engine;
pub mod frame;
pub mod hello;
pub mod list;
pub mod log;
pub mod member;
mod names;
mod nesting;
pub mod peer;
pub mod status;

pub use names::{
    Build, MemberId, MethodId, OrderedTime, Position, SessionId, Time, Version, fingerprint,
};
