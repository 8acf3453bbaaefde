//! The next version of the herald: it keeps the words of each speaker, and announces the same.

use std::collections::BTreeMap;
use std::process::ExitCode;

use end_to_end::UPGRADED;
use remex::{Successor, Unmappable};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct Herald {
    words: BTreeMap<String, u64>,
}

#[derive(Default, Serialize, Deserialize)]
struct Old {
    words: u64,
}

#[allow(unreachable_pub, reason = "a service's methods are public")]
#[remex::service(name = "herald", state_format = 1, version = "1.0.0")]
impl Old {
    /// Counts a word.
    pub fn say(&mut self) -> u64 {
        self.words += 1;
        self.words
    }
}

#[allow(unreachable_pub, reason = "a service's methods are public")]
#[allow(
    clippy::print_stderr,
    reason = "its daemon keeps what a replica prints"
)]
#[remex::service(name = "herald", state_format = 2, version = "2.0.0")]
impl Herald {
    /// Counts a word.
    pub fn say(&mut self) -> u64 {
        *self.words.entry(String::new()).or_default() += 1;
        self.words.values().sum()
    }

    /// Counts a word of `speaker`.
    #[since("2.0.0")]
    pub fn say_as(&mut self, speaker: String) -> u64 {
        *self.words.entry(speaker).or_default() += 1;
        self.words.values().sum()
    }

    fn upgraded(&mut self) {
        eprintln!("{UPGRADED}");
    }
}

impl Successor for Herald {
    type Predecessor = Old;

    fn map(old: Old) -> Result<Herald, Unmappable> {
        let words = BTreeMap::from([(String::new(), old.words)]);
        Ok(Herald { words })
    }
}

fn main() -> ExitCode {
    remex::serve::<Herald>()
}
