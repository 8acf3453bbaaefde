//! The store as a group, tested by its author: in process, in virtual time, from seeds.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(unreachable_pub, reason = "methods of a service are `pub`")]

use std::collections::BTreeMap;
use std::time::Duration;

use remex::Successor;
use serde::{Deserialize, Serialize};
use testing::{Fault, TestCluster};

use super::{Entry, Store, StoreBlockingClient};

/// What the next release may look like: each entry counts how often it was written.
mod next {
    use super::*;

    #[derive(Debug, Default, Serialize, Deserialize)]
    pub struct Store {
        entries: BTreeMap<String, (super::Entry, u64)>,
    }

    #[remex::service(name = "kv", state_format = 2, version = "0.2.0")]
    impl Store {
        pub fn put(&mut self, cx: &remex::Context, key: String, value: String) -> Option<Entry> {
            let written = cx.position().0;
            let times = self.entries.get(&key).map_or(1, |(_, times)| times + 1);
            let entry = Entry { value, written };
            let before = self.entries.insert(key, (entry, times));
            before.map(|(entry, _)| entry)
        }

        pub fn delete(&mut self, key: String) -> Option<Entry> {
            self.entries.remove(&key).map(|(entry, _)| entry)
        }

        #[read]
        pub fn get(&self, key: String) -> Option<Entry> {
            self.entries.get(&key).map(|(entry, _)| entry.clone())
        }

        #[read]
        #[since("0.2.0")]
        pub fn times(&self, key: String) -> u64 {
            self.entries.get(&key).map_or(0, |(_, times)| *times)
        }
    }

    impl Successor for Store {
        type Predecessor = super::Store;

        fn map(old: super::Store) -> Result<Store, remex::Unmappable> {
            let entries = old.entries.into_iter();
            let entries = entries.map(|(key, entry)| (key, (entry, 1))).collect();
            Ok(Store { entries })
        }
    }
}

fn key(number: u64) -> String {
    format!("key {number}")
}

fn value(store: &StoreBlockingClient, number: u64) -> String {
    store.get(key(number)).unwrap().unwrap().value
}

/// What every test of a service begins with.
#[test]
fn the_store_does_the_same_twice() {
    testing::assert_deterministic::<Store>(|session| {
        let store = StoreBlockingClient::new(session);
        for number in 0..20 {
            store.put(key(number % 7), number.to_string()).unwrap();
            store.delete(key(number % 3)).unwrap();
        }
        store.keys("key".to_owned(), 5).unwrap();
    });
}

#[test]
fn what_was_written_survives_whatever_happens() {
    for seed in 0..20 {
        let cluster = TestCluster::of::<Store>(seed).members(3).start();
        let store = StoreBlockingClient::new(cluster.session());
        for number in 0..10 {
            store.put(key(number), number.to_string()).unwrap();
        }
        cluster.crash(cluster.leader());
        assert_eq!(value(&store, 3), "3");
        cluster.settle();

        cluster.partition(&[cluster.leader()], Duration::from_millis(500));
        store.put(key(3), "three".to_owned()).unwrap();
        let youngest = cluster.members()[2];
        cluster.strike(youngest, Fault::Slow(200)).unwrap();
        assert_eq!(value(&store, 3), "three");
        cluster.settle();
        assert_eq!(cluster.state::<Store>().entries.len(), 10);
    }
}

#[test]
fn old_clients_see_nothing_of_an_upgrade() {
    let mut cluster = TestCluster::of::<Store>(1).start();
    let store = StoreBlockingClient::new(cluster.session());
    store.put(key(0), "before".to_owned()).unwrap();

    cluster.begin_upgrade::<next::Store>();
    for number in 1..50 {
        store.put(key(number), number.to_string()).unwrap();
        assert_eq!(value(&store, 0), "before");
    }
    cluster.finish_upgrade().unwrap();

    let new = next::StoreBlockingClient::new(cluster.session());
    store.put(key(0), "after".to_owned()).unwrap();
    assert_eq!(new.times(key(0)).unwrap(), 2);
}
