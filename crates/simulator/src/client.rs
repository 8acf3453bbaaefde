//! One simulated client: the real client's machine, its links, and the sessions that ask.

use std::collections::BTreeMap;

use client::CallError;
use client::machine::{Answer, LinkId, Machine, SessionKey};

use crate::network::ConnectionId;

/// How a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rhythm {
    /// All sessions that have their reply ask at the same moment, so often.
    Together { every: u64 },
    /// The session asks again a random while after its reply.
    NowAndThen,
    /// Asks for what an operator wants.
    Operator,
    /// Asks what somebody outside of the simulation asks through it.
    Guest,
}

/// One session of a client.
#[derive(Debug)]
pub(crate) struct Session {
    /// By the client's own number; absent until it is open.
    pub(crate) key: Option<(wire::SessionId, SessionKey)>,
    /// What it waits for, by ticket.
    pub(crate) waits: Option<u64>,
}

/// What a ticket is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ticket {
    /// The opening of a session.
    Open(usize),
    /// A request of a session, by its place in the history.
    Call(usize, usize),
    /// An upgrade of the plan.
    Upgrade(usize),
    /// What a guest asks; a request has its place in the history.
    Guest(Option<usize>),
    /// Another number of members.
    Wish,
    /// Another upgrade, asked for in the middle of one of the plan.
    Intruder,
}

pub(crate) struct Customer {
    pub(crate) machine: Machine,
    pub(crate) links: BTreeMap<LinkId, ConnectionId>,
    pub(crate) of: BTreeMap<ConnectionId, LinkId>,
    pub(crate) rhythm: Rhythm,
    pub(crate) sessions: Vec<Session>,
    pub(crate) tickets: BTreeMap<u64, Ticket>,
    pub(crate) next_ticket: u64,
    pub(crate) turn_at: Option<u64>,
    /// Requests that one session asks before anything else.
    pub(crate) first: Vec<client::Request>,
    /// A guest's sessions.
    pub(crate) opened: Vec<(SessionKey, wire::SessionId)>,
    /// What a guest was answered, by ticket, until it is taken.
    pub(crate) answers: Vec<(u64, Result<Answer, CallError>)>,
}

impl Customer {
    /// Whether nothing that was asked is still open.
    pub(crate) fn rests(&self) -> bool {
        self.tickets.is_empty()
    }
}
