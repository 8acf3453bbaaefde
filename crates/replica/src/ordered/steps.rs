//! Steps: how the total order changes the ordered state. Nothing else does.

use group::Membership;
use wire::log::{Change, Proposal, UpgradeRequest};
use wire::member::{Member, Seat, Standing};
use wire::{MemberId, OrderedTime, Position};

use super::activation::activation;
use super::happened::{Ended, Happened, Void};
use super::recovery::{Named, vacancy};
use super::seat::{Attempt, kept};
use super::turn::turn;
use super::upgrade::{Upgrade, UpgradeState, acceptance};
use super::{Ordered, history};

/// The place of a step, and the membership from there on.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    pub(super) at: Position,
    pub(super) time: OrderedTime,
    pub(super) membership: &'a Membership,
}

impl Ordered {
    /// Applies one proposal of the entry at `at`; `membership` is that after the entry.
    pub fn apply(
        &mut self,
        at: Position,
        time: OrderedTime,
        proposal: &Proposal,
        membership: &Membership,
    ) -> Vec<Happened> {
        let step = Step {
            at,
            time,
            membership,
        };
        let mut out = Vec::new();
        match proposal {
            // Requests and the layers' own messages are many, and none of our business.
            Proposal::Open { .. } | Proposal::Calls { .. } | Proposal::Layer { .. } => return out,
            Proposal::Leads { member } => {
                let members = history::members(&membership.view);
                self.history
                    .add(at, time, format!("{member} leads"), members);
            }
            Proposal::Standing { member, standing } => {
                self.stands(step, *member, *standing, &mut out)
            }
            Proposal::Transfer { .. } | Proposal::Ready { .. } => {}
            Proposal::Taken { seat, attempt, by } => {
                out.push(self.take(step, *seat, *attempt, *by));
            }
            Proposal::Passed {
                seat,
                attempt,
                reason,
            } => out.push(self.pass(step, *seat, *attempt, reason)),
            Proposal::Upgrade(request) => self.request(step, request, &mut out),
            Proposal::Specify(request) => self.specify(step, request, &mut out),
            Proposal::Activate { upgrade } => out.push(self.activate(step, *upgrade)),
        }
        self.settle(step, &mut out);
        out
    }

    /// Applies a change of membership that stands at `at`; `membership` is that after it.
    pub fn changed(
        &mut self,
        at: Position,
        time: OrderedTime,
        change: &Change,
        membership: &Membership,
    ) -> Vec<Happened> {
        let step = Step {
            at,
            time,
            membership,
        };
        let mut out = Vec::new();
        match change {
            Change::Admit(member) => {
                self.learn(member);
                let current = self.seat_mut(member.seat).and_then(|s| s.current.as_mut());
                if let Some(attempt) = current
                    && attempt.started(member.seat, member)
                    && attempt.joiner.is_none()
                {
                    attempt.joiner = Some(member.id);
                }
            }
            Change::Promote { joiner, replaces } => {
                self.promoted(step, *joiner, *replaces, &mut out)
            }
            Change::Settle => self.view(step, "the swap is complete".to_owned(), &mut out),
            Change::Remove { member, reason } => self.removed(step, *member, reason, &mut out),
        }
        self.settle(step, &mut out);
        out
    }

    fn view(&mut self, step: Step<'_>, what: String, out: &mut Vec<Happened>) {
        let members = history::members(&step.membership.view);
        self.history
            .add(step.at, step.time, what.clone(), members.clone());
        out.push(Happened::View { what, members });
    }

    fn stands(
        &mut self,
        step: Step<'_>,
        member: MemberId,
        standing: Standing,
        out: &mut Vec<Happened>,
    ) {
        // A standing that changed nothing is no view.
        if step.membership.view.position == step.at {
            let what = match standing {
                Standing::Serving => format!("{member} serves again"),
                Standing::Suspected => format!("{member} is suspected"),
            };
            self.view(step, what, out);
        }
    }

    /// `Taken` holds only if the ordered state names exactly this member, seat and attempt.
    fn take(&mut self, step: Step<'_>, seat: Seat, attempt: u32, by: MemberId) -> Happened {
        let is = |named: &Named| named.seat == seat && named.attempt == attempt && named.by == by;
        let vacancy = vacancy(self, step.membership).ok().map(|found| found.0);
        let turn = || turn(self, step.membership).ok().map(|found| found.0);
        let named = vacancy.filter(is).or_else(|| turn().filter(is));
        let Some((named, state)) = named.and_then(|named| Some((named, self.seat_mut(seat)?)))
        else {
            let why = Void::NotNamed { seat, attempt, by };
            return Happened::Void { why };
        };
        let attempt = Attempt {
            number: named.attempt,
            by: named.by,
            host: named.host,
            binary: named.binary,
            purpose: named.purpose,
            since: step.time,
            joiner: None,
        };
        state.attempts = attempt.number;
        state.current = Some(attempt.clone());
        Happened::Taken { seat, attempt }
    }

    fn pass(&mut self, step: Step<'_>, seat: Seat, attempt: u32, reason: &str) -> Happened {
        let current = self.seat(seat).and_then(|state| state.current());
        if current.is_none_or(|current| current.number != attempt) {
            let why = Void::NotCurrent { seat, attempt };
            return Happened::Void { why };
        }
        let reason = kept(reason);
        self.end(step, seat, Ended::Passed { reason })
            .expect("the attempt was just found to run")
    }

    fn request(&mut self, step: Step<'_>, request: &UpgradeRequest, out: &mut Vec<Happened>) {
        let token = request.token;
        let target = request.target.clone();
        let repeated = match acceptance(self, step.membership, request) {
            Ok(repeated) => repeated,
            Err(why) => return out.push(Happened::UpgradeRefused { token, why }),
        };
        let upgrade = repeated.unwrap_or(step.at);
        out.push(Happened::UpgradeAccepted {
            token,
            upgrade,
            target: target.clone(),
        });
        if repeated.is_some() {
            return;
        }
        self.seats.iter_mut().for_each(super::SeatState::forgive);
        // A way down, or back: see the module `upgrade`.
        let first = target.version < self.effective.version || target == self.effective;
        self.upgrade = Some(Upgrade {
            id: step.at,
            request: request.clone(),
            from: self.effective.clone(),
            activated: first.then_some(step.at),
            proven: false,
            started: step.time,
            ended: None,
            state: UpgradeState::Running,
        });
        let what = format!("upgrade {upgrade} to {target} begins");
        self.history.add(
            step.at,
            step.time,
            what,
            history::members(&step.membership.view),
        );
        if first && self.effective != target {
            self.effective = target.clone();
            let version = target.version;
            out.push(Happened::Activated { upgrade, version });
        }
    }

    fn activate(&mut self, step: Step<'_>, upgrade: Position) -> Happened {
        let found = activation(self, step.membership);
        let running = self
            .upgrade
            .as_mut()
            .filter(|running| running.id == upgrade);
        let (Ok(found), Some(running)) = (&found, running) else {
            let why = found.err().unwrap_or(super::NotActive::NoUpgrade);
            let why = Void::NotActivated { upgrade, why };
            return Happened::Void { why };
        };
        running.activated = Some(step.at);
        self.effective = running.request.target.clone();
        let version = found.version().clone();
        let what = format!("the group behaves as {version}");
        self.history.add(
            step.at,
            step.time,
            what,
            history::members(&step.membership.view),
        );
        Happened::Activated { upgrade, version }
    }

    fn promoted(
        &mut self,
        step: Step<'_>,
        joiner: MemberId,
        replaces: Option<MemberId>,
        out: &mut Vec<Happened>,
    ) {
        let Some(member) = step.membership.view.member(joiner) else {
            return;
        };
        self.excuse(member);
        self.occupy(member);
        if let Some(upgrade) = &mut self.upgrade
            && upgrade.runs()
            && member.binary == *upgrade.target()
        {
            upgrade.proven = true;
        }
        let what = match replaces {
            Some(old) => format!("{joiner} takes {} from {old}, which leaves", member.seat),
            None => format!("{joiner} takes {}", member.seat),
        };
        self.view(step, what, out);
    }

    /// A try that was passed while its promotion was under way has not failed after all: what
    /// becomes of its member counts once, as for any other.
    fn excuse(&mut self, member: &Member) {
        let upgrade = self.upgrade.as_ref();
        let counts =
            upgrade.is_some_and(|upgrade| upgrade.can_fail() && *upgrade.target() == member.binary);
        if let Some(state) = self.seat_mut(member.seat)
            && let Some(failure) = &state.failure
            && failure.attempt == member.attempt
            && counts
        {
            state.against = state.against.saturating_sub(1);
        }
    }

    fn removed(&mut self, step: Step<'_>, member: MemberId, reason: &str, out: &mut Vec<Happened>) {
        let reason = kept(reason);
        let target = self
            .upgrade
            .as_ref()
            .filter(|upgrade| upgrade.can_fail())
            .map(|upgrade| upgrade.target().clone());
        let lost = self.seats.iter_mut().find_map(|state| {
            let occupant = state
                .occupant
                .take_if(|occupant| occupant.member == member)?;
            if Some(occupant.binary) == target {
                state.against += 1;
            }
            Some(())
        });
        let what = match lost {
            Some(()) => format!("{member} is out: {reason}"),
            // A joiner is in no view; what becomes of its attempt is said when that ends.
            None if step.membership.view.position != step.at => return,
            None => format!("{member} is out of its seat: {reason}"),
        };
        self.view(step, what, out);
    }
}
