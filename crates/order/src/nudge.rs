//! The nudge: which member campaigns when the leader is gone.
//!
//! Ticks are off, so nobody campaigns by itself. When the leader is lost, the live voters tell each
//! other how far their logs reach; the most advanced one campaigns, and after a pause the next one,
//! until there is a leader. The choice is a function of what was said and of the term: two that
//! collide are in the same term afterwards, and agree on who goes next.

use std::collections::BTreeMap;
use std::time::Duration;

use wire::{MemberId, Time};

/// How long the live voters wait for each other's reach, and then for each candidate: several
/// round trips of a local network, far below what a client would notice.
pub(crate) const PAUSE: Duration = Duration::from_millis(15);

/// How far a member's log reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The term of its last entry.
    pub last_term: u64,
    /// The index of its last entry.
    pub last_index: u64,
    /// The member's current term.
    pub term: u64,
}

pub(crate) struct Nudge {
    pub(crate) deadline: Time,
    /// The term that the candidates below are for.
    term: u64,
    /// Who is first in this term, as a place among the live voters.
    first: u64,
    /// How many candidates have had their pause in this term.
    round: u64,
    told: bool,
    reaches: BTreeMap<MemberId, Reach>,
}

impl Nudge {
    pub(crate) fn new(now: Time, term: u64) -> Nudge {
        Nudge {
            deadline: now.after(PAUSE),
            term,
            first: 0,
            round: 0,
            told: false,
            reaches: BTreeMap::new(),
        }
    }

    /// True once in a term: whether the others still have to be told how far this member's log reaches.
    pub(crate) fn tell(&mut self) -> bool {
        !std::mem::replace(&mut self.told, true)
    }

    pub(crate) fn heard(&mut self, member: MemberId, reach: Reach) {
        self.reaches.insert(member, reach);
    }

    /// Somebody campaigned in this term, and has a pause to win. If nobody does, all begin again at
    /// the same place, and tell each other again, so that they also rank each other alike.
    pub(crate) fn renew(&mut self, now: Time, term: u64) {
        if term > self.term {
            (self.term, self.first, self.round) = (term, term, 0);
            self.deadline = now.after(PAUSE);
            self.told = false;
        }
    }

    /// Whether this member campaigns now. `live` are the voters that are not known to be silent.
    pub(crate) fn campaigns(&mut self, now: Time, me: MemberId, live: &[MemberId]) -> bool {
        let all = live.iter().all(|member| self.reaches.contains_key(member));
        let late = now >= self.deadline;
        let at_once = all && self.round == 0 && self.first == 0;
        if !late && !at_once {
            return false;
        }
        let ranked = ranked(&self.reaches, live);
        let at = (self.first + self.round) % (ranked.len().max(1) as u64);
        let candidate = usize::try_from(at)
            .ok()
            .and_then(|at| ranked.get(at).copied());
        self.round += 1;
        self.deadline = now.after(PAUSE);
        candidate == Some(me)
    }
}

/// The live voters, the most advanced first; of equals the eldest. Unheard ones come last.
fn ranked(reaches: &BTreeMap<MemberId, Reach>, live: &[MemberId]) -> Vec<MemberId> {
    let mut ranked = live.to_vec();
    let log = |reach: &Reach| (reach.last_term, reach.last_index);
    ranked.sort_by_key(|member| (std::cmp::Reverse(reaches.get(member).map(log)), *member));
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> MemberId {
        MemberId::new(number).expect("not zero")
    }

    fn candidates(reaches: &[(u64, u64, u64)], live: &[u64], me: u64, times: &[u64]) -> Vec<bool> {
        let mut nudge = Nudge::new(Time(0), 5);
        for &(member, last_term, last_index) in reaches {
            nudge.heard(
                id(member),
                Reach {
                    last_term,
                    last_index,
                    term: last_term,
                },
            );
        }
        let live: Vec<_> = live.iter().map(|&member| id(member)).collect();
        times
            .iter()
            .map(|&at| nudge.campaigns(Time(at), id(me), &live))
            .collect()
    }

    #[test]
    fn the_most_advanced_log_campaigns_at_once_when_all_have_spoken() {
        let reaches = [(1, 2, 9), (2, 3, 4), (3, 2, 10)];
        assert_eq!(candidates(&reaches, &[1, 2, 3], 2, &[1]), [true]);
        assert_eq!(candidates(&reaches, &[1, 2, 3], 3, &[1]), [false]);
    }

    #[test]
    fn the_eldest_of_equals_campaigns() {
        let reaches = [(4, 2, 9), (3, 2, 9)];
        assert_eq!(candidates(&reaches, &[3, 4], 3, &[1]), [true]);
        assert_eq!(candidates(&reaches, &[3, 4], 4, &[1]), [false]);
    }

    #[test]
    fn the_next_one_campaigns_after_a_pause() {
        let reaches = [(1, 2, 9), (2, 2, 8)];
        let pause = 15_000;
        assert_eq!(
            candidates(
                &reaches,
                &[1, 2],
                2,
                &[1, 2, 1 + pause, 2 + 2 * pause, 3 + 3 * pause]
            ),
            [false, false, true, false, true]
        );
    }

    /// Two that always campaigned at the same time would never elect anybody.
    #[test]
    fn after_a_collision_they_agree_on_who_goes_next() {
        let live = [id(1), id(2)];
        let [mut one, mut other] = [0, 14_000].map(|at| {
            let mut nudge = Nudge::new(Time(at), 5);
            for member in live {
                let reach = Reach {
                    last_term: 5,
                    last_index: 9,
                    term: 5,
                };
                nudge.heard(member, reach);
            }
            nudge
        });
        for term in 6..12 {
            let at = Time(term * 100_000);
            one.renew(at, term);
            other.renew(at, term);
            assert!(one.tell() && other.tell());
            assert!(!one.campaigns(at, id(1), &live) && !other.campaigns(at, id(2), &live));
            let later = at.after(PAUSE);
            let campaigns = [
                one.campaigns(later, id(1), &live),
                other.campaigns(later, id(2), &live),
            ];
            assert!(campaigns == [true, false] || campaigns == [false, true]);
        }
    }

    #[test]
    fn who_has_not_spoken_is_not_waited_for_longer_than_a_pause() {
        assert_eq!(
            candidates(&[(1, 2, 9)], &[1, 2], 1, &[1, 15_001]),
            [false, true]
        );
    }

    /// Three voters, each with any of four logs or unheard: whoever heard the same ranks them alike, so
    /// that in each pause exactly one campaigns, in as many pauses as there are voters each once, and
    /// of the first term nobody before one with a shorter log.
    #[test]
    fn each_pause_has_one_candidate_and_each_voter_its_pause() {
        let live = [1, 2, 3].map(id);
        let logs = [None, Some((1, 1)), Some((1, 2)), Some((2, 1)), Some((2, 2))];
        for code in 0..125_usize {
            let log = |at: usize| logs[code / 5_usize.pow(at as u32) % 5];
            for term in 5..8 {
                let mut nudges = live.map(|_| Nudge::new(Time(0), 5));
                for nudge in &mut nudges {
                    for (at, member) in live.into_iter().enumerate() {
                        if let Some((last_term, last_index)) = log(at) {
                            let reach = Reach {
                                last_term,
                                last_index,
                                term: 5,
                            };
                            nudge.heard(member, reach);
                        }
                    }
                    nudge.renew(Time(0), term);
                }
                let mut candidates = Vec::new();
                for pause in 1..=3 {
                    let now = Time(pause * 15_000);
                    let campaigns = nudges.iter_mut().zip(live).enumerate();
                    let campaigns = campaigns.filter_map(|(at, (nudge, me))| {
                        nudge.campaigns(now, me, &live).then_some(at)
                    });
                    let campaigns: Vec<usize> = campaigns.collect();
                    assert_eq!(campaigns.len(), 1, "{code} {term}");
                    candidates.extend(campaigns);
                }
                let ranked = candidates
                    .windows(2)
                    .all(|pair| log(pair[0]) >= log(pair[1]));
                assert!(term > 5 || ranked, "{code}: {candidates:?}");
                candidates.sort_unstable();
                assert_eq!(candidates, [0, 1, 2], "{code} {term}");
            }
        }
    }
}
