//! The stack inside replicas that run: a layer of a user's own, and the interactions of Figure 4.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod daemons;
mod figure_four;
mod fuzz;
mod layer;
mod members;
mod nothing;
