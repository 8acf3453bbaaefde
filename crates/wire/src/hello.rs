//! How every connection begins: the dialler says who it is, the other side accepts or refuses.

use minicbor::{Decode, Encode};

use crate::frame::{Kind, Message};
use crate::{MemberId, Position};

/// The lowest and highest protocol that this build speaks.
pub const PROTOCOL: Protocols = Protocols {
    lowest: 1,
    highest: 1,
};

/// A range of protocol versions (design: members advertise the range they speak).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Protocols {
    /// The lowest.
    #[n(0)]
    pub lowest: u32,
    /// The highest.
    #[n(1)]
    pub highest: u32,
}

impl Protocols {
    /// The highest protocol that both ranges hold.
    pub fn shared(self, other: Protocols) -> Option<u32> {
        let highest = self.highest.min(other.highest);
        (highest >= self.lowest.max(other.lowest)).then_some(highest)
    }
}

/// The first frame on a connection.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Hello {
    /// What the dialler speaks.
    #[n(0)]
    pub protocols: Protocols,
    /// The group that it wants to reach, by name.
    #[n(1)]
    pub group: String,
    /// Who it is.
    #[n(2)]
    pub opener: Opener,
}

impl Hello {
    /// A hello of this build.
    pub fn new(group: &str, opener: Opener) -> Hello {
        Hello {
            protocols: PROTOCOL,
            group: group.to_owned(),
            opener,
        }
    }
}

impl Message for Hello {
    const KIND: Kind = Kind::Hello;
}

/// Who opens a connection to a member, and what the connection is for.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Opener {
    /// A client: `ClientRequest` and `ClientReply` follow.
    #[n(0)]
    Client,
    /// A member (or admitted joiner) of the group: `PeerMessage` both ways. Of two members the one
    /// with the higher id dials.
    #[n(1)]
    Peer {
        /// The group's incarnation.
        #[n(0)]
        incarnation: u64,
        /// Who dials.
        #[n(1)]
        member: MemberId,
        /// The last view that it installed.
        #[n(2)]
        view: Position,
    },
    /// A new replica that wants to join: it sends `Join`.
    #[n(2)]
    Joiner,
    /// A joiner that fetches the state at a position: a `TransferHead` and raw bytes follow.
    #[n(3)]
    Bulk {
        /// The group's incarnation.
        #[n(0)]
        incarnation: u64,
        /// The joiner.
        #[n(1)]
        joiner: MemberId,
        /// The position of the state.
        #[n(2)]
        position: Position,
    },
    /// An execution daemon with news: it sends `PeerMessage::Died`.
    #[n(4)]
    Daemon {
        /// Its host.
        #[n(0)]
        host: String,
    },
}

/// The answer to a [`Hello`].
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Welcome {
    /// Go on, in this protocol.
    #[n(0)]
    Accepted {
        /// The protocol that both speak.
        #[n(0)]
        protocol: u32,
        /// Who answers, if it is a member already.
        #[n(1)]
        member: Option<MemberId>,
        /// The last view that it installed.
        #[n(2)]
        view: Position,
    },
    /// The connection ends here.
    #[n(1)]
    Refused {
        /// Why, and what to do.
        #[n(0)]
        why: String,
    },
    /// The dialler is no member any more: a later view stands without it, and it ends.
    #[n(2)]
    Removed {
        /// The view that no longer lists it.
        #[n(0)]
        view: Position,
    },
}

impl Message for Welcome {
    const KIND: Kind = Kind::Welcome;
}
