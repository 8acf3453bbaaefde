//! What clients saw in one or more stretches of time.
//!
//! Latency counts from the intended start of a write, so that a stall is charged to every write that
//! was due meanwhile; a write that failed is charged with a client's whole patience.

use serde::Serialize;

use super::load::{LIMIT, Write};

/// A stretch of time, in microseconds since 1970: from its first moment to the one after its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from_us: u64,
    pub(super) to_us: u64,
}

impl Window {
    fn holds(self, at_us: u64) -> bool {
        (self.from_us..self.to_us).contains(&at_us)
    }
}

/// What clients saw. The names are those of the JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Figures {
    /// Writes that were due.
    pub(super) writes: usize,
    /// Of these, how many were not answered in time.
    pub(super) failed: usize,
    /// Half of the writes took at most this.
    pub(super) p50_ms: f64,
    /// 99 % took at most this.
    pub(super) p99_ms: f64,
    /// 99.9 % took at most this.
    pub(super) p999_ms: f64,
    /// The slowest took this.
    pub(super) max_ms: f64,
    /// The longest time without any reply.
    pub(super) longest_gap_ms: f64,
}

/// The figures of the writes that were due in these windows, and of the gaps between replies that
/// touch one.
pub(super) fn figures(writes: &[Write], windows: &[Window]) -> Figures {
    let here = || {
        let due = |at: u64| windows.iter().any(|window| window.holds(at));
        writes.iter().filter(move |write| due(write.due_us))
    };
    let limit_us = LIMIT.as_secs_f64() * 1e6;
    let took = |write: &Write| match write.answered_us {
        Some(at) => at.saturating_sub(write.due_us) as f64,
        None => limit_us,
    };
    let mut latencies: Vec<f64> = here().map(took).collect();
    latencies.sort_by(f64::total_cmp);
    // The smallest value that this share does not exceed (nearest rank), in milliseconds.
    let percentile = |per_mille: usize| {
        let rank = (latencies.len() * per_mille).div_ceil(1000).max(1);
        latencies.get(rank - 1).copied().unwrap_or(0.0) / 1e3
    };
    Figures {
        writes: latencies.len(),
        failed: here().filter(|write| write.answered_us.is_none()).count(),
        p50_ms: percentile(500),
        p99_ms: percentile(990),
        p999_ms: percentile(999),
        max_ms: percentile(1000),
        longest_gap_ms: longest_gap(writes, windows) as f64 / 1e3,
    }
}

fn longest_gap(writes: &[Write], windows: &[Window]) -> u64 {
    let mut replies: Vec<u64> = writes
        .iter()
        .filter_map(|write| write.answered_us)
        .collect();
    // Silence at either end is a gap too, although no reply begins or ends it.
    replies.extend(writes.iter().map(|write| write.due_us).min());
    replies.extend(writes.iter().map(|write| write.due_us).max());
    replies.sort_unstable();
    let touches = |pair: &&[u64]| {
        let mut windows = windows.iter();
        windows.any(|window| pair[0] < window.to_us && pair[1] > window.from_us)
    };
    let gaps = replies.windows(2).filter(touches);
    gaps.map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes from `(due, answered)`, in milliseconds.
    fn seen(writes: &[(u64, Option<u64>)], from: u64, to: u64) -> Figures {
        let write = |(due, answered): &(u64, Option<u64>)| Write {
            due_us: due * 1000,
            answered_us: answered.map(|at| at * 1000),
        };
        let writes: Vec<Write> = writes.iter().map(write).collect();
        let window = Window {
            from_us: from * 1000,
            to_us: to * 1000,
        };
        figures(&writes, &[window])
    }

    #[test]
    fn latency_counts_from_the_intended_start_and_belongs_to_its_window() {
        let figures = seen(&[(0, Some(9)), (10, Some(12)), (20, Some(29))], 10, 20);
        assert_eq!((figures.writes, figures.failed), (1, 0));
        assert!((figures.max_ms - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_failed_write_is_charged_with_the_whole_patience() {
        let figures = seen(&[(0, Some(1)), (5, None)], 0, 10);
        assert_eq!((figures.writes, figures.failed), (2, 1));
        assert!((figures.max_ms - 1000.0).abs() < 1e-9);
        assert!((figures.p50_ms - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_gap_is_between_replies_and_counts_where_it_touches() {
        let writes = [(0, Some(1)), (2, Some(50)), (40, Some(51)), (60, None)];
        assert!((seen(&writes, 20, 30).longest_gap_ms - 49.0).abs() < 1e-9);
        assert!((seen(&writes, 52, 60).longest_gap_ms - 9.0).abs() < 1e-9);
        assert_eq!(seen(&[], 0, 10), Figures::default());
    }
}
