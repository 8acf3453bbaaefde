//! A simulated client: one session, one request at a time, the same number until it is answered.

use bytes::Bytes;
use wire::client::{Call, CallResult, ClientReply, ClientRequest, Outcome};
use wire::frame::to_bytes;
use wire::{MethodId, Position, SessionId};

use crate::service::{ADD, COUNT, SIGNATURE};

/// Numbers of reads stand apart from those of calls.
const READS: u64 = 1 << 63;

/// What a client has under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Nothing: it thinks.
    Nothing,
    /// A session.
    Open,
    /// An addition.
    Add {
        /// Its tag.
        tag: u64,
    },
    /// A read.
    Count {
        /// How much was known when it was asked first.
        floor: u64,
    },
}

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) number: u64,
    pub(crate) session: Option<SessionId>,
    pub(crate) asked: Asked,
    /// The member it speaks to, as a place in its list, and the connection.
    pub(crate) connection: Option<u64>,
    pub(crate) contacts: Vec<(std::net::SocketAddr, bool)>,
    pub(crate) view: Position,
    calls: u64,
    reads: u64,
    pub(crate) resolved: u64,
}

/// What a client makes of a reply.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    /// Its request is answered: with these bytes.
    Answer(Bytes),
    /// The session is open.
    Opened,
    /// Ask another member.
    Elsewhere,
    /// The session is gone, which no client of a simulation may see.
    Fault(String),
    /// Nothing to do with what it waits for.
    Nothing,
}

impl Client {
    pub(crate) fn new(number: u64, contacts: Vec<(std::net::SocketAddr, bool)>) -> Client {
        Client {
            number,
            session: None,
            asked: Asked::Nothing,
            connection: None,
            contacts,
            view: Position(0),
            calls: 0,
            reads: 0,
            resolved: 0,
        }
    }

    /// Begins the next request.
    pub(crate) fn ask(&mut self, read: bool, floor: u64) {
        self.asked = if self.session.is_none() {
            Asked::Open
        } else if read {
            self.reads += 1;
            Asked::Count { floor }
        } else {
            self.calls += 1;
            Asked::Add {
                tag: self.number << 32 | self.calls,
            }
        };
    }

    /// The request as it is sent, first or again.
    pub(crate) fn request(&self) -> Option<ClientRequest> {
        match self.asked {
            Asked::Nothing => None,
            Asked::Open => Some(ClientRequest::Open { token: self.number }),
            Asked::Add { tag } => Some(ClientRequest::Calls {
                calls: self.call(self.calls, ADD, &tag.to_le_bytes()),
            }),
            Asked::Count { .. } => Some(ClientRequest::Reads {
                calls: self.call(READS | self.reads, COUNT, &[]),
                stale: false,
            }),
        }
    }

    fn call(&self, number: u64, method: MethodId, arguments: &[u8]) -> Bytes {
        to_bytes(&vec![Call {
            session: self.session.unwrap_or(SessionId(0)),
            number,
            acknowledged: self.calls.saturating_sub(1),
            method,
            signature: SIGNATURE,
            arguments,
        }])
        .into()
    }

    pub(crate) fn hear(&mut self, reply: ClientReply) -> Heard {
        match reply {
            ClientReply::Members { view, members } => {
                if view >= self.view && !members.is_empty() {
                    self.view = view;
                    self.contacts = members
                        .iter()
                        .map(|m| (m.address, m.takes_requests))
                        .collect();
                }
                Heard::Nothing
            }
            ClientReply::Opened { token, session } => {
                if self.asked != Asked::Open || token != self.number {
                    return Heard::Nothing;
                }
                self.session = Some(session);
                Heard::Opened
            }
            ClientReply::Results { results } => results
                .into_iter()
                .map(|result| self.result(result))
                .find(|heard| *heard != Heard::Nothing)
                .unwrap_or(Heard::Nothing),
            ClientReply::Declined { .. } => Heard::Elsewhere,
            ClientReply::Json { .. }
            | ClientReply::Status { .. }
            | ClientReply::UpgradeAccepted { .. }
            | ClientReply::UpgradeRefused { .. } => Heard::Nothing,
        }
    }

    fn result(&mut self, result: CallResult) -> Heard {
        let number = match self.asked {
            Asked::Add { .. } => self.calls,
            Asked::Count { .. } => READS | self.reads,
            Asked::Nothing | Asked::Open => return Heard::Nothing,
        };
        if Some(result.call.session) != self.session || result.call.number != number {
            return Heard::Nothing;
        }
        match result.outcome {
            Outcome::Done(reply) => Heard::Answer(reply),
            other @ (Outcome::UnknownMethod
            | Outcome::Malformed
            | Outcome::WrongKind
            | Outcome::Panicked
            | Outcome::SessionExpired
            | Outcome::Acknowledged
            | Outcome::WindowFull) => {
                Heard::Fault(format!("{:?} was answered {other:?}", result.call))
            }
        }
    }
}
