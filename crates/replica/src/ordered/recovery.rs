//! Recovery: which seat is vacant, who has it filled, where and with what (§2, §3.4).
//!
//! A group begins as one member and grows by the same mechanism that repairs it. A seat whose only
//! occupant is suspected is vacant too: its replacement takes the silent member's vote. A seat whose
//! occupant cannot behave as the effective version is vacant as well (see [`Ordered::spent`]).

use group::Membership;
use museum::Defect;
use wire::log::Proposal;
use wire::member::{Binary, Seat};
use wire::{MemberId, OrderedTime};

use super::Ordered;
use super::seat::Purpose;

/// Proof that a seat needs a replica and that this member may have it started. Only [`vacancy`]
/// makes one.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vacancy(pub(super) Named);

/// What the ordered state names: who may have what started, where, for which seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) seat: Seat,
    pub(super) attempt: u32,
    pub(super) by: MemberId,
    pub(super) host: u32,
    pub(super) binary: Binary,
    pub(super) purpose: Purpose,
    pub(super) not_before: OrderedTime,
}

impl Named {
    pub(super) fn proposal(&self) -> Proposal {
        Proposal::Taken {
            seat: self.seat,
            attempt: self.attempt,
            by: self.by,
        }
    }
}

impl Vacancy {
    /// Which seat.
    pub fn seat(&self) -> Seat {
        self.0.seat
    }

    /// Who takes the attempt: nobody else's would be valid.
    pub fn by(&self) -> MemberId {
        self.0.by
    }

    /// The attempt's number.
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// What will be started.
    pub fn binary(&self) -> &Binary {
        &self.0.binary
    }

    /// Before this moment it should not be taken: the last try failed a moment ago.
    pub fn not_before(&self) -> OrderedTime {
        self.0.not_before
    }

    /// What `by` proposes.
    pub fn proposal(&self) -> Proposal {
        self.0.proposal()
    }
}

/// Why nothing is to be recovered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotVacant {
    /// Every seat has a member that serves.
    #[error("every seat has a member that serves")]
    Full,
    /// For every vacant seat a replica is being started.
    #[error("{seat} is being filled: attempt {attempt} of {by} runs")]
    UnderWay {
        /// The first of them.
        seat: Seat,
        /// The attempt.
        attempt: u32,
        /// Whose.
        by: MemberId,
    },
    /// Nobody could ask a daemon.
    #[error("{seat} is vacant, and no member serves that could have a replica started")]
    NobodyServes {
        /// The vacant seat.
        seat: Seat,
    },
}

/// The first vacant seat that nobody fills yet; the eldest serving member acts.
///
/// # Errors
/// Nothing is to be done, or nothing can be.
pub fn vacancy(ordered: &Ordered, membership: &Membership) -> Result<Vacancy, NotVacant> {
    let mut under_way = None;
    for (seat, state) in ordered.seats() {
        // The founder has its seat without an attempt.
        let was_filled = seat == Seat(0) || state.attempts() > 0;
        let seen = was_filled && museum::on(Defect::LossUnnoticed);
        if ordered.filled(membership, seat) || seen {
            continue;
        }
        if let Some(attempt) = state.current()
            && !museum::on(Defect::RecoveryStartsTwo)
        {
            under_way = under_way.or(Some(NotVacant::UnderWay {
                seat,
                attempt: attempt.number,
                by: attempt.by,
            }));
            continue;
        }
        let able = ordered.able(membership).next();
        let by = able
            .or_else(|| membership.view.serving().next())
            .ok_or(NotVacant::NobodyServes { seat })?
            .id;
        let hosts = ordered.foundation().hosts.len();
        let host = state.next_host(hosts);
        return Ok(Vacancy(Named {
            seat,
            attempt: state.attempts() + 1,
            by,
            host,
            binary: ordered.plan(membership).clone(),
            purpose: Purpose::Recovery,
            not_before: state.not_before(),
        }));
    }
    Err(under_way.unwrap_or(NotVacant::Full))
}
