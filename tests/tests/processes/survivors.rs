//! Survivors (design 4.5): a majority is dead, certainly, and nothing is lost.

use std::time::{Duration, Instant};

use installation::{Daemon, process};
use rustix::process::Signal;
use wire::Version;
use wire::status::{GroupStatus, MemberStatus};

use crate::common::{PATIENCE, World, follower, leader, settles, signal};

fn one_of_two_is_killed(choose: fn(&GroupStatus) -> MemberStatus) {
    let mut world = World::loaded(&["ledger-v1"], 2);
    let before = world.status();
    let victim = choose(&before);
    world.kill(&victim);
    let after = world.until("two members without the dead one", |status| {
        settles(status, 2)
            && status
                .members
                .iter()
                .all(|member| member.member != victim.member)
    });
    assert_eq!(after.incarnation, before.incarnation + 1);
    let went_on = after.history.iter().any(|record| {
        record.what.starts_with("the group goes on with one member") && record.members.len() == 1
    });
    assert!(went_on, "{:#?}", after.history);
    world.judge();
}

#[test]
fn of_two_members_the_leader_is_killed_and_no_request_fails() {
    one_of_two_is_killed(leader);
}

#[test]
fn of_two_members_the_follower_is_killed_and_no_request_fails() {
    one_of_two_is_killed(follower);
}

/// Silence is no death; and the status says what is known, and what may be done.
#[test]
fn of_two_members_one_is_silent_and_the_other_waits() {
    let mut world = World::sized("ledger", &["ledger-v1"], 2);
    let before = world.status();
    let silent = follower(&before);
    let stopped = world.process(&silent);
    signal(stopped, Signal::STOP);
    let status = world.until("the group waits", |status| !status.available);
    let name = silent.member;
    let says = |status: &GroupStatus, text: &str| status.waits.iter().any(|why| why.contains(text));
    assert!(says(&status, &format!("{name} on")), "{:?}", status.waits);
    assert!(says(&status, "is silent"), "{:?}", status.waits);
    assert!(
        says(&status, "silence alone proves no death"),
        "{:?}",
        status.waits
    );
    assert!(says(&status, "bring back"), "{:?}", status.waits);
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(3) {
        let status = world.status();
        assert!(!status.available && status.incarnation == before.incarnation);
        std::thread::sleep(Duration::from_millis(50));
    }
    // Dead, it is missed no more.
    process::kill(stopped).unwrap();
    let after = world.until("two members again", |status| {
        settles(status, 2) && status.incarnation > before.incarnation
    });
    assert_eq!(after.incarnation, before.incarnation + 1);
    assert!(
        after
            .members
            .iter()
            .all(|member| member.member != silent.member)
    );
}

/// How often an upgrade is tried in which the successor is to be caught in mid-swap.
const TRIES: usize = 8;
/// How long the successor runs at a time: less than what the swap asks of it.
const PULSE: Duration = Duration::from_micros(100);

/// Under load a group that orders anything orders something within this time.
const STILL: Duration = Duration::from_millis(100);

/// The process of the successor, as soon as its daemon has it.
fn successor(world: &World) -> u32 {
    let until = Instant::now() + PATIENCE;
    loop {
        let hosts = world.installation.hosts();
        let inventories = hosts.iter().map(|host| Daemon::at(host.daemon).inventory());
        let mut replicas = inventories.flatten().flat_map(|found| found.replicas);
        let version = Version::new(2, 0, 0);
        if let Some(replica) = replicas.find(|replica| replica.binary.version == version) {
            return replica.process;
        }
        assert!(Instant::now() < until, "no successor is started");
    }
}

/// Whether the group, under load, orders nothing more and still has both members; `None` if it does
/// not answer.
fn caught(world: &mut World, mut position: wire::Position) -> Option<bool> {
    loop {
        std::thread::sleep(STILL);
        let status = world.group.status().ok()?;
        if status.position == position {
            return Some(status.members.len() == 2);
        }
        position = status.position;
    }
}

/// Lets the successor run in pulses until the group is in the middle of the swap, and kills it then.
/// False if the swap was over before that.
fn killed_in_mid_swap(world: &mut World, successor: u32) -> bool {
    loop {
        signal(successor, Signal::CONT);
        let since = Instant::now();
        while since.elapsed() < PULSE {
            std::hint::spin_loop();
        }
        signal(successor, Signal::STOP);
        match world.group.status() {
            Ok(status) if status.members.len() == 2 => {
                // What the successor had sent before it was stopped may end the swap yet: only when
                // nothing is ordered any more is the group caught in the middle of it.
                if let Some(true) = caught(world, status.position) {
                    process::kill(successor).unwrap();
                    return true;
                }
                signal(successor, Signal::CONT);
                return false;
            }
            Ok(status) if status.members[0].binary.version < Version::new(2, 0, 0) => {}
            Ok(_) | Err(_) => {
                signal(successor, Signal::CONT);
                return false;
            }
        }
    }
}

/// A group of one in mid-swap: its successor has a vote, and its predecessor has stopped to apply. The
/// group goes on, another successor takes the state with all that was ordered since, and clients see
/// nothing but a pause.
#[test]
fn a_group_of_one_survives_its_successor_in_the_middle_of_the_swap() {
    for _ in 0..TRIES {
        let mut world = World::loaded(&["ledger-v1", "ledger-v2"], 1);
        let before = world.status();
        world.upgrade("2.0.0", 4, 10_000);
        let successor = successor(&world);
        let killed = killed_in_mid_swap(&mut world, successor);
        let status = world.upgraded();
        assert_eq!(status.upgrade.as_ref().unwrap().state, "done");
        assert_eq!(status.effective, Version::new(2, 0, 0));
        world.judge();
        if killed && status.incarnation > before.incarnation {
            return;
        }
    }
    panic!("in {TRIES} tries the successor was never caught in the middle of the swap");
}
