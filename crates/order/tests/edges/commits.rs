//! What is committed is delivered everywhere, however its word is delayed.

use order::Output;
use wire::MemberId;
use wire::engine::{EngineKind, EngineMessage};

use crate::world::{World, id};

/// Takes the messages off the wire that pass from one member to another and are so.
fn hold(
    world: &mut World,
    (from, to): (u64, u64),
    so: impl Fn(&EngineMessage) -> bool,
) -> Vec<(MemberId, MemberId, Output)> {
    let (held, rest) =
        std::mem::take(&mut world.wire)
            .into_iter()
            .partition(|(sender, receiver, output)| {
                let message = match output {
                    Output::Send { message, .. } => message,
                    _ => return false,
                };
                (*sender, *receiver) == (id(from), id(to)) && so(message)
            });
    world.wire = rest;
    Vec::from(held)
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
