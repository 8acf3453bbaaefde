//! The way of what is to be ordered: batched into entries at the leader, forwarded to it elsewhere,
//! refused aloud when a limit is reached.

use std::collections::BTreeMap;

use museum::Defect;
use order::Refusal;
use wire::frame::to_bytes;
use wire::log::{ENTRY_FORMAT, Entry, Origin, Proposal};
use wire::peer::PeerMessage;
use wire::{MemberId, Position};

use super::{Group, LOG_BYTES_MAX, Output};
use crate::clock::Now;

/// The largest entry that is made of several proposals: one append message of the order.
const ENTRY_BYTES_MAX: usize = 1 << 20;

impl Group {
    /// Brings the outbox on its way: into the order, or to the leader.
    pub(super) fn flush(&mut self, now: Now, out: &mut Vec<Output>) {
        if self.multicast.is_empty() || self.order.hands_over() {
            return;
        }
        if self.order.leads() {
            for proposals in batches(self.multicast.take_outbox()) {
                self.propose(now, proposals, out);
            }
        } else if let Some(leader) = self.order.leader()
            && self.detector.is_linked(leader)
        {
            for proposals in batches(self.multicast.take_outbox()) {
                let message = PeerMessage::Forward {
                    proposals: proposals.into(),
                };
                out.push(Output::Send {
                    to: leader,
                    message,
                });
            }
        }
    }

    fn propose(&mut self, now: Now, proposals: Vec<Proposal>, out: &mut Vec<Output>) {
        if self.order.log_bytes() > LOG_BYTES_MAX {
            return self.refuse(proposals, out);
        }
        let entry = Entry {
            format: ENTRY_FORMAT,
            time: self.clock.stamp(now),
            floor: self.floor(),
            proposals: proposals.into(),
        };
        match self.order.propose(to_bytes(&entry)) {
            Ok(()) => {}
            Err(Refusal::Overloaded) => self.refuse(entry.proposals, out),
            Err(
                Refusal::NotLeading
                | Refusal::HandingOver
                | Refusal::ChangePending
                | Refusal::RemovesLeader
                | Refusal::DoesNotFit
                | Refusal::CannotLead,
            ) => self.multicast.hold(entry.proposals.into_iter().collect()),
        }
    }

    /// Says aloud to the contacts that these will not be ordered. What layers proposed they propose
    /// again.
    fn refuse(&mut self, proposals: impl IntoIterator<Item = Proposal>, out: &mut Vec<Output>) {
        let mut numbers: BTreeMap<MemberId, Vec<u64>> = BTreeMap::new();
        for proposal in proposals {
            let Some(origin) = origin(&proposal) else {
                continue;
            };
            numbers
                .entry(origin.member)
                .or_default()
                .push(origin.number);
        }
        for (contact, numbers) in numbers {
            if contact == self.me {
                out.push(Output::Refused(self.multicast.refused(numbers)));
            } else {
                let message = PeerMessage::Overloaded {
                    numbers: numbers.into(),
                };
                out.push(Output::Send {
                    to: contact,
                    message,
                });
            }
        }
    }

    /// Up to where the log may go: all voters have it, and no joiner needs it.
    fn floor(&self) -> Position {
        let configuration = self.order.configuration();
        let voters = configuration.voters.iter().chain(&configuration.outgoing);
        let voters = voters.filter_map(|&voter| self.order.matched(voter));
        let joiners = self.membership.joiners.iter().filter_map(|joiner| {
            if museum::on(Defect::FloorPastAPin) {
                return None;
            }
            let pin = joiner.transfer?.position;
            let matched = self.order.matched(joiner.member.id);
            Some(pin.max(matched.unwrap_or(pin)))
        });
        let lowest = voters.chain(joiners).min().unwrap_or(self.floor);
        lowest.min(self.delivered).max(self.floor)
    }
}

pub(super) fn origin(proposal: &Proposal) -> Option<&Origin> {
    match proposal {
        Proposal::Open { origin, .. } | Proposal::Calls { origin, .. } => Some(origin),
        Proposal::Leads { .. }
        | Proposal::Standing { .. }
        | Proposal::Transfer { .. }
        | Proposal::Ready { .. }
        | Proposal::Taken { .. }
        | Proposal::Passed { .. }
        | Proposal::Upgrade(_)
        | Proposal::Specify(_)
        | Proposal::Activate { .. }
        | Proposal::Layer { .. } => None,
    }
}

fn size(proposal: &Proposal) -> usize {
    match proposal {
        Proposal::Calls { calls, .. } => calls.len() + 32,
        Proposal::Layer { payload, .. } => payload.len() + 32,
        Proposal::Open { .. }
        | Proposal::Leads { .. }
        | Proposal::Standing { .. }
        | Proposal::Transfer { .. }
        | Proposal::Ready { .. }
        | Proposal::Taken { .. }
        | Proposal::Passed { .. }
        | Proposal::Upgrade(_)
        | Proposal::Specify(_)
        | Proposal::Activate { .. } => 128,
    }
}

/// Cuts proposals into batches of about [`ENTRY_BYTES_MAX`]; one that is larger stands alone.
fn batches(proposals: Vec<Proposal>) -> Vec<Vec<Proposal>> {
    let mut batches = vec![Vec::new()];
    let mut bytes = 0;
    for proposal in proposals {
        let more = size(&proposal);
        let last = batches.last_mut().expect("it begins with one");
        if bytes + more > ENTRY_BYTES_MAX && !last.is_empty() {
            batches.push(vec![proposal]);
            bytes = more;
        } else {
            last.push(proposal);
            bytes += more;
        }
    }
    batches
}
