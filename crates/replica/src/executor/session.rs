//! One session: which of its requests were executed, and what came of them.

use std::collections::VecDeque;

use minicbor::{Decode, Encode};
use museum::Defect;
use wire::client::Outcome;
use wire::{OrderedTime, Position};

/// Replies that a session may leave unacknowledged; a client has no more requests open at once.
pub(super) const WINDOW: usize = 256;
/// What a kept reply takes besides its bytes: its place in the ring and the allocator's own.
const OVERHEAD: u64 = 64;

/// The memory of one session.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct Session {
    /// The client has the replies to all numbers up to this one.
    #[n(0)]
    acknowledged: u64,
    /// When it was last heard; see [`super::sessions::Sessions::hear`] for how exactly.
    #[n(1)]
    pub(super) heard: OrderedTime,
    /// What came of the executed numbers above `acknowledged`, ascending.
    #[n(2)]
    kept: VecDeque<Reply>,
    /// What `kept` takes. Derived.
    #[cbor(skip)]
    bytes: u64,
}

/// What came of an executed request, and where.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct Reply {
    /// The request's number.
    #[n(0)]
    pub(super) number: u64,
    /// Where it was executed.
    #[n(1)]
    pub(super) position: Position,
    /// What came of it.
    #[n(2)]
    pub(super) outcome: Outcome,
}

/// How a request's number stands to what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Met {
    /// It was executed; its reply is in this place.
    Known(usize),
    /// It was not; its reply will belong in this place.
    New(usize),
}

/// How much more a session may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// Up to these bytes.
    Bytes(u64),
    /// One reply at a time.
    One,
}

impl Session {
    pub(super) fn new(heard: OrderedTime) -> Session {
        Session {
            acknowledged: 0,
            heard,
            kept: VecDeque::new(),
            bytes: 0,
        }
    }

    /// What the kept replies take.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Forgets the replies that the client has; returns what they took.
    ///
    /// A request cannot acknowledge itself, whatever it says.
    pub(super) fn acknowledge(&mut self, number: u64, acknowledged: u64) -> u64 {
        let acknowledged = acknowledged.min(number.saturating_sub(1));
        self.acknowledged = self.acknowledged.max(acknowledged);
        let mut freed = 0;
        while let Some(first) = self.kept.front()
            && first.number <= self.acknowledged
        {
            freed += size(&first.outcome);
            self.kept.pop_front();
        }
        self.bytes -= freed;
        freed
    }

    /// Whether a request of this number may be executed.
    ///
    /// # Errors
    /// Why it may not.
    pub(super) fn meet(&self, number: u64, room: Room) -> Result<Met, Outcome> {
        if number <= self.acknowledged {
            return Err(Outcome::Acknowledged);
        }
        // Nearly always it is the next one.
        let found = match self.kept.back() {
            Some(last) if number <= last.number => {
                self.kept.binary_search_by_key(&number, |kept| kept.number)
            }
            Some(_) | None => Err(self.kept.len()),
        };
        match found {
            Ok(at) if museum::on(Defect::RetryExecutedTwice) => Ok(Met::New(at)),
            Ok(at) => Ok(Met::Known(at)),
            Err(at) if self.has(room) => Ok(Met::New(at)),
            Err(_) => Err(Outcome::WindowFull),
        }
    }

    /// Keeps what came of a new request, in the place that [`meet`](Session::meet) gave; returns
    /// what that takes.
    pub(super) fn keep(&mut self, at: usize, reply: Reply) -> u64 {
        let added = size(&reply.outcome);
        self.bytes += added;
        self.kept.insert(at, reply);
        added
    }

    /// The reply in this place.
    pub(super) fn reply(&self, at: usize) -> &Reply {
        &self.kept[at]
    }

    fn has(&self, room: Room) -> bool {
        match room {
            Room::Bytes(most) => self.kept.len() < WINDOW && self.bytes < most,
            Room::One => self.kept.is_empty(),
        }
    }

    /// Computes what is not transferred.
    ///
    /// # Errors
    /// What no member would have written.
    pub(super) fn restore(&mut self) -> Result<(), &'static str> {
        if museum::on(Defect::ReplyCacheNotTransferred) {
            self.kept.clear();
        }
        let mut last = self.acknowledged;
        for kept in &self.kept {
            if kept.number <= last {
                return Err("kept replies out of order");
            }
            last = kept.number;
        }
        if museum::on(Defect::ExpiryUnordered) {
            self.heard = OrderedTime(0);
        }
        self.bytes = self.kept.iter().map(|kept| size(&kept.outcome)).sum();
        Ok(())
    }
}

fn size(outcome: &Outcome) -> u64 {
    let reply = match outcome {
        Outcome::Done(reply) => reply.len(),
        Outcome::UnknownMethod
        | Outcome::Malformed
        | Outcome::WrongKind
        | Outcome::Panicked
        | Outcome::SessionExpired
        | Outcome::Acknowledged
        | Outcome::WindowFull => 0,
    };
    reply as u64 + OVERHEAD
}
