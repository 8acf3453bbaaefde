//! State mapping: how a version takes over the state of the one before it (§2.1).
//!
//! "There exist a mapping from the state of version v to the state of version v + 1": authors
//! write one step, and longer ways are chains of steps, each through the version before.

use replica::Service;

/// A version that takes over the state of the one before it.
///
/// ```
/// # mod v1 {
/// #     #[derive(Default, serde::Serialize, serde::Deserialize)]
/// #     pub struct Counter { pub count: u32 }
/// #     #[remex::service(name = "counter", state_format = 1, version = "1.0.0")]
/// #     impl Counter { #[read] pub fn count(&self) -> u32 { self.count } }
/// # }
/// # #[derive(Default, serde::Serialize, serde::Deserialize)]
/// # pub struct Counter { up: u64, down: u64 }
/// # #[remex::service(name = "counter", state_format = 2, version = "2.0.0")]
/// # impl Counter { #[read] pub fn count(&self) -> u32 { (self.up - self.down) as u32 } }
/// impl remex::Successor for Counter {
///     type Predecessor = v1::Counter;
///
///     fn map(old: v1::Counter) -> Result<Self, remex::Unmappable> {
///         Ok(Counter { up: old.count.into(), down: 0 })
///     }
/// }
/// # fn main() {}
/// ```
pub trait Successor: Sized {
    /// The version before, usually the same type in the previous release of the crate.
    type Predecessor: Service;

    /// The state that this version has where the version before has `old`.
    ///
    /// It must commute with execution: while the group behaves as the version before, to map and
    /// then execute a request gives the same as to execute it there and then map.
    ///
    /// # Errors
    /// An [`Unmappable`] that says what in the state has no counterpart. The joiner that maps ends,
    /// and the group goes on as it was.
    fn map(old: Self::Predecessor) -> Result<Self, Unmappable>;
}

/// A version whose state can be given back to the one before it, so that the group can return to
/// it even after the new behaviour has begun.
pub trait Reversible: Successor {
    /// The state that the version before would have: [`Successor::map`] of it is `self` again.
    ///
    /// # Errors
    /// An [`Unmappable`] that says what the version before cannot express.
    fn map_back(&self) -> Result<Self::Predecessor, Unmappable>;
}

/// Why a state has no counterpart in the other version. The state that was to be mapped is
/// untouched where it came from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unmappable(String);

impl Unmappable {
    /// Says what in the state has no counterpart; operators read it.
    pub fn new(why: impl Into<String>) -> Unmappable {
        Unmappable(why.into())
    }
}
