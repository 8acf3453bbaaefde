//! Requests on their way into the total order.
//!
//! What a contact took from its clients stays here until it is delivered, and goes to every new
//! leader again: the engine drops proposals at a change of leader without notice, and sessions make
//! the repetition harmless. Everything else (a turn taken, an upgrade) is proposed by layers that
//! look at the ordered state and propose again.

use std::collections::BTreeMap;

use wire::MemberId;
use wire::log::{Origin, Proposal};

/// Requests of this contact that may wait at once; above it they are refused as overloaded. Full
/// load keeps some hundreds under way.
pub(crate) const PENDING_MAX: usize = 16_384;

#[derive(Debug, Default)]
pub(crate) struct Multicast {
    next: u64,
    pending: BTreeMap<u64, Proposal>,
    /// Proposals for the next entry (if this member leads) or the next forward.
    outbox: Vec<Proposal>,
}

impl Multicast {
    pub(crate) fn full(&self) -> bool {
        self.pending.len() >= PENDING_MAX
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
    pub(crate) fn take(&mut self, number: u64, proposal: Proposal) {
        self.pending.insert(number, proposal.clone());
        self.outbox.push(proposal);
    }

    /// Anything that is not kept.
    pub(crate) fn post(&mut self, proposal: Proposal) {
        self.outbox.push(proposal);
    }

    pub(crate) fn delivered(&mut self, number: u64) {
        self.pending.remove(&number);
    }

    /// The leader refused these aloud; what they were goes back to the contact.
    pub(crate) fn refused(&mut self, numbers: &[u64]) -> Vec<Proposal> {
        numbers
            .iter()
            .filter_map(|number| self.pending.remove(number))
            .collect()
    }

    /// There is a new leader: everything undelivered goes again.
    pub(crate) fn again(&mut self) {
        self.outbox = self.pending.values().cloned().collect();
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

    pub(crate) fn waiting(&self) -> usize {
        self.pending.len()
    }
}
