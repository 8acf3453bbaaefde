//! Upgrades of real processes under load, in peace and with a kill in every role.

use std::collections::BTreeSet;

use crate::common::{World, follower, leader};
use installation::process;
use wire::Version;
use wire::status::GroupStatus;

fn all_at(status: &GroupStatus, version: &str) -> bool {
    let version = Version::parse(version).unwrap();
    status.effective == version
        && status
            .members
            .iter()
            .all(|member| member.binary.version == version)
}

/// §3.3, Figure 5: replica by replica, without a failed request.
#[test]
fn two_upgrades_under_load_fail_no_request() {
    let mut world = World::with(&["ledger-v1", "ledger-v2", "ledger-v3"]);
    let before: BTreeSet<u32> = world
        .status()
        .members
        .iter()
        .map(|member| world.process(member))
        .collect();
    for version in ["2.0.0", "3.0.0"] {
        world.upgrade(version, 3, 10_000);
        let status = world.upgraded();
        assert!(all_at(&status, version), "{status:#?}");
        for member in &status.members {
            let process = world.process(member);
            assert!(!before.contains(&process), "every process is new");
            assert_eq!(process::build(process).unwrap(), member.binary.build);
        }
    }
    assert!(
        world
            .group
            .call("statement", "[\"a1\"]")
            .unwrap()
            .contains("balance")
    );
    world.judge();
}

fn killed_in_an_upgrade(whom: impl Fn(&GroupStatus) -> Option<wire::status::MemberStatus>) {
    let mut world = World::with(&["ledger-v1", "ledger-v2"]);
    world.upgrade("2.0.0", 10, 10_000);
    let mut victim = None;
    for _ in 0..20_000 {
        let status = world.status();
        victim = whom(&status);
        if victim.is_some() {
            break;
        }
        let state = status.upgrade.map(|upgrade| upgrade.state);
        assert_eq!(
            state.as_deref(),
            Some("running"),
            "the upgrade ended before the kill"
        );
    }
    world.kill(&victim.unwrap());
    let status = world.upgraded();
    assert!(all_at(&status, "2.0.0"), "{status:#?}");
    world.judge();
}

#[test]
fn the_leader_is_killed_in_an_upgrade() {
    killed_in_an_upgrade(|status| status.leader.is_some().then(|| leader(status)));
}

#[test]
fn a_follower_is_killed_in_an_upgrade() {
    killed_in_an_upgrade(|status| Some(follower(status)));
}

#[test]
fn the_turn_holder_is_killed() {
    killed_in_an_upgrade(|status| {
        status
            .members
            .iter()
            .find(|member| member.doing == "upgrading")
            .cloned()
    });
}

#[test]
fn the_successor_is_killed() {
    killed_in_an_upgrade(|status| status.joiners.first().cloned());
}
