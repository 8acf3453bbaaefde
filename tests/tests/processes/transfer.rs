//! A large state on its way to a joiner, and the group meanwhile.

use std::time::{Duration, Instant};

use end_to_end::hoard::HoardBlockingClient;
use installation::{Group, process};
use remex::blocking;
use rustix::process::Signal;
use wire::status::{GroupStatus, MemberStatus};

use crate::common::{PATIENCE, World, follower, settled, signal};

/// The state: large enough that its transfer is met on its way by an observer that looks every few
/// milliseconds.
const HEAPS: u32 = 256;
/// Of these so many are made by one request, which stays far below a request's patience.
const HEAPS_AT_ONCE: u32 = 8;
const HEAP_BYTES: u64 = 1 << 20;
/// Writes, and reads, that must be answered while the transfer waits for its joiner.
const REQUESTS: u64 = 200;

/// Design 4.6: "State transfer never stalls the group."
///
/// The joiner is stopped in the middle of its transfer, so that the donor stands in it for as long as
/// the requests take, however fast this machine is. There is no majority without the donor.
#[test]
fn state_transfer_does_not_stall_the_group() {
    let mut world = World::of("hoard", &["hoard"]);
    let hoard = client(&world.group);
    for _ in 0..HEAPS / HEAPS_AT_ONCE {
        hoard.heap(HEAPS_AT_ONCE).unwrap();
    }
    let victim = follower(&world.status());
    world.kill(&victim);

    let joiner = world
        .until("some of the state has come", |status| {
            part(status).is_some()
        })
        .joiners[0]
        .clone();
    let joining = world.process(&joiner);
    signal(joining, Signal::STOP);
    let (before, votes) = on_its_way(&mut world);
    assert_eq!(votes, 2, "no majority without the donor");
    for number in 1..=REQUESTS {
        assert_eq!(hoard.put().unwrap(), number);
        assert_eq!(hoard.coins().unwrap(), number);
    }
    let (after, _) = on_its_way(&mut world);
    // What lay in the sockets when it was stopped is all that can have come since.
    assert!(before <= after, "{before} bytes, then {after}");
    assert!(
        !has_the_state(&world, &joiner, joining),
        "the transfer was over before the requests were"
    );
    signal(joining, Signal::CONT);

    let status = world.until("three members without the dead one", |status| {
        settled(status)
            && status
                .members
                .iter()
                .all(|member| member.member != victim.member)
    });
    assert_eq!(hoard.put().unwrap(), REQUESTS + 1);
    let states: Vec<String> = status.members.iter().map(checksum).collect();
    assert_eq!(states, vec![states[0].clone(); 3], "{status:#?}");
}

fn client(group: &Group) -> HoardBlockingClient {
    let client = blocking::Client::connect("hoard", group.contacts()).unwrap();
    HoardBlockingClient::new(client.session().unwrap()).with_deadline(Duration::from_secs(5))
}

/// How much of the state the joiner has, if it has some and lacks some.
fn part(status: &GroupStatus) -> Option<u64> {
    let joiner = status.joiners.first()?;
    let received = joiner.transfer.as_ref()?.received?;
    (0 < received && received < u64::from(HEAPS) * HEAP_BYTES).then_some(received)
}

/// How many bytes of an unfinished transfer have come, and how many members vote.
fn on_its_way(world: &mut World) -> (u64, usize) {
    let status = world.status();
    let part = part(&status);
    let part = part.unwrap_or_else(|| panic!("no transfer is on its way: {status:#?}"));
    (part, status.members.len())
}

/// Whether a joiner has said that all of the state is there.
fn has_the_state(world: &World, joiner: &MemberStatus, process: u32) -> bool {
    assert!(process::runs(process));
    let lines = world.printed(&joiner.host, process);
    lines.iter().any(|line| line.contains("has the state of"))
}

/// What one member's state comes to.
fn checksum(member: &MemberStatus) -> String {
    let mut asked = Group::at("hoard", vec![member.address]);
    let until = Instant::now() + PATIENCE;
    loop {
        match asked.call("checksum", "[]") {
            Ok(checksum) => return checksum,
            Err(why) => assert!(Instant::now() < until, "{}: {why}", member.member),
        }
    }
}
