//! Many lives: every fault at every step, and random scripts from printed seeds.
//!
//! Whatever happened, once faults end the named duties bring the group to rest: the upgrade done or
//! given up, every seat filled. The invariants run at each step of each life.

use wire::log::{Change, Proposal, UpgradeRequest};
use wire::member::Binary;

use super::situation::{binary, foundation, hotfix, request};
use super::world::{Act, World};
use crate::ordered::UpgradeState;

/// A group that is about to be upgraded.
fn beginning(initial: u32, minimal: u32, from: Binary, asked: UpgradeRequest) -> World {
    let mut world = World::grown(foundation(initial, minimal), from);
    world.request(asked);
    world.acts.clear();
    world
}

/// Ways up, sideways and down, one turn at a time and several.
fn beginnings() -> Vec<World> {
    let parallel = |parallel, target| UpgradeRequest {
        parallel,
        ..request(target)
    };
    vec![
        beginning(3, 1, binary(1), request(binary(2))),
        beginning(3, 0, binary(1), parallel(3, binary(2))),
        beginning(3, 1, binary(2), request(binary(3))),
        beginning(3, 1, binary(1), request(hotfix(1))),
        beginning(3, 1, binary(2), request(binary(1))),
        beginning(5, 2, binary(1), parallel(2, binary(2))),
        beginning(2, 0, binary(1), request(binary(2))),
        beginning(1, 0, binary(1), request(binary(2))),
    ]
}

/// Without further faults the group comes to rest, and at rest it is whole.
fn comes_to_rest(mut world: World) -> UpgradeState {
    world.rest();
    let runs = world
        .ordered
        .upgrade()
        .is_some_and(|upgrade| upgrade.state == UpgradeState::Running);
    assert!(!runs, "the upgrade neither ends nor goes on: {world:?}");
    let seats = world.ordered.seats();
    let vacant: Vec<_> = seats
        .filter(|(seat, _)| !world.ordered.filled(&world.membership, *seat))
        .collect();
    let suspected = world.membership.view.serving().count() < world.membership.view.members.len();
    assert!(vacant.is_empty() && !suspected, "{world:?}");
    assert!(world.membership.joiners.is_empty(), "{world:?}");
    let upgrade = world.ordered.upgrade().expect("one was asked for");
    upgrade.state.clone()
}

/// Every fault at every step of an upgrade, `depth` faults in one life.
fn every_fault(world: &World, depth: u32, lives: &mut u32) {
    let mut world = world.clone();
    loop {
        if depth > 0 {
            for fault in world.faults() {
                let mut hit = world.clone();
                hit.run(fault);
                every_fault(&hit, depth - 1, lives);
            }
        }
        let Some(duty) = world.duties().into_iter().next() else {
            break;
        };
        if depth == 0 {
            break;
        }
        world.run(duty);
    }
    *lives += 1;
    comes_to_rest(world);
}

#[test]
fn an_upgrade_ends_whatever_fault_hits_it_at_any_step() {
    for world in beginnings() {
        let mut lives = 0;
        every_fault(&world, 1, &mut lives);
        assert!(lives > 5, "{lives} lives of {world:?}");
    }
}

#[test]
fn an_upgrade_ends_whatever_two_faults_hit_it_at_any_steps() {
    let mut lives = 0;
    every_fault(&beginnings()[0], 2, &mut lives);
    assert!(lives > 1_000, "{lives} lives");
}

/// The history and the words of failures are for people: without them a group wants the same.
#[test]
fn words_decide_nothing() {
    for mut world in beginnings() {
        let mut failures = 2;
        while let Some(duty) = world.duties().into_iter().next() {
            let mut wordless = world.clone();
            wordless.ordered = world.ordered.without_words();
            assert_eq!(wordless.ordered.history().count(), 0);
            assert_eq!(wordless.duties(), world.duties(), "{world:?}");
            let passed = |fault: &Act| matches!(fault, Act::Propose(Proposal::Passed { .. }));
            let fault = world.faults().into_iter().find(passed);
            let fault = fault.filter(|_| failures > 0);
            failures -= usize::from(fault.is_some());
            world.run(fault.unwrap_or(duty));
        }
    }
}

/// Numbers that follow from a seed: the splitmix64 generator.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 33).unwrap_or(0) % limit
    }
}

/// Duties in any order, late and repeated, and up to six faults.
fn random_life(seed: u64) -> UpgradeState {
    let mut numbers = Seeded(seed);
    let mut beginnings = beginnings();
    let mut world = beginnings.swap_remove(numbers.below(beginnings.len()));
    // A change waits for a majority; nothing but other changes waits for it.
    let mut change: Option<Act> = None;
    let mut late: Vec<Act> = Vec::new();
    let mut faults = 6;
    for _ in 0..150 {
        let fault = faults > 0 && numbers.below(12) == 0;
        let mut acts = if fault {
            world.faults()
        } else {
            world.duties()
        };
        acts.retain(|act| change.is_none() || matches!(act, Act::Propose(_)));
        if change.is_some() && (acts.is_empty() || numbers.below(3) == 0) {
            // A crash that the group could not bear by now is taken back.
            let mut possible = world.faults();
            possible.extend(world.duties());
            let kept = |act: &Act| !is_removal(act) || possible.contains(act);
            acts = change.take().into_iter().filter(kept).collect();
        }
        if !late.is_empty() && numbers.below(8) == 0 {
            let at = numbers.below(late.len());
            acts = vec![late.swap_remove(at)];
        }
        if acts.is_empty() {
            continue;
        }
        let at = numbers.below(acts.len());
        let act = acts.swap_remove(at);
        faults -= usize::from(fault);
        match &act {
            Act::Change(_) if numbers.below(3) == 0 && change.is_none() => change = Some(act),
            Act::Change(_) => world.run(act),
            Act::Propose(_) => {
                if numbers.below(4) == 0 {
                    late.push(act.clone());
                }
                world.run(act);
            }
        }
    }
    comes_to_rest(world)
}

fn is_removal(act: &Act) -> bool {
    matches!(act, Act::Change(Change::Remove { .. }))
}

#[test]
fn random_lives_keep_the_invariants_and_come_to_rest() {
    let (mut done, mut failed) = (0, 0);
    for seed in 0..3_000 {
        match std::panic::catch_unwind(|| random_life(seed)) {
            Ok(UpgradeState::Done) => done += 1,
            Ok(_) => failed += 1,
            Err(_) => panic!("seed {seed}"),
        }
    }
    assert!(
        done > 500 && failed > 100,
        "{done} done, {failed} failed: the lives are one-sided"
    );
}
