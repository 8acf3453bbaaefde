//! Whole lives of a group without faults, and with one chosen fault.

use wire::log::{Change, Proposal, UpgradeRequest};
use wire::member::{Binary, Seat, Standing};

use super::situation::{binary, foundation, hotfix, id, request};
use super::world::{Act, World, passed, stands};
use crate::ordered::{Ended, Happened, Ordered, OrderedError, UpgradeState};

fn three() -> World {
    World::grown(foundation(3, 1), binary(1))
}

fn upgraded(target: Binary) -> World {
    let mut world = three();
    world.request(request(target));
    world.rest();
    world
}

/// Carries out duties until `wanted` holds.
fn until(world: &mut World, wanted: impl Fn(&World) -> bool) {
    for _ in 0..200 {
        if wanted(world) {
            return;
        }
        let duty = world.duties().into_iter().next();
        world.run(duty.unwrap_or_else(|| panic!("the group rests too early: {world:?}")));
    }
    panic!("it never comes to pass: {world:?}");
}

fn state(world: &World) -> &UpgradeState {
    &world
        .ordered
        .upgrade()
        .expect("an upgrade was asked for")
        .state
}

fn activations(world: &World) -> usize {
    let activated = |what: &&Happened| matches!(what, Happened::Activated { .. });
    world.happened.iter().filter(activated).count()
}

#[test]
fn a_group_of_one_grows_to_its_initial_number() {
    let world = three();
    assert_eq!(world.view(), "1v1* 2v1 3v1");
    let hosts: Vec<&str> = world
        .membership
        .view
        .members
        .iter()
        .map(|member| member.host.as_str())
        .collect();
    assert_eq!(hosts, ["h0", "h1", "h2"]);
}

#[test]
fn turns_follow_until_all_replicas_are_upgraded() {
    let world = upgraded(binary(2));
    assert_eq!(world.view(), "4v2* 5v2 6v2");
    assert_eq!(world.swaps(), [2, 3, 1]);
    assert_eq!(state(&world), &UpgradeState::Done);
    assert_eq!(*world.ordered.effective(), binary(2));
    assert_eq!(*world.ordered.home(), binary(2));
    assert!(world.duties().is_empty());
}

#[test]
fn behaviour_changes_at_one_position_of_the_order() {
    assert_eq!(activations(&upgraded(binary(2))), 1);
    assert_eq!(activations(&upgraded(hotfix(1))), 1);
}

#[test]
fn a_second_upgrade_follows_the_first() {
    let mut world = upgraded(binary(2));
    world.request(UpgradeRequest {
        token: 8,
        ..request(binary(3))
    });
    world.rest();
    assert_eq!(world.view(), "7v3* 8v3 9v3");
    assert_eq!(*world.ordered.effective(), binary(3));
}

#[test]
fn all_turns_may_run_at_once_but_the_leaders() {
    let mut world = World::grown(foundation(4, 1), binary(1));
    world.request(UpgradeRequest {
        parallel: 4,
        ..request(binary(2))
    });
    for turns in 1..=3 {
        let duties = world.duties().into_iter();
        let turn = duties
            .rev()
            .find(|duty| matches!(duty, Act::Propose(Proposal::Taken { .. })));
        world.run(turn.expect("another turn may start"));
        assert_eq!(world.ordered.turns(), turns);
    }
    assert_eq!(world.ordered.attempt(Seat(0)), None);
    world.rest();
    assert_eq!(state(&world), &UpgradeState::Done);
    assert_eq!(activations(&world), 1);
}

#[test]
fn a_group_of_one_is_upgraded_over_activation_and_swap() {
    let mut world = World::grown(foundation(1, 0), binary(1));
    world.request(request(binary(2)));
    world.rest();
    assert_eq!(world.view(), "2v2*");
    assert_eq!(state(&world), &UpgradeState::Done);
}

/// A way down: behaviour changes first, since an old binary cannot behave as a newer one.
#[test]
fn a_downgrade_activates_where_it_is_accepted() {
    let mut world = upgraded(binary(2));
    world.request(UpgradeRequest {
        token: 8,
        ..request(binary(1))
    });
    assert_eq!(*world.ordered.effective(), binary(1));
    assert_eq!(activations(&world), 2);
    world.rest();
    assert_eq!(world.view(), "7v1* 8v1 9v1");
    assert_eq!(state(&world), &UpgradeState::Done);
    assert_eq!(activations(&world), 2);
}

/// §3.3, design 4.11: a full disk on one host must not stop the upgrade.
#[test]
fn another_host_is_asked_if_the_local_daemon_cannot() {
    let mut world = three();
    world.request(request(binary(2)));
    until(&mut world, |world| world.ordered.turns() == 1);
    let first = world.ordered.attempt(Seat(1)).expect("m2's turn").clone();
    world.run(passed(Seat(1), first.number));
    until(&mut world, |world| world.ordered.turns() == 1);
    let second = world
        .ordered
        .attempt(Seat(1))
        .expect("m2's turn again")
        .clone();
    let names = [first.host, second.host].map(|host| world.ordered.host(host).name.clone());
    assert_eq!(names, ["h1", "h2"]);
    assert_eq!((first.by, second.by), (id(2), id(2)));
    assert_eq!(second.number, first.number + 1);
    world.rest();
    assert_eq!(state(&world), &UpgradeState::Done);
}

/// Design 4.19.
#[test]
fn a_bad_version_is_given_up_after_bounded_attempts() {
    let mut world = three();
    world.request(request(binary(2)));
    for _ in 0..2 {
        until(&mut world, |world| world.ordered.turns() == 1);
        let number = world.ordered.attempt(Seat(1)).expect("m2's turn").number;
        world.run(passed(Seat(1), number));
    }
    let reason = "seat 1 was tried 2 times; the last time: it did not start".to_owned();
    assert_eq!(state(&world), &UpgradeState::Failed { reason });
    world.rest();
    assert_eq!(world.view(), "1v1* 2v1 3v1");
    assert_eq!(*world.ordered.effective(), binary(1));
}

/// Design 4.19, and the way back to the old binary by another request.
#[test]
fn after_a_failed_upgrade_members_at_the_target_stay_until_another_request() {
    let mut world = three();
    world.request(request(binary(2)));
    until(&mut world, |world| world.view() == "1v1* 3v1 4v2");
    for _ in 0..2 {
        until(&mut world, |world| world.ordered.turns() == 1);
        let number = world.ordered.attempt(Seat(2)).expect("m3's turn").number;
        world.run(passed(Seat(2), number));
    }
    world.rest();
    assert_eq!(world.view(), "1v1* 3v1 4v2");
    assert_eq!(activations(&world), 0);
    // A vacancy is filled with what was before the upgrade.
    world.run(Act::Change(Change::Remove {
        member: id(3),
        reason: "its process ended".to_owned(),
    }));
    world.rest();
    assert_eq!(world.view(), "1v1* 4v2 5v1");
    world.request(UpgradeRequest {
        token: 8,
        ..request(binary(1))
    });
    world.rest();
    assert_eq!(world.view(), "1v1* 5v1 6v1");
    assert_eq!(state(&world), &UpgradeState::Done);
    assert_eq!(activations(&world), 0);
}

#[test]
fn members_at_the_target_that_die_count_against_it() {
    let mut world = three();
    world.request(request(binary(2)));
    for _ in 0..2 {
        until(&mut world, |world| {
            let members = &world.membership.view.members;
            world.membership.view.leaving.is_none()
                && members
                    .iter()
                    .any(|member| member.seat == Seat(1) && member.binary == binary(2))
        });
        let members = &world.membership.view.members;
        let victim = members
            .iter()
            .find(|member| member.seat == Seat(1))
            .expect("its member")
            .id;
        world.run(Act::Change(Change::Remove {
            member: victim,
            reason: "it panicked".to_owned(),
        }));
    }
    let failed = matches!(state(&world), UpgradeState::Failed { .. });
    assert!(failed, "{world:?}");
    world.rest();
    assert!(world.membership.view.members.len() == 3);
}

/// A leader loses its patience while the promotion is under way. What then becomes of the member
/// counts; the try has not failed as well.
#[test]
fn a_try_that_was_passed_during_its_promotion_counts_once() {
    let mut world = three();
    world.request(request(binary(2)));
    until(&mut world, |world| {
        world
            .membership
            .joiner(id(4))
            .is_some_and(|joiner| joiner.ready)
    });
    let number = world.ordered.attempt(Seat(1)).expect("m2's turn").number;
    world.run(passed(Seat(1), number));
    for change in [
        Change::Promote {
            joiner: id(4),
            replaces: Some(id(2)),
        },
        Change::Settle,
        Change::Remove {
            member: id(4),
            reason: "its process ended".to_owned(),
        },
    ] {
        world.run(Act::Change(change));
        assert_eq!(state(&world), &UpgradeState::Running);
    }
    world.rest();
    assert_eq!(state(&world), &UpgradeState::Done);
}

#[test]
fn a_turn_ends_with_its_holder_and_recovery_takes_over() {
    let mut world = three();
    world.request(request(binary(2)));
    until(&mut world, |world| world.ordered.turns() == 1);
    world.run(Act::Change(Change::Remove {
        member: id(2),
        reason: "its process ended".to_owned(),
    }));
    let ended = world.happened.iter().any(
        |what| matches!(what, Happened::Ended { how: Ended::HolderGone, by, .. } if *by == id(2)),
    );
    assert!(ended, "{world:?}");
    world.rest();
    assert_eq!(state(&world), &UpgradeState::Done);
    assert_eq!(world.membership.view.members.len(), 3);
}

#[test]
fn a_successor_outlives_its_predecessor() {
    let mut world = three();
    world.request(request(binary(2)));
    until(&mut world, |world| world.membership.joiner(id(4)).is_some());
    world.run(Act::Change(Change::Remove {
        member: id(2),
        reason: "its process ended".to_owned(),
    }));
    world.rest();
    assert_eq!(world.swaps(), [3, 1]);
    assert_eq!(world.view(), "4v2* 5v2 6v2");
}

/// Design 4.5, at every step of an upgrade, in groups of one, two and three, with every member as the
/// only survivor: recovery fills the other seats, and the upgrade comes to its end.
#[test]
fn an_upgrade_goes_on_with_whoever_survives_wherever_it_is() {
    let mut survived = 0;
    for initial in 1..=3 {
        let mut world = World::grown(foundation(initial, 0), binary(1));
        world.request(request(binary(2)));
        loop {
            for survivor in world.membership.view.members.clone() {
                let mut world = world.clone();
                world.survive(survivor.id);
                world.rest();
                assert_eq!(state(&world), &UpgradeState::Done, "{world:?}");
                let members = &world.membership.view.members;
                assert_eq!(members.len(), initial as usize, "{world:?}");
                assert!(members.iter().all(|member| member.binary == binary(2)));
                survived += 1;
            }
            let Some(duty) = world.duties().into_iter().next() else {
                break;
            };
            world.run(duty);
        }
    }
    assert!(survived > 50, "{survived}");
}

/// A replica that was left behind has not failed.
#[test]
fn who_is_left_behind_does_not_count_against_the_version() {
    let mut world = three();
    world.request(UpgradeRequest {
        attempts: 1,
        ..request(binary(2))
    });
    until(&mut world, |world| !world.membership.joiners.is_empty());
    world.survive(id(3));
    let left = world.happened.iter().any(
        |what| matches!(what, Happened::Ended { how: Ended::LeftBehind { joiner }, .. } if *joiner == id(4)),
    );
    assert!(left, "{world:?}");
    world.rest();
    assert_eq!(state(&world), &UpgradeState::Done);
    assert_eq!(world.membership.incarnation, 2);
}

#[test]
fn a_suspected_member_that_serves_again_keeps_its_seat() {
    let mut world = three();
    world.run(stands(id(2), Standing::Suspected));
    until(&mut world, |world| world.membership.joiner(id(4)).is_some());
    world.run(stands(id(2), Standing::Serving));
    world.rest();
    assert_eq!(world.view(), "1v1* 2v1 3v1");

    world.run(stands(id(2), Standing::Suspected));
    world.rest();
    assert_eq!(world.view(), "1v1* 3v1 5v1");
}

#[test]
fn late_and_repeated_proposals_change_nothing() {
    let mut world = three();
    world.request(request(binary(2)));
    let taken = |by, attempt| {
        Act::Propose(Proposal::Taken {
            seat: Seat(1),
            attempt,
            by: id(by),
        })
    };
    let first = world.ordered.seat(Seat(1)).expect("a seat").attempts() + 1;
    for (act, void) in [
        (taken(3, first), true),
        (taken(2, first + 1), true),
        (taken(2, first), false),
        (taken(2, first), true),
        (taken(2, first + 1), true),
        (passed(Seat(1), first - 1), true),
        (passed(Seat(9), 1), true),
        (passed(Seat(1), first), false),
        (passed(Seat(1), first), true),
        (
            Act::Propose(Proposal::Activate {
                upgrade: wire::Position(1),
            }),
            true,
        ),
    ] {
        let before = world.ordered.clone();
        world.happened.clear();
        world.run(act.clone());
        let said = matches!(world.happened.as_slice(), [Happened::Void { .. }]);
        assert_eq!(said, void, "{act:?}: {:?}", world.happened);
        assert_eq!(world.ordered == before, void, "{act:?}");
    }
}

/// Design 4.15: the group goes on behaving as the old version, and says so.
#[test]
fn without_an_old_member_a_failed_upgrade_leaves_the_new_binary_behaving_as_the_old() {
    let mut world = World::grown(foundation(3, 1), binary(2));
    world.request(request(binary(3)));
    until(&mut world, |world| {
        world.swaps() == [2, 3] && world.ordered.turns() == 1
    });
    world.run(Act::Change(Change::Remove {
        member: id(1),
        reason: "its process ended".to_owned(),
    }));
    assert!(world.ordered.way_back_closed(&world.membership));
    for _ in 0..2 {
        until(&mut world, |world| world.ordered.attempt(Seat(0)).is_some());
        let number = world.ordered.attempt(Seat(0)).expect("it runs").number;
        world.run(passed(Seat(0), number));
    }
    let UpgradeState::Failed { reason } = state(&world) else {
        panic!("{world:?}");
    };
    assert!(reason.contains("the way back is closed"), "{reason}");
    assert_eq!(*world.ordered.effective(), binary(2));
    // Nobody could give its state to the old version: recovery goes on with the new one.
    world.rest();
    let members = &world.membership.view.members;
    assert!(members.len() == 3 && members.iter().all(|member| member.binary == binary(3)));
}

#[test]
fn a_version_that_cannot_read_the_state_is_refused_and_given_up() {
    let world = upgraded(binary(3));
    let UpgradeState::Failed { reason } = state(&world) else {
        panic!("{world:?}");
    };
    let why = "the replica reads state formats [2, 3], the serving members write [1]";
    assert!(reason.ends_with(why), "{reason}");
    assert_eq!(world.view(), "1v1* 2v1 3v1");
}

#[test]
fn a_transferred_state_comes_back_equal_and_another_format_is_refused() {
    let world = upgraded(binary(2));
    let bytes = world.ordered.to_bytes();
    assert_eq!(Ordered::from_bytes(&bytes), Ok(world.ordered.clone()));
    let mut other = world.ordered;
    other.format = 9;
    assert_eq!(
        Ordered::from_bytes(&other.to_bytes()),
        Err(OrderedError::Format { found: 9 })
    );
    let malformed = Ordered::from_bytes(b"nonsense");
    assert!(matches!(malformed, Err(OrderedError::Malformed(_))));
}

#[test]
fn the_ordered_state_stays_bounded() {
    let mut world = three();
    for round in 0..100 {
        let standing = [Standing::Suspected, Standing::Serving][round % 2];
        world.run(stands(id(3), standing));
    }
    world.rest();
    assert_eq!(world.ordered.history().count(), 64);
    let last = world.ordered.history().last().expect("there are 64");
    assert_eq!(last.members, ["1v1.0.0", "2v1.0.0", "3v1.0.0"]);
    for version in 4..20 {
        let target = Binary {
            build: wire::Build([version; 32]),
            ..binary(1)
        };
        world.request(UpgradeRequest {
            token: u64::from(version),
            ..request(target.clone())
        });
        world.rest();
        assert_eq!(*world.ordered.home(), target);
    }
    assert!(world.ordered.known.len() <= 8);
}
