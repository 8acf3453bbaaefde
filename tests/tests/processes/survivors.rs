//! Survivors (design 4.5): a majority is dead, certainly, and nothing is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use end_to_end::fuse::FuseBlockingClient;
use installation::process;
use rustix::process::Signal;
use wire::status::{GroupStatus, MemberStatus};

use crate::common::{World, follower, leader, settles, signal};

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
    let after = world.until("two members again", |status| settles(status, 2));
    assert_eq!(after.incarnation, before.incarnation + 1);
    assert!(
        after
            .members
            .iter()
            .all(|member| member.member != silent.member)
    );
}

/// Every reply is one more than the last: nothing is lost, nothing is executed twice.
fn count(world: &World, stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<u64> {
    let (contacts, stop) = (world.group.contacts().to_vec(), Arc::clone(stop));
    std::thread::spawn(move || {
        let client = remex::blocking::Client::connect("fuse", &contacts).unwrap();
        let session = client.session().unwrap();
        let fuse = FuseBlockingClient::new(session).with_deadline(Duration::from_secs(20));
        let mut last = 0;
        while !stop.load(Ordering::Relaxed) {
            let next = fuse.count().unwrap();
            assert_eq!(next, last + 1);
            last = next;
        }
        last
    })
}

/// How often an upgrade is tried whose successor dies in the moment that is wanted: it may die a
/// moment later, when it has ended the swap and is alone. Then nobody may go on.
const TRIES: usize = 6;

/// A group of one in mid-swap: its successor is a voter, and its predecessor has stopped.
#[test]
fn a_group_of_one_survives_its_successor_in_the_middle_of_the_swap() {
    for _ in 0..TRIES {
        let mut world = World::sized("fuse", &["fuse-v1", "fuse-v2"], 1);
        let before = world.status();
        let stop = Arc::new(AtomicBool::new(false));
        let client = count(&world, &stop);
        world.upgrade("2.0.0", 4, 10_000);
        let until = Instant::now() + Duration::from_secs(10);
        let done = loop {
            match world.group.status() {
                Ok(status) if status.incarnation > before.incarnation => break true,
                // It was alone: nobody is left, or nobody may go on.
                Ok(_) | Err(_) if Instant::now() > until => break false,
                Ok(_) | Err(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        if done {
            let after = world.upgraded();
            assert_eq!(after.upgrade.unwrap().state, "done");
            let more = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(200));
                stop.store(true, Ordering::Relaxed);
            });
            assert!(client.join().unwrap() > 0);
            more.join().unwrap();
            return;
        }
        stop.store(true, Ordering::Relaxed);
    }
    panic!("in {TRIES} tries no successor died in the middle of the swap");
}
