//! `cargo xtask ci`: everything that must be green before a change goes in.

use clap::Args;

use crate::tree::cargo;
use crate::verdict::{Verdict, quietly};
use crate::{test, tidy};

/// What to leave out.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Leave the tests out, because `cargo xtask test` has just run them.
    #[arg(long)]
    without_tests: bool,
}

/// Runs every step, also after a red one, so that one run tells all; whether all were green.
pub(crate) fn run(arguments: Arguments) -> bool {
    let mut green = format().tell("format");
    green &= tidy::run();
    green &= clippy().tell("clippy");
    green &= documentation().tell("documentation");
    if !arguments.without_tests {
        green &= test::run();
    }
    green
}

fn format() -> Verdict {
    quietly(&mut cargo(&["fmt", "--all", "--check"]))
}

fn clippy() -> Verdict {
    quietly(&mut cargo(&[
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "--deny=warnings",
    ]))
}

fn documentation() -> Verdict {
    let arguments = [
        "doc",
        "--quiet",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ];
    quietly(cargo(&arguments).env("RUSTDOCFLAGS", "--deny=warnings"))
}
