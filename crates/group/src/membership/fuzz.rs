//! A membership that came with a state is one, or is refused.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use ::fuzz::Decoder;
use bytes::Bytes;
use wire::engine::{EngineChange, EngineStep, LogEntry, LogEntryKind};
use wire::list::List;
use wire::member::{Binary, Formats, Seat};
use wire::{Build, Version};

use super::*;

fn member(number: u64) -> Member {
    Member {
        id: MemberId::new(number).unwrap(),
        host: "alpha".to_owned(),
        address: "127.0.0.1:4000".parse().unwrap(),
        binary: Binary {
            version: Version::new(1, 2, 3),
            build: Build([7; 32]),
        },
        formats: Formats {
            own: 2,
            reads: vec![1, 2],
            writes: vec![2],
        },
        seat: Seat(0),
        attempt: 1,
        standing: Standing::Serving,
    }
}

fn entry(index: u64, kind: LogEntryKind) -> LogEntry {
    let change = EngineChange {
        explicit: true,
        steps: vec![EngineStep::Voter(2), EngineStep::Out(1)],
    };
    LogEntry {
        kind,
        term: 3,
        index,
        data: to_bytes(&change).into(),
        context: Bytes::from_static(b"context"),
    }
}

fn tail() -> Tail {
    let entries = vec![
        entry(5, LogEntryKind::Normal),
        entry(6, LogEntryKind::Change),
    ];
    // Only the order makes tails; they are written as their fields in a row.
    decode_body(&to_bytes(&(Position(4), 3_u64, entries))).unwrap()
}

fn grown() -> Membership {
    let mut membership = Membership::found("group".to_owned(), "service".to_owned(), 1, member(1));
    let configuration = membership.configuration.clone();
    for number in 2..=4 {
        let admit = Change::Admit(member(number));
        membership.changed(Position(number), &admit, configuration.clone());
    }
    let promote = Change::Promote {
        joiner: MemberId::new(2).unwrap(),
        replaces: None,
    };
    membership.changed(Position(5), &promote, configuration);
    membership
}

#[test]
fn a_membership_survives_whatever_comes() {
    let snapshot = Snapshot::new(grown(), OrderedTime(7));
    // As dense as they can be written: numbers of members, and entries that hold nothing.
    let mut wide = grown();
    wide.configuration.voters = vec![MemberId::new(1).unwrap(); 3000];
    let wide = Snapshot::new(wide, OrderedTime(7));
    let empty = LogEntry {
        kind: LogEntryKind::Normal,
        term: 1,
        index: 1,
        data: Bytes::new(),
        context: Bytes::new(),
    };
    let entries: List<LogEntry> = std::iter::repeat_n(empty, 3000).collect();
    let long: Tail = decode_body(&to_bytes(&(Position(4), 3_u64, entries))).unwrap();
    let valid = [
        snapshot.to_bytes(),
        snapshot.clone().with_tail(tail()).to_bytes(),
        wide.to_bytes(),
        snapshot.with_tail(long).to_bytes(),
    ];
    Decoder::of("membership", valid)
        // A member's number is one byte when it is written and eight in memory.
        .times(8)
        .survives(|bytes| Snapshot::from_bytes(bytes).is_ok());
}

#[test]
fn a_log_that_does_not_end_where_it_should_is_refused_whatever_it_holds() {
    let valid = to_bytes(&tail());
    assert!(tail().ends_at(Position(6), 3));
    Decoder::of("tail", [valid])
        .buffer(4 << 10)
        .survives(|bytes| {
            decode_body::<Tail>(bytes).is_ok_and(|tail| tail.ends_at(Position(6), 3))
        });
    for before in [u64::MAX, u64::MAX - 1] {
        let entries = vec![
            entry(0, LogEntryKind::Normal),
            entry(1, LogEntryKind::Normal),
        ];
        let tail: Tail = decode_body(&to_bytes(&(Position(before), 3_u64, entries))).unwrap();
        assert!(!tail.ends_at(Position(1), 3));
    }
}
