//! A service that announces when the next version has taken its replica's place.

use std::process::ExitCode;

use end_to_end::UPGRADED;
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct Herald {
    words: u64,
}

#[allow(unreachable_pub, reason = "a service's methods are public")]
#[allow(
    clippy::print_stderr,
    reason = "its daemon keeps what a replica prints"
)]
#[remex::service(name = "herald", state_format = 1, version = "1.0.0")]
impl Herald {
    /// Counts a word.
    pub fn say(&mut self) -> u64 {
        self.words += 1;
        self.words
    }

    fn upgraded(&mut self) {
        eprintln!("{UPGRADED}");
    }
}

fn main() -> ExitCode {
    remex::serve::<Herald>()
}
