//! What stands in the total order: entries, and the changes of membership.
//!
//! An entry is one proposal of the engine; it carries everything that one turn of the leader's loop
//! collected. Every entry carries our own marker (the format byte of [`Entry`]), because the engine
//! turns a refused configuration change into an empty entry that would look like a new term's first.

use bytes::Bytes;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::daemon::HostRecord;
use crate::list::List;
use crate::member::{Binary, Member, Seat, Standing};
use crate::{MemberId, OrderedTime, Position};

/// The format of log entries that this build writes and reads.
pub const ENTRY_FORMAT: u8 = 1;

/// One entry of the total order.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Entry {
    /// [`ENTRY_FORMAT`]; its presence marks the entry as ours.
    #[n(0)]
    pub format: u8,
    /// The group's time from this entry on.
    #[n(1)]
    pub time: OrderedTime,
    /// Positions up to this one may leave the log: all voters have them and no joiner needs them.
    #[n(2)]
    pub floor: Position,
    /// What is ordered here, in this order.
    #[n(3)]
    pub proposals: List<Proposal>,
}

/// One thing that a member wants ordered. In the order in which a group's life uses them.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Proposal {
    /// The first entry of a new leader names it: it is the leader of record from here on.
    #[n(0)]
    Leads {
        /// The new leader.
        #[n(0)]
        member: MemberId,
    },
    /// A contact asks for a new session for one of its clients.
    #[n(1)]
    Open {
        /// Who took it from the client, and answers.
        #[n(0)]
        origin: Origin,
        /// The client's own mark for this opening.
        #[n(1)]
        token: u64,
    },
    /// Requests of one client connection, as the client sent them: an encoded `Calls`.
    #[n(2)]
    Calls {
        /// Who took them from the client, and answers.
        #[n(0)]
        origin: Origin,
        /// The CBOR array of calls, exactly as received and checked.
        #[cbor(n(1), with = "crate::frame::blob")]
        calls: Bytes,
    },
    /// The leader's detector changed its mind about a member.
    #[n(3)]
    Standing {
        /// About whom.
        #[n(0)]
        member: MemberId,
        /// What holds from here on.
        #[n(1)]
        standing: Standing,
    },
    /// The leader starts a state transfer: the joiner begins at this entry's own position.
    #[n(4)]
    Transfer {
        /// Who receives.
        #[n(0)]
        joiner: MemberId,
        /// Who exports.
        #[n(1)]
        donor: MemberId,
    },
    /// The leader saw that a joiner has the state and follows the order.
    #[n(5)]
    Ready {
        /// Who is ready to become a voter.
        #[n(0)]
        joiner: MemberId,
        /// The position of the state that it has: void if another one was named since, because the log
        /// is held for that.
        #[n(1)]
        position: Position,
    },
    /// A member takes the right to start a replica for a seat: valid only if the ordered state
    /// names exactly this member, seat and attempt (the paper's `upgrade_enabled`).
    #[n(6)]
    Taken {
        /// Which seat.
        #[n(0)]
        seat: Seat,
        /// The how-manieth try for this seat, from 1.
        #[n(1)]
        attempt: u32,
        /// Who asks the daemon.
        #[n(2)]
        by: MemberId,
    },
    /// The leader ends an attempt: whoever still works on it is fenced.
    #[n(7)]
    Passed {
        /// Which seat.
        #[n(0)]
        seat: Seat,
        /// The attempt that is over.
        #[n(1)]
        attempt: u32,
        /// Why, for people.
        #[n(2)]
        reason: String,
    },
    /// An operator's wish: replace the group's code (the paper's `upgradeRequest`).
    #[n(8)]
    Upgrade(#[n(0)] UpgradeRequest),
    /// The leader saw the conditions hold: behave as the target version from here on. Void if the
    /// ordered state disagrees.
    #[n(9)]
    Activate {
        /// The upgrade, by the position of its request.
        #[n(0)]
        upgrade: Position,
    },
    /// A layer of the user's own speaks to its peers in the total order.
    #[n(10)]
    Layer {
        /// The layer's name in the stack.
        #[n(0)]
        layer: String,
        /// Its own bytes.
        #[cbor(n(1), with = "crate::frame::blob")]
        payload: Bytes,
    },
    /// An operator's or the manager's wish: other numbers of members, other hosts.
    #[n(11)]
    Specify(#[n(0)] SpecifyRequest),
}

/// Who took something from a client and answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
pub struct Origin {
    /// The contact.
    #[n(0)]
    pub member: MemberId,
    /// Its running number: delivered numbers are forgotten, others are proposed again after a
    /// change of leader.
    #[n(1)]
    pub number: u64,
    /// Its client connection.
    #[n(2)]
    pub connection: u64,
}

/// What an operator asks of a group. Refused where it is ordered if another upgrade runs (§2.1).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct UpgradeRequest {
    /// The code to run.
    #[n(0)]
    pub target: Binary,
    /// How many seats may be replaced at a time (multiplicity), at least 1.
    #[n(1)]
    pub parallel: u32,
    /// How often a seat is tried before the upgrade is given up, at least 1.
    #[n(2)]
    pub attempts: u32,
    /// How long a successor may take to appear, and how long it may make no progress.
    #[n(3)]
    pub patience_ms: u64,
    /// The operator's mark, so that a retried request is recognised.
    #[n(4)]
    pub token: u64,
}

/// How a running group shall be from now on. Refused where it is ordered if somebody else has said
/// otherwise in between, or an upgrade runs.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct SpecifyRequest {
    /// Higher than that of the last accepted one; who asks has seen that one. The foundation has 0.
    #[n(0)]
    pub generation: u64,
    /// How many members it wants, at least 1.
    #[n(1)]
    pub initial: u32,
    /// How many serving members must remain, at most `initial`.
    #[n(2)]
    pub minimal: u32,
    /// The hosts that may run members.
    #[n(3)]
    pub hosts: List<HostRecord>,
    /// Who asks, by a mark of his own, so that a retried request is recognised.
    #[n(4)]
    pub token: u64,
}

/// A change of membership; it travels as the context of an engine configuration change.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct ChangeEntry {
    /// [`ENTRY_FORMAT`].
    #[n(0)]
    pub format: u8,
    /// The group's time from this entry on.
    #[n(1)]
    pub time: OrderedTime,
    /// What changes.
    #[n(2)]
    pub change: Change,
}

/// What changes in the membership. One at a time.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Change {
    /// A joiner becomes a learner: listed apart, never counted.
    #[n(0)]
    Admit(#[n(0)] Member),
    /// A ready joiner becomes a member; with `replaces` it takes that member's vote in one joint
    /// change, and the replaced one is *leaving*.
    #[n(1)]
    Promote {
        /// Who becomes a member.
        #[n(0)]
        joiner: MemberId,
        /// Whose vote it takes.
        #[n(1)]
        replaces: Option<MemberId>,
    },
    /// The joint change ends: the leaving member is out.
    #[n(2)]
    Settle,
    /// A member or joiner is out.
    #[n(3)]
    Remove {
        /// Who.
        #[n(0)]
        member: MemberId,
        /// Why, for people.
        #[n(1)]
        reason: String,
    },
}
