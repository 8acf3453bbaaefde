//! What the binaries of these tests share with them: a ledger that says it is the next version, the
//! words of a herald, and a service with a large state.
//!
//! The ledger's state and methods are those of version 1; only its number differs, and what its
//! binary does when it is started.

pub mod hoard;

use std::process::ExitCode;

use remex::{Description, Service, Version};

/// The version that the failing binaries claim.
pub const VERSION: &str = "1.9.0";

/// What a herald prints when the next version has taken its place.
pub const UPGRADED: &str = "upgraded() was called";

/// Answers to `--describe` like a real version, for the daemon; says whether it was asked to.
pub fn described() -> Option<ExitCode> {
    if std::env::args().nth(1).as_deref() != Some("--describe") {
        return None;
    }
    let mut description: Description = ledger_v1::Ledger::describe();
    description.version = Version::parse(VERSION).ok()?;
    let text = serde_json::to_string(&description).ok()?;
    let printed = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
    Some(printed.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS))
}
