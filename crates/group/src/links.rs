//! Links to peers: whom to dial when, and which connection counts.
//!
//! One connection per pair carries the order. Of two members the one with the higher id dials; the
//! lower one dials too if there is none for a while, so that a member that was removed meanwhile
//! finds out. A newer connection replaces an older one: whoever dials again has lost the old one.
//! This machine knows connections by number only.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use wire::{MemberId, Time};

/// The first pause before dialling again: short against the detector's patience with a broken link.
const REDIAL_MIN: Duration = Duration::from_millis(20);
/// The longest pause: a host that comes back is found within one.
const REDIAL_MAX: Duration = Duration::from_millis(200);
/// How long the member with the lower id waits for the other to dial.
const LOWER_WAITS: Duration = Duration::from_millis(500);
/// How long the link of a peer that left the view is kept: it hears there that it is out.
const KEPT_AFTER_LEAVING: Duration = Duration::from_secs(5);

/// All links of one member.
#[derive(Debug)]
pub struct Links {
    me: MemberId,
    peers: BTreeMap<MemberId, Peer>,
}

#[derive(Debug)]
struct Peer {
    /// Where it listens, while we want a link to it.
    wanted: Option<SocketAddr>,
    state: State,
    /// The pause before the next dial but one.
    pause: Duration,
    /// When an unwanted link is closed.
    kept_until: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Down { dial_at: Time },
    Dialling { connection: u64 },
    Up { connection: u64 },
}

impl Links {
    /// The links of `me`: none yet.
    pub fn new(me: MemberId) -> Links {
        Links {
            me,
            peers: BTreeMap::new(),
        }
    }

    /// Whom to hold links to from now on. Returns those among the new ones that had dialled us
    /// before we knew them.
    pub fn want(&mut self, now: Time, peers: &[(MemberId, SocketAddr)]) -> Vec<MemberId> {
        for (id, peer) in &mut self.peers {
            if peer.wanted.is_some() && peers.iter().all(|(wanted, _)| wanted != id) {
                peer.wanted = None;
                peer.kept_until = now.after(KEPT_AFTER_LEAVING);
            }
        }
        let mut linked = Vec::new();
        for &(id, address) in peers {
            let first = now.after(self.first_pause(id));
            let peer = self.peers.entry(id).or_insert_with(|| Peer::down(first));
            if peer.wanted.replace(address).is_none() {
                match peer.state {
                    State::Up { .. } => linked.push(id),
                    State::Down { .. } => peer.state = State::Down { dial_at: first },
                    State::Dialling { .. } => {}
                }
            }
        }
        self.forget();
        linked
    }

    /// The peers to dial now. Each is reported by [`Links::dialling`] or [`Links::down`].
    pub fn due(&self, now: Time) -> Vec<(MemberId, SocketAddr)> {
        let due = self.peers.iter().filter_map(|(&id, peer)| {
            let address = peer.wanted?;
            matches!(peer.state, State::Down { dial_at } if now >= dial_at).then_some((id, address))
        });
        due.collect()
    }

    /// A dial has begun.
    pub fn dialling(&mut self, peer: MemberId, connection: u64) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.state = State::Dialling { connection };
        }
    }

    /// A link stands, whoever dialled. Returns the connection that it replaces, and whether that
    /// was a link.
    pub fn up(&mut self, now: Time, peer: MemberId, connection: u64) -> Option<(u64, bool)> {
        let peer = self.peers.entry(peer).or_insert_with(|| Peer {
            // Somebody whose admission we have not heard of yet; soon we have, or it goes.
            kept_until: now.after(KEPT_AFTER_LEAVING),
            ..Peer::down(now)
        });
        let before = std::mem::replace(&mut peer.state, State::Up { connection });
        peer.pause = REDIAL_MIN;
        match before {
            State::Up { connection: old } => Some((old, true)),
            State::Dialling { connection: old } if old != connection => Some((old, false)),
            State::Dialling { .. } | State::Down { .. } => None,
        }
    }

    /// A connection to a peer broke or could not be made. True if it was the link.
    pub fn down(&mut self, now: Time, id: MemberId, connection: Option<u64>) -> bool {
        let lower = self.me < id;
        let Some(peer) = self.peers.get_mut(&id) else {
            return false;
        };
        let was_link = match (peer.state, connection) {
            (State::Up { connection: up }, Some(broke)) if up == broke => true,
            (State::Dialling { connection: tried }, Some(broke)) if tried == broke => false,
            (State::Down { .. }, None) => false,
            // An older connection that another has replaced.
            (State::Up { .. } | State::Dialling { .. } | State::Down { .. }, _) => return false,
        };
        let pause = if lower { LOWER_WAITS } else { peer.pause };
        peer.pause = (peer.pause * 2).min(REDIAL_MAX);
        peer.state = State::Down {
            dial_at: now.after(pause),
        };
        self.forget();
        was_link
    }

    /// The link to a peer.
    pub fn link(&self, peer: MemberId) -> Option<u64> {
        match self.peers.get(&peer)?.state {
            State::Up { connection } => Some(connection),
            State::Dialling { .. } | State::Down { .. } => None,
        }
    }

    /// Connections that nobody wants any more.
    pub fn expired(&self, now: Time) -> Vec<u64> {
        let unwanted = self
            .peers
            .values()
            .filter(|peer| peer.wanted.is_none() && now >= peer.kept_until);
        unwanted.filter_map(Peer::connection).collect()
    }

    /// When [`Links::due`] or [`Links::expired`] have something at the latest.
    pub fn deadline(&self) -> Option<Time> {
        let deadlines = self.peers.values().filter_map(|peer| match peer.state {
            State::Down { dial_at } => peer.wanted.map(|_| dial_at),
            State::Dialling { .. } | State::Up { .. } => {
                peer.wanted.is_none().then_some(peer.kept_until)
            }
        });
        deadlines.min()
    }

    fn first_pause(&self, peer: MemberId) -> Duration {
        if self.me > peer {
            Duration::ZERO
        } else {
            LOWER_WAITS
        }
    }

    fn forget(&mut self) {
        self.peers
            .retain(|_, peer| peer.wanted.is_some() || peer.connection().is_some());
    }
}

impl Peer {
    fn down(dial_at: Time) -> Peer {
        Peer {
            wanted: None,
            state: State::Down { dial_at },
            pause: REDIAL_MIN,
            kept_until: dial_at,
        }
    }

    fn connection(&self) -> Option<u64> {
        match self.state {
            State::Up { connection } | State::Dialling { connection } => Some(connection),
            State::Down { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1000;

    fn id(number: u64) -> MemberId {
        MemberId::new(number).expect("tests count from 1")
    }

    fn peer(number: u64) -> (MemberId, SocketAddr) {
        let port = u16::try_from(number).expect("tests count low");
        (id(number), SocketAddr::from(([127, 0, 0, 1], port)))
    }

    fn at(ms: u64) -> Time {
        Time(ms * MS)
    }

    /// The milliseconds at which member 2 dials `other`, if every dial fails at once.
    fn dials(other: u64, until_ms: u64) -> Vec<u64> {
        let mut links = Links::new(id(2));
        links.want(at(0), &[peer(other)]);
        let mut dials = Vec::new();
        for ms in 0..until_ms {
            for (other, _) in links.due(at(ms)) {
                dials.push(ms);
                links.dialling(other, ms);
                assert!(!links.down(at(ms), other, Some(ms)));
            }
        }
        dials
    }

    #[test]
    fn the_higher_dials_at_once_and_then_less_and_less() {
        assert_eq!(dials(1, 800), [0, 20, 60, 140, 300, 500, 700]);
    }

    #[test]
    fn the_lower_dials_after_a_while_without_a_link() {
        assert_eq!(dials(3, 1200), [500, 1000]);
    }

    #[test]
    fn a_newer_link_replaces_the_older() {
        let mut links = Links::new(id(1));
        links.want(at(0), &[peer(2)]);
        assert_eq!(links.up(at(0), id(2), 10), None);
        assert_eq!(links.up(at(1), id(2), 11), Some((10, true)));
        assert!(!links.down(at(1), id(2), Some(10)), "it counted no more");
        assert_eq!(links.link(id(2)), Some(11));
        assert!(links.down(at(2), id(2), Some(11)));
        assert_eq!(links.link(id(2)), None);
    }

    #[test]
    fn a_dial_that_crosses_an_accepted_link_is_dropped() {
        let mut links = Links::new(id(2));
        links.want(at(0), &[peer(1)]);
        links.dialling(id(1), 5);
        assert_eq!(links.up(at(0), id(1), 6), Some((5, false)));
        assert!(!links.down(at(0), id(1), Some(5)));
        assert_eq!(links.link(id(1)), Some(6));
    }

    #[test]
    fn a_leavers_link_is_kept_a_while() {
        let mut links = Links::new(id(1));
        links.want(at(0), &[peer(2)]);
        links.up(at(0), id(2), 10);
        links.want(at(100), &[]);
        assert_eq!(links.link(id(2)), Some(10));
        assert_eq!(links.deadline(), Some(at(5100)));
        assert!(links.expired(at(5099)).is_empty());
        assert_eq!(links.expired(at(5100)), [10]);
        assert!(links.down(at(5100), id(2), Some(10)));
        assert_eq!(links.deadline(), None);
    }

    #[test]
    fn whoever_dials_before_we_know_it_is_reported_once_it_is_known() {
        let mut links = Links::new(id(1));
        assert_eq!(links.up(at(0), id(4), 10), None);
        assert_eq!(links.want(at(1), &[peer(2), peer(4)]), [id(4)]);
        assert!(links.want(at(2), &[peer(2), peer(4)]).is_empty());
        assert!(links.expired(at(10_000)).is_empty());
    }
}
