//! Transcripts of the machine: what it is told, and what it wants.

#![allow(clippy::unwrap_used, reason = "in a test a failure is a panic")]

mod any;
mod errors;
mod failover;
mod script;
mod window;
