//! The commands of the house: `cargo xtask <command>`.
//!
//! One module per command; this file only chooses between them. They need nothing but a Rust
//! toolchain, and say so where an optional tool would have told more.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line speaks by printing"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "these commands start cargo and its tools"
)]

mod ci;
mod demo;
mod markdown;
mod museum;
mod protocol;
mod simulate;
mod test;
mod tidy;
mod torture;
mod tree;
mod verdict;

use std::process::ExitCode;

use clap::Parser;

/// The commands of the house.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", version, disable_help_subcommand = true)]
enum Command {
    /// Build what the tests need and run all of them.
    Test,
    /// Upgrade a ledger twice under load, kill a replica meanwhile, and report what clients saw.
    Demo(demo::Arguments),
    /// Run whole installations from seeds, in one thread each, under every kind of fault.
    Simulate(simulate::Arguments),
    /// Play the situations that have a name, or write anew what happens in them.
    Scenarios(simulate::Scenarios),
    /// Kill, stop and upgrade a ledger's real processes under load, and judge what clients saw.
    Torture(torture::Arguments),
    /// Put each defect of the museum in, and say which checker finds it after how many seeds.
    Museum(museum::Arguments),
    /// Everything that must be green before a change goes in.
    Ci(ci::Arguments),
    /// Only the checks of the house: arrows, heads, protocol, paper, museum,
    /// links, dependencies.
    Tidy,
    /// Compare docs/protocol.md with the messages in crates/wire, or write its tables anew.
    Protocol(protocol::Arguments),
    /// Compare docs/paper.md with code and tests, or close the rows whose tests exist.
    Paper(tidy::paper::Arguments),
}

fn main() -> ExitCode {
    let green = match Command::parse() {
        Command::Test => test::run(),
        Command::Demo(arguments) => demo::run(arguments),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Scenarios(arguments) => simulate::scenarios(&arguments),
        Command::Torture(arguments) => torture::run(&arguments),
        Command::Museum(arguments) => museum::run(arguments),
        Command::Ci(arguments) => ci::run(arguments),
        Command::Tidy => tidy::run(),
        Command::Protocol(arguments) => protocol::run(arguments),
        Command::Paper(arguments) => tidy::paper::run(arguments),
    };
    if green {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
