//! Going on without a majority, step by step: the recipe, and the moments in which nobody may.

use order::{Content, Output, Stays, Step};
use wire::Position;
use wire::engine::EngineKind;

use crate::world::{World, id};

fn goes_on(world: &World, number: u64) -> Vec<Position> {
    let delivered = &world.nodes[&id(number)].delivered;
    let goes_on = delivered
        .iter()
        .filter(|delivery| matches!(delivery.content, Content::GoesOn { .. }));
    goes_on.map(|delivery| delivery.position).collect()
}

/// What was proposed comes in order, and the group can grow again.
fn lives(world: &mut World, number: u64, newcomer: u64) {
    assert!(world.get(number).leads());
    world.propose("after");
    world.quiet();
    assert_eq!(world.texts(number).last().unwrap(), "after");
    assert_eq!(world.get(number).configuration().voters, [id(number)]);
    world.join(newcomer);
    world.change(Step::Promote(id(newcomer)));
    world.propose("together");
    world.quiet();
    assert_eq!(world.texts(newcomer).last().unwrap(), "together");
}

#[test]
fn one_of_two_goes_on_at_once_whoever_led() {
    for dead in [1, 2] {
        let mut world = World::of(2);
        world.propose("before");
        world.quiet();
        world.lose(dead, true);
        let survivor = 3 - dead;
        let last = world.get(survivor).last();
        world.step();
        assert_eq!(goes_on(&world, survivor), [last.next()]);
        assert_eq!(world.texts(survivor), ["before"]);
        lives(&mut world, survivor, 3);
    }
}

/// A member that does not know that a change is committed may see a majority by the configuration
/// before it, although nobody can be elected any more: also if it still takes the other one for its
/// leader.
#[test]
fn who_sees_a_majority_of_the_past_stands_back() {
    for (survivor, dead) in [(1, 2), (2, 1)] {
        let mut world = World::of(3);
        world.join(4);
        let promotion = Step::Promote(id(4));
        world.order(1).change(promotion, b"why".to_vec()).unwrap();
        let last = world.get(1).last();
        world.until("all have it", |world| {
            world.get(2).last() == last && world.get(3).last() == last
        });
        world.cut.insert((id(1), id(3)));
        let knows = |world: &World, number| world.get(number).configuration().votes(id(4));
        world.until("it is applied", |world| knows(world, 1) && knows(world, 2));
        world.propose("after the change");
        world.quiet();
        assert!(!knows(&world, 3) && world.get(3).last() < world.get(2).last());
        world.cut.clear();
        world.lose(4, true);
        world.lose(dead, true);
        world.until("one goes on", |world| goes_on(world, survivor).len() == 1);
        assert!(world.get(3).stands_back());
        assert_eq!(world.texts(survivor), ["after the change"]);
        world.nodes.remove(&id(3));
        lives(&mut world, survivor, 5);
    }
}

/// Certain is only what a daemon says.
#[test]
fn silence_is_waited_for() {
    let mut world = World::of(2);
    world.lose(2, false);
    for _ in 0..10_000 {
        world.step();
    }
    assert_eq!(goes_on(&world, 1), []);
    assert!(!world.get(1).leads());
    assert_eq!(world.get(1).survival(), Err(Stays::Majority));
    world.order(1).dead(id(2));
    world.step();
    lives(&mut world, 1, 3);
}

/// What the survivor has and does not know to be committed may have been acknowledged.
#[test]
fn what_only_the_dead_leader_knew_to_be_committed_is_kept() {
    let mut world = World::of(2);
    world.propose("unheard");
    world.step();
    world.step();
    world.lose(1, true);
    world.step();
    assert_eq!(world.texts(2), ["unheard"]);
    lives(&mut world, 2, 3);
}

/// The dead may have delivered a change that the survivor does not know to be committed: it stands
/// in the order everywhere, and ends where the survivor goes on.
#[test]
fn a_change_in_the_end_of_the_log_is_delivered_and_not_applied() {
    let mut world = World::of(2);
    world.cut.insert((id(2), id(1)));
    world
        .order(1)
        .change(Step::Admit(id(9)), b"why".to_vec())
        .unwrap();
    world.quiet();
    world.lose(2, true);
    world.step();
    let delivered = &world.nodes[&id(1)].delivered;
    let admitted = delivered
        .iter()
        .filter_map(|delivery| match &delivery.content {
            Content::Change { configuration, .. } => Some(configuration.learners.clone()),
            Content::Nothing | Content::Entry(_) | Content::GoesOn { .. } => None,
        });
    assert_eq!(admitted.last(), Some(vec![id(9)]));
    assert_eq!(world.get(1).configuration().learners, []);
    lives(&mut world, 1, 3);
}

/// A removal of the dead that cannot be committed without them stands in nobody's way.
#[test]
fn a_leader_that_has_proposed_the_removal_of_the_dead_goes_on() {
    let mut world = World::of(2);
    world
        .order(1)
        .change(Step::Remove(id(2)), b"why".to_vec())
        .unwrap();
    world.lose(2, true);
    world.step();
    lives(&mut world, 1, 3);
}

/// A term that no member of the first life can have reached.
#[test]
fn the_new_life_is_far_above_the_old_in_terms() {
    let mut world = World::of(2);
    let before = world.get(1).term();
    world.lose(2, true);
    world.step();
    assert_eq!(world.get(1).term() >> 32, (before >> 32) + 1);
    world.join(3);
    world.change(Step::Promote(id(3)));
    world.quiet();
    world.lose(1, true);
    world.step();
    assert_eq!(world.get(3).term() >> 32, (before >> 32) + 2);
}

/// The successor of a group of one dies at each moment of the swap.
#[test]
fn a_group_of_one_survives_its_successor_at_each_step_of_the_swap() {
    let mut went_on = 0;
    for steps in 0..40 {
        let mut world = World::of(1);
        world.join(2);
        let swap = Step::Swap {
            joiner: id(2),
            leaver: id(1),
        };
        world.order(1).change(swap, b"swap".to_vec()).unwrap();
        for _ in 0..steps {
            world.step();
            // The leader hands over, and its successor ends the swap.
            if world.get(1).configuration().joint() && world.get(1).leads() {
                let now = wire::Time(world.now);
                let _ = world.order(1).hand_over(now, id(2));
            } else if world.get(2).leads() && world.get(2).configuration().joint() {
                let _ = world.order(2).change(Step::Settle, b"settle".to_vec());
            }
        }
        let settled =
            !world.get(2).configuration().joint() && world.get(2).configuration().voters == [id(2)];
        world.lose(2, true);
        world.quiet();
        let survives = !goes_on(&world, 1).is_empty();
        // It goes on but where the successor may have gone on alone, in a swap that has ended.
        match world.get(1).survival() {
            Err(Stays::Lost { dead, of }) => {
                assert_eq!((dead, of), (vec![id(2)], vec![id(2)]));
                assert!(!survives, "after {steps} steps");
            }
            other => assert!(!settled || other == Err(Stays::NoVote), "{other:?}"),
        }
        assert!(!settled || !survives, "after {steps} steps");
        if survives {
            went_on += 1;
            lives(&mut world, 1, 3);
        }
    }
    assert!(went_on > 3, "{went_on}");
}

/// Founder and first companion: what the founder decided alone, before it decided on its
/// companion's vote, may be missing there although the companion knows of its vote.
#[test]
fn what_the_founder_decided_alone_is_not_lost_with_it() {
    let mut world = World::of(1);
    world.join(2);
    let promote = Step::Promote(id(2));
    world.order(1).change(promote, b"promote".to_vec()).unwrap();
    let promoted = world.get(1).last();
    // In the same breath; but it does not come.
    world.propose("alone");
    let lose_what_follows = |world: &mut World| {
        for (_, _, output) in &mut world.wire {
            if let Output::Send { message, .. } = output {
                let entries = message.entries.iter();
                message.entries = entries.filter(|entry| entry.index <= promoted.0).collect();
            }
        }
        world.wire.retain(|(_, _, output)| {
            let Output::Send { message, .. } = output else {
                return true;
            };
            message.kind != EngineKind::Append || message.index < promoted.0
        });
    };
    for _ in 0..5 {
        world.step();
        lose_what_follows(&mut world);
    }
    // A heartbeat tells what is committed of that which is there.
    world.order(1).connected();
    for _ in 0..5 {
        world.step();
        lose_what_follows(&mut world);
    }
    assert!(world.get(2).votes() && world.get(2).last() == promoted);
    assert_eq!(world.texts(1).len(), 1);
    world.lose(1, true);
    world.quiet();
    let (dead, of) = (vec![id(1)], vec![id(1)]);
    assert_eq!(world.get(2).survival(), Err(Stays::Lost { dead, of }));
    assert_eq!(goes_on(&world, 2), []);
}

#[test]
fn the_founders_death_is_survived_once_the_promotion_is_confirmed() {
    let mut world = World::of(1);
    world.join(2);
    let promote = Step::Promote(id(2));
    world.order(1).change(promote, b"promote".to_vec()).unwrap();
    world.propose("alone");
    // Nothing but the confirmation follows: a round trip or two.
    world.quiet();
    world.lose(1, true);
    world.step();
    assert_eq!(world.texts(2), ["alone"]);
    lives(&mut world, 2, 3);
}

/// Two of four: the more advanced log goes on, the other member stands back for ever.
#[test]
fn half_of_four_go_on_with_the_most_advanced_log() {
    let mut world = World::of(4);
    world.cut.insert((id(1), id(4)));
    world.propose("three have it");
    world.quiet();
    world.lose(1, true);
    world.lose(2, true);
    world.quiet();
    assert_eq!(goes_on(&world, 3).len(), 1);
    assert_eq!(world.texts(3), ["three have it"]);
    assert!(world.get(4).stands_back());
    assert_eq!(goes_on(&world, 4), []);
    world.nodes.remove(&id(4));
    lives(&mut world, 3, 5);
}

/// Two survivors that do not hear each other wait, however certain the deaths of the others are.
#[test]
fn survivors_that_do_not_hear_each_other_wait() {
    let mut world = World::of(4);
    world.cut_off(4);
    world.lose(1, true);
    world.lose(2, true);
    world.quiet();
    assert_eq!(goes_on(&world, 3), []);
    assert_eq!(world.get(3).survival(), Ok([id(4)].into()));
    world.heal();
    world.until("one of them goes on", |world| {
        [3, 4]
            .iter()
            .any(|&number| !goes_on(world, number).is_empty())
    });
    world.quiet();
    let went_on = [goes_on(&world, 3), goes_on(&world, 4)].concat();
    assert_eq!(went_on.len(), 1);
}

/// One that has stood back never goes on, even if the one for which it did dies.
#[test]
fn who_has_stood_back_never_acts_again() {
    let mut world = World::of(4);
    world.lose(1, true);
    world.lose(2, true);
    world.cut.insert((id(4), id(3)));
    world.quiet();
    assert!(world.get(4).stands_back());
    assert_eq!(goes_on(&world, 3), [], "it has not heard that it may");
    world.lose(3, true);
    world.quiet();
    assert_eq!(goes_on(&world, 4), []);
    assert!(!world.get(4).leads() && !world.get(4).reaches_majority());
}

/// A learner of the first life meets the second: neither is confused.
#[test]
fn a_learner_that_was_left_behind_does_no_harm() {
    let mut world = World::of(2);
    world.join(3);
    world.propose("before");
    world.quiet();
    world.cut.insert((id(1), id(3)));
    world.propose("unheard by the learner");
    world.quiet();
    world.lose(2, true);
    world.heal();
    world.quiet();
    assert_eq!(goes_on(&world, 1).len(), 1);
    assert_eq!(world.texts(3), ["before"]);
    world.nodes.remove(&id(3));
    lives(&mut world, 1, 4);
}

/// The successor may have ended the swap and decided more alone: its predecessor cannot know.
#[test]
fn a_leave_half_committed_is_waited_for() {
    let mut world = World::of(1);
    world.join(2);
    world.change(Step::Swap {
        joiner: id(2),
        leaver: id(1),
    });
    world.quiet();
    let now = wire::Time(world.now);
    world.order(1).hand_over(now, id(2)).unwrap();
    world.until("the successor leads", |world| world.get(2).leads());
    world.quiet();
    world
        .order(2)
        .change(Step::Settle, b"settle".to_vec())
        .unwrap();
    let settle = world.get(2).last();
    world.until("the leave comes", |world| world.get(1).last() == settle);
    assert!(world.get(1).configuration().joint());
    world.lose(2, true);
    world.quiet();
    assert_eq!(goes_on(&world, 1), []);
    let (dead, of) = (vec![id(2)], vec![id(2)]);
    assert_eq!(world.get(1).survival(), Err(Stays::Lost { dead, of }));
}
