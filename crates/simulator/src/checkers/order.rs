//! Total order: the same deliveries at the same positions on all members, and no position missed.

use std::collections::BTreeMap;

use replica::{Executable, Work};
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
}

impl Order {
    /// A member begins behind this position.
    pub(crate) fn begins(&mut self, member: MemberId, position: Position) {
        self.delivered.insert(member, position);
    }

    pub(crate) fn delivered(&mut self, member: MemberId, work: &Work) -> Opinion {
        match work {
            Work::Apply {
                position,
                time,
                requests,
            } => self.applied(member, *position, *time, requests),
            Work::Activate { position, version } => {
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
