//! The binary of the measured service's next version.

use std::process::ExitCode;

fn main() -> ExitCode {
    remex::serve::<store::next::Store>()
}
