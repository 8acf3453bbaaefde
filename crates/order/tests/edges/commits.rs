//! What is committed is delivered everywhere, however its word is delayed.

use bytes::Bytes;
use order::Output;
use wire::MemberId;
use wire::engine::{EngineKind, EngineMessage};
use wire::list::List;

use crate::world::{World, id};

/// Takes the messages off the wire that pass from one member to another and are so.
fn hold(
    world: &mut World,
    (from, to): (u64, u64),
    so: impl Fn(&EngineMessage) -> bool,
) -> Vec<(MemberId, MemberId, Output)> {
    let is_held = |(sender, receiver, output): &(MemberId, MemberId, Output)| {
        let Output::Send { message, .. } = output else {
            return false;
        };
        (*sender, *receiver) == (id(from), id(to)) && so(message)
    };
    let (held, rest) = std::mem::take(&mut world.wire)
        .into_iter()
        .partition(is_held);
    world.wire = rest;
    Vec::from(held)
}

/// A rejection that was said long ago comes while the member is probed: the engine would go back to where
/// the leader's log has ended, and stay there for ever.
#[test]
fn a_rejection_of_what_a_member_has_is_not_believed() {
    let mut world = World::of(3);
    for number in 0..5 {
        world.propose(&format!("{number}"));
        world.quiet();
    }
    let leader = world.leader().unwrap();
    let member = if leader == 2 { 3 } else { 2 };
    let last = world.get(leader).last();
    world.order(leader).compact(last);
    world.order(leader).disconnected(id(member));
    let term = world.get(leader).term();
    world.order(leader).step(EngineMessage {
        kind: EngineKind::AppendResponse,
        from: member,
        to: leader,
        term,
        log_term: 0,
        index: last.0,
        commit: last.0,
        commit_term: 0,
        reject: true,
        reject_hint: last.0 - 2,
        priority: 0,
        context: Bytes::new(),
        entries: List::default(),
    });
    world.order(leader).connected();
    world.propose("after");
    world.until("the member has it", |world| {
        world
            .texts(member)
            .last()
            .is_some_and(|text| text == "after")
    });
    assert_eq!(world.node(leader).needs_state, []);
}

/// The word of the commit overtakes the entry, and then the answer to the entry overtakes the
/// rejection of the word: nothing is lost, everything is late, and nobody asks for anything more.
#[test]
fn a_commit_reaches_a_member_that_rejected_its_word() {
    let mut world = World::of(3);
    let leader = world.leader().unwrap();
    let [last, other] = [1, 2, 3]
        .into_iter()
        .filter(|member| *member != leader)
        .collect::<Vec<u64>>()[..]
    else {
        panic!("three members");
    };

    world.propose("late");
    world.step();
    let entry = hold(&mut world, (leader, last), |message| {
        message.kind == EngineKind::Append && !message.entries.is_empty()
    });
    assert_eq!(entry.len(), 1, "the entry is under way");
    world.until("the word of the commit", |world| {
        world.wire.iter().any(|(_, to, _)| *to == id(last))
    });
    world.step();
    let rejection = hold(&mut world, (last, leader), |message| message.reject);
    assert_eq!(rejection.len(), 1, "the word came before the entry");
    world.wire.extend(entry);
    world.step();
    world.step();
    world.wire.extend(rejection);

    world.until("the others deliver it", |world| {
        world.texts(other) == ["late"]
    });
    world.quiet();
    assert_eq!(world.texts(last), ["late"]);
}
