//! The clocks. Only the loop reads them, once per turn, and tells the machines.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use group::Now;
use wire::{OrderedTime, Time};

/// Where the monotonic time of a process begins: machines use zero for "long ago".
const BEGIN: Duration = Duration::from_secs(1);

/// The process's clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock {
            start: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> Now {
        let time = BEGIN + self.start.elapsed();
        Now {
            time: Time(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
            wall: OrderedTime(wall_ms()),
        }
    }
}

/// Milliseconds since 1970 by the wall clock; zero where it stands before that.
pub(crate) fn wall_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
