//! Endings: what is over once a step was taken, computed from the state alone after every step.
//!
//! Attempts end when their replica is a member or is out, when nobody would ask for it any more, or
//! when it is not needed. The upgrade ends when all is at the target, or when a seat was tried too
//! often.

use group::Membership;
use wire::member::Seat;

use super::happened::{Ended, Happened};
use super::seat::{Purpose, kept};
use super::steps::Step;
use super::upgrade::{NO_WAY_BACK, UpgradeState, complete, too_often};
use super::{Ordered, history};

impl Ordered {
    /// Ends what the state shows to be over. Computed from the state alone, after every step.
    pub(super) fn settle(&mut self, step: Step<'_>, out: &mut Vec<Happened>) {
        let seats: Vec<Seat> = self.attempts().map(|(seat, _)| seat).collect();
        for seat in seats {
            if let Some(how) = self.over(step.membership, seat) {
                out.extend(self.end(step, seat, how));
            }
        }
        if let Some(reason) = too_often(self) {
            self.give_up(step, reason, out);
        }
        if complete(self, step.membership)
            && let Some(upgrade) = &mut self.upgrade
        {
            upgrade.state = UpgradeState::Done;
            upgrade.ended = Some(step.time);
            self.home = upgrade.request.target.clone();
            let upgrade = upgrade.id;
            self.seats.iter_mut().for_each(super::SeatState::forgive);
            let what = format!("upgrade {upgrade} is done");
            self.history.add(
                step.at,
                step.time,
                what,
                history::members(&step.membership.view),
            );
            out.push(Happened::UpgradeDone { upgrade });
        }
    }

    /// Whether the current attempt for a seat is over, and how.
    fn over(&self, membership: &Membership, seat: Seat) -> Option<Ended> {
        let attempt = self.seat(seat)?.current()?;
        if let Some(joiner) = attempt.joiner {
            if membership.view.member(joiner).is_some() {
                return Some(Ended::Promoted { member: joiner });
            }
            if membership.joiner(joiner).is_none() {
                return Some(Ended::Lost { joiner });
            }
        } else if !membership.view.serves(attempt.by) {
            return Some(Ended::HolderGone);
        }
        if !self.wants(seat) {
            return Some(Ended::NotWanted);
        }
        let mut occupants = self.able(membership).filter(|member| member.seat == seat);
        let needed = match attempt.purpose {
            Purpose::Recovery => occupants.next().is_none(),
            Purpose::Upgrade => occupants.all(|member| member.binary != attempt.binary),
        };
        (!needed).then_some(Ended::NotNeeded)
    }

    /// Ends the current attempt for a seat; what failed is counted.
    pub(super) fn end(&mut self, step: Step<'_>, seat: Seat, how: Ended) -> Option<Happened> {
        let target = self.upgrade.as_ref().filter(|upgrade| upgrade.can_fail());
        let target = target.map(|upgrade| upgrade.target().clone());
        let state = self.seat_mut(seat)?;
        let attempt = state.current.take()?;
        let failed = match &how {
            Ended::Passed { reason } => Some(reason.clone()),
            Ended::Lost { .. } => Some(how.to_string()),
            Ended::Promoted { .. }
            | Ended::LeftBehind { .. }
            | Ended::HolderGone
            | Ended::NotNeeded
            | Ended::NotWanted
            | Ended::UpgradeOver => None,
        };
        if let Some(reason) = failed {
            state.fail(step.time, attempt.number, reason);
            if Some(&attempt.binary) == target.as_ref() {
                state.against += 1;
            }
        }
        Some(Happened::Ended {
            seat,
            attempt: attempt.number,
            by: attempt.by,
            how,
        })
    }

    fn give_up(&mut self, step: Step<'_>, reason: String, out: &mut Vec<Happened>) {
        let confirmed_nowhere = self.way_back_closed(step.membership);
        let Some(upgrade) = &mut self.upgrade else {
            return;
        };
        let mut reason = kept(&reason);
        if confirmed_nowhere {
            reason.push_str("; ");
            reason.push_str(NO_WAY_BACK);
        }
        upgrade.ended = Some(step.time);
        upgrade.state = UpgradeState::Failed {
            reason: reason.clone(),
        };
        let (id, target) = (upgrade.id, upgrade.target().clone());
        let fenced: Vec<Seat> = self
            .attempts()
            .filter(|(_, attempt)| attempt.is_turn() || attempt.binary == target)
            .map(|(seat, _)| seat)
            .collect();
        for seat in fenced {
            out.extend(self.end(step, seat, Ended::UpgradeOver));
        }
        self.seats.iter_mut().for_each(super::SeatState::forgive);
        let what = format!("upgrade {id} failed: {reason}");
        self.history.add(
            step.at,
            step.time,
            what,
            history::members(&step.membership.view),
        );
        out.push(Happened::UpgradeFailed {
            upgrade: id,
            reason,
        });
    }
}
