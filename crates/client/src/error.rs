//! Errors: what became of a request, and what to do.

use std::time::Duration;

/// Why no client came to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// There is nobody to ask.
    #[error("no contacts were given: name at least one member's address")]
    NoContacts,
    /// Nobody answered as a member of the group.
    #[error(
        "no member of group `{group}` answered within {within:?} ({last}): check the group's name \
         and the contacts' addresses"
    )]
    Nobody {
        /// The group.
        group: String,
        /// How long was tried.
        within: Duration,
        /// What went wrong last.
        last: String,
    },
    /// The blocking client's own thread or runtime could not be started.
    #[error("the client's thread cannot be started: {why}")]
    Thread {
        /// The system's words.
        why: String,
    },
}

/// Why a request has no reply. Each says what became of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The effective version has no such method.
    #[error(
        "not executed: the group's effective version has no such method; upgrade the group or use \
         a client of its version"
    )]
    UnknownMethod,
    /// The arguments do not decode.
    #[error(
        "not executed: the arguments do not decode in the group's effective version; use a client \
         of its version"
    )]
    Malformed,
    /// A read was sent as a write, or the other way round.
    #[error(
        "not executed: the method changes state and was sent as a read, or the other way round"
    )]
    WrongKind,
    /// The request itself is wrong.
    #[error("not executed: {why}")]
    Invalid {
        /// What is wrong, and what is expected.
        why: String,
    },
    /// A named limit is reached.
    #[error("not executed: overloaded ({limit}); ask again later")]
    Overloaded {
        /// Which limit.
        limit: String,
    },
    /// The session has too many replies that the group must keep.
    #[error(
        "not executed: the session's unacknowledged replies take more room than it may have; wait \
         for replies before asking more, or use another session"
    )]
    WindowFull,
    /// No member that was reached has a majority of the group.
    #[error("not executed: no majority of the group could be reached in time; ask again later")]
    Unavailable,
    /// The time was over before any member took it.
    #[error("not executed: no member took it in time ({last}); ask again later")]
    Unreached {
        /// What went wrong last.
        last: String,
    },
    /// The service panicked while it executed the request.
    #[error(
        "the service panicked while it executed the request, which may have had a part of its \
         effects; look at the state, and at the replicas' output"
    )]
    Panicked,
    /// The time is over; the request may have been executed, or may still be.
    #[error(
        "no reply in time: the request may have been executed, or may still be; look at the state \
         before asking again"
    )]
    Deadline,
    /// The group does not know the session (any more).
    #[error(
        "the session has expired: {}; open a new session",
        if *.sent_before {
            "the request was sent more than once and may have been executed before"
        } else {
            "the request was not executed"
        }
    )]
    SessionExpired {
        /// Whether an earlier sending of this request may have been executed.
        sent_before: bool,
    },
    /// The group was told that the client has this reply, which it has not.
    #[error(
        "not executed now, and perhaps before: somebody else uses this session's numbers too and \
         has acknowledged this one; open a session for each user"
    )]
    ReplyForgotten,
    /// It was executed; its reply does not decode.
    #[error("executed, but the reply does not decode: {why}; use a client of the group's version")]
    ReplyMalformed {
        /// The decoder's words.
        why: String,
    },
    /// The client was shut down.
    #[error("the client is shut down; the request may have been executed")]
    ShutDown,
}

impl CallError {
    /// Whether the request was certainly not executed, and never will be.
    pub fn is_definite(&self) -> bool {
        match self {
            CallError::UnknownMethod
            | CallError::Malformed
            | CallError::WrongKind
            | CallError::Invalid { .. }
            | CallError::Overloaded { .. }
            | CallError::WindowFull
            | CallError::Unavailable
            | CallError::Unreached { .. } => true,
            CallError::SessionExpired { sent_before } => !sent_before,
            CallError::Panicked
            | CallError::Deadline
            | CallError::ReplyForgotten
            | CallError::ReplyMalformed { .. }
            | CallError::ShutDown => false,
        }
    }
}

/// Why an operator's wish does not hold: an upgrade, or another number of members.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WishError {
    /// The group refused it, for this reason; nothing has changed.
    #[error("{0}")]
    Refused(String),
    /// There was no answer. Asking again with the same token is safe.
    #[error(transparent)]
    Call(#[from] CallError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_became_of_the_request_and_what_to_do() {
        for (error, became, remedy) in [
            (
                CallError::UnknownMethod,
                "not executed: the group's effective version has no such method",
                "upgrade the group or use a client of its version",
            ),
            (
                CallError::Malformed,
                "not executed: the arguments do not decode in the group's effective version",
                "use a client of its version",
            ),
            (
                CallError::ReplyForgotten,
                "not executed now, and perhaps before: somebody else uses this session's numbers too",
                "open a session for each user",
            ),
            (
                CallError::SessionExpired { sent_before: true },
                "the session has expired",
                "open a new session",
            ),
            (
                CallError::Overloaded {
                    limit: "bytes".to_owned(),
                },
                "not executed: overloaded (bytes)",
                "ask again later",
            ),
            (
                CallError::Unavailable,
                "not executed: no majority",
                "ask again later",
            ),
            (
                CallError::ReplyMalformed {
                    why: "cut".to_owned(),
                },
                "executed, but the reply does not decode: cut",
                "use a client of the group's version",
            ),
        ] {
            let told = error.to_string();
            assert!(told.starts_with(became), "{told}");
            assert!(told.contains(remedy), "{told}");
        }
    }
}
