//! Edges of linearizable reads.

use std::collections::BTreeSet;

use order::Content;
use wire::Time;

use crate::world::{World, id};

/// Edge: lease reads are unsafe across a hand-over; reads ask a majority.
#[test]
fn a_leader_that_was_cut_off_answers_no_read() {
    let mut world = World::of(3);
    world.cut.insert((id(1), id(2)));
    world.cut.insert((id(1), id(3)));
    world.cut.insert((id(2), id(1)));
    world.cut.insert((id(3), id(1)));
    for number in [2, 3] {
        world.order(number).silent(BTreeSet::from([id(1)]));
    }
    world.until("another leads", |world| {
        world.get(2).leads() || world.get(3).leads()
    });
    let now = Time(world.now);
    world.order(1).read(now, 7);
    world.quiet();
    assert_eq!(
        world.node(1).readable,
        [],
        "it cannot know that it is up to date"
    );
}

/// Edge: a read is dropped before the first commit of a term, and when the leader is lost.
#[test]
fn a_read_is_asked_again_until_a_leader_answers() {
    let mut world = World::of(3);
    world.propose("before");
    world.until("delivered", |world| world.texts(2).len() == 1);
    world.lose(1, true);
    let now = Time(world.now);
    world.order(2).read(now, 7);
    world.until("the read is answered", |world| {
        !world.nodes[&id(2)].readable.is_empty()
    });
    let (token, position) = world.node(2).readable[0];
    assert_eq!(token, 7);
    let known = &world.nodes[&id(2)].delivered;
    let before = known
        .iter()
        .find(|d| matches!(d.content, Content::Entry(_)))
        .unwrap();
    assert!(
        position >= before.position,
        "it sees what was acknowledged before it"
    );
}

/// Edge: a read is dropped when the leader is lost. Who follows the next one asks it at once, long
/// before it would ask again by itself.
#[test]
fn a_read_is_asked_again_as_soon_as_another_leads() {
    let mut world = World::of(3);
    world.lose(1, true);
    let asked = world.now;
    world.order(3).read(Time(asked), 7);
    world.until("the read is answered", |world| {
        !world.nodes[&id(3)].readable.is_empty()
    });
    assert_eq!(world.leader(), Some(2));
    assert!(world.now - asked < 10_000, "{} µs", world.now - asked);
}

/// Edge: a new leader answers no reads before its first commit, and drops its own.
#[test]
fn a_read_at_the_next_leader_is_asked_again_at_its_first_commit() {
    let mut world = World::of(3);
    world.lose(1, true);
    let asked = world.now;
    world.order(2).read(Time(asked), 7);
    world.until("the read is answered", |world| {
        !world.nodes[&id(2)].readable.is_empty()
    });
    assert_eq!(world.leader(), Some(2));
    assert!(world.now - asked < 10_000, "{} µs", world.now - asked);
}

/// A follower asks the leader; the leader's answer names a position that has everything.
#[test]
fn a_follower_reads_by_the_leaders_position() {
    let mut world = World::of(3);
    world.propose("before");
    world.until("delivered", |world| world.texts(1).len() == 1);
    let before = world.get(1).committed();
    let now = Time(world.now);
    world.order(3).read(now, 9);
    world.until("the read is answered", |world| {
        !world.nodes[&id(3)].readable.is_empty()
    });
    assert_eq!(world.node(3).readable, [(9, before)]);
}

/// Members number their reads alike; the engine must not take one's for another's.
#[test]
fn reads_of_several_members_under_one_number_are_all_answered_at_once() {
    let mut world = World::of(3);
    world.quiet();
    let now = Time(world.now);
    for number in 1..=3 {
        world.order(number).read(now, 5);
    }
    world.quiet();
    let answered = |number| world.nodes[&id(number)].readable.len();
    assert_eq!([answered(1), answered(2), answered(3)], [1, 1, 1]);
}
