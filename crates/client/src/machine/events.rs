//! What happens to a client's machine, and what it wants: everything that crosses its border.

use std::net::SocketAddr;
use std::time::Duration;

use wire::client::{ClientReply, ClientRequest};
use wire::hello::Welcome;
use wire::log::{SpecifyRequest, UpgradeRequest};
use wire::{Position, SessionId};

use crate::error::CallError;
use crate::options::{JsonReply, Reply, Request};

/// One connection, by the machine's own number; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// One session of this client, by the machine's own number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionKey(pub(super) usize);

impl SessionKey {
    /// What belongs to no session.
    pub(super) const NONE: SessionKey = SessionKey(0);

    /// A session of whoever answers a client in a machine's stead, by a number from 1.
    pub fn numbered(number: usize) -> SessionKey {
        SessionKey(number)
    }
}

/// What happens to a client.
#[derive(Debug)]
pub enum Input {
    /// A user asks; exactly one [`Output::Resolve`] with this ticket follows.
    Ask {
        /// The user's own number for it.
        ticket: u64,
        /// What.
        asked: Asked,
    },
    /// A session has no users any more.
    Forget {
        /// Which.
        session: SessionKey,
    },
    /// A member answered the greeting of a link that was dialled.
    Welcomed {
        /// Which link.
        link: LinkId,
        /// The answer.
        welcome: Welcome,
    },
    /// A member said something.
    Received {
        /// On which link.
        link: LinkId,
        /// What.
        reply: ClientReply,
    },
    /// A link could not be made, broke, or brought bytes that are no message.
    Closed {
        /// Which link.
        link: LinkId,
        /// Why, for people.
        why: String,
    },
    /// The turn is over, or the deadline has come. Early or repeated ticks do nothing.
    Tick,
}

/// What a user asks.
#[derive(Debug)]
pub enum Asked {
    /// To be told when a member takes requests.
    Ready {
        /// How long that may take.
        within: Duration,
    },
    /// A session.
    Open,
    /// A request in a session.
    Call {
        /// Which session.
        session: SessionKey,
        /// What.
        request: Request,
    },
    /// A request in a session, by name.
    Json {
        /// Which session.
        session: SessionKey,
        /// The method's name.
        method: String,
        /// Its arguments as JSON.
        arguments: String,
        /// How long it may take; the client's default if absent.
        deadline: Option<Duration>,
    },
    /// What the group does.
    Status,
    /// Another version.
    Upgrade(Box<UpgradeRequest>),
    /// Other numbers of members, or other hosts.
    Specify(Box<SpecifyRequest>),
}

/// What the machine wants from its driver.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Connect there and greet as a client.
    Dial {
        /// The link's number.
        link: LinkId,
        /// Where.
        address: SocketAddr,
    },
    /// The link is of no use any more.
    Close {
        /// Which.
        link: LinkId,
    },
    /// Send this.
    Send {
        /// On which link.
        link: LinkId,
        /// What.
        request: ClientRequest,
    },
    /// What a user asked is resolved.
    Resolve {
        /// The user's number.
        ticket: u64,
        /// What came of it.
        answer: Result<Answer, CallError>,
    },
}

/// What became of something asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A member takes requests.
    Ready,
    /// A session is open.
    Opened(SessionId, SessionKey),
    /// A request was executed.
    Reply(Reply),
    /// A call by name was executed.
    Json(JsonReply),
    /// The status document.
    Status(String),
    /// The wish holds, from this position on: the upgrade begins, or other members are wanted.
    Accepted(Position),
    /// It does not, for this reason.
    Refused(String),
}
