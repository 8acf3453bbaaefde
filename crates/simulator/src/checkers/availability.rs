//! Availability: no turn takes the serving members below `l` (§3.1, design 4.12).

use std::collections::BTreeSet;

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
    served: BTreeSet<MemberId>,
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
        let serve = membership.view.serving().map(|member| member.id);
        let served = std::mem::replace(&mut self.served, serve.collect());
        if !began {
            return Ok(());
        }
        let turns: BTreeSet<Seat> = running.iter().map(|(seat, _)| *seat).collect();
        let remaining = membership
            .view
            .members
            .iter()
            .filter(|member| self.served.contains(&member.id) || served.contains(&member.id))
            .filter(|member| !turns.contains(&member.seat))
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
