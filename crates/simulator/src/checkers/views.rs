//! The same views at the same positions on all members (design 4.1), and none goes back.

use std::collections::BTreeMap;

use group::{Membership, View};
use wire::{MemberId, Position};

use super::Opinion;

#[derive(Debug, Default)]
pub(crate) struct Views {
    /// Each view, as the first member installed it.
    known: BTreeMap<Position, View>,
    /// The last that each member installed.
    last: BTreeMap<MemberId, Position>,
    /// Up to where the history is written into the transcript.
    pub(crate) written: Option<Position>,
}

impl Views {
    pub(crate) fn installed(&mut self, member: MemberId, membership: &Membership) -> Opinion {
        let view = &membership.view;
        let known = self
            .known
            .entry(view.position)
            .or_insert_with(|| view.clone());
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

fn ids(view: &View) -> String {
    let ids: Vec<String> = view.members.iter().map(|m| m.id.to_string()).collect();
    format!("[{}], leaving {:?}", ids.join(" "), view.leaving)
}
