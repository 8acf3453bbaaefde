//! `cargo xtask simulate`: campaigns over the ledger, as many seeds as one likes.
//!
//! The campaigns are a binary of their own (`tests/campaign`), built with all optimisation: this
//! command builds it and passes everything on.

use std::process::Command;

use clap::Args;

use crate::tree::{cargo, root};
use crate::verdict::aloud;

/// What is passed on; `cargo xtask simulate -- --help` tells more.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// `--seeds N`, `--from S`, `--minutes M`, `--transcript`, `--plan FILE`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// What to do with situations that have a name.
#[derive(Debug, Args)]
pub(crate) struct Scenarios {
    /// What happens becomes what is expected; read the difference.
    #[arg(long)]
    rewrite: bool,
}

/// Builds and runs; whether nothing was found.
pub(crate) fn run(arguments: &Arguments) -> bool {
    aloud(campaign().args(&arguments.arguments))
}

/// Plays all scenarios; whether everything happened as it is written.
pub(crate) fn scenarios(arguments: &Scenarios) -> bool {
    let mut campaign = campaign();
    campaign
        .arg("--scenarios")
        .arg(root().join("tests/campaign/scenarios"));
    if arguments.rewrite {
        campaign.arg("--rewrite");
    }
    aloud(&mut campaign)
}

fn campaign() -> Command {
    cargo(&[
        "run",
        "--quiet",
        "--profile",
        "simulate",
        "--package",
        "campaign",
        "--",
    ])
}
