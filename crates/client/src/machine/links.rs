//! Links: the connections, which of them is in use, and which stands by.
//!
//! One link is *current*: requests leave on it. A second one to another member stands by, greeted,
//! so that a failover costs no dial and the client hears of views when its member dies; best one
//! that takes requests, but any will do for that. A link that is neither goes on bringing late replies for a
//! moment and is closed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use wire::Time;

use super::contacts::Contacts;
use super::{LinkId, Output};

/// How long a dial and its greeting may take; on a working network both take a few round trips.
const DIAL_PATIENCE: Duration = Duration::from_millis(500);
/// How long a link that is not used any more may bring late replies.
const DRAIN: Duration = Duration::from_secs(1);
/// The current link and the one that stands by.
const WANTED: usize = 2;

#[derive(Debug)]
struct Link {
    address: SocketAddr,
    /// Whether the greeting is over.
    ready: bool,
    since: Time,
    /// When the last frame came.
    heard: Time,
    /// Nothing at all came while it owed answers, not even other ones.
    quiet: bool,
    /// It is not used any more, and is closed then.
    retire_at: Option<Time>,
}

#[derive(Debug)]
pub(super) struct Links {
    pub(super) contacts: Contacts,
    links: BTreeMap<LinkId, Link>,
    next: u64,
    current: Option<LinkId>,
    /// Whom requests went to last.
    last: Option<SocketAddr>,
    /// Something changed, so the links need tending.
    changed: bool,
    tend_at: Option<Time>,
    /// What went wrong last, for people.
    pub(super) fault: String,
}

/// What tending the links came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tended {
    /// Requests go to another member than before.
    pub(super) moved: bool,
    /// Links that were given up, or whose member takes no requests any more: what they have not
    /// answered goes elsewhere.
    pub(super) lost: Vec<LinkId>,
}

impl Links {
    pub(super) fn new(contacts: Contacts) -> Links {
        Links {
            contacts,
            links: BTreeMap::new(),
            next: 1,
            current: None,
            last: None,
            changed: true,
            tend_at: None,
            fault: "nobody was asked yet".to_owned(),
        }
    }

    pub(super) fn current(&self) -> Option<LinkId> {
        self.current
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.tend_at
    }

    /// The link's member, if the link is known.
    pub(super) fn address(&self, link: LinkId) -> Option<SocketAddr> {
        self.links.get(&link).map(|link| link.address)
    }

    pub(super) fn is_ready(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|link| link.ready)
    }

    pub(super) fn heard(&mut self, now: Time, link: LinkId) {
        if let Some(link) = self.links.get_mut(&link) {
            link.heard = now;
            link.quiet = false;
        }
    }

    /// The greeting is over.
    pub(super) fn welcomed(&mut self, now: Time, link: LinkId) {
        if self.links.values().all(|link| !link.ready) {
            self.contacts.forget_view();
        }
        if let Some(link) = self.links.get_mut(&link) {
            link.ready = true;
            link.since = now;
            self.contacts.reached(link.address);
            self.changed = true;
        }
    }

    /// The link is gone.
    pub(super) fn closed(&mut self, now: Time, link: LinkId, why: &str) {
        if let Some(closed) = self.links.remove(&link) {
            self.fault = format!("{}: {why}", closed.address);
            self.contacts.failed(now, closed.address);
            self.changed = true;
            if self.current == Some(link) {
                self.current = None;
            }
        }
    }

    /// Who takes requests has changed.
    pub(super) fn members_changed(&mut self) {
        self.changed = true;
    }

    /// The link's member takes no requests for now.
    pub(super) fn declined(&mut self, now: Time, link: LinkId) {
        if let Some(address) = self.address(link) {
            self.fault = format!("{address}: it takes no requests now");
            self.contacts.declined(now, address);
            self.changed = true;
        }
    }

    /// The current member owes an answer to what was sent at this time: until then another one is
    /// better, if there is one.
    ///
    /// A member that answers others may be held by the order, and keeps them when it is left; one
    /// that says nothing at all may be gone, and then everything it has must go elsewhere at once.
    pub(super) fn silent(&mut self, link: LinkId, until: Time, sent: Time) {
        if let Some(link) = self.links.get_mut(&link) {
            link.quiet = link.heard <= sent;
            self.fault = format!("{}: it does not answer", link.address);
            self.contacts.silent(link.address, until);
            self.changed = true;
        }
    }

    /// Keeps the right links, if something changed or its time has come.
    pub(super) fn tend(&mut self, now: Time, out: &mut Vec<Output>) -> Tended {
        let mut tended = Tended::default();
        if !self.changed && self.tend_at.is_none_or(|at| now < at) {
            return tended;
        }
        self.changed = false;
        self.give_up(now, &mut tended, out);
        let usable = self.contacts.usable();
        let others = self.contacts.others(&usable);
        self.dial(now, &usable, &others, out);
        let before = self.current;
        tended.moved = self.choose(now, &usable);
        if let Some(before) = before.filter(|&before| self.current != Some(before))
            && self.is_given_up(before, &usable)
        {
            tended.lost.push(before);
        }
        self.retire(now, &usable, &others);
        self.tend_at = self.next_tending(now, &usable, &others);
        tended
    }

    /// Ends links whose dial takes too long or that have drained.
    fn give_up(&mut self, now: Time, tended: &mut Tended, out: &mut Vec<Output>) {
        let late = |link: &Link| !link.ready && now >= link.since.after(DIAL_PATIENCE);
        let over = |link: &Link| late(link) || link.retire_at.is_some_and(|at| now >= at);
        let ended = self.links.iter().filter(|(_, link)| over(link));
        let ended: Vec<(LinkId, bool)> = ended.map(|(&id, link)| (id, late(link))).collect();
        for (id, late) in ended {
            if late {
                self.closed(now, id, "no welcome in time");
            } else {
                self.links.remove(&id);
            }
            tended.lost.push(id);
            out.push(Output::Close { link: id });
        }
        self.changed = false;
    }

    /// The link to this member, if there is one that is not too old to be of use.
    fn link_to(&self, address: SocketAddr) -> Option<(LinkId, &Link)> {
        let mut links = self.links.iter();
        let found = links.find(|(_, link)| link.address == address);
        found.map(|(&id, link)| (id, link))
    }

    /// Sees to it that there are links to [`WANTED`] members, best ones first.
    fn dial(
        &mut self,
        now: Time,
        usable: &[SocketAddr],
        others: &[SocketAddr],
        out: &mut Vec<Output>,
    ) {
        let mut good = 0;
        for group in [usable, others] {
            let is_good = |&&address: &&SocketAddr| {
                self.link_to(address).is_some()
                    && self.contacts.rests(now, address).is_none()
                    && !self.contacts.is_silent(now, address)
            };
            good += group.iter().filter(is_good).count();
            for &address in group {
                if good >= WANTED {
                    return;
                }
                if self.link_to(address).is_none() && self.contacts.rests(now, address).is_none() {
                    good += 1;
                    self.dial_one(now, address, out);
                }
            }
        }
    }

    fn dial_one(&mut self, now: Time, address: SocketAddr, out: &mut Vec<Output>) {
        let id = LinkId(self.next);
        self.next += 1;
        let link = Link {
            address,
            ready: false,
            since: now,
            heard: now,
            quiet: false,
            retire_at: None,
        };
        self.links.insert(id, link);
        out.push(Output::Dial { link: id, address });
    }

    /// Settles which link is current. Whether requests now go to another member than before.
    fn choose(&mut self, now: Time, usable: &[SocketAddr]) -> bool {
        let before = self.current;
        let good = |links: &Links, address: SocketAddr| {
            usable.contains(&address) && links.contacts.rests(now, address).is_none()
        };
        let stays = before
            .and_then(|link| self.address(link))
            .filter(|&address| good(self, address) && !self.contacts.is_silent(now, address));
        if stays.is_some() {
            return false;
        }
        self.current = None;
        if !self.contacts.is_known() {
            return false;
        }
        let mut second_best = None;
        for &address in usable.iter().filter(|&&address| good(self, address)) {
            let Some((id, link)) = self.link_to(address) else {
                continue;
            };
            if !link.ready {
                // The first choice of all is worth waiting for: it spreads the clients.
                if self.last.is_none() {
                    return false;
                }
                continue;
            }
            if self.contacts.is_silent(now, address) {
                second_best = second_best.or(Some(id));
                continue;
            }
            self.current = Some(id);
            break;
        }
        self.current = self.current.or(second_best);
        let chosen = self.current.and_then(|link| self.address(link));
        let moved = chosen.is_some() && self.last.is_some() && self.last != chosen;
        self.last = chosen.or(self.last);
        moved
    }

    /// Whether no answers are expected from a link that was current.
    fn is_given_up(&self, link: LinkId, usable: &[SocketAddr]) -> bool {
        let link = self.links.get(&link);
        link.is_none_or(|link| link.quiet || !usable.contains(&link.address))
    }

    /// Links beside the current one and one that stands by have a moment to drain.
    fn retire(&mut self, now: Time, usable: &[SocketAddr], others: &[SocketAddr]) {
        let mut kept: Vec<LinkId> = self.current.into_iter().collect();
        let best = usable.iter().chain(others);
        let links = best.filter_map(|&address| self.link_to(address));
        kept.extend(
            links
                .map(|(id, _)| id)
                .filter(|&id| Some(id) != self.current),
        );
        kept.truncate(WANTED);
        for (id, link) in &mut self.links {
            if kept.contains(id) || !link.ready {
                link.retire_at = None;
            } else {
                link.retire_at = link.retire_at.or(Some(now.after(DRAIN)));
            }
        }
    }

    fn next_tending(
        &self,
        now: Time,
        usable: &[SocketAddr],
        others: &[SocketAddr],
    ) -> Option<Time> {
        let links = self.links.values().filter_map(|link| {
            let patience = (!link.ready).then(|| link.since.after(DIAL_PATIENCE));
            patience.or(link.retire_at)
        });
        let members = usable.iter().chain(others);
        let rests = members.filter_map(|&address| self.contacts.rests(now, address));
        links.chain(rests).min()
    }
}
