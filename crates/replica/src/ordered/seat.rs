//! Seats: the places that recovery keeps filled, and the attempts to fill them.
//!
//! A seat has at most one *current attempt*: one member has the right to have one replica started
//! for it, on one host, of one binary. The attempt's number fences: it rises over the whole life of
//! the seat, and only a replica of the current number is admitted. Turns and recovery use the same
//! mechanism (§3.3: "the operation uses the recovery mechanism").

use minicbor::{Decode, Encode};
use museum::Defect;
use wire::member::{Binary, Member, Seat};
use wire::{MemberId, OrderedTime};

/// The longest reason that is kept, in bytes: ordered state is part of every state transfer.
const REASON_BYTES_MAX: usize = 400;
/// How long to wait after the first failed try. Enough for a passing fault, nothing to people.
const PAUSE_FIRST_MS: u64 = 200;
/// The longest wait between two tries: a group that cannot be repaired asks a daemon this often.
const PAUSE_LONGEST_MS: u64 = 10_000;

/// What the ordered state knows of one seat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct SeatState {
    /// The number of the last attempt; 0 before the first.
    #[n(0)]
    pub(super) attempts: u32,
    /// The attempt that runs.
    #[n(1)]
    pub(super) current: Option<Attempt>,
    /// Where the last occupant ran, or the seat's home: where tries begin. An index of the
    /// foundation's hosts.
    #[n(2)]
    pub(super) host: u32,
    /// Tries that failed since the seat was last filled or an upgrade began or ended: the next try
    /// goes to the host that many places on.
    #[n(3)]
    pub(super) failed: u32,
    /// Of the running upgrade: tries of the target that failed and members at the target that
    /// died. It counts against the request's limit.
    #[n(4)]
    pub(super) against: u32,
    /// The last failure, for people and for the pause before the next try.
    #[n(5)]
    pub(super) failure: Option<Failure>,
    /// Who was last made a member for this seat.
    #[n(6)]
    pub(super) occupant: Option<Occupant>,
}

/// The right of one member to have one replica started.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Attempt {
    /// Its number, from 1; it fences.
    #[n(0)]
    pub number: u32,
    /// Who asks the daemon.
    #[n(1)]
    pub by: MemberId,
    /// Whose daemon is asked: an index of the foundation's hosts.
    #[n(2)]
    pub host: u32,
    /// What is started.
    #[n(3)]
    pub binary: Binary,
    /// Why it is started.
    #[n(4)]
    pub purpose: Purpose,
    /// When it was taken.
    #[n(5)]
    pub since: OrderedTime,
    /// The replica, once it is admitted.
    #[n(6)]
    pub joiner: Option<MemberId>,
}

/// Why a replica is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Purpose {
    /// The seat has no occupant that can serve.
    #[n(0)]
    Recovery,
    /// Its occupant's turn in the running upgrade has come.
    #[n(1)]
    Upgrade,
}

/// How the last try for a seat failed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Failure {
    /// When.
    #[n(0)]
    pub time: OrderedTime,
    /// Which try.
    #[n(1)]
    pub attempt: u32,
    /// Why, for people.
    #[n(2)]
    pub reason: String,
}

/// Who was made a member for a seat: kept, because a change tells of its removal after the fact.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Occupant {
    #[n(0)]
    pub(super) member: MemberId,
    #[n(1)]
    pub(super) binary: Binary,
}

impl SeatState {
    /// A seat that nobody has had, at home on this host.
    pub(super) fn at_home(host: u32) -> SeatState {
        SeatState {
            host,
            ..SeatState::default()
        }
    }

    /// The attempt that runs.
    pub fn current(&self) -> Option<&Attempt> {
        self.current.as_ref()
    }

    /// The number of the last attempt.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How the last try failed, if one did since the seat was last filled.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Whose daemon the next try asks: first that of the last occupant's host, then the others.
    pub(super) fn next_host(&self, hosts: usize) -> u32 {
        let hosts = u32::try_from(hosts).unwrap_or(u32::MAX).max(1);
        if museum::on(Defect::SameHostAgain) {
            return self.host % hosts;
        }
        (self.host % hosts + self.failed % hosts) % hosts
    }

    /// Before this moment the next try should not start: each failure doubles the pause.
    pub(super) fn not_before(&self) -> OrderedTime {
        let Some(failure) = &self.failure else {
            return OrderedTime(0);
        };
        let doublings = self.failed.saturating_sub(1).min(16);
        let pause = (PAUSE_FIRST_MS << doublings).min(PAUSE_LONGEST_MS);
        OrderedTime(failure.time.0.saturating_add(pause))
    }

    /// The current attempt goes on the record as failed.
    pub(super) fn fail(&mut self, time: OrderedTime, attempt: u32, reason: String) {
        self.failed = self.failed.saturating_add(1);
        self.failure = Some(Failure {
            time,
            attempt,
            reason,
        });
    }

    /// A new need begins: what failed before does not count for it.
    pub(super) fn forgive(&mut self) {
        self.failed = 0;
        self.against = 0;
        self.failure = None;
    }

    /// A replica became a member for this seat.
    pub(super) fn occupy(&mut self, member: &Member, host: Option<u32>) {
        self.failed = 0;
        self.failure = None;
        self.host = host.unwrap_or(self.host);
        self.occupant = Some(Occupant {
            member: member.id,
            binary: member.binary.clone(),
        });
    }
}

impl Attempt {
    /// Whether this attempt started this member or joiner.
    pub fn started(&self, seat: Seat, member: &Member) -> bool {
        member.seat == seat && member.attempt == self.number
    }

    /// Whether it belongs to an upgrade: its occupant's turn runs.
    pub fn is_turn(&self) -> bool {
        match self.purpose {
            Purpose::Recovery => false,
            Purpose::Upgrade => true,
        }
    }
}

/// A reason as it is kept: cut where it is longer than the ordered state bears.
pub(super) fn kept(reason: &str) -> String {
    let mut end = reason.len().min(REASON_BYTES_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(times: u32) -> SeatState {
        let mut seat = SeatState::at_home(1);
        for attempt in 1..=times {
            seat.fail(OrderedTime(1_000), attempt, "it did not start".to_owned());
        }
        seat
    }

    #[test]
    fn tries_go_round_the_hosts_beginning_at_home() {
        let hosts = |hosts| (0..4).map(move |times| failed(times).next_host(hosts));
        assert_eq!(hosts(3).collect::<Vec<_>>(), [1, 2, 0, 1]);
        assert_eq!(hosts(1).collect::<Vec<_>>(), [0; 4]);
    }

    /// Wherever it begins and whatever has failed: as many tries as there are hosts visit each once.
    #[test]
    fn every_host_is_tried_before_any_is_tried_again() {
        for hosts in 1..=5_u32 {
            for home in 0..=hosts {
                for failed in (0..8).chain([u32::MAX - hosts]) {
                    let next = |failed| {
                        let seat = SeatState {
                            failed,
                            ..SeatState::at_home(home)
                        };
                        seat.next_host(hosts as usize)
                    };
                    assert_eq!(next(0), home % hosts);
                    let mut tried: Vec<u32> = (failed..failed + hosts).map(next).collect();
                    tried.sort_unstable();
                    assert_eq!(tried, (0..hosts).collect::<Vec<_>>(), "{home} {failed}");
                }
            }
        }
    }

    #[test]
    fn each_failure_doubles_the_pause_up_to_a_bound() {
        let pauses: Vec<u64> = [0, 1, 2, 3, 40]
            .into_iter()
            .map(|times| failed(times).not_before().0)
            .collect();
        assert_eq!(pauses, [0, 1_200, 1_400, 1_800, 11_000]);
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        assert_eq!(kept("short"), "short");
        let long = "ä".repeat(REASON_BYTES_MAX);
        assert!(kept(&long).len() <= REASON_BYTES_MAX);
    }
}
