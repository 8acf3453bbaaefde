//! What is said to and by an execution daemon.
//!
//! Replicas use the daemon's local socket, daemons and operators its port; the frames are the same.
//! Paper: §4 (the execution daemon creates and removes replicas), Figure 5 (`createReplica`).

use std::net::SocketAddr;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::frame::{Kind, Message};
use crate::list::List;
use crate::member::{Binary, Seat};
use crate::peer::Contact;
use crate::{Build, MemberId, Version};

/// To an execution daemon.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum DaemonRequest {
    /// A replica, first thing on the local socket: which process this is.
    #[n(0)]
    Register {
        /// Its process number.
        #[n(0)]
        process: u32,
        /// Its group.
        #[n(1)]
        group: String,
        /// Where it listens.
        #[cbor(n(2), with = "crate::member::address")]
        address: SocketAddr,
    },
    /// A replica, at each view: who it is by now and whom to tell if it dies.
    #[n(1)]
    Members {
        /// The group's incarnation.
        #[n(0)]
        incarnation: u64,
        /// The replica's own id.
        #[n(1)]
        member: MemberId,
        /// The others.
        #[n(2)]
        others: List<Contact>,
    },
    /// Start a replica on this host (`createReplica`). `Started` or `Failed` answers; `Ended`
    /// follows on the same connection if its process ends while the connection lasts.
    #[n(2)]
    Start {
        /// Comes back in every answer.
        #[n(0)]
        token: u64,
        /// What to start.
        #[n(1)]
        assignment: Assignment,
    },
    /// Stop a replica: asked to leave, killed after the grace time.
    #[n(3)]
    Stop {
        /// Comes back in the answer.
        #[n(0)]
        token: u64,
        /// Its process number.
        #[n(1)]
        process: u32,
    },
    /// What runs on this host, and which versions lie here? `Inventory` answers.
    #[n(4)]
    Inventory {
        /// Comes back in the answer.
        #[n(0)]
        token: u64,
    },
    /// The last lines that a replica's process printed.
    #[n(5)]
    Output {
        /// Comes back in the answer.
        #[n(0)]
        token: u64,
        /// Its process number.
        #[n(1)]
        process: u32,
        /// At most this many lines.
        #[n(2)]
        lines: u32,
    },
    /// A member that has no majority: what became of this other one, whose process ran here? `Fate`
    /// answers. The word of a death may have been lost, or its daemon may have slept through it.
    #[n(6)]
    Fate {
        /// Comes back in the answer.
        #[n(0)]
        token: u64,
        /// The group's name.
        #[n(1)]
        group: String,
        /// Its incarnation.
        #[n(2)]
        incarnation: u64,
        /// Who.
        #[n(3)]
        member: MemberId,
    },
}

impl Message for DaemonRequest {
    const KIND: Kind = Kind::DaemonRequest;
}

/// From an execution daemon.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum DaemonReply {
    /// To a replica that registered.
    #[n(0)]
    Registered {
        /// The host's name.
        #[n(0)]
        host: String,
    },
    /// A replica's process runs.
    #[n(1)]
    Started {
        /// The request's token.
        #[n(0)]
        token: u64,
        /// Its process number.
        #[n(1)]
        process: u32,
        /// The digest of the binary that runs.
        #[n(2)]
        build: Build,
    },
    /// The request could not be carried out.
    #[n(2)]
    Failed {
        /// The request's token.
        #[n(0)]
        token: u64,
        /// Why, and what to do.
        #[n(1)]
        why: String,
    },
    /// A process that was started on this connection has ended.
    #[n(3)]
    Ended {
        /// The token of its `Start`.
        #[n(0)]
        token: u64,
        /// How, with the last lines it printed.
        #[n(1)]
        how: String,
    },
    /// To a replica: leave and end.
    #[n(4)]
    Leave,
    /// What runs and what lies here.
    #[n(5)]
    Inventory {
        /// The request's token.
        #[n(0)]
        token: u64,
        /// The host's name.
        #[n(1)]
        host: String,
        /// Running replicas.
        #[n(2)]
        replicas: List<ReplicaRecord>,
        /// Binaries that can be started.
        #[n(3)]
        binaries: List<BinaryRecord>,
    },
    /// Lines of a process's output.
    #[n(6)]
    Output {
        /// The request's token.
        #[n(0)]
        token: u64,
        /// The lines.
        #[n(1)]
        lines: List<String>,
    },
    /// A stop was carried out: the process is gone.
    #[n(7)]
    Stopped {
        /// The request's token.
        #[n(0)]
        token: u64,
    },
    /// What became of a member.
    #[n(8)]
    Fate {
        /// The request's token.
        #[n(0)]
        token: u64,
        /// What is known here.
        #[n(1)]
        fate: Fate,
    },
}

impl Message for DaemonReply {
    const KIND: Kind = Kind::DaemonReply;
}

/// What a daemon knows of a member that ran on its host.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Fate {
    /// Nothing: it never ran here, or too long ago.
    #[n(0)]
    Unknown,
    /// Its process runs, for all that is known.
    #[n(1)]
    Runs,
    /// Its process is gone, certainly.
    #[n(2)]
    Ended {
        /// How, for people.
        #[n(0)]
        how: String,
    },
}

/// What one replica's process is to do. The daemon hands it over as JSON on the command line.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize)]
pub struct Assignment {
    /// The group's name.
    #[n(0)]
    pub group: String,
    /// The service's name: which binary, with the version and build below.
    #[n(1)]
    pub service: String,
    /// The version to run.
    #[n(2)]
    pub version: Version,
    /// The build to run; any build of the version if absent.
    #[n(3)]
    pub build: Option<Build>,
    /// What the process begins with.
    #[n(4)]
    pub role: Role,
}

/// How a replica begins.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize)]
pub enum Role {
    /// The first member of a new group.
    #[n(0)]
    Found(#[n(0)] Foundation),
    /// A joiner for a seat of an existing group.
    #[n(1)]
    Join {
        /// The group's incarnation.
        #[n(0)]
        incarnation: u64,
        /// The seat.
        #[n(1)]
        seat: Seat,
        /// The attempt.
        #[n(2)]
        attempt: u32,
        /// Members to ask.
        #[n(3)]
        contacts: List<Contact>,
    },
}

/// What a group is created with; ordered state from then on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Foundation {
    /// The layers, as `PGMS:EGMI:Recovery:Upgrade` (§4.1).
    #[n(0)]
    pub stack: String,
    /// How many members it wants (Figure 3: `initial`).
    #[n(1)]
    pub initial: u32,
    /// How many serving members must remain (Figure 3: `minimal`).
    #[n(2)]
    pub minimal: u32,
    /// The hosts that may run members: seat `i` is at home on host `i` modulo their number.
    #[n(3)]
    pub hosts: List<HostRecord>,
}

/// A host and its daemon.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct HostRecord {
    /// Its name.
    #[n(0)]
    pub name: String,
    /// Its daemon's port.
    #[cbor(n(1), with = "crate::member::address")]
    pub daemon: SocketAddr,
}

/// One replica that a daemon runs.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize)]
pub struct ReplicaRecord {
    /// Its process number.
    #[n(0)]
    pub process: u32,
    /// Its group.
    #[n(1)]
    pub group: String,
    /// What it runs.
    #[n(2)]
    pub binary: Binary,
    /// The service's name.
    #[n(3)]
    pub service: String,
    /// Where it listens, once it has said so.
    #[cbor(n(4), with = "crate::peer::optional_address")]
    pub address: Option<SocketAddr>,
    /// Its id, once it is admitted.
    #[n(5)]
    pub member: Option<MemberId>,
}

/// One binary that a daemon can start.
#[derive(Clone, Debug, PartialEq, Encode, Decode, Serialize, Deserialize)]
pub struct BinaryRecord {
    /// The service's name.
    #[n(0)]
    pub service: String,
    /// Version and build.
    #[n(1)]
    pub binary: Binary,
}
