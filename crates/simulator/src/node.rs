//! One simulated process: a joining or a member, its executor, its links.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use group::{Admitted, Joining};
use replica::{Execute, Replica, Work};
use wire::daemon::DaemonRequest;
use wire::member::Binary;
use wire::peer::TransferHead;
use wire::{MemberId, Position};

/// What the executor has before it.
pub(crate) enum Job {
    /// A piece of work.
    Work(Work),
    /// The state for a joiner, once it has dialled.
    Export(Box<ExportJob>),
}

/// An announced export.
pub(crate) struct ExportJob {
    pub(crate) joiner: MemberId,
    pub(crate) position: Position,
    pub(crate) format: u32,
    pub(crate) head: TransferHead,
    pub(crate) since: u64,
}

/// What a process is now.
pub(crate) enum Life {
    /// It asks to be admitted, and may be fetching a state.
    Joining {
        joining: Box<Joining>,
        fetch: Option<Admitted>,
    },
    /// It is a member or a joiner with a state.
    Member {
        replica: Box<Replica>,
        executor: Box<dyn Execute>,
        jobs: VecDeque<Job>,
    },
    /// It is gone.
    Dead,
}

/// One process on a host.
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) host: usize,
    pub(crate) binary: Binary,
    pub(crate) life: Life,
    /// Connections by peer.
    pub(crate) links: BTreeMap<MemberId, u64>,
    pub(crate) wanted: Vec<(MemberId, SocketAddr)>,
    /// What it last told its daemon.
    pub(crate) told: Option<DaemonRequest>,
    /// It does nothing until then.
    pub(crate) paused_until: u64,
    pub(crate) wake: Option<u64>,
    pub(crate) started: u64,
}

impl Node {
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.life, Life::Dead)
    }

    pub(crate) fn replica(&self) -> Option<&Replica> {
        match &self.life {
            Life::Member { replica, .. } => Some(replica),
            Life::Joining { .. } | Life::Dead => None,
        }
    }

    pub(crate) fn replica_mut(&mut self) -> Option<&mut Replica> {
        match &mut self.life {
            Life::Member { replica, .. } => Some(replica),
            Life::Joining { .. } | Life::Dead => None,
        }
    }
}
