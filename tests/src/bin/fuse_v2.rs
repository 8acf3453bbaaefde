//! The counter's next version: the first of its processes that executes a request as itself is killed.
//!
//! In a group of one that is in the middle of the swap, or a moment later.

use std::process::ExitCode;

use end_to_end::fuse::{Fuse, burns};
use remex::{Context, Successor, Unmappable, Version};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct Next {
    count: u64,
}

#[allow(unreachable_pub, reason = "a service's methods are public")]
#[remex::service(name = "fuse", state_format = 2, version = "2.0.0")]
impl Next {
    /// Counts.
    pub fn count(&mut self, cx: &Context) -> u64 {
        if *cx.effective() >= Version::new(2, 0, 0) && burns() {
            std::process::abort();
        }
        self.count += 1;
        self.count
    }
}

impl Successor for Next {
    type Predecessor = Fuse;

    fn map(old: Fuse) -> Result<Next, Unmappable> {
        Ok(Next { count: old.count })
    }
}

fn main() -> ExitCode {
    remex::serve::<Next>()
}
