//! A life: the group and the processes around it, and who may act next.

use std::collections::BTreeSet;
use std::fmt;

use replica::ordered::{NotYet, admission};
use wire::MemberId;
use wire::member::Standing;

use super::act::{Act, Exchange, Post, Process};
use super::group::join;
use super::setup::{Defect, Misfortune};
use super::{Known, Ordered, misfortunes};
use crate::search::Next;

/// One state of the search.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Life {
    /// The group's value, by its number.
    pub(super) group: u32,
    /// Proposals without a place in the order.
    pub(super) flying: BTreeSet<Post>,
    /// The one change of membership without a place.
    pub(super) change: Option<Exchange>,
    /// What holders of attempts have asked daemons for, or will once they have applied so much.
    pub(super) asked: BTreeSet<(Process, MemberId)>,
    /// Processes that run and want to be admitted.
    pub(super) running: BTreeSet<Process>,
    /// Processes that are dead and still in the group, or about to be; and whether a daemon tells.
    pub(super) dead: BTreeSet<(Process, bool)>,
    /// The host whose daemon is dead.
    pub(super) down: Option<u32>,
    /// What may still go wrong.
    pub(super) left: Misfortune,
}

/// What leads from one life to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A member proposes.
    Proposed(Act),
    /// It takes its place in the order.
    Ordered(Act),
    /// The same, and it will come again.
    OrderedOnce(Act),
    /// A daemon starts a process.
    Started(Process),
    /// A start comes to nothing.
    Lost(Process),
    /// A process is refused for good and ends.
    Refused(Process),
    /// A process dies, and its daemon tells.
    ProcessDies(Process),
    /// A daemon dies.
    DaemonDies(u32),
    /// A host dies with all that runs on it, and nobody tells.
    HostDies(u32),
    /// Another member leads though the leader lives.
    Deposed(MemberId),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Proposed(act) => write!(f, "proposed: {act}"),
            Event::Ordered(act) => write!(f, "ordered: {act}"),
            Event::OrderedOnce(act) => write!(f, "ordered, and comes again: {act}"),
            Event::Started(process) => write!(f, "started: {process}"),
            Event::Lost(process) => write!(f, "not started: {process}"),
            Event::Refused(process) => write!(f, "refused, and ends: {process}"),
            Event::ProcessDies(process) => write!(f, "dies: {process}"),
            Event::DaemonDies(host) => write!(f, "dies: the daemon of h{host}"),
            Event::HostDies(host) => write!(f, "dies: host h{host}, silently"),
            Event::Deposed(heir) => write!(f, "deposed: the leader, by {heir}"),
        }
    }
}

/// All that can happen next.
pub(super) fn steps(model: &Ordered, life: &Life) -> Vec<Next<Ordered>> {
    let known = model.known(life.group);
    let mut around = Around {
        model,
        life,
        known: &known,
        next: Vec::new(),
    };
    around.order();
    around.elect();
    around.members_act();
    around.leader_acts();
    around.daemons_act();
    misfortunes::befall(&mut around);
    around.next
}

/// A life with its group at hand, and what was found to follow.
pub(super) struct Around<'a> {
    pub(super) model: &'a Ordered,
    pub(super) life: &'a Life,
    pub(super) known: &'a Known,
    next: Vec<Next<Ordered>>,
}

impl Around<'_> {
    pub(super) fn push(&mut self, due: bool, step: Event, state: Life) {
        self.next.push(Next { step, due, state });
    }

    pub(super) fn has(&self, defect: Defect) -> bool {
        self.model.setup.defect == Some(defect)
    }

    pub(super) fn dead(&self, process: &Process) -> bool {
        self.life.dead.iter().any(|(dead, _)| dead == process)
    }

    /// Whether this member or joiner is in the group and its process lives.
    pub(super) fn lives(&self, id: MemberId) -> bool {
        let process = self.known.group.process(id);
        process.is_some_and(|process| !self.dead(&process))
    }

    /// The leader of record, if it lives.
    pub(super) fn leader(&self) -> Option<MemberId> {
        let leader = self.known.group.membership.leader;
        leader.filter(|&leader| self.lives(leader))
    }

    /// Members that live and can be elected.
    pub(super) fn heirs(&self) -> Vec<MemberId> {
        let serving = self.known.group.membership.view.serving();
        serving
            .map(|member| member.id)
            .filter(|&member| self.lives(member))
            .collect()
    }

    /// Whatever flies may be next.
    fn order(&mut self) {
        for &post in &self.life.flying {
            let act = Act::Propose(post);
            let mut life = self.ordered(act);
            if self.life.left.repeats > 0 {
                let mut again = life.clone();
                again.left.repeats -= 1;
                again.flying.insert(post);
                self.push(false, Event::OrderedOnce(act), again);
            }
            life.flying.remove(&post);
            self.push(true, Event::Ordered(act), life);
        }
        if let Some(change) = self.life.change {
            let act = Act::Change(change);
            let mut life = self.ordered(act);
            life.change = None;
            match change {
                Exchange::Admit(process) => {
                    life.running.remove(&process);
                }
                Exchange::Promote(..) | Exchange::Settle | Exchange::Remove(_) => {}
            }
            self.bury(&mut life);
            self.push(true, Event::Ordered(act), life);
        }
    }

    /// The life after an act has taken its place.
    pub(super) fn ordered(&self, act: Act) -> Life {
        let became = self.model.becomes(self.life.group, act);
        let mut life = Life {
            group: became.group,
            ..self.life.clone()
        };
        if let Some((process, by)) = became.asks
            && self.lives(by)
        {
            life.asked.insert((process, by));
        }
        life
    }

    /// The dead who are in no list of the group any more are forgotten.
    pub(super) fn bury(&self, life: &mut Life) {
        let group = &self.model.known(life.group).group;
        let admits = life.change;
        life.dead.retain(|(process, _)| {
            admits == Some(Exchange::Admit(*process))
                || group.processes.iter().any(|(_, other)| other == process)
        });
    }

    /// A leader that is dead, out or leaving is followed by any that serves.
    fn elect(&mut self) {
        let leaving = self.known.group.membership.view.leaving;
        if self.leader().is_some_and(|leader| leaving != Some(leader)) {
            return;
        }
        for heir in self.heirs() {
            self.hand_over(heir);
        }
    }

    fn hand_over(&mut self, to: MemberId) {
        let act = Act::Propose(Post::Leads(to));
        let life = self.ordered(act);
        self.push(true, Event::Ordered(act), life);
    }

    /// Proposes, unless the same flies already.
    pub(super) fn propose(&mut self, due: bool, post: Post, change: impl FnOnce(&mut Life)) {
        if self.life.flying.contains(&post) {
            return;
        }
        let mut life = self.life.clone();
        life.flying.insert(post);
        change(&mut life);
        self.push(due, Event::Proposed(Act::Propose(post)), life);
    }

    fn post(&mut self, post: Post) {
        self.propose(true, post, |_| {});
    }

    fn exchange(&mut self, change: Exchange) {
        let life = Life {
            change: Some(change),
            ..self.life.clone()
        };
        self.push(true, Event::Proposed(Act::Change(change)), life);
    }

    /// Who is named takes its attempt.
    fn members_act(&mut self) {
        let decisions = &self.known.decisions;
        let vacancy = decisions.vacancy.as_ref().ok();
        let turn = decisions.turn.as_ref().ok();
        let named = [
            vacancy.map(|found| (found.seat(), found.attempt(), found.by())),
            turn.map(|found| (found.seat(), found.attempt(), found.by())),
        ];
        for (seat, attempt, by) in named.into_iter().flatten() {
            if self.lives(by) {
                self.post(Post::Taken(seat, attempt, by));
            }
        }
    }

    fn leader_acts(&mut self) {
        let Some(leader) = self.leader() else {
            return;
        };
        let (known, membership) = (self.known, &self.known.group.membership);
        for &(joiner, donor) in &known.decisions.transfers {
            self.post(Post::Transfer(joiner, donor));
        }
        for joiner in membership.joiners.iter().filter(|joiner| !joiner.ready) {
            let id = joiner.member.id;
            let donor = joiner.transfer.map(|transfer| transfer.donor);
            if donor.is_some_and(|donor| self.lives(donor)) && self.lives(id) {
                self.post(Post::Ready(id));
            }
        }
        self.loses_patience();
        if known.decisions.activation.is_ok() {
            self.post(Post::Activate);
        }
        for member in &membership.view.members {
            let process = known.group.process(member.id);
            let silent = process.is_some_and(|it| self.life.dead.contains(&(it, false)));
            if silent && member.standing == Standing::Serving {
                self.post(Post::Stands(member.id, false));
            }
            if member.id == leader && member.standing == Standing::Suspected {
                self.post(Post::Stands(leader, true));
            }
        }
        if let Err(NotYet::HandOver { to, .. }) = known.decisions.turn
            && self.lives(to)
        {
            self.hand_over(to);
        }
        if self.life.change.is_none() {
            self.leader_changes(leader);
        }
    }

    /// One change of membership at a time.
    fn leader_changes(&mut self, leader: MemberId) {
        let membership = &self.known.group.membership;
        if let Some(leaving) = membership.view.leaving {
            if leaving != leader {
                self.exchange(Exchange::Settle);
            }
            return;
        }
        let decisions = &self.known.decisions;
        if !self.has(Defect::DeadStay) {
            for &(id, process) in &self.known.group.processes {
                if self.life.dead.contains(&(process, true)) {
                    self.exchange(Exchange::Remove(id));
                }
            }
        }
        let intruder = decisions.intruders.first();
        let intruder = intruder.filter(|_| !self.has(Defect::IntrudersStay));
        if let Some(&intruder) = intruder {
            self.exchange(Exchange::Remove(intruder));
        } else if let Ok(found) = &decisions.promotion {
            self.exchange(Exchange::Promote(found.joiner(), found.replaces()));
        } else if self.has(Defect::LastOldReleased) {
            self.release_the_last_old();
        }
        for process in &self.life.running {
            let admitted = admission(&self.known.group.ordered, membership, &join(*process));
            if admitted.is_ok() {
                self.exchange(Exchange::Admit(*process));
            }
        }
    }

    /// As [`Defect::LastOldReleased`] has it.
    fn release_the_last_old(&mut self) {
        let membership = &self.known.group.membership;
        for joiner in membership.joiners.iter().filter(|joiner| joiner.ready) {
            let mut view = membership.view.members.iter();
            let old = view.find(|member| member.seat == joiner.member.seat);
            let old = old.map(|member| member.id);
            self.exchange(Exchange::Promote(joiner.member.id, old));
        }
    }

    /// Ends attempts behind which nothing is, or nothing that moves.
    fn loses_patience(&mut self) {
        if self.has(Defect::NoPatience) {
            return;
        }
        let group = &self.known.group;
        for (seat, attempt) in group.ordered.attempts() {
            let number = attempt.number;
            let is = |process: &Process| process.seat == seat && process.attempt == number;
            let moves = match attempt.joiner {
                Some(joiner) => {
                    let ready = group.membership.joiner(joiner).is_some_and(|j| j.ready);
                    let stranded = self.known.decisions.stranded.contains(&joiner);
                    ready || self.lives(joiner) && !stranded
                }
                None => {
                    let admitted = match self.life.change {
                        Some(Exchange::Admit(process)) => is(&process),
                        Some(Exchange::Promote(..) | Exchange::Settle | Exchange::Remove(_))
                        | None => false,
                    };
                    admitted
                        || self.life.running.iter().any(is)
                        || self.life.asked.iter().any(|(process, _)| is(process))
                }
            };
            if !moves {
                self.post(Post::Passed(seat, number));
            }
        }
    }

    /// Daemons start what they were asked for; a process that is refused for good ends.
    fn daemons_act(&mut self) {
        for asked in &self.life.asked {
            let mut life = self.life.clone();
            life.asked.remove(asked);
            let (process, _) = *asked;
            if self.life.down == Some(process.host) {
                self.push(true, Event::Lost(process), life);
            } else {
                life.running.insert(process);
                self.push(true, Event::Started(process), life);
            }
        }
        if self.leader().is_none() {
            return;
        }
        for process in &self.life.running {
            let group = &self.known.group;
            let refused = admission(&group.ordered, &group.membership, &join(*process));
            if refused.is_err_and(|why| !why.may_change()) {
                let mut life = self.life.clone();
                life.running.remove(process);
                if life.change == Some(Exchange::Admit(*process)) {
                    life.dead.insert((*process, true));
                }
                self.push(true, Event::Refused(*process), life);
            }
        }
    }
}
