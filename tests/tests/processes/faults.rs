//! Faults of real processes: kills, silence, daemons that die, versions that do not work.

use std::time::{Duration, Instant};

use crate::common::{PATIENCE, World, follower, leader, settled, signal};
use installation::{Daemon, process};
use rustix::process::Signal;
use wire::Version;

fn await_end(process: u32) {
    let until = Instant::now() + PATIENCE;
    while process::runs(process) {
        assert!(Instant::now() < until, "process {process} does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_killed_leader_is_replaced_and_no_request_fails() {
    let mut world = World::with(&["ledger-v1"]);
    let victim = leader(&world.status());
    world.kill(&victim);
    world.until("three members without the dead one", |status| {
        settled(status)
            && status
                .members
                .iter()
                .all(|member| member.member != victim.member)
    });
    world.judge();
}

#[test]
fn a_killed_follower_is_replaced_and_no_request_fails() {
    let mut world = World::with(&["ledger-v1"]);
    let victim = follower(&world.status());
    world.kill(&victim);
    world.until("three members without the dead one", |status| {
        settled(status)
            && status
                .members
                .iter()
                .all(|member| member.member != victim.member)
    });
    world.judge();
}

/// Silence is no death: the member is replaced, and ends when it hears of it.
#[test]
fn a_member_that_is_stopped_for_ten_seconds_is_replaced_and_ends() {
    let mut world = World::with(&["ledger-v1"]);
    let victim = leader(&world.status());
    let stopped = world.process(&victim);
    signal(stopped, Signal::STOP);
    let since = Instant::now();
    world.until("three members without the silent one", |status| {
        settled(status)
            && status
                .members
                .iter()
                .all(|member| member.member != victim.member)
    });
    std::thread::sleep(Duration::from_secs(10).saturating_sub(since.elapsed()));
    signal(stopped, Signal::CONT);
    await_end(stopped);
    world.judge();
}

/// Nobody whom it knows is left when it wakes up. The farewell that still lies in its sockets ends it,
/// or the daemons' word for who runs; the simulator is the judge of the second alone.
#[test]
fn a_member_that_slept_while_all_others_were_replaced_ends() {
    let mut world = World::with(&["ledger-v1"]);
    let first = world.status();
    let sleeper = follower(&first);
    let stopped = world.process(&sleeper);
    signal(stopped, Signal::STOP);
    let mut gone = vec![sleeper.member];
    // The others, and those that have dialled the sleeper since.
    for _ in 0..4 {
        let status = world.until("three members without those that are gone", |status| {
            settled(status)
                && status
                    .members
                    .iter()
                    .all(|member| !gone.contains(&member.member))
        });
        let eldest = status.members[0].clone();
        world.kill(&eldest);
        gone.push(eldest.member);
    }
    world.until("three members, all new", |status| {
        settled(status)
            && status
                .members
                .iter()
                .all(|member| !gone.contains(&member.member))
    });
    signal(stopped, Signal::CONT);
    await_end(stopped);
    world.judge();
}

/// The daemon's process on a host.
fn daemon_process(world: &World, host: usize) -> u32 {
    let name = &world.installation.hosts()[host].name;
    world.installation.daemon_process(name).unwrap()
}

#[test]
fn replicas_outlive_their_daemon_and_the_next_one_adopts_them() {
    adopted(Signal::KILL, |_, _| {});
}

#[test]
fn a_daemon_that_is_told_to_end_ends_and_leaves_its_replicas_to_the_next_one() {
    adopted(Signal::TERM, |_, _| {});
}

/// A daemon writes down what it starts before it does; one that ends in between leaves no more.
#[test]
fn a_replica_whose_start_was_only_intended_is_adopted() {
    adopted(Signal::KILL, |records, replica| {
        let record = records.join(format!("{replica}.json"));
        let text = std::fs::read_to_string(&record).unwrap();
        let record_of: serde_json::Value = serde_json::from_str(&text).unwrap();
        let environment = std::fs::read(format!("/proc/{replica}/environ")).unwrap();
        let mark = environment
            .split(|byte| *byte == 0)
            .find_map(|variable| variable.strip_prefix(b"REMEX_START="))
            .unwrap();
        let mark = std::str::from_utf8(mark).unwrap();
        let intent = serde_json::json!({
            "schema": 1,
            "boot": record_of["boot"],
            "build": record_of["build"],
            "assignment": record_of["assignment"],
        });
        let file = records.join(format!("start-{mark}.json"));
        std::fs::write(file, intent.to_string()).unwrap();
        // Another one, of a replica that never came to be.
        let vain = records.join("start-1-1-1.json");
        std::fs::write(vain, intent.to_string()).unwrap();
        std::fs::remove_file(record).unwrap();
    });
}

/// The last host's daemon is ended, its records are as `left` leaves them, and a new one takes over.
fn adopted(end: Signal, left: impl Fn(&std::path::Path, u32)) {
    let mut world = World::with(&["ledger-v1"]);
    let status = world.status();
    let host = world.installation.hosts()[2].clone();
    let member = status
        .members
        .iter()
        .find(|member| member.host == host.name)
        .unwrap()
        .clone();
    let replica = world.process(&member);
    let daemon = daemon_process(&world, 2);
    signal(daemon, end);
    await_end(daemon);
    assert!(process::runs(replica));
    let directory = world.installation.directory();
    let records = directory.join("state").join(&host.name).join("replicas");
    left(&records, replica);
    world.installation.start_daemon(&host.name).unwrap();
    let until = Instant::now() + PATIENCE;
    loop {
        let inventory = Daemon::at(host.daemon).inventory();
        if let Ok(inventory) = inventory
            && inventory
                .replicas
                .iter()
                .any(|r| r.process == replica && r.member.is_some())
        {
            break;
        }
        assert!(
            Instant::now() < until,
            "the new daemon does not adopt process {replica}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let names = std::fs::read_dir(&records).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [std::ffi::OsString::from(format!("{replica}.json"))]);
    // What it adopted it watches: a death is reported and repaired.
    process::kill(replica).unwrap();
    world.until("three members without the dead one", |status| {
        settled(status)
            && status
                .members
                .iter()
                .all(|other| other.member != member.member)
    });
    world.judge();
}

#[test]
fn a_host_that_is_lost_with_its_daemon_is_replaced_on_another() {
    let mut world = World::with(&["ledger-v1"]);
    let status = world.status();
    let host = world.installation.hosts()[1].name.clone();
    let member = status
        .members
        .iter()
        .find(|member| member.host == host)
        .unwrap()
        .clone();
    let replica = world.process(&member);
    process::kill(daemon_process(&world, 1)).unwrap();
    process::kill(replica).unwrap();
    world.until("three members, none on the lost host", |status| {
        settled(status) && status.members.iter().all(|member| member.host != host)
    });
    world.judge();
}

/// The group is whole and serves as before, and the reason is told.
fn gives_up(binary: &str, patience_ms: u64, why: &str) {
    let mut world = World::with(&["ledger-v1", binary]);
    world.upgrade("1.9.0", 2, patience_ms);
    let status = world.upgraded();
    let upgrade = status.upgrade.as_ref().unwrap();
    assert_eq!(upgrade.state, "failed");
    let reason = upgrade.reason.clone().unwrap();
    assert!(reason.contains(why), "{reason}");
    assert_eq!(status.effective, Version::new(1, 0, 0));
    assert!(
        status
            .members
            .iter()
            .all(|m| m.binary.version == Version::new(1, 0, 0))
    );
    world.judge();
}

#[test]
fn a_version_that_ends_at_its_start_is_given_up() {
    gives_up("ledger-exits", 10_000, "licence has expired");
}

#[test]
fn a_version_whose_mapping_panics_is_given_up() {
    gives_up("ledger-panics", 10_000, "did not expect");
}

#[test]
fn a_version_that_never_joins_is_given_up() {
    gives_up("ledger-silent", 1_000, "did not appear");
}
