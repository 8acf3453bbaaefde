//! Frames: how one message is cut from a stream of bytes.
//!
//! `length: u32 little endian | format: u8 | kind: u8 | body: CBOR`, where the length counts all
//! that follows it. The format byte is the version of this framing and of the message tables; the
//! kind byte names the enum whose variant the body is. Inside the body fields are numbered:
//! unknown fields are skipped, unknown variants and kinds are errors.

use minicbor::{Decode, Encode};

use crate::nesting::{self, DEPTH_MAX};

/// The format of frames and message tables that this build writes.
pub const FORMAT: u8 = 1;

/// Bytes before the body: length, format, kind.
pub const HEADER: usize = 6;

/// The largest frame that members accept from each other: a full batch of log entries (1 MiB by
/// the engine's setting) or one entry of the largest request, with room for their framing.
pub const PEER_FRAME_MAX: usize = 16 << 20;

/// The largest frame accepted from a client: bounds what one connection can make a member hold.
pub const CLIENT_FRAME_MAX: usize = 4 << 20;

/// A message that travels in frames of its own kind.
pub trait Message: Encode<()> + for<'b> Decode<'b, ()> {
    /// The kind byte.
    const KIND: Kind;
}

/// Which table of messages a frame's body belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The opening of a connection, by who dialled.
    Hello = 1,
    /// The answer to the opening.
    Welcome = 2,
    /// Between members of a group.
    Peer = 3,
    /// From a client to a member.
    ClientRequest = 4,
    /// From a member to a client.
    ClientReply = 5,
    /// To an execution daemon.
    DaemonRequest = 6,
    /// From an execution daemon.
    DaemonReply = 7,
    /// The head of a transferred state; raw bytes follow it.
    Transfer = 8,
}

/// Why bytes are not the frame that was expected. The connection cannot go on; nothing else is
/// harmed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length field asks for more than is accepted here.
    #[error("a frame of {length} bytes, at most {limit} are accepted here")]
    TooLong {
        /// What the length field says.
        length: usize,
        /// What is accepted.
        limit: usize,
    },
    /// The length field leaves no room for format and kind.
    #[error("a frame of {length} bytes is too short to be one")]
    TooShort {
        /// What the length field says.
        length: usize,
    },
    /// Another format of frames.
    #[error("frame format {found}, this build speaks {FORMAT}; use neighbouring releases")]
    Format {
        /// The format byte.
        found: u8,
    },
    /// Another table of messages than this connection carries.
    #[error("frame of kind {found} where kind {expected} was expected")]
    Kind {
        /// The kind byte.
        found: u8,
        /// The kind that belongs here.
        expected: u8,
    },
    /// Values that stand deeper in each other than those of any message.
    #[error("values stand more than {DEPTH_MAX} deep in each other: this is no message of ours")]
    TooDeep,
    /// The body does not decode.
    #[error("a body that does not decode: {why}")]
    Body {
        /// The decoder's words.
        why: String,
    },
}

/// Appends `message` to `out` as one frame.
pub fn encode<M: Message>(message: &M, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, FORMAT, M::KIND as u8]);
    minicbor::encode(message, &mut *out).expect("writing to memory does not fail");
    let length = u32::try_from(out.len() - start - 4).expect("senders bound what they batch");
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// One whole frame at the start of a buffer.
#[derive(Debug)]
pub struct Frame<'a> {
    /// The kind byte.
    pub kind: u8,
    /// The body.
    pub body: &'a [u8],
    /// Bytes of the buffer that the frame takes.
    pub length: usize,
}

/// The first frame of `buffer`, or `None` if it is not whole yet.
///
/// # Errors
/// A length above `limit`, one that is too short, or another frame format.
pub fn split(buffer: &[u8], limit: usize) -> Result<Option<Frame<'_>>, FrameError> {
    let Some((head, _)) = buffer.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*head) as usize;
    if length > limit {
        return Err(FrameError::TooLong { length, limit });
    }
    if length < HEADER - 4 {
        return Err(FrameError::TooShort { length });
    }
    if let Some(&found) = buffer.get(4)
        && found != FORMAT
    {
        return Err(FrameError::Format { found });
    }
    let Some(frame) = buffer.get(..4 + length) else {
        return Ok(None);
    };
    Ok(Some(Frame {
        kind: frame[5],
        body: &frame[HEADER..],
        length: 4 + length,
    }))
}

impl<'a> Frame<'a> {
    /// The message in this frame.
    ///
    /// # Errors
    /// Another kind than `M`'s, or a body that does not decode as `M`.
    pub fn decode<M: Message>(&self) -> Result<M, FrameError> {
        if self.kind != M::KIND as u8 {
            return Err(FrameError::Kind {
                found: self.kind,
                expected: M::KIND as u8,
            });
        }
        decode_body(self.body)
    }
}

/// A value that stands alone, without a frame: a log entry, a part of a transferred state.
pub fn to_bytes<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("writing to memory does not fail")
}

/// Reads back what [`to_bytes`] wrote; bytes left over are an error.
///
/// # Errors
/// Bytes that do not decode, or too many of them.
pub fn decode_body<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, FrameError> {
    nesting::check(bytes)?;
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = decoder
        .decode()
        .map_err(|e| FrameError::Body { why: e.to_string() })?;
    let left = bytes.len() - decoder.position();
    if left > 0 {
        return Err(FrameError::Body {
            why: format!("{left} bytes too many"),
        });
    }
    Ok(value)
}

/// How `Bytes` are written: as one byte string.
pub mod blob {
    use bytes::Bytes;
    use minicbor::{Decoder, Encoder};

    /// Writes a byte string.
    ///
    /// # Errors
    /// The writer's.
    pub fn encode<C, W: minicbor::encode::Write>(
        value: &Bytes,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(value)?.ok()
    }

    /// Reads a byte string.
    ///
    /// # Errors
    /// Anything that is not one.
    pub fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Bytes, minicbor::decode::Error> {
        Ok(Bytes::copy_from_slice(d.bytes()?))
    }
}
