//! A host's clocks: the monotonic one, which may run fast or slow, and the one on the wall, which
//! may be wrong and may jump.

use group::Now;
use wire::{OrderedTime, Time};

/// What the wall clock shows at the beginning, in milliseconds since 1970.
const EPOCH_MS: u64 = 1_700_000_000_000;
/// The monotonic clock of the first host begins here, in microseconds; others' begin elsewhere.
const ORIGIN: u64 = 1_000_000;

#[derive(Clone, Copy, Debug)]
pub(crate) struct HostClock {
    /// From here on the clock runs as it does now.
    since: u64,
    local: u64,
    /// How much too fast, in parts per million; negative if slow.
    drift_ppm: i64,
    /// How wrong the wall clock is, in milliseconds.
    wrong_ms: i64,
}

impl HostClock {
    pub(crate) fn new(host: usize) -> HostClock {
        HostClock {
            since: 0,
            local: ORIGIN * (1 + host as u64 * 77),
            drift_ppm: 0,
            wrong_ms: 0,
        }
    }

    /// What the host's clocks show.
    pub(crate) fn now(&self, now: u64) -> Now {
        let local =
            self.local + self.scaled(now - self.since, 1_000_000 + self.drift_ppm, 1_000_000);
        let wall = EPOCH_MS + now / 1000;
        Now {
            time: Time(local),
            wall: OrderedTime(wall.saturating_add_signed(self.wrong_ms)),
        }
    }

    /// When the monotonic clock shows this.
    pub(crate) fn when(&self, time: Time) -> u64 {
        let ahead = time.0.saturating_sub(self.local);
        // One more than rounded down: never too early.
        let rate = 1_000_000 + self.drift_ppm;
        if self.drift_ppm == 0 {
            self.since + ahead
        } else {
            self.since + self.scaled(ahead, 1_000_000, rate) + 1
        }
    }

    fn scaled(&self, span: u64, by: i64, of: i64) -> u64 {
        if by == of {
            return span;
        }
        let scaled = i128::from(span) * i128::from(by) / i128::from(of);
        u64::try_from(scaled).unwrap_or(0)
    }

    /// The wall clock jumps, and the monotonic one runs otherwise from now on.
    pub(crate) fn go_wrong(&mut self, now: u64, wrong_ms: i64, drift_ppm: i64) {
        let local = self.now(now).time.0;
        *self = HostClock {
            since: now,
            local,
            drift_ppm,
            wrong_ms,
        };
    }
}
