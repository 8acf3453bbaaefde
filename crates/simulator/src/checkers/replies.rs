//! Replies: each request executed exactly once, and each reply what one history gives.
//!
//! The reference is one unreplicated service of the effective version, called directly, once per
//! request, in the order that members delivered; at an activation its state is mapped by the new
//! version's own mapping. It knows nothing of sessions' caches, elections or transfers. A reply's
//! position is its witness: it must lie behind everything that any member had delivered when it was
//! asked, hence behind every reply that anybody had, and what it says must be what the reference says
//! at that position. Together that is linearizability, for every operation of the run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use client::{CallError, Kind, Reply, Request};
use replica::{Call, Context, Executable, Refusal};
use wire::client::Call as WireCall;
use wire::frame::decode_body;
use wire::{MethodId, OrderedTime, Position, SessionId, Version};

use super::order::Order;
use super::transfer::Transfers;
use super::{Fault, Opinion};
use crate::edition::Reference;
use crate::workload::{Answered, Workload};
use crate::world::{GROUP_SEED, Installation};

/// One thing that a client asked.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) session: SessionId,
    /// Its number among the session's writes, from 1; 0 for a read.
    number: u64,
    pub(crate) kind: Kind,
    pub(crate) method: MethodId,
    signature: u32,
    pub(crate) arguments: Bytes,
    asked_at: u64,
    /// The furthest position that any member had delivered.
    floor: Position,
    pub(crate) reply: Option<(Position, Bytes)>,
    answered_at: u64,
    /// It failed, and certainly was not executed and never will be.
    unexecuted: Option<CallError>,
}

pub(crate) struct Replies {
    pub(crate) workload: Box<dyn Workload>,
    pub(crate) operations: Vec<Operation>,
    numbers: BTreeMap<SessionId, u64>,
    pub(crate) answered: u64,
    /// When anybody last had a reply, and the longest time that nobody had.
    pub(crate) last_reply: u64,
    pub(crate) longest_gap: u64,
}

impl Replies {
    pub(crate) fn new(workload: Box<dyn Workload>) -> Replies {
        Replies {
            workload,
            operations: Vec::new(),
            numbers: BTreeMap::new(),
            answered: 0,
            last_reply: 0,
            longest_gap: 0,
        }
    }

    /// `floor` is how far any member has delivered.
    pub(crate) fn asked(
        &mut self,
        now: u64,
        floor: Position,
        session: SessionId,
        request: &Request,
    ) -> usize {
        let number = match request.kind {
            Kind::Write => {
                let number = self.numbers.entry(session).or_default();
                *number += 1;
                *number
            }
            Kind::Read | Kind::StaleRead => 0,
        };
        self.operations.push(Operation {
            session,
            number,
            kind: request.kind,
            method: request.method,
            signature: request.signature,
            arguments: request.arguments.clone(),
            asked_at: now,
            floor,
            reply: None,
            answered_at: 0,
            unexecuted: None,
        });
        self.operations.len() - 1
    }

    pub(crate) fn answered(&mut self, now: u64, entry: usize, reply: &Reply) -> Opinion {
        let operation = &mut self.operations[entry];
        if operation.reply.is_some() {
            return Err(format!("a request was answered twice: {operation:?}"));
        }
        let early = match operation.kind {
            // What is asked now is ordered behind what is delivered, and a read sees all of it: who
            // leads has committed it before anybody could deliver it.
            Kind::Write => reply.position <= operation.floor,
            Kind::Read => reply.position < operation.floor,
            Kind::StaleRead => false,
        };
        if early {
            return Err(format!(
                "{:?} of {} was answered at {}, but {} had been delivered before it was asked",
                operation.kind, operation.session, reply.position, operation.floor
            ));
        }
        operation.reply = Some((reply.position, reply.bytes.clone()));
        operation.answered_at = now;
        self.answered += 1;
        if self.last_reply > 0 {
            self.longest_gap = self.longest_gap.max(now - self.last_reply);
        }
        self.last_reply = now;
        Ok(())
    }

    /// It was refused where it was asked, and has no number.
    pub(crate) fn withdrawn(&mut self, entry: usize) {
        if entry + 1 != self.operations.len() {
            return;
        }
        if let Some(operation) = self.operations.pop()
            && operation.number > 0
        {
            self.numbers.insert(operation.session, operation.number - 1);
        }
    }

    /// A request whose client may live with an error has this one.
    pub(crate) fn resolved(&mut self, entry: usize, error: &CallError) {
        let refused = match error {
            CallError::Overloaded { .. }
            | CallError::WindowFull
            | CallError::Unavailable
            | CallError::Unreached { .. }
            | CallError::SessionExpired { sent_before: false }
            | CallError::UnknownMethod
            | CallError::Malformed
            | CallError::WrongKind => true,
            CallError::Invalid { .. }
            | CallError::Panicked
            | CallError::Deadline
            | CallError::SessionExpired { sent_before: true }
            | CallError::ReplyForgotten
            | CallError::ReplyMalformed { .. }
            | CallError::ShutDown => false,
        };
        if refused {
            self.operations[entry].unexecuted = Some(error.clone());
        }
    }

    pub(crate) fn failed(&mut self, entry: usize, error: &CallError) -> Opinion {
        let operation = &self.operations[entry];
        Err(format!("a request failed: {error}: {operation:?}"))
    }

    /// Lets whoever knows what the operations mean judge what clients saw, without any position.
    pub(crate) fn judge_outside(&self) -> Opinion {
        let seen = self.operations.iter().filter_map(|operation| {
            let (_, reply) = operation.reply.as_ref()?;
            let seen = Answered {
                asked_at: operation.asked_at,
                answered_at: operation.answered_at,
                kind: operation.kind,
                method: operation.method,
                arguments: &operation.arguments,
                reply,
            };
            Some(seen)
        });
        self.workload.judge(&seen.collect::<Vec<_>>())
    }

    /// Replays the order and compares.
    pub(crate) fn judge(
        &self,
        order: &Order,
        transfers: &Transfers,
        installation: &Installation,
    ) -> Result<(), Fault> {
        let fault = |checker| move |what| Fault { checker, what };
        let mut writes = BTreeMap::new();
        let mut reads: BTreeMap<Position, Vec<&Operation>> = BTreeMap::new();
        for operation in &self.operations {
            match (operation.kind, &operation.reply) {
                (Kind::Write, _) => {
                    writes.insert((operation.session, operation.number), operation);
                }
                (Kind::Read | Kind::StaleRead, Some((position, _))) => {
                    reads.entry(*position).or_default().push(operation);
                }
                (Kind::Read | Kind::StaleRead, None) => {}
            }
        }
        let mut replay = Replay::new(installation);
        for (&position, entry) in &order.entries {
            for request in &entry.requests {
                let opinion = replay.request(position, entry.time, request, &writes);
                opinion.map_err(fault("replies"))?;
            }
            replay.time = entry.time;
            replay.index = 0;
            transfers
                .judge(
                    position,
                    replay.edition,
                    replay.went_back,
                    replay.reference.as_ref(),
                    installation,
                )
                .map_err(fault("transfer"))?;
            let here = reads.remove(&position).unwrap_or_default();
            let wrong = replay.reads(position, &here);
            match order.activations.get(&position) {
                Some(version) => {
                    replay.activate(version).map_err(fault("replies"))?;
                    // A read at this very position may have seen either behaviour.
                    replay.reads(position, &wrong);
                }
                None => {
                    if let Some(read) = wrong.first() {
                        let what = format!("at {position} the state says otherwise: {read:?}");
                        return Err(fault("replies")(what));
                    }
                }
            }
        }
        for operation in writes.values() {
            let executed = replay
                .executed
                .contains(&(operation.session, operation.number));
            if operation.reply.is_some() && !executed {
                let what = format!("answered, and nowhere in the order: {operation:?}");
                return Err(fault("replies")(what));
            }
        }
        if let Some((position, lost)) = reads.first_key_value()
            && *position > Position(1)
        {
            let what = format!(
                "a read saw {position}, which nobody delivered: {:?}",
                lost[0]
            );
            return Err(fault("replies")(what));
        }
        Ok(())
    }
}

/// One service that executes the order.
struct Replay<'a> {
    installation: &'a Installation,
    edition: usize,
    /// Whether an older version was activated after a newer one.
    went_back: bool,
    effective: Arc<Version>,
    reference: Box<dyn Reference>,
    executed: BTreeSet<(SessionId, u64)>,
    acknowledged: BTreeMap<SessionId, u64>,
    sessions: u64,
    time: OrderedTime,
    index: u32,
}

impl<'a> Replay<'a> {
    fn new(installation: &'a Installation) -> Replay<'a> {
        let first = &installation.editions[0];
        Replay {
            installation,
            edition: 0,
            went_back: false,
            effective: Arc::new(first.binary.version.clone()),
            reference: first.initial(),
            executed: BTreeSet::new(),
            acknowledged: BTreeMap::new(),
            sessions: 0,
            time: OrderedTime::default(),
            index: 0,
        }
    }

    fn context(&self, position: Position, time: OrderedTime, index: u32) -> Context {
        Context {
            time,
            position,
            index,
            effective: Arc::clone(&self.effective),
            seed: GROUP_SEED,
        }
    }

    fn request(
        &mut self,
        position: Position,
        time: OrderedTime,
        request: &Executable,
        writes: &BTreeMap<(SessionId, u64), &Operation>,
    ) -> Opinion {
        let calls = match request {
            Executable::Open { .. } => {
                self.sessions += 1;
                return Ok(());
            }
            Executable::Calls { calls, .. } => calls,
        };
        let calls = decode_body::<Vec<WireCall<'_>>>(calls)
            .map_err(|error| format!("calls at {position} do not decode: {error}"))?;
        for call in calls {
            let acknowledged = self.acknowledged.entry(call.session).or_default();
            *acknowledged = (*acknowledged).max(call.acknowledged);
            let fresh = call.number > *acknowledged
                && call.session.0 <= self.sessions
                && !self.executed.contains(&(call.session, call.number));
            if !fresh {
                continue;
            }
            let operation = writes.get(&(call.session, call.number));
            match operation.and_then(|operation| operation.unexecuted.as_ref()) {
                None => {}
                // These are refused where they stand in the order.
                Some(
                    CallError::UnknownMethod
                    | CallError::Malformed
                    | CallError::WrongKind
                    | CallError::WindowFull
                    | CallError::SessionExpired { .. },
                ) => continue,
                Some(refused) => {
                    return Err(format!(
                        "{position} executes what was refused ({refused}): {operation:?}"
                    ));
                }
            }
            self.executed.insert((call.session, call.number));
            let cx = self.context(position, time, self.index);
            self.index += 1;
            let reply = self.reference.apply(
                &cx,
                Call {
                    method: call.method,
                    signature: call.signature,
                    arguments: call.arguments,
                },
            );
            let Some(operation) = operation else {
                return Err(format!("nobody asked what {position} executes: {call:?}"));
            };
            if operation.method != call.method || operation.arguments != call.arguments {
                return Err(format!(
                    "{position} executes {call:?}, asked was {operation:?}"
                ));
            }
            let Some((at, said)) = &operation.reply else {
                continue;
            };
            if *at != position {
                return Err(format!(
                    "executed at {position}, and answered as executed elsewhere: {operation:?}"
                ));
            }
            self.fits(call.method, &reply, said)
                .map_err(|why| format!("{why}: {operation:?}"))?;
        }
        Ok(())
    }

    /// The reads that do not fit the state.
    fn reads<'b>(&self, position: Position, reads: &[&'b Operation]) -> Vec<&'b Operation> {
        let wrong = reads.iter().filter(|read| {
            let cx = self.context(position, self.time, 0);
            let call = Call {
                method: read.method,
                signature: read.signature,
                arguments: &read.arguments,
            };
            let reply = self.reference.read(&cx, call);
            let said = read.reply.as_ref().map(|(_, said)| said);
            said.is_some_and(|said| self.fits(read.method, &reply, said).is_err())
        });
        wrong.copied().collect()
    }

    fn fits(&self, method: MethodId, reply: &Result<Vec<u8>, Refusal>, said: &Bytes) -> Opinion {
        let edition = &self.installation.editions[self.edition];
        let group = || edition.tell(method, said);
        match reply {
            Ok(reply) if reply[..] == said[..] => Ok(()),
            Ok(reply) => {
                let reference = edition.tell(method, reply);
                Err(format!(
                    "the reference says {reference}, the group {}",
                    group()
                ))
            }
            Err(refusal) => Err(format!(
                "the reference refuses ({refusal}), the group says {}",
                group()
            )),
        }
    }

    fn activate(&mut self, version: &Version) -> Opinion {
        let editions = &self.installation.editions;
        let edition = editions
            .iter()
            .position(|edition| edition.binary.version == *version)
            .ok_or_else(|| format!("{version} was activated, and nobody has it"))?;
        self.reference = editions[edition]
            .takes(&editions[self.edition], self.reference.as_ref())
            .map_err(|error| format!("the reference does not map to {version}: {error}"))?;
        self.went_back |= *version < *self.effective;
        self.edition = edition;
        self.effective = Arc::new(version.clone());
        Ok(())
    }
}
