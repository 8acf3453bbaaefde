//! Linearizable reads: positions that a reader must have applied.
//!
//! The engine's safe read index is used, never its lease reads (unsafe across a hand-over). It
//! drops reads before a term's first commit and at a change of leader, so they are asked again,
//! each time under a mark of its own. To the engine an answer to one mark confirms all reads that
//! were asked before it; if a mark came twice, a late answer to the first time would confirm reads
//! that were asked after that answer was given, by a leader that leads no more.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use wire::Time;

/// When an unanswered read is asked again: a lost message, a change of leader nobody noticed.
const RETRY: Duration = Duration::from_millis(50);

/// Under how many of its marks a read may still be answered: as many as are asked during the
/// longest round trip that links should have, some hundred milliseconds.
const MARKS_MAX: usize = 8;

/// A read as the engine knows it, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark(pub(crate) u64);

#[derive(Default)]
pub(crate) struct Reads {
    /// Open reads by token.
    open: BTreeMap<u64, Open>,
    /// The token of each mark that may still be answered.
    tokens: BTreeMap<Mark, u64>,
    last: u64,
}

struct Open {
    /// When it is asked again.
    again: Time,
    marks: VecDeque<Mark>,
}

impl Reads {
    /// A read is opened; the mark to ask it under.
    pub(crate) fn opened(&mut self, now: Time, token: u64) -> Mark {
        let marks = VecDeque::new();
        self.open.insert(token, Open { again: now, marks });
        self.mark(now, token)
    }

    fn mark(&mut self, now: Time, token: u64) -> Mark {
        self.last += 1;
        let mark = Mark(self.last);
        if let Some(open) = self.open.get_mut(&token) {
            open.again = now.after(RETRY);
            open.marks.push_back(mark);
            self.tokens.insert(mark, token);
            if open.marks.len() > MARKS_MAX {
                let oldest = open.marks.pop_front();
                oldest.and_then(|oldest| self.tokens.remove(&oldest));
            }
        }
        mark
    }

    /// The token of the read that is answered by this; nothing if it was answered before.
    pub(crate) fn answered(&mut self, mark: Mark) -> Option<u64> {
        let token = self.tokens.remove(&mark)?;
        for other in self.open.remove(&token)?.marks {
            self.tokens.remove(&other);
        }
        Some(token)
    }

    /// The marks to ask reads under that are due, or `all` of them.
    pub(crate) fn due(&mut self, now: Time, all: bool) -> Vec<Mark> {
        let due: Vec<u64> = self
            .open
            .iter()
            .filter(|(_, open)| all || open.again <= now)
            .map(|(&token, _)| token)
            .collect();
        due.into_iter().map(|token| self.mark(now, token)).collect()
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.open.values().map(|open| open.again).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Time {
        Time(ms * 1_000)
    }

    #[test]
    fn each_time_a_read_is_asked_it_has_another_mark_and_any_of_them_answers_it() {
        let mut reads = Reads::default();
        let first = reads.opened(ms(0), 7);
        assert_eq!(reads.due(ms(49), false), []);
        let again = reads.due(ms(50), false);
        assert_eq!(again.len(), 1);
        assert_ne!(again[0], first);
        assert_eq!(reads.answered(first), Some(7));
        assert_eq!(reads.answered(again[0]), None, "once");
        assert_eq!(reads.deadline(), None);
    }

    #[test]
    fn marks_are_bounded() {
        let mut reads = Reads::default();
        let first = reads.opened(ms(0), 7);
        let later: Vec<Mark> = (1..=8).flat_map(|_| reads.due(ms(0), true)).collect();
        assert_eq!(reads.tokens.len(), MARKS_MAX);
        assert_eq!(reads.answered(first), None);
        assert_eq!(reads.answered(later[0]), Some(7));
        assert!(reads.tokens.is_empty() && reads.open.is_empty());
    }
}
