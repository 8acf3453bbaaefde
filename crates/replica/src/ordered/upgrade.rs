//! The upgrade: what the group was asked for, and how far it is (§3.3, §4.2).
//!
//! **Direction.** A newer binary can behave as an older version, never the other way round. So:
//! - *Upwards*, and to another build of the same version: members are replaced first, behaviour
//!   changes at [`wire::log::Proposal::Activate`], once all seats are ready. A hotfix goes the same
//!   way; its activation changes no behaviour, but until it the last member of the old build stays.
//! - *Downwards*, and back to what is effective already (after a failed upgrade): behaviour must
//!   change before the first old binary joins, so the request activates where it is accepted, and
//!   no old member is held. It needs members that can write a format the target reads.
//!
//! **Failure.** Each try of the target that ends without a promotion counts against its seat, and so
//! does each member at the target that dies before activation. When a seat reaches the request's
//! limit the upgrade fails: attempts and joiners of the target are fenced, members at the target
//! stay and behave as the effective version, and recovery starts the binary from before the upgrade
//! again. After an activation that followed replacement there is no way back, so nothing fails any
//! more: what is missing is recovery's to fill, as often as it takes.

use minicbor::{Decode, Encode};
use museum::Defect;
use wire::log::UpgradeRequest;
use wire::member::{Binary, Seat};
use wire::{MemberId, OrderedTime, Position};

use group::Membership;

use super::Ordered;
use super::donor::format_for;
use super::wish::{NoSurplus, Surplus, surplus};

/// Below this a start of a process on a busy machine would count as a failure.
pub const PATIENCE_MIN_MS: u64 = 100;
/// A patience above an hour is no deadline any more.
pub const PATIENCE_MAX_MS: u64 = 3_600_000;
/// More tries than this are no bound any more.
pub const ATTEMPTS_MAX: u32 = 100;
/// What is said when the last old member died before activation.
pub(super) const NO_WAY_BACK: &str = "no member of the old version is left; the new one behaves as it, unconfirmed, and the way back \
     is closed";
/// The layer that a stack needs for upgrades (§4.2).
const LAYER: &str = "Upgrade";

/// The running or the last upgrade.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Upgrade {
    /// Its name: the position of its request.
    #[n(0)]
    pub id: Position,
    /// What was asked for.
    #[n(1)]
    pub request: UpgradeRequest,
    /// The effective binary before it.
    #[n(2)]
    pub from: Binary,
    /// Where the group began to behave as the target.
    #[n(3)]
    pub activated: Option<Position>,
    /// Whether a successor has become a member: from then on recovery starts the target too.
    #[n(4)]
    pub proven: bool,
    /// When it was accepted.
    #[n(5)]
    pub started: OrderedTime,
    /// When it ended.
    #[n(6)]
    pub ended: Option<OrderedTime>,
    /// Whether and how it ended.
    #[n(7)]
    pub state: UpgradeState,
}

/// How far an upgrade is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum UpgradeState {
    /// It runs.
    #[n(0)]
    Running,
    /// All seats run the target, and the group behaves as it.
    #[n(1)]
    Done,
    /// It was given up.
    #[n(2)]
    Failed {
        /// Why.
        #[n(0)]
        reason: String,
    },
}

impl Upgrade {
    /// The code to run.
    pub fn target(&self) -> &Binary {
        &self.request.target
    }

    /// Whether it runs.
    pub fn runs(&self) -> bool {
        self.state == UpgradeState::Running
    }

    /// Whether it activated where it was accepted: a way down, or back.
    pub fn activated_first(&self) -> bool {
        self.activated == Some(self.id)
    }

    /// Whether giving it up is still possible.
    pub(super) fn can_fail(&self) -> bool {
        self.runs() && (self.activated.is_none() || self.activated_first())
    }
}

/// Why an upgrade request is refused. Nothing changed; the operator reads it as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeRefused {
    /// Upgrades are atomic with respect to each other (§2.1).
    #[error("upgrade {running} to {target} runs; wait for its end")]
    Runs {
        /// The running one.
        running: Position,
        /// Its target.
        target: Binary,
    },
    /// The group was founded without the upgrade layer.
    #[error("the stack \"{stack}\" has no layer {LAYER}; found the group with one")]
    NoLayer {
        /// The group's stack.
        stack: String,
    },
    /// There is nothing to do.
    #[error(
        "all members run {target} already and the group behaves as it; name another version or build"
    )]
    AlreadyThere {
        /// The target.
        target: Binary,
    },
    /// A multiplicity of none.
    #[error("0 seats at a time is no upgrade; ask for at least 1")]
    NoParallel,
    /// No try, or no bound.
    #[error("{attempts} attempts; ask for 1 to {ATTEMPTS_MAX}")]
    Attempts {
        /// What was asked for.
        attempts: u32,
    },
    /// A patience that is none, or no deadline.
    #[error("a patience of {patience_ms} ms; ask for {PATIENCE_MIN_MS} to {PATIENCE_MAX_MS}")]
    Patience {
        /// What was asked for.
        patience_ms: u64,
    },
    /// Somebody is on the way out, and would be upgraded for nothing.
    #[error("the group is shrinking: {member} goes first; ask again in a moment")]
    Shrinks {
        /// Who goes.
        member: MemberId,
    },
    /// No turn could ever start.
    #[error(
        "a turn needs more than {minimal} serving members (minimal) and the group has {initial} seats \
         (initial): lower minimal or raise initial"
    )]
    NeverEnough {
        /// The least that must remain.
        minimal: u32,
        /// All seats.
        initial: u32,
    },
    /// A way down for which no member can write the state.
    #[error(
        "{target} reads state formats {reads:?}, the members write {writes:?}: there is no way back \
         to it without a reverse mapping; upgrade to a version that has one (Reversible) first"
    )]
    NoReverse {
        /// The target.
        target: Binary,
        /// What it reads.
        reads: Vec<u32>,
        /// What the members write.
        writes: Vec<u32>,
    },
}

/// Whether a request can be accepted now: `Ok(Some)` names the upgrade that it repeats.
pub(super) fn acceptance(
    ordered: &Ordered,
    membership: &Membership,
    request: &UpgradeRequest,
) -> Result<Option<Position>, UpgradeRefused> {
    if let Some(upgrade) = ordered.upgrade() {
        if upgrade.request == *request {
            return Ok(Some(upgrade.id));
        }
        if upgrade.runs() && !museum::on(Defect::SecondUpgradeAccepted) {
            return Err(UpgradeRefused::Runs {
                running: upgrade.id,
                target: upgrade.target().clone(),
            });
        }
    }
    let foundation = ordered.foundation();
    if foundation.stack.split(':').all(|layer| layer != LAYER) {
        let stack = foundation.stack.clone();
        return Err(UpgradeRefused::NoLayer { stack });
    }
    if request.parallel == 0 {
        return Err(UpgradeRefused::NoParallel);
    }
    if !(1..=ATTEMPTS_MAX).contains(&request.attempts) {
        let attempts = request.attempts;
        return Err(UpgradeRefused::Attempts { attempts });
    }
    if !(PATIENCE_MIN_MS..=PATIENCE_MAX_MS).contains(&request.patience_ms) {
        let patience_ms = request.patience_ms;
        return Err(UpgradeRefused::Patience { patience_ms });
    }
    if let Ok(Surplus::Goes { member, .. } | Surplus::HandsOver { leader: member, .. })
    | Err(NoSurplus::Vacant { member, .. }) = surplus(ordered, membership)
    {
        return Err(UpgradeRefused::Shrinks { member });
    }
    let initial = ordered.seat_count();
    if foundation.minimal >= initial {
        let minimal = foundation.minimal;
        return Err(UpgradeRefused::NeverEnough { minimal, initial });
    }
    let target = &request.target;
    let members = &membership.view.members;
    let there = members.iter().all(|member| member.binary == *target);
    if there && ordered.effective() == target && ordered.home() == target {
        let target = target.clone();
        return Err(UpgradeRefused::AlreadyThere { target });
    }
    way_down(ordered, membership, target).map(|()| None)
}

/// Whether the state can go to a target that is older than the effective version. What the group
/// never ran is not known here: such a joiner is refused at the door, with both formats named.
fn way_down(
    ordered: &Ordered,
    membership: &Membership,
    target: &Binary,
) -> Result<(), UpgradeRefused> {
    let Some(formats) = ordered.formats(target) else {
        return Ok(());
    };
    if target.version >= ordered.effective().version {
        return Ok(());
    }
    let able = || ordered.able(membership);
    if able().any(|member| format_for(&member.formats, formats).is_some()) {
        return Ok(());
    }
    let mut writes: Vec<u32> = able()
        .flat_map(|member| member.formats.writes.iter().copied())
        .collect();
    writes.sort_unstable();
    writes.dedup();
    Err(UpgradeRefused::NoReverse {
        target: target.clone(),
        reads: formats.reads.clone(),
        writes,
    })
}

/// Why the upgrade has to be given up, if a seat has reached the limit.
pub(super) fn too_often(ordered: &Ordered) -> Option<String> {
    let upgrade = ordered.upgrade().filter(|upgrade| upgrade.can_fail())?;
    let limit = upgrade.request.attempts;
    let (number, seat) = ordered
        .seats()
        .find(|(_, seat)| seat.against >= limit && !museum::on(Defect::AttemptsWithoutBound))
        .map(|(seat, state)| (seat, state.clone()))?;
    Some(sentence(number, limit, seat.failure.map(|f| f.reason)))
}

fn sentence(seat: Seat, limit: u32, last: Option<String>) -> String {
    let times = if limit == 1 { "time" } else { "times" };
    let last = last.unwrap_or_else(|| "its member at the target died".to_owned());
    format!("{seat} was tried {limit} {times}; the last time: {last}")
}

/// Whether nothing is left to do: every seat is at the target, nobody leaves, and the group
/// behaves as the target.
pub(super) fn complete(ordered: &Ordered, membership: &Membership) -> bool {
    let Some(upgrade) = ordered.upgrade().filter(|upgrade| upgrade.runs()) else {
        return false;
    };
    let at_target = |seat: Seat| {
        let mut occupants = ordered.occupants(membership, seat).peekable();
        occupants.peek().is_some() && occupants.all(|member| member.binary == *upgrade.target())
    };
    upgrade.activated.is_some()
        && membership.view.leaving.is_none()
        && (museum::on(Defect::DoneTooEarly) || ordered.seats().all(|(seat, _)| at_target(seat)))
}
