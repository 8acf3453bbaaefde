//! Errors: what became of a request, and what to do.

use std::time::Duration;

/// Why no client came to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// There is nobody to ask.
    #[error("no contacts were given: name at least one member's address")]
    NoContacts,
    /// Nobody answered as a member.
    #[error("no member of \"{group}\" answered within {within:?}; the last answer: {last}")]
    Nobody {
        /// The group.
        group: String,
        /// How long was tried.
        within: Duration,
        /// The last reason.
        last: String,
    },
}

/// Why a request has no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The group's effective version has no such method.
    #[error("not executed: the group's effective version has no such method")]
    UnknownMethod,
    /// The arguments do not decode, or have a shape that the group does not accept.
    #[error("not executed: the group does not accept arguments of this shape")]
    Malformed,
    /// A read was sent as a write or the other way round.
    #[error("not executed: the method is not of that kind (read or write)")]
    WrongKind,
    /// The request itself is wrong.
    #[error("not executed: {why}")]
    Invalid {
        /// What is wrong.
        why: String,
    },
    /// A limit was reached.
    #[error("not executed: overloaded, {limit}; ask again later")]
    Overloaded {
        /// Which limit.
        limit: String,
    },
    /// Nobody that was reached has a majority of the group.
    #[error("not executed: no majority of the group could be reached in time")]
    Unavailable,
    /// The time was over before the request left.
    #[error("not executed: no member could be reached in time ({last})")]
    Unreached {
        /// The last reason.
        last: String,
    },
    /// The service panicked while it executed the request.
    #[error("the service panicked while it executed the request; it may have had effects")]
    Panicked,
    /// The time is over; the request may have been executed, or may be later.
    #[error("no reply in time; the request may have been executed, or may still be")]
    Deadline,
    /// The session was silent too long, or is none of this group's.
    #[error(
        "the session has expired; the request may have been executed before. Open a new session"
    )]
    SessionExpired,
    /// The reply does not decode: it was executed.
    #[error("executed, but the reply does not decode: {why}")]
    ReplyMalformed {
        /// The decoder's words.
        why: String,
    },
    /// The client was shut down.
    #[error("the client is shut down; the request may have been executed")]
    ShutDown,
}

impl CallError {
    /// Whether the request was certainly not executed and never will be.
    pub fn is_definite(&self) -> bool {
        match self {
            CallError::UnknownMethod
            | CallError::Malformed
            | CallError::WrongKind
            | CallError::Invalid { .. }
            | CallError::Overloaded { .. }
            | CallError::Unavailable
            | CallError::Unreached { .. } => true,
            CallError::Panicked
            | CallError::Deadline
            | CallError::SessionExpired
            | CallError::ReplyMalformed { .. }
            | CallError::ShutDown => false,
        }
    }
}

/// Why an upgrade does not begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeError {
    /// The group refused it at its place in the order.
    #[error("{0}")]
    Refused(String),
    /// No answer.
    #[error(transparent)]
    Call(#[from] CallError),
}
