//! The schedule: which request starts when, in which session, and what it asks. All of it is fixed
//! before the first request: nothing depends on how fast replies come.

use ledger_v1::Reference;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A transfer.
    Write,
    /// A linearizable read of a balance.
    Read,
}

/// One request of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    /// Which, from 0.
    pub(crate) number: u64,
    /// When it starts, in microseconds after the beginning.
    pub(crate) at_us: u64,
    /// Its session.
    pub(crate) session: u32,
    /// What it is for.
    pub(crate) kind: Kind,
}

/// The whole schedule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// Requests per second.
    pub(crate) rate: u32,
    /// Sessions, which take turns.
    pub(crate) sessions: u32,
    /// Of a hundred requests, how many are transfers.
    pub(crate) writes: u32,
}

impl Schedule {
    /// The request with this number.
    pub(crate) fn planned(&self, number: u64) -> Planned {
        let session = number % u64::from(self.sessions);
        // Each session goes through the pattern of kinds, one place ahead of the one before it: all
        // have the same share of transfers, and at any time all kinds are under way.
        let place = number / u64::from(self.sessions) + session;
        let writes = |count: u64| count * u64::from(self.writes) / 100;
        Planned {
            number,
            at_us: number * 1_000_000 / u64::from(self.rate),
            session: u32::try_from(session).expect("a remainder of a u32"),
            kind: if writes(place + 1) > writes(place) {
                Kind::Write
            } else {
                Kind::Read
            },
        }
    }
}

/// A transfer as its reference determines it, so that nobody has to remember it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    /// The account that pays, from 0.
    pub(crate) from: u32,
    /// The account that receives; another one.
    pub(crate) to: u32,
    /// How much, 1 to 100.
    pub(crate) amount: u64,
}

/// The transfer with this reference among so many accounts (at least 2).
pub(crate) fn transfer(reference: Reference, accounts: u32) -> Transfer {
    let mut state = (u64::from(reference.stream) << 40) ^ reference.number;
    let mut below = |bound: u32| u32::try_from(mixed(&mut state) % u64::from(bound)).unwrap_or(0);
    let from = below(accounts);
    let to = (from + 1 + below(accounts - 1)) % accounts;
    let amount = u64::from(below(100)) + 1;
    Transfer { from, to, amount }
}

/// The account that a read asks for.
pub(crate) fn account_to_read(number: u64, accounts: u32) -> u32 {
    let mut state = number;
    u32::try_from(mixed(&mut state) % u64::from(accounts)).unwrap_or(0)
}

/// The next number of the SplitMix64 generator.
fn mixed(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULE: Schedule = Schedule {
        rate: 2000,
        sessions: 64,
        writes: 80,
    };

    #[test]
    fn requests_start_evenly_and_sessions_take_turns() {
        assert_eq!(SCHEDULE.planned(0).at_us, 0);
        assert_eq!(SCHEDULE.planned(1).at_us, 500);
        assert_eq!(SCHEDULE.planned(2000).at_us, 1_000_000);
        assert_eq!(SCHEDULE.planned(65).session, 1);
    }

    #[test]
    fn every_session_has_its_share_of_transfers() {
        for writes in [0, 20, 50, 80, 100] {
            let schedule = Schedule { writes, ..SCHEDULE };
            let mut counts = [0_u32; 64];
            for number in 0..64_000 {
                let planned = schedule.planned(number);
                counts[planned.session as usize] += u32::from(planned.kind == Kind::Write);
            }
            let share = writes * 10;
            for count in counts {
                assert!(count.abs_diff(share) <= 10, "{count} of 1000, {writes} %");
            }
        }
    }

    #[test]
    fn a_reference_determines_a_transfer_between_two_accounts() {
        for number in 1..5000 {
            let reference = Reference { stream: 3, number };
            let found = transfer(reference, 7);
            assert_eq!(found, transfer(reference, 7));
            assert!(found.from < 7 && found.to < 7 && found.from != found.to);
            assert!((1..=100).contains(&found.amount));
        }
        let other = Reference {
            stream: 4,
            number: 1,
        };
        assert_ne!(
            transfer(
                Reference {
                    stream: 3,
                    number: 1
                },
                1000
            ),
            transfer(other, 1000)
        );
    }
}
