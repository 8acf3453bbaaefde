//! A whole group in one thread, from one seed.
//!
//! The machines are those of the real processes: joining, replica, executor. What the host does
//! with sockets, threads and clocks is done here by a queue of events in virtual time, so that
//! crashes, silences, late and lost messages come where only luck would bring them, and come again
//! with the same seed. The checkers judge what members and clients saw.

mod checker;
mod client;
mod node;
mod random;
mod scenario;
mod service;
mod world;

pub use scenario::{Report, Scenario, run};
