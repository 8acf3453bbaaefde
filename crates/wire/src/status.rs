//! What a member answers to "what are you doing, and why does it wait?": a JSON document.
//!
//! The schema is stable: fields are added, never renamed, and `schema` is raised when one goes.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::member::{Binary, Seat};
use crate::{MemberId, OrderedTime, Position, Version};

/// The schema number that this build writes.
pub const SCHEMA: u32 = 1;

/// A group as one of its members sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupStatus {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The group's name.
    pub group: String,
    /// The service's name.
    pub service: String,
    /// The group's incarnation.
    pub incarnation: u64,
    /// Who answers.
    pub answered_by: MemberId,
    /// Up to where it has delivered the order.
    pub position: Position,
    /// The position of the last view.
    pub view: Position,
    /// The leader of record.
    pub leader: Option<MemberId>,
    /// Whether the answering member reaches a majority.
    pub available: bool,
    /// The version whose behaviour the group shows.
    pub effective: Version,
    /// The wanted number of members.
    pub initial: u32,
    /// The least number of serving members.
    pub minimal: u32,
    /// Which wish the numbers and hosts come from: 0 is the foundation, each accepted change is higher.
    #[serde(default)]
    pub generation: u64,
    /// The layer stack.
    pub stack: String,
    /// The hosts on which members may be started, and their daemons; empty if the member does not
    /// tell.
    #[serde(default)]
    pub hosts: Vec<HostStatus>,
    /// Members by seniority.
    pub members: Vec<MemberStatus>,
    /// Joiners that still catch up.
    pub joiners: Vec<MemberStatus>,
    /// The running or the last upgrade.
    pub upgrade: Option<UpgradeStatus>,
    /// Everything that waits, with its reason. Empty when nothing does.
    pub waits: Vec<String>,
    /// The last views and what made them, oldest first; bounded.
    pub history: Vec<HistoryRecord>,
}

/// A host of the group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStatus {
    /// Its name.
    pub host: String,
    /// Where its daemon listens.
    pub daemon: SocketAddr,
}

/// One member or joiner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// Its id.
    pub member: MemberId,
    /// Its host.
    pub host: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// What it runs.
    pub binary: Binary,
    /// Its seat.
    pub seat: Seat,
    /// `serving`, `suspected`, `upgrading`, `leaving`, `joining` or `ready`.
    pub doing: String,
    /// Whether it takes clients' requests.
    pub takes_requests: bool,
    /// The state on its way to this joiner, from the naming of a donor until the leader hears that
    /// all of it is there. Other members see the end only when the joiner is ready.
    pub transfer: Option<TransferStatus>,
}

/// A state on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferStatus {
    /// Who gives it.
    pub donor: MemberId,
    /// Of which position it is.
    pub position: Position,
    /// Bytes that have come, as the joiner tells the leader; other members do not know.
    pub received: Option<u64>,
}

/// An upgrade.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpgradeStatus {
    /// Its name: the position of its request.
    pub upgrade: Position,
    /// The effective version before it.
    pub from: Binary,
    /// The target.
    pub to: Binary,
    /// `running`, `done` or `failed`.
    pub state: String,
    /// Seats that run the target, and all seats.
    pub seats_done: u32,
    /// All seats.
    pub seats: u32,
    /// Where the group began to behave as the target.
    pub activated: Option<Position>,
    /// When it was requested.
    pub started: OrderedTime,
    /// When it ended.
    pub ended: Option<OrderedTime>,
    /// Why it failed, or what it waits for.
    pub reason: Option<String>,
}

/// Something that happened to the membership or the upgrade.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryRecord {
    /// Where.
    pub position: Position,
    /// When, by the group's time.
    pub time: OrderedTime,
    /// What, in a sentence.
    pub what: String,
    /// The members from here on, as `1v1.0.0`, by seniority.
    pub members: Vec<String>,
}
