//! The test kit of service authors: a whole group of a service in one test, in process, from a
//! seed; with crashes, pauses, partitions and upgrades. A dev-dependency of a service's crate.
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::time::Duration;
//!
//! use serde::{Deserialize, Serialize};
//! use testing::TestCluster;
//!
//! #[derive(Debug, Default, Serialize, Deserialize)]
//! pub struct Store {
//!     entries: BTreeMap<String, String>,
//! }
//!
//! #[remex::service(name = "kv", state_format = 1)]
//! impl Store {
//!     pub fn put(&mut self, key: String, value: String) -> Option<String> {
//!         self.entries.insert(key, value)
//!     }
//!
//!     #[read]
//!     pub fn get(&self, key: String) -> Option<String> {
//!         self.entries.get(&key).cloned()
//!     }
//! }
//!
//! # fn main() -> Result<(), remex::CallError> {
//! let cluster = TestCluster::of::<Store>(7).members(3).start();
//! let store = StoreBlockingClient::new(cluster.session());
//!
//! store.put("swift".to_owned(), "Apus apus".to_owned())?;
//! cluster.crash(cluster.leader());
//! assert_eq!(store.get("swift".to_owned())?.as_deref(), Some("Apus apus"));
//!
//! cluster.partition(&[cluster.leader()], Duration::from_millis(500));
//! store.put("swift".to_owned(), "Apus apus (Linnaeus, 1758)".to_owned())?;
//! cluster.settle();
//! assert_eq!(cluster.state::<Store>().entries.len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! The clients are the typed ones of the service, and the group is the one that runs in production:
//! the same machines for order, membership, transfer, recovery and upgrade, in virtual time. The
//! same seed gives the same run; other seeds give other delays, and so other interleavings. A loop
//! over a hundred seeds is a good test.
//!
//! # What is checked without being asked for
//!
//! Each request is executed exactly once, and all replies are those of one history in which each
//! takes effect between asking and answering; the history is executed again by the service alone,
//! without any replication. Every member's state is that history's. The group comes to rest after
//! trouble. Upgrades end. A service that panics, whose state does not decode at a joiner, or whose
//! members differ, fails the test with its seed and the last of what happened.
//!
//! # Is it deterministic?
//!
//! [`assert_deterministic`] executes a history again and again in new instances, and names the
//! first call whose reply or state was not the same:
//!
//! ```should_panic
//! # use std::collections::HashMap;
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Debug, Default, Serialize, Deserialize)]
//! pub struct Store {
//!     entries: HashMap<String, String>, // its order is another in every replica
//! }
//! # #[remex::service(name = "kv", state_format = 1)]
//! # impl Store {
//! #     pub fn put(&mut self, key: String, value: String) -> Option<String> {
//! #         self.entries.insert(key, value)
//! #     }
//! # }
//! # fn main() {
//! // kv 0.1.0 is not deterministic
//! // call 4: `put` {"key": "key 3", "value": "3"}
//! // executed once more, the state is another
//! //   first: {"entries": {"key 2": "2", "key 0": "0", ..
//! //   then:  {"entries": {"key 0": "0", "key 3": "3", ..
//! testing::assert_deterministic::<Store>(|session| {
//!     let store = StoreBlockingClient::new(session);
//!     for number in 0..8 {
//!         let _ = store.put(format!("key {number}"), number.to_string());
//!     }
//! });
//! # }
//! ```
//!
//! [`check_deterministic`] says what it can see, and what not.
//!
//! # Does its mapping commute?
//!
//! [`assert_mapping`] executes a history with the version before and with the next one, and compares
//! after each call, replies and states. In a cluster that is upgraded, members of the next version
//! map at different positions, and their states are compared; what they would reply before their
//! behaviour is activated is seen by nobody there, so that a test of the mapping needs both.

mod alone;
mod cluster;
mod desks;
mod deterministic;
mod difference;
mod mapping;
mod show;

pub use cluster::{NotUpgraded, Settings, TestCluster};
pub use deterministic::{assert_deterministic, check_deterministic};
pub use difference::{Difference, Way, What};
pub use mapping::{assert_mapping, check_mapping};
pub use simulator::{Fault, Unbearable};
pub use wire::MemberId;
