//! Ordered time: the leader stamps each entry, all members take the stamp.
//!
//! A leader continues from the group's last stamp by its own monotonic clock and slews towards the
//! wall clock, so that time in the group never runs backwards and never jumps, whoever leads and
//! whatever an operator does to a clock.

use museum::Defect;
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
    /// The group's time in microseconds, so that no part of a millisecond is lost between stamps,
    /// and the monotonic moment at which it was so.
    base: Option<(u64, Time)>,
}

impl Clock {
    /// Every member hears each delivered stamp, so that whoever leads next continues from it.
    pub fn heard(&mut self, stamp: OrderedTime, now: Now) {
        if self.base.is_none_or(|(base, _)| stamp.0 > base / 1000) {
            self.base = Some((stamp.0.saturating_mul(1000), now.time));
        }
    }

    /// The next stamp.
    pub fn stamp(&mut self, now: Now) -> OrderedTime {
        let wall = now.wall.0.saturating_mul(1000);
        let micros = match self.base {
            None => wall,
            Some(_) if museum::on(Defect::TimeGoesBack) => wall,
            Some((base, at)) => {
                let elapsed = u64::try_from(now.time.since(at).as_micros()).unwrap_or(u64::MAX);
                let even = base.saturating_add(elapsed);
                let slew = elapsed / SLEW_DIVISOR;
                wall.clamp(even - slew, even.saturating_add(slew))
            }
        };
        self.base = Some((micros, now.time));
        OrderedTime(micros / 1000)
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
    fn a_fast_loop_loses_no_time() {
        let mut clock = Clock::default();
        clock.stamp(now(0, 1_000));
        for turn in 1..=1_000 {
            // Every 1.9 ms: the part of a millisecond counts.
            clock.stamp(now(turn * 1_900, 1_000 + turn * 19 / 10));
        }
        let stamp = clock.stamp(now(1_900_000, 2_900)).0;
        assert!((2_899..=2_900).contains(&stamp), "{stamp}");
    }

    #[test]
    fn a_stamp_that_is_late_catches_up_with_the_wall_clock() {
        let mut clock = Clock::default();
        clock.stamp(now(0, 1_000));
        for turn in 1..=20_000 {
            clock.stamp(now(turn * 1_000, 2_000 + turn));
        }
        assert_eq!(clock.stamp(now(20_000_000, 22_000)), OrderedTime(22_000));
    }
}
