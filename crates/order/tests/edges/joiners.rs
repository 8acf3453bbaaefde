//! Edges of joiners, which begin out of band.

use order::{Order, Step};
use wire::{MemberId, Time};

use crate::world::{World, id};

/// Edge: a new learner is not probed until the next proposal or heartbeat. Recipe: out-of-band start.
#[test]
fn a_joiner_gets_the_order_although_nothing_is_proposed() {
    let mut world = World::of(3);
    world.change(Step::Admit(id(4)));
    let start = world.start_of(1);
    world.propose("after its state");
    world.quiet();
    world.begin(4, &start);
    world.until("it follows", |world| world.texts(4) == ["after its state"]);
}

/// The same when the leader has forgotten everything up to the joiner's state.
#[test]
fn a_joiner_begins_where_the_leader_has_forgotten_what_was_before() {
    let mut world = World::of(3);
    world.change(Step::Admit(id(4)));
    for _ in 0..20 {
        world.propose("long ago");
        world.step();
    }
    world.quiet();
    let start = world.start_of(1);
    world.order(1).compact(start.position);
    world.quiet();
    world.begin(4, &start);
    world.propose("now");
    world.until("it follows", |world| world.texts(4) == ["now"]);
    assert_eq!(world.node(1).needs_state, []);
}

/// Edge: what left the log is never sent as a snapshot; the joiner needs a new state.
#[test]
fn a_learner_that_the_log_has_left_behind_needs_a_new_state() {
    let mut world = World::of(3);
    world.join(4);
    let cut: Vec<(MemberId, MemberId)> = (1..=3).map(|other| (id(other), id(4))).collect();
    world.cut.extend(cut);
    for _ in 0..20 {
        world.propose("missed");
        world.step();
    }
    world.quiet();
    let last = world.get(1).last();
    world.order(1).compact(last);
    world.cut.clear();
    world.order(1).disconnected(id(4));
    world.order(1).connected();
    world.until("it is noticed", |world| {
        world.nodes[&id(1)].needs_state == [id(4)]
    });
}

/// Edge: a transferred configuration may be joint; the whole of it is carried.
#[test]
fn a_joiner_may_begin_in_the_middle_of_a_swap() {
    let mut world = World::of(3);
    world.join(4);
    world.change(Step::Swap {
        joiner: id(4),
        leaver: id(3),
    });
    let start = world.start_of(1);
    assert!(start.configuration.joint());
    let mut late = Order::start(id(9), &start);
    let mut out = Vec::new();
    late.turn(Time(world.now), &mut out);
    assert!(late.configuration().joint());
    assert!(!late.leads());
}
