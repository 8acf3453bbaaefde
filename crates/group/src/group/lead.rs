//! What a leader owes the group whatever the layers want: its name, the standings, who is ready, the
//! removal of the dead, the end of a swap, and a word to those who ask to join.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use museum::Defect;
use order::Refusal;
use wire::log::{Change, Proposal};
use wire::member::Standing;
use wire::peer::PeerMessage;
use wire::{MemberId, Position};

use super::{Group, Output};
use crate::clock::Now;

/// What this leader has proposed in its term and not seen delivered yet: not to be repeated.
#[derive(Debug, Default)]
pub(super) struct Posted {
    pub(super) term: u64,
    pub(super) leads: bool,
    pub(super) standings: BTreeMap<MemberId, Standing>,
    pub(super) ready: BTreeSet<(MemberId, Position)>,
}

impl Group {
    /// What a leader owes the group whatever the layers want: its name, the standings, the removal
    /// of the dead, the end of a swap.
    pub(super) fn lead(&mut self, now: Now) {
        if self.posted.term != self.order.term() {
            self.joiners.forget_lagging();
            self.posted = Posted {
                term: self.order.term(),
                ..Posted::default()
            };
        }
        if self.membership.leader != Some(self.me) && !self.posted.leads {
            self.posted.leads = true;
            self.multicast
                .post_first(Proposal::Leads { member: self.me });
        }
        let suspects: BTreeSet<MemberId> = self.detector.suspects().collect();
        for member in &self.membership.view.members {
            let standing = if suspects.contains(&member.id) {
                Standing::Suspected
            } else {
                Standing::Serving
            };
            if member.standing == standing {
                self.posted.standings.remove(&member.id);
            } else if self.posted.standings.insert(member.id, standing) != Some(standing) {
                self.multicast.post(Proposal::Standing {
                    member: member.id,
                    standing,
                });
            }
        }
        let (last, committed) = (self.order.last(), self.order.committed());
        for joiner in &self.membership.joiners {
            let id = joiner.member.id;
            // The log is held for the state that was named last: with an older one it cannot follow.
            let matched = self.order.matched(id).filter(|&matched| {
                joiner
                    .transfer
                    .is_some_and(|transfer| matched >= transfer.position)
            });
            let follows = self.joiners.follows(id, matched, last, committed);
            let Some(position) = joiner.transfer.map(|transfer| transfer.position) else {
                continue;
            };
            if !joiner.ready && follows && self.posted.ready.insert((id, position)) {
                self.multicast.post(Proposal::Ready {
                    joiner: id,
                    position,
                });
            }
        }
        self.change_of_duty(now);
    }

    fn change_of_duty(&mut self, now: Now) {
        if self.order.change_pending() || self.order.hands_over() {
            return;
        }
        if self.order.configuration().joint() {
            if self.change(now, Change::Settle) == Err(Refusal::RemovesLeader) {
                let heirs = self.order.configuration().voters.clone();
                let _ = heirs
                    .into_iter()
                    .find(|&heir| self.hand_over(now, heir).is_ok());
            }
            return;
        }
        let dead = self
            .membership
            .everybody()
            .find_map(|member| Some((member.id, self.dead.get(&member.id)?.clone())));
        let silent = self
            .detector
            .suspects()
            .find(|_| museum::on(Defect::SilenceTakenForDeath));
        let dead = dead.or(silent.map(|silent| (silent, "it is silent".to_owned())));
        if let Some((member, how)) = dead {
            let reason = format!("its process ended: {how}");
            // Refused now means tried again by the next turn.
            let _ = self.change(now, Change::Remove { member, reason });
        }
    }

    pub(super) fn answer_joiners(&mut self, out: &mut Vec<Output>) {
        if !self.order.leads() {
            // While nobody leads there is nothing to tell: all other members that a joiner knows may
            // be gone before it asks them. It has its own patience with us.
            let leader = self.leader_address();
            if leader.is_none() {
                return;
            }
            for link in self.joiners.take_links() {
                let message = PeerMessage::NotAdmitted {
                    leader,
                    why: "this member does not lead the group".to_owned(),
                    retry: true,
                };
                out.push(Output::Answer { link, message });
            }
            return;
        }
        let membership = Arc::clone(&self.membership);
        for joiner in &membership.joiners {
            if let Some(transfer) = joiner.transfer
                && let Some(donor_address) = self.membership.address(transfer.donor)
                && let Some(link) = self.joiners.to_tell(joiner.member.id, transfer)
            {
                self.joiners.told(joiner.member.id, transfer);
                let message = PeerMessage::Admitted {
                    member: joiner.member.id,
                    incarnation: self.membership.incarnation,
                    donor: transfer.donor,
                    donor_address,
                    position: transfer.position,
                };
                out.push(Output::Answer { link, message });
            }
        }
    }
}
