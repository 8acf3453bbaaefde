//! The ledger's binary, version 2.

use std::process::ExitCode;

use ledger_v2::Ledger;

fn main() -> ExitCode {
    remex::serve::<Ledger>()
}
