//! A lane: the requests of one numbering, from the oldest unresolved one on.
//!
//! Numbers are given in the order of asking. What is resolved at the old end leaves, so the lane's
//! start is the acknowledged floor; a request abandoned at its deadline is resolved like any other
//! and never holds the floor. Only numbers within the window from the start are sent; the others
//! wait here.

use std::collections::VecDeque;

use wire::log::{SpecifyRequest, UpgradeRequest};

use super::sending::Sending;
use crate::options::Request;

/// What is asked of the group.
#[derive(Debug)]
pub(super) enum Body {
    Call(Request),
    Json { method: String, arguments: String },
    Open,
    Status,
    Upgrade(Box<UpgradeRequest>),
    Specify(Box<SpecifyRequest>),
}

impl Body {
    /// Members acknowledge for a JSON call all numbers below its own, so it must not overtake any.
    fn goes_alone(&self) -> bool {
        match self {
            Body::Json { .. } => true,
            Body::Call(_) | Body::Open | Body::Status | Body::Upgrade(_) | Body::Specify(_) => {
                false
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) ticket: u64,
    pub(super) body: Body,
    pub(super) sending: Sending,
}

#[derive(Debug)]
pub(super) struct Lane {
    /// The number of the first entry. All below are resolved.
    first: u64,
    entries: VecDeque<Option<Entry>>,
    /// The first number that was not yet admitted to the window.
    waiting: u64,
    window: u64,
    waiting_max: u64,
}

impl Lane {
    pub(super) fn new(window: u64, waiting_max: u64) -> Lane {
        Lane {
            first: 1,
            entries: VecDeque::new(),
            waiting: 1,
            window,
            waiting_max,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The highest number up to which all are resolved.
    pub(super) fn acknowledged(&self) -> u64 {
        self.first - 1
    }

    /// Whether as many wait for the window as may.
    pub(super) fn is_full(&self) -> bool {
        let next = self.first + self.entries.len() as u64;
        next - self.waiting >= self.waiting_max
    }

    /// Gives the next number.
    pub(super) fn push(&mut self, entry: Entry) {
        self.entries.push_back(Some(entry));
    }

    /// The next number that the window admits, if any.
    pub(super) fn admit(&mut self) -> Option<u64> {
        loop {
            let number = self.waiting;
            let at = usize::try_from(number - self.first).ok()?;
            if number - self.first >= self.window {
                return None;
            }
            match self.entries.get(at)? {
                Some(entry) if entry.body.goes_alone() && at > 0 => return None,
                Some(_) => {
                    self.waiting += 1;
                    return Some(number);
                }
                // It was abandoned while it waited.
                None => self.waiting += 1,
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_admitted(&self, number: u64) -> bool {
        assert!(self.waiting - self.first <= self.window);
        number < self.waiting
    }

    fn at(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }

    pub(super) fn get(&self, number: u64) -> Option<&Entry> {
        self.entries.get(self.at(number)?)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Entry> {
        let at = self.at(number)?;
        self.entries.get_mut(at)?.as_mut()
    }

    /// The request is resolved.
    pub(super) fn take(&mut self, number: u64) -> Option<Entry> {
        let at = self.at(number)?;
        let entry = self.entries.get_mut(at)?.take();
        while let Some(None) = self.entries.front() {
            self.entries.pop_front();
            self.first += 1;
        }
        self.waiting = self.waiting.max(self.first);
        entry
    }

    /// All unresolved requests with their numbers, oldest first.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut Entry)> {
        let first = self.first;
        self.entries
            .iter_mut()
            .zip(first..)
            .filter_map(|(entry, number)| Some((number, entry.as_mut()?)))
    }
}
