//! A removed member's last moments.
//!
//! It runs on until all live voters have applied its removal: before that its vote may be the one
//! without which nobody can be elected.

use std::collections::BTreeSet;
use std::time::Duration;

use museum::Defect;
use wire::{MemberId, Position, Time};

/// How long a removed member waits for the others' word: far longer than applying one entry takes.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct Parting {
    view: Position,
    certain: bool,
    said: BTreeSet<MemberId>,
    deadline: Option<Time>,
    over: bool,
}

impl Parting {
    /// A voter has applied our removal.
    pub(crate) fn heard(&mut self, now: Time, from: MemberId, view: Position) {
        self.said.insert(from);
        self.out(now, view);
    }

    /// We have learned of our removal.
    pub(crate) fn out(&mut self, now: Time, view: Position) {
        self.view = self.view.max(view);
        self.deadline.get_or_insert(now.after(PATIENCE));
    }

    /// A later view stands without us: nobody waits for our vote.
    pub(crate) fn certain(&mut self, view: Position) {
        self.view = self.view.max(view);
        self.certain = true;
    }

    /// Whether there is a view without us at all.
    pub(crate) fn is_out(&self) -> bool {
        self.certain || self.deadline.is_some()
    }

    /// The view without us, once, when nobody needs us any more.
    pub(crate) fn complete(&mut self, now: Time, live_voters: &[MemberId]) -> Option<Position> {
        let all =
            self.deadline.is_some() && live_voters.iter().all(|voter| self.said.contains(voter));
        let late = self.deadline.is_some_and(|deadline| now >= deadline);
        if museum::on(Defect::RemovedMemberStays) || self.over || !(self.certain || all || late) {
            return None;
        }
        self.over = true;
        Some(self.view)
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.deadline.filter(|_| !self.over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> MemberId {
        MemberId::new(number).expect("tests count from 1")
    }

    #[test]
    fn a_removed_member_waits_for_all_live_voters() {
        let mut parting = Parting::default();
        assert_eq!(parting.complete(Time(0), &[id(2), id(3)]), None);
        parting.heard(Time(0), id(2), Position(9));
        assert_eq!(parting.complete(Time(1), &[id(2), id(3)]), None);
        parting.heard(Time(2), id(3), Position(9));
        assert_eq!(
            parting.complete(Time(3), &[id(2), id(3)]),
            Some(Position(9))
        );
        assert_eq!(parting.complete(Time(4), &[id(2), id(3)]), None);
    }

    #[test]
    fn it_does_not_wait_for_ever() {
        let mut parting = Parting::default();
        parting.out(Time(0), Position(9));
        let deadline = parting.deadline().expect("it waits");
        assert_eq!(parting.complete(Time(deadline.0 - 1), &[id(2)]), None);
        assert_eq!(parting.complete(deadline, &[id(2)]), Some(Position(9)));
    }

    #[test]
    fn a_later_view_ends_it_at_once() {
        let mut parting = Parting::default();
        parting.certain(Position(7));
        assert_eq!(parting.complete(Time(0), &[id(2)]), Some(Position(7)));
    }
}
