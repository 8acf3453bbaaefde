//! Figure 1: in which state of the upgrade algorithm a member is, read off the ordered state.
//!
//! `processing` is not among them: it is a matter of one request, not of the order. Nothing is
//! remembered, so a member that lost every notice is in the right state all the same
//! (self-stabilising, Abstract).

use group::Membership;
use wire::MemberId;
use wire::member::Standing;

use super::Ordered;

/// A replica's state in Figure 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FigureState {
    /// init: it is admitted and catches up.
    Init,
    /// idle: a member, not triggered.
    Idle,
    /// idle_upgrade: triggered, it awaits its turn.
    IdleUpgrade,
    /// upgrading: its turn runs.
    Upgrading {
        /// The attempt to start its successor.
        attempt: u32,
    },
    /// Its successor has taken its vote; it leaves (`leave_group`).
    Leaving,
    /// terminated: it is not in the group.
    Terminated,
}

/// The state of one member.
pub fn state(ordered: &Ordered, membership: &Membership, me: MemberId) -> FigureState {
    if membership.joiner(me).is_some() {
        return FigureState::Init;
    }
    let Some(member) = membership.view.member(me) else {
        return FigureState::Terminated;
    };
    if membership.view.leaving == Some(me) {
        return FigureState::Leaving;
    }
    let turn = ordered
        .attempt(member.seat)
        .filter(|_| ordered.turn_runs(member));
    let triggered = ordered.old(membership).any(|old| old.id == me);
    match turn {
        Some(attempt) => FigureState::Upgrading {
            attempt: attempt.number,
        },
        None if triggered => FigureState::IdleUpgrade,
        None => FigureState::Idle,
    }
}

/// What a member or joiner is doing, as views list it (design 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It is a member, in good standing, and its turn does not run.
    Serving,
    /// It is silent.
    Suspected,
    /// Its turn runs.
    Upgrading,
    /// Its successor has taken its vote.
    Leaving,
    /// It is admitted and catches up.
    Joining,
    /// It has caught up.
    Ready,
    /// It is not in the group.
    Gone,
}

impl Doing {
    /// The word of the status document.
    pub fn word(self) -> &'static str {
        match self {
            Doing::Serving => "serving",
            Doing::Suspected => "suspected",
            Doing::Upgrading => "upgrading",
            Doing::Leaving => "leaving",
            Doing::Joining => "joining",
            Doing::Ready => "ready",
            Doing::Gone => "gone",
        }
    }
}

/// What this member or joiner is doing.
pub fn doing(ordered: &Ordered, membership: &Membership, id: MemberId) -> Doing {
    if let Some(joiner) = membership.joiner(id) {
        return if joiner.ready {
            Doing::Ready
        } else {
            Doing::Joining
        };
    }
    let Some(member) = membership.view.member(id) else {
        return Doing::Gone;
    };
    if membership.view.leaving == Some(id) {
        return Doing::Leaving;
    }
    match member.standing {
        Standing::Suspected => Doing::Suspected,
        Standing::Serving if ordered.turn_runs(member) => Doing::Upgrading,
        Standing::Serving => Doing::Serving,
    }
}
