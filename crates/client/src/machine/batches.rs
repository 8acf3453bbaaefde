//! Batches: what leaves in one turn, in as few requests as fit.

use bytes::Bytes;
use wire::client::{Call, ClientRequest};
use wire::frame::to_bytes;

use crate::options::Kind;

/// Bytes of calls that one frame collects: far below what a member accepts.
const BATCH_BYTES: usize = 1 << 20;
/// Bytes that a call takes beside its arguments, at most.
const CALL_BYTES: usize = 64;

/// Calls that leave together, one batch for each kind.
#[derive(Default)]
pub(super) struct Batches<'a> {
    writes: Batch<'a>,
    reads: Batch<'a>,
    stale_reads: Batch<'a>,
}

#[derive(Default)]
struct Batch<'a> {
    calls: Vec<Call<'a>>,
    bytes: usize,
}

impl<'a> Batches<'a> {
    pub(super) fn add(&mut self, kind: Kind, call: Call<'a>, requests: &mut Vec<ClientRequest>) {
        let batch = match kind {
            Kind::Write => &mut self.writes,
            Kind::Read => &mut self.reads,
            Kind::StaleRead => &mut self.stale_reads,
        };
        let bytes = call.arguments.len() + CALL_BYTES;
        if batch.bytes + bytes > BATCH_BYTES {
            batch.finish(kind, requests);
        }
        batch.bytes += bytes;
        batch.calls.push(call);
    }

    pub(super) fn finish(&mut self, requests: &mut Vec<ClientRequest>) {
        self.writes.finish(Kind::Write, requests);
        self.reads.finish(Kind::Read, requests);
        self.stale_reads.finish(Kind::StaleRead, requests);
    }
}

impl Batch<'_> {
    fn finish(&mut self, kind: Kind, requests: &mut Vec<ClientRequest>) {
        if self.calls.is_empty() {
            return;
        }
        let calls = Bytes::from(to_bytes(&self.calls));
        requests.push(match kind {
            Kind::Write => ClientRequest::Calls { calls },
            Kind::Read => ClientRequest::Reads {
                calls,
                stale: false,
            },
            Kind::StaleRead => ClientRequest::Reads { calls, stale: true },
        });
        self.calls.clear();
        self.bytes = 0;
    }
}
