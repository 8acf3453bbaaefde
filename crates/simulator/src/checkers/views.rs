//! The same views at the same positions on all members (design 4.1), and none goes back.

use std::collections::{BTreeMap, BTreeSet};

use group::{Membership, View};
use replica::ordered::Ordered;
use wire::member::Member;
use wire::{MemberId, Position};

use super::Opinion;

#[derive(Debug, Default)]
pub(crate) struct Views {
    /// Each view, as the first member installed it, and the group's incarnation then.
    known: BTreeMap<Position, (u64, View)>,
    /// The last that each member installed.
    last: BTreeMap<MemberId, Position>,
    /// Up to where the history is written into the transcript.
    pub(crate) written: Option<Position>,
}

impl Views {
    pub(crate) fn installed(
        &mut self,
        member: MemberId,
        ordered: &Ordered,
        membership: &Membership,
        living: &BTreeSet<MemberId>,
    ) -> Opinion {
        let view = &membership.view;
        if !self.known.contains_key(&view.position) {
            votes(membership)?;
            // A survivor begins anew: who of the others still runs stands back, and no seat is
            // taken from it. The checker of incarnations judges that.
            if let Some((_, (incarnation, before))) = self.known.range(..view.position).next_back()
                && *incarnation == membership.incarnation
            {
                follows(before, view, ordered, living)?;
            }
        }
        let (_, known) = self
            .known
            .entry(view.position)
            .or_insert_with(|| (membership.incarnation, view.clone()));
        if known != view {
            return Err(format!(
                "{member} has {} as the view {}, another has {}",
                ids(view),
                view.position,
                ids(known)
            ));
        }
        let last = self.last.insert(member, view.position);
        if last.is_some_and(|last| last > view.position) {
            return Err(format!("{member} went back to the view {}", view.position));
        }
        Ok(())
    }

    pub(crate) fn count(&self) -> usize {
        self.known.len()
    }
}

/// The members of a view are the voters, and nobody else is: the one that leaves is in the outgoing
/// half.
fn votes(membership: &Membership) -> Opinion {
    let view = &membership.view;
    let stays = |member: &&Member| view.leaving != Some(member.id);
    let members: BTreeSet<MemberId> = view.members.iter().filter(stays).map(|m| m.id).collect();
    let voters = membership.configuration.voters.iter().copied().collect();
    if members == voters {
        return Ok(());
    }
    Err(format!(
        "in the view {} {members:?} are members, and the votes of {voters:?} count",
        view.position
    ))
}

/// What is so between two views, whatever happened in between: nobody overtakes an elder (§4.2), and
/// who lives stays until another has its seat (design 4.4), or its seat is not wanted any more and all
/// others have members.
fn follows(before: &View, after: &View, ordered: &Ordered, living: &BTreeSet<MemberId>) -> Opinion {
    let stayed = |view: &View, other: &View| -> Vec<MemberId> {
        let ids = view.members.iter().map(|member| member.id);
        ids.filter(|id| other.member(*id).is_some()).collect()
    };
    let both = stayed(before, after);
    let eldest: Vec<MemberId> = after
        .members
        .iter()
        .take(both.len())
        .map(|m| m.id)
        .collect();
    if both != eldest {
        return Err(format!("{} stands after {}", ids(after), ids(before)));
    }
    let lost = before.members.iter().find(|member| {
        let replaced = after.members.iter().any(|other| other.seat == member.seat);
        let has_member = |seat| before.members.iter().any(|other| other.seat == seat);
        let surplus =
            !ordered.wants(member.seat) && ordered.seats().all(|(seat, _)| has_member(seat));
        let gone = after.member(member.id).is_none();
        gone && living.contains(&member.id) && !replaced && !surplus
    });
    match lost {
        None => Ok(()),
        Some(member) => Err(format!(
            "{} lives, nobody has taken its seat, and the view {} stands without it",
            member.id, after.position
        )),
    }
}

fn ids(view: &View) -> String {
    let ids: Vec<String> = view.members.iter().map(|m| m.id.to_string()).collect();
    format!("[{}], leaving {:?}", ids.join(" "), view.leaving)
}
