//! All unresolved requests: by session and number, and in the order in which they leave.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use wire::client::{Call, CallId, ClientRequest};
use wire::frame::CLIENT_FRAME_MAX;
use wire::{SessionId, Time};

use super::batches::Batches;
use super::lane::{Body, Entry, Lane};
use super::sending::{NEVER, Sending};
use super::{LinkId, SessionKey};
use crate::error::CallError;
use crate::options::Kind;

/// From a session's oldest unresolved number to its newest that is sent: as many replies as the
/// group keeps for a session.
const WINDOW: u64 = 256;
/// Requests of a session that may wait for the window: more than that is not a burst.
const WAITING_MAX: u64 = 4096;
/// Openings and operators' requests under way at once; the group does not number them.
const ASKS_WINDOW: u64 = 4096;
/// Marks a read's number: reads are numbered apart from calls, which the group remembers.
const READS: u64 = 1 << 63;
/// The largest arguments: alone in a frame they pass.
const ARGUMENTS_MAX: usize = CLIENT_FRAME_MAX - 1024;

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    session: SessionKey,
    read: bool,
    number: u64,
}

#[derive(Debug)]
struct Session {
    id: SessionId,
    calls: Lane,
    reads: Lane,
    /// Nobody asks any more; it goes with its last request.
    forgotten: bool,
}

#[derive(Debug)]
pub(super) struct Sessions {
    /// By key; the first holds what belongs to no session.
    sessions: Vec<Option<Session>>,
    free: Vec<SessionKey>,
    keys: HashMap<SessionId, SessionKey>,
    queue: VecDeque<Place>,
}

/// What a look at all unresolved requests found.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Their time is over.
    pub(super) expired: Vec<Place>,
    /// The current member has not answered something that was sent at this time.
    pub(super) late: Option<Time>,
    /// When to look again.
    pub(super) next: Option<Time>,
}

impl Sessions {
    pub(super) fn new() -> Sessions {
        let asks = Session {
            id: SessionId(0),
            calls: Lane::new(ASKS_WINDOW, WAITING_MAX),
            reads: Lane::new(0, 0),
            forgotten: false,
        };
        Sessions {
            sessions: vec![Some(asks)],
            free: Vec::new(),
            keys: HashMap::from([(SessionId(0), SessionKey::NONE)]),
            queue: VecDeque::new(),
        }
    }

    pub(super) fn open(&mut self, id: SessionId) -> SessionKey {
        let session = Session {
            id,
            calls: Lane::new(WINDOW, WAITING_MAX),
            reads: Lane::new(WINDOW, WAITING_MAX),
            forgotten: false,
        };
        let key = self.free.pop().unwrap_or_else(|| {
            self.sessions.push(None);
            SessionKey(self.sessions.len() - 1)
        });
        self.sessions[key.0] = Some(session);
        self.keys.insert(id, key);
        key
    }

    pub(super) fn forget(&mut self, key: SessionKey) {
        if let Some(session) = self.session_mut(key) {
            session.forgotten = true;
        }
        self.remove_if_done(key);
    }

    fn remove_if_done(&mut self, key: SessionKey) {
        let done = |session: &Session| {
            session.forgotten && session.calls.is_empty() && session.reads.is_empty()
        };
        if let Some(slot) = self.sessions.get_mut(key.0)
            && let Some(session) = slot.take_if(|session| done(session))
        {
            // A session id that was given twice belongs to the later key.
            if self.keys.get(&session.id) == Some(&key) {
                self.keys.remove(&session.id);
            }
            self.free.push(key);
        }
    }

    fn session(&self, key: SessionKey) -> Option<&Session> {
        self.sessions.get(key.0)?.as_ref()
    }

    fn session_mut(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.sessions.get_mut(key.0)?.as_mut()
    }

    /// Whether something is to leave.
    pub(super) fn is_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether this place is in the queue.
    #[cfg(test)]
    pub(super) fn has_queued(&self, place: Place) -> bool {
        self.queue.contains(&place)
    }

    /// Whether this place's number was admitted to its window.
    #[cfg(test)]
    pub(super) fn is_admitted(&self, place: Place) -> bool {
        let session = self.session(place.session).expect("a known session");
        session.lane(place.read).is_admitted(place.number)
    }

    /// Takes a request, or says why it is refused at once.
    pub(super) fn add(
        &mut self,
        key: SessionKey,
        ticket: u64,
        until: Time,
        body: Body,
    ) -> Result<(), CallError> {
        let (read, bytes) = match &body {
            Body::Call(request) => match request.kind {
                Kind::Write => (false, request.arguments.len()),
                Kind::Read | Kind::StaleRead => (true, request.arguments.len()),
            },
            Body::Json { method, arguments } => (false, method.len() + arguments.len()),
            Body::Open | Body::Status | Body::Upgrade(_) | Body::Specify(_) => (false, 0),
        };
        if bytes > ARGUMENTS_MAX {
            let why = format!("arguments of {bytes} bytes, a request has room for {ARGUMENTS_MAX}");
            return Err(CallError::Invalid { why });
        }
        let Some(session) = self.session_mut(key) else {
            // Handles end their session when the last of them is dropped, never before.
            return Err(CallError::ShutDown);
        };
        let lane = session.lane_mut(read);
        if lane.is_full() {
            let limit = format!("{WAITING_MAX} requests of this session wait at the client");
            return Err(CallError::Overloaded { limit });
        }
        lane.push(Entry {
            ticket,
            body,
            sending: Sending::new(until),
        });
        self.admit(key, read);
        Ok(())
    }

    /// Queues what the window admits.
    fn admit(&mut self, session: SessionKey, read: bool) {
        let Some(Some(known)) = self.sessions.get_mut(session.0) else {
            return;
        };
        let lane = known.lane_mut(read);
        while let Some(number) = lane.admit() {
            if let Some(entry) = lane.get_mut(number) {
                entry.sending.queued = true;
            }
            self.queue.push_back(Place {
                session,
                read,
                number,
            });
        }
    }

    pub(super) fn find(&self, call: CallId) -> Option<Place> {
        let place = Place {
            session: *self.keys.get(&call.session)?,
            read: call.number & READS != 0,
            number: call.number & !READS,
        };
        self.get(place).map(|_| place)
    }

    pub(super) fn get(&self, place: Place) -> Option<&Entry> {
        self.session(place.session)?
            .lane(place.read)
            .get(place.number)
    }

    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut Entry> {
        self.session_mut(place.session)?
            .lane_mut(place.read)
            .get_mut(place.number)
    }

    /// The request is resolved: its ticket.
    pub(super) fn take(&mut self, place: Place) -> Option<u64> {
        let lane = self.session_mut(place.session)?.lane_mut(place.read);
        let entry = lane.take(place.number)?;
        self.admit(place.session, place.read);
        self.remove_if_done(place.session);
        Some(entry.ticket)
    }

    /// It leaves next.
    pub(super) fn queue(&mut self, place: Place) {
        if let Some(entry) = self.get_mut(place)
            && !entry.sending.queued
        {
            entry.sending.queue_again();
            self.queue.push_back(place);
        }
    }

    /// What this link has not answered leaves again.
    pub(super) fn lost(&mut self, link: LinkId) {
        for (_, entry) in self.iter_mut() {
            if entry.sending.is_on(link) {
                entry.sending.queue_again();
            }
        }
        self.order_queue();
    }

    /// Looks at every request: whose time is over, what was not answered, what has paused enough.
    pub(super) fn look(&mut self, now: Time, current: Option<LinkId>) -> Look {
        let mut look = Look::default();
        let mut queued = false;
        for (place, entry) in self.iter_mut() {
            let sending = &mut entry.sending;
            if now >= sending.until {
                look.expired.push(place);
                continue;
            }
            if now >= sending.due {
                if current.is_some_and(|link| sending.is_on(link)) {
                    let sent = look.late.unwrap_or(NEVER).min(sending.sent_at);
                    look.late = Some(sent);
                }
                sending.queue_again();
                queued = true;
            }
            let next = sending.until.min(sending.due);
            look.next = Some(look.next.unwrap_or(NEVER).min(next));
        }
        if queued {
            self.order_queue();
        }
        look
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Place, &mut Entry)> {
        let sessions = self.sessions.iter_mut().enumerate();
        sessions
            .filter_map(|(key, session)| Some((SessionKey(key), session.as_mut()?)))
            .flat_map(|(key, session)| {
                let place = move |read| {
                    move |(number, entry)| {
                        let place = Place {
                            session: key,
                            read,
                            number,
                        };
                        (place, entry)
                    }
                };
                let calls = session.calls.iter_mut().map(place(false));
                calls.chain(session.reads.iter_mut().map(place(true)))
            })
    }

    /// Rebuilds the queue, so that each session's requests leave in the order of their numbers.
    fn order_queue(&mut self) {
        let mut queue = std::mem::take(&mut self.queue);
        queue.clear();
        let places = self.iter_mut().filter(|(_, entry)| entry.sending.queued);
        queue.extend(places.map(|(place, _)| place));
        self.queue = queue;
    }

    /// Everything that is to leave, in as few requests as fit, now on its way on `link`; how many
    /// of it leave again; and when the first of it needs a look.
    pub(super) fn send(
        &mut self,
        now: Time,
        link: LinkId,
        retry_after: Duration,
        requests: &mut Vec<ClientRequest>,
    ) -> (u64, Time) {
        let mut places = std::mem::take(&mut self.queue);
        let mut again = 0;
        let mut due = NEVER;
        places.retain(|&place| {
            let Some(entry) = self.get_mut(place) else {
                return false;
            };
            if !entry.sending.queued {
                return false;
            }
            again += u64::from(entry.sending.sent(now, link, retry_after));
            due = due.min(entry.sending.due);
            true
        });
        let mut batches = Batches::default();
        for &place in &places {
            let Some(session) = self.session(place.session) else {
                continue;
            };
            let Some(entry) = session.lane(place.read).get(place.number) else {
                continue;
            };
            match &entry.body {
                Body::Call(request) => {
                    let call = Call {
                        session: session.id,
                        number: place.number | if place.read { READS } else { 0 },
                        acknowledged: session.calls.acknowledged(),
                        method: request.method,
                        signature: request.signature,
                        arguments: &request.arguments,
                    };
                    batches.add(request.kind, call, requests);
                }
                Body::Json { method, arguments } => requests.push(ClientRequest::Json {
                    session: session.id,
                    number: place.number,
                    method: method.clone(),
                    arguments: arguments.clone(),
                }),
                Body::Open => requests.push(ClientRequest::Open {
                    token: place.number,
                }),
                Body::Status => requests.push(ClientRequest::Status {
                    token: place.number,
                }),
                Body::Upgrade(request) => requests.push(ClientRequest::Upgrade {
                    token: place.number,
                    request: (**request).clone(),
                }),
                Body::Specify(request) => requests.push(ClientRequest::Specify {
                    token: place.number,
                    request: (**request).clone(),
                }),
            }
        }
        batches.finish(requests);
        places.clear();
        self.queue = places;
        (again, due)
    }

    /// Whether it changes nothing, so that executing it twice is no harm.
    pub(super) fn is_read(&self, place: Place) -> bool {
        place.read
    }
}

impl Session {
    fn lane(&self, read: bool) -> &Lane {
        if read { &self.reads } else { &self.calls }
    }

    fn lane_mut(&mut self, read: bool) -> &mut Lane {
        if read {
            &mut self.reads
        } else {
            &mut self.calls
        }
    }
}
