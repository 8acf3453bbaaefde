//! A whole installation on this machine, for the demo and the benchmarks: real daemons, real
//! replicas, real sockets.
//!
//! [`Installation`] starts `remex dev` in a directory of its own and ends everything that came of
//! it, whatever happens. [`Group`] and [`Daemon`] speak to members and daemons as an operator does,
//! one question at a time, blocking: who measures should not share a runtime with what is measured.
//! [`process`] is what the kernel says of processes: proofs do not take a replica's word.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is the world: it starts processes and dials sockets"
)]

mod daemon;
mod group;
mod line;
pub mod process;
mod start;

pub use daemon::{Daemon, Inventory};
pub use group::Group;
pub use line::LineError;
pub use start::{Installation, StartError};
