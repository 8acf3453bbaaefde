//! All sessions of a group: the memory that makes a repeated request harmless (design 4.22).
//!
//! Sessions are ordered state: what is opened, kept, refused and forgotten here follows from the
//! order alone. A session is forgotten when it was silent for long, or when a limit of the whole is
//! reached and no other was silent longer. A retry in a forgotten session is indefinite, so the
//! limits are far from what clients that acknowledge come near.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};
use wire::client::{Call, Outcome};
use wire::{OrderedTime, Position, SessionId};

use super::session::{Met, Reply, Room, Session};

/// A session that was silent this long is forgotten: longer than any client retries.
const SILENCE_MS_MAX: u64 = 10 * 60 * 1000;
/// Silence is measured in steps of a second, so that most requests leave the order of sessions
/// alone.
const HEARD_STEP_MS: u64 = 1000;
/// Sessions at once: some megabytes while they are idle.
const SESSIONS_MAX: usize = 100_000;
/// Kept replies of one session: a full window of replies of 4 KiB.
const SESSION_BYTES_MAX: u64 = 1 << 20;
/// Kept replies of all sessions. Above it each session gets one request at a time: clients slow
/// down, and none is shut out.
const BYTES_SOFT_MAX: u64 = 256 << 20;
/// Kept replies of all sessions above which the most silent ones go, so that many sessions of
/// clients that never acknowledge cannot fill the members' memory.
const BYTES_HARD_MAX: u64 = 512 << 20;

/// All sessions of a group.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub(super) struct Sessions {
    /// The last id that was given; none is given twice.
    #[n(0)]
    last: u64,
    /// The time of the last position.
    #[n(1)]
    time: OrderedTime,
    #[n(2)]
    sessions: BTreeMap<SessionId, Session>,
    /// The sessions by how long they are silent. Derived.
    #[cbor(skip)]
    silent: BTreeSet<(OrderedTime, SessionId)>,
    /// What all kept replies take. Derived.
    #[cbor(skip)]
    bytes: u64,
}

impl Sessions {
    /// The time of the last position.
    pub(super) fn time(&self) -> OrderedTime {
        self.time
    }

    /// Whether a session would be forgotten at this time. Those that are heard at this very
    /// position are to be [`heard`](Sessions::hear) first.
    pub(super) fn forgets_at(&self, time: OrderedTime) -> bool {
        let most_silent = self.silent.first();
        most_silent.is_some_and(|(heard, _)| is_long(*heard, time) || self.bytes > BYTES_HARD_MAX)
    }

    /// Time passes: sessions that were silent too long are forgotten.
    pub(super) fn pass(&mut self, time: OrderedTime) {
        while self.forgets_at(time) {
            self.forget_most_silent();
        }
        self.time = time;
    }

    /// A new session.
    pub(super) fn open(&mut self, time: OrderedTime) -> SessionId {
        if self.sessions.len() >= SESSIONS_MAX {
            self.forget_most_silent();
        }
        self.last += 1;
        let id = SessionId(self.last);
        self.sessions.insert(id, Session::new(time));
        self.silent.insert((time, id));
        id
    }

    /// The session sends something now.
    pub(super) fn hear(&mut self, time: OrderedTime, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&id) {
            hear(&mut self.silent, session, time, id);
        }
    }

    /// What comes of this call: executed now, executed before, or refused.
    ///
    /// # Errors
    /// Why it may not be executed.
    pub(super) fn once(
        &mut self,
        call: &Call<'_>,
        time: OrderedTime,
        position: Position,
        execute: impl FnOnce() -> Outcome,
    ) -> Result<&Reply, Outcome> {
        let Some(session) = self.sessions.get_mut(&call.session) else {
            return Err(Outcome::SessionExpired);
        };
        hear(&mut self.silent, session, time, call.session);
        self.bytes -= session.acknowledge(call.number, call.acknowledged);
        let room = if self.bytes > BYTES_SOFT_MAX {
            Room::One
        } else {
            Room::Bytes(SESSION_BYTES_MAX)
        };
        let at = match session.meet(call.number, room)? {
            Met::Known(at) => at,
            Met::New(at) => {
                let reply = Reply {
                    number: call.number,
                    position,
                    outcome: execute(),
                };
                self.bytes += session.keep(at, reply);
                at
            }
        };
        Ok(session.reply(at))
    }

    fn forget_most_silent(&mut self) {
        if let Some((_, id)) = self.silent.pop_first()
            && let Some(session) = self.sessions.remove(&id)
        {
            self.bytes -= session.bytes();
        }
    }

    /// Computes what is not transferred.
    ///
    /// # Errors
    /// What no member would have written.
    pub(super) fn restore(&mut self) -> Result<(), &'static str> {
        for (&id, session) in &mut self.sessions {
            if id.0 > self.last {
                return Err("a session that was never opened");
            }
            session.restore()?;
            self.bytes += session.bytes();
            self.silent.insert((session.heard, id));
        }
        Ok(())
    }
}

fn hear(
    silent: &mut BTreeSet<(OrderedTime, SessionId)>,
    session: &mut Session,
    time: OrderedTime,
    id: SessionId,
) {
    if time.0.saturating_sub(session.heard.0) > HEARD_STEP_MS {
        silent.remove(&(session.heard, id));
        silent.insert((time, id));
        session.heard = time;
    }
}

fn is_long(heard: OrderedTime, time: OrderedTime) -> bool {
    time.0.saturating_sub(heard.0) > SILENCE_MS_MAX
}
