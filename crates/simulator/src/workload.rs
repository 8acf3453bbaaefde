//! What clients ask: made from chance, and opaque to everybody but the service.

use client::Request;

use crate::random::Random;

/// Makes requests. All of them must be acceptable to the version that the group is founded with.
pub trait Workload {
    /// What one session asks before all others ask anything.
    fn first(&mut self) -> Vec<Request>;

    /// The next request of a session. No two writes that a run makes may be equal, so that one that
    /// is executed twice shows.
    fn next(&mut self, random: &mut Random, session: u64) -> Request;
}
