//! What a client is told, what it asks, what it is answered, what it counts.

use std::time::Duration;

use bytes::Bytes;
use wire::{MethodId, Position};

/// How a client behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// A request that was not answered this long goes to another member, under the same number.
    /// From the third sending on the patience doubles, up to eight times this, so that retries
    /// cannot drown a group that is merely slow.
    pub retry_after: Duration,
    /// How long a request may take if it does not say so itself.
    pub deadline: Duration,
    /// How long connecting may take.
    pub connect_within: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            // Several times what a loaded group takes, and short for a person.
            retry_after: Duration::from_millis(100),
            deadline: Duration::from_secs(5),
            connect_within: Duration::from_secs(5),
        }
    }
}

/// How a request is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In the total order, exactly once.
    Write,
    /// On a state that has everything that was acknowledged before the read began.
    Read,
    /// On one member's state, which may be old.
    StaleRead,
}

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The method.
    pub method: MethodId,
    /// Fingerprint of the shape of the arguments.
    pub signature: u32,
    /// How it is executed.
    pub kind: Kind,
    /// The arguments, encoded.
    pub arguments: Bytes,
    /// How long it may take; the client's own default if absent.
    pub deadline: Option<Duration>,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Where it was executed; for a read, the state that it saw.
    pub position: Position,
    /// The reply, encoded.
    pub bytes: Bytes,
}

/// What came of a call by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonReply {
    /// Where it was executed; for a read, the state that it saw.
    pub position: Position,
    /// The reply as JSON text.
    pub text: String,
}

/// What a client has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests that were asked.
    pub requests: u64,
    /// Requests that were resolved, with a reply or an error.
    pub resolved: u64,
    /// Sendings of a request after its first.
    pub retried: u64,
    /// Times the client went from one member to another.
    pub reconnected: u64,
    /// Connections that came to be, those kept in reserve among them.
    pub connections: u64,
    /// Requests that a member declined to take.
    pub declined: u64,
}
