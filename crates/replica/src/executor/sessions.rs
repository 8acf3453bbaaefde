//! Sessions: the memory that makes a repeated request harmless.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use minicbor::{Decode, Encode};
use wire::client::Outcome;
use wire::{OrderedTime, Position, SessionId};

/// Replies that a session may leave unacknowledged; the client's own window is as large.
const WINDOW: usize = 256;
/// Bytes of kept replies per session: with [`SESSIONS_MAX`] far below a member's memory in
/// practice, since clients acknowledge with each request.
const KEPT_BYTES_MAX: usize = 1 << 20;
/// A session that was silent this long is forgotten.
const IDLE_MS_MAX: u64 = 10 * 60 * 1000;
/// Sessions at once; above it the one that was silent longest goes.
const SESSIONS_MAX: usize = 100_000;

/// All sessions of a group.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub(super) struct Sessions {
    #[n(0)]
    last: u64,
    #[n(1)]
    time: OrderedTime,
    #[n(2)]
    sessions: BTreeMap<SessionId, Session>,
    /// Sessions by the time of their last request, for expiry.
    #[n(3)]
    idle: BTreeMap<(OrderedTime, SessionId), ()>,
}

#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
struct Session {
    /// The client has the replies up to this number.
    #[n(0)]
    acknowledged: u64,
    #[n(1)]
    heard: OrderedTime,
    /// Kept replies by number, ascending.
    #[n(2)]
    kept: VecDeque<Kept>,
    #[n(3)]
    bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct Kept {
    #[n(0)]
    number: u64,
    #[n(1)]
    position: Position,
    #[n(2)]
    outcome: Outcome,
}

/// What a session says of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// It is new.
    Execute,
    /// It was executed; this came of it.
    Known(Position, Outcome),
    /// It may not be executed.
    Refused(Outcome),
}

impl Sessions {
    pub(super) fn time(&self) -> OrderedTime {
        self.time
    }

    /// Forgets who was silent too long.
    pub(super) fn pass_time(&mut self, time: OrderedTime) {
        self.time = time;
        while let Some((&(heard, session), ())) = self.idle.first_key_value()
            && heard.0 + IDLE_MS_MAX < time.0
        {
            self.idle.pop_first();
            self.sessions.remove(&session);
        }
    }

    pub(super) fn open(&mut self, time: OrderedTime) -> SessionId {
        if self.sessions.len() >= SESSIONS_MAX
            && let Some(((_, session), ())) = self.idle.pop_first()
        {
            self.sessions.remove(&session);
        }
        self.last += 1;
        let session = SessionId(self.last);
        self.sessions.insert(
            session,
            Session {
                heard: time,
                ..Session::default()
            },
        );
        self.idle.insert((time, session), ());
        session
    }

    pub(super) fn meet(
        &mut self,
        time: OrderedTime,
        id: SessionId,
        number: u64,
        acknowledged: u64,
    ) -> Verdict {
        let Some(session) = self.sessions.get_mut(&id) else {
            return Verdict::Refused(Outcome::SessionExpired);
        };
        // Expiry is coarse: within a second the order of silence does not matter.
        if session.heard.0 + 1000 < time.0 {
            self.idle.remove(&(session.heard, id));
            self.idle.insert((time, id), ());
            session.heard = time;
        }
        session.acknowledge(acknowledged.min(number.saturating_sub(1)));
        session.meet(number)
    }

    pub(super) fn keep(
        &mut self,
        id: SessionId,
        number: u64,
        position: Position,
        outcome: Outcome,
    ) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.keep(Kept {
                number,
                position,
                outcome,
            });
        }
    }
}

impl Session {
    fn acknowledge(&mut self, number: u64) {
        self.acknowledged = self.acknowledged.max(number);
        while let Some(first) = self.kept.front()
            && first.number <= self.acknowledged
        {
            self.bytes -= size(&first.outcome);
            self.kept.pop_front();
        }
    }

    fn meet(&self, number: u64) -> Verdict {
        if number <= self.acknowledged {
            return Verdict::Refused(Outcome::Acknowledged);
        }
        if self.kept.back().is_some_and(|last| number <= last.number)
            && let Ok(at) = self.kept.binary_search_by_key(&number, |kept| kept.number)
        {
            let kept = &self.kept[at];
            return Verdict::Known(kept.position, kept.outcome.clone());
        }
        if self.kept.len() >= WINDOW || self.bytes > KEPT_BYTES_MAX as u64 {
            return Verdict::Refused(Outcome::WindowFull);
        }
        Verdict::Execute
    }

    fn keep(&mut self, kept: Kept) {
        self.bytes += size(&kept.outcome);
        let at = self
            .kept
            .partition_point(|other| other.number < kept.number);
        self.kept.insert(at, kept);
    }
}

fn size(outcome: &Outcome) -> u64 {
    let bytes = match outcome {
        Outcome::Done(reply) => Bytes::len(reply),
        Outcome::UnknownMethod
        | Outcome::Malformed
        | Outcome::WrongKind
        | Outcome::Panicked
        | Outcome::SessionExpired
        | Outcome::Acknowledged
        | Outcome::WindowFull => 0,
    };
    bytes as u64 + 32
}
