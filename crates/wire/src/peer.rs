//! What members of a group say to each other.

use std::net::SocketAddr;

use bytes::Bytes;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::engine::EngineMessage;
use crate::frame::{Kind, Message};
use crate::list::List;
use crate::log::Proposal;
use crate::member::{Binary, Formats, Seat};
use crate::{MemberId, Position};

/// A message between two members, or between a joiner and a member.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum PeerMessage {
    /// A new replica asks to be admitted; whoever does not lead redirects it.
    #[n(0)]
    Join(#[n(0)] Join),
    /// The answer to a joiner that is not admitted here.
    #[n(1)]
    NotAdmitted {
        /// The leader, if it is known and another: ask there.
        #[cbor(n(0), with = "optional_address")]
        leader: Option<SocketAddr>,
        /// Why; without a leader it is final if `retry` is false.
        #[n(1)]
        why: String,
        /// Whether asking again later may help.
        #[n(2)]
        retry: bool,
    },
    /// The leader to an admitted joiner: who you are, and whose state to fetch at which position.
    /// Sent again whenever the leader or the donor changes.
    #[n(2)]
    Admitted {
        /// The joiner's id.
        #[n(0)]
        member: MemberId,
        /// The group's incarnation.
        #[n(1)]
        incarnation: u64,
        /// Who has the state.
        #[n(2)]
        donor: MemberId,
        /// Where the donor listens.
        #[cbor(n(3), with = "crate::member::address")]
        donor_address: SocketAddr,
        /// The position at which the donor exports.
        #[n(4)]
        position: Position,
    },
    /// A joiner to the leader, while it receives and catches up: it lives and moves.
    #[n(3)]
    Progress {
        /// Bytes of state received so far.
        #[n(0)]
        received: u64,
        /// The position up to which its service has applied; 0 while the state is still coming.
        #[n(1)]
        applied: Position,
        /// A failure that ends the attempt: the state does not map, the digest is wrong.
        #[n(2)]
        failed: Option<String>,
    },
    /// Between engines.
    #[n(4)]
    Engine(#[n(0)] EngineMessage),
    /// A contact to the leader: order these.
    #[n(5)]
    Forward {
        /// What to order.
        #[n(0)]
        proposals: List<Proposal>,
    },
    /// The leader to a contact: these batches were not ordered and never will be.
    #[n(6)]
    Overloaded {
        /// The batches, by the contact's own numbers.
        #[n(0)]
        numbers: List<u64>,
    },
    /// The detector asks for a sign of life; answered beside the service.
    #[n(7)]
    Probe {
        /// Comes back in the answer.
        #[n(0)]
        token: u64,
    },
    /// A sign of life.
    #[n(8)]
    Alive {
        /// The probe's token.
        #[n(0)]
        token: u64,
    },
    /// While there is no leader: how far the sender's log reaches, so that the most advanced
    /// member campaigns.
    #[n(9)]
    Reach {
        /// The term of its last entry.
        #[n(0)]
        last_term: u64,
        /// The index of its last entry.
        #[n(1)]
        last_index: u64,
        /// Its current term.
        #[n(2)]
        term: u64,
    },
    /// A daemon to the members of a group: this member's process is gone, certainly.
    #[n(10)]
    Died {
        /// The group's incarnation.
        #[n(0)]
        incarnation: u64,
        /// Who.
        #[n(1)]
        member: MemberId,
        /// How it ended, for people.
        #[n(2)]
        how: String,
    },
    /// Members to one that was removed: a view stands without you. It ends when all have said so.
    #[n(11)]
    Left {
        /// The view.
        #[n(0)]
        view: Position,
    },
    /// Between members that live when so many are certainly dead that only survivors could go on:
    /// how far the sender's log reaches, so that the most advanced one goes on.
    #[n(12)]
    Survives {
        /// The term of its last entry.
        #[n(0)]
        last_term: u64,
        /// The index of its last entry.
        #[n(1)]
        last_index: u64,
        /// Its current term.
        #[n(2)]
        term: u64,
        /// The sender has stood back: it never acts again, and another log goes on.
        #[n(3)]
        stands_back: bool,
    },
}

impl Message for PeerMessage {
    const KIND: Kind = Kind::Peer;
}

/// A new replica's request to be admitted.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Join {
    /// Its host, by name.
    #[n(0)]
    pub host: String,
    /// Where it listens.
    #[cbor(n(1), with = "crate::member::address")]
    pub address: SocketAddr,
    /// What it runs.
    #[n(2)]
    pub binary: Binary,
    /// The service's name.
    #[n(3)]
    pub service: String,
    /// State formats it reads and writes.
    #[n(4)]
    pub formats: Formats,
    /// The seat it was started for.
    #[n(5)]
    pub seat: Seat,
    /// The attempt that started it; another current attempt fences it.
    #[n(6)]
    pub attempt: u32,
    /// Its operating system's process number, for people.
    #[n(7)]
    pub process: u32,
}

/// The head of a transferred state; the service's own bytes follow it raw, in chunks of
/// `length: u32 little endian | bytes`, ended by length 0 and the SHA-256 of all of them.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct TransferHead {
    /// The position of everything in it.
    #[n(0)]
    pub position: Position,
    /// The engine's term of the entry at that position.
    #[n(1)]
    pub term: u64,
    /// The service's name.
    #[n(2)]
    pub service: String,
    /// The version of the donor.
    #[n(3)]
    pub binary: Binary,
    /// The state format of the service's bytes.
    #[n(4)]
    pub format: u32,
    /// The group's ordered state, in its own versioned encoding.
    #[cbor(n(5), with = "crate::frame::blob")]
    pub group: Bytes,
    /// The replica's ordered state, in its own versioned encoding.
    #[cbor(n(6), with = "crate::frame::blob")]
    pub replica: Bytes,
    /// Sessions and kept replies, in their own versioned encoding.
    #[cbor(n(7), with = "crate::frame::blob")]
    pub sessions: Bytes,
}

impl Message for TransferHead {
    const KIND: Kind = Kind::Transfer;
}

/// Where a member listens.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Contact {
    /// Who.
    #[n(0)]
    pub member: MemberId,
    /// Where.
    #[cbor(n(1), with = "crate::member::address")]
    pub address: SocketAddr,
    /// Whether it takes clients' requests now.
    #[n(2)]
    pub takes_requests: bool,
}

/// How an optional socket address is written: as text or null.
pub mod optional_address {
    use std::net::SocketAddr;

    use minicbor::{Decoder, Encoder};

    /// Writes the address as text, or null.
    ///
    /// # Errors
    /// The writer's.
    pub fn encode<C, W: minicbor::encode::Write>(
        value: &Option<SocketAddr>,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match value {
            Some(address) => e.str(&address.to_string())?.ok(),
            None => e.null()?.ok(),
        }
    }

    /// Reads an address, or null.
    ///
    /// # Errors
    /// A text that is no address.
    pub fn decode<C>(
        d: &mut Decoder<'_>,
        context: &mut C,
    ) -> Result<Option<SocketAddr>, minicbor::decode::Error> {
        if d.datatype()? == minicbor::data::Type::Null {
            d.null()?;
            return Ok(None);
        }
        crate::member::address::decode(d, context).map(Some)
    }
}
