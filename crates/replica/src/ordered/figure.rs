//! Figure 1: in which state of the upgrade algorithm a member is, read off the ordered state.
//!
//! `processing` is not among them: it is a matter of one request, not of the order. Nothing is
//! remembered, so a member that lost every notice is in the right state all the same
//! (self-stabilising, Abstract).

use group::Membership;
use wire::MemberId;

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
    let triggered = ordered.old(membership).any(|old| old.id == me);
    let attempt = ordered
        .seat(member.seat)
        .and_then(|seat| seat.current())
        .filter(|_| ordered.turn_runs(member));
    match attempt {
        Some(attempt) => FigureState::Upgrading {
            attempt: attempt.number,
        },
        None if triggered => FigureState::IdleUpgrade,
        None => FigureState::Idle,
    }
}
