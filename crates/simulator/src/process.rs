//! One simulated process of a replica: its life, its connections, its executor, its daemon lines.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use group::{Admitted, Joining, Links};
use replica::{Answer, Execute, Replica, Setup, Work};
use wire::daemon::DaemonRequest;
use wire::peer::TransferHead;
use wire::{MemberId, Position};

use crate::network::{Brought, ConnectionId};

/// What the executor has before it.
#[derive(Debug)]
pub(crate) enum Job {
    /// A piece of work.
    Work(Work),
    /// The state for a joiner, once it has dialled.
    Export(Box<Export>),
}

/// An announced export.
#[derive(Debug)]
pub(crate) struct Export {
    pub(crate) joiner: MemberId,
    pub(crate) position: Position,
    pub(crate) format: u32,
    pub(crate) head: TransferHead,
}

/// A state that was written and waits for its joiner.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) head: TransferHead,
    pub(crate) bytes: Vec<u8>,
    /// When it is given up.
    pub(crate) until: u64,
}

/// What the executor has to say to the loop.
#[derive(Debug)]
pub(crate) enum Report {
    Applied {
        position: Position,
        answers: Vec<Answer>,
    },
    Exported {
        joiner: MemberId,
        result: Result<(), String>,
    },
}

/// What a connection is for, on this process's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Accepted; it has not said who it is.
    Unknown,
    Client,
    Peer(MemberId),
    /// Dialled, not welcome yet.
    Dialled(MemberId),
    Joiner,
    /// A daemon's news of a death.
    News,
    /// A joiner's link by its own number, not welcome yet.
    Asking(u64),
    Asked(u64),
    /// A joiner fetches the state on it.
    Fetch,
    /// A donor gives the state on it.
    Give,
    LocalDaemon,
    RemoteDaemon(SocketAddr),
}

/// What a process is now.
pub(crate) enum Life {
    /// It says nothing to anybody.
    Idle,
    Joining(Box<Asking>),
    Member(Box<Member>),
    Ended,
}

pub(crate) struct Asking {
    pub(crate) joining: Joining,
    pub(crate) setup: Option<Setup>,
    pub(crate) links: BTreeMap<u64, ConnectionId>,
    pub(crate) fetching: Option<(ConnectionId, Admitted)>,
}

pub(crate) struct Member {
    pub(crate) replica: Replica,
    pub(crate) links: Links,
    pub(crate) executor: Box<dyn Execute>,
    pub(crate) jobs: VecDeque<Job>,
    /// States that wait for their joiners.
    pub(crate) images: BTreeMap<(MemberId, Position), Image>,
    /// Joiners that have dialled for a state.
    pub(crate) donations: BTreeMap<(MemberId, Position), ConnectionId>,
    /// Of the ordered state that was last looked at.
    pub(crate) fingerprint: u64,
}

/// A daemon as this process reaches it.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// Requests that are not answered.
    pub(crate) open: BTreeSet<u64>,
}

/// One process on a host.
pub(crate) struct Process {
    pub(crate) host: usize,
    pub(crate) address: SocketAddr,
    /// An index of the installation's editions.
    pub(crate) edition: usize,
    pub(crate) life: Life,
    pub(crate) inbox: Vec<(ConnectionId, usize, Brought)>,
    pub(crate) reports: Vec<Report>,
    pub(crate) purposes: BTreeMap<ConnectionId, Purpose>,
    pub(crate) turn_at: Option<u64>,
    pub(crate) execute_at: Option<u64>,
    /// It does nothing until then.
    pub(crate) paused_until: u64,
    /// Everything takes long until then.
    pub(crate) slow_until: u64,
    /// The loop and the executor have something to do until then.
    pub(crate) busy_until: u64,
    pub(crate) executor_busy_until: u64,
    /// The local daemon, if it is reached; otherwise when it is tried again.
    pub(crate) local: Result<(ConnectionId, Line), u64>,
    pub(crate) remote: BTreeMap<SocketAddr, (ConnectionId, Line)>,
    /// What the local daemon is told again whenever it is reached again.
    pub(crate) told: Option<DaemonRequest>,
    /// What it was started for, for transcripts and for roles.
    pub(crate) purpose: Option<(wire::member::Seat, u32)>,
}

impl Process {
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.life, Life::Ended)
    }

    pub(crate) fn member(&self) -> Option<&Member> {
        match &self.life {
            Life::Member(member) => Some(member),
            Life::Idle | Life::Joining(_) | Life::Ended => None,
        }
    }

    pub(crate) fn member_mut(&mut self) -> Option<&mut Member> {
        match &mut self.life {
            Life::Member(member) => Some(member),
            Life::Idle | Life::Joining(_) | Life::Ended => None,
        }
    }

    pub(crate) fn replica(&self) -> Option<&Replica> {
        self.member().map(|member| &member.replica)
    }

    /// Who it is, once it is told.
    pub(crate) fn me(&self) -> Option<MemberId> {
        match &self.life {
            Life::Member(member) => Some(member.replica.me()),
            Life::Joining(asking) => asking.fetching.map(|(_, admitted)| admitted.member),
            Life::Idle | Life::Ended => None,
        }
    }
}
