//! What clients and members say to each other.
//!
//! A session numbers its requests from 1. The same number is the same request for ever, wherever
//! it is sent: members execute it once and give the kept reply again until the client acknowledges
//! it (by the `acknowledged` of a later call).

use bytes::Bytes;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::frame::{Kind, Message};
use crate::list::List;
use crate::log::{SpecifyRequest, UpgradeRequest};
use crate::peer::Contact;
use crate::{MethodId, Position, SessionId};

/// From a client to the member it is connected to.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum ClientRequest {
    /// Open a session.
    #[n(0)]
    Open {
        /// Comes back in `Opened`.
        #[n(0)]
        token: u64,
    },
    /// Order and execute these: the encoding of a `Vec<Call>`, which travels through the order as
    /// it is.
    #[n(1)]
    Calls {
        /// The encoded calls.
        #[cbor(n(0), with = "crate::frame::blob")]
        calls: Bytes,
    },
    /// Execute these, which change nothing; numbers need only be unique among open reads.
    #[n(2)]
    Reads {
        /// The encoded calls.
        #[cbor(n(0), with = "crate::frame::blob")]
        calls: Bytes,
        /// Whether this member's possibly old state will do; otherwise linearizable.
        #[n(1)]
        stale: bool,
    },
    /// A call by name with JSON arguments; the member makes it a call or a read.
    #[n(3)]
    Json {
        /// The session; it must be open.
        #[n(0)]
        session: SessionId,
        /// The request's number in it.
        #[n(1)]
        number: u64,
        /// The method's name.
        #[n(2)]
        method: String,
        /// Its arguments: a JSON array, object or null.
        #[n(3)]
        arguments: String,
    },
    /// What is the group doing, and what does it wait for?
    #[n(4)]
    Status {
        /// Comes back in the answer.
        #[n(0)]
        token: u64,
    },
    /// Replace the group's code.
    #[n(5)]
    Upgrade {
        /// Comes back in the answer.
        #[n(0)]
        token: u64,
        /// To what, and how.
        #[n(1)]
        request: UpgradeRequest,
    },
    /// Change how many members the group wants, or where.
    #[n(6)]
    Specify {
        /// Comes back in the answer.
        #[n(0)]
        token: u64,
        /// How it shall be.
        #[n(1)]
        request: SpecifyRequest,
    },
}

impl Message for ClientRequest {
    const KIND: Kind = Kind::ClientRequest;
}

/// From a member to a client.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum ClientReply {
    /// Who is in the group; sent after the hello and whenever it changes.
    #[n(0)]
    Members {
        /// The view's position.
        #[n(0)]
        view: Position,
        /// The members, by seniority.
        #[n(1)]
        members: List<Contact>,
    },
    /// A session is open.
    #[n(1)]
    Opened {
        /// The request's token.
        #[n(0)]
        token: u64,
        /// The session.
        #[n(1)]
        session: SessionId,
    },
    /// Calls were executed (now or before), or refused at their place in the order.
    #[n(2)]
    Results {
        /// One for each.
        #[n(0)]
        results: List<CallResult>,
    },
    /// These requests were not taken and, from this sending, never will be.
    #[n(3)]
    Declined {
        /// Sessions and numbers; a session of 0 stands for the opening, or the upgrade, with that
        /// token.
        #[n(0)]
        calls: List<CallId>,
        /// Why.
        #[n(1)]
        reason: Decline,
    },
    /// The answer to a JSON call.
    #[n(4)]
    Json {
        /// The call.
        #[n(0)]
        call: CallId,
        /// The position at which it was executed.
        #[n(1)]
        position: Position,
        /// The reply as JSON text.
        #[n(2)]
        reply: String,
    },
    /// The answer to `Status`: a JSON document.
    #[n(5)]
    Status {
        /// The request's token.
        #[n(0)]
        token: u64,
        /// The document.
        #[n(1)]
        document: String,
    },
    /// The answer to `Upgrade`: its place in the order, where it was accepted.
    #[n(6)]
    UpgradeAccepted {
        /// The request's token.
        #[n(0)]
        token: u64,
        /// The upgrade, by the position of its request.
        #[n(1)]
        upgrade: Position,
    },
    /// The answer to `Upgrade` when it is refused.
    #[n(7)]
    UpgradeRefused {
        /// The request's token.
        #[n(0)]
        token: u64,
        /// Why, and what to do.
        #[n(1)]
        why: String,
    },
    /// The answer to `Specify`: it holds from here on.
    #[n(8)]
    Specified {
        /// The request's token.
        #[n(0)]
        token: u64,
        /// Its place in the order.
        #[n(1)]
        position: Position,
    },
    /// The answer to `Specify` when it is refused.
    #[n(9)]
    SpecifyRefused {
        /// The request's token.
        #[n(0)]
        token: u64,
        /// Why, and what to do.
        #[n(1)]
        why: String,
    },
}

impl Message for ClientReply {
    const KIND: Kind = Kind::ClientReply;
}

/// One request of a session.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct Call<'a> {
    /// The session.
    #[n(0)]
    pub session: SessionId,
    /// Its number in the session, from 1.
    #[n(1)]
    pub number: u64,
    /// The client has the replies to all numbers up to this one.
    #[n(2)]
    pub acknowledged: u64,
    /// The method.
    #[n(3)]
    pub method: MethodId,
    /// Fingerprint of the arguments' shape that the client was built with.
    #[n(4)]
    pub signature: u32,
    /// The arguments.
    #[cbor(b(5), with = "minicbor::bytes")]
    pub arguments: &'a [u8],
}

/// A request by session and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct CallId {
    /// The session.
    #[n(0)]
    pub session: SessionId,
    /// The number.
    #[n(1)]
    pub number: u64,
}

/// What became of one call.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct CallResult {
    /// Which call.
    #[n(0)]
    pub call: CallId,
    /// Where it was executed; for a read, the state that it saw.
    #[n(1)]
    pub position: Position,
    /// What came of it.
    #[n(2)]
    pub outcome: Outcome,
}

/// What came of a call at its place in the order. The same bytes on all members.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Outcome {
    /// Executed; the reply.
    #[n(0)]
    Done(#[cbor(n(0), with = "crate::frame::blob")] Bytes),
    /// Not executed: the effective version has no such method.
    #[n(1)]
    UnknownMethod,
    /// Not executed: the arguments do not decode.
    #[n(2)]
    Malformed,
    /// Not executed: a read sent as a call or the other way round.
    #[n(3)]
    WrongKind,
    /// The service panicked while it executed the request.
    #[n(4)]
    Panicked,
    /// Not executed now; the session is unknown or has expired, so it may have been before.
    #[n(5)]
    SessionExpired,
    /// Not executed now: the client said earlier that it has this reply.
    #[n(6)]
    Acknowledged,
    /// Not executed: more unacknowledged requests than a session may have.
    #[n(7)]
    WindowFull,
}

/// Why a member does not take a request. Definite: from this sending nothing happens.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub enum Decline {
    /// This member takes no requests now; another one of the view does.
    #[n(0)]
    AskAnother,
    /// A named limit is reached.
    #[n(1)]
    Overloaded {
        /// Which.
        #[n(0)]
        limit: String,
    },
    /// No majority of the group can be reached from here.
    #[n(2)]
    Unavailable,
    /// The request itself is wrong.
    #[n(3)]
    Invalid {
        /// What is wrong, and what is expected.
        #[n(0)]
        why: String,
    },
}
