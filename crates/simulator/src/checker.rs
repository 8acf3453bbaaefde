//! The judges: what members and clients saw must fit one history.

use std::collections::BTreeMap;

use replica::Work;
use wire::{MemberId, Position};

/// Everything that was seen, and the first thing that does not fit.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    /// What stands at each position, as the first member delivered it.
    order: BTreeMap<Position, String>,
    /// The last position that each member delivered.
    delivered: BTreeMap<MemberId, Position>,
    /// Each view, as the first member installed it.
    views: BTreeMap<Position, Vec<MemberId>>,
    /// The tag at each place, as replies said.
    places: BTreeMap<u64, u64>,
    /// The highest place that a client has heard of, and one more.
    heard: u64,
    /// Replies that showed the new behaviour.
    marked: u64,
    activated: bool,
    fault: Option<String>,
}

impl Checker {
    pub(crate) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    pub(crate) fn fail(&mut self, fault: String) {
        self.fault.get_or_insert(fault);
    }

    /// The same at the same position on all members, and no gap at any.
    pub(crate) fn delivered(&mut self, member: MemberId, work: &Work) {
        if let Work::Activate { .. } = work {
            self.activated = true;
        }
        let Work::Apply {
            position,
            time,
            requests,
        } = work
        else {
            return;
        };
        if let Some(last) = self.delivered.insert(member, *position)
            && last.next() != *position
        {
            self.fail(format!("{member} delivered {position} after {last}"));
        }
        let seen = format!("{time} {requests:?}");
        let known = self.order.entry(*position).or_insert_with(|| seen.clone());
        if *known != seen {
            let fault = format!("{member} delivered at {position} {seen}, another {known}");
            self.fail(fault);
        }
    }

    /// A joiner begins here.
    pub(crate) fn begins(&mut self, member: MemberId, position: Position) {
        self.delivered.insert(member, position);
    }

    /// The same view at the same position on all members.
    pub(crate) fn view(&mut self, member: MemberId, position: Position, members: &[MemberId]) {
        let known = self
            .views
            .entry(position)
            .or_insert_with(|| members.to_vec());
        if known != members {
            let fault =
                format!("{member} has {members:?} as the view {position}, another {known:?}");
            self.fail(fault);
        }
    }

    pub(crate) fn views(&self) -> usize {
        self.views.len()
    }

    /// What a read must at least see if it begins now.
    pub(crate) fn heard(&self) -> u64 {
        self.heard
    }

    /// A client has the reply to an addition.
    pub(crate) fn added(&mut self, tag: u64, reply: &[u8]) {
        let Some((place, marked)) = parse(reply) else {
            return self.fail(format!("a reply of {} bytes", reply.len()));
        };
        self.mark(marked);
        self.heard = self.heard.max(place + 1);
        if let Some(other) = self.places.insert(place, tag)
            && other != tag
        {
            self.fail(format!("place {place} was given to {tag} and to {other}"));
        }
    }

    /// A client has the reply to a linearizable read that began when `floor` was heard of.
    pub(crate) fn counted(&mut self, floor: u64, reply: &[u8]) {
        let Some((count, marked)) = parse(reply) else {
            return self.fail(format!("a reply of {} bytes", reply.len()));
        };
        self.mark(marked);
        if count < floor {
            self.fail(format!("a read saw {count} tags after {floor} were known"));
        }
    }

    fn mark(&mut self, marked: bool) {
        self.marked += u64::from(marked);
        if marked && !self.activated {
            self.fail("a client saw the new behaviour before its activation".to_owned());
        }
    }

    pub(crate) fn marked(&self) -> u64 {
        self.marked
    }

    /// A member's state at the end: every acknowledged tag at its place, none twice.
    pub(crate) fn state(&mut self, member: MemberId, tags: &[u64]) {
        for (&place, &tag) in &self.places {
            let found = usize::try_from(place)
                .ok()
                .and_then(|place| tags.get(place));
            if found != Some(&tag) {
                self.fault.get_or_insert(format!(
                    "{member} has {found:?} at place {place}, a client was told {tag}"
                ));
            }
        }
        let mut sorted = tags.to_vec();
        sorted.sort_unstable();
        if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
            self.fail(format!("{member} has executed a request twice"));
        }
    }
}

fn parse(reply: &[u8]) -> Option<(u64, bool)> {
    let (number, mark) = reply.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*number), mark == [1]))
}
