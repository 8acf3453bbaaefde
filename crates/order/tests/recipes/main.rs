//! Each recipe for the engine, and each message of it lost, late, or the last that its sender sends
//! or its receiver gets: whatever happens, the group comes to rest with one leader, one history and a
//! change that is wholly done or absent.
//!
//! The spaces are small and enumerated, not sampled: a recipe runs once undisturbed, its messages are
//! counted, and then it runs again for every message and every fault.
//! `REMEX_SITUATION='HandOver of 3, quiet, message 4: Stalls'` runs one situation again.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod judge;
mod recipe;
mod stage;
#[allow(
    dead_code,
    reason = "the world of the engine's edges, of which recipes need less"
)]
#[path = "../edges/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use wire::MemberId;

use judge::Ending;
use recipe::{Forgets, Loss, Recipe};
use stage::{Fault, Load, Stage, Strike};

/// How often each fault was tried, and how often it was not, because no majority would have been
/// left to go on.
#[derive(Debug, Default)]
struct Tally {
    tried: BTreeMap<Fault, usize>,
    not_bearable: usize,
    failed: Vec<String>,
}

impl Tally {
    /// The recipe once undisturbed, then with every fault at every message.
    fn enumerate(&mut self, recipe: Recipe, size: u64, load: Load) {
        let mut stage = set(recipe, size, load, None);
        stage.rest();
        let (messages, configurations) = (stage.sent, stage.configurations());
        let lost = stage.lost.clone();
        judge::judge(&mut stage, recipe, size, Ending::Done);
        assert!(messages > 0, "{recipe:?} of {size} sends nothing");
        for fault in Fault::ALL {
            for message in 1..=messages {
                let bearable = |crashed: MemberId| {
                    configurations.iter().all(|configuration| {
                        configuration
                            .majority(|member| member != crashed && !lost.contains(&member))
                    })
                };
                let name = format!("{recipe:?} of {size}, {load:?}, message {message}: {fault:?}");
                let strike = Strike { message, fault };
                let ran = chosen(&name).then(|| {
                    catch_unwind(AssertUnwindSafe(|| {
                        one(recipe, size, load, strike, bearable)
                    }))
                });
                match ran {
                    None => {}
                    Some(Ok(true)) => *self.tried.entry(fault).or_default() += 1,
                    Some(Ok(false)) => self.not_bearable += 1,
                    Some(Err(_)) => self.failed.push(name),
                }
            }
        }
    }
}

/// One situation. False if the group could not bear it.
fn one(
    recipe: Recipe,
    size: u64,
    load: Load,
    strike: Strike,
    bearable: impl Fn(MemberId) -> bool,
) -> bool {
    let mut stage = set(recipe, size, load, Some(strike));
    let struck = stage.until_struck();
    if struck.crashed.is_some_and(|crashed| !bearable(crashed)) {
        return false;
    }
    stage.rest();
    let ending = if struck.leader_crashed {
        Ending::DoneOrAbsent
    } else {
        Ending::Done
    };
    judge::judge(&mut stage, recipe, size, ending);
    true
}

/// The stage on which the recipe has just begun.
fn set(recipe: Recipe, size: u64, load: Load, strike: Option<Strike>) -> Stage {
    let mut stage = Stage::new(recipe.prepare(size), strike);
    if recipe.loses_leader() {
        recipe.begin(&mut stage, size);
        stage.load(load, recipe.reader(size));
    } else {
        stage.load(load, recipe.reader(size));
        recipe.begin(&mut stage, size);
    }
    stage
}

fn chosen(name: &str) -> bool {
    let one = std::env::var("REMEX_SITUATION");
    one.map_or(true, |one| one == name)
}

/// Every fault at every message of this recipe, in groups of these sizes: the group bears it. There
/// are at least so many messages, and so many crashes that leave a majority.
fn check(recipe: Recipe, sizes: &[u64], messages: usize, crashes: usize) {
    let mut tally = Tally::default();
    for &size in sizes {
        for load in [Load::Quiet, Load::Busy] {
            tally.enumerate(recipe, size, load);
        }
    }
    if let Some(first) = tally.failed.first() {
        panic!(
            "{} situations fail: {:#?}\n\
             REMEX_SITUATION='{first}' cargo test -p order --test recipes runs the first again",
            tally.failed.len(),
            tally.failed,
        );
    }
    let enough = Fault::ALL.iter().all(|fault| {
        let least = if fault.crashes() { crashes } else { messages };
        tally.tried.get(fault).is_some_and(|tried| *tried >= least)
    });
    assert!(
        enough || std::env::var("REMEX_SITUATION").is_ok(),
        "{tally:?}"
    );
}

#[test]
fn a_swap_of_a_follower_is_done_or_absent_whatever_becomes_of_a_message() {
    check(Recipe::SwapOfFollower, &[2, 3, 5], 300, 240);
}

#[test]
fn a_swap_of_the_leader_is_done_or_absent_whatever_becomes_of_a_message() {
    check(Recipe::SwapOfLeader, &[1, 2, 3, 5], 750, 600);
}

#[test]
fn a_refused_change_is_never_seen_whatever_becomes_of_a_message() {
    check(Recipe::RefusedChange, &[2, 3, 5], 650, 600);
}

#[test]
fn a_hand_over_leaves_one_leader_whatever_becomes_of_a_message() {
    check(Recipe::HandOver, &[2, 3, 5], 380, 340);
    check(Recipe::HandOverToTheRemoved, &[3, 5], 95, 70);
}

#[test]
fn a_lost_leader_has_one_successor_whatever_becomes_of_a_message() {
    check(Recipe::Nudge(Loss::Certain), &[3, 5], 230, 180);
    check(Recipe::Nudge(Loss::Silent), &[3, 5], 220, 175);
}

#[test]
fn a_split_vote_ends_whatever_becomes_of_a_message() {
    check(Recipe::SplitVote(Loss::Certain), &[3, 4, 5], 450, 220);
    check(Recipe::SplitVote(Loss::Silent), &[3, 4, 5], 400, 210);
}

#[test]
fn nothing_committed_is_lost_with_a_leader_whatever_becomes_of_a_message() {
    check(Recipe::ShorterLog(Loss::Certain), &[3, 5], 245, 195);
    check(Recipe::ShorterLog(Loss::Silent), &[3, 5], 250, 200);
}

#[test]
fn a_joiner_gets_its_vote_whatever_becomes_of_a_message() {
    for forgets in [Forgets::Nothing, Forgets::Before, Forgets::Beyond] {
        check(Recipe::Joiner(forgets), &[1, 2, 3], 190, 110);
    }
}
