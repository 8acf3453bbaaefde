//! Edges and the recipe of a planned change of leader.

use std::collections::BTreeSet;

use order::{Refusal, Step};
use wire::Time;

use crate::world::{World, id};

/// Edge: a leader that is removed does not step down.
#[test]
fn a_leader_is_not_taken_out_before_it_has_handed_over() {
    let mut world = World::of(3);
    let removal = world.order(1).change(Step::Remove(id(1)), Vec::new());
    assert_eq!(removal, Err(Refusal::RemovesLeader));
    world.join(4);
    world.change(Step::Swap {
        joiner: id(4),
        leaver: id(1),
    });
    assert_eq!(
        world.order(1).change(Step::Settle, Vec::new()),
        Err(Refusal::RemovesLeader)
    );
    let now = Time(world.now);
    world.quiet();
    world.order(1).hand_over(now, id(2)).unwrap();
    world.until("another leads", |world| world.get(2).leads());
    world.change(Step::Settle);
    world.propose("without the old leader");
    world.until("it goes on", |world| world.texts(4).len() == 1);
    assert!(!world.get(4).configuration().contains(id(1)));
}

/// Edge: who led and was removed can panic later, or answer reads as if it were alone. Even if the
/// leader is dead for all that it knows, it leads, answers and orders nothing.
#[test]
fn who_led_and_was_replaced_does_nothing_any_more() {
    let mut world = World::of(3);
    world.join(4);
    world.change(Step::Swap {
        joiner: id(4),
        leaver: id(1),
    });
    let now = Time(world.now);
    world.quiet();
    world.order(1).hand_over(now, id(2)).unwrap();
    world.until("another leads", |world| world.get(2).leads());
    world.change(Step::Settle);
    world.until("it knows", |world| {
        !world.get(1).configuration().contains(id(1))
    });
    assert_eq!(
        world.order(1).propose(b"alone".to_vec()),
        Err(Refusal::NotLeading)
    );
    for other in [2, 3, 4].map(id) {
        world.cut.extend([(id(1), other), (other, id(1))]);
    }
    world.order(1).dead(id(2));
    let now = Time(world.now);
    world.order(1).read(now, 7);
    let term = world.get(1).term();
    for _ in 0..2_000 {
        world.step();
        assert!(!world.get(1).leads());
    }
    assert_eq!(world.node(1).readable, []);
    assert_eq!(world.get(1).term(), term, "it asks for no votes");
    world.propose("without it");
    world.until("they go on", |world| world.texts(4) == ["without it"]);
    assert!(world.texts(1).is_empty());
}

/// Edge: a hand-over has no negative answer, and with ticks off it can hang.
#[test]
fn a_hand_over_that_is_not_answered_is_called_off() {
    let mut world = World::of(3);
    world.cut.insert((id(1), id(2)));
    let now = Time(world.now);
    world.order(1).hand_over(now, id(2)).unwrap();
    assert_eq!(
        world.order(1).propose(b"held".to_vec()),
        Err(Refusal::HandingOver)
    );
    world.until("proposals are taken again", |world| {
        !world.get(1).hands_over()
    });
    assert!(world.get(1).leads());
    world.propose("after");
    world.until("delivered", |world| world.texts(3) == ["after"]);
}

/// Edge: who was named may be unable to lead for reasons that the leader cannot see. Naming it again
/// and again would leave no time for requests; another one may be named at once.
#[test]
fn who_was_named_in_vain_is_not_named_again_at_once() {
    let mut world = World::of(3);
    world.cut.insert((id(1), id(2)));
    let now = Time(world.now);
    world.order(1).hand_over(now, id(2)).unwrap();
    world.until("it is called off", |world| !world.get(1).hands_over());
    let (now, again) = (Time(world.now), Time(world.now + 200_000));
    assert_eq!(
        world.order(1).hand_over(now, id(2)),
        Err(Refusal::CannotLead)
    );
    assert!(world.get(1).deadline() <= Some(again), "it says when");
    world.order(1).hand_over(now, id(3)).unwrap();
    world.until("the other leads", |world| world.get(3).leads());
    world.cut.clear();
    world.quiet();
    let later = Time(world.now);
    world.order(3).hand_over(later, id(1)).unwrap();
    world.until("the first leads again", |world| world.get(1).leads());
    world.quiet();
    let later = Time(world.now);
    world.order(1).hand_over(later, id(3)).unwrap();
    world.until("who has led is not made to wait", |world| {
        world.get(3).leads()
    });
}

/// Recipe: hand-over. What was under way survives it, and nobody sees two leaders.
#[test]
fn a_hand_over_keeps_what_is_under_way() {
    let mut world = World::of(3);
    world.propose("under way");
    let now = Time(world.now);
    world.order(1).hand_over(now, id(3)).unwrap();
    world.until("the other leads", |world| world.get(3).leads());
    world.propose("next");
    world.until("both are delivered", |world| {
        world.texts(2) == ["under way", "next"]
    });
}

/// Edge: only a member that has applied its own promotion, is live and has a vote may lead.
#[test]
fn a_learner_or_a_silent_member_cannot_be_handed_leadership() {
    let mut world = World::of(2);
    world.join(3);
    let now = Time(world.now);
    assert_eq!(
        world.order(1).hand_over(now, id(3)),
        Err(Refusal::CannotLead)
    );
    world.order(1).silent(BTreeSet::from([id(2)]));
    assert_eq!(
        world.order(1).hand_over(now, id(2)),
        Err(Refusal::CannotLead)
    );
}

/// Recipe: hand-over, only to a member that has reported its promotion. The engine would wait until it
/// has it, and requests with it.
#[test]
fn who_has_not_reported_its_promotion_cannot_be_handed_leadership() {
    let mut world = World::of(3);
    world.join(4);
    world.cut.insert((id(1), id(4)));
    world.change(Step::Promote(id(4)));
    world.quiet();
    assert!(world.get(1).configuration().voters.contains(&id(4)));
    let now = Time(world.now);
    assert_eq!(
        world.order(1).hand_over(now, id(4)),
        Err(Refusal::CannotLead)
    );
    assert!(!world.get(1).hands_over(), "requests are taken");
    world.cut.clear();
    world.order(1).connected();
    world.quiet();
    let now = Time(world.now);
    world.order(1).hand_over(now, id(4)).unwrap();
    world.until("it leads", |world| world.get(4).leads());
}
