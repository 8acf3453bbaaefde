//! What is kept beside the service's own state, and how it travels to a joiner (design 4.6).
//!
//! The encoding carries its format, which is looked at before anything else is decoded.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use wire::Version;
use wire::frame::{FrameError, decode_body, to_bytes};

use super::interface::Interface;
use super::program::ImportError;
use super::sessions::Sessions;

/// The format of the transferred sessions that this build writes and reads.
pub(super) const FORMAT: u8 = 1;

/// Ordered state beside the service's own.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct Kept {
    #[n(0)]
    format: u8,
    #[n(1)]
    pub(super) sessions: Sessions,
    /// What requests may use.
    #[n(2)]
    pub(super) interface: Interface,
    /// The version whose behaviour the group shows.
    #[n(3)]
    pub(super) effective: Version,
    /// The group's seed, for ordered randomness.
    #[n(4)]
    pub(super) seed: u64,
}

/// What every format begins with.
#[derive(Decode)]
struct Beginning {
    #[n(0)]
    format: u8,
}

impl Kept {
    /// That of a new group.
    pub(super) fn new(interface: Interface, effective: Version, seed: u64) -> Kept {
        Kept {
            format: FORMAT,
            sessions: Sessions::default(),
            interface,
            effective,
            seed,
        }
    }

    /// For a transfer.
    pub(super) fn to_bytes(&self) -> Bytes {
        to_bytes(self).into()
    }

    /// From a transfer.
    ///
    /// # Errors
    /// Another format, or bytes that no member wrote.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Kept, ImportError> {
        let Beginning { format } = decode_body(bytes)?;
        if format != FORMAT {
            return Err(ImportError::SessionsFormat { found: format });
        }
        let mut kept: Kept = decode_body(bytes)?;
        kept.sessions.restore().map_err(|why| FrameError::Body {
            why: why.to_owned(),
        })?;
        Ok(kept)
    }
}
