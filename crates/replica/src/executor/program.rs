//! A service as a table of functions, so that the loop, the host and the simulator are not generic.

use std::io::{self, Read};

use wire::frame::{FrameError, decode_body};
use wire::member::Formats;
use wire::peer::TransferHead;
use wire::{MemberId, MethodId};

use super::interface::Interface;
use super::sessions::Sessions;
use super::stream::ChunkReader;
use super::{Execute, Executor, FORMAT, Kept};
use crate::service::{Description, JsonError, OwnedCall, Service, StateError};

/// One service.
#[derive(Clone, Debug)]
pub struct Program {
    /// What it is.
    pub description: Description,
    /// Turns a JSON call into the binary form.
    pub call_from_json: fn(&str, &serde_json::Value) -> Result<OwnedCall, JsonError>,
    /// Turns a reply into JSON.
    pub reply_to_json: fn(MethodId, &[u8]) -> Result<serde_json::Value, JsonError>,
    found: fn(Founding) -> Box<dyn Execute>,
    import: Import,
}

type Import = fn(MemberId, &TransferHead, &mut dyn Read) -> Result<Box<dyn Execute>, ImportError>;

/// What the executor of a new group begins with.
#[derive(Clone, Copy, Debug)]
pub struct Founding {
    /// The first member.
    pub me: MemberId,
    /// The group's seed, for ordered randomness.
    pub seed: u64,
}

/// Why a transferred state cannot be used. The donor's is untouched.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Another service's state.
    #[error("a state of the service \"{found}\", this is \"{here}\"")]
    Service {
        /// What came.
        found: String,
        /// What this is.
        here: &'static str,
    },
    /// Another format of sessions.
    #[error(
        "sessions of format {found}, this build reads {FORMAT}; upgrade over a release that reads both"
    )]
    SessionsFormat {
        /// What was found.
        found: u8,
    },
    /// The sessions do not decode.
    #[error("sessions that do not decode: {0}")]
    Sessions(#[from] FrameError),
    /// The service's own state.
    #[error(transparent)]
    State(#[from] StateError),
    /// The stream broke or was damaged.
    #[error("the stream of the state: {0}")]
    Stream(#[from] io::Error),
}

impl ImportError {
    /// Whether the stream broke, so that another donor may help.
    pub fn is_broken_stream(&self) -> bool {
        match self {
            ImportError::Stream(error) | ImportError::State(StateError::Stream(error)) => {
                error.kind() != io::ErrorKind::InvalidData
            }
            ImportError::State(
                StateError::Format { .. }
                | StateError::Malformed { .. }
                | StateError::Unmappable(_),
            )
            | ImportError::Service { .. }
            | ImportError::SessionsFormat { .. }
            | ImportError::Sessions(_) => false,
        }
    }
}

impl Program {
    /// The table of `S`.
    pub fn of<S: Service>() -> Program {
        Program {
            description: S::describe(),
            call_from_json: S::call_from_json,
            reply_to_json: S::reply_to_json,
            found: found::<S>,
            import: import::<S>,
        }
    }

    /// The state formats of this version.
    pub fn formats(&self) -> Formats {
        Formats {
            own: self.description.state_format,
            reads: self.description.reads_formats.clone(),
            writes: self.description.writes_formats.clone(),
        }
    }

    /// The executor of a new group.
    pub fn found(&self, founding: Founding) -> Box<dyn Execute> {
        (self.found)(founding)
    }

    /// The executor of joiner `me`, with the state that follows `head` in the stream.
    ///
    /// # Errors
    /// A state that cannot be used, or a stream that broke.
    pub fn import(
        &self,
        me: MemberId,
        head: &TransferHead,
        from: &mut dyn Read,
    ) -> Result<Box<dyn Execute>, ImportError> {
        (self.import)(me, head, from)
    }
}

fn found<S: Service>(founding: Founding) -> Box<dyn Execute> {
    let description = S::describe();
    let version = description.version.clone();
    let kept = Kept {
        format: FORMAT,
        sessions: Sessions::default(),
        interface: Interface::of(&description),
        effective: version.clone(),
        seed: founding.seed,
    };
    let first = wire::Position(1);
    Box::new(Executor::new(
        S::initial(),
        founding.me,
        version,
        kept,
        first,
    ))
}

fn import<S: Service>(
    me: MemberId,
    head: &TransferHead,
    from: &mut dyn Read,
) -> Result<Box<dyn Execute>, ImportError> {
    if head.service != S::NAME {
        return Err(ImportError::Service {
            found: head.service.clone(),
            here: S::NAME,
        });
    }
    let kept: Kept = decode_body(&head.sessions)?;
    if kept.format != FORMAT {
        return Err(ImportError::SessionsFormat { found: kept.format });
    }
    let mut chunks = ChunkReader::new(from);
    let service = S::import(head.format, &mut chunks)?;
    chunks.finish()?;
    let own = S::describe().version;
    Ok(Box::new(Executor::new(
        service,
        me,
        own,
        kept,
        head.position,
    )))
}
