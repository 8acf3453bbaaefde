//! Whose turn it is: the paper's `upgrade_enabled` (§3.3), as a function of the view.
//!
//! 1. *Is it this replica's turn?* The eldest member that does not run the target goes first (§4.2);
//!    the leader of record goes last and hands over to a member at the target before, so that one
//!    upgrade changes the leader at most once by plan.
//! 2. *Can it be upgraded at this moment?* More than `minimal` members must serve without a turn
//!    running, the candidate included; at most `parallel` turns run at once; and nothing is being
//!    repaired: a vacancy goes before any turn.

use group::Membership;
use museum::Defect;
use wire::log::Proposal;
use wire::member::{Binary, Member, Seat};
use wire::{MemberId, OrderedTime};

use super::Ordered;
use super::recovery::Named;
use super::seat::Purpose;

/// Proof that this member may have its successor started. Only [`turn`] makes one.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn(pub(super) Named);

impl Turn {
    /// The seat of the member whose turn it is.
    pub fn seat(&self) -> Seat {
        self.0.seat
    }

    /// Whose turn it is.
    pub fn by(&self) -> MemberId {
        self.0.by
    }

    /// The attempt's number.
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// What will be started: the target.
    pub fn binary(&self) -> &Binary {
        &self.0.binary
    }

    /// Before this moment it should not be taken: the last try failed a moment ago.
    pub fn not_before(&self) -> OrderedTime {
        self.0.not_before
    }

    /// What the member proposes.
    pub fn proposal(&self) -> Proposal {
        self.0.proposal()
    }
}

/// Why no turn starts now. Reported as is to whoever asks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotYet {
    /// Nothing to do.
    #[error("no upgrade runs")]
    NoUpgrade,
    /// All members run the target.
    #[error("all members run the target")]
    Complete,
    /// A swap is under way.
    #[error("the next turn waits until {member} has left")]
    Leaving {
        /// Who goes.
        member: MemberId,
    },
    /// Repair goes before renewal.
    #[error("the next turn waits until {seat} is recovered")]
    Recovering {
        /// Which seat.
        seat: Seat,
    },
    /// Between two leaders.
    #[error("the next turn waits until a leader is of record")]
    NoLeader,
    /// Every old member's turn runs.
    #[error("the turns of all old members run; the first is {first}'s")]
    AllRun {
        /// The eldest of them.
        first: MemberId,
    },
    /// The multiplicity is used up.
    #[error(
        "{next}'s turn comes after {running}'s: {turns} of at most {parallel} turns at a time run"
    )]
    Parallel {
        /// Who would be next.
        next: MemberId,
        /// Whose turn runs; the eldest, if several do.
        running: MemberId,
        /// How many run.
        turns: u32,
        /// How many may.
        parallel: u32,
    },
    /// Too few would serve.
    #[error(
        "{next}'s turn waits: {serving} members serve, {turns} turns run, and a turn needs more than \
         {minimal} (minimal) without them"
    )]
    RedundancyTooLow {
        /// Who would be next.
        next: MemberId,
        /// How many members serve.
        serving: usize,
        /// How many of them are in their turn.
        turns: usize,
        /// The least that must remain.
        minimal: usize,
    },
    /// Only the leader is left, and it must not lead when it goes.
    #[error("{leader} leads: its turn comes after it has handed over to {to}")]
    HandOver {
        /// Who leads.
        leader: MemberId,
        /// Who should: a member at the target.
        to: MemberId,
    },
    /// Only the leader is left, and nobody at the target could lead.
    #[error("{leader} leads: its turn waits until another member at the target serves")]
    LeaderLast {
        /// Who leads.
        leader: MemberId,
    },
}

/// Whose turn may start now.
///
/// # Errors
/// None may, and why.
pub fn turn(ordered: &Ordered, membership: &Membership) -> Result<Turn, NotYet> {
    let upgrade = ordered
        .upgrade()
        .filter(|upgrade| upgrade.runs())
        .ok_or(NotYet::NoUpgrade)?;
    let first = ordered.old(membership).next().ok_or(NotYet::Complete)?;
    if let Some(member) = membership.view.leaving {
        return Err(NotYet::Leaving { member });
    }
    if let Some(seat) = under_repair(ordered, membership) {
        return Err(NotYet::Recovering { seat });
    }
    let leader = membership.leader.ok_or(NotYet::NoLeader)?;
    let candidates = || {
        ordered
            .old(membership)
            .filter(|member| !ordered.turn_runs(member))
    };
    let youngest = || candidates().filter(|_| museum::on(Defect::YoungestGoesFirst));
    let next = youngest()
        .last()
        .or_else(|| candidates().find(|member| member.id != leader))
        .or_else(|| candidates().next())
        .ok_or(NotYet::AllRun { first: first.id })?;
    may_start(ordered, membership, next, upgrade.request.parallel)?;
    if next.id == leader && !museum::on(Defect::HandOverLeftOut) {
        after_hand_over(ordered, membership, leader, upgrade.target())?;
    }
    let state = ordered
        .seat(next.seat)
        .expect("only a replica for one of the group's seats is admitted");
    let host = state.next_host(ordered.foundation().hosts.len());
    Ok(Turn(Named {
        seat: next.seat,
        attempt: state.attempts() + 1,
        by: next.id,
        host,
        binary: upgrade.target().clone(),
        purpose: Purpose::Upgrade,
        not_before: state.not_before(),
    }))
}

/// A seat that is vacant or being recovered.
fn under_repair(ordered: &Ordered, membership: &Membership) -> Option<Seat> {
    ordered
        .seats()
        .find(|(seat, state)| {
            let recovers = state.current().is_some_and(|attempt| !attempt.is_turn());
            recovers || !ordered.filled(membership, *seat)
        })
        .map(|(seat, _)| seat)
}

/// The second test: multiplicity and redundancy.
fn may_start(
    ordered: &Ordered,
    membership: &Membership,
    next: &Member,
    parallel: u32,
) -> Result<(), NotYet> {
    let serving = ordered.able(membership).count();
    let in_turn: Vec<MemberId> = ordered
        .able(membership)
        .filter(|member| ordered.turn_runs(member))
        .map(|member| member.id)
        .collect();
    let turns = ordered.turns();
    if turns >= parallel + u32::from(museum::on(Defect::TwoTurnsAtOnce)) {
        return Err(NotYet::Parallel {
            next: next.id,
            running: in_turn.first().copied().unwrap_or(next.id),
            turns,
            parallel,
        });
    }
    let minimal = ordered.foundation().minimal as usize;
    if serving - in_turn.len() <= minimal && !museum::on(Defect::MinimalIgnored) {
        return Err(NotYet::RedundancyTooLow {
            next: next.id,
            serving,
            turns: in_turn.len(),
            minimal,
        });
    }
    Ok(())
}

/// The leader goes last, and not as leader, unless it is alone.
fn after_hand_over(
    ordered: &Ordered,
    membership: &Membership,
    leader: MemberId,
    target: &Binary,
) -> Result<(), NotYet> {
    let others = || {
        ordered
            .able(membership)
            .filter(|member| member.id != leader)
    };
    if others().next().is_none() {
        return Ok(());
    }
    let exports = |member: &Member| ordered.exports(membership, member.id, None);
    let to = others()
        .filter(|member| member.binary == *target)
        .min_by_key(|member| exports(member));
    Err(match to {
        Some(to) => NotYet::HandOver { leader, to: to.id },
        None => NotYet::LeaderLast { leader },
    })
}
