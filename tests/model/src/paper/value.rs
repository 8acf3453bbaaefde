//! What follows from the order: the value that every replica computes for itself.

use std::collections::BTreeSet;

use super::{Defect, Figure, Rules};

/// A replica's number; never used again.
pub type Id = u8;

/// The code that a replica runs, or behaves as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// v.
    Old,
    /// v + 1.
    New,
}

/// One place in the total order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Entry {
    /// `upgradeRequest`.
    Request,
    /// A member begins its turn.
    Taken(Id),
    /// This member's successor did not come.
    Passed(Id),
    /// This member's successor has the state and follows the order.
    Ready(Id),
    /// The group behaves as the new version from here on.
    Activate,
    /// A view: this member's successor is in, and it is out.
    Swap(Id),
    /// A view: this member has crashed.
    Crashed(Id),
    /// A view: recovery has replaced a lost member.
    Recovered,
}

/// The ordered state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Value {
    /// The members, eldest first.
    pub view: Vec<(Id, Version)>,
    /// Whether the request was ordered.
    pub triggered: bool,
    /// Whose turns run.
    pub turns: BTreeSet<Id>,
    /// Whose successors are ready.
    pub ready: BTreeSet<Id>,
    /// Tries of the new version that failed.
    pub against: u8,
    /// Whether the upgrade was given up.
    pub failed: bool,
    /// As which version the group behaves.
    pub effective: Version,
    /// The number of the next member.
    pub next: Id,
}

impl Value {
    pub(super) fn of_three() -> Value {
        Value {
            view: (1..=3).map(|id| (id, Version::Old)).collect(),
            triggered: false,
            turns: BTreeSet::new(),
            ready: BTreeSet::new(),
            against: 0,
            failed: false,
            effective: Version::Old,
            next: 4,
        }
    }

    /// Members that run the old version, eldest first.
    pub(super) fn olds(&self) -> impl Iterator<Item = Id> {
        let olds = self.view.iter().filter(|(_, v)| *v == Version::Old);
        olds.map(|(id, _)| *id)
    }

    /// Whether the upgrade runs.
    pub(super) fn runs(&self) -> bool {
        let done = self.effective == Version::New && self.olds().next().is_none();
        self.triggered && !self.failed && !done
    }

    /// Members whose turn does not run.
    pub(super) fn serving(&self) -> usize {
        let members = self.view.iter();
        members.filter(|(id, _)| !self.turns.contains(id)).count()
    }

    /// `upgrade_enabled` (§3.3): whose turn may start. Nothing starts while a member is missing.
    pub(super) fn enabled(&self, rules: &Rules) -> Option<Id> {
        let enough = self.serving() > rules.minimal || rules.has(Defect::MinimalIgnored);
        let whole = self.view.len() == 3 || rules.has(Defect::MinimalIgnored);
        let free = self.turns.len() < rules.parallel;
        let next = self.olds().find(|id| !self.turns.contains(id));
        next.filter(|_| self.runs() && enough && whole && free)
    }

    /// Whether the group may begin to behave as the new version.
    pub(super) fn may_activate(&self) -> bool {
        let mut olds = self.olds();
        let last = olds.next();
        self.runs()
            && self.effective == Version::Old
            && self.view.len() == 3
            && olds.next().is_none()
            && last.is_none_or(|last| self.ready.contains(&last))
    }

    /// Whether this member's successor may take its place: the last old member stays until
    /// activation.
    pub(super) fn may_swap(&self, rules: &Rules, old: Id) -> bool {
        let last = self.olds().count() == 1 && self.effective == Version::Old;
        self.ready.contains(&old) && (!last || rules.has(Defect::LastOldReleased))
    }

    /// Where the order says that this replica is in Figure 1.
    pub(super) fn figure(&self, id: Id) -> Figure {
        let Some((_, version)) = self.view.iter().find(|(member, _)| *member == id) else {
            return Figure::Init;
        };
        if self.turns.contains(&id) {
            Figure::Upgrading
        } else if self.runs() && *version == Version::Old {
            Figure::IdleUpgrade
        } else {
            Figure::Idle
        }
    }

    /// What recovery starts: the new version once a member runs it, or if nobody else gives a state.
    fn plan(&self) -> Version {
        let runs_new = self.view.iter().any(|(_, v)| *v == Version::New);
        let old_gives = self.olds().next().is_some() && self.effective == Version::Old;
        if old_gives && (self.failed || !runs_new) {
            Version::Old
        } else if self.triggered {
            Version::New
        } else {
            Version::Old
        }
    }

    /// One entry. What does not hold where it is ordered changes nothing.
    pub(super) fn apply(&mut self, rules: &Rules, entry: Entry) {
        match entry {
            Entry::Request => self.triggered = true,
            Entry::Taken(by) => {
                let unchecked = rules.has(Defect::TurnNotChecked) && self.olds().any(|id| id == by);
                if self.enabled(rules) == Some(by) || unchecked {
                    self.turns.insert(by);
                }
            }
            Entry::Passed(by) => {
                if self.turns.contains(&by) {
                    self.end_turn(by);
                    let counts = !rules.has(Defect::TriesNotCounted);
                    if counts && self.effective == Version::Old {
                        self.against += 1;
                        self.failed = self.against >= rules.tries;
                    }
                    if self.failed {
                        self.turns.clear();
                        self.ready.clear();
                    }
                }
            }
            Entry::Ready(by) => {
                if self.turns.contains(&by) {
                    self.ready.insert(by);
                }
            }
            Entry::Activate => {
                if self.may_activate() {
                    self.effective = Version::New;
                }
            }
            Entry::Swap(old) => {
                self.end_turn(old);
                self.view.retain(|(id, _)| *id != old);
                self.come(Version::New);
            }
            Entry::Crashed(id) => {
                self.view.retain(|(member, _)| *member != id);
                if !rules.has(Defect::TurnOutlivesHolder) {
                    self.end_turn(id);
                }
            }
            Entry::Recovered => self.come(self.plan()),
        }
    }

    fn end_turn(&mut self, of: Id) {
        self.turns.remove(&of);
        self.ready.remove(&of);
    }

    fn come(&mut self, version: Version) {
        self.view.push((self.next, version));
        self.next += 1;
    }
}
