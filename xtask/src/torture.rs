//! `cargo xtask torture`: a ledger on real processes that are killed, stopped and upgraded back and
//! forth under load, for as many minutes as one likes.
//!
//! The run is a binary of its own (`tests/torture`): this command builds it, and what it starts, with
//! optimisation, and passes everything on.

use clap::Args;

use crate::demo::target_directory;
use crate::tree::cargo;
use crate::verdict::aloud;

/// The packages whose binaries are needed.
const PACKAGES: [&str; 4] = ["remex-cli", "ledger-v1", "ledger-v2", "torture"];

/// What is passed on; `cargo xtask torture -- --help` tells more.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// `--minutes M`, `--seed S`, `--json FILE`, `--deadline-ms N`, `--directory DIRECTORY`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds and runs; whether everything was verified.
pub(crate) fn run(arguments: &Arguments) -> bool {
    let mut build = cargo(&["build", "--quiet", "--release", "--bins"]);
    for package in PACKAGES {
        build.args(["--package", package]);
    }
    if !aloud(&mut build) {
        return false;
    }
    match target_directory() {
        Ok(target) => {
            let mut torture = std::process::Command::new(target.join("release").join("torture"));
            aloud(torture.args(&arguments.arguments))
        }
        Err(why) => {
            eprintln!("{why}");
            false
        }
    }
}
