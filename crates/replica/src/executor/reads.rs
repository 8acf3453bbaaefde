//! Reads: executed on the state as it is, without a place in the order (design 4.25).
//!
//! They know no session: executed twice, they still change nothing.

use std::sync::Arc;

use bytes::Bytes;
use wire::client::{Call, CallId, CallResult, ClientReply, Decline};
use wire::frame::decode_body;
use wire::list::Values;

use super::{Answer, Executor, request};
use crate::service::{Context, Service};

impl<S: Service> Executor<S> {
    /// Executes a batch of reads. What does not decode is nobody's: the contact has checked them.
    pub(super) fn reads(&mut self, connection: u64, calls: &Bytes, out: &mut Vec<Answer>) {
        let Ok(calls) = decode_body::<Values<'_, Call<'_>>>(calls) else {
            return;
        };
        if !self.follows() {
            // The state stands still at the activation: it is not what these reads may see.
            let reply = ClientReply::Declined {
                calls: calls.map(|call| id(&call)).collect(),
                reason: Decline::AskAnother,
            };
            out.push(Answer { connection, reply });
            return;
        }
        let mut cx = Context {
            time: self.kept.sessions.time(),
            position: self.position,
            index: 0,
            effective: Arc::clone(&self.effective),
            seed: self.kept.seed,
        };
        let mut results = Vec::with_capacity(calls.len());
        for call in calls {
            let accepted =
                self.kept
                    .interface
                    .accepts(call.method, call.signature, true, &cx.effective);
            let service = &self.service;
            let outcome = self.panics.guard(&cx, &call, || {
                accepted.and_then(|()| service.read(&cx, request(&call)))
            });
            cx.index += 1;
            results.push(CallResult {
                call: id(&call),
                position: self.position,
                outcome,
            });
        }
        self.answer(connection, results, out);
    }
}

/// The call by session and number.
pub(super) fn id(call: &Call<'_>) -> CallId {
    CallId {
        session: call.session,
        number: call.number,
    }
}
