//! Ordered time: the leader stamps each entry, all members take the stamp.
//!
//! A leader continues from the group's last stamp by its own monotonic clock and slews towards the
//! wall clock, so that time in the group never runs backwards and never jumps, whoever leads and
//! whatever an operator does to a clock.

use wire::{OrderedTime, Time};

/// The share of elapsed time by which the stamp may gain or lose while it slews: a tenth, so that
/// timeouts in ordered time stay near real time.
const SLEW_DIVISOR: u64 = 10;

/// A moment as the host tells it to the machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock, for everything local.
    pub time: Time,
    /// The wall clock, milliseconds since 1970; only a leader's stamps look at it.
    pub wall: OrderedTime,
}

/// The leader's source of stamps.
#[derive(Debug, Default)]
pub struct Clock {
    /// The last stamp and the monotonic moment at which it was given or delivered.
    last: Option<(OrderedTime, Time)>,
}

impl Clock {
    /// Every member hears each delivered stamp, so that whoever leads next continues from it.
    pub fn heard(&mut self, stamp: OrderedTime, now: Now) {
        if self.last.is_none_or(|(last, _)| stamp > last) {
            self.last = Some((stamp, now.time));
        }
    }

    /// The next stamp.
    pub fn stamp(&mut self, now: Now) -> OrderedTime {
        let stamp = match self.last {
            None => now.wall,
            Some((last, at)) => {
                let elapsed_ms = now.time.since(at).as_micros() as u64 / 1000;
                let slew = elapsed_ms / SLEW_DIVISOR;
                let even = last.0.saturating_add(elapsed_ms);
                let wall = now
                    .wall
                    .0
                    .clamp(even - slew.min(even), even.saturating_add(slew));
                OrderedTime(wall.max(last.0))
            }
        };
        // Only whole milliseconds move the base, or a fast loop would never see time pass.
        if self.last.is_none_or(|(last, _)| stamp > last) {
            self.last = Some((stamp, now.time));
        }
        stamp
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(micros: u64, wall: u64) -> Now {
        Now {
            time: Time(micros),
            wall: OrderedTime(wall),
        }
    }

    #[test]
    fn a_new_group_begins_with_the_wall_clock() {
        assert_eq!(Clock::default().stamp(now(5, 1_000)), OrderedTime(1_000));
    }

    #[test]
    fn a_wall_clock_that_jumps_moves_the_stamp_by_a_tenth_at_most() {
        let mut clock = Clock::default();
        clock.stamp(now(0, 1_000_000));
        assert_eq!(clock.stamp(now(100_000, 9_000_000)), OrderedTime(1_000_110));
        assert_eq!(clock.stamp(now(200_000, 0)), OrderedTime(1_000_200));
    }

    #[test]
    fn a_new_leader_with_a_late_clock_never_goes_back() {
        let mut clock = Clock::default();
        clock.heard(OrderedTime(5_000), now(0, 100));
        assert_eq!(clock.stamp(now(0, 100)), OrderedTime(5_000));
        assert!(clock.stamp(now(50_000, 150)) >= OrderedTime(5_045));
    }

    #[test]
    fn a_fast_loop_still_sees_time_pass() {
        let mut clock = Clock::default();
        clock.stamp(now(0, 1_000));
        for micros in 1..=2_000 {
            clock.stamp(now(micros, 1_000 + micros / 1_000));
        }
        assert_eq!(clock.stamp(now(2_000, 1_002)), OrderedTime(1_002));
    }
}
