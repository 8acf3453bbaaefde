//! The engine's sharp edges and recipes, one test each, on several orders and virtual time.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod changes;
mod commits;
mod elections;
mod hand_over;
mod joiners;
mod links;
mod memory;
mod messages;
mod reads;
mod survivors;
mod world;
