//! What the order delivers, position by position: time, requests, and the membership they change.

use std::sync::Arc;

use museum::Defect;
use order::{Configuration, Content, Delivery};
use wire::frame::{FrameError, decode_body};
use wire::list::List;
use wire::log::{Change, ChangeEntry, ENTRY_FORMAT, Entry, Proposal};
use wire::peer::PeerMessage;
use wire::{MemberId, OrderedTime, Position};

use super::propose::origin;
use super::{Delivered, Group, Output, Survived};
use crate::clock::Now;
use crate::parting::Parting;

impl Group {
    pub(super) fn ordered(&mut self, now: Now, output: order::Output, out: &mut Vec<Output>) {
        match output {
            order::Output::Send { to, message } => {
                out.push(Output::Send {
                    to,
                    message: PeerMessage::Engine(message),
                });
            }
            order::Output::Reach { to, reach } => {
                let message = PeerMessage::Reach {
                    last_term: reach.last_term,
                    last_index: reach.last_index,
                    term: reach.term,
                };
                out.push(Output::Send { to, message });
            }
            order::Output::Survives {
                to,
                reach,
                stands_back,
            } => {
                let message = PeerMessage::Survives {
                    last_term: reach.last_term,
                    last_index: reach.last_index,
                    term: reach.term,
                    stands_back,
                };
                out.push(Output::Send { to, message });
            }
            order::Output::Delivered(delivery) => self.deliver(now, delivery, out),
            order::Output::Readable { token, position } => {
                out.push(Output::Readable { token, position });
            }
            order::Output::Leader { leader, term } => {
                self.notice_leader();
                out.push(Output::Leader { leader, term });
            }
            order::Output::NeedsState { member } => self.joiners.lags(member),
        }
    }

    fn deliver(&mut self, now: Now, delivery: Delivery, out: &mut Vec<Output>) {
        self.delivered = delivery.position;
        self.term = delivery.term;
        let mut delivered = Delivered {
            position: delivery.position,
            term: delivery.term,
            time: self.time,
            proposals: List::default(),
            change: None,
            survived: None,
            membership: Arc::clone(&self.membership),
        };
        match delivery.content {
            Content::Nothing => {}
            Content::Entry(bytes) => match decode_body::<Entry>(&bytes) {
                Ok(entry) if entry.format == ENTRY_FORMAT => {
                    self.pass_time(now, entry.time);
                    self.apply_entry(delivery.position, &entry.proposals);
                    if entry.floor > self.floor {
                        self.floor = entry.floor;
                        self.order.compact(self.floor);
                    }
                    delivered.proposals = entry.proposals;
                }
                other => return out.push(broken(delivery.position, other.map(|e| e.format))),
            },
            Content::Change {
                context,
                configuration,
            } => match decode_body::<ChangeEntry>(&context) {
                Ok(entry) if entry.format == ENTRY_FORMAT => {
                    self.pass_time(now, entry.time);
                    self.remember_departing(&entry.change);
                    Arc::make_mut(&mut self.membership).changed(
                        delivery.position,
                        &entry.change,
                        configuration,
                    );
                    self.after_change(now, &entry.change, out);
                    delivered.change = Some(entry.change);
                }
                other => return out.push(broken(delivery.position, other.map(|e| e.format))),
            },
            Content::GoesOn { configuration } => {
                delivered.survived = Some(self.go_on(now, delivery.position, configuration, out));
            }
        }
        delivered.time = self.time;
        delivered.membership = Arc::clone(&self.membership);
        out.push(Output::Delivered(delivered));
    }

    fn pass_time(&mut self, now: Now, stamp: OrderedTime) {
        self.time = match museum::on(Defect::TimeGoesBack) {
            true => stamp,
            false => self.time.max(stamp),
        };
        self.clock.heard(self.time, now);
    }

    fn apply_entry(&mut self, position: Position, proposals: &List<Proposal>) {
        for proposal in proposals {
            if let Some(origin) = origin(&proposal)
                && origin.member == self.me
            {
                self.multicast.delivered(origin.number);
            }
            match &proposal {
                Proposal::Leads { .. } | Proposal::Standing { .. } | Proposal::Ready { .. } => {
                    Arc::make_mut(&mut self.membership).ordered(position, &proposal);
                }
                Proposal::Transfer { joiner, .. } => {
                    if Arc::make_mut(&mut self.membership).ordered(position, &proposal) {
                        self.joiners.begins(*joiner);
                    }
                }
                Proposal::Open { .. }
                | Proposal::Calls { .. }
                | Proposal::Taken { .. }
                | Proposal::Passed { .. }
                | Proposal::Upgrade(_)
                | Proposal::Specify(_)
                | Proposal::Activate { .. }
                | Proposal::Layer { .. } => {}
            }
        }
    }

    /// We are all that is left: a life of the group that nobody else has a part in yet.
    fn go_on(
        &mut self,
        now: Now,
        position: Position,
        configuration: Configuration,
        out: &mut Vec<Output>,
    ) -> Survived {
        let left: Vec<MemberId> = self
            .membership
            .everybody()
            .map(|member| member.id)
            .filter(|&other| other != self.me)
            .collect();
        let fate = |&member: &MemberId| {
            let how = self
                .dead
                .get(&member)
                .map(|how| format!("its process ended: {how}"));
            (member, how.unwrap_or_else(|| "left behind".to_owned()))
        };
        let without = left.iter().map(fate).collect();
        let own = self.own.clone().expect("who has a vote stood in a view");
        Arc::make_mut(&mut self.membership).survived(position, own, configuration);
        // The end of the log may have taken us out: that was in the life that ends here.
        self.parting = Parting::default();
        // What others still had under way is over, and nobody can be brought here by replaying.
        self.floor = Position(position.0 - 1);
        self.joiners.keep(|_| false, |_| false);
        for to in self.detector.watched() {
            let message = PeerMessage::Left { view: position };
            out.push(Output::Send { to, message });
        }
        self.watch(now);
        out.push(Output::Peers(self.peers()));
        Survived { without }
    }

    fn after_change(&mut self, now: Now, change: &Change, out: &mut Vec<Output>) {
        let leaver = match change {
            Change::Settle | Change::Remove { .. } => self
                .detector
                .watched()
                .find(|&peer| self.membership.is_past(peer)),
            Change::Admit(_) | Change::Promote { .. } => None,
        };
        if let Some(to) = leaver {
            let view = self.membership.view.position;
            out.push(Output::Send {
                to,
                message: PeerMessage::Left { view },
            });
        }
        self.remember_own();
        if self.membership.is_past(self.me) {
            self.parting.out(now.time, self.membership.view.position);
        }
        let membership = &self.membership;
        self.joiners.keep(
            |id| membership.joiner(id).is_some(),
            |id| membership.view.member(id).is_some(),
        );
        self.watch(now);
        out.push(Output::Peers(self.peers()));
    }
}

fn broken(position: Position, found: Result<u8, FrameError>) -> Output {
    let why = match found {
        Ok(format) => format!("entry format {format}, this build reads {ENTRY_FORMAT}"),
        Err(error) => error.to_string(),
    };
    Output::Broken { position, why }
}
