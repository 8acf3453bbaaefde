//! Errors of the typed clients; those of single requests are [`CallError`].

use client::{CallError, ConnectError};

/// Why a typed client was not connected. Nothing happened in the group, but for a session that may
/// have been opened and expires by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// No member was reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A member was reached, and no session was opened.
    #[error("no session could be opened: {0}")]
    Session(#[from] CallError),
}
