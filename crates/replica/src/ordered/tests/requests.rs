//! Which upgrade requests are accepted (§2.1, design 4.10).

use wire::log::UpgradeRequest;

use super::situation::{binary, foundation, hotfix, request};
use super::world::World;
use crate::ordered::{Happened, UpgradeRefused};
use wire::Position;

/// What became of a request.
fn answer(world: &mut World, request: UpgradeRequest) -> Result<Position, UpgradeRefused> {
    world.happened.clear();
    world.request(request);
    let answer = world.happened.iter().find_map(|what| match what {
        Happened::UpgradeAccepted { upgrade, .. } => Some(Ok(*upgrade)),
        Happened::UpgradeRefused { why, .. } => Some(Err(why.clone())),
        Happened::View { .. }
        | Happened::Specified { .. }
        | Happened::SpecifyRefused { .. }
        | Happened::Taken { .. }
        | Happened::Ended { .. }
        | Happened::Activated { .. }
        | Happened::UpgradeDone { .. }
        | Happened::UpgradeFailed { .. }
        | Happened::Void { .. } => None,
    });
    answer.expect("a request is answered")
}

fn refusal(world: &mut World, request: UpgradeRequest) -> String {
    let before = world.ordered.clone();
    let why = answer(world, request).expect_err("it is refused");
    assert_eq!(world.ordered, before, "a refusal changes nothing");
    why.to_string()
}

#[test]
fn a_second_upgrade_is_refused_while_one_runs() {
    let mut world = World::grown(foundation(3, 1), binary(1));
    let first = answer(&mut world, request(binary(2))).expect("nothing runs");
    let other = UpgradeRequest {
        token: 8,
        ..request(binary(3))
    };
    let why = refusal(&mut world, other.clone());
    assert!(why.ends_with("runs; wait for its end"), "{why}");
    // The same again is the same upgrade, while it runs and after it.
    assert_eq!(answer(&mut world, request(binary(2))), Ok(first));
    world.rest();
    assert_eq!(answer(&mut world, request(binary(2))), Ok(first));
    assert!(answer(&mut world, other).is_ok());
}

#[test]
fn a_request_that_cannot_be_met_is_refused_with_the_reason() {
    let world = World::grown(foundation(3, 1), binary(1));
    let said = |change: fn(&mut UpgradeRequest)| {
        let mut request = request(binary(2));
        change(&mut request);
        refusal(&mut world.clone(), request)
    };
    assert_eq!(
        said(|request| request.parallel = 0),
        "0 seats at a time is no upgrade; ask for at least 1"
    );
    assert_eq!(
        said(|request| request.attempts = 0),
        "0 attempts; ask for 1 to 100"
    );
    assert_eq!(
        said(|request| request.attempts = 101),
        "101 attempts; ask for 1 to 100"
    );
    assert_eq!(
        said(|request| request.patience_ms = 99),
        "a patience of 99 ms; ask for 100 to 3600000"
    );
    let why = said(|request| request.target = binary(1));
    assert!(why.starts_with("all members run 1.0.0"), "{why}");
    assert!(why.ends_with("name another version or build"), "{why}");
}

#[test]
fn a_minimum_that_no_turn_could_leave_is_refused() {
    let mut world = World::grown(foundation(2, 2), binary(1));
    let why = refusal(&mut world, request(binary(2)));
    assert!(why.contains("lower minimal or raise initial"), "{why}");
    let mut alone = World::grown(foundation(1, 1), binary(1));
    assert!(answer(&mut alone, request(binary(2))).is_err());
}

#[test]
fn a_group_without_the_upgrade_layer_serves_and_refuses_upgrades() {
    let mut bare = foundation(2, 0);
    bare.stack = "PGMS:EGMI:Recovery".to_owned();
    let mut world = World::grown(bare, binary(1));
    assert_eq!(world.view(), "1v1* 2v1");
    let why = refusal(&mut world, request(binary(2)));
    assert!(why.contains("has no layer Upgrade"), "{why}");
}

/// Version 2 declares that it writes format 1, version 3 writes only its own.
#[test]
fn a_way_down_needs_a_reverse_mapping() {
    let up = |target| UpgradeRequest {
        token: 8,
        ..request(target)
    };
    let mut world = World::grown(foundation(3, 1), binary(2));
    assert!(answer(&mut world, up(hotfix(2))).is_ok());
    world.rest();
    assert!(answer(&mut world, request(binary(3))).is_ok());
    world.rest();
    let why = refusal(&mut world, up(binary(2)));
    assert!(why.starts_with("2.0.0 ("), "{why}");
    assert!(
        why.contains("reads state formats [1, 2], the members write [3]"),
        "{why}"
    );
    assert!(why.contains("there is no way back"), "{why}");
    assert!(
        why.ends_with("upgrade to a version that has one (Reversible) first"),
        "{why}"
    );
}
