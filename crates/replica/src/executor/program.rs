//! A service as a table of functions, so that the loop, the host and the simulator are not generic.

use std::io::{self, Read};

use wire::frame::FrameError;
use wire::member::Formats;
use wire::peer::TransferHead;
use wire::{MemberId, MethodId, Position, Version};

use super::interface::Interface;
use super::kept::{FORMAT, FORMAT_HOLDING, Kept};
use super::stream::{ChunkReader, Fault};
use super::{Execute, Executor};
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
    /// The group behaves as a version that is later than this one.
    #[error(
        "the group behaves as {effective}, this is {here}: only that version or a later one can join"
    )]
    Effective {
        /// What the group behaves as.
        effective: Version,
        /// What this is.
        here: Version,
    },
    /// Another format of sessions.
    #[error(
        "sessions of format {found}, this build reads {FORMAT} and {FORMAT_HOLDING}; upgrade over a \
         release that reads both"
    )]
    SessionsFormat {
        /// What was found.
        found: u8,
    },
    /// The sessions do not decode.
    #[error("sessions that do not decode: {0}")]
    Sessions(#[from] FrameError),
    /// All bytes came as they were sent, and the service does not take them.
    #[error(transparent)]
    State(#[from] StateError),
    /// All bytes came as they were sent, and the service left some unread.
    #[error("{bytes} bytes stand behind the state: the donor wrote more than this version reads")]
    Unread {
        /// How many.
        bytes: u64,
    },
    /// The stream came, but not as it was sent.
    #[error("the state was damaged on its way: {why}; try again")]
    Damaged {
        /// How it shows.
        why: String,
    },
    /// The stream broke.
    #[error("the stream of the state broke: {0}; try again, or with another donor")]
    Stream(io::Error),
}

impl ImportError {
    /// Whether the stream is at fault, so that another attempt or another donor may help. The
    /// other errors come again with every donor.
    pub fn is_broken_stream(&self) -> bool {
        match self {
            ImportError::Stream(_) | ImportError::Damaged { .. } => true,
            ImportError::State(_)
            | ImportError::Unread { .. }
            | ImportError::Service { .. }
            | ImportError::Effective { .. }
            | ImportError::SessionsFormat { .. }
            | ImportError::Sessions(_) => false,
        }
    }
}

impl From<Fault> for ImportError {
    fn from(fault: Fault) -> ImportError {
        match fault {
            Fault::Broken(error) => ImportError::Stream(error),
            Fault::Damaged(why) => ImportError::Damaged { why },
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

/// A new group's ordered state begins here; the first entry stands behind it.
const BEGINNING: Position = Position(1);

fn found<S: Service>(founding: Founding) -> Box<dyn Execute> {
    let description = S::describe();
    let kept = Kept::new(
        Interface::of(&description),
        description.version.clone(),
        founding.seed,
    );
    let service = S::initial();
    Box::new(Executor::new(
        service,
        founding.me,
        description,
        kept,
        BEGINNING,
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
    let kept = Kept::from_bytes(&head.sessions)?;
    let description = S::describe();
    if description.version < kept.effective {
        return Err(ImportError::Effective {
            effective: kept.effective,
            here: description.version,
        });
    }
    let mut chunks = ChunkReader::new(from);
    let service = match S::import(head.format, &mut chunks) {
        // Nothing was read, so nothing can be said of the stream.
        Err(error @ StateError::Format { .. }) => return Err(error.into()),
        result @ (Ok(_) | Err(_)) => {
            // Before the service is blamed, or believed, the whole stream is checked.
            let unread = chunks.finish()?;
            let service = result?;
            if unread > 0 {
                return Err(ImportError::Unread { bytes: unread });
            }
            service
        }
    };
    let mut executor = Executor::new(service, me, description, kept, Position(0));
    executor.catch_up(head.position);
    Ok(Box::new(executor))
}
