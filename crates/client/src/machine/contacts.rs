//! Whom a client may speak to: what it was given at first, and the members since.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use wire::list::List;
use wire::peer::Contact;
use wire::{Position, Time};

/// The pause before an address that failed is tried again; it doubles with each failure in a row.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause: a group that comes back is found this soon.
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// The pause before a member that declined is asked again; it doubles while it goes on declining. A
/// group that changes its leader is back in milliseconds.
const DECLINED_MIN: Duration = Duration::from_millis(2);
/// The longest of these pauses: without a majority a group has nothing to say for long.
const DECLINED_MAX: Duration = Duration::from_millis(64);

#[derive(Debug)]
pub(super) struct Contacts {
    /// What the client was given.
    first: Vec<SocketAddr>,
    view: Position,
    /// By seniority; empty until a member has said who they are.
    members: Vec<Contact>,
    /// Spreads clients over the members.
    nonce: u64,
    marks: BTreeMap<SocketAddr, Mark>,
}

/// What is held against an address.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    /// Connections that failed or broke, in a row.
    failures: u32,
    /// Times that it declined soon after its pause for declining.
    declines: u32,
    /// Not to be dialled, nor to be sent anything, before.
    rest_until: Time,
    /// It owes answers: others are preferred until then.
    silent_until: Time,
}

impl Contacts {
    pub(super) fn new(first: Vec<SocketAddr>, nonce: u64) -> Contacts {
        Contacts {
            first,
            view: Position(0),
            members: Vec::new(),
            nonce,
            marks: BTreeMap::new(),
        }
    }

    /// Whether the list changed. One that is older than the known one does not replace it.
    pub(super) fn learn(&mut self, view: Position, members: &List<Contact>) -> bool {
        if members.is_empty() || view < self.view {
            return false;
        }
        self.view = view;
        if members.iter().eq(self.members.iter().cloned()) {
            return false;
        }
        self.members = members.iter().collect();
        // What a member declined before says nothing of it now.
        for member in self.members.iter().filter(|member| member.takes_requests) {
            if let Some(mark) = self.marks.get_mut(&member.address)
                && mark.failures == 0
            {
                mark.rest_until = Time(0);
                mark.declines = 0;
            }
        }
        let (members, first) = (&self.members, &self.first);
        self.marks.retain(|address, _| {
            first.contains(address) || members.iter().any(|member| member.address == *address)
        });
        true
    }

    /// Nobody was connected for a while: the group may have begun anew, with views from the start.
    pub(super) fn forget_view(&mut self) {
        self.view = Position(0);
    }

    pub(super) fn is_known(&self) -> bool {
        !self.members.is_empty()
    }

    pub(super) fn members(&self) -> &[Contact] {
        &self.members
    }

    fn has_failed(&self, address: SocketAddr) -> bool {
        self.marks
            .get(&address)
            .is_some_and(|mark| mark.failures > 0)
    }

    /// A connection failed or broke.
    pub(super) fn failed(&mut self, now: Time, address: SocketAddr) {
        let mark = self.marks.entry(address).or_default();
        let pause = PAUSE_MIN * 2_u32.pow(mark.failures.min(8));
        mark.failures = mark.failures.saturating_add(1);
        mark.rest_until = now.after(pause.min(PAUSE_MAX));
    }

    /// A member answered as one.
    pub(super) fn reached(&mut self, address: SocketAddr) {
        self.marks.remove(&address);
    }

    /// It takes no requests now: nothing is sent there for a moment.
    pub(super) fn declined(&mut self, now: Time, address: SocketAddr) {
        let mark = self.marks.entry(address).or_default();
        // What else was on its way there is declined for the same reason.
        if now < mark.rest_until {
            return;
        }
        let again = now < mark.rest_until.after(DECLINED_MAX);
        mark.declines = if again { mark.declines + 1 } else { 0 };
        let pause = DECLINED_MIN * 2_u32.pow(mark.declines.min(8));
        mark.rest_until = now.after(pause.min(DECLINED_MAX));
    }

    /// It owes answers: others are preferred until then.
    pub(super) fn silent(&mut self, address: SocketAddr, until: Time) {
        self.marks.entry(address).or_default().silent_until = until;
    }

    /// Until when nothing is to be dialled or sent there, if that lies ahead.
    pub(super) fn rests(&self, now: Time, address: SocketAddr) -> Option<Time> {
        let mark = self.marks.get(&address)?;
        (now < mark.rest_until).then_some(mark.rest_until)
    }

    pub(super) fn is_silent(&self, now: Time, address: SocketAddr) -> bool {
        let mark = self.marks.get(&address);
        mark.is_some_and(|mark| now < mark.silent_until)
    }

    /// Whom to use, best first: the members that take requests, from this client's own place in
    /// their list on; when none of them can be reached, all members, then the first contacts.
    pub(super) fn usable(&self) -> Vec<SocketAddr> {
        let takes = |takes: bool| {
            let members = self.members.iter();
            let chosen = members.filter(move |member| member.takes_requests == takes);
            self.rotated(chosen.map(|member| member.address).collect())
        };
        let mut usable = takes(true);
        if usable.iter().all(|&address| self.has_failed(address)) {
            usable.extend(takes(false));
        }
        if usable.iter().all(|&address| self.has_failed(address)) {
            for address in self.rotated(self.first.clone()) {
                if !usable.contains(&address) {
                    usable.push(address);
                }
            }
        }
        usable
    }

    /// The members that are not among the usable: they cannot be asked, and know the views.
    pub(super) fn others(&self, usable: &[SocketAddr]) -> Vec<SocketAddr> {
        let members = self.members.iter().map(|member| member.address);
        self.rotated(
            members
                .filter(|address| !usable.contains(address))
                .collect(),
        )
    }

    fn rotated(&self, mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        if !addresses.is_empty() {
            let start = self.nonce % addresses.len() as u64;
            addresses.rotate_left(usize::try_from(start).expect("smaller than a length"));
        }
        addresses
    }
}
