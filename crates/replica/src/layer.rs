//! Layers: what stands between the group and the service, each with one concern (§4.1).
//!
//! A layer sees every [`Event`] in the order of the stack, looks at the ordered state, and answers
//! with [`Effect`]s; it holds no other layer and no socket. What it must remember it can compute
//! again from the ordered state, so a lost or repeated event changes nothing. A layer of a user's
//! own implements [`Layer`] and is named in the stack like the built-in ones.

use std::net::SocketAddr;

use bytes::Bytes;
use group::{Group, Now};
use wire::client::Decline;
use wire::daemon::{Assignment, DaemonReply, HostRecord};
use wire::log::{Change, Proposal};
use wire::{MemberId, Position, Time};

use crate::ordered::{Happened, Ordered};

/// What a layer may look at.
#[derive(Clone, Copy, Debug)]
pub struct LayerContext<'a> {
    /// The moment.
    pub now: Now,
    /// This member's part in the group: membership, leadership, joiners' progress.
    pub group: &'a Group,
    /// Seats, attempts, the upgrade.
    pub ordered: &'a Ordered,
    /// This member's host.
    pub host: &'a str,
}

impl LayerContext<'_> {
    /// This member.
    pub fn me(&self) -> MemberId {
        self.group.me()
    }
}

/// What a layer hears. In the order in which a group's life brings them.
#[derive(Debug)]
pub enum Event<'a> {
    /// Something that layers decide by may have changed: the membership, the ordered state, the
    /// leader, a joiner's progress; or the layer's own deadline has come.
    Changed,
    /// The ordered state took a step at this position.
    Happened {
        /// Where.
        position: Position,
        /// What.
        what: &'a Happened,
    },
    /// A daemon answers to [`Effect::Start`].
    Daemon {
        /// The token of the request.
        token: u64,
        /// What it says.
        reply: &'a DaemonReply,
    },
    /// A message of this layer's own, delivered in the total order on all members.
    Delivered {
        /// Where.
        position: Position,
        /// What [`Effect::Multicast`] was given.
        payload: &'a Bytes,
    },
}

/// What a layer wants done.
#[derive(Debug, PartialEq)]
pub enum Effect {
    /// Order this; the layer proposes it again if it does not come.
    Post(Proposal),
    /// Change the membership; only a leader can, and a refusal now means trying again later.
    Change(Change),
    /// Hand leadership over (the leader is upgraded last).
    HandOver {
        /// To whom.
        to: MemberId,
    },
    /// Ask a daemon for a replica (the paper's `createReplica`).
    Start {
        /// Comes back in [`Event::Daemon`].
        token: u64,
        /// Whose daemon.
        host: HostRecord,
        /// What to start.
        assignment: Assignment,
    },
    /// Ask a daemon what runs on its host.
    Inventory {
        /// Comes back in [`Event::Daemon`].
        token: u64,
        /// Whose daemon.
        host: HostRecord,
    },
    /// Ask a daemon what became of a member whose process ran on its host.
    Fate {
        /// Comes back in [`Event::Daemon`].
        token: u64,
        /// Whose daemon.
        host: HostRecord,
        /// Of whom.
        member: MemberId,
    },
    /// A daemon holds the exit of this member's process: certain death.
    Died {
        /// Who.
        member: MemberId,
        /// How, for people.
        how: String,
    },
    /// Hold links to these too, whom no view of ours lists: they may know of a later one.
    Meet {
        /// Who, and where they listen.
        strangers: Vec<(MemberId, SocketAddr)>,
    },
    /// Say this to the layers of the same name on all members, in the total order.
    Multicast {
        /// The layer's own bytes.
        payload: Bytes,
    },
    /// A sentence for the operator's log.
    Note(String),
}

/// One layer of a replica.
pub trait Layer: Send + std::fmt::Debug {
    /// Its name in the stack.
    fn name(&self) -> &'static str;

    /// The layers that must stand before it.
    fn requires(&self) -> &'static [&'static str] {
        &["PGMS"]
    }

    /// Takes one event.
    fn handle(&mut self, cx: &LayerContext<'_>, event: &Event<'_>, out: &mut Vec<Effect>);

    /// Whether clients' requests may pass this layer now (the paper's `stopRequests`).
    ///
    /// # Errors
    /// What to tell the client instead.
    fn passes(&self, cx: &LayerContext<'_>) -> Result<(), Decline> {
        let _ = cx;
        Ok(())
    }

    /// When it wants to hear [`Event::Changed`] at the latest.
    fn deadline(&self) -> Option<Time> {
        None
    }
}
