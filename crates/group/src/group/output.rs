//! What a group tells its replica.

use std::net::SocketAddr;
use std::sync::Arc;

use wire::list::List;
use wire::log::{Change, Proposal};
use wire::peer::PeerMessage;
use wire::{MemberId, OrderedTime, Position};

use crate::membership::Membership;

/// What a turn produced, in this order.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// For a peer, if a link to it stands.
    Send {
        /// To whom.
        to: MemberId,
        /// What.
        message: PeerMessage,
    },
    /// For a joiner that is no peer yet, on the link on which it asked.
    Answer {
        /// The driver's number of the link.
        link: u64,
        /// What.
        message: PeerMessage,
    },
    /// Whom to hold links to from now on.
    Peers(Vec<(MemberId, SocketAddr)>),
    /// The next place in the total order.
    Delivered(Delivered),
    /// A read may be served once `position` is applied.
    Readable {
        /// The read's token.
        token: u64,
        /// What must be applied.
        position: Position,
    },
    /// Requests of our own clients that were not ordered and never will be: a limit is reached.
    Refused(Vec<Proposal>),
    /// Another leader, or none.
    Leader {
        /// Who.
        leader: Option<MemberId>,
        /// In which term.
        term: u64,
    },
    /// The detector changed its mind.
    Suspicion {
        /// About whom.
        member: MemberId,
        /// Whether it is suspected now.
        suspected: bool,
    },
    /// A position that this build cannot read. Going on would make this member differ from the
    /// others: it ends.
    Broken {
        /// Which.
        position: Position,
        /// What is wrong with it.
        why: String,
    },
    /// This member is out, and is not needed for the others' votes any more: it ends.
    Ended {
        /// The view without it.
        view: Position,
    },
}

/// One position of the total order, as the replica gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivered {
    /// Which.
    pub position: Position,
    /// The engine's term of the entry, for a state transfer at this position.
    pub term: u64,
    /// The group's time.
    pub time: OrderedTime,
    /// What is ordered here.
    pub proposals: List<Proposal>,
    /// The change of membership that stands here.
    pub change: Option<Change>,
    /// This member goes on from here as the only survivor.
    pub survived: Option<Survived>,
    /// The membership from here on.
    pub membership: Arc<Membership>,
}

/// The group goes on with one member, in another incarnation (design 4.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survived {
    /// Members and joiners that it goes on without, and what is known of each.
    pub without: Vec<(MemberId, String)>,
}

/// How to greet a peer that dials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// It belongs here.
    Welcome,
    /// A later life of the group than ours.
    OtherIncarnation,
    /// It is out since this view, or an earlier one; or its life of the group is over.
    Removed {
        /// Our view.
        view: Position,
    },
}

/// Why a request was not taken from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// Too many requests of this contact wait for the order.
    #[error("too many requests wait for the order at this member")]
    Overloaded,
    /// No majority is reached from here.
    #[error("no majority of the group is reached from here")]
    Unavailable,
}
