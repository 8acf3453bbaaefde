//! What clients saw: latencies, and the gaps between replies.
//!
//! Latency counts from the intended start of a request, so that a stall is charged to every request
//! that would have been sent meanwhile. A request that was never answered counts with the whole
//! time that a client waits for it: left out, the worst would flatter the figures.
//!
//! **Longest gap**: the longest time without any reply to anybody. **Longest gap of a session**: the
//! longest time between two successive replies of the same session. The load gives its sessions
//! turns, so a session sends once every `sessions / rate` seconds (32 ms by default): this is the
//! floor of the second figure, and what exceeds it is what one user could have noticed.

use super::record::{Outcome, Record, Request};

/// A stretch of time, in microseconds since the load began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Its first moment.
    pub(crate) from_us: u64,
    /// The moment after its last.
    pub(crate) to_us: u64,
}

impl Window {
    /// Whether a moment lies in it.
    pub(crate) fn holds(self, moment_us: u64) -> bool {
        (self.from_us..self.to_us).contains(&moment_us)
    }
}

/// Which gaps belong to a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edges {
    /// Those that lie wholly in it: the steady state is not charged with what follows it.
    Inside,
    /// Those that touch it: an upgrade is charged with every gap that it took part in.
    Touching,
}

/// What clients saw in one or more windows, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Requests that were meant to start here.
    pub(crate) requests: usize,
    /// Of these, how many failed.
    pub(crate) failed: usize,
    /// How many were sent again here, each time counted.
    pub(crate) retried: usize,
    /// The longest time without any reply.
    pub(crate) longest_gap_us: u64,
    /// The longest time between two successive replies of one session.
    pub(crate) longest_session_gap_us: u64,
    /// Half of the requests took at most this.
    pub(crate) p50_us: u64,
    /// 99 % took at most this.
    pub(crate) p99_us: u64,
    /// 99.9 % took at most this.
    pub(crate) p999_us: u64,
    /// The slowest took this.
    pub(crate) max_us: u64,
}

/// The figures of all these windows together.
pub(crate) fn figures(record: &Record, windows: &[Window], edges: Edges) -> Figures {
    let limit_us = record.limit_us();
    let here: Vec<&Request> = record
        .requests
        .iter()
        .filter(|request| windows.iter().any(|window| window.holds(request.at)))
        .collect();
    let mut latencies: Vec<u64> = here
        .iter()
        .map(|request| charged_us(request, limit_us))
        .collect();
    latencies.sort_unstable();
    let replies = Replies::of(record);
    Figures {
        requests: here.len(),
        failed: here.iter().filter(|r| r.failed(limit_us)).count(),
        retried: retried(record, windows),
        longest_gap_us: replies.longest_gap(windows, edges),
        longest_session_gap_us: replies.longest_session_gap(windows, edges),
        p50_us: percentile(&latencies, 500),
        p99_us: percentile(&latencies, 990),
        p999_us: percentile(&latencies, 999),
        max_us: latencies.last().copied().unwrap_or(0),
    }
}

fn retried(record: &Record, windows: &[Window]) -> usize {
    let holds = |at: u64| windows.iter().any(|window| window.holds(at));
    let here = record.resent.iter().filter(|resent| holds(resent.at));
    here.map(|resent| resent.count).sum()
}

/// The latency that a request is charged with: without an answer, at least the client's patience.
pub(crate) fn charged_us(request: &Request, limit_us: u64) -> u64 {
    match request.outcome {
        Outcome::Answered => request.latency_us(),
        Outcome::Refused | Outcome::Unresolved => request.latency_us().max(limit_us),
    }
}

/// The smallest value that at least `per_mille` of the sorted values do not exceed (nearest rank);
/// 0 of none.
pub(crate) fn percentile(sorted: &[u64], per_mille: usize) -> u64 {
    let rank = (sorted.len() * per_mille).div_ceil(1000).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

/// When replies came, of all and of each session, in order of time.
#[derive(Debug)]
struct Replies {
    all: Vec<u64>,
    by_session: Vec<Vec<u64>>,
}

impl Replies {
    fn of(record: &Record) -> Replies {
        let sessions = record.requests.iter().map(|r| r.session as usize + 1).max();
        let mut by_session = vec![Vec::new(); sessions.unwrap_or(0)];
        let mut meant: Vec<Option<Window>> = vec![None; by_session.len()];
        for request in &record.requests {
            let session = request.session as usize;
            let from_us = meant[session].map_or(request.at, |known| known.from_us);
            meant[session] = Some(Window {
                from_us,
                to_us: request.at,
            });
            if request.outcome == Outcome::Answered {
                by_session[session].push(request.done);
            }
        }
        let mut all = by_session.concat();
        let first = meant.iter().flatten().map(|meant| meant.from_us).min();
        let last = meant.iter().flatten().map(|meant| meant.to_us).max();
        if let (Some(from_us), Some(to_us)) = (first, last) {
            close(&mut all, Window { from_us, to_us });
        }
        for (times, meant) in by_session.iter_mut().zip(meant) {
            if let Some(meant) = meant {
                close(times, meant);
            }
        }
        Replies { all, by_session }
    }

    fn longest_gap(&self, windows: &[Window], edges: Edges) -> u64 {
        longest(&self.all, windows, edges)
    }

    fn longest_session_gap(&self, windows: &[Window], edges: Edges) -> u64 {
        let of_session = |times: &Vec<u64>| longest(times, windows, edges);
        self.by_session.iter().map(of_session).max().unwrap_or(0)
    }
}

/// Sorts the times of replies. Silence from the first request on, and until the last one, is a gap
/// too, although no reply begins the one and none ends the other.
fn close(times: &mut Vec<u64>, meant: Window) {
    times.push(meant.from_us);
    times.sort_unstable();
    if times.last().is_some_and(|last| *last < meant.to_us) {
        times.push(meant.to_us);
    }
}

fn longest(times: &[u64], windows: &[Window], edges: Edges) -> u64 {
    let belongs = |from: u64, to: u64| {
        windows.iter().any(|window| match edges {
            Edges::Inside => from >= window.from_us && to < window.to_us,
            Edges::Touching => from < window.to_us && to > window.from_us,
        })
    };
    times
        .windows(2)
        .filter(|pair| belongs(pair[0], pair[1]))
        .map(|pair| pair[1] - pair[0])
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::record::{Head, Kind, Resent};
    use super::*;

    /// A record from `(at, done, session)`, in milliseconds; `None` was never answered.
    fn record(requests: &[(u64, Option<u64>, u32)]) -> Record {
        let request = |(at, done, session): &(u64, Option<u64>, u32)| Request {
            at: at * 1000,
            done: done.unwrap_or(at + 1000) * 1000,
            kind: Kind::Write,
            session: *session,
            outcome: match done {
                Some(_) => Outcome::Answered,
                None => Outcome::Unresolved,
            },
        };
        Record {
            head: Head {
                schema: 1,
                began_us: 0,
                sessions: 2,
                rate: 1000,
                limit_ms: 1000,
            },
            requests: requests.iter().map(request).collect(),
            resent: Vec::new(),
        }
    }

    fn ms(from: u64, to: u64) -> Window {
        Window {
            from_us: from * 1000,
            to_us: to * 1000,
        }
    }

    /// `(longest gap, longest gap of a session)` in milliseconds.
    fn gaps(requests: &[(u64, Option<u64>, u32)], windows: &[Window], edges: Edges) -> (u64, u64) {
        let figures = figures(&record(requests), windows, edges);
        (
            figures.longest_gap_us / 1000,
            figures.longest_session_gap_us / 1000,
        )
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!(percentile(&hundred, 500), 50);
        assert_eq!(percentile(&hundred, 990), 99);
        assert_eq!(percentile(&hundred, 999), 100);
        assert_eq!(percentile(&[7], 500), 7);
        assert_eq!(percentile(&[1, 9], 500), 1);
        assert_eq!(percentile(&[], 999), 0);
    }

    #[test]
    fn a_gap_is_between_successive_replies_and_not_between_requests() {
        // The request at 30 is answered before the one at 10: replies at 5, 35, 60.
        let requests = [(0, Some(5), 0), (10, Some(60), 1), (30, Some(35), 0)];
        let (all, session) = gaps(&requests, &[ms(0, 100)], Edges::Inside);
        assert_eq!(all, 30, "nobody was answered from 5 to 35");
        assert_eq!(session, 50, "session 1 waited from 10 to 60");
    }

    #[test]
    fn a_session_may_wait_while_others_are_answered() {
        let requests = [
            (0, Some(1), 0),
            (10, Some(11), 1),
            (20, Some(21), 1),
            (30, Some(31), 1),
            (35, Some(41), 0),
        ];
        assert_eq!(gaps(&requests, &[ms(0, 100)], Edges::Inside), (10, 40));
    }

    #[test]
    fn an_upgrade_is_charged_with_gaps_that_only_touch_it() {
        let requests = [(0, Some(1), 0), (2, Some(50), 0), (51, Some(52), 0)];
        let upgrade = [ms(20, 30)];
        assert_eq!(gaps(&requests, &upgrade, Edges::Touching), (49, 49));
        assert_eq!(gaps(&requests, &upgrade, Edges::Inside), (0, 0));
        let steady = [ms(0, 20), ms(30, 60)];
        assert_eq!(gaps(&requests, &steady, Edges::Inside), (2, 2));
    }

    #[test]
    fn silence_at_the_end_is_a_gap() {
        let requests = [(0, Some(1), 0), (2, None, 0), (40, None, 0)];
        let window = [ms(0, 100)];
        assert_eq!(gaps(&requests, &window, Edges::Inside), (39, 39));
        let nobody = [(0, None, 0), (40, None, 1), (50, None, 0)];
        assert_eq!(gaps(&nobody, &window, Edges::Inside), (50, 50));
    }

    #[test]
    fn a_request_without_answer_is_charged_with_the_clients_patience() {
        let seen = figures(
            &record(&[(0, Some(1), 0), (2, None, 0), (4, Some(2004), 1)]),
            &[ms(0, 100)],
            Edges::Inside,
        );
        assert_eq!(seen.requests, 3);
        assert_eq!(seen.failed, 2, "one unresolved, one late");
        assert_eq!(seen.p50_us, 1_000_000);
        assert_eq!(seen.max_us, 2_000_000);
    }

    #[test]
    fn what_was_sent_again_counts_where_it_happened() {
        let mut record = record(&[(0, Some(1), 0)]);
        record.resent = [(5_000, 2), (15_000, 3)]
            .map(|(at, count)| Resent { at, count })
            .to_vec();
        let retried = |windows: &[Window]| figures(&record, windows, Edges::Inside).retried;
        assert_eq!(retried(&[ms(0, 10)]), 2);
        assert_eq!(retried(&[ms(0, 10), ms(10, 20)]), 5);
    }

    #[test]
    fn requests_belong_to_the_window_of_their_intended_start() {
        let requests = record(&[(9, Some(30), 0), (10, Some(11), 0), (20, Some(21), 0)]);
        let seen = figures(&requests, &[ms(10, 20)], Edges::Touching);
        assert_eq!((seen.requests, seen.max_us), (1, 1000));
        let none = figures(&requests, &[], Edges::Touching);
        assert_eq!(none, Figures::default());
    }
}
