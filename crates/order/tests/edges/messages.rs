//! Whatever a peer sends is taken or refused.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use bytes::Bytes;
use order::Output;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use wire::Time;
use wire::engine::{EngineKind, EngineMessage, LogEntry, LogEntryKind};
use wire::frame::{decode_body, to_bytes};

use crate::world::{World, id};

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
            entries: entries.into(),
        }
    })
}

/// What members said to each other in a life with joiners, entries, reads, a leader that was cut off
/// and came back, and one that handed over.
static SAID: LazyLock<Vec<EngineMessage>> = LazyLock::new(|| {
    let mut world = World::of(3);
    world.propose("one");
    world.quiet();
    let now = Time(world.now);
    world.order(2).read(now, 7);
    world.quiet();
    world.cut_off(1);
    world.until("another leads", |world| {
        world.get(2).leads() || world.get(3).leads()
    });
    world.quiet();
    world.heal();
    world.until("the old leader follows", |world| !world.get(1).leads());
    world.propose("two");
    world.quiet();
    let (now, leader) = (Time(world.now), world.leader().unwrap());
    world.order(leader).hand_over(now, id(1)).unwrap();
    world.until("it leads again", |world| world.get(1).leads());
    world.quiet();
    world.said
});

#[test]
fn every_kind_of_message_is_said() {
    let kinds: BTreeSet<u8> = SAID.iter().map(|message| message.kind as u8).collect();
    let all = 0..=EngineKind::RequestPreVoteResponse as u8;
    assert_eq!(kinds, all.collect());
    assert!(SAID.iter().any(|message| !message.entries.is_empty()));
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

    /// What was said and damaged on its way, but still is a message, never makes a member panic, and
    /// what the member delivers goes on where it was.
    #[test]
    fn damaged_messages_of_a_peer_are_taken_or_refused(
        damaged in proptest::collection::vec(
            fuzz::damaged(SAID.iter().map(to_bytes).collect()),
            1..60,
        ),
        number in 1..4_u64,
    ) {
        let mut world = World::of(3);
        world.propose("before");
        world.quiet();
        let mut delivered = world.node(number).delivered.last().unwrap().position;
        for bytes in damaged {
            let Ok(message) = decode_body::<EngineMessage>(&bytes) else {
                continue;
            };
            let committed = world.get(number).committed();
            world.order(number).step(EngineMessage { to: number, ..message });
            let (now, mut out) = (Time(world.now), Vec::new());
            world.order(number).turn(now, &mut out);
            proptest::prop_assert!(world.get(number).committed() >= committed);
            for output in out {
                if let Output::Delivered(delivery) = output {
                    proptest::prop_assert_eq!(delivery.position, delivered.next());
                    delivered = delivery.position;
                }
            }
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
            entries: entries.to_vec().into(),
        });
        world.order(2).turn(now, &mut Vec::new());
        let follow = (first, second) == (end + 1, end + 2);
        let last = if follow { end + 2 } else { end };
        assert_eq!(world.get(2).last().0, last, "{first} {second}");
        assert_eq!(world.get(2).committed().0, end);
    }
}
