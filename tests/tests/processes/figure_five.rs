//! The flow of Figure 5 on real processes, read off what each of them printed: who asks whose
//! daemon, who joins, who leaves, and when `upgraded()` is called.

use std::time::Instant;

use crate::common::{PATIENCE, World};
use end_to_end::UPGRADED;
use installation::{Group, process};
use wire::member::Seat;
use wire::status::MemberStatus;
use wire::{MemberId, Position};

/// A replica before the upgrade.
struct Old {
    member: MemberId,
    host: String,
    seat: Seat,
    process: u32,
    lines: Vec<String>,
}

/// An upgrade that has ended: what the replaced members printed, and who serves now.
struct Upgraded {
    world: World,
    old: Vec<Old>,
    new: Vec<MemberStatus>,
    view: Position,
}

fn upgraded() -> Upgraded {
    let mut world = World::of("herald", &["herald-v1", "herald-v2"]);
    let before = world.status().members;
    let mut old: Vec<Old> = before
        .iter()
        .map(|member| Old {
            member: member.member,
            host: member.host.clone(),
            seat: member.seat,
            process: world.process(member),
            lines: Vec::new(),
        })
        .collect();
    world.upgrade("2.0.0", 3, 10_000);
    let status = world.upgraded();
    assert_eq!(status.upgrade.unwrap().state, "done");
    let until = Instant::now() + PATIENCE;
    while old.iter().any(|old| process::runs(old.process)) {
        assert!(Instant::now() < until, "a replaced replica does not end");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    for old in &mut old {
        old.lines = world.printed(&old.host, old.process);
    }
    Upgraded {
        world,
        old,
        new: status.members,
        view: status.view,
    }
}

/// Where a line that contains `text` stands, if exactly one does.
fn only(lines: &[String], text: &str) -> usize {
    let mut found = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.contains(text));
    let (at, _) = found
        .next()
        .unwrap_or_else(|| panic!("nobody said \"{text}\": {lines:#?}"));
    assert_eq!(found.next(), None, "\"{text}\" was said twice: {lines:#?}");
    at
}

/// §4.2: "once it has left, the upgraded() method is invoked on R1", and on nobody else.
#[test]
fn upgraded_is_called_once_and_after_the_member_has_left() {
    let upgraded = upgraded();
    for old in &upgraded.old {
        let left = only(&old.lines, "stands without this replica");
        let called = only(&old.lines, UPGRADED);
        assert!(left < called, "{:#?}", old.lines);
    }
    for member in &upgraded.new {
        let process = upgraded.world.process(member);
        let lines = upgraded.world.printed(&member.host, process);
        assert!(!lines.is_empty());
        assert!(
            lines.iter().all(|line| !line.contains(UPGRADED)),
            "{lines:#?}"
        );
    }
}

/// §4.2, 3 and 4: "R1 is selected for upgrade and the UL performs a createReplica() invocation on
/// the local execution daemon", and awaits the success of the operation.
#[test]
fn the_turn_holder_asks_its_local_daemon_and_waits() {
    let upgraded = upgraded();
    for old in &upgraded.old {
        let host = &old.host;
        let asked = only(&old.lines, &format!("ask {host} for 2.0.0 "));
        let new = upgraded
            .new
            .iter()
            .find(|new| new.seat == old.seat)
            .unwrap();
        assert_eq!(
            &new.host, host,
            "the successor runs where its predecessor did"
        );
        let process = upgraded.world.process(new);
        let runs = only(&old.lines, &format!("process {process} runs"));
        let left = only(&old.lines, "stands without this replica");
        assert!(asked < runs && runs < left, "{:#?}", old.lines);
        // Nobody asked in its stead.
        for other in &upgraded.old {
            let in_its_stead = format!("ask {host} for 2.0.0 ");
            let asks = other.lines.iter().any(|line| line.contains(&in_its_stead));
            assert_eq!(asks, other.member == old.member, "{:#?}", other.lines);
        }
    }
}

/// §4.1: the membership service "supplies application replicas with information about the current
/// view of the object group": each of them tells the same one.
#[test]
fn every_member_tells_the_current_view() {
    let upgraded = upgraded();
    let mut told = Vec::new();
    for member in &upgraded.new {
        let mut asked = Group::at("herald", vec![member.address]);
        let until = Instant::now() + PATIENCE;
        let view = loop {
            let status = asked.status().unwrap();
            assert_eq!(status.answered_by, member.member);
            if status.view >= upgraded.view {
                break status.members;
            }
            assert!(Instant::now() < until, "{} is behind", member.member);
        };
        told.push(view);
    }
    for view in told {
        assert_eq!(view, upgraded.new);
    }
}
