//! Going on as a survivor, as the ordered state takes it (design 4.5): all seats but one are vacant, and
//! recovery fills them; a running upgrade goes on with the next turn.

use group::{Membership, Survived};
use wire::member::Seat;
use wire::{MemberId, OrderedTime, Position};

use super::happened::{Ended, Happened};
use super::steps::Step;
use super::{Ordered, Upgrade, history};

impl Ordered {
    /// The group goes on with one member at `at`; `membership` is that from there on.
    pub fn survived(
        &mut self,
        at: Position,
        time: OrderedTime,
        survived: &Survived,
        membership: &Membership,
    ) -> Vec<Happened> {
        let step = Step {
            at,
            time,
            membership,
        };
        let mut out = Vec::new();
        self.leave_seats(membership);
        for member in &membership.view.members {
            self.occupy(member);
        }
        let fates: Vec<String> = survived
            .without
            .iter()
            .map(|(member, fate)| format!("{member} ({fate})"))
            .collect();
        let what = match fates.is_empty() {
            true => "the group goes on with one member".to_owned(),
            false => format!(
                "the group goes on with one member, without {}",
                fates.join(", ")
            ),
        };
        let members = history::members(&membership.view);
        self.history.add(at, time, what.clone(), members.clone());
        out.push(Happened::View { what, members });
        // A replica that is left behind has not failed.
        for (seat, joiner) in self.left_behind(membership) {
            out.extend(self.end(step, seat, Ended::LeftBehind { joiner }));
        }
        self.settle(step, &mut out);
        out
    }

    /// Who died at the target before activation counts against its seat, as ever.
    fn leave_seats(&mut self, membership: &Membership) {
        let upgrade = self.upgrade.as_ref().filter(|upgrade| upgrade.can_fail());
        let target = upgrade.map(Upgrade::target).cloned();
        for state in &mut self.seats {
            let gone = state
                .occupant
                .take_if(|occupant| membership.view.member(occupant.member).is_none());
            if gone.is_some_and(|gone| Some(gone.binary) == target) {
                state.against += 1;
            }
        }
    }

    fn left_behind(&self, membership: &Membership) -> Vec<(Seat, MemberId)> {
        let attempts = self.attempts();
        let joiners = attempts.filter_map(|(seat, attempt)| Some((seat, attempt.joiner?)));
        joiners
            .filter(|(_, joiner)| membership.everybody().all(|member| member.id != *joiner))
            .collect()
    }
}
