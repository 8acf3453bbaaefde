//! Nondeterministic services, each in a way of its own: caught and named. Deterministic ones pass.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(
    clippy::disallowed_methods,
    reason = "services that do what services must not are what is tested"
)]
#![allow(
    unreachable_pub,
    reason = "a service's methods are `pub`, wherever it lies"
)]

mod shelf;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use remex::Context;
use serde::{Deserialize, Serialize};
use shelf::{impatient, miscounting, unmappable, v1, v2};
use testing::{Difference, TestCluster, Way, What, check_deterministic, check_mapping};

/// A service that does one thing wrong, whichever it is asked for.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Odd {
    unordered: HashMap<String, u64>,
    ordered: BTreeMap<String, u64>,
    #[serde(skip)]
    calls: u64,
}

static CALLS: AtomicU64 = AtomicU64::new(0);

#[remex::service(name = "odd", state_format = 1, version = "1.0.0")]
impl Odd {
    pub fn orderly(&mut self, cx: &Context, key: String) -> (u64, u64) {
        self.ordered.insert(key, cx.time().0);
        (cx.position().0, cx.time().0)
    }

    pub fn hash(&mut self, key: String) {
        self.unordered.insert(key, 1);
    }

    #[read]
    pub fn first(&self) -> Option<String> {
        self.unordered.keys().next().cloned()
    }

    pub fn clock(&mut self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs()
    }

    pub fn clock_in_the_state(&mut self, key: String) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        self.ordered.insert(key, now.as_secs());
    }

    pub fn thread(&mut self) -> String {
        format!("{:?}", std::thread::current().id())
    }

    pub fn address(&mut self) -> String {
        format!("{:p}", std::ptr::from_ref(self))
    }

    pub fn shared(&mut self) -> u64 {
        CALLS.fetch_add(1, Ordering::Relaxed)
    }

    pub fn forgotten(&mut self) -> u64 {
        self.calls += 1;
        self.calls
    }

    pub fn refuse(&mut self, even: bool) -> Result<(), String> {
        match even {
            true => panic!("it always panics here"),
            false => Err("no".to_owned()),
        }
    }
}

fn check(history: impl FnOnce(OddBlockingClient)) -> Result<(), Difference> {
    check_deterministic::<Odd>(|session| {
        let odd = OddBlockingClient::new(session);
        odd.orderly("one".to_owned()).unwrap();
        history(odd);
    })
}

/// The second call is the first that differs.
fn assert_found(call: &str, history: impl FnOnce(OddBlockingClient)) -> Difference {
    let found = check(history).unwrap_err();
    assert_eq!(found.service, "odd 1.0.0");
    assert_eq!((found.number, found.call.as_str()), (2, call), "{found}");
    found
}

#[test]
fn a_service_that_does_the_same_twice_passes() {
    check(|odd| {
        odd.orderly("two".to_owned()).unwrap();
        odd.hash("only".to_owned()).unwrap();
        odd.first().unwrap();
        odd.refuse(false).unwrap().unwrap_err();
        odd.refuse(true).unwrap_err();
    })
    .unwrap();
    check_deterministic::<v1::Shelf>(|session| {
        let shelf = v1::ShelfBlockingClient::new(session);
        assert_eq!(shelf.put("pears".to_owned(), 1), Ok(1));
        assert_eq!(shelf.count("pears".to_owned()), Ok(1));
    })
    .unwrap();
}

#[test]
fn the_order_of_a_hash_map_is_found_in_the_state() {
    let found = check(|odd| {
        for key in 0..20 {
            odd.hash(key.to_string()).unwrap();
        }
    })
    .unwrap_err();
    assert!(
        found.number > 1 && found.call.starts_with("`hash` "),
        "{found}"
    );
    assert!(matches!(found.what, What::State { .. }), "{found}");
    let told = found.to_string();
    assert!(
        told.starts_with("odd 1.0.0 is not deterministic\ncall "),
        "{told}"
    );
    assert!(told.contains("first: {\"unordered\": {"), "{told}");
}

#[test]
fn a_clock_in_seconds_is_found_in_a_reply_and_in_the_state() {
    let found = assert_found("`clock` {}", |odd| {
        odd.clock().unwrap();
    });
    assert!(matches!(found.what, What::Reply { .. }), "{found}");
    let found = assert_found("`clock_in_the_state` {\"key\": \"k\"}", |odd| {
        odd.clock_in_the_state("k".to_owned()).unwrap();
    });
    assert!(matches!(found.what, What::State { .. }), "{found}");
}

#[test]
fn thread_ids_addresses_and_shared_counters_are_found() {
    assert_found("`thread` {}", |odd| {
        odd.thread().unwrap();
    });
    assert_found("`address` {}", |odd| {
        odd.address().unwrap();
    });
    assert_found("`shared` {}", |odd| {
        odd.shared().unwrap();
    });
}

#[test]
fn what_a_joiner_would_not_get_is_found() {
    let found = check(|odd| {
        odd.forgotten().unwrap();
        odd.forgotten().unwrap();
    })
    .unwrap_err();
    assert_eq!((found.number, found.way), (3, Way::Handed), "{found}");
}

#[test]
fn a_cluster_says_of_which_call_its_members_made_different_states() {
    let panic = std::panic::catch_unwind(|| {
        let cluster = TestCluster::of::<Odd>(31).start();
        let odd = OddBlockingClient::new(cluster.session());
        for key in 0..20 {
            odd.hash(key.to_string()).unwrap();
        }
        cluster.settle();
    })
    .unwrap_err();
    let told = panic.downcast::<String>().unwrap();
    for part in [
        "seed 31",
        "transfer: ",
        "odd 1.0.0 is not deterministic\ncall ",
        "`hash` {",
    ] {
        assert!(told.contains(part), "`{part}` is not in:\n{told}");
    }
}

fn pears_and_plums(session: remex::blocking::Session) {
    let shelf = v1::ShelfBlockingClient::new(session);
    shelf.put("pears".to_owned(), 2).unwrap();
    shelf.put("plums".to_owned(), 3).unwrap();
    shelf.take("pears".to_owned()).unwrap();
    shelf.count("plums".to_owned()).unwrap();
}

#[test]
fn a_mapping_that_commutes_passes() {
    check_mapping::<v2::Shelf>(pears_and_plums).unwrap();
}

#[test]
fn a_mapping_that_does_not_commute_is_found_at_its_first_call() {
    let found = check_mapping::<miscounting::Shelf>(pears_and_plums).unwrap_err();
    assert_eq!((found.service.as_str(), found.number), ("shelf 2.1.0", 1));
    let What::State { first, second } = &found.what else {
        panic!("{found}");
    };
    assert_eq!(first, r#"{"goods": {"pears": 2}, "all": 1}"#);
    assert_eq!(second, r#"{"goods": {"pears": 2}, "all": 2}"#);
}

#[test]
fn a_next_version_that_replies_otherwise_is_found_at_its_first_call() {
    let found = check_mapping::<impatient::Shelf>(pears_and_plums).unwrap_err();
    assert_eq!(found.number, 2, "{found}");
    let (first, second) = ("3".to_owned(), "5".to_owned());
    assert_eq!(found.what, What::Reply { first, second });
}

#[test]
fn a_state_that_does_not_map_is_told_with_the_mappings_words() {
    let found = check_mapping::<unmappable::Shelf>(pears_and_plums).unwrap_err();
    assert_eq!((found.number, found.way), (0, Way::Mapped));
    assert!(
        found.to_string().contains("0 goods have no price"),
        "{found}"
    );
}
