//! Promotion: when a joiner that has caught up becomes a member, and whose vote it takes (§3.2, 4).
//!
//! Start before stop: a successor takes its predecessor's vote in one joint change. The last old
//! member is held: until the group behaves as the target it is the way back, its successor a
//! caught-up learner beside it (design 4.15).

use group::{Joiner, Membership};
use museum::Defect;
use wire::MemberId;
use wire::log::Change;
use wire::member::Member;

use super::Ordered;

/// Proof that this joiner may become a member now. Only [`promotion`] makes one.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promotion {
    joiner: MemberId,
    replaces: Option<MemberId>,
}

impl Promotion {
    /// Who becomes a member.
    pub fn joiner(&self) -> MemberId {
        self.joiner
    }

    /// Whose vote it takes.
    pub fn replaces(&self) -> Option<MemberId> {
        self.replaces
    }

    /// What the leader proposes.
    pub fn change(&self) -> Change {
        Change::Promote {
            joiner: self.joiner,
            replaces: self.replaces,
        }
    }
}

/// Why no joiner becomes a member now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeldBack {
    /// Nobody has caught up.
    #[error("no joiner is ready")]
    NobodyReady,
    /// A swap is under way.
    #[error("{leaving} leaves first")]
    Leaving {
        /// Who goes.
        leaving: MemberId,
    },
    /// The last old member is the way back.
    #[error("{joiner} is ready and waits beside {old}, the last old member, until activation")]
    LastOldStays {
        /// Who waits.
        joiner: MemberId,
        /// Beside whom.
        old: MemberId,
    },
}

/// The next joiner that becomes a member.
///
/// # Errors
/// None does, and why.
pub fn promotion(ordered: &Ordered, membership: &Membership) -> Result<Promotion, HeldBack> {
    if let Some(leaving) = membership.view.leaving {
        return Err(HeldBack::Leaving { leaving });
    }
    let mut held = HeldBack::NobodyReady;
    for joiner in membership.joiners.iter().filter(|joiner| joiner.ready) {
        if !ordered.is_current(&joiner.member) {
            continue;
        }
        let replaced = replaced(ordered, membership, joiner);
        if let Some(old) = replaced
            && is_held(ordered, membership, joiner, old)
        {
            held = HeldBack::LastOldStays {
                joiner: joiner.member.id,
                old: old.id,
            };
            continue;
        }
        return Ok(Promotion {
            joiner: joiner.member.id,
            replaces: replaced.map(|old| old.id),
        });
    }
    Err(held)
}

/// Whose vote a joiner takes: that of its seat's occupant, one that cannot serve before another.
fn replaced<'a>(
    ordered: &'a Ordered,
    membership: &'a Membership,
    joiner: &Joiner,
) -> Option<&'a Member> {
    if museum::on(Defect::SwapTakesAnother) {
        return membership.view.members.first();
    }
    ordered
        .occupants(membership, joiner.member.seat)
        .min_by_key(|member| serves(ordered, membership, member))
}

/// Whether `old` must stay for now: nobody else could be the way back in its place. A member that
/// serves is only as good as another that serves; a silent one as any other.
fn is_held(ordered: &Ordered, membership: &Membership, joiner: &Joiner, old: &Member) -> bool {
    let Some(upgrade) = ordered.upgrade().filter(|upgrade| upgrade.runs()) else {
        return false;
    };
    if museum::on(Defect::LastOldReleased) {
        return false;
    }
    if upgrade.activated.is_some() || joiner.member.binary != *upgrade.target() {
        return false;
    }
    let old_serves = serves(ordered, membership, old);
    old.binary != *upgrade.target()
        && !ordered
            .old(membership)
            .filter(|other| other.id != old.id)
            .any(|other| !old_serves || serves(ordered, membership, other))
}

fn serves(ordered: &Ordered, membership: &Membership, member: &Member) -> bool {
    membership.view.serves(member.id) && !ordered.spent(member)
}
