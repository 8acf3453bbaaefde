//! The binary of the hoard.

use std::process::ExitCode;

fn main() -> ExitCode {
    remex::serve::<end_to_end::hoard::Hoard>()
}
