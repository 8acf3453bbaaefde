//! Whom a client may speak to: what it was told at first, and the view since.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use wire::peer::Contact;
use wire::{Position, Time};

#[derive(Debug)]
pub(super) struct Contacts {
    /// What the client was given.
    first: Vec<SocketAddr>,
    view: Position,
    members: Vec<(SocketAddr, bool)>,
    /// Spreads clients over the members.
    turn: u64,
    /// Not to be dialled again before.
    failed: BTreeMap<SocketAddr, Time>,
}

impl Contacts {
    pub(super) fn new(first: Vec<SocketAddr>, nonce: u64) -> Contacts {
        Contacts {
            first,
            view: Position(0),
            members: Vec::new(),
            turn: nonce,
            failed: BTreeMap::new(),
        }
    }

    /// A list that is older than the known one changes nothing.
    pub(super) fn learn(&mut self, view: Position, members: &[Contact]) {
        if view >= self.view && !members.is_empty() {
            self.view = view;
            self.members = members
                .iter()
                .map(|m| (m.address, m.takes_requests))
                .collect();
        }
    }

    pub(super) fn is_known(&self) -> bool {
        !self.members.is_empty()
    }

    pub(super) fn all(&self) -> Vec<SocketAddr> {
        self.members.iter().map(|(address, _)| *address).collect()
    }

    pub(super) fn takes(&self, address: SocketAddr) -> bool {
        self.members.is_empty() || self.members.contains(&(address, true))
    }

    pub(super) fn takers(&self) -> usize {
        self.members.iter().filter(|(_, takes)| *takes).count()
    }

    pub(super) fn somebody_takes(&self) -> bool {
        self.takers() > 0
    }

    pub(super) fn failed(&mut self, address: SocketAddr, until: Time) {
        self.failed.insert(address, until);
    }

    /// Whom to dial now: a member that takes requests, else any member, else the first contacts;
    /// nobody that failed a moment ago.
    pub(super) fn choose(&mut self, now: Time, avoid: Option<SocketAddr>) -> Option<SocketAddr> {
        self.failed.retain(|_, until| now < *until);
        let takers = self
            .members
            .iter()
            .filter(|(_, takes)| *takes)
            .map(|(address, _)| *address);
        let members = self.members.iter().map(|(address, _)| *address);
        let groups: [Vec<SocketAddr>; 3] =
            [takers.collect(), members.collect(), self.first.clone()];
        for group in groups {
            let free: Vec<SocketAddr> = group
                .into_iter()
                .filter(|address| !self.failed.contains_key(address) && Some(*address) != avoid)
                .collect();
            if !free.is_empty() {
                self.turn = self.turn.wrapping_add(1);
                let at = self.turn % free.len() as u64;
                return usize::try_from(at)
                    .ok()
                    .and_then(|at| free.get(at))
                    .copied();
            }
        }
        None
    }

    /// When somebody may be dialled again.
    pub(super) fn next_try(&self) -> Option<Time> {
        self.failed.values().min().copied()
    }
}
