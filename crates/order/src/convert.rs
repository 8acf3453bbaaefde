//! The engine's messages in our encoding and back.
//!
//! What has no counterpart (local messages, snapshots) does not leave the process.

use bytes::Bytes;
use protobuf::Message as _;
use raft::eraftpb::{
    ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, Entry, EntryType,
    Message, MessageType,
};
use wire::engine::{EngineChange, EngineKind, EngineMessage, EngineStep, LogEntry, LogEntryKind};
use wire::frame;

pub(crate) fn kind_of(message: &Message) -> Option<EngineKind> {
    Some(match message.get_msg_type() {
        MessageType::MsgAppend => EngineKind::Append,
        MessageType::MsgAppendResponse => EngineKind::AppendResponse,
        MessageType::MsgRequestVote => EngineKind::RequestVote,
        MessageType::MsgRequestVoteResponse => EngineKind::RequestVoteResponse,
        MessageType::MsgHeartbeat => EngineKind::Heartbeat,
        MessageType::MsgHeartbeatResponse => EngineKind::HeartbeatResponse,
        MessageType::MsgTimeoutNow => EngineKind::TimeoutNow,
        MessageType::MsgReadIndex => EngineKind::ReadIndex,
        MessageType::MsgReadIndexResp => EngineKind::ReadIndexResponse,
        MessageType::MsgRequestPreVote => EngineKind::RequestPreVote,
        MessageType::MsgRequestPreVoteResponse => EngineKind::RequestPreVoteResponse,
        MessageType::MsgHup
        | MessageType::MsgBeat
        | MessageType::MsgPropose
        | MessageType::MsgSnapshot
        | MessageType::MsgUnreachable
        | MessageType::MsgSnapStatus
        | MessageType::MsgCheckQuorum
        | MessageType::MsgTransferLeader => return None,
    })
}

pub(crate) fn from_engine(message: Message) -> Option<EngineMessage> {
    let kind = kind_of(&message)?;
    Some(EngineMessage {
        kind,
        from: message.from,
        to: message.to,
        term: message.term,
        log_term: message.log_term,
        index: message.index,
        commit: message.commit,
        commit_term: message.commit_term,
        reject: message.reject,
        reject_hint: message.reject_hint,
        priority: message.priority,
        context: message.context,
        entries: message.entries.into_iter().map(entry_from_engine).collect(),
    })
}

/// `None` for a message that does not decode whole.
pub(crate) fn to_engine(message: EngineMessage) -> Option<Message> {
    let msg_type = match message.kind {
        EngineKind::Append => MessageType::MsgAppend,
        EngineKind::AppendResponse => MessageType::MsgAppendResponse,
        EngineKind::RequestVote => MessageType::MsgRequestVote,
        EngineKind::RequestVoteResponse => MessageType::MsgRequestVoteResponse,
        EngineKind::Heartbeat => MessageType::MsgHeartbeat,
        EngineKind::HeartbeatResponse => MessageType::MsgHeartbeatResponse,
        EngineKind::TimeoutNow => MessageType::MsgTimeoutNow,
        EngineKind::ReadIndex => MessageType::MsgReadIndex,
        EngineKind::ReadIndexResponse => MessageType::MsgReadIndexResp,
        EngineKind::RequestPreVote => MessageType::MsgRequestPreVote,
        EngineKind::RequestPreVoteResponse => MessageType::MsgRequestPreVoteResponse,
    };
    let entries: Option<Vec<Entry>> = message.entries.into_iter().map(entry_to_engine).collect();
    Some(Message {
        msg_type,
        from: message.from,
        to: message.to,
        term: message.term,
        log_term: message.log_term,
        index: message.index,
        commit: message.commit,
        commit_term: message.commit_term,
        reject: message.reject,
        reject_hint: message.reject_hint,
        priority: message.priority,
        context: message.context,
        entries: entries?.into(),
        ..Message::default()
    })
}

pub(crate) fn entry_from_engine(entry: Entry) -> LogEntry {
    let (kind, data) = match entry.entry_type {
        EntryType::EntryNormal => (LogEntryKind::Normal, entry.data),
        EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => (
            LogEntryKind::Change,
            change_from_engine(&parse_change(&entry.data)),
        ),
    };
    LogEntry {
        kind,
        term: entry.term,
        index: entry.index,
        data,
        context: entry.context,
    }
}

/// `None` for a change that does not decode: the message that brought it is dropped whole.
pub(crate) fn entry_to_engine(entry: LogEntry) -> Option<Entry> {
    let (entry_type, data) = match entry.kind {
        LogEntryKind::Normal => (EntryType::EntryNormal, entry.data),
        LogEntryKind::Change => (EntryType::EntryConfChangeV2, change_to_engine(&entry.data)?),
    };
    Some(Entry {
        entry_type,
        term: entry.term,
        index: entry.index,
        data,
        context: entry.context,
        ..Entry::default()
    })
}

/// Reads a change that an engine of this process wrote, or [`change_to_engine`] did.
pub(crate) fn parse_change(data: &[u8]) -> ConfChangeV2 {
    let mut change = ConfChangeV2::default();
    change
        .merge_from_bytes(data)
        .expect("the engine of this process wrote these bytes");
    change
}

fn change_from_engine(change: &ConfChangeV2) -> Bytes {
    let steps = change
        .changes
        .iter()
        .map(|single| match single.change_type {
            ConfChangeType::AddNode => EngineStep::Voter(single.node_id),
            ConfChangeType::AddLearnerNode => EngineStep::Learner(single.node_id),
            ConfChangeType::RemoveNode => EngineStep::Out(single.node_id),
        });
    let explicit = change.transition == ConfChangeTransition::Explicit;
    frame::to_bytes(&EngineChange {
        explicit,
        steps: steps.collect(),
    })
    .into()
}

fn change_to_engine(data: &[u8]) -> Option<Bytes> {
    let change: EngineChange = frame::decode_body(data).ok()?;
    let changes: Vec<ConfChangeSingle> = change.steps.into_iter().map(step_to_engine).collect();
    let transition = if change.explicit {
        ConfChangeTransition::Explicit
    } else {
        ConfChangeTransition::Auto
    };
    let change = ConfChangeV2 {
        transition,
        changes: changes.into(),
        ..ConfChangeV2::default()
    };
    let bytes = change
        .write_to_bytes()
        .expect("a change of a few numbers encodes");
    Some(bytes.into())
}

pub(crate) fn step_to_engine(step: EngineStep) -> ConfChangeSingle {
    let (change_type, node_id) = match step {
        EngineStep::Voter(id) => (ConfChangeType::AddNode, id),
        EngineStep::Learner(id) => (ConfChangeType::AddLearnerNode, id),
        EngineStep::Out(id) => (ConfChangeType::RemoveNode, id),
    };
    ConfChangeSingle {
        change_type,
        node_id,
        ..ConfChangeSingle::default()
    }
}
