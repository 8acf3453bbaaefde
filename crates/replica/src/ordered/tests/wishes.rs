//! Wishes: other numbers of members and other hosts, in the middle of anything (design 4.12, §3.4).

use wire::daemon::HostRecord;
use wire::list::List;
use wire::log::{Proposal, SpecifyRequest};
use wire::member::{Seat, Standing};

use super::situation::{binary, foundation, id, request};
use super::world::{Act, World, stands};
use crate::ordered::Happened;

fn hosts(names: &[&str]) -> List<HostRecord> {
    let record = |name: &&str| HostRecord {
        name: (*name).to_owned(),
        daemon: ([127, 0, 0, 1], 7_400).into(),
    };
    names.iter().map(record).collect()
}

/// A wish on the hosts that the group was founded with.
fn wish(world: &World, generation: u64, initial: u32, minimal: u32) -> SpecifyRequest {
    SpecifyRequest {
        generation,
        initial,
        minimal,
        hosts: world.ordered.foundation().hosts.clone(),
        token: generation,
    }
}

/// Asks, and says what was refused.
fn ask(world: &mut World, request: SpecifyRequest) -> Option<String> {
    world.happened.clear();
    let before = world.ordered.clone();
    world.run(Act::Propose(Proposal::Specify(request)));
    let refused = world.happened.iter().find_map(|what| {
        let Happened::SpecifyRefused { why, .. } = what else {
            return None;
        };
        Some(why.to_string())
    });
    if refused.is_some() {
        assert_eq!(world.ordered, before, "a refusal changes nothing");
    }
    refused
}

fn heard(world: &mut World, request: SpecifyRequest) {
    assert_eq!(ask(world, request), None);
}

fn group(initial: u32, minimal: u32) -> World {
    World::grown(foundation(initial, minimal), binary(1))
}

#[test]
fn a_group_grows_to_what_is_wished_and_shrinks_again() {
    let mut world = group(3, 1);
    let five = wish(&world, 1, 5, 2);
    heard(&mut world, five);
    world.rest();
    assert_eq!(world.view(), "1v1* 2v1 3v1 4v1 5v1");
    assert_eq!(world.ordered.foundation().minimal, 2);
    let two = wish(&world, 2, 2, 1);
    heard(&mut world, two);
    world.rest();
    assert_eq!(world.view(), "1v1* 2v1", "the last seats go first");
    let three = wish(&world, 3, 3, 1);
    heard(&mut world, three);
    world.rest();
    assert_eq!(
        world.view(),
        "1v1* 2v1 6v1",
        "members come back under other ids"
    );
}

/// "at most one planned change of leader": who leads goes last, and hands over before.
#[test]
fn a_leader_that_is_not_wanted_hands_over_and_goes() {
    let mut world = group(3, 1);
    world.run(Act::Propose(Proposal::Leads { member: id(3) }));
    let one = wish(&world, 1, 1, 0);
    heard(&mut world, one);
    world.rest();
    assert_eq!(world.view(), "1v1*");
}

#[test]
fn wanted_seats_are_filled_before_anybody_goes() {
    let mut world = group(3, 1);
    world.run(stands(id(1), Standing::Suspected));
    let two = wish(&world, 1, 2, 1);
    heard(&mut world, two);
    assert!(
        world
            .duties()
            .iter()
            .all(|duty| !matches!(duty, Act::Change(_)))
    );
    world.rest();
    assert!(world.membership.view.member(id(3)).is_none(), "{world:?}");
    assert_eq!(world.membership.view.serving().count(), 2, "{world:?}");
}

/// What was begun for a seat that is not wanted any more is over; its numbers go on where they were,
/// so that a late replica of it is never taken for another.
#[test]
fn attempts_for_unwanted_seats_end_and_their_numbers_fence() {
    let mut world = group(3, 1);
    let five = wish(&world, 1, 5, 1);
    heard(&mut world, five);
    let vacancy = world.duties().into_iter().next();
    world.run(vacancy.expect("two seats are vacant"));
    assert_eq!(world.ordered.attempts().count(), 1);
    let three = wish(&world, 2, 3, 1);
    heard(&mut world, three);
    assert_eq!(world.ordered.attempts().count(), 0);
    let more = wish(&world, 3, 4, 1);
    heard(&mut world, more);
    world.rest();
    let fourth = world.ordered.seat(Seat(3)).expect("it was wanted twice");
    assert_eq!(fourth.attempts(), 2);
}

#[test]
fn other_hosts_take_what_is_started_from_then_on() {
    let mut world = group(2, 1);
    let known: Vec<String> = world
        .ordered
        .foundation()
        .hosts
        .iter()
        .map(|h| h.name.clone())
        .collect();
    let mut names: Vec<&str> = known.iter().map(String::as_str).collect();
    names.push("new");
    names.rotate_right(1);
    let request = SpecifyRequest {
        hosts: hosts(&names),
        ..wish(&world, 1, 2, 1)
    };
    heard(&mut world, request);
    let at = |world: &World, seat| {
        let state = world.ordered.seat(Seat(seat)).expect("a seat");
        world.ordered.host(state.host).name.clone()
    };
    let homes: Vec<String> = (0..2).map(|seat| at(&world, seat)).collect();
    let members = &world.membership.view.members;
    let run: Vec<String> = members.iter().map(|member| member.host.clone()).collect();
    assert_eq!(homes, run, "tries begin where the members run");
}

/// A group that shrank, lost a host and got it back is spread over its hosts again.
#[test]
fn members_that_are_wanted_again_do_not_share_hosts() {
    let mut world = group(3, 1);
    let all = world.ordered.foundation().hosts.clone();
    let on = |world: &World| {
        let members = world.membership.view.members.iter();
        members
            .map(|member| member.host.clone())
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(on(&world).len(), 3);
    let two = wish(&world, 1, 2, 1);
    heard(&mut world, two);
    world.rest();
    let fewer = SpecifyRequest {
        hosts: all
            .iter()
            .filter(|host| on(&world).contains(&host.name))
            .collect(),
        ..wish(&world, 2, 2, 1)
    };
    heard(&mut world, fewer);
    let three = SpecifyRequest {
        hosts: all,
        ..wish(&world, 3, 3, 1)
    };
    heard(&mut world, three);
    world.rest();
    assert_eq!(on(&world).len(), 3, "{world:?}");
}

#[test]
fn what_cannot_be_met_is_refused_with_the_reason() {
    let mut world = group(3, 1);
    let said = |world: &mut World, change: fn(&mut SpecifyRequest)| {
        let mut request = wish(world, 1, 3, 1);
        change(&mut request);
        ask(world, request).expect("it is refused")
    };
    type Spoil = fn(&mut SpecifyRequest);
    let expected: [(Spoil, &str); 5] = [
        (|wish| wish.initial = 0, "0 members; ask for 1 to 99"),
        (
            |wish| wish.minimal = 4,
            "at least 4 of 3 members cannot serve: lower minimal or raise initial",
        ),
        (
            |wish| wish.hosts = Vec::new().into(),
            "no hosts; name those that may run members",
        ),
        (
            |wish| wish.hosts = wish.hosts.iter().chain(wish.hosts.iter().take(1)).collect(),
            "host h0 is named twice; leave one out",
        ),
        (
            |wish| wish.hosts = wish.hosts.iter().take(1).collect(),
            "m2 runs on h1, which is not among the hosts: name it too, members are not moved yet",
        ),
    ];
    for (change, why) in expected {
        assert_eq!(said(&mut world, change), why);
    }
}

/// Of two that ask at once one is heard; the same again is the same.
#[test]
fn a_wish_that_another_has_overtaken_is_refused() {
    let mut world = group(3, 1);
    let (first, other) = (wish(&world, 1, 4, 1), wish(&world, 1, 5, 1));
    heard(&mut world, first.clone());
    heard(&mut world, first);
    let why = ask(&mut world, other).expect("it is refused");
    assert!(
        why.starts_with("generation 1 has passed, the group is at 1"),
        "{why}"
    );
    assert_eq!(world.ordered.generation(), 1);
}

/// An upgrade's seats stay as they are, and who is on the way out is not upgraded.
#[test]
fn wishes_and_upgrades_wait_for_each_other() {
    let mut world = group(3, 1);
    world.request(request(binary(2)));
    let four = wish(&world, 1, 4, 1);
    let why = ask(&mut world, four.clone()).expect("it is refused");
    assert!(why.ends_with("runs; wait for its end"), "{why}");
    world.rest();
    let two = wish(&world, 1, 2, 1);
    heard(&mut world, two);
    world.happened.clear();
    world.request(request(binary(3)));
    let refused = matches!(world.happened[..], [Happened::UpgradeRefused { .. }]);
    assert!(refused, "{:?}", world.happened);
    world.rest();
    world.request(request(binary(3)));
    world.rest();
    assert_eq!(world.membership.view.members.len(), 2);
    assert_eq!(world.ordered.effective(), &binary(3));
}

/// Every fault at every step of growing and of shrinking: the group comes to what is wished.
#[test]
fn a_group_grows_and_shrinks_whatever_fault_hits_it_at_any_step() {
    for (from, to) in [(3, 5), (5, 3), (3, 1), (1, 2), (2, 4), (4, 3)] {
        let mut world = group(from, u32::from(from > 1 && to > 1));
        let minimal = world.ordered.foundation().minimal;
        let wish = wish(&world, 1, to, minimal);
        heard(&mut world, wish);
        let mut lives = 0;
        loop {
            for fault in world.faults() {
                let mut hit = world.clone();
                hit.run(fault);
                hit.rest();
                assert_eq!(
                    hit.membership.view.serving().count(),
                    to as usize,
                    "{hit:?}"
                );
                lives += 1;
            }
            let Some(duty) = world.duties().into_iter().next() else {
                break;
            };
            world.run(duty);
        }
        assert!(lives > 5, "{lives} lives from {from} to {to}");
    }
}
