//! Real daemons, replicas and clients: upgrades, faults, and what each process says of them.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests of real processes have real threads and clocks"
)]

mod apply;
mod bad_input;
mod common;
mod faults;
mod figure_five;
mod operator;
mod survivors;
mod transfer;
mod upgrade;
