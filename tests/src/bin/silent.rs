//! A version that starts and never joins.

use std::process::ExitCode;

fn main() -> ExitCode {
    end_to_end::described().unwrap_or_else(|| {
        // Parked for ever: its daemon or the test ends it.
        loop {
            std::thread::park();
        }
    })
}
