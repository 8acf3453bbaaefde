//! The judges. Each has a file and an opinion of its own; none asks the code under test whether it
//! is right. The first sentence that any of them says ends the run.

pub(crate) mod availability;
pub(crate) mod incarnations;
pub(crate) mod linearizable;
pub(crate) mod memory;
pub(crate) mod order;
pub(crate) mod replies;
pub(crate) mod transfer;
pub(crate) mod upgrade;
pub(crate) mod views;

use std::collections::BTreeSet;

use client::{CallError, Reply, Request};
use group::Membership;
use replica::ordered::Ordered;
use replica::{Execute, Work};
use wire::{MemberId, Position, SessionId};

use crate::plan::Plan;
use crate::world::Installation;

/// What a checker says: nothing, or what does not hold.
pub(crate) type Opinion = Result<(), String>;

/// What was found, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which checker.
    pub checker: &'static str,
    /// What does not hold.
    pub what: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.checker, self.what)
    }
}

pub(crate) struct Checkers {
    pub(crate) views: views::Views,
    pub(crate) order: order::Order,
    pub(crate) transfer: transfer::Transfers,
    pub(crate) replies: replies::Replies,
    pub(crate) availability: availability::Availability,
    pub(crate) incarnations: incarnations::Incarnations,
    pub(crate) upgrade: upgrade::Upgrades,
    pub(crate) memory: memory::Memory,
    fault: Option<Fault>,
}

impl Checkers {
    pub(crate) fn new(plan: &Plan, installation: &Installation) -> Checkers {
        Checkers {
            views: views::Views::default(),
            order: order::Order::default(),
            transfer: transfer::Transfers::default(),
            replies: replies::Replies::new((installation.workload)()),
            availability: availability::Availability::default(),
            incarnations: incarnations::Incarnations::default(),
            upgrade: upgrade::Upgrades::new(plan, installation),
            memory: memory::Memory::default(),
            fault: None,
        }
    }

    pub(crate) fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// A machine of ours, or the world, has come to where it must never be.
    pub(crate) fn fail(&mut self, what: String) {
        self.says("world", Err(what));
    }

    pub(crate) fn says(&mut self, checker: &'static str, opinion: Opinion) {
        if let Err(what) = opinion {
            self.fault.get_or_insert(Fault { checker, what });
        }
    }

    /// A member begins with the state of this position.
    pub(crate) fn begins(
        &mut self,
        member: MemberId,
        position: Position,
        edition: usize,
        executor: &dyn Execute,
        installation: &Installation,
    ) {
        self.order.begins(member, position);
        self.sees_state(member, edition, executor, installation);
    }

    /// What a member's service holds at its position.
    pub(crate) fn sees_state(
        &mut self,
        member: MemberId,
        edition: usize,
        executor: &dyn Execute,
        installation: &Installation,
    ) {
        let opinion = self.transfer.sees(member, edition, executor, installation);
        self.says("transfer", opinion);
    }

    pub(crate) fn delivered(&mut self, member: MemberId, work: &Work) {
        let opinion = self.order.delivered(member, work);
        self.says("order", opinion);
    }

    /// A member's ordered state after a change.
    pub(crate) fn looks(
        &mut self,
        now: u64,
        member: MemberId,
        ordered: &Ordered,
        membership: &Membership,
        living: &BTreeSet<MemberId>,
    ) {
        let opinion = self.views.installed(member, ordered, membership, living);
        self.says("views", opinion);
        let opinion = self.order.has_begun(membership);
        self.says("transfer", opinion);
        let opinion = self.availability.looks(ordered, membership);
        self.says("availability", opinion);
        let opinion = self.upgrade.looks(now, ordered, membership);
        self.says("upgrade", opinion);
    }

    pub(crate) fn asked(&mut self, now: u64, session: SessionId, request: &Request) -> usize {
        let floor = self.order.furthest();
        self.replies.asked(now, floor, session, request)
    }

    pub(crate) fn answered(&mut self, now: u64, entry: usize, reply: &Reply) {
        let opinion = self.replies.answered(now, entry, reply);
        self.says("replies", opinion);
    }

    pub(crate) fn failed(&mut self, entry: usize, error: &CallError) {
        let opinion = self.replies.failed(entry, error);
        self.says("replies", opinion);
    }

    /// Everything was delivered, answered and shown: do all replies and states fit one history?
    pub(crate) fn judge(&mut self, installation: &Installation) {
        let opinion = self
            .replies
            .judge(&self.order, &self.transfer, installation);
        match opinion {
            Ok(()) => {}
            Err(Fault { checker, what }) => self.says(checker, Err(what)),
        }
        let opinion = self.replies.judge_outside();
        self.says("linearizable", opinion);
    }
}
