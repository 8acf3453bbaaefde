//! A group's life in one value: the membership changed as group communication changes it, and the
//! duties that the ordered state names, carried out one by one.
//!
//! Every step runs the invariants, of the state and of the step.

use std::fmt;

use group::{Joiner, Membership, Survived, Transfer};
use wire::daemon::Foundation;
use wire::log::{Change, Proposal, UpgradeRequest};
use wire::member::{Binary, Member, Seat, Standing};
use wire::peer::Join;
use wire::{MemberId, OrderedTime, Position};

use super::situation::member;
use crate::ordered::{
    Happened, NoDonor, NotYet, Ordered, Surplus, activation, admission, broken_by_step,
    broken_in_state, intruders, promotion, surplus, transfers, turn, vacancy,
};

/// Something that is put into the total order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Act {
    Propose(Proposal),
    Change(Change),
}

/// A group and what has happened in it.
#[derive(Clone)]
pub(super) struct World {
    pub(super) ordered: Ordered,
    pub(super) membership: Membership,
    pub(super) happened: Vec<Happened>,
    /// What was done, for a test that fails.
    pub(super) acts: Vec<Act>,
    position: u64,
}

impl World {
    /// A group of one, founded with version 1.
    pub(super) fn found(foundation: Foundation, binary: Binary) -> World {
        let founder = member(1, binary.clone(), 0, "h0");
        let membership = Membership::found("group".to_owned(), "service".to_owned(), 1, founder);
        let ordered = Ordered::found(foundation, binary, &membership, OrderedTime(0));
        let mut world = World {
            ordered,
            membership,
            happened: Vec::new(),
            acts: Vec::new(),
            position: 1,
        };
        world.run(Act::Propose(Proposal::Leads {
            member: super::situation::id(1),
        }));
        world
    }

    /// The same, grown to its initial number.
    pub(super) fn grown(foundation: Foundation, binary: Binary) -> World {
        let mut world = World::found(foundation, binary);
        world.rest();
        world
    }

    pub(super) fn request(&mut self, request: UpgradeRequest) {
        self.run(Act::Propose(Proposal::Upgrade(request)));
    }

    /// Carries out duties until none is left.
    pub(super) fn rest(&mut self) {
        for _ in 0..500 {
            let Some(duty) = self.duties().into_iter().next() else {
                return;
            };
            self.run(duty);
        }
        panic!("the group does not come to rest: {self:?}");
    }

    /// One place in the total order; the invariants are checked around it.
    pub(super) fn run(&mut self, act: Act) {
        let before = (self.ordered.clone(), self.membership.clone());
        self.acts.push(act.clone());
        self.position += 1;
        let (at, time) = (Position(self.position), OrderedTime(self.position * 1_000));
        let happened = match &act {
            Act::Propose(proposal) => {
                order(&mut self.membership, at, proposal);
                self.ordered.apply(at, time, proposal, &self.membership)
            }
            Act::Change(change) => {
                change_membership(&mut self.membership, at, change);
                self.ordered.changed(at, time, change, &self.membership)
            }
        };
        self.happened.extend(happened);
        self.check(&before);
    }

    /// All others are certainly dead, or left behind.
    pub(super) fn survive(&mut self, survivor: MemberId) {
        let before = (self.ordered.clone(), self.membership.clone());
        self.position += 1;
        let (at, time) = (Position(self.position), OrderedTime(self.position * 1_000));
        let everybody = self.membership.everybody();
        let without = everybody
            .map(|member| member.id)
            .filter(|&member| member != survivor)
            .map(|member| (member, "its process ended".to_owned()))
            .collect();
        let membership = &mut self.membership;
        membership.incarnation += 1;
        membership.leader = None;
        membership.joiners.clear();
        membership.configuration.voters = vec![survivor];
        membership.configuration.outgoing.clear();
        membership.configuration.learners.clear();
        membership.view.position = at;
        membership.view.leaving = None;
        membership
            .view
            .members
            .retain(|member| member.id == survivor);
        for member in &mut membership.view.members {
            member.standing = Standing::Serving;
        }
        let survived = Survived { without };
        let happened = self.ordered.survived(at, time, &survived, &self.membership);
        self.happened.extend(happened);
        self.check(&before);
    }

    fn check(&self, (ordered, membership): &(Ordered, Membership)) {
        let mut broken = broken_in_state(&self.ordered, &self.membership);
        broken.extend(broken_by_step(
            (ordered, membership),
            (&self.ordered, &self.membership),
        ));
        assert!(broken.is_empty(), "{broken:?} after {self:?}");
    }

    /// What the ordered state wants done now, by whom ever; empty when the group rests.
    pub(super) fn duties(&self) -> Vec<Act> {
        let (ordered, membership) = (&self.ordered, &self.membership);
        let mut duties = Vec::new();
        if let Some(leader) = self.heir() {
            duties.push(Act::Propose(Proposal::Leads { member: leader }));
        }
        if membership.view.leaving.is_some() {
            duties.push(Act::Change(Change::Settle));
        } else {
            let intruders = intruders(ordered, membership).into_iter();
            duties.extend(
                intruders.map(|(member, reason)| Act::Change(Change::Remove { member, reason })),
            );
            duties.extend(promotion(ordered, membership).map(|found| Act::Change(found.change())));
            duties.extend(surplus(ordered, membership).map(|surplus| match surplus {
                Surplus::Goes { member, reason } => Act::Change(Change::Remove { member, reason }),
                Surplus::HandsOver { to, .. } => Act::Propose(Proposal::Leads { member: to }),
            }));
            duties.extend(self.arrivals());
        }
        let transfers = transfers(ordered, membership).into_iter().flatten();
        duties.extend(transfers.map(|due| Act::Propose(due.proposal())));
        duties.extend(self.caught_up());
        duties.extend(self.stranded());
        duties.extend(vacancy(ordered, membership).map(|found| Act::Propose(found.proposal())));
        duties.extend(turn(ordered, membership).map(|found| Act::Propose(found.proposal())));
        duties.extend(activation(ordered, membership).map(|found| Act::Propose(found.proposal())));
        if let Err(NotYet::HandOver { to, .. }) = turn(ordered, membership) {
            duties.push(Act::Propose(Proposal::Leads { member: to }));
        }
        duties
    }

    /// Who leads next, if nobody does or a suspected or leaving member still would.
    fn heir(&self) -> Option<MemberId> {
        let view = &self.membership.view;
        let led = self
            .membership
            .leader
            .is_some_and(|leader| view.serves(leader));
        (!led).then(|| view.serving().next().map(|member| member.id))?
    }

    /// Replicas that were asked for, asking for admission: let in, or given up if refused for good.
    fn arrivals(&self) -> Vec<Act> {
        let attempts = self.ordered.attempts();
        attempts
            .filter(|(_, attempt)| attempt.joiner.is_none())
            .filter_map(|(seat, attempt)| {
                let host = &self.ordered.host(attempt.host).name;
                let joiner = Member {
                    attempt: attempt.number,
                    ..member(
                        self.membership.next_member,
                        attempt.binary.clone(),
                        seat.0,
                        host,
                    )
                };
                match admission(&self.ordered, &self.membership, &join(&joiner)) {
                    Ok(_) => Some(Act::Change(Change::Admit(joiner))),
                    Err(why) if why.may_change() => None,
                    Err(why) => Some(Act::Propose(Proposal::Passed {
                        seat,
                        attempt: attempt.number,
                        reason: why.to_string(),
                    })),
                }
            })
            .collect()
    }

    /// Joiners that nobody can give the state by now: the leader's patience ends.
    fn stranded(&self) -> Vec<Act> {
        let due = transfers(&self.ordered, &self.membership).into_iter();
        let stranded = due.filter_map(|due| match due {
            Err(NoDonor::Formats { joiner, .. }) => self.membership.joiner(joiner),
            Ok(_) | Err(NoDonor::NobodyServes { .. } | NoDonor::Busy { .. }) => None,
        });
        stranded
            .map(|joiner| passed(joiner.member.seat, joiner.member.attempt))
            .collect()
    }

    fn caught_up(&self) -> Vec<Act> {
        let joiners = self.membership.joiners.iter();
        joiners
            .filter(|joiner| !joiner.ready)
            .filter_map(|joiner| {
                Some(Act::Propose(Proposal::Ready {
                    joiner: joiner.member.id,
                    position: joiner.transfer?.position,
                }))
            })
            .collect()
    }

    // Faults. Each is possible only where the group keeps a majority that serves.

    /// All that could go wrong now.
    pub(super) fn faults(&self) -> Vec<Act> {
        let view = &self.membership.view;
        let mut faults = Vec::new();
        for member in &view.members {
            let id = member.id;
            let others = view.serving().filter(|other| other.id != id).count();
            let bearable = others > view.members.len() / 2;
            let settled = view.leaving.is_none();
            if settled && (bearable || !view.serves(id) && others > 0) {
                faults.push(self.crash(id));
            }
            match member.standing {
                Standing::Serving if bearable => faults.push(stands(id, Standing::Suspected)),
                Standing::Serving => {}
                Standing::Suspected => faults.push(stands(id, Standing::Serving)),
            }
            if view.serves(id) && self.membership.leader != Some(id) {
                faults.push(Act::Propose(Proposal::Leads { member: id }));
            }
        }
        // With the only member that serves stopped for good, its successor is the group.
        let spared = self.ordered.able(&self.membership).next().is_none();
        if view.leaving.is_none() && !spared {
            let joiners = self.membership.joiners.iter();
            faults.extend(joiners.map(|joiner| self.crash(joiner.member.id)));
        }
        for (seat, attempt) in self.ordered.attempts() {
            let ready = attempt
                .joiner
                .and_then(|joiner| self.membership.joiner(joiner))
                .is_some_and(|joiner| joiner.ready);
            if !ready {
                faults.push(passed(seat, attempt.number));
            }
        }
        faults
    }

    fn crash(&self, member: MemberId) -> Act {
        Act::Change(Change::Remove {
            member,
            reason: "its process ended".to_owned(),
        })
    }

    // What tests ask.

    /// The view as a string: `4v2 5v2*`, by seniority.
    pub(super) fn view(&self) -> String {
        let view = &self.membership.view;
        let token = |member: &Member| {
            let leads = self.membership.leader == Some(member.id);
            let leads = if leads { "*" } else { "" };
            let version = member.binary.version.0.major;
            format!("{}v{version}{leads}", member.id.number())
        };
        let tokens: Vec<String> = view.members.iter().map(token).collect();
        tokens.join(" ")
    }

    /// Members whose votes were taken by another, in this order.
    pub(super) fn swaps(&self) -> Vec<u64> {
        let replaced = self.acts.iter().filter_map(|act| match act {
            Act::Change(Change::Promote { replaces, .. }) => *replaces,
            Act::Change(Change::Admit(_) | Change::Settle | Change::Remove { .. })
            | Act::Propose(_) => None,
        });
        replaced.map(MemberId::number).collect()
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} | {:?}", self.view(), self.membership.joiners)?;
        writeln!(f, "{:?}", self.ordered.upgrade())?;
        writeln!(f, "{:?}", self.ordered.attempts().collect::<Vec<_>>())?;
        self.acts
            .iter()
            .try_for_each(|act| writeln!(f, "  {act:?}"))
    }
}

pub(super) fn stands(member: MemberId, standing: Standing) -> Act {
    Act::Propose(Proposal::Standing { member, standing })
}

pub(super) fn passed(seat: Seat, attempt: u32) -> Act {
    Act::Propose(Proposal::Passed {
        seat,
        attempt,
        reason: "it did not start".to_owned(),
    })
}

fn join(joiner: &Member) -> Join {
    Join {
        host: joiner.host.clone(),
        address: joiner.address,
        binary: joiner.binary.clone(),
        service: "service".to_owned(),
        formats: joiner.formats.clone(),
        seat: joiner.seat,
        attempt: joiner.attempt,
        process: 4711,
    }
}

/// What group communication makes of a proposal.
fn order(membership: &mut Membership, at: Position, proposal: &Proposal) {
    match proposal {
        Proposal::Leads { member } => membership.leader = Some(*member),
        Proposal::Standing { member, standing } => {
            let members = membership.view.members.iter_mut();
            for found in members.filter(|found| found.id == *member) {
                if found.standing != *standing {
                    found.standing = *standing;
                    membership.view.position = at;
                }
            }
        }
        Proposal::Transfer { joiner, donor } => {
            let transfer = Transfer {
                position: at,
                donor: *donor,
            };
            for found in joiners(membership, *joiner) {
                found.transfer = Some(transfer);
                found.ready = false;
            }
        }
        Proposal::Ready { joiner, position } => {
            for found in joiners(membership, *joiner) {
                let has = |transfer: Transfer| transfer.position == *position;
                found.ready |= found.transfer.is_some_and(has);
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

fn joiners(membership: &mut Membership, id: MemberId) -> impl Iterator<Item = &mut Joiner> {
    membership
        .joiners
        .iter_mut()
        .filter(move |joiner| joiner.member.id == id)
}

/// What group communication makes of a change.
fn change_membership(membership: &mut Membership, at: Position, change: &Change) {
    match change {
        Change::Admit(member) => {
            membership.next_member = member.id.number() + 1;
            membership.joiners.push(Joiner {
                member: member.clone(),
                transfer: None,
                ready: false,
            });
        }
        Change::Promote { joiner, replaces } => {
            let joiners = membership.joiners.iter();
            if let Some(place) = joiners.clone().position(|other| other.member.id == *joiner) {
                let joiner = membership.joiners.remove(place);
                membership.view.members.push(joiner.member);
            }
            membership.view.leaving = *replaces;
            membership.view.position = at;
        }
        Change::Settle => {
            if let Some(leaver) = membership.view.leaving.take() {
                membership.view.members.retain(|member| member.id != leaver);
            }
            membership.view.position = at;
        }
        Change::Remove { member, .. } => {
            membership
                .joiners
                .retain(|joiner| joiner.member.id != *member);
            if membership.view.member(*member).is_some() {
                membership.view.members.retain(|other| other.id != *member);
                membership.view.position = at;
            }
        }
    }
    let leads = |leader| membership.view.member(leader).is_some();
    membership.leader = membership.leader.filter(|&leader| leads(leader));
}
