//! What clients have seen so far, counted while it happens.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use client::CallError;

/// Errors whose words are kept: all others are likely to be the same.
const WORDS_KEPT: usize = 10;
/// A request that takes longer than this is slow: nobody would call it served without a gap.
const SLOW: Duration = Duration::from_secs(1);

/// The counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Transfers that were answered.
    pub(crate) writes: u64,
    /// Balances that were answered.
    pub(crate) reads: u64,
    /// Requests that were not answered in time.
    pub(crate) failed: u64,
    /// Of these, how many may have been executed.
    pub(crate) unresolved: u64,
    /// Requests that took longer than a second.
    pub(crate) slow: u64,
    /// The longest that one took, in microseconds.
    pub(crate) longest_us: u64,
    /// The longest time in which nobody was answered, in microseconds, and when it ended.
    pub(crate) gap_us: u64,
    pub(crate) gap_ended_us: u64,
    /// When somebody was answered last.
    answered_us: u64,
    /// What the first errors said.
    pub(crate) words: Vec<String>,
}

impl Counts {
    /// Everything that was answered.
    pub(crate) fn answered(&self) -> u64 {
        self.writes + self.reads
    }

    fn answer(&mut self, asked_us: u64, answered_us: u64, write: bool) {
        if write {
            self.writes += 1;
        } else {
            self.reads += 1;
        }
        let took = answered_us.saturating_sub(asked_us);
        self.longest_us = self.longest_us.max(took);
        self.slow += u64::from(u128::from(took) > SLOW.as_micros());
        let gap = answered_us.saturating_sub(self.answered_us);
        if gap > self.gap_us {
            self.gap_us = gap;
            self.gap_ended_us = answered_us;
        }
        self.answered_us = self.answered_us.max(answered_us);
    }
}

/// The counts and the clock, shared by all clients and whoever watches them.
#[derive(Debug)]
pub(crate) struct Tally {
    began: Instant,
    counts: Mutex<Counts>,
}

impl Tally {
    /// Nothing was asked yet.
    pub(crate) fn new() -> Tally {
        Tally {
            began: Instant::now(),
            counts: Mutex::default(),
        }
    }

    /// Microseconds since it began.
    pub(crate) fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The counts as they are now.
    pub(crate) fn counts(&self) -> Counts {
        self.lock().clone()
    }

    /// The first request is about to leave.
    pub(crate) fn begins(&self) {
        self.lock().answered_us = self.now_us();
    }

    /// A request was answered.
    pub(crate) fn answered(&self, asked_us: u64, answered_us: u64, write: bool) {
        self.lock().answer(asked_us, answered_us, write);
    }

    /// A request was not.
    pub(crate) fn failed(&self, asked_us: u64, what: &str, why: &CallError) {
        let now_us = self.now_us();
        let mut counts = self.lock();
        counts.failed += 1;
        counts.unresolved += u64::from(!why.is_definite());
        if counts.words.len() < WORDS_KEPT {
            let (asked, ended) = (asked_us as f64 / 1e6, now_us as f64 / 1e6);
            counts.words.push(format!(
                "{what}, asked at {asked:.3} s, ended at {ended:.3} s: {why}"
            ));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Counting leaves nothing half done.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_gap_is_between_answers_to_anybody() {
        let mut counts = Counts::default();
        counts.answer(0, 10, true);
        counts.answer(5, 30, false);
        counts.answer(0, 1_500_000, true);
        counts.answer(1_500_000, 1_500_001, false);
        assert_eq!((counts.writes, counts.reads), (2, 2));
        assert_eq!((counts.gap_us, counts.gap_ended_us), (1_499_970, 1_500_000));
        assert_eq!((counts.slow, counts.longest_us), (1, 1_500_000));
    }
}
