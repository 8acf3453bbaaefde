//! The log in memory, and the one small interface through which it is written.
//!
//! The engine reads through its own `Storage` trait; everything that a disk would have to keep
//! passes [`Log::append`], [`Log::keep`] and [`Log::compact`], so that another storage needs to
//! implement only these. Nothing here is ever sent as a snapshot: a reader that asks for compacted
//! entries is told so, and a new state transfer begins.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError};
use wire::Position;

use crate::configuration::{Start, Tail};
use crate::convert::entry_from_engine;

pub(crate) struct Log {
    hard: HardState,
    configuration: ConfState,
    /// Index and term of the entry just before the first kept one.
    before: (u64, u64),
    entries: VecDeque<Entry>,
    bytes: u64,
    /// Peers whose missing entries are compacted; the engine asks by shared reference.
    asked: RefCell<BTreeSet<u64>>,
}

impl Log {
    /// A log that continues `start`.
    pub(crate) fn new(start: &Start) -> Log {
        let index = start.position.0;
        let hard = HardState {
            term: start.term,
            commit: index,
            ..HardState::default()
        };
        let (before, entries) = start.tail.to_engine();
        let mut log = Log {
            hard,
            configuration: start.configuration.to_engine(),
            before,
            entries: VecDeque::new(),
            bytes: 0,
            asked: RefCell::default(),
        };
        log.append(entries);
        log
    }

    /// Everything that is kept up to `position`.
    pub(crate) fn tail(&self, position: Position) -> Tail {
        let kept = self.entries.iter();
        let kept = kept.take_while(|entry| entry.index <= position.0);
        Tail::new(self.before, kept.cloned().map(entry_from_engine))
    }

    /// Everything behind this index.
    pub(crate) fn behind(&self, index: u64) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.index > index)
    }

    /// Adds entries, replacing what an earlier leader left at their indexes.
    pub(crate) fn append(&mut self, entries: Vec<Entry>) {
        let Some(first) = entries.first() else { return };
        let kept = first.index - self.before.0 - 1;
        let kept = usize::try_from(kept).expect("the log fits in memory");
        assert!(
            kept <= self.entries.len(),
            "the engine appends without a gap"
        );
        for gone in self.entries.drain(kept..) {
            self.bytes -= size(&gone);
        }
        for entry in entries {
            self.bytes += size(&entry);
            self.entries.push_back(entry);
        }
    }

    /// Keeps the engine's term, vote and commit index.
    pub(crate) fn keep(&mut self, hard: HardState) {
        self.hard = hard;
    }

    pub(crate) fn keep_commit(&mut self, index: u64) {
        self.hard.commit = index;
    }

    pub(crate) fn keep_configuration(&mut self, configuration: ConfState) {
        self.configuration = configuration;
    }

    /// Forgets everything up to and including `position`, which must be applied.
    pub(crate) fn compact(&mut self, position: Position) {
        while let Some(first) = self.entries.front()
            && first.index <= position.0
        {
            self.before = (first.index, first.term);
            self.bytes -= size(first);
            self.entries.pop_front();
        }
    }

    /// Bytes that the kept entries take.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn hard(&self) -> &HardState {
        &self.hard
    }

    /// The first position that is still here.
    pub(crate) fn first(&self) -> Position {
        Position(self.before.0 + 1)
    }

    /// The position just before the first that is still here.
    pub(crate) fn before(&self) -> Position {
        Position(self.before.0)
    }

    /// Whose missing entries the engine asked for in vain since the last call.
    pub(crate) fn take_asked(&self) -> BTreeSet<u64> {
        std::mem::take(&mut self.asked.borrow_mut())
    }

    fn at(&self, index: u64) -> Option<&Entry> {
        let offset = index.checked_sub(self.before.0 + 1)?;
        self.entries.get(usize::try_from(offset).ok()?)
    }
}

/// What an entry takes in memory, near enough for a budget.
fn size(entry: &Entry) -> u64 {
    (entry.data.len() + entry.context.len() + size_of::<Entry>()) as u64
}

impl Storage for Log {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(RaftState::new(
            self.hard.clone(),
            self.configuration.clone(),
        ))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.before.0 {
            return Err(Error::Store(StorageError::Compacted));
        }
        let budget = max_size.into().unwrap_or(u64::MAX);
        let mut taken = 0;
        let mut entries = Vec::new();
        for index in low..high {
            let Some(entry) = self.at(index) else {
                return Err(Error::Store(StorageError::Unavailable));
            };
            taken += size(entry);
            // The engine wants at least one entry, however large.
            if taken > budget && !entries.is_empty() {
                break;
            }
            entries.push(entry.clone());
        }
        Ok(entries)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index == self.before.0 {
            return Ok(self.before.1);
        }
        if index < self.before.0 {
            return Err(Error::Store(StorageError::Compacted));
        }
        self.at(index)
            .map(|entry| entry.term)
            .ok_or(Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.before.0 + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.before.0 + self.entries.len() as u64)
    }

    fn snapshot(&self, _request_index: u64, to: u64) -> raft::Result<Snapshot> {
        self.asked.borrow_mut().insert(to);
        Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
    }
}
