//! All small situations: up to three members and two joiners, each whatever it may be. What is decided
//! in each of them must be true of what one sees there; reasons too.

use std::cmp::Ordering;

use wire::MemberId;
use wire::member::{Formats, Seat};

use super::situation::{Situation, upgrading};
use crate::ordered::{
    HeldBack, NoDonor, NotActive, NotVacant, NotYet, activation, answering, donor, format_for,
    promotion, turn, vacancy,
};

/// A member, eldest first; its id is its place, from 1.
#[derive(Clone, Copy, Debug)]
struct One {
    version: u64,
    silent: bool,
    seat: u32,
}

#[derive(Clone, Copy, Debug)]
struct Coming {
    version: u64,
    seat: u32,
    takes: Takes,
}

/// How far a joiner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Nothing,
    From(usize),
    Ready,
}

/// An upgrade from version 1 to 2, at some moment.
#[derive(Clone, Debug)]
struct Small {
    members: Vec<One>,
    leader: Option<usize>,
    leaving: Option<usize>,
    joiners: Vec<Coming>,
    activated: bool,
}

fn member(id: MemberId) -> usize {
    usize::try_from(id.number()).expect("small") - 1
}

impl Small {
    fn situation(&self) -> Situation {
        let mark = |on: bool, mark: &'static str| if on { mark } else { "" };
        let members = self.members.iter().enumerate().map(|(at, one)| {
            let (id, One { version, seat, .. }) = (at + 1, one);
            let silent = mark(one.silent, "?");
            let leads = mark(self.leader == Some(at), "*");
            let leaves = mark(self.leaving == Some(at), "-");
            format!("{id}v{version}@{seat}{silent}{leads}{leaves}")
        });
        let joiners = self.joiners.iter().zip(8..).map(|(coming, id)| {
            let Coming { version, seat, .. } = coming;
            let takes = match coming.takes {
                Takes::Nothing => String::new(),
                Takes::From(donor) => format!("<{}", donor + 1),
                Takes::Ready => "+".to_owned(),
            };
            format!("{id}v{version}@{seat}{takes}")
        });
        let (members, joiners): (Vec<_>, Vec<_>) = (members.collect(), joiners.collect());
        let situation = upgrading(&format!("{} | {}", members.join(" "), joiners.join(" ")));
        match self.activated {
            true => situation.activated(),
            false => situation,
        }
    }

    // What one sees.

    fn all(&self) -> impl Iterator<Item = usize> {
        0..self.members.len()
    }

    fn seats(&self) -> impl Iterator<Item = u32> {
        let members = self.members.iter().map(|one| one.seat);
        let joiners = self.joiners.iter().map(|coming| coming.seat);
        0..=members.chain(joiners).max().unwrap_or(0)
    }

    fn stays(&self, at: usize) -> bool {
        self.leaving != Some(at)
    }

    fn serves(&self, at: usize) -> bool {
        self.stays(at) && !self.members[at].silent
    }

    /// It serves, and has not stopped at the activation.
    fn able(&self, at: usize) -> bool {
        self.serves(at) && !(self.activated && self.members[at].version == 1)
    }

    fn old(&self, at: usize) -> bool {
        self.stays(at) && self.members[at].version == 1
    }

    fn upgraded(&self, at: usize) -> bool {
        self.members[at].version == 2
    }

    fn leads(&self, at: usize) -> bool {
        self.leader == Some(at)
    }

    fn filled(&self, seat: u32) -> bool {
        self.all()
            .any(|at| self.able(at) && self.members[at].seat == seat)
    }

    /// Somebody joins for a seat whose occupant served when that began: a turn; or did not: a repair.
    fn joins(&self, seat: u32, turn: bool) -> bool {
        let occupied = self
            .all()
            .any(|at| self.serves(at) && self.members[at].seat == seat);
        occupied == turn && self.joiners.iter().any(|coming| coming.seat == seat)
    }

    fn in_turn(&self, at: usize) -> bool {
        self.joins(self.members[at].seat, true)
    }

    fn turns(&self) -> usize {
        self.seats().filter(|seat| self.joins(*seat, true)).count()
    }

    fn gives(&self, at: usize) -> bool {
        let from = |coming: &Coming| coming.takes == Takes::From(at);
        self.joiners.iter().any(from)
    }

    fn ready(&self, seat: u32, version: u64) -> bool {
        let ready = |coming: &Coming| {
            (coming.seat, coming.version, coming.takes) == (seat, version, Takes::Ready)
        };
        self.joiners.iter().any(ready)
    }

    // What is decided.

    fn check_turn(&self, situation: &Situation, minimal: usize, parallel: usize) {
        let able = self.all().filter(|at| self.able(*at)).count();
        let free = |at: &usize| self.able(*at) && !self.in_turn(*at);
        let waits = |at: &usize| self.old(*at) && !self.in_turn(*at);
        let candidates: Vec<usize> = self.all().filter(waits).collect();
        let others = |leader: usize| self.all().filter(move |at| self.able(*at) && *at != leader);
        match turn(&situation.ordered, &situation.membership) {
            Ok(turn) => {
                let next = member(turn.by());
                let only = self
                    .members
                    .iter()
                    .filter(|one| Seat(one.seat) == turn.seat());
                assert!(self.serves(next) || only.count() > 1);
                assert!(candidates.contains(&next) && self.leaving.is_none());
                assert!(
                    self.seats()
                        .all(|seat| self.filled(seat) && !self.joins(seat, false))
                );
                let elder = |at: &&usize| **at < next && !self.leads(**at);
                assert_eq!(candidates.iter().find(elder), None);
                if self.leads(next) {
                    assert_eq!((&candidates[..], others(next).count()), (&[next][..], 0));
                }
                let left = self.all().filter(|at| free(at) && *at != next);
                assert!(left.count() >= minimal && self.turns() < parallel);
                assert!(self.leader.is_some() && turn.binary().version.0.major == 2);
            }
            Err(NotYet::NoUpgrade) => panic!("one runs"),
            Err(NotYet::Complete) => assert!(!self.all().any(|at| self.old(at))),
            Err(NotYet::Leaving { member: gone }) => {
                assert_eq!(self.leaving, Some(member(gone)));
            }
            Err(NotYet::Recovering { seat }) => {
                assert!(!self.filled(seat.0) || self.joins(seat.0, false));
            }
            Err(NotYet::NoLeader) => assert_eq!(self.leader, None),
            Err(NotYet::AllRun { first }) => {
                assert!(candidates.is_empty());
                assert_eq!(self.all().find(|at| self.old(*at)), Some(member(first)));
            }
            Err(NotYet::Parallel { turns, .. }) => {
                assert!(turns as usize == self.turns() && self.turns() >= parallel);
            }
            Err(NotYet::RedundancyTooLow { serving, turns, .. }) => {
                assert_eq!(serving, able);
                assert_eq!(serving - turns, self.all().filter(free).count());
                assert!(serving - turns <= minimal);
            }
            Err(NotYet::HandOver { leader, to }) => {
                let (leader, to) = (member(leader), member(to));
                assert!(self.leads(leader) && candidates == [leader]);
                assert!(others(leader).any(|at| at == to) && self.upgraded(to));
                let free = |at: &usize| self.upgraded(*at) && !self.gives(*at);
                assert!(!self.gives(to) || !others(leader).any(|at| free(&at)));
            }
            Err(NotYet::LeaderLast { leader }) => {
                let leader = member(leader);
                assert!(self.leads(leader) && candidates == [leader]);
                assert!(others(leader).count() > 0 && !others(leader).any(|at| self.upgraded(at)));
            }
        }
    }

    /// Which vote a joiner gets: one of its seat's, so that each seat has one in the end.
    fn check_promotion(&self, situation: &Situation) {
        let of = |id: MemberId| self.joiners[member(id) - 7];
        let is_ready = |coming: &Coming| coming.takes == Takes::Ready;
        // Without this one, nobody could go back any more.
        let last = |coming: Coming, at: usize| {
            let another = |other: usize| {
                other != at && self.old(other) && (self.able(other) || !self.able(at))
            };
            let up = coming.version == 2 && self.members[at].version == 1;
            up && !self.activated && !self.all().any(another)
        };
        match promotion(&situation.ordered, &situation.membership) {
            Ok(found) => {
                let coming = of(found.joiner());
                assert!(coming.takes == Takes::Ready && self.leaving.is_none());
                let in_seat = self
                    .all()
                    .filter(|at| self.members[*at].seat == coming.seat);
                let in_seat: Vec<usize> = in_seat.collect();
                assert_eq!(found.replaces().is_some(), !in_seat.is_empty());
                if let Some(replaced) = found.replaces().map(member) {
                    assert!(in_seat.contains(&replaced) && !last(coming, replaced));
                    let all_serve = in_seat.iter().all(|at| self.able(*at));
                    assert!(!self.able(replaced) || all_serve);
                }
            }
            Err(HeldBack::NobodyReady) => assert!(!self.joiners.iter().any(is_ready)),
            Err(HeldBack::Leaving { leaving }) => assert_eq!(self.leaving, Some(member(leaving))),
            Err(HeldBack::LastOldStays { joiner, old }) => {
                let (coming, old) = (of(joiner), member(old));
                assert!(coming.takes == Takes::Ready && last(coming, old));
            }
        }
    }

    fn check_vacancy(&self, situation: &Situation) {
        let joins = |seat: u32| self.joiners.iter().any(|coming| coming.seat == seat);
        let vacant = |seat: &u32| !self.filled(*seat);
        match vacancy(&situation.ordered, &situation.membership) {
            Ok(found) => {
                let first = self.seats().find(|seat| vacant(seat) && !joins(*seat));
                assert_eq!(Some(found.seat().0), first);
                let able = self.all().find(|at| self.able(*at));
                let by = able.or_else(|| self.all().find(|at| self.serves(*at)));
                assert_eq!(by, Some(member(found.by())));
            }
            Err(NotVacant::Full) => assert!(!self.seats().any(|seat| vacant(&seat))),
            Err(NotVacant::UnderWay { seat, .. }) => {
                assert_eq!(self.seats().find(vacant), Some(seat.0));
                assert!(self.seats().filter(vacant).all(joins));
            }
            Err(NotVacant::NobodyServes { seat }) => {
                assert!(vacant(&seat.0) && !self.all().any(|at| self.serves(at)));
            }
        }
    }

    fn check_activation(&self, situation: &Situation) {
        let filled_anew = |seat: &u32| {
            let here = |at: usize| self.serves(at) && self.upgraded(at);
            self.all()
                .any(|at| here(at) && self.members[at].seat == *seat)
        };
        let lacks: Vec<u32> = self.seats().filter(|seat| !filled_anew(seat)).collect();
        match activation(&situation.ordered, &situation.membership) {
            Ok(_) => {
                assert!(lacks.len() < 2 && lacks.iter().all(|seat| self.ready(*seat, 2)));
                assert!(self.leaving.is_none() && !self.activated);
            }
            Err(NotActive::NoUpgrade) => assert!(self.activated),
            Err(NotActive::Leaving { member: gone }) => {
                assert_eq!(self.leaving, Some(member(gone)));
            }
            Err(NotActive::NotReady { seat }) => {
                assert!(lacks.contains(&seat.0));
                assert!(lacks.len() > 1 || !self.ready(seat.0, 2));
            }
        }
    }

    /// Clients find somebody while anybody serves, and the best that there is.
    fn check_answering(&self, situation: &Situation) -> Vec<usize> {
        let answers = answering(&situation.ordered, &situation.membership);
        let answers: Vec<usize> = answers.into_iter().map(member).collect();
        let effective = if self.activated { 2 } else { 1 };
        let native = |at: &usize| self.able(*at) && self.members[*at].version == effective;
        let free = |at: &usize| !self.in_turn(*at);
        let idle = |at: &usize| native(at) && free(at) && !self.gives(*at);
        let any = |is: &dyn Fn(&usize) -> bool| self.all().any(|at| is(&at));
        let all = |is: &dyn Fn(&usize) -> bool| answers.iter().all(is);
        assert_eq!(answers.is_empty(), !any(&|at| self.serves(*at)));
        assert!(!any(&|at| self.able(*at)) || all(&|at| self.able(*at)));
        assert!(!any(&native) || all(&native));
        assert!(!any(&|at| native(at) && free(at)) || all(&free));
        if any(&idle) {
            assert_eq!(answers, self.all().filter(idle).collect::<Vec<_>>());
        }
        answers
    }

    /// Whoever gives its state to the last joiner is missed the least.
    fn check_donor(&self, situation: &Situation, answers: &[usize]) {
        let Some((coming, others)) = self.joiners.split_last() else {
            return;
        };
        let joiner = &situation
            .membership
            .joiners
            .last()
            .expect("it is there")
            .member;
        let nobody = !self.all().any(|at| self.able(at));
        let could = |at: &usize| self.able(*at) || (nobody && self.serves(*at));
        // Version 2 writes what both others read; version 3 reads nothing of version 1.
        let fits = |at: &usize| could(at) && (coming.version, self.members[*at].version) != (3, 1);
        let busy = |at: &usize| {
            let from = |other: &Coming| other.takes == Takes::From(*at);
            others.iter().any(from)
        };
        // What speaks for a donor, the most important first.
        let speaks = |at: usize| {
            let one = self.members[at];
            [
                coming.version >= one.version,
                !answers.contains(&at),
                !self.leads(at),
                one.seat == coming.seat,
            ]
        };
        match donor(&situation.ordered, &situation.membership, joiner) {
            Ok(found) => {
                let found = member(found);
                assert!(fits(&found) && !busy(&found));
                for other in self
                    .all()
                    .filter(|at| *at != found && fits(at) && !busy(at))
                {
                    let first = speaks(found).cmp(&speaks(other));
                    let younger = first == Ordering::Equal && found > other;
                    assert!(first == Ordering::Greater || younger, "{found} {other}");
                }
            }
            Err(NoDonor::NobodyServes { .. }) => assert!(!self.all().any(|at| could(&at))),
            Err(NoDonor::Formats { .. }) => {
                assert!(self.all().any(|at| could(&at)) && !self.all().any(|at| fits(&at)));
            }
            Err(NoDonor::Busy { donor, .. }) => {
                assert!(fits(&member(donor)) && self.all().filter(fits).all(|at| busy(&at)));
            }
        }
    }
}

/// Members of either version, silent or not, in these seats.
fn members(seats: &[u32]) -> Vec<Vec<One>> {
    let mut all: Vec<Vec<One>> = vec![Vec::new()];
    for &seat in seats {
        let one = |(version, silent)| One {
            version,
            silent,
            seat,
        };
        let ones = [(1, false), (1, true), (2, false), (2, true)].map(one);
        let with = |view: &Vec<One>| ones.map(|one| [&view[..], &[one]].concat());
        all = all.iter().flat_map(with).collect();
    }
    all
}

/// None, one, or two for different seats.
fn joiners(members: usize) -> Vec<Vec<Coming>> {
    let mut all = vec![Vec::new()];
    let takes = [Takes::Nothing, Takes::Ready].into_iter();
    let takes: Vec<Takes> = takes.chain((0..members).map(Takes::From)).collect();
    for seat in 0..3 {
        for version in 1..=3 {
            for &takes in &takes {
                let first = Coming {
                    version,
                    seat,
                    takes,
                };
                all.push(vec![first]);
                for seat in (0..3).filter(|other| *other != seat && version == 2) {
                    let takes = [Takes::Nothing, Takes::Ready];
                    all.extend(takes.map(|takes| {
                        let second = Coming {
                            seat,
                            takes,
                            ..first
                        };
                        vec![first, second]
                    }));
                }
            }
        }
    }
    all
}

fn any_or_none(members: usize) -> impl Iterator<Item = Option<usize>> + Clone {
    (0..members).map(Some).chain([None])
}

fn every_situation(mut look: impl FnMut(&Small)) {
    // A vacant seat, and two in one, as while a successor takes its predecessor's place.
    for seats in [&[0][..], &[0, 1], &[0, 2], &[0, 0], &[0, 1, 2], &[0, 1, 0]] {
        let joiners = joiners(seats.len());
        for members in members(seats) {
            for leader in any_or_none(seats.len()) {
                for leaving in any_or_none(seats.len()) {
                    for joiners in &joiners {
                        for activated in [false, true] {
                            look(&Small {
                                members: members.clone(),
                                leader,
                                leaving,
                                joiners: joiners.clone(),
                                activated,
                            });
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_decided_in_any_small_situation_is_true_of_it() {
    let mut situations = 0;
    every_situation(|small| {
        situations += 1;
        let mut situation = small.situation();
        let shown = Shown(small);
        small.check_promotion(&situation);
        small.check_vacancy(&situation);
        small.check_activation(&situation);
        let answers = small.check_answering(&situation);
        small.check_donor(&situation, &answers);
        for (minimal, parallel) in [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2)] {
            situation = situation.with_foundation(minimal).with_parallel(parallel);
            small.check_turn(&situation, minimal as usize, parallel as usize);
        }
        drop(shown);
    });
    assert!(situations > 100_000, "{situations}");
}

/// Tells, if a test fails, in which situation.
struct Shown<'a>(&'a Small);

impl Drop for Shown<'_> {
    #[allow(clippy::print_stderr, reason = "a failed test tells what it saw")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in {:?}", self.0);
        }
    }
}

/// All that two can read and write of three formats.
#[test]
fn a_state_is_written_in_a_format_that_both_know_or_not_at_all() {
    let some = |bits: u32| {
        let has = move |format: &u32| bits & (1 << (format - 1)) != 0;
        (1..=3).filter(has).collect::<Vec<u32>>()
    };
    for (own, writes, reads) in (1..=3)
        .flat_map(|own| (0..8).map(move |writes| (own, writes)))
        .flat_map(|(own, writes)| (0..8).map(move |reads| (own, some(writes), some(reads))))
    {
        let both = |format: &u32| writes.contains(format) && reads.contains(format);
        let formats = |writes: &[u32], reads: &[u32]| Formats {
            own,
            reads: reads.to_vec(),
            writes: writes.to_vec(),
        };
        let found = format_for(&formats(&writes, &[]), &formats(&[], &reads));
        assert_eq!(found.is_some(), (1..=3).any(|format| both(&format)));
        if let Some(found) = found {
            assert!(both(&found));
            assert!(found == own || !both(&own), "its own, if it is read");
            assert!(found == own || (found + 1..=3).all(|higher| !both(&higher)));
        }
    }
}
