//! The executor: sessions and service, the machine that runs beside the loop on its own thread.
//!
//! It is deterministic: what is applied depends on the order alone, so that members which are
//! given the same order hold the same state and the same replies, whatever they were asked
//! besides. The same number of a session is the same request for ever: it is executed once, and
//! its reply is kept and given again until the client says that it has it (design 4.22).
//!
//! Parts: `sessions` and `session` remember what was executed, `interface` says what requests may
//! use, `panics` what becomes of those that panic; `kept` is what of this travels to a joiner, and
//! `stream` how the service's own bytes do. `program` makes executors out of services.

mod expected;
mod interface;
mod kept;
mod panics;
mod program;
mod reads;
mod session;
mod sessions;
mod stream;

#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use museum::Defect;
use wire::client::{Call, CallId, CallResult, ClientReply, Outcome};
use wire::frame::decode_body;
use wire::list::Values;
use wire::log::Origin;
use wire::{MemberId, MethodId, OrderedTime, Position, Version};

pub use program::{Founding, ImportError, Program};

use crate::service::{Context, Description, Service, StateError};
use expected::Expected;
use kept::Kept;
use panics::Panics;

/// What the loop asks of the executor. The queue keeps the order of the group.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// One delivered position.
    Apply {
        /// Which: behind all before it.
        position: Position,
        /// The group's time.
        time: OrderedTime,
        /// The requests among what is ordered there; there may be none.
        requests: Vec<Executable>,
    },
    /// What is ordered behind this position meets this version's behaviour (design 4.13).
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

    /// Sessions, interface, effective version and seed, for the head of a transfer: versioned.
    fn sessions(&self) -> Bytes;

    /// Writes the service's state for a transfer: chunks, then the digest.
    ///
    /// # Errors
    /// A format that cannot be written, a stream that broke, or a state that stands still because
    /// the group behaves as a later version.
    fn export(&self, format: u32, out: &mut dyn Write) -> Result<(), StateError>;

    /// The new version has taken this replica's place.
    fn upgraded(&mut self);

    /// What the operator should know since the last time, one line each: requests in which the
    /// service panicked. Few are held; a caller that never asks loses nothing else.
    fn notes(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// Sessions and one service.
struct Executor<S> {
    service: S,
    me: MemberId,
    own: Version,
    kept: Kept,
    /// That of `kept`, as contexts share it.
    effective: Arc<Version>,
    position: Position,
    expected: Expected,
    panics: Panics,
}

impl<S: Service> Executor<S> {
    fn new(
        service: S,
        me: MemberId,
        description: Description,
        kept: Kept,
        position: Position,
    ) -> Executor<S> {
        Executor {
            service,
            me,
            effective: Arc::new(if museum::on(Defect::BehavesAsNewEarly) {
                description.version.clone()
            } else {
                kept.effective.clone()
            }),
            kept,
            position,
            expected: Expected::default(),
            panics: Panics::new(&description),
            own: description.version,
        }
    }

    /// Whether this version can behave as the effective one. An older one cannot: it stops
    /// executing at the activation, and others answer (design 4.15).
    fn follows(&self) -> bool {
        self.own >= *self.effective || museum::on(Defect::OldMemberGoesOn)
    }

    fn apply(
        &mut self,
        position: Position,
        time: OrderedTime,
        requests: Vec<Executable>,
        out: &mut Vec<Answer>,
    ) {
        assert!(
            position > self.position,
            "{position} is given behind {}",
            self.position
        );
        self.position = position;
        if !self.follows() {
            // Should its successor die, another one takes it from here.
            return self.kept.hold(position, time, requests);
        }
        self.pass(time, &requests);
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
                        let connection = origin.connection;
                        let reply = ClientReply::Opened { token, session };
                        out.push(Answer { connection, reply });
                    }
                }
                Executable::Calls { origin, calls } => {
                    let wanted = origin.member == self.me;
                    let results = self.calls(&mut cx, &calls, wanted);
                    if wanted {
                        self.answer(origin.connection, results, out);
                    }
                }
            }
        }
    }

    /// Time passes. A session that is heard at this very position is not forgotten there, however
    /// long the group was idle before (design 4.22).
    fn pass(&mut self, time: OrderedTime, requests: &[Executable]) {
        let sessions = &mut self.kept.sessions;
        if sessions.forgets_at(time) {
            for request in requests {
                let Executable::Calls { calls, .. } = request else {
                    continue;
                };
                let Ok(calls) = decode_body::<Values<'_, Call<'_>>>(calls) else {
                    continue;
                };
                for call in calls {
                    sessions.hear(time, call.session);
                }
            }
        }
        sessions.pass(time);
    }

    /// Executes a batch. The results are only collected where somebody waits for them.
    fn calls(&mut self, cx: &mut Context, calls: &Bytes, wanted: bool) -> Vec<CallResult> {
        let mut results = Vec::new();
        // The contact has checked them; what does not decode here does so nowhere.
        let Ok(calls) = decode_body::<Values<'_, Call<'_>>>(calls) else {
            return results;
        };
        if wanted {
            results.reserve_exact(calls.len());
        }
        let Kept {
            sessions,
            interface,
            ..
        } = &mut self.kept;
        let (service, panics) = (&mut self.service, &mut self.panics);
        for call in calls {
            let answer = sessions.once(&call, cx.time, cx.position, || {
                let accepted = interface.accepts(call.method, call.signature, false, &cx.effective);
                let outcome = panics.guard(cx, &call, || {
                    accepted.and_then(|()| service.apply(cx, request(&call)))
                });
                cx.index += 1;
                outcome
            });
            if wanted {
                let (position, outcome) = match answer {
                    Ok(reply) => (reply.position, reply.outcome.clone()),
                    Err(refused) => (cx.position, refused),
                };
                results.push(CallResult {
                    call: reads::id(&call),
                    position,
                    outcome,
                });
            }
        }
        results
    }

    /// Answers a connection: one frame for all that it gets in a row.
    fn answer(&mut self, connection: u64, mut results: Vec<CallResult>, out: &mut Vec<Answer>) {
        if !self.expected.is_empty() {
            results.retain(|result| !self.answer_as_json(connection, result, out));
        }
        if results.is_empty() {
            return;
        }
        if let Some(Answer {
            connection: last,
            reply: ClientReply::Results { results: before },
        }) = out.last_mut()
            && *last == connection
        {
            before.extend(results);
            return;
        }
        let reply = ClientReply::Results {
            results: results.into(),
        };
        out.push(Answer { connection, reply });
    }

    /// Answers in JSON if the client asked for that. What was not executed travels as a result,
    /// and so does a reply that JSON cannot express: it was executed, and the client must know.
    fn answer_as_json(
        &mut self,
        connection: u64,
        result: &CallResult,
        out: &mut Vec<Answer>,
    ) -> bool {
        let Some(method) = self.expected.take(connection, result.call) else {
            return false;
        };
        let Outcome::Done(reply) = &result.outcome else {
            return false;
        };
        let Ok(value) = S::reply_to_json(method, reply) else {
            return false;
        };
        let reply = ClientReply::Json {
            call: result.call,
            position: result.position,
            reply: value.to_string(),
        };
        out.push(Answer { connection, reply });
        true
    }

    /// What a donor of an earlier version has held back since the activation is executed here.
    fn catch_up(&mut self, head: Position) {
        if let Some(held) = self.kept.take_held() {
            self.kept.interface.extend(&S::describe());
            for entry in held {
                let (position, time) = (entry.position, entry.time);
                self.apply(position, time, entry.requests(), &mut Vec::new());
            }
        }
        self.position = head;
    }

    fn activate(&mut self, position: Position, version: Version) {
        assert!(
            position >= self.position,
            "an activation at {position} is given behind {}",
            self.position
        );
        self.position = position;
        self.kept.interface.extend(&S::describe());
        self.kept.effective = version.clone();
        self.effective = Arc::new(version);
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
            Work::Activate { position, version } => self.activate(position, version),
            Work::Reads { connection, calls } => self.reads(connection, &calls, out),
            Work::ExpectJson {
                connection,
                call,
                method,
            } => self.expected.expect(connection, call, method),
            Work::Closed { connection } => self.expected.forget(connection),
        }
    }

    fn position(&self) -> Position {
        self.position
    }

    fn sessions(&self) -> Bytes {
        self.kept.to_bytes()
    }

    fn export(&self, format: u32, out: &mut dyn Write) -> Result<(), StateError> {
        if !self.kept.is_complete() {
            let why = format!(
                "the state stands still: the group behaves as {}, this is {}",
                self.effective, self.own
            );
            return Err(io::Error::other(why).into());
        }
        let mut chunks = stream::ChunkWriter::new(out);
        self.service.export(format, &mut chunks)?;
        Ok(chunks.finish()?)
    }

    fn upgraded(&mut self) {
        let service = &mut self.service;
        // The member is out already: a panic here harms nobody.
        let _ = catch_unwind(AssertUnwindSafe(|| service.upgraded()));
    }

    fn notes(&mut self) -> Vec<String> {
        self.panics.take()
    }
}

/// The call as the service sees it.
fn request<'a>(call: &Call<'a>) -> crate::service::Call<'a> {
    crate::service::Call {
        method: call.method,
        signature: call.signature,
        arguments: call.arguments,
    }
}
