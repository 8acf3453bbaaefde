//! Intruders: who is in the group and should not be. The leader removes them (design 4.18).

use group::Membership;
use wire::MemberId;
use wire::member::Member;

use super::Ordered;

/// Joiners whose attempt is over: it was passed, its upgrade was given up, or the member that they
/// were to replace serves again. And members beyond a seat's need: of several in one seat the
/// youngest that is not leading goes. Each with the reason, for people.
pub fn intruders(ordered: &Ordered, membership: &Membership) -> Vec<(MemberId, String)> {
    let late = membership
        .joiners
        .iter()
        .filter(|joiner| !ordered.is_current(&joiner.member))
        .map(|joiner| {
            let Member {
                id, seat, attempt, ..
            } = &joiner.member;
            (*id, format!("attempt {attempt} for {seat} is over"))
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
        Some((member, format!("{seat} has another member")))
    });
    late.chain(surplus).collect()
}
