//! Requests under way, by ticket: numbered in the order of asking, sent until answered.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use wire::client::{Call, CallId, ClientRequest};
use wire::log::UpgradeRequest;
use wire::{MethodId, SessionId, Time};

use super::{FRAME_BYTES, encoded};
use crate::error::CallError;
use crate::options::Kind;

/// Reads are numbered apart from calls, which the group remembers.
const READS: u64 = 1 << 63;
/// From the oldest unanswered call of a session to the newest: what the group remembers of it.
const WINDOW: u64 = 256;

#[derive(Debug)]
pub(super) enum Asked {
    Open,
    Call {
        session: SessionId,
        number: u64,
        kind: Kind,
        method: MethodId,
        signature: u32,
        arguments: Bytes,
    },
    Json {
        session: SessionId,
        number: u64,
        method: String,
        arguments: String,
    },
    Status,
    Upgrade(UpgradeRequest),
}

#[derive(Debug)]
struct Entry {
    asked: Asked,
    until: Time,
    /// When and on which link it was sent last.
    sent: Option<(Time, u64)>,
    /// Whether a member may have taken it.
    taken: bool,
    /// Whether the last member that was asked had no majority.
    unavailable: bool,
    /// Not to be sent before.
    hold: Time,
}

#[derive(Debug, Default)]
struct Session {
    calls: u64,
    reads: u64,
    /// Unanswered calls.
    pending: BTreeSet<u64>,
    /// Requests that wait for room in the window.
    waiting: VecDeque<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Outstanding {
    entries: BTreeMap<u64, Entry>,
    sessions: HashMap<SessionId, Session>,
    by_call: HashMap<CallId, u64>,
    /// Tickets that must be sent, in order.
    unsent: BTreeSet<u64>,
}

impl Outstanding {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn tickets(&self) -> Vec<u64> {
        self.entries.keys().copied().collect()
    }

    pub(super) fn ticket(&self, call: CallId) -> Option<u64> {
        self.by_call.get(&call).copied()
    }

    pub(super) fn add(&mut self, ticket: u64, until: Time, asked: Asked) {
        let session = match &asked {
            Asked::Call { session, .. } | Asked::Json { session, .. } => Some(*session),
            Asked::Open | Asked::Status | Asked::Upgrade(_) => None,
        };
        let entry = Entry {
            asked,
            until,
            sent: None,
            taken: false,
            unavailable: false,
            hold: Time(0),
        };
        self.entries.insert(ticket, entry);
        match session {
            Some(session) => {
                self.sessions
                    .entry(session)
                    .or_default()
                    .waiting
                    .push_back(ticket);
                self.admit(session);
            }
            None => {
                self.unsent.insert(ticket);
            }
        }
    }

    /// Gives numbers to what waits, as far as the window reaches.
    fn admit(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        while let Some(&ticket) = session.waiting.front() {
            let oldest = session
                .pending
                .first()
                .copied()
                .unwrap_or(session.calls + 1);
            if session.calls + 1 - oldest >= WINDOW {
                return;
            }
            session.waiting.pop_front();
            let Some(entry) = self.entries.get_mut(&ticket) else {
                continue;
            };
            let given = match &mut entry.asked {
                Asked::Call {
                    number,
                    kind: Kind::Read | Kind::StaleRead,
                    ..
                } => {
                    session.reads += 1;
                    *number = READS | session.reads;
                    *number
                }
                Asked::Call {
                    number,
                    kind: Kind::Write,
                    ..
                }
                | Asked::Json { number, .. } => {
                    session.calls += 1;
                    *number = session.calls;
                    session.pending.insert(session.calls);
                    *number
                }
                Asked::Open | Asked::Status | Asked::Upgrade(_) => continue,
            };
            self.by_call.insert(
                CallId {
                    session: id,
                    number: given,
                },
                ticket,
            );
            self.unsent.insert(ticket);
        }
    }

    /// The request is resolved. False if it was before.
    pub(super) fn take(&mut self, ticket: u64) -> bool {
        let Some(entry) = self.entries.remove(&ticket) else {
            return false;
        };
        self.unsent.remove(&ticket);
        if let Asked::Call {
            session, number, ..
        }
        | Asked::Json {
            session, number, ..
        } = entry.asked
        {
            self.by_call.remove(&CallId { session, number });
            if let Some(known) = self.sessions.get_mut(&session) {
                known.pending.remove(&number);
            }
            self.admit(session);
        }
        true
    }

    /// A member did not take it. Whether no member ever did.
    pub(super) fn declined(&mut self, ticket: u64) -> bool {
        self.unsent.insert(ticket);
        let Some(entry) = self.entries.get_mut(&ticket) else {
            self.unsent.remove(&ticket);
            return false;
        };
        // It was sent once, to the one that declines: nobody else can have it.
        let first = !entry.taken;
        entry.sent = None;
        first
    }

    pub(super) fn hold(&mut self, ticket: u64, until: Time) {
        if let Some(entry) = self.entries.get_mut(&ticket) {
            entry.hold = until;
        }
    }

    pub(super) fn unavailable(&mut self, ticket: u64) {
        if let Some(entry) = self.entries.get_mut(&ticket) {
            entry.unavailable = true;
        }
    }

    /// The link broke: what went there last must go again, and may have been taken.
    pub(super) fn link_lost(&mut self, link: u64) {
        for (&ticket, entry) in &mut self.entries {
            if entry.sent.is_some_and(|(_, sent)| sent == link) {
                entry.taken = true;
                entry.sent = None;
                self.unsent.insert(ticket);
            }
        }
    }

    /// Everything that was sent goes again, to another member.
    pub(super) fn all_again(&mut self) {
        for (&ticket, entry) in &mut self.entries {
            if entry.sent.take().is_some() {
                entry.taken = true;
                self.unsent.insert(ticket);
            }
        }
    }

    /// Whether something was sent and not answered for so long.
    pub(super) fn is_late(&self, now: Time, retry_after: Duration) -> bool {
        self.entries.values().any(|entry| {
            entry
                .sent
                .is_some_and(|(at, _)| now >= at.after(retry_after))
        })
    }

    /// What has no time left, with what became of it.
    pub(super) fn expired(&self, now: Time, last_fault: &str) -> Vec<(u64, CallError)> {
        self.entries
            .iter()
            .filter(|(_, entry)| now >= entry.until)
            .map(|(&ticket, entry)| {
                let error = if entry.taken || entry.sent.is_some() {
                    CallError::Deadline
                } else if entry.unavailable {
                    CallError::Unavailable
                } else {
                    CallError::Unreached {
                        last: last_fault.to_owned(),
                    }
                };
                (ticket, error)
            })
            .collect()
    }

    /// What goes out on `link` now, one frame per kind; and how many of them again.
    pub(super) fn to_send(&mut self, now: Time, link: u64) -> (Vec<ClientRequest>, u64) {
        let mut requests = Vec::new();
        let mut again = 0;
        let mut held = BTreeSet::new();
        let mut going = Vec::new();
        let mut batches: [(Vec<Call<'_>>, usize); 3] = Default::default();
        for ticket in std::mem::take(&mut self.unsent) {
            let Some(entry) = self.entries.get_mut(&ticket) else {
                continue;
            };
            if now < entry.hold {
                held.insert(ticket);
                continue;
            }
            again += u64::from(entry.taken || entry.unavailable);
            entry.sent = Some((now, link));
            entry.unavailable = false;
            let entry = &self.entries[&ticket];
            match &entry.asked {
                Asked::Open => requests.push(ClientRequest::Open { token: ticket }),
                Asked::Status => requests.push(ClientRequest::Status { token: ticket }),
                Asked::Upgrade(request) => requests.push(ClientRequest::Upgrade {
                    token: ticket,
                    request: request.clone(),
                }),
                Asked::Json {
                    session,
                    number,
                    method,
                    arguments,
                } => {
                    requests.push(ClientRequest::Json {
                        session: *session,
                        number: *number,
                        method: method.clone(),
                        arguments: arguments.clone(),
                    });
                }
                Asked::Call { .. } => going.push(ticket),
            }
        }
        self.unsent = held;
        for ticket in going {
            let Asked::Call {
                session,
                number,
                kind,
                method,
                signature,
                arguments,
            } = &self.entries[&ticket].asked
            else {
                continue;
            };
            let floor = self
                .sessions
                .get(session)
                .and_then(|known| known.pending.first().copied().or(Some(known.calls + 1)))
                .map_or(0, |oldest| oldest - 1);
            let batch = &mut batches[match kind {
                Kind::Write => 0,
                Kind::Read => 1,
                Kind::StaleRead => 2,
            }];
            batch.0.push(Call {
                session: *session,
                number: *number,
                acknowledged: floor,
                method: *method,
                signature: *signature,
                arguments,
            });
            batch.1 += arguments.len();
            if batch.1 > FRAME_BYTES {
                flush(*kind, batch, &mut requests);
            }
        }
        for (kind, batch) in [Kind::Write, Kind::Read, Kind::StaleRead]
            .into_iter()
            .zip(&mut batches)
        {
            flush(kind, batch, &mut requests);
        }
        (requests, again)
    }
}

fn flush(kind: Kind, batch: &mut (Vec<Call<'_>>, usize), requests: &mut Vec<ClientRequest>) {
    if batch.0.is_empty() {
        return;
    }
    let calls = encoded(&batch.0);
    batch.0.clear();
    batch.1 = 0;
    requests.push(match kind {
        Kind::Write => ClientRequest::Calls { calls },
        Kind::Read => ClientRequest::Reads {
            calls,
            stale: false,
        },
        Kind::StaleRead => ClientRequest::Reads { calls, stale: true },
    });
}
