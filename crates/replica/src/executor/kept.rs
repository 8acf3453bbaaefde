//! What is kept beside the service's own state, and how it travels to a joiner (design 4.6).
//!
//! The encoding carries its format, which is looked at before anything else is decoded.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use wire::frame::{FrameError, decode_body, to_bytes};
use wire::list::List;
use wire::log::Proposal;
use wire::{OrderedTime, Position, Version};

use super::Executable;
use super::interface::Interface;
use super::program::ImportError;
use super::sessions::Sessions;

/// The usual format of the transferred sessions that this build writes and reads.
pub(super) const FORMAT: u8 = 1;
/// The format with requests that the donor holds back: a reader that would leave them out must
/// refuse it.
pub(super) const FORMAT_HOLDING: u8 = 2;
/// Above this many bytes a member that has stopped forgets what it holds back, and cannot give its
/// state away any more: what the order itself lets be on its way.
const HELD_BYTES_MAX: usize = 64 << 20;

/// What one held position takes beside its requests, near enough for a limit.
const HELD_ENTRY_BYTES: u64 = 64;

fn size(request: &Executable) -> usize {
    match request {
        Executable::Open { .. } => size_of::<Executable>(),
        Executable::Calls { calls, .. } => calls.len() + size_of::<Executable>(),
    }
}

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
    /// What was ordered since the group behaves as a version that this member does not know.
    #[n(5)]
    held: Option<Held>,
}

/// Requests that only a later version can execute.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct Held {
    #[n(0)]
    entries: List<HeldEntry>,
    #[n(1)]
    bytes: u64,
    /// Whether some were forgotten.
    #[n(2)]
    incomplete: bool,
}

/// One position that is held back.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct HeldEntry {
    #[n(0)]
    pub(super) position: Position,
    #[n(1)]
    pub(super) time: OrderedTime,
    #[n(2)]
    requests: List<Proposal>,
}

impl HeldEntry {
    /// As they were delivered.
    pub(super) fn requests(self) -> Vec<Executable> {
        let requests = self.requests.into_iter();
        requests
            .filter_map(|request| match request {
                Proposal::Open { origin, token } => Some(Executable::Open { origin, token }),
                Proposal::Calls { origin, calls } => Some(Executable::Calls { origin, calls }),
                Proposal::Leads { .. }
                | Proposal::Standing { .. }
                | Proposal::Transfer { .. }
                | Proposal::Ready { .. }
                | Proposal::Taken { .. }
                | Proposal::Passed { .. }
                | Proposal::Upgrade(_)
                | Proposal::Specify(_)
                | Proposal::Activate { .. }
                | Proposal::Layer { .. } => None,
            })
            .collect()
    }
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
            held: None,
        }
    }

    /// Holds back what only a later version can execute.
    pub(super) fn hold(
        &mut self,
        position: Position,
        time: OrderedTime,
        requests: Vec<Executable>,
    ) {
        let held = self.held.get_or_insert(Held {
            entries: List::default(),
            bytes: 0,
            incomplete: false,
        });
        let bytes: usize = requests.iter().map(size).sum();
        held.bytes += bytes as u64 + HELD_ENTRY_BYTES;
        if held.bytes > HELD_BYTES_MAX as u64 {
            held.entries = List::default();
            held.incomplete = true;
        }
        if held.incomplete {
            return;
        }
        let requests = requests.into_iter().map(|request| match request {
            Executable::Open { origin, token } => Proposal::Open { origin, token },
            Executable::Calls { origin, calls } => Proposal::Calls { origin, calls },
        });
        held.entries.push(&HeldEntry {
            position,
            time,
            requests: requests.collect(),
        });
    }

    /// Whether everything is here that a later version needs to go on.
    pub(super) fn is_complete(&self) -> bool {
        self.held.as_ref().is_none_or(|held| !held.incomplete)
    }

    /// What the donor held back, for whoever can execute it.
    pub(super) fn take_held(&mut self) -> Option<List<HeldEntry>> {
        self.held.take().map(|held| held.entries)
    }

    /// For a transfer.
    pub(super) fn to_bytes(&self) -> Bytes {
        let format = if self.held.is_some() {
            FORMAT_HOLDING
        } else {
            FORMAT
        };
        let kept = Kept {
            format,
            ..self.clone()
        };
        to_bytes(&kept).into()
    }

    /// From a transfer.
    ///
    /// # Errors
    /// Another format, or bytes that no member wrote.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Kept, ImportError> {
        let Beginning { format } = decode_body(bytes)?;
        if format != FORMAT && format != FORMAT_HOLDING {
            return Err(ImportError::SessionsFormat { found: format });
        }
        let mut kept: Kept = decode_body(bytes)?;
        kept.format = FORMAT;
        kept.sessions.restore().map_err(|why| FrameError::Body {
            why: why.to_owned(),
        })?;
        Ok(kept)
    }
}
