//! What became of a position: the ordered state's steps, as events for layers, clients and people.

use std::fmt;

use wire::member::{Binary, Seat};
use wire::{MemberId, Position, Version};

use super::activation::NotActive;
use super::seat::{Attempt, Purpose};
use super::upgrade::UpgradeRefused;
use super::wish::SpecifyRefused;

/// One step of the ordered state. In the order in which an upgrade takes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// The view or a standing changed.
    View {
        /// What changed, in a sentence.
        what: String,
        /// The members from here on, as `1v1.0.0`, by seniority.
        members: Vec<String>,
    },
    /// An operator's request was accepted: every member is triggered from here on (§3.3). Also
    /// said again, with the same position, when the request is repeated.
    UpgradeAccepted {
        /// The operator's mark.
        token: u64,
        /// The upgrade, by the position of its request.
        upgrade: Position,
        /// The target.
        target: Binary,
    },
    /// An operator's request was refused: nothing changed.
    UpgradeRefused {
        /// The operator's mark.
        token: u64,
        /// Why.
        why: UpgradeRefused,
    },
    /// A wish was accepted. Also said again, with the same position, when it is repeated.
    Specified {
        /// The asker's mark.
        token: u64,
        /// Its position: it holds from here on.
        position: Position,
    },
    /// A wish was refused: nothing changed.
    SpecifyRefused {
        /// The asker's mark.
        token: u64,
        /// Why.
        why: SpecifyRefused,
    },
    /// A member took the right to have a replica started: it alone asks the daemon now.
    Taken {
        /// For which seat.
        seat: Seat,
        /// Who asks whose daemon, for what and why.
        attempt: Attempt,
    },
    /// An attempt is over: whoever still works on it is fenced.
    Ended {
        /// For which seat.
        seat: Seat,
        /// The attempt.
        attempt: u32,
        /// Whose it was.
        by: MemberId,
        /// How it ended.
        how: Ended,
    },
    /// The group behaves as this version from here on.
    Activated {
        /// The upgrade.
        upgrade: Position,
        /// The version.
        version: Version,
    },
    /// All seats run the target.
    UpgradeDone {
        /// The upgrade.
        upgrade: Position,
    },
    /// The upgrade was given up; the group serves on.
    UpgradeFailed {
        /// The upgrade.
        upgrade: Position,
        /// Why.
        reason: String,
    },
    /// A proposal changed nothing: it came late, twice, or out of turn.
    Void {
        /// Why.
        why: Void,
    },
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its replica is a member.
    Promoted {
        /// Which.
        member: MemberId,
    },
    /// The leader ended it. It counts as a failed try.
    Passed {
        /// Why.
        reason: String,
    },
    /// Its replica was admitted, and is out. It counts as a failed try.
    Lost {
        /// Which.
        joiner: MemberId,
    },
    /// The group went on without its replica, as it had to go on with one member.
    LeftBehind {
        /// Which.
        joiner: MemberId,
    },
    /// Its holder does not serve any more and no replica was admitted: nobody would ask.
    HolderGone,
    /// The seat has an occupant that serves.
    NotNeeded,
    /// The group wants fewer members, or none on its host.
    NotWanted,
    /// The upgrade that it belonged to was given up.
    UpgradeOver,
}

/// Why a proposal changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Void {
    /// The ordered state names somebody or something else.
    #[error("attempt {attempt} for {seat} by {by} is not what the ordered state names")]
    NotNamed {
        /// The seat.
        seat: Seat,
        /// The attempt.
        attempt: u32,
        /// Who wanted it.
        by: MemberId,
    },
    /// The attempt does not run.
    #[error("attempt {attempt} for {seat} does not run")]
    NotCurrent {
        /// The seat.
        seat: Seat,
        /// The attempt.
        attempt: u32,
    },
    /// An activation whose conditions do not hold.
    #[error("upgrade {upgrade} is not activated: {why}")]
    NotActivated {
        /// The upgrade that was meant.
        upgrade: Position,
        /// What does not hold.
        why: NotActive,
    },
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Happened::View { what, members } => write!(f, "{what}; members: {}", members.join(" ")),
            Happened::UpgradeAccepted {
                upgrade, target, ..
            } => write!(f, "upgrade {upgrade} to {target} is accepted"),
            Happened::UpgradeRefused { why, .. } => write!(f, "an upgrade is refused: {why}"),
            Happened::Specified { position, .. } => {
                write!(f, "the group's wish of {position} is accepted")
            }
            Happened::SpecifyRefused { why, .. } => write!(f, "a wish is refused: {why}"),
            Happened::Taken { seat, attempt } => {
                let what = match attempt.purpose {
                    Purpose::Recovery => "recovery by",
                    Purpose::Upgrade => "turn of",
                };
                let Attempt {
                    number, by, binary, ..
                } = attempt;
                write!(f, "{seat}: {what} {by}, attempt {number}, {binary}")
            }
            Happened::Ended {
                seat, attempt, how, ..
            } => write!(f, "{seat}: attempt {attempt} is over: {how}"),
            Happened::Activated { version, .. } => write!(f, "the group behaves as {version}"),
            Happened::UpgradeDone { upgrade } => write!(f, "upgrade {upgrade} is done"),
            Happened::UpgradeFailed { upgrade, reason } => {
                write!(f, "upgrade {upgrade} failed: {reason}")
            }
            Happened::Void { why } => write!(f, "nothing changed: {why}"),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Promoted { member } => write!(f, "{member} is a member"),
            Ended::Passed { reason } => f.write_str(reason),
            Ended::Lost { joiner } => write!(f, "its replica {joiner} is out"),
            Ended::LeftBehind { joiner } => {
                write!(f, "its replica {joiner} was left behind")
            }
            Ended::HolderGone => f.write_str("its holder does not serve any more"),
            Ended::NotNeeded => f.write_str("the seat's occupant serves"),
            Ended::NotWanted => f.write_str("the group wants no member there"),
            Ended::UpgradeOver => f.write_str("the upgrade was given up"),
        }
    }
}
