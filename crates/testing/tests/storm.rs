//! Storms over a good service, led by hand from seeds: nothing is found, and what clients were told
//! of their requests is what became of them.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod shelf;

use std::time::Duration;

use shelf::{v1, v2};
use simulator::Random;
use testing::{Fault, TestCluster};

const SEEDS: u64 = 120;
/// Groups of so many members, by turns.
const MEMBERS: [u32; 4] = [1, 2, 3, 5];
const REQUESTS: u64 = 12;
/// How long a client waits for a reply: less than most faults last.
const DEADLINE: Duration = Duration::from_millis(300);

fn pears() -> String {
    "pears".to_owned()
}

/// Something happens to somebody, or nothing.
fn trouble(cluster: &TestCluster, random: &mut Random) {
    let members = cluster.members();
    let &member = random.pick(&members).unwrap();
    match random.range(0, 6) {
        0 => {
            let &fault = random.pick(&Fault::ALL).unwrap();
            // What the group could not bear is refused, and who is gone cannot be struck.
            let _ = cluster.strike(member, fault);
        }
        1 => {
            let _ = cluster.strike(member, Fault::Isolate(400));
        }
        2 => cluster.pass(Duration::from_millis(random.range(0, 100))),
        _ => {}
    }
}

#[test]
fn nothing_is_found_in_a_good_service_whatever_happens_to_it() {
    for seed in 0..SEEDS {
        let mut random = Random::new(seed);
        let members = MEMBERS[seed as usize % MEMBERS.len()];
        let mut cluster = TestCluster::of::<v1::Shelf>(seed).members(members).start();
        let shelf = v1::ShelfBlockingClient::new(cluster.session());
        let hasty = shelf.clone().with_deadline(DEADLINE);
        if random.chance(700) {
            cluster.begin_upgrade::<v2::Shelf>();
        }
        let (mut least, mut most) = (0, 0);
        for _ in 0..REQUESTS {
            trouble(&cluster, &mut random);
            match hasty.put(pears(), 1) {
                Ok(_) => (least, most) = (least + 1, most + 1),
                Err(error) if error.is_definite() => {}
                Err(_) => most += 1,
            }
        }
        cluster.settle();
        let count = shelf.count(pears()).unwrap();
        assert!(
            (least..=most).contains(&count),
            "seed {seed}: {count} pears, and there must be {least} to {most}"
        );
    }
}
