//! The recipes: how a group comes to one, how it begins, and how it ends.

use std::collections::BTreeSet;

use order::{Refusal, Step};
use wire::{MemberId, Time};

use crate::stage::{Joiner, Stage};
use crate::world::{World, id};

/// Longer than the live voters wait for each other's reach.
const SILENCE: u64 = 20_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recipe {
    /// A successor takes a follower's vote.
    SwapOfFollower,
    /// A successor takes the leader's vote, which hands over in the middle.
    SwapOfLeader,
    /// A change while another one is under way, and one by a leader that has not applied everything.
    RefusedChange,
    /// The leader hands over to the youngest voter.
    HandOver,
    /// The leader hands over to the one that it takes out.
    HandOverToTheRemoved,
    /// The leader is gone.
    Nudge(Loss),
    /// The leader is gone, and others campaign at the same time.
    SplitVote(Loss),
    /// The leader is gone, and not all have the last entry that it committed.
    ShorterLog(Loss),
    /// A joiner begins out of band, and gets a vote.
    Joiner(Forgets),
}

/// How the others know that the leader is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// They are told: it is certain.
    Certain,
    /// They do not hear it any more.
    Silent,
}

/// What the leader has forgotten when the joiner begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forgets {
    Nothing,
    /// All before the joiner's state.
    Before,
    /// More than that: the joiner needs another state.
    Beyond,
}

/// Who is in the group: voters and learners.
pub(crate) type Members = (BTreeSet<MemberId>, BTreeSet<MemberId>);

fn members(voters: impl IntoIterator<Item = u64>, learners: &[u64]) -> Members {
    let voters = voters.into_iter().map(id).collect();
    (voters, learners.iter().copied().map(id).collect())
}

impl Recipe {
    /// The group as the recipe finds it: the first member leads, and all is quiet.
    pub(crate) fn prepare(self, size: u64) -> World {
        let mut world = World::of(size);
        match self {
            Recipe::SwapOfFollower | Recipe::SwapOfLeader | Recipe::RefusedChange => {
                world.join(size + 1);
            }
            Recipe::ShorterLog(_) => {
                let short = 2..2 + (size - 1) / 2;
                world.cut.extend(short.map(|short| (id(1), id(short))));
                world.propose("only a majority has it");
            }
            Recipe::HandOver
            | Recipe::HandOverToTheRemoved
            | Recipe::Nudge(_)
            | Recipe::SplitVote(_)
            | Recipe::Joiner(_) => {}
        }
        world.quiet();
        world.cut.clear();
        assert!(world.get(1).leads() && world.wire.is_empty());
        world
    }

    /// A voter at the beginning and, if all goes well, at the end.
    pub(crate) fn reader(self, size: u64) -> u64 {
        let (before, _) = self.absent(size);
        let (after, _) = self.done(size);
        let reader = before.iter().rfind(|member| after.contains(*member));
        reader.map_or(1, |member| member.number())
    }

    /// Whether its first leader is gone when it begins.
    pub(crate) fn loses_leader(self) -> bool {
        match self {
            Recipe::Nudge(_) | Recipe::SplitVote(_) | Recipe::ShorterLog(_) => true,
            Recipe::SwapOfFollower
            | Recipe::SwapOfLeader
            | Recipe::RefusedChange
            | Recipe::HandOver
            | Recipe::HandOverToTheRemoved
            | Recipe::Joiner(_) => false,
        }
    }

    /// The first things that happen.
    pub(crate) fn begin(self, stage: &mut Stage, size: u64) {
        let joiner = size + 1;
        let now = Time(stage.world.now);
        match self {
            Recipe::SwapOfFollower | Recipe::SwapOfLeader => {
                let leaver = if let Recipe::SwapOfLeader = self {
                    1
                } else {
                    size
                };
                let (joiner, leaver) = (id(joiner), id(leaver));
                let swap = Step::Swap { joiner, leaver };
                stage.change(1, swap, b"swap").unwrap();
            }
            Recipe::RefusedChange => {
                let promotion = Step::Promote(id(joiner));
                stage.change(1, promotion, b"promotion").unwrap();
                let second = stage.change(1, Step::Remove(id(size)), b"second");
                assert_eq!(second, Err(Refusal::ChangePending));
                stage.hasty = Some(Step::Remove(id(joiner)));
                stage.world.order(1).hand_over(now, id(2)).unwrap();
            }
            Recipe::HandOver => stage.world.order(1).hand_over(now, id(size)).unwrap(),
            Recipe::HandOverToTheRemoved => {
                stage.change(1, Step::Remove(id(2)), b"removal").unwrap();
                stage.world.order(1).hand_over(now, id(2)).unwrap();
            }
            Recipe::Nudge(loss) | Recipe::ShorterLog(loss) => lose_leader(stage, loss),
            Recipe::SplitVote(loss) => {
                // Each hears of those of its own half alone how far they reach.
                for (one, other) in (2..=size).flat_map(|a| (a + 1..=size).map(move |b| (a, b))) {
                    if one % 2 != other % 2 {
                        stage.break_link(id(one), id(other), SILENCE);
                    }
                }
                lose_leader(stage, loss);
            }
            Recipe::Joiner(forgets) => {
                let member = id(joiner);
                if forgets == Forgets::Beyond {
                    let world = &mut stage.world;
                    world.change(Step::Admit(member));
                    world.quiet();
                    let start = world.start_of(1);
                    world.propose("after the state");
                    world.quiet();
                    let last = world.get(1).last();
                    for number in 1..=size {
                        world.order(number).compact(last);
                    }
                    stage.begin(member, &start);
                } else {
                    stage.change(1, Step::Admit(member), b"admission").unwrap();
                }
                stage.joiner = Some(Joiner {
                    member,
                    forgets: forgets == Forgets::Before,
                    began: forgets == Forgets::Beyond,
                });
            }
        }
    }

    /// The members if the change never happened.
    pub(crate) fn absent(self, size: u64) -> Members {
        match self {
            Recipe::SwapOfFollower | Recipe::SwapOfLeader | Recipe::RefusedChange => {
                members(1..=size, &[size + 1])
            }
            Recipe::HandOver
            | Recipe::HandOverToTheRemoved
            | Recipe::Nudge(_)
            | Recipe::SplitVote(_)
            | Recipe::ShorterLog(_)
            | Recipe::Joiner(_) => members(1..=size, &[]),
        }
    }

    /// The members after it.
    pub(crate) fn done(self, size: u64) -> Members {
        match self {
            Recipe::SwapOfFollower => members((1..size).chain([size + 1]), &[]),
            Recipe::SwapOfLeader => members(2..=size + 1, &[]),
            Recipe::RefusedChange | Recipe::Joiner(_) => members(1..=size + 1, &[]),
            Recipe::HandOverToTheRemoved => members([1].into_iter().chain(3..=size), &[]),
            Recipe::HandOver | Recipe::Nudge(_) | Recipe::SplitVote(_) | Recipe::ShorterLog(_) => {
                members(1..=size, &[])
            }
        }
    }
}

fn lose_leader(stage: &mut Stage, loss: Loss) {
    stage.lost.insert(id(1));
    stage.lose(id(1), loss == Loss::Certain);
}
