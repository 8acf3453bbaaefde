//! Incarnations: a group goes on as a survivor's only where nobody else could, and never as two
//! (design 4.5).

use std::collections::{BTreeMap, BTreeSet};

use wire::{MemberId, Position};

use super::Opinion;

/// What is seen of one member at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) member: MemberId,
    pub(crate) incarnation: u64,
    pub(crate) view: Position,
    pub(crate) delivered: Position,
    /// Whether it leads, as far as it knows.
    pub(crate) leads: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Incarnations {
    /// Who began each incarnation but the first, and where.
    began: BTreeMap<u64, (MemberId, Position)>,
    /// The incarnation in which each member was last seen, and who had a vote there.
    last: BTreeMap<MemberId, (u64, BTreeSet<MemberId>)>,
}

impl Incarnations {
    /// `voters` are those of the member's configuration; `uncertain` is everybody of whom nobody
    /// can say for certain that he is dead or acts no more.
    pub(crate) fn looks(
        &mut self,
        seen: Seen,
        voters: BTreeSet<MemberId>,
        uncertain: &BTreeSet<MemberId>,
    ) -> Opinion {
        let Seen {
            member,
            incarnation,
            view,
            ..
        } = seen;
        let before = self.last.insert(member, (incarnation, voters));
        let Some((last, voters)) = before.filter(|(last, _)| *last < incarnation) else {
            return self.fits(seen);
        };
        if last + 1 != incarnation {
            return Err(format!("{member} skips incarnation {}", last + 1));
        }
        let others = voters.iter().filter(|voter| **voter != member);
        let could_act: Vec<String> = others
            .filter(|voter| uncertain.contains(voter))
            .map(ToString::to_string)
            .collect();
        if !could_act.is_empty() {
            return Err(format!(
                "{member} goes on alone at {view} although [{}] may still act",
                could_act.join(" ")
            ));
        }
        if let Some((other, at)) = self.began.insert(incarnation, (member, view)) {
            return Err(format!(
                "incarnation {incarnation} begins twice: by {other} at {at}, by {member} at {view}"
            ));
        }
        self.fits(seen)
    }

    /// Nobody serves in a life of the group that is over.
    pub(crate) fn fits(&self, seen: Seen) -> Opinion {
        let Seen {
            member,
            incarnation,
            delivered,
            leads,
            ..
        } = seen;
        let Some((next, at)) = self.began.get(&(incarnation + 1)) else {
            return Ok(());
        };
        if leads {
            return Err(format!(
                "{member} leads in incarnation {incarnation}, and {next} has begun the next at {at}"
            ));
        }
        if delivered >= *at {
            return Err(format!(
                "{member} has delivered {delivered} in incarnation {incarnation}, which ended at {at}"
            ));
        }
        Ok(())
    }

    /// How often a survivor has gone on.
    pub(crate) fn count(&self) -> usize {
        self.began.len()
    }
}
