//! Reads: executed on the state as it is, without a place in the order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use wire::client::{Call, CallId, CallResult, Outcome};
use wire::frame::decode_body;

use super::{Executor, refused};
use crate::service::{Context, Service};

impl<S: Service> Executor<S> {
    pub(super) fn reads(&self, calls: &Bytes) -> Vec<CallResult> {
        let Ok(calls) = decode_body::<Vec<Call<'_>>>(calls) else {
            return Vec::new();
        };
        let cx = Context {
            time: self.kept.sessions.time(),
            position: self.position,
            index: 0,
            effective: Arc::clone(&self.effective),
            seed: self.kept.seed,
        };
        calls
            .iter()
            .map(|call| CallResult {
                call: CallId {
                    session: call.session,
                    number: call.number,
                },
                position: self.position,
                outcome: self.read(&cx, call),
            })
            .collect()
    }

    fn read(&self, cx: &Context, call: &Call<'_>) -> Outcome {
        let accepted =
            self.kept
                .interface
                .accepts(call.method, call.signature, true, &cx.effective);
        if let Err(refusal) = accepted {
            return refused(refusal);
        }
        let call = crate::service::Call {
            method: call.method,
            signature: call.signature,
            arguments: call.arguments,
        };
        match catch_unwind(AssertUnwindSafe(|| self.service.read(cx, call))) {
            Ok(Ok(reply)) => Outcome::Done(reply.into()),
            Ok(Err(refusal)) => refused(refusal),
            Err(_) => Outcome::Panicked,
        }
    }
}
