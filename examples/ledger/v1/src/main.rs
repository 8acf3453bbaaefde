//! The ledger's binary, version 1.

use std::process::ExitCode;

use ledger_v1::Ledger;

fn main() -> ExitCode {
    remex::serve::<Ledger>()
}
