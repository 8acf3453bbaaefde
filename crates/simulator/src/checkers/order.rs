//! Total order: the same deliveries at the same positions on all members, and no position missed.

use std::collections::BTreeMap;

use group::Membership;
use replica::{Answer, Executable, Work};
use wire::client::ClientReply;
use wire::member::Member;
use wire::{MemberId, OrderedTime, Position, Version};

use super::Opinion;

/// What stands at a position.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) time: OrderedTime,
    pub(crate) requests: Vec<Executable>,
}

#[derive(Debug, Default)]
pub(crate) struct Order {
    /// As the first member delivered it.
    pub(crate) entries: BTreeMap<Position, Entry>,
    pub(crate) activations: BTreeMap<Position, Version>,
    /// The last position that each member delivered.
    delivered: BTreeMap<MemberId, Position>,
    /// The last activation of each member.
    activated: BTreeMap<MemberId, Position>,
}

impl Order {
    /// A member begins behind this position.
    pub(crate) fn begins(&mut self, member: MemberId, position: Position) {
        self.delivered.insert(member, position);
    }

    /// The last position that anybody delivered.
    pub(crate) fn furthest(&self) -> Position {
        let last = self.entries.last_key_value();
        last.map_or(Position::default(), |(position, _)| *position)
    }

    /// Whether all members of a view hold a state: only the founder begins without another's.
    pub(crate) fn has_begun(&self, membership: &Membership) -> Opinion {
        let members = &membership.view.members;
        let begun =
            |member: &Member| member.attempt == 0 || self.delivered.contains_key(&member.id);
        match members.iter().find(|member| !begun(member)) {
            None => Ok(()),
            Some(member) => Err(format!(
                "{} is a member of the view {} and never had a state",
                member.id, membership.view.position
            )),
        }
    }

    /// Whether a member of this version that has applied `at` has come to an activation that it
    /// cannot follow.
    pub(crate) fn has_stopped(&self, at: Position, own: &Version) -> bool {
        let effective = self.activations.range(..=at).next_back();
        effective.is_some_and(|(_, effective)| own < effective)
    }

    pub(crate) fn delivered(&mut self, member: MemberId, work: &Work) -> Opinion {
        match work {
            Work::Apply {
                position,
                time,
                requests,
            } => self.applied(member, *position, *time, requests),
            Work::Activate { position, version } => {
                let at = self.delivered.get(&member).copied();
                if at.is_some_and(|at| at != *position) {
                    return Err(format!(
                        "{member} activates {version} at {position}, where it is not"
                    ));
                }
                self.activated.insert(member, *position);
                let known = self.activations.entry(*position);
                let known = known.or_insert_with(|| version.clone());
                if known != version {
                    return Err(format!(
                        "{member} activates {version} at {position}, another {known}"
                    ));
                }
                Ok(())
            }
            Work::Reads { .. } | Work::ExpectJson { .. } | Work::Closed { .. } => Ok(()),
        }
    }

    fn applied(
        &mut self,
        member: MemberId,
        position: Position,
        time: OrderedTime,
        requests: &[Executable],
    ) -> Opinion {
        let last = self.delivered.insert(member, position);
        if last.is_some_and(|last| last.next() != position) {
            let last = last.unwrap_or_default();
            return Err(format!("{member} delivered {position} after {last}"));
        }
        let activates = last.is_some_and(|last| self.activations.contains_key(&last));
        if activates && self.activated.get(&member).copied() != last {
            let last = last.unwrap_or_default();
            return Err(format!("{member} does not activate at {last}, as another"));
        }
        match self.entries.get(&position) {
            None => {
                let before = self.entries.range(..position).next_back();
                if before.is_some_and(|(_, before)| before.time > time) {
                    return Err(format!("the group's time goes back at {position}"));
                }
                let requests = requests.to_vec();
                self.entries.insert(position, Entry { time, requests });
                Ok(())
            }
            Some(known) if known.time == time && known.requests == requests => Ok(()),
            Some(known) => Err(format!(
                "{member} delivered at {position} {requests:?} at {time}, another {known:?}"
            )),
        }
    }
}

/// Whether a member that has come to an activation which it cannot follow may say this: nobody
/// executes for clients what is behind it (design 4.15).
pub(crate) fn stopped_says(own: &Version, said: &[Answer]) -> Opinion {
    let executed = |answer: &&Answer| match &answer.reply {
        ClientReply::Results { .. } | ClientReply::Json { .. } | ClientReply::Opened { .. } => true,
        ClientReply::Members { .. }
        | ClientReply::Declined { .. }
        | ClientReply::UpgradeAccepted { .. }
        | ClientReply::UpgradeRefused { .. }
        | ClientReply::Specified { .. }
        | ClientReply::SpecifyRefused { .. }
        | ClientReply::Status { .. } => false,
    };
    match said.iter().find(executed) {
        None => Ok(()),
        Some(answer) => Err(format!(
            "a member of {own} executes behind an activation that it cannot follow: {:?}",
            answer.reply
        )),
    }
}
