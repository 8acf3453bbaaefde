//! The executor: sessions and service, the machine that runs beside the loop on its own thread.
//!
//! It is deterministic: what a request does depends only on its place in the order. The same
//! number of a session is the same request for ever: it is executed once, and its reply is kept
//! and given again until the client says that it has it.
//!
//! A request that panics is answered as such, and the member goes on: every member of the same
//! version executes the same request at the same position and is left with the same state, while
//! ending the process would end all members one after the other.

mod interface;
mod program;
mod reads;
mod sessions;
mod stream;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use minicbor::{Decode, Encode};
use wire::client::{CallId, CallResult, ClientReply, Outcome};
use wire::frame::{decode_body, to_bytes};
use wire::log::Origin;
use wire::{MemberId, MethodId, OrderedTime, Position, Version};

pub use program::{Founding, ImportError, Program};

use crate::service::{Context, Refusal, Service, StateError};
use interface::Interface;
use sessions::{Sessions, Verdict};

/// The format of the transferred sessions that this build writes and reads.
const FORMAT: u8 = 1;

/// What the loop asks of the executor. The queue keeps the order of the group.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// One delivered position.
    Apply {
        /// Which.
        position: Position,
        /// The group's time.
        time: OrderedTime,
        /// The requests among what is ordered there.
        requests: Vec<Executable>,
    },
    /// From this position on behave as this version.
    Activate {
        /// Where.
        position: Position,
        /// What is effective from here on.
        version: Version,
    },
    /// Reads whose position stands before them in the queue.
    Reads {
        /// Whose.
        connection: u64,
        /// The encoded calls.
        calls: Bytes,
    },
    /// The client wants the reply to this call as JSON.
    ExpectJson {
        /// Whose.
        connection: u64,
        /// The call.
        call: CallId,
        /// Its method.
        method: MethodId,
    },
    /// The connection is gone.
    Closed {
        /// Which.
        connection: u64,
    },
}

/// One ordered request.
#[derive(Clone, Debug, PartialEq)]
pub enum Executable {
    /// Open a session.
    Open {
        /// Who answers.
        origin: Origin,
        /// Comes back in the answer.
        token: u64,
    },
    /// Execute these.
    Calls {
        /// Who answers.
        origin: Origin,
        /// The encoded calls.
        calls: Bytes,
    },
}

/// A reply for one of this member's own client connections.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// To whom.
    pub connection: u64,
    /// What.
    pub reply: ClientReply,
}

/// The executor as the loop sees it: not generic over the service.
pub trait Execute: Send {
    /// Does the work; what it has to say to our own clients goes to `out`.
    fn handle(&mut self, work: Work, out: &mut Vec<Answer>);

    /// Up to where everything is applied.
    fn position(&self) -> Position;

    /// Sessions, interface and effective version, for a transfer: versioned.
    fn sessions(&self) -> Bytes;

    /// Writes the service's state for a transfer: chunks, then the digest.
    ///
    /// # Errors
    /// A format that cannot be written, a stream that broke.
    fn export(&self, format: u32, out: &mut dyn Write) -> Result<(), StateError>;

    /// The new version has taken this replica's place.
    fn upgraded(&mut self);
}

/// Ordered state beside the service's own.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct Kept {
    #[n(0)]
    format: u8,
    #[n(1)]
    sessions: Sessions,
    #[n(2)]
    interface: Interface,
    #[n(3)]
    effective: Version,
    #[n(4)]
    seed: u64,
}

/// Sessions and one service.
struct Executor<S> {
    service: S,
    me: MemberId,
    own: Version,
    kept: Kept,
    effective: Arc<Version>,
    position: Position,
    json: BTreeMap<(u64, CallId), MethodId>,
}

impl<S: Service> Executor<S> {
    fn new(service: S, me: MemberId, own: Version, kept: Kept, position: Position) -> Executor<S> {
        let effective = Arc::new(kept.effective.clone());
        Executor {
            service,
            me,
            own,
            kept,
            effective,
            position,
            json: BTreeMap::new(),
        }
    }

    /// An old binary cannot behave as a newer version: it stops executing at the activation.
    fn follows(&self) -> bool {
        self.own >= *self.effective
    }

    fn apply(
        &mut self,
        position: Position,
        time: OrderedTime,
        requests: Vec<Executable>,
        out: &mut Vec<Answer>,
    ) {
        self.position = position;
        if !self.follows() {
            return;
        }
        self.kept.sessions.pass_time(time);
        let mut cx = Context {
            time,
            position,
            index: 0,
            effective: Arc::clone(&self.effective),
            seed: self.kept.seed,
        };
        for request in requests {
            match request {
                Executable::Open { origin, token } => {
                    let session = self.kept.sessions.open(time);
                    if origin.member == self.me {
                        let reply = ClientReply::Opened { token, session };
                        out.push(Answer {
                            connection: origin.connection,
                            reply,
                        });
                    }
                }
                Executable::Calls { origin, calls } => {
                    let results = self.calls(&mut cx, &calls, origin.member == self.me);
                    if origin.member == self.me {
                        self.answer(origin.connection, results, out);
                    }
                }
            }
        }
    }

    /// Executes a batch. The results are only collected where somebody waits for them.
    fn calls(&mut self, cx: &mut Context, calls: &Bytes, wanted: bool) -> Vec<CallResult> {
        let mut results = Vec::new();
        // The contact has checked them; what does not decode here does so nowhere.
        let Ok(calls) = decode_body::<Vec<wire::client::Call<'_>>>(calls) else {
            return results;
        };
        for call in calls {
            let verdict =
                self.kept
                    .sessions
                    .meet(cx.time, call.session, call.number, call.acknowledged);
            let (position, outcome) = match verdict {
                Verdict::Execute => {
                    let outcome = self.execute(cx, &call);
                    cx.index += 1;
                    self.kept.sessions.keep(
                        call.session,
                        call.number,
                        cx.position,
                        outcome.clone(),
                    );
                    (cx.position, outcome)
                }
                Verdict::Known(position, outcome) => (position, outcome),
                Verdict::Refused(outcome) => (cx.position, outcome),
            };
            if wanted {
                let call = CallId {
                    session: call.session,
                    number: call.number,
                };
                results.push(CallResult {
                    call,
                    position,
                    outcome,
                });
            }
        }
        results
    }

    fn execute(&mut self, cx: &Context, call: &wire::client::Call<'_>) -> Outcome {
        if let Err(refusal) =
            self.kept
                .interface
                .accepts(call.method, call.signature, false, &cx.effective)
        {
            return refused(refusal);
        }
        let call = crate::service::Call {
            method: call.method,
            signature: call.signature,
            arguments: call.arguments,
        };
        let service = &mut self.service;
        match catch_unwind(AssertUnwindSafe(|| service.apply(cx, call))) {
            Ok(Ok(reply)) => Outcome::Done(reply.into()),
            Ok(Err(refusal)) => refused(refusal),
            Err(_) => Outcome::Panicked,
        }
    }

    fn answer(&mut self, connection: u64, mut results: Vec<CallResult>, out: &mut Vec<Answer>) {
        if !self.json.is_empty() {
            results.retain(|result| !self.answer_json(connection, result, out));
        }
        if results.is_empty() {
            return;
        }
        // One frame for all that one connection gets in a row.
        if let Some(Answer {
            connection: last,
            reply: ClientReply::Results { results: before },
        }) = out.last_mut()
            && *last == connection
        {
            before.append(&mut results);
            return;
        }
        out.push(Answer {
            connection,
            reply: ClientReply::Results { results },
        });
    }

    /// The reply as JSON, if the client asked for that. Failures travel as results.
    fn answer_json(&mut self, connection: u64, result: &CallResult, out: &mut Vec<Answer>) -> bool {
        let Some(method) = self.json.remove(&(connection, result.call)) else {
            return false;
        };
        let Outcome::Done(reply) = &result.outcome else {
            return false;
        };
        let text = match S::reply_to_json(method, reply) {
            Ok(value) => value.to_string(),
            Err(error) => serde_json::Value::String(error.to_string()).to_string(),
        };
        let reply = ClientReply::Json {
            call: result.call,
            position: result.position,
            reply: text,
        };
        out.push(Answer { connection, reply });
        true
    }
}

impl<S: Service> Execute for Executor<S> {
    fn handle(&mut self, work: Work, out: &mut Vec<Answer>) {
        match work {
            Work::Apply {
                position,
                time,
                requests,
            } => self.apply(position, time, requests, out),
            Work::Activate {
                position: _,
                version,
            } => {
                self.kept.interface.extend(&S::describe());
                self.kept.effective = version.clone();
                self.effective = Arc::new(version);
            }
            Work::Reads { connection, calls } => {
                let results = self.reads(&calls);
                self.answer(connection, results, out);
            }
            Work::ExpectJson {
                connection,
                call,
                method,
            } => {
                self.json.insert((connection, call), method);
            }
            Work::Closed { connection } => self.json.retain(|(other, _), _| *other != connection),
        }
    }

    fn position(&self) -> Position {
        self.position
    }

    fn sessions(&self) -> Bytes {
        to_bytes(&self.kept).into()
    }

    fn export(&self, format: u32, out: &mut dyn Write) -> Result<(), StateError> {
        let mut chunks = stream::ChunkWriter::new(out);
        self.service.export(format, &mut chunks)?;
        Ok(chunks.finish()?)
    }

    fn upgraded(&mut self) {
        let service = &mut self.service;
        // The member is out already: a panic here harms nobody.
        let _ = catch_unwind(AssertUnwindSafe(|| service.upgraded()));
    }
}

fn refused(refusal: Refusal) -> Outcome {
    match refusal {
        Refusal::UnknownMethod => Outcome::UnknownMethod,
        Refusal::Malformed => Outcome::Malformed,
        Refusal::WrongKind => Outcome::WrongKind,
    }
}
