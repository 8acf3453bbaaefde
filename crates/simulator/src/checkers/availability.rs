//! Availability: no turn takes the serving members below `l` (§3.1, design 4.12).

use std::collections::{BTreeMap, BTreeSet};

use group::Membership;
use replica::ordered::Ordered;
use wire::MemberId;
use wire::member::Seat;

use super::Opinion;

#[derive(Debug, Default)]
pub(crate) struct Availability {
    /// The turns that were seen: each begins once.
    turns: BTreeSet<(Seat, u32)>,
    /// Who served at the last look: between two looks a turn begins before or after somebody is
    /// found silent.
    served: BTreeMap<MemberId, Seat>,
    /// The incarnation at the last look.
    incarnation: u64,
}

impl Availability {
    pub(crate) fn looks(&mut self, ordered: &Ordered, membership: &Membership) -> Opinion {
        let running: Vec<(Seat, u32)> = ordered
            .attempts()
            .filter(|(_, attempt)| attempt.is_turn())
            .map(|(seat, attempt)| (seat, attempt.number))
            .collect();
        let began = running.iter().any(|turn| !self.turns.contains(turn));
        self.turns.extend(running.iter().copied());
        let serving = membership.view.serving();
        let serve = serving.map(|member| (member.id, member.seat)).collect();
        let served = std::mem::replace(&mut self.served, serve);
        let alone = self.incarnation < membership.incarnation;
        self.incarnation = membership.incarnation;
        if !began {
            return Ok(());
        }
        let turns: BTreeSet<Seat> = running.iter().map(|(seat, _)| *seat).collect();
        let view = &membership.view;
        // A survivor learns of a turn and, behind it, that it is alone, at once: the others have
        // served as the turn began.
        let gone = served
            .iter()
            .filter(|(id, _)| alone && view.member(**id).is_none());
        let serve = |id: &MemberId| self.served.contains_key(id) || served.contains_key(id);
        let remain = view.members.iter().filter(|member| serve(&member.id));
        let remaining = remain
            .map(|member| &member.seat)
            .chain(gone.map(|(_, seat)| seat))
            .filter(|seat| !turns.contains(seat))
            .count();
        let minimal = ordered.foundation().minimal as usize;
        if remaining < minimal {
            return Err(format!(
                "a turn leaves {remaining} members that serve, at least {minimal} must remain"
            ));
        }
        Ok(())
    }
}
