//! A counter whose next version dies once.

use remex::Context;
use serde::{Deserialize, Serialize};

/// The counter.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Fuse {
    /// How often it was counted.
    pub count: u64,
}

#[remex::service(name = "fuse", state_format = 1, version = "1.0.0")]
impl Fuse {
    /// Counts.
    pub fn count(&mut self, _cx: &Context) -> u64 {
        self.count += 1;
        self.count
    }
}

/// What is left of a fuse that has burnt, beside the binary.
const BURNT: &str = "fuse-burnt";

/// Whether this process is the first that asks, among all that run this binary.
pub fn burns() -> bool {
    let Ok(binary) = std::env::current_exe() else {
        return false;
    };
    let mark = binary.with_file_name(BURNT);
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(mark);
    made.is_ok()
}
