//! Which transfers were applied: runs of numbers per stream.
//!
//! Clients number one by one, so that however many transfers there were, a stream is mostly one
//! run: the ledger's memory does not grow with its age.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Reference, References};

/// The references that were applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// For each stream its runs: the first number of each, and the last. Runs never touch.
    pub streams: BTreeMap<u32, BTreeMap<u64, u64>>,
    /// How many references that are.
    pub count: u64,
}

impl Applied {
    /// Whether this reference was applied.
    pub fn contains(&self, reference: Reference) -> bool {
        let runs = self.streams.get(&reference.stream);
        let before = runs.and_then(|runs| runs.range(..=reference.number).next_back());
        before.is_some_and(|(_, last)| *last >= reference.number)
    }

    /// Notes a reference that is not there yet; how many there are then.
    pub fn insert(&mut self, reference: Reference) -> u64 {
        let number = reference.number;
        let runs = self.streams.entry(reference.stream).or_default();
        let before = runs
            .range(..number)
            .next_back()
            .map(|(first, last)| (*first, *last));
        let first = match before {
            Some((first, last)) if last + 1 == number => first,
            Some(_) | None => number,
        };
        let after = number.checked_add(1).and_then(|after| runs.remove(&after));
        runs.insert(first, after.unwrap_or(number));
        self.count += 1;
        self.count
    }

    /// How many references there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Up to `limit` runs that do not end before `from`, and where the next page begins.
    pub fn page(&self, from: Reference, limit: usize) -> (Vec<References>, Option<Reference>) {
        let streams = self.streams.range(from.stream..);
        let runs = streams.flat_map(|(stream, runs)| {
            runs.iter().map(|(first, last)| References {
                stream: *stream,
                first: *first,
                last: *last,
            })
        });
        let ended = |run: &References| run.stream == from.stream && run.last < from.number;
        let mut runs = runs.skip_while(ended);
        let page = runs.by_ref().take(limit).collect();
        let next = runs.next().map(|run| Reference {
            stream: run.stream,
            number: run.first,
        });
        (page, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(stream: u32, number: u64) -> Reference {
        Reference { stream, number }
    }

    fn run(stream: u32, first: u64, last: u64) -> References {
        References {
            stream,
            first,
            last,
        }
    }

    #[test]
    fn neighbours_become_one_run_in_whatever_order_they_come() {
        let mut applied = Applied::default();
        for number in [5, 1, 3, 2, u64::MAX, 0] {
            assert!(!applied.contains(reference(7, number)));
            applied.insert(reference(7, number));
            assert!(applied.contains(reference(7, number)));
        }
        let (runs, next) = applied.page(reference(0, 0), 10);
        assert_eq!(
            runs,
            [run(7, 0, 3), run(7, 5, 5), run(7, u64::MAX, u64::MAX)]
        );
        assert_eq!((next, applied.count()), (None, 6));
        assert!(!applied.contains(reference(7, 4)) && !applied.contains(reference(8, 1)));
    }

    #[test]
    fn pages_follow_each_other() {
        let mut applied = Applied::default();
        for (stream, number) in [(1, 1), (1, 2), (1, 9), (2, 4), (3, 1)] {
            applied.insert(reference(stream, number));
        }
        let (first, next) = applied.page(reference(0, 0), 2);
        assert_eq!(
            (first, next),
            (vec![run(1, 1, 2), run(1, 9, 9)], Some(reference(2, 4)))
        );
        let (second, next) = applied.page(reference(2, 4), 2);
        assert_eq!((second, next), (vec![run(2, 4, 4), run(3, 1, 1)], None));
        let (middle, _) = applied.page(reference(1, 2), 1);
        assert_eq!(middle, [run(1, 1, 2)]);
    }
}
