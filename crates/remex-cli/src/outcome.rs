//! How a command ends when it does not end well: each kind has its exit code.

use std::io;

use client::CallError;

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Outcome {
    /// It was tried and failed.
    #[error("{0}")]
    Failed(String),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Nobody answered.
    #[error("{0}")]
    Unreached(String),
    /// The group or the daemon refused.
    #[error("{0}")]
    Refused(String),
    /// It may go on, but not within the time.
    #[error("{0}")]
    Waiting(String),
}

/// An error of the system, and what can be done about it.
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "the system's errors are not ours, and most have no remedy of their own"
)]
pub(crate) fn told(error: &io::Error) -> String {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there: end it, or name another --port",
        io::ErrorKind::AddrNotAvailable => "this host has no such address: name another --ip",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room there, or name another place with --state"
        }
        io::ErrorKind::PermissionDenied => "give this user the right, or name another place",
        io::ErrorKind::NotADirectory
        | io::ErrorKind::AlreadyExists
        | io::ErrorKind::ReadOnlyFilesystem => "name another place",
        _ => return error.to_string(),
    };
    format!("{error}; {remedy}")
}

/// What became of a request decides: who refuses has said so, and whose time is over may go on.
impl From<CallError> for Outcome {
    fn from(error: CallError) -> Outcome {
        let why = error.to_string();
        match error {
            CallError::UnknownMethod
            | CallError::Malformed
            | CallError::WrongKind
            | CallError::Invalid { .. }
            | CallError::Overloaded { .. }
            | CallError::WindowFull
            | CallError::Unavailable => Outcome::Refused(why),
            CallError::Unreached { .. } => Outcome::Unreached(why),
            CallError::Deadline => Outcome::Waiting(why),
            CallError::Panicked
            | CallError::SessionExpired { .. }
            | CallError::ReplyForgotten
            | CallError::ReplyMalformed { .. }
            | CallError::ShutDown => Outcome::Failed(why),
        }
    }
}

impl Outcome {
    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Outcome::Failed(_) => 1,
            Outcome::Usage(_) => 2,
            Outcome::Unreached(_) => 3,
            Outcome::Refused(_) => 4,
            Outcome::Waiting(_) => 5,
        }
    }

    /// The word for it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Outcome::Failed(_) => "failed",
            Outcome::Usage(_) => "usage",
            Outcome::Unreached(_) => "unreached",
            Outcome::Refused(_) => "refused",
            Outcome::Waiting(_) => "waiting",
        }
    }
}
