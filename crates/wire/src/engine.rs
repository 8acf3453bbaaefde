//! The consensus engine's messages in our own encoding.
//!
//! The engine's generated parser never sees bytes from a network. Snapshots are not among them:
//! states travel out of band. The meaning of each field is the engine's (Raft's).

use bytes::Bytes;
use minicbor::{Decode, Encode};

use crate::list::List;

/// One message between two engines.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct EngineMessage {
    /// What it is.
    #[n(0)]
    pub kind: EngineKind,
    /// The sender's engine id: its member id.
    #[n(1)]
    pub from: u64,
    /// The receiver's engine id.
    #[n(2)]
    pub to: u64,
    /// The term.
    #[n(3)]
    pub term: u64,
    /// The term of the entry at `index`.
    #[n(4)]
    pub log_term: u64,
    /// A log index.
    #[n(5)]
    pub index: u64,
    /// The sender's commit index.
    #[n(6)]
    pub commit: u64,
    /// The term of the entry at `commit`.
    #[n(7)]
    pub commit_term: u64,
    /// Whether this answer refuses.
    #[n(8)]
    pub reject: bool,
    /// Where a refused append may be tried again.
    #[n(9)]
    pub reject_hint: u64,
    /// The sender's election priority.
    #[n(10)]
    pub priority: i64,
    /// The engine's own mark (a read's, or a forced election's).
    #[cbor(n(11), with = "crate::frame::blob")]
    pub context: Bytes,
    /// Log entries.
    #[n(12)]
    pub entries: List<LogEntry>,
}

/// One entry of the engine's log.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct LogEntry {
    /// Whether it is ours or a configuration change.
    #[n(0)]
    pub kind: LogEntryKind,
    /// Its term.
    #[n(1)]
    pub term: u64,
    /// Its index.
    #[n(2)]
    pub index: u64,
    /// Its payload: an encoded `Entry`; of a configuration change, an encoded `EngineChange`.
    #[cbor(n(3), with = "crate::frame::blob")]
    pub data: Bytes,
    /// Its context: of a configuration change, the encoded `ChangeEntry`; of an empty entry that
    /// confirms a change, the change's index in eight bytes, big-endian; else nothing.
    #[cbor(n(4), with = "crate::frame::blob")]
    pub context: Bytes,
}

/// What a log entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum LogEntryKind {
    /// Data.
    #[n(0)]
    Normal,
    /// A configuration change in the engine's joint form.
    #[n(1)]
    Change,
}

/// The engine's messages that cross the network. Local ones (ticks, proposals) and snapshots do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum EngineKind {
    /// A leader replicates entries.
    #[n(0)]
    Append,
    /// A follower answers an append.
    #[n(1)]
    AppendResponse,
    /// A candidate asks for a vote.
    #[n(2)]
    RequestVote,
    /// The answer to a candidate.
    #[n(3)]
    RequestVoteResponse,
    /// A leader asserts itself, and confirms reads.
    #[n(4)]
    Heartbeat,
    /// The answer to a heartbeat.
    #[n(5)]
    HeartbeatResponse,
    /// A leader hands over: the receiver campaigns at once.
    #[n(6)]
    TimeoutNow,
    /// A follower asks the leader for a read position.
    #[n(7)]
    ReadIndex,
    /// The leader's answer to a read.
    #[n(8)]
    ReadIndexResponse,
    /// Asks whether a candidacy would succeed.
    #[n(9)]
    RequestPreVote,
    /// The answer to that.
    #[n(10)]
    RequestPreVoteResponse,
}

/// The engine's configuration change: what its leader appended, without the engine's own encoding.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct EngineChange {
    /// Whether it enters a joint configuration that ends explicitly.
    #[n(0)]
    pub explicit: bool,
    /// The single changes; none ends a joint configuration.
    #[cbor(n(1), with = "crate::list::exact")]
    pub steps: Vec<EngineStep>,
}

/// One single change of the engine's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum EngineStep {
    /// This engine id becomes a voter.
    #[n(0)]
    Voter(#[n(0)] u64),
    /// This engine id becomes a learner.
    #[n(1)]
    Learner(#[n(0)] u64),
    /// This engine id is out.
    #[n(2)]
    Out(#[n(0)] u64),
}
