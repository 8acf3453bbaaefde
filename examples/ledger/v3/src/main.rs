//! The ledger's binary, version 3.

use std::process::ExitCode;

use ledger_v3::Ledger;

fn main() -> ExitCode {
    remex::serve::<Ledger>()
}
