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
