//! The ordered state of a replica: seats, recovery, the upgrade (§3.1 to §3.4, §4.2).
//!
//! [`Ordered`] changes only by what the total order delivers, so it is the same at the same position
//! on all members, and a pure function of it and of the [`Membership`] is a decision that the whole
//! group has already taken. There is no coordinator and no memory beside it: whoever crashes, the
//! next look at the state says what is to be done and by whom. Lost proposals are made again,
//! repeated or late ones change nothing ([`Happened::Void`]).
//!
//! Who does what:
//!
//! | who | looks at | and proposes |
//! | --- | --- | --- |
//! | the eldest serving member | [`vacancy()`] | `Taken`, for a vacant seat |
//! | the member whose turn it is | [`turn()`] | `Taken`, for its own seat |
//! | the holder of an attempt | [`Ordered::seats`] | nothing: it asks the named host's daemon |
//! | the leader | [`transfers()`] | `Transfer` |
//! | the leader | [`promotion()`] | `Promote` |
//! | the leader | [`activation()`] | `Activate` |
//! | the leader | [`intruders()`] | `Remove` |
//! | the leader | its clock and the joiners' progress | `Passed`; never for a ready joiner |
//! | the leader | [`NotYet::HandOver`] | nothing: it hands over |
//!
//! Attempts end here by themselves as soon as the state shows that they are over; see [`Ended`].

mod activation;
mod admission;
mod answering;
mod donor;
mod endings;
mod figure;
mod happened;
mod history;
mod intruders;
mod invariants;
mod plan;
mod promotion;
mod recovery;
mod seat;
mod status;
mod steps;
mod survived;
#[cfg(test)]
mod tests;
mod turn;
mod upgrade;
mod wish;

use minicbor::{Decode, Encode};
use wire::daemon::{Foundation, HostRecord};
use wire::frame::{FrameError, decode_body, to_bytes};
use wire::log::SpecifyRequest;
use wire::member::{Binary, Formats, Member, Seat};
use wire::status::HistoryRecord;
use wire::{OrderedTime, Position};

use group::Membership;

pub use activation::{Activation, NotActive, activation};
pub use admission::{Admission, NotAdmitted, admission};
pub use answering::answering;
pub use donor::{NoDonor, TransferDue, donor, format_for, transfers};
pub use figure::{Doing, FigureState, doing, state};
pub use happened::{Ended, Happened, Void};
pub use intruders::intruders;
pub use invariants::{broken_by_step, broken_in_state};
pub use promotion::{HeldBack, Promotion, promotion};
pub use recovery::{NotVacant, Vacancy, vacancy};
pub use seat::{Attempt, Failure, Purpose, SeatState};
pub use status::{member_status, upgrade_status, waits};
pub use turn::{NotYet, Turn, turn};
pub use upgrade::{
    ATTEMPTS_MAX, PATIENCE_MAX_MS, PATIENCE_MIN_MS, Upgrade, UpgradeRefused, UpgradeState,
};
pub use wish::{INITIAL_MAX, NoSurplus, SpecifyRefused, Surplus, surplus};

use history::History;

/// The format of a transferred ordered state that this build writes and reads.
const FORMAT: u8 = 1;
/// The patience of recovery: several times what a start and the begin of a transfer take.
const RECOVERY_PATIENCE_MS: u64 = 10_000;
/// Of how many binaries the state formats are remembered: those of two upgrades, with hotfixes.
const KNOWN_MAX: usize = 8;

/// Seats, attempts, the upgrade and the effective version: what all members agree on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Ordered {
    /// [`FORMAT`].
    #[n(0)]
    format: u8,
    #[n(1)]
    foundation: Foundation,
    /// Whose behaviour the group shows.
    #[n(2)]
    effective: Binary,
    /// What recovery starts outside an upgrade.
    #[n(3)]
    home: Binary,
    #[cbor(n(4), with = "wire::list::exact")]
    seats: Vec<SeatState>,
    #[n(5)]
    upgrade: Option<Upgrade>,
    #[cbor(n(6), with = "wire::list::exact")]
    known: Vec<Known>,
    #[n(7)]
    history: History,
    /// The last accepted wish, and its position.
    #[n(8)]
    wish: Option<(Position, SpecifyRequest)>,
}

/// The state formats of a binary that was once admitted.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Known {
    #[n(0)]
    binary: Binary,
    #[n(1)]
    formats: Formats,
}

/// Why a transferred ordered state cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderedError {
    /// Another format.
    #[error(
        "ordered state of format {found}, this build reads {FORMAT}; upgrade over a release that reads both"
    )]
    Format {
        /// What was found.
        found: u8,
    },
    /// The bytes do not decode.
    #[error("an ordered state that does not decode: {0}")]
    Malformed(#[from] FrameError),
}

impl Ordered {
    /// The state of a new group: its founder has seat 0, all other seats are vacant.
    pub fn found(
        foundation: Foundation,
        binary: Binary,
        membership: &Membership,
        time: OrderedTime,
    ) -> Ordered {
        let count = foundation.initial.max(1);
        let hosts = u32::try_from(foundation.hosts.len()).unwrap_or(u32::MAX);
        let home = |seat: u32| if hosts == 0 { 0 } else { seat % hosts };
        let mut ordered = Ordered {
            format: FORMAT,
            seats: (0..count)
                .map(|seat| SeatState::at_home(home(seat)))
                .collect(),
            foundation,
            effective: binary.clone(),
            home: binary,
            upgrade: None,
            known: Vec::new(),
            history: History::default(),
            wish: None,
        };
        for member in &membership.view.members {
            ordered.learn(member);
            ordered.occupy(member);
        }
        let what = "the group was founded".to_owned();
        let members = history::members(&membership.view);
        ordered
            .history
            .add(membership.view.position, time, what, members);
        ordered
    }

    /// For a transfer.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }

    /// The same without what is kept for people alone: the history and the words of failures. No
    /// decision looks at it, so states that are equal without it go on alike for ever.
    #[must_use]
    pub fn without_words(&self) -> Ordered {
        let mut ordered = Ordered {
            history: History::default(),
            ..self.clone()
        };
        let failures = ordered.seats.iter_mut().filter_map(|s| s.failure.as_mut());
        failures.for_each(|failure| failure.reason.clear());
        ordered
    }

    /// From a transfer.
    ///
    /// # Errors
    /// Another format, or bytes that do not decode.
    pub fn from_bytes(bytes: &[u8]) -> Result<Ordered, OrderedError> {
        let ordered: Ordered = decode_body(bytes)?;
        if ordered.format != FORMAT {
            let found = ordered.format;
            return Err(OrderedError::Format { found });
        }
        Ok(ordered)
    }

    /// What the group was created with, as changed by the last accepted wish.
    pub fn foundation(&self) -> &Foundation {
        &self.foundation
    }

    /// The binary whose version's behaviour the group shows.
    pub fn effective(&self) -> &Binary {
        &self.effective
    }

    /// What recovery starts while no upgrade runs.
    pub fn home(&self) -> &Binary {
        &self.home
    }

    /// The running or the last upgrade.
    pub fn upgrade(&self) -> Option<&Upgrade> {
        self.upgrade.as_ref()
    }

    /// All seats that are to be filled, with their numbers.
    pub fn seats(&self) -> impl Iterator<Item = (Seat, &SeatState)> {
        self.numbered().take(self.seat_count() as usize)
    }

    /// Also those that are not wanted any more.
    fn numbered(&self) -> impl Iterator<Item = (Seat, &SeatState)> {
        (0..).map(Seat).zip(&self.seats)
    }

    /// How many seats are to be filled: `initial`.
    pub fn seat_count(&self) -> u32 {
        self.foundation.initial.max(1)
    }

    /// One seat.
    pub fn seat(&self, seat: Seat) -> Option<&SeatState> {
        self.seats.get(usize::try_from(seat.0).ok()?)
    }

    /// The host with this index, as attempts name it.
    pub fn host(&self, index: u32) -> HostRecord {
        let hosts = &self.foundation.hosts;
        let host = hosts.iter().nth(index as usize % hosts.len());
        host.expect("a remainder is below the number")
    }

    /// The attempt that runs for this seat.
    pub fn attempt(&self, seat: Seat) -> Option<&Attempt> {
        self.seat(seat)?.current()
    }

    /// How long this attempt's replica may take to appear, and how long it may make no progress:
    /// as the upgrade's request says if it starts the target, else the patience of recovery.
    pub fn patience_ms(&self, attempt: &Attempt) -> u64 {
        self.upgrade
            .as_ref()
            .filter(|upgrade| upgrade.runs() && *upgrade.target() == attempt.binary)
            .map_or(RECOVERY_PATIENCE_MS, |upgrade| upgrade.request.patience_ms)
    }

    /// The attempts that run, with their seats.
    pub fn attempts(&self) -> impl Iterator<Item = (Seat, &Attempt)> {
        self.numbered()
            .filter_map(|(seat, state)| Some((seat, state.current()?)))
    }

    /// How many turns run.
    pub fn turns(&self) -> u32 {
        let turns = self.attempts().filter(|(_, attempt)| attempt.is_turn());
        u32::try_from(turns.count()).unwrap_or(u32::MAX)
    }

    /// Whether this joiner is the one that its seat's current attempt has brought.
    pub fn is_current(&self, joiner: &Member) -> bool {
        self.seat(joiner.seat)
            .and_then(|seat| seat.current())
            .is_some_and(|attempt| attempt.joiner == Some(joiner.id))
    }

    /// The state formats of a binary, if a replica of it was admitted not long ago.
    pub fn formats(&self, binary: &Binary) -> Option<&Formats> {
        let known = self.known.iter().find(|known| known.binary == *binary)?;
        Some(&known.formats)
    }

    /// The last views and what made them, oldest first.
    pub fn history(&self) -> impl Iterator<Item = HistoryRecord> {
        self.history.records()
    }

    /// Remembers the formats of a replica's binary; forgets the longest known that is not needed.
    fn learn(&mut self, member: &Member) {
        self.known.retain(|known| known.binary != member.binary);
        self.known.push(Known {
            binary: member.binary.clone(),
            formats: member.formats.clone(),
        });
        if self.known.len() > KNOWN_MAX {
            let target = self.upgrade.as_ref().map(Upgrade::target);
            let needed = |binary: &Binary| {
                *binary == self.effective || *binary == self.home || Some(binary) == target
            };
            if let Some(at) = self.known.iter().position(|known| !needed(&known.binary)) {
                self.known.remove(at);
            }
        }
    }

    /// A member takes its seat; tries for it begin on its host from now on.
    fn occupy(&mut self, member: &Member) {
        let hosts = &self.foundation.hosts;
        let host = hosts.iter().position(|host| host.name == member.host);
        let host = host.and_then(|host| u32::try_from(host).ok());
        if let Some(state) = self.seat_mut(member.seat) {
            state.occupy(member, host);
        }
    }

    fn seat_mut(&mut self, seat: Seat) -> Option<&mut SeatState> {
        self.seats.get_mut(usize::try_from(seat.0).ok()?)
    }
}
