//! Edges of changes of membership, and the recipe of a swap.

use order::{Content, Refusal, Step};

use crate::world::{World, id};

/// Edge: one change at a time, the next only after it is applied. Recipe: a refused change.
#[test]
fn a_second_change_is_refused_and_leaves_nothing_in_the_order() {
    let mut world = World::of(3);
    world
        .order(1)
        .change(Step::Admit(id(4)), b"first".to_vec())
        .unwrap();
    let second = world
        .order(1)
        .change(Step::Admit(id(5)), b"second".to_vec());
    assert_eq!(second, Err(Refusal::ChangePending));
    world.quiet();
    let changes =
        world.nodes[&id(2)]
            .delivered
            .iter()
            .filter_map(|delivery| match &delivery.content {
                Content::Change { context, .. } => Some(context.clone()),
                Content::Nothing | Content::Entry(_) | Content::GoesOn { .. } => None,
            });
    assert_eq!(changes.filter(|context| &context[..] != b"why").count(), 1);
}

#[test]
fn a_step_that_does_not_fit_is_refused() {
    let mut world = World::of(3);
    let refused = |world: &mut World, step| world.order(1).change(step, Vec::new()).unwrap_err();
    assert_eq!(refused(&mut world, Step::Settle), Refusal::DoesNotFit);
    assert_eq!(
        refused(&mut world, Step::Promote(id(9))),
        Refusal::DoesNotFit
    );
    assert_eq!(refused(&mut world, Step::Admit(id(2))), Refusal::DoesNotFit);
    let swap = Step::Swap {
        joiner: id(9),
        leaver: id(2),
    };
    assert_eq!(refused(&mut world, swap), Refusal::DoesNotFit);
    let follower = world.order(2).change(Step::Admit(id(9)), Vec::new());
    assert_eq!(follower, Err(Refusal::NotLeading));
}

/// Edge: leaving a joint configuration can be lost at a leader change; every new leader proposes it.
#[test]
fn a_new_leader_ends_the_swap_that_the_old_one_began() {
    let mut world = World::of(3);
    world.join(4);
    world.change(Step::Swap {
        joiner: id(4),
        leaver: id(3),
    });
    world.quiet();
    world.lose(1, true);
    world.until("another leads", |world| world.leader().is_some());
    world.change(Step::Settle);
    let leader = world.leader().unwrap();
    assert!(!world.get(leader).configuration().joint());
    assert!(!world.get(leader).configuration().contains(id(3)));
}

/// Recipe: swap. The successor has the vote, the leaver has none, and the order goes on.
#[test]
fn a_swap_gives_the_vote_in_one_step() {
    let mut world = World::of(3);
    world.join(4);
    world.change(Step::Swap {
        joiner: id(4),
        leaver: id(2),
    });
    assert!(world.get(1).configuration().joint());
    world.change(Step::Settle);
    let voters = world.get(1).configuration().voters.clone();
    assert_eq!(voters, [id(1), id(3), id(4)]);
    world.lose(3, true);
    world.propose("two of three");
    world.until("delivered", |world| world.texts(4) == ["two of three"]);
}
