//! A cluster of a small service in two versions: what authors do with it, and what it tells them.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod shelf;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use remex::{CallError, Version};
use shelf::{deaf, miscounting, unmappable, v1, v2};
use testing::{Fault, TestCluster, Unbearable};

fn milliseconds(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn pears() -> String {
    "pears".to_owned()
}

fn started(seed: u64) -> (TestCluster, v1::ShelfBlockingClient) {
    let cluster = TestCluster::of::<v1::Shelf>(seed).start();
    let shelf = v1::ShelfBlockingClient::new(cluster.session());
    (cluster, shelf)
}

/// What a test says that fails.
fn failure(test: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(test)).unwrap_err();
    *panic.downcast::<String>().unwrap()
}

#[test]
fn calls_are_typed_and_answered() {
    let (cluster, shelf) = started(1);
    assert_eq!(shelf.put(pears(), 3), Ok(3));
    assert_eq!(shelf.put(pears(), 4), Ok(7));
    assert_eq!(shelf.count(pears()), Ok(7));
    assert_eq!(shelf.clone().with_stale_reads().take(pears()), Ok(Some(7)));
    cluster.settle();
    assert_eq!(cluster.state::<v1::Shelf>(), v1::Shelf::default());
    assert_eq!(cluster.members().len(), 3);
}

#[test]
fn a_crashed_leader_is_replaced_and_nothing_is_lost() {
    let (cluster, shelf) = started(2);
    let leader = cluster.leader();
    shelf.put(pears(), 1).unwrap();
    cluster.crash(leader);
    assert_eq!(shelf.put(pears(), 1), Ok(2));
    cluster.settle();
    assert!(!cluster.members().contains(&leader));
    assert_eq!(cluster.members().len(), 3);
    assert_eq!(shelf.count(pears()), Ok(2));
}

#[test]
fn a_paused_member_and_a_partition_are_ridden_out() {
    let (cluster, shelf) = started(3);
    cluster.pause(cluster.leader(), milliseconds(400));
    assert_eq!(shelf.put(pears(), 1), Ok(1));
    cluster.partition(&[cluster.leader()], milliseconds(600));
    assert_eq!(shelf.put(pears(), 1), Ok(2));
    let second = cluster.members()[1];
    cluster.strike(second, Fault::Weather(300)).unwrap();
    for count in 3..20 {
        assert_eq!(shelf.put(pears(), 1), Ok(count));
    }
    cluster.settle();
    assert_eq!(cluster.members().len(), 3);
}

#[test]
fn a_minority_refuses_and_the_client_learns_what_became_of_it() {
    let (cluster, shelf) = started(4);
    shelf.put(pears(), 1).unwrap();
    let others: Vec<_> = cluster.members().into_iter().take(2).collect();
    cluster.partition(&others, milliseconds(8_000));
    let refused = shelf
        .clone()
        .with_deadline(milliseconds(1_500))
        .put(pears(), 1);
    let error = refused.unwrap_err();
    let told = failure(|| drop(cluster.session()));
    assert!(told.contains("no session could be opened"), "{told}");
    cluster.settle();
    let count = shelf.count(pears()).unwrap();
    assert!(
        !error.is_definite() || count == 1,
        "{error}, and {count} pears"
    );
}

#[test]
fn an_upgrade_maps_the_state_and_clients_go_on() {
    let (mut cluster, shelf) = started(5);
    let new = v2::ShelfBlockingClient::new(cluster.session());
    shelf.put(pears(), 2).unwrap();
    assert_eq!(new.all(), Err(CallError::UnknownMethod));
    cluster.begin_upgrade::<v2::Shelf>();
    cluster.crash(cluster.members()[1]);
    for count in 3..200 {
        assert_eq!(shelf.put(pears(), 1), Ok(count));
    }
    cluster.finish_upgrade().unwrap();
    assert_eq!(cluster.effective(), Version::new(2, 0, 0));
    assert_eq!(new.all(), Ok(199));
    assert_eq!(shelf.count(pears()), Ok(199));
    assert_eq!(cluster.state::<v2::Shelf>().all, 199);
}

#[test]
fn what_only_the_next_version_understands_is_refused_until_it_is_effective() {
    let (mut cluster, shelf) = started(11);
    let new = v2::ShelfBlockingClient::new(cluster.session());
    shelf.put(pears(), 5).unwrap();
    assert_eq!(new.take(pears(), Some(2)), Err(CallError::Malformed));
    assert_eq!(new.take(pears(), None), Ok(Some(5)));
    shelf.put(pears(), 5).unwrap();
    cluster.settle();
    assert_eq!(shelf.count(pears()), Ok(5));
    cluster.upgrade::<v2::Shelf>().unwrap();
    assert_eq!(new.take(pears(), Some(2)), Ok(Some(2)));
    assert_eq!(shelf.take(pears()), Ok(Some(3)));
}

#[test]
fn a_version_that_cannot_take_over_is_refused_with_its_own_words() {
    let (mut cluster, shelf) = started(6);
    shelf.put(pears(), 2).unwrap();
    let error = cluster.upgrade::<unmappable::Shelf>().unwrap_err();
    assert_eq!(error.to, "shelf 2.3.0");
    assert!(error.why.contains("1 goods have no price"), "{error}");
    assert_eq!(shelf.put(pears(), 1), Ok(3));
}

#[test]
fn overlapping_calls_are_one_history() {
    let cluster = TestCluster::of::<v1::Shelf>(7).members(5).start();
    let sessions: Vec<_> = (0..4)
        .map(|_| v1::ShelfClient::new(cluster.async_session()))
        .collect();
    let shelf = v1::ShelfBlockingClient::new(cluster.session());
    cluster.crash(cluster.leader());
    let asked: Vec<_> = sessions.iter().map(|shelf| shelf.put(pears(), 1)).collect();
    let mut counts = Vec::new();
    cluster.run(async {
        for reply in asked {
            counts.push(reply.await.unwrap());
        }
    });
    counts.sort_unstable();
    assert_eq!(counts, [1, 2, 3, 4]);
    assert_eq!(shelf.count(pears()), Ok(4));
}

#[test]
fn the_same_seed_is_the_same_run_and_another_is_not() {
    let run = |seed| {
        let (mut cluster, shelf) = started(seed);
        cluster.begin_upgrade::<v2::Shelf>();
        cluster.crash(cluster.leader());
        for _ in 0..20 {
            shelf.put(pears(), 1).unwrap();
        }
        cluster.finish_upgrade().unwrap();
        cluster.settle();
        (cluster.digest(), cluster.transcript())
    };
    assert_eq!(run(8), run(8));
    assert_ne!(run(8).0, run(9).0);
}

#[test]
fn a_group_that_would_be_lost_is_not_struck() {
    let (cluster, _) = started(10);
    cluster.crash(cluster.leader());
    let told = failure(|| cluster.crash(cluster.leader()));
    assert!(told.contains("no majority of the group remains"), "{told}");
    let alone = TestCluster::of::<v1::Shelf>(10).members(1).start();
    let leader = alone.leader();
    let refused = alone.strike(leader, Fault::PowerOff);
    assert_eq!(refused, Err(Unbearable::Fatal(leader)));
}

/// A failure names the service and the seed, and shows what happened.
fn assert_told(told: &str, seed: u64, parts: &[&str]) {
    let head = format!("failed; the same test with seed {seed} fails again");
    for part in [head.as_str(), "the last of what happened:"]
        .iter()
        .chain(parts)
    {
        assert!(told.contains(part), "`{part}` is not in:\n{told}");
    }
}

#[test]
fn a_service_that_panics_is_named_with_its_method() {
    let told = failure(|| {
        let (_cluster, shelf) = started(20);
        let _ = shelf.burn();
    });
    assert_told(
        &told,
        20,
        &[
            "a cluster of shelf 1.0.0",
            "service: the service panicked in \"burn\"",
        ],
    );
}

#[test]
fn a_state_that_does_not_decode_is_told_with_the_decoders_words() {
    let told = failure(|| {
        TestCluster::of::<deaf::Shelf>(21).start();
    });
    assert_told(&told, 21, &["a shelf is written and not read"]);
}

#[test]
fn a_next_version_that_miscounts_is_found() {
    let told = failure(|| {
        let (mut cluster, shelf) = started(22);
        shelf.put(pears(), 5).unwrap();
        cluster.begin_upgrade::<miscounting::Shelf>();
        for _ in 0..50 {
            shelf.put(pears(), 1).unwrap();
            cluster.pass(milliseconds(5));
        }
        let _ = cluster.finish_upgrade();
        cluster.settle();
    });
    assert_told(
        &told,
        22,
        &["transfer: the state of", "(2.1.0)", "assert_mapping"],
    );
}
