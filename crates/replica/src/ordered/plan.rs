//! Who can do what: the questions about members that all decisions share, and what recovery starts.
//!
//! The *plan* is the binary that a vacancy is filled with (design 4.18). Outside an upgrade it is
//! the *home* binary: the founder's, and then the target of each upgrade that was done. During one
//! it is the home binary until a successor has become a member, the target from then on: a version
//! that nobody has seen work is not what a repair begins with. If no member could give its state to
//! the planned binary (all old members died and nothing maps back), the other one is taken.

use group::Membership;
use museum::Defect;
use wire::member::{Binary, Formats, Member, Seat};

use super::Ordered;
use super::donor::format_for;

impl Ordered {
    /// Whether a member cannot behave as the effective version: its binary is older. It has
    /// stopped to apply and to answer, and keeps its vote until its successor takes it.
    pub fn spent(&self, member: &Member) -> bool {
        member.binary.version < self.effective().version
    }

    /// Members that can serve, eldest first: not suspected, not leaving, not spent.
    pub fn able<'a>(&'a self, membership: &'a Membership) -> impl Iterator<Item = &'a Member> {
        membership
            .view
            .serving()
            .filter(|member| !self.spent(member))
    }

    /// Members that can give their state away: those that can serve. Without any, those that have
    /// stopped at the activation: a group of one whose successor died has no others. They give what
    /// they had there, and what was ordered since.
    pub fn givers<'a>(&'a self, membership: &'a Membership) -> impl Iterator<Item = &'a Member> {
        let nobody = self.able(membership).next().is_none();
        membership
            .view
            .serving()
            .filter(move |member| nobody || !self.spent(member))
    }

    /// Members of a seat that stay, eldest first. There is at most one but for moments that
    /// [`super::intruders()`] ends.
    pub fn occupants<'a>(
        &'a self,
        membership: &'a Membership,
        seat: Seat,
    ) -> impl Iterator<Item = &'a Member> {
        let leaving = membership.view.leaving;
        membership
            .view
            .members
            .iter()
            .filter(move |member| member.seat == seat && leaving != Some(member.id))
    }

    /// Whether somebody in this seat can serve.
    pub fn filled(&self, membership: &Membership, seat: Seat) -> bool {
        self.able(membership).any(|member| member.seat == seat)
    }

    /// Whether this member's turn runs: it stands back from clients, and is not counted as
    /// redundancy.
    pub fn turn_runs(&self, member: &Member) -> bool {
        self.seat(member.seat)
            .and_then(|seat| seat.current())
            .is_some_and(|attempt| attempt.is_turn() && !attempt.started(member.seat, member))
    }

    /// Members of the running upgrade that do not run its target, eldest first; the leaving one
    /// is not among them.
    pub fn old<'a>(&'a self, membership: &'a Membership) -> impl Iterator<Item = &'a Member> {
        let target = self
            .upgrade()
            .filter(|upgrade| upgrade.runs())
            .map(|upgrade| upgrade.target());
        let leaving = membership.view.leaving;
        let all = if museum::on(Defect::EldestIsTriggeredAlone) {
            1
        } else {
            usize::MAX
        };
        let is_old = move |member: &&Member| {
            leaving != Some(member.id) && target.is_some_and(|target| member.binary != *target)
        };
        membership.view.members.iter().filter(is_old).take(all)
    }

    /// Whether only members at the target of an upgrade that is not activated are left: they
    /// behave as the effective version, and no member runs it itself (design 4.15).
    pub fn way_back_closed(&self, membership: &Membership) -> bool {
        let native = |member: &Member| member.binary.version == self.effective().version;
        self.upgrade()
            .is_some_and(|upgrade| upgrade.runs() && upgrade.activated.is_none())
            && !membership.view.members.iter().any(native)
    }

    /// What recovery starts.
    pub fn plan(&self, membership: &Membership) -> &Binary {
        let home = self.home();
        let Some(upgrade) = self.upgrade() else {
            return home;
        };
        let target = upgrade.target();
        let home_is_spent = home.version < self.effective().version;
        if home_is_spent {
            return target;
        }
        let proven = upgrade.proven && !museum::on(Defect::RecoveryGoesBack);
        let (first, second) = if upgrade.runs() && proven {
            (target, home)
        } else {
            (home, target)
        };
        let can_have = |binary: &Binary| {
            let formats = self.formats(binary);
            formats.map(|formats| self.somebody_gives(membership, formats))
        };
        if can_have(first) == Some(false) && can_have(second) == Some(true) {
            return second;
        }
        first
    }

    /// Whether a member can give its state to a reader of these formats.
    pub(super) fn somebody_gives(&self, membership: &Membership, reader: &Formats) -> bool {
        self.givers(membership)
            .any(|member| format_for(&member.formats, reader).is_some())
    }
}
