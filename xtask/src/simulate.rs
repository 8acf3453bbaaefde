//! `cargo xtask simulate`: campaigns over the ledger, as many seeds as one likes.
//!
//! The campaigns are a binary of their own (`tests/campaign`), built with optimisation: this command
//! builds it and passes everything on.

use clap::Args;

use crate::tree::cargo;
use crate::verdict::aloud;

/// What is passed on; `cargo xtask simulate -- --help` tells more.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// `--seeds N`, `--from S`, `--minutes M`, `--transcript`, `--plan FILE`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Builds and runs; whether nothing was found.
pub(crate) fn run(arguments: &Arguments) -> bool {
    let mut campaign = cargo(&["run", "--quiet", "--release", "--package", "campaign", "--"]);
    aloud(campaign.args(&arguments.arguments))
}
