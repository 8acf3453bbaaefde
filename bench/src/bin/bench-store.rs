//! The binary of the measured service.

use std::process::ExitCode;

fn main() -> ExitCode {
    remex::serve::<store::Store>()
}
