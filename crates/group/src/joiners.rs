//! What a leader knows of joiners beyond the ordered state: their links and how far they are.

use std::collections::{BTreeMap, BTreeSet};

use museum::Defect;
use wire::{MemberId, Position, Time};

use crate::membership::Transfer;

/// A joiner this many positions behind follows the order: less than a write's round trip of full
/// load, so that its promotion does not make the others wait.
const READY_LAG: u64 = 256;

/// How far a joiner is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of state received so far.
    pub received: u64,
    /// Up to where its service has applied; 0 while the state is still coming.
    pub applied: Position,
    /// Why it gave up.
    pub failed: Option<String>,
    /// When it said so.
    pub at: Time,
}

#[derive(Debug, Default)]
pub(crate) struct Joiners {
    links: BTreeMap<MemberId, Link>,
    progress: BTreeMap<MemberId, Progress>,
    lagging: BTreeSet<MemberId>,
}

#[derive(Debug)]
struct Link {
    link: u64,
    told: Option<Transfer>,
}

impl Joiners {
    pub(crate) fn attach(&mut self, link: u64, joiner: MemberId) {
        self.links.insert(joiner, Link { link, told: None });
    }

    pub(crate) fn on(&self, link: u64) -> Option<MemberId> {
        self.links
            .iter()
            .find(|(_, other)| other.link == link)
            .map(|(&joiner, _)| joiner)
    }

    /// The link on which this joiner must still be told of this transfer.
    pub(crate) fn to_tell(&self, joiner: MemberId, transfer: Transfer) -> Option<u64> {
        let link = self.links.get(&joiner)?;
        (link.told != Some(transfer)).then_some(link.link)
    }

    pub(crate) fn told(&mut self, joiner: MemberId, transfer: Transfer) {
        if let Some(link) = self.links.get_mut(&joiner) {
            link.told = Some(transfer);
        }
    }

    pub(crate) fn take_links(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.links)
            .into_values()
            .map(|link| link.link)
            .collect()
    }

    pub(crate) fn heard(&mut self, joiner: MemberId, progress: Progress) {
        self.progress.insert(joiner, progress);
    }

    pub(crate) fn progress(&self, joiner: MemberId) -> Option<&Progress> {
        self.progress.get(&joiner)
    }

    /// A (new) transfer begins: what was heard before belongs to another one.
    pub(crate) fn begins(&mut self, joiner: MemberId) {
        self.progress.remove(&joiner);
        self.lagging.remove(&joiner);
    }

    /// Whether the joiner has nearly all of the log and has applied nearly all of it.
    pub(crate) fn follows(
        &self,
        joiner: MemberId,
        matched: Option<Position>,
        last: Position,
        committed: Position,
    ) -> bool {
        let near = |here: Position, end: Position| here.0 + READY_LAG >= end.0;
        let applied = self
            .progress
            .get(&joiner)
            .map_or(Position(0), |progress| progress.applied);
        museum::on(Defect::PromotedWithoutState)
            || applied > Position(0)
                && near(applied, committed)
                && matched.is_some_and(|matched| matched > Position(0) && near(matched, last))
    }

    /// A joiner, or a voter, needs positions that the leader does not have.
    pub(crate) fn lags(&mut self, member: MemberId) {
        self.lagging.insert(member);
    }

    /// Another leader may have what they need.
    pub(crate) fn forget_lagging(&mut self) {
        self.lagging.clear();
    }

    pub(crate) fn lagging(&self) -> impl Iterator<Item = MemberId> {
        self.lagging.iter().copied()
    }

    /// Forgets everybody who is no joiner any more; `votes` are members.
    pub(crate) fn keep(
        &mut self,
        is_joiner: impl Fn(MemberId) -> bool,
        votes: impl Fn(MemberId) -> bool,
    ) {
        self.links.retain(|&id, _| is_joiner(id));
        self.progress.retain(|&id, _| is_joiner(id));
        self.lagging.retain(|&id| is_joiner(id) || votes(id));
    }
}
