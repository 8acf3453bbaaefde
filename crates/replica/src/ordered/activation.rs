//! Activation: when the group begins to behave as the target (design 4.13, 4.15).
//!
//! Behaviour changes at one position of the order, never at a restart. The leader proposes it when
//! these conditions hold; they are checked again where it is applied, and it is void otherwise.

use group::Membership;
use museum::Defect;
use wire::Position;
use wire::log::Proposal;
use wire::member::Seat;
use wire::{MemberId, Version};

use super::Ordered;

/// Proof that the upgrade may be activated. Only [`activation`] makes one.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    upgrade: Position,
    version: Version,
}

impl Activation {
    /// The upgrade.
    pub fn upgrade(&self) -> Position {
        self.upgrade
    }

    /// What the group will behave as.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// What the leader proposes.
    pub fn proposal(&self) -> Proposal {
        Proposal::Activate {
            upgrade: self.upgrade,
        }
    }
}

/// Why the upgrade is not activated now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotActive {
    /// Nothing to activate: no upgrade runs, or the group behaves as its target already.
    #[error("no upgrade waits for its activation")]
    NoUpgrade,
    /// A swap is under way.
    #[error("{member} leaves first")]
    Leaving {
        /// Who goes.
        member: MemberId,
    },
    /// A seat has no member at the target, nor is it the one seat whose ready successor waits.
    #[error("{seat} has no member at the target yet")]
    NotReady {
        /// Which seat.
        seat: Seat,
    },
}

/// Whether the group may begin to behave as the target: all seats have a serving member at it but
/// one, and that one's successor is ready.
///
/// # Errors
/// Not now, and why.
pub fn activation(ordered: &Ordered, membership: &Membership) -> Result<Activation, NotActive> {
    let upgrade = ordered
        .upgrade()
        .filter(|upgrade| upgrade.runs() && upgrade.activated.is_none())
        .ok_or(NotActive::NoUpgrade)?;
    if let Some(member) = membership.view.leaving {
        return Err(NotActive::Leaving { member });
    }
    let target = upgrade.target();
    let mut waits: Option<Seat> = None;
    for (seat, _) in ordered.seats() {
        let there = membership
            .view
            .serving()
            .any(|member| member.seat == seat && member.binary == *target);
        if there {
            continue;
        }
        let ready = membership.joiners.iter().any(|joiner| {
            joiner.ready
                && joiner.member.seat == seat
                && joiner.member.binary == *target
                && ordered.is_current(&joiner.member)
        });
        // Several would leave the group without a member that can serve until they are promoted.
        let ready = ready || museum::on(Defect::ActivatedUnready);
        if !ready || waits.replace(seat).is_some() {
            return Err(NotActive::NotReady { seat });
        }
    }
    Ok(Activation {
        upgrade: upgrade.id,
        version: target.version.clone(),
    })
}
