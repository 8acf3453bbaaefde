//! A version that ends as soon as it is started.

use std::process::ExitCode;

fn main() -> ExitCode {
    end_to_end::described().unwrap_or_else(|| {
        let words = b"this version cannot start: its licence has expired\n";
        // The words are for the log; without them it ends all the same.
        let _ = std::io::Write::write_all(&mut std::io::stderr(), words);
        ExitCode::from(7)
    })
}
