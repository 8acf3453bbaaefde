//! Whatever a peer sends is taken or refused.

use bytes::Bytes;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use wire::Time;
use wire::engine::{EngineKind, EngineMessage, LogEntry, LogEntryKind};

use crate::world::World;

fn kind() -> impl Strategy<Value = EngineKind> {
    prop_oneof![
        Just(EngineKind::Append),
        Just(EngineKind::AppendResponse),
        Just(EngineKind::RequestVote),
        Just(EngineKind::RequestVoteResponse),
        Just(EngineKind::Heartbeat),
        Just(EngineKind::HeartbeatResponse),
        Just(EngineKind::TimeoutNow),
        Just(EngineKind::ReadIndex),
        Just(EngineKind::ReadIndexResponse),
        Just(EngineKind::RequestPreVote),
        Just(EngineKind::RequestPreVoteResponse),
    ]
}

fn entry() -> impl Strategy<Value = LogEntry> {
    (any::<bool>(), 0..6_u64, 0..24_u64, any::<Vec<u8>>()).prop_map(
        |(normal, term, index, data)| LogEntry {
            kind: if normal {
                LogEntryKind::Normal
            } else {
                LogEntryKind::Change
            },
            term,
            index,
            data: data.into(),
            context: Bytes::new(),
        },
    )
}

fn message() -> impl Strategy<Value = EngineMessage> {
    let numbers = (0..5_u64, 0..6_u64, 0..6_u64, 0..24_u64, 0..24_u64, 0..6_u64);
    let rest = (
        any::<bool>(),
        0..24_u64,
        any::<Vec<u8>>(),
        proptest::collection::vec(entry(), 0..4),
    );
    (kind(), numbers, rest).prop_map(|(kind, numbers, rest)| {
        let (from, term, log_term, index, commit, commit_term) = numbers;
        let (reject, reject_hint, context, entries) = rest;
        EngineMessage {
            kind,
            from,
            to: 2,
            term,
            log_term,
            index,
            commit,
            commit_term,
            reject,
            reject_hint,
            priority: 0,
            context: context.into(),
            entries,
        }
    })
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..proptest::prelude::ProptestConfig::default()
    })]

    /// What a peer sends never makes a member panic.
    #[test]
    fn any_messages_of_a_peer_are_taken_or_refused(
        messages in proptest::collection::vec(message(), 1..12),
        number in 1..4_u64,
    ) {
        let mut world = World::of(3);
        for message in messages {
            world.order(number).step(EngineMessage { to: number, ..message });
            let now = Time(world.now);
            let mut out = Vec::new();
            world.order(number).turn(now, &mut out);
        }
    }
}

/// Two entries, at any two positions around the end of the log: only those that follow it and each
/// other are taken.
#[test]
fn an_append_whose_entries_do_not_follow_is_refused() {
    let end = World::of(3).get(2).last().0;
    let near = end - 2..=end + 4;
    for (first, second) in near.clone().flat_map(|a| near.clone().map(move |b| (a, b))) {
        let mut world = World::of(3);
        let term = world.get(1).term();
        let entries = [first, second].map(|index| LogEntry {
            kind: LogEntryKind::Normal,
            term,
            index,
            data: Bytes::from_static(b"sent"),
            context: Bytes::new(),
        });
        let now = Time(world.now);
        world.order(2).step(EngineMessage {
            kind: EngineKind::Append,
            from: 1,
            to: 2,
            term,
            log_term: term,
            index: end,
            commit: end,
            commit_term: 0,
            reject: false,
            reject_hint: 0,
            priority: 0,
            context: Bytes::new(),
            entries: entries.into(),
        });
        world.order(2).turn(now, &mut Vec::new());
        let follow = (first, second) == (end + 1, end + 2);
        let last = if follow { end + 2 } else { end };
        assert_eq!(world.get(2).last().0, last, "{first} {second}");
        assert_eq!(world.get(2).committed().0, end);
    }
}
