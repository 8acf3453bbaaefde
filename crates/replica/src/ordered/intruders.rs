//! Intruders: who is in the group and should not be. The leader removes them (design 4.18).

use group::Membership;
use wire::MemberId;
use wire::log::Change;

use super::Ordered;

/// Somebody whom the leader removes, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intruder {
    /// Who.
    pub member: MemberId,
    /// Why, for people.
    pub reason: String,
}

impl Intruder {
    /// What the leader proposes.
    pub fn change(&self) -> Change {
        Change::Remove {
            member: self.member,
            reason: self.reason.clone(),
        }
    }
}

/// Joiners whose attempt is over: it was passed, its upgrade was given up, or the member that they
/// were to replace serves again. And members beyond a seat's need: of several in one seat the
/// youngest that is not leading goes.
pub fn intruders(ordered: &Ordered, membership: &Membership) -> Vec<Intruder> {
    let late = membership
        .joiners
        .iter()
        .filter(|joiner| !ordered.is_current(&joiner.member))
        .map(|joiner| Intruder {
            member: joiner.member.id,
            reason: format!(
                "attempt {} for {} is over",
                joiner.member.attempt, joiner.member.seat
            ),
        });
    let surplus = ordered.seats().filter_map(|(seat, _)| {
        let occupants: Vec<MemberId> = ordered
            .occupants(membership, seat)
            .map(|member| member.id)
            .collect();
        let youngest = occupants
            .iter()
            .rev()
            .find(|&&member| membership.leader != Some(member));
        let member = *youngest.filter(|_| occupants.len() > 1)?;
        let reason = format!("{seat} has another member");
        Some(Intruder { member, reason })
    });
    late.chain(surplus).collect()
}
