//! Requests on their way into the total order.
//!
//! What a contact took from its clients stays here until it is delivered, and goes to every new
//! leader again: the engine drops proposals at a change of leader without notice, and sessions make
//! the repetition harmless. Everything else (a turn taken, an upgrade) is proposed by layers that
//! look at the ordered state and propose again.

use std::collections::BTreeMap;

use museum::Defect;
use wire::MemberId;
use wire::log::{Origin, Proposal};

/// Batches of this contact that may wait at once; above it they are refused as overloaded. Full
/// load keeps some hundreds under way.
const PENDING_MAX: usize = 16_384;
/// Bytes of requests that may wait at once: what the order itself lets be uncommitted.
const PENDING_BYTES_MAX: usize = 64 << 20;

#[derive(Debug, Default)]
pub(crate) struct Multicast {
    next: u64,
    /// By origin number: the proposal and its size.
    pending: BTreeMap<u64, (Proposal, usize)>,
    pending_bytes: usize,
    /// Proposals for the next entry (if this member leads) or the next forward.
    outbox: Vec<Proposal>,
}

impl Multicast {
    pub(crate) fn full(&self, more: usize) -> bool {
        self.pending.len() >= PENDING_MAX || self.pending_bytes + more > PENDING_BYTES_MAX
    }

    /// How many of our own clients' batches are kept: neither delivered nor refused.
    pub(crate) fn kept(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn next_origin(&mut self, member: MemberId, connection: u64) -> Origin {
        self.next += 1;
        Origin {
            member,
            number: self.next,
            connection,
        }
    }

    /// A request of our own client: kept until delivered.
    pub(crate) fn take(&mut self, number: u64, bytes: usize, proposal: Proposal) {
        self.pending_bytes += bytes;
        self.pending.insert(number, (proposal.clone(), bytes));
        self.outbox.push(proposal);
    }

    /// Anything that is not kept.
    pub(crate) fn post(&mut self, proposal: Proposal) {
        self.outbox.push(proposal);
    }

    /// Goes before everything that waits.
    pub(crate) fn post_first(&mut self, proposal: Proposal) {
        self.outbox.insert(0, proposal);
    }

    pub(crate) fn delivered(&mut self, number: u64) {
        self.forget(number);
    }

    fn forget(&mut self, number: u64) -> Option<Proposal> {
        let (proposal, bytes) = self.pending.remove(&number)?;
        self.pending_bytes -= bytes;
        Some(proposal)
    }

    /// The leader refused these aloud; what they were goes back to the contact.
    pub(crate) fn refused(&mut self, numbers: impl IntoIterator<Item = u64>) -> Vec<Proposal> {
        numbers
            .into_iter()
            .filter_map(|number| self.forget(number))
            .collect()
    }

    /// There is a new leader: everything undelivered goes again.
    pub(crate) fn again(&mut self) {
        self.outbox = self
            .pending
            .values()
            .filter(|_| !museum::on(Defect::RequestsForgottenAtElection))
            .map(|(proposal, _)| proposal.clone())
            .collect();
    }

    pub(crate) fn take_outbox(&mut self) -> Vec<Proposal> {
        std::mem::take(&mut self.outbox)
    }

    /// Puts proposals back that could not leave; they stay in front.
    pub(crate) fn hold(&mut self, mut held: Vec<Proposal>) {
        held.append(&mut self.outbox);
        self.outbox = held;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.outbox.is_empty()
    }
}
