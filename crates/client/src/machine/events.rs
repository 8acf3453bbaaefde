//! What happens to a client's machine, and what it wants: everything that crosses its border.

use std::net::SocketAddr;
use std::time::Duration;

use wire::client::{ClientReply, ClientRequest};
use wire::hello::Welcome;
use wire::log::UpgradeRequest;
use wire::{Position, SessionId};

use crate::error::CallError;
use crate::options::{JsonReply, Reply, Request};

/// One connection, by the machine's own number; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LinkId(pub(crate) u64);

/// One session of this client, by the machine's own number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionKey(pub(super) usize);

impl SessionKey {
    /// What belongs to no session.
    pub(super) const NONE: SessionKey = SessionKey(0);
}

/// What happens to a client.
#[derive(Debug)]
pub(crate) enum Input {
    /// A user asks; exactly one [`Output::Resolve`] with this ticket follows.
    Ask { ticket: u64, asked: Asked },
    /// A session has no users any more.
    Forget { session: SessionKey },
    /// A member answered the greeting of a link that was dialled.
    Welcomed { link: LinkId, welcome: Welcome },
    /// A member said something.
    Received { link: LinkId, reply: ClientReply },
    /// A link could not be made, broke, or brought bytes that are no message.
    Closed { link: LinkId, why: String },
    /// The turn is over, or the deadline has come. Early or repeated ticks do nothing.
    Tick,
}

/// What a user asks.
#[derive(Debug)]
pub(crate) enum Asked {
    /// To be told when a member takes requests.
    Ready { within: Duration },
    /// A session.
    Open,
    /// A request in a session.
    Call {
        session: SessionKey,
        request: Request,
    },
    /// A request in a session, by name.
    Json {
        session: SessionKey,
        method: String,
        arguments: String,
        deadline: Option<Duration>,
    },
    /// What the group does.
    Status,
    /// Another version.
    Upgrade(Box<UpgradeRequest>),
}

/// What the machine wants from its driver.
#[derive(Debug, PartialEq)]
pub(crate) enum Output {
    /// Connect there and greet as a client.
    Dial { link: LinkId, address: SocketAddr },
    /// The link is of no use any more.
    Close { link: LinkId },
    /// Send this.
    Send {
        link: LinkId,
        request: ClientRequest,
    },
    /// What a user asked is resolved.
    Resolve {
        ticket: u64,
        answer: Result<Answer, CallError>,
    },
}

/// What became of something asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Ready,
    Opened(SessionId, SessionKey),
    Reply(Reply),
    Json(JsonReply),
    Status(String),
    UpgradeAccepted(Position),
    UpgradeRefused(String),
}
