//! The failure detector: who is heard.
//!
//! Suspicion is silence since an unanswered message, never mere idleness: a peer that was not heard
//! for a while is probed, and only a probe that stays unanswered makes it suspected. Probes are
//! answered on the members' loops, beside the service, so a slow `apply` is no silence. Certain
//! death is not decided here: an execution daemon reports it. Paper: §2 (unreliable failure
//! detectors).

use std::collections::BTreeMap;
use std::time::Duration;

use wire::{MemberId, Time};

/// A peer that was silent this long is probed.
const PROBE_AFTER: Duration = Duration::from_millis(100);
/// A probe unanswered this long makes the peer suspected: with [`PROBE_AFTER`] a silent host is
/// noticed within 300 ms, while pauses of a busy machine (20 ms, now and then 100) pass.
const SUSPECT_AFTER: Duration = Duration::from_millis(180);
/// A broken connection shortens the wait to this: the peer reconnects at once if it lives.
const UNLINKED_SUSPECT_AFTER: Duration = Duration::from_millis(50);

/// What the detector concludes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Ask this peer for a sign of life.
    Probe(MemberId),
    /// It does not answer.
    Suspect(MemberId),
    /// It was suspected, and answers.
    Trust(MemberId),
}

/// One member's failure detector for all its peers.
#[derive(Debug, Default)]
pub struct Detector {
    peers: BTreeMap<MemberId, Peer>,
}

#[derive(Debug)]
struct Peer {
    linked: bool,
    heard: Time,
    /// The oldest unanswered probe, or the moment at which the link broke.
    asked: Option<Time>,
    suspected: bool,
}

impl Detector {
    /// The peers to watch from now on. A new one is given the benefit of the doubt.
    pub fn watch(&mut self, now: Time, peers: impl IntoIterator<Item = MemberId>) {
        let mut before = std::mem::take(&mut self.peers);
        for peer in peers {
            let fresh = Peer {
                linked: false,
                heard: now,
                asked: None,
                suspected: false,
            };
            self.peers
                .insert(peer, before.remove(&peer).unwrap_or(fresh));
        }
    }

    /// Any message from a peer is a sign of life.
    pub fn heard(&mut self, now: Time, peer: MemberId, out: &mut Vec<Verdict>) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.heard = now;
            state.asked = None;
            if std::mem::replace(&mut state.suspected, false) {
                out.push(Verdict::Trust(peer));
            }
        }
    }

    /// A connection to the peer stands.
    pub fn linked(&mut self, now: Time, peer: MemberId, out: &mut Vec<Verdict>) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.linked = true;
        }
        self.heard(now, peer, out);
    }

    /// The connection to the peer broke.
    pub fn unlinked(&mut self, now: Time, peer: MemberId) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.linked = false;
            state.asked.get_or_insert(now);
        }
    }

    /// Early or repeated ticks do nothing.
    pub fn tick(&mut self, now: Time, out: &mut Vec<Verdict>) {
        for (&peer, state) in &mut self.peers {
            match state.asked {
                None if now >= state.heard.after(PROBE_AFTER) => {
                    state.asked = Some(now);
                    out.push(Verdict::Probe(peer));
                }
                Some(asked) if !state.suspected && now >= asked.after(state.patience()) => {
                    state.suspected = true;
                    state.asked = Some(now);
                    out.push(Verdict::Suspect(peer));
                }
                // A suspect is asked again and again: a heal must be noticed by both sides.
                Some(asked) if state.suspected && now >= asked.after(SUSPECT_AFTER) => {
                    state.asked = Some(now);
                    out.push(Verdict::Probe(peer));
                }
                None | Some(_) => {}
            }
        }
    }

    /// When [`Detector::tick`] has something to say at the latest.
    pub fn deadline(&self) -> Option<Time> {
        self.peers.values().map(Peer::deadline).min()
    }

    /// The peers that do not answer.
    pub fn suspects(&self) -> impl Iterator<Item = MemberId> {
        self.peers
            .iter()
            .filter(|(_, state)| state.suspected)
            .map(|(&peer, _)| peer)
    }

    /// The peers that are watched.
    pub fn watched(&self) -> impl Iterator<Item = MemberId> {
        self.peers.keys().copied()
    }

    /// Whether a connection to the peer stands.
    pub fn is_linked(&self, peer: MemberId) -> bool {
        self.peers.get(&peer).is_some_and(|state| state.linked)
    }
}

impl Peer {
    fn patience(&self) -> Duration {
        if self.linked {
            SUSPECT_AFTER
        } else {
            UNLINKED_SUSPECT_AFTER
        }
    }

    fn deadline(&self) -> Time {
        match self.asked {
            None => self.heard.after(PROBE_AFTER),
            Some(asked) if self.suspected => asked.after(SUSPECT_AFTER),
            Some(asked) => asked.after(self.patience()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000;

    fn id(number: u64) -> MemberId {
        MemberId::new(number).expect("not zero")
    }

    fn watching(peers: &[u64]) -> Detector {
        let mut detector = Detector::default();
        detector.watch(Time(0), peers.iter().map(|&peer| id(peer)));
        for &peer in peers {
            detector.linked(Time(0), id(peer), &mut Vec::new());
        }
        detector
    }

    fn at(detector: &mut Detector, ms: u64) -> Vec<Verdict> {
        let mut out = Vec::new();
        detector.tick(Time(ms * MS), &mut out);
        out
    }

    #[test]
    fn idleness_is_probed_and_not_suspected() {
        let mut detector = watching(&[2]);
        assert_eq!(at(&mut detector, 99), []);
        assert_eq!(at(&mut detector, 100), [Verdict::Probe(id(2))]);
        let mut out = Vec::new();
        detector.heard(Time(101 * MS), id(2), &mut out);
        assert_eq!(out, []);
        assert_eq!(at(&mut detector, 200), []);
        assert_eq!(at(&mut detector, 201), [Verdict::Probe(id(2))]);
    }

    #[test]
    fn an_unanswered_probe_makes_a_suspect_within_300_ms_of_silence() {
        let mut detector = watching(&[2]);
        at(&mut detector, 100);
        assert_eq!(at(&mut detector, 279), []);
        assert_eq!(at(&mut detector, 280), [Verdict::Suspect(id(2))]);
        assert_eq!(at(&mut detector, 281), []);
        assert_eq!(detector.suspects().collect::<Vec<_>>(), [id(2)]);
    }

    #[test]
    fn a_suspect_that_answers_is_trusted_again() {
        let mut detector = watching(&[2]);
        at(&mut detector, 100);
        at(&mut detector, 280);
        let mut out = Vec::new();
        detector.heard(Time(300 * MS), id(2), &mut out);
        assert_eq!(out, [Verdict::Trust(id(2))]);
        assert_eq!(detector.suspects().count(), 0);
    }

    #[test]
    fn a_broken_link_is_suspected_soon_unless_it_comes_back() {
        let mut detector = watching(&[2, 3]);
        detector.unlinked(Time(10 * MS), id(2));
        detector.unlinked(Time(10 * MS), id(3));
        detector.linked(Time(40 * MS), id(3), &mut Vec::new());
        assert_eq!(at(&mut detector, 59), []);
        assert_eq!(at(&mut detector, 60), [Verdict::Suspect(id(2))]);
    }

    #[test]
    fn the_deadline_is_the_next_moment_at_which_a_tick_speaks() {
        let mut detector = watching(&[2]);
        for _ in 0..4 {
            let deadline = detector.deadline().expect("a peer is watched");
            assert_eq!(at(&mut detector, deadline.0 / MS - 1), []);
            assert_eq!(at(&mut detector, deadline.0 / MS).len(), 1);
        }
    }

    #[test]
    fn who_is_no_longer_watched_is_forgotten() {
        let mut detector = watching(&[2]);
        at(&mut detector, 100);
        detector.watch(Time(200 * MS), [id(3)]);
        assert_eq!(at(&mut detector, 280), []);
        assert_eq!(at(&mut detector, 300), [Verdict::Probe(id(3))]);
    }
}
