//! What clients ask: made from chance, and opaque to everybody but the service.

use bytes::Bytes;
use client::{Kind, Request};
use wire::MethodId;

use crate::random::Random;

/// An operation that a client had answered.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// When it was asked, in virtual microseconds.
    pub asked_at: u64,
    /// When it was answered.
    pub answered_at: u64,
    /// Whether it wrote.
    pub kind: Kind,
    /// The method.
    pub method: MethodId,
    /// Its arguments, as the client sent them.
    pub arguments: &'a Bytes,
    /// The reply, as the client got it.
    pub reply: &'a Bytes,
}

/// Makes requests. All of them must be acceptable to the version that the group is founded with.
pub trait Workload: Send {
    /// What one session asks before all others ask anything.
    fn first(&mut self) -> Vec<Request>;

    /// The next request of a session. No two writes that a run makes may be equal, so that one that
    /// is executed twice shows.
    fn next(&mut self, random: &mut Random, session: u64) -> Request;

    /// Judges what clients saw, by a specification of its own: with
    /// [`linearizable`](crate::linearizable), which does not trust the positions of replies.
    ///
    /// # Errors
    ///
    /// What cannot have been answered as it was.
    fn judge(&self, seen: &[Answered<'_>]) -> Result<(), String>;
}
