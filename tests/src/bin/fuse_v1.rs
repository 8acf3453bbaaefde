//! A counter: the version before the one that dies.

use std::process::ExitCode;

fn main() -> ExitCode {
    remex::serve::<end_to_end::fuse::Fuse>()
}
