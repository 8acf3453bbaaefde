//! What may become of a message, of its link and of those at its ends.

use wire::MemberId;

use super::{Stage, TURN};

/// A link that broke stands again at once: as soon as both sides have noticed.
const MOMENT: u64 = 1_000;
/// Longer than the order waits for any answer, and shorter than a detector takes to suspect.
const LONG: u64 = 100_000;
/// When a daemon's word of a death is there.
const NOTICE: u64 = 1_000;

/// What a message meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Its link breaks with all that is on it, in both directions, and stands again in a moment.
    Breaks,
    /// The same, and the link stands again after every patience of the order.
    BreaksForLong,
    /// Its link stands still until nothing else happens; what follows on the link waits behind it.
    Stalls,
    /// It alone comes when nothing else happens: links keep order, but of two connections, one after
    /// the other, the older one may be read last.
    Overtaken,
    /// It is the last that its sender sends.
    SenderCrashes,
    /// Its receiver crashes before it handles it.
    ReceiverCrashes,
}

impl Fault {
    pub(crate) const ALL: [Fault; 6] = [
        Fault::Breaks,
        Fault::BreaksForLong,
        Fault::Stalls,
        Fault::Overtaken,
        Fault::SenderCrashes,
        Fault::ReceiverCrashes,
    ];

    pub(crate) fn crashes(self) -> bool {
        match self {
            Fault::SenderCrashes | Fault::ReceiverCrashes => true,
            Fault::Breaks | Fault::BreaksForLong | Fault::Stalls | Fault::Overtaken => false,
        }
    }
}

/// Which message meets which fault; the first one is 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strike {
    pub(crate) message: usize,
    pub(crate) fault: Fault,
}

/// What a strike did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Struck {
    pub(crate) crashed: Option<MemberId>,
    /// What only the leader knew may be gone with it.
    pub(crate) leader_crashed: bool,
}

impl Stage {
    pub(crate) fn break_link(&mut self, a: MemberId, b: MemberId, time: u64) {
        let (a, b) = (a.min(b), a.max(b));
        self.world.cut.extend([(a, b), (b, a)]);
        self.broken.push((self.world.now + time, a, b));
        for (one, other) in [(a, b), (b, a)] {
            if let Some(node) = self.world.nodes.get_mut(&one) {
                node.order.disconnected(other);
            }
        }
    }

    /// Nothing is on its way: the next thing happens now. What is late comes when there is none, or
    /// when a detector would not wait any longer.
    pub(super) fn pass_time(&mut self) {
        let idle = !self.acted && self.world.wire.is_empty();
        let to_come = self.broken.iter().map(|(at, ..)| *at);
        let to_come = to_come.chain(self.notices.iter().map(|(at, _)| *at));
        let next = to_come.chain(self.deadline()).min();
        let late = !self.held.is_empty();
        if late && (self.world.now >= self.held_until || (idle && next.is_none())) {
            self.stalled = None;
            self.world.wire.extend(self.held.drain(..));
        } else if let Some(next) = next.filter(|_| idle) {
            self.world.now = self.world.now.max(next.saturating_sub(TURN));
        }
    }

    pub(super) fn mend_links(&mut self) {
        let due = self.world.now;
        let mended = self.broken.extract_if(.., |(at, ..)| *at <= due);
        for (_, a, b) in mended.collect::<Vec<_>>() {
            if self
                .broken
                .iter()
                .any(|(_, one, other)| (*one, *other) == (a, b))
            {
                continue;
            }
            for (one, other) in [(a, b), (b, a)] {
                self.world.cut.remove(&(one, other));
                if let Some(node) = self.world.nodes.get_mut(&one) {
                    node.order.connected();
                }
            }
        }
    }

    pub(super) fn tell(&mut self) {
        let due = self.world.now;
        for (_, gone) in self.notices.extract_if(.., |(at, _)| *at <= due) {
            self.dead.insert(gone);
            for node in self.world.nodes.values_mut() {
                node.order.dead(gone);
            }
        }
    }

    /// Counts what was sent in the last turn, and lets the one message meet its fault.
    pub(super) fn meet_fault(&mut self) {
        let mut silenced = None;
        for (from, to, output) in std::mem::take(&mut self.world.wire) {
            if silenced == Some(from) {
                continue;
            }
            if self.stalled == Some((from, to)) {
                self.held.push((from, to, output));
                continue;
            }
            self.sent += 1;
            let strike = self.strike.filter(|strike| strike.message == self.sent);
            let Some(Strike { fault, .. }) = strike else {
                self.world.wire.push_back((from, to, output));
                continue;
            };
            let victim = match fault {
                Fault::Breaks | Fault::BreaksForLong | Fault::Stalls | Fault::Overtaken => None,
                Fault::SenderCrashes => Some(from),
                Fault::ReceiverCrashes => Some(to),
            };
            self.struck = Some(Struck {
                crashed: victim,
                leader_crashed: victim.is_some_and(|victim| self.leaders().contains(&victim)),
            });
            match fault {
                Fault::Breaks => self.break_link(from, to, MOMENT),
                Fault::BreaksForLong => self.break_link(from, to, LONG),
                Fault::Stalls | Fault::Overtaken => {
                    self.stalled = (fault == Fault::Stalls).then_some((from, to));
                    self.held_until = self.world.now + LONG;
                    self.held.push((from, to, output));
                }
                Fault::SenderCrashes => {
                    self.world.wire.push_back((from, to, output));
                    silenced = victim;
                }
                Fault::ReceiverCrashes => {}
            }
            self.crash(victim);
        }
    }

    fn crash(&mut self, crashed: Option<MemberId>) {
        if let Some(crashed) = crashed
            && self.world.nodes.remove(&crashed).is_some()
        {
            self.notices.push((self.world.now + NOTICE, crashed));
            self.hung_up.push(crashed);
        }
    }
}
