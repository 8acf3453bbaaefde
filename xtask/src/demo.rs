//! `cargo xtask demo`: the main job on real processes, under load, with a report.

mod picture;
mod record;
mod report;
mod statistics;
