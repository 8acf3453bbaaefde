//! `cargo xtask museum`: each defect is put in, and somebody must find it.
//!
//! The build that can show defects has a target folder of its own, because it is another build of
//! everything. With `--paper` the tests of docs/paper.md are run instead of seeds: each row names the
//! defect that turns its test red, and here that is seen.

mod paper;

use std::path::PathBuf;
use std::process::Command;

use clap::Args;

use crate::tree::{cargo, root};
use crate::verdict::aloud;

/// Makes the build one that can show defects.
const FLAG: &str = "--cfg museum";

/// What to show, and to whom.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Show only this defect, by its name; again for more.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Over how many seeds each.
    #[arg(long, default_value_t = 500)]
    seeds: u64,
    /// Run the tests of docs/paper.md under the defects that their rows name.
    #[arg(long, conflicts_with = "seeds")]
    paper: bool,
}

/// Shows the defects; whether each was found, and nothing else.
pub(crate) fn run(arguments: Arguments) -> bool {
    if arguments.paper {
        return paper::run(&arguments.only);
    }
    if !aloud(&mut build(&["build", "--quiet", "--package", "campaign"])) {
        return false;
    }
    let mut command = Command::new(target().join("debug/campaign"));
    command
        .arg("--museum")
        .arg(format!("--seeds={}", arguments.seeds));
    for name in &arguments.only {
        command.arg(format!("--only={name}"));
    }
    aloud(&mut command)
}

fn target() -> PathBuf {
    root().join("target").join("museum")
}

/// A command of cargo's that builds for the museum; never a release.
fn build(arguments: &[&str]) -> Command {
    let mut command = cargo(arguments);
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    command
        .env("RUSTFLAGS", format!("{flags} {FLAG}"))
        .arg("--target-dir")
        .arg(target());
    command
}
