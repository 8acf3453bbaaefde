//! Many runs: plans from seeds, and the smallest plan that still fails.

use wire::Version;

use crate::plan::{Fault, Phase, Plan, Role, Strike, Upgrade, When, Wish};
use crate::random::Random;
use crate::run::run;
use crate::table::cells;
use crate::world::Installation;

/// The plan of a seed: one of the paths of upgrades, each of which must hold one that succeeds, and
/// faults. Each seed aims at a few cells of the table by turns, so that so many seeds
/// reach nearly all of them, and does more at random; a seed of [`aimed_seeds`] aims at one cell
/// and does nothing else.
pub fn random_plan(seed: u64, targets: &[Vec<Version>]) -> Plan {
    // Apart from the run's own chance, which begins with the same seed.
    let mut random = Random::new(seed ^ 0x5eed_0000_0000);
    let cells: Vec<(Fault, Role, Phase)> = cells().collect();
    let count = cells.len() as u64;
    let aimed = seed.checked_sub(AIMED);
    let aims: Vec<(Fault, Role, Phase)> = (0..if aimed.is_some() { 1 } else { AIMS })
        .map(|turn| (aimed.unwrap_or(seed) + turn * (count / AIMS)) % count)
        .filter_map(|at| cells.get(usize::try_from(at).ok()?).copied())
        .collect();
    let path = random.pick(targets);
    let mut after_ms = 200;
    let upgrades = path
        .into_iter()
        .flatten()
        .map(|to| {
            let upgrade = Upgrade {
                parallel: 1 + u32::from(random.chance(250)),
                attempts: 6,
                patience_ms: 1_000,
                contested: seed % 8 == 1,
                ..Upgrade::to(to.clone(), after_ms)
            };
            after_ms = random.range(50, 400);
            upgrade
        })
        .collect::<Vec<Upgrade>>();
    // Of three members one may be lost, and while it is recovered none; and while it is recovered
    // one of the other two leads and the other gives its state away.
    let takes_five = aims.iter().any(|(fault, role, phase)| {
        recovers(*phase)
            && (matches!(fault, Fault::Crash | Fault::PowerOff) || *role == Role::Member)
    });
    let members = if takes_five || random.chance(150) {
        5
    } else {
        3
    };
    // Now and then a turn must leave all others serving, although two might run.
    let narrow = seed.is_multiple_of(4) && upgrades.iter().any(|upgrade| upgrade.parallel > 1);
    let minimal = if narrow { members - 1 } else { 1 };
    let mut plan = Plan {
        seed,
        members,
        hosts: members + 2,
        minimal,
        upgrades,
        ..Plan::default()
    };
    if aimed.is_none() && seed % 5 == 3 {
        plan.wishes = wishes(seed, members, minimal);
    }
    for (fault, role, phase) in aims {
        if recovers(phase) {
            // There is nothing to recover before somebody is gone.
            let when = When::At(random.range(150, 300));
            let fault = Fault::Crash;
            let role = Role::Member;
            plan.strikes.push(Strike { when, role, fault });
        }
        let when = When::On(phase);
        plan.strikes.push(Strike { when, role, fault });
    }
    let more = if aimed.is_some() {
        0
    } else {
        random.range(0, 4)
    };
    for _ in 0..more {
        let when = When::At(random.range(0, 2_500));
        let role = *random.pick(Role::ALL).unwrap_or(&Role::Leader);
        let fault = *random.pick(&Fault::ALL).unwrap_or(&Fault::Crash);
        let lasts = random.range(20, 1 + 2 * fault.lasts_ms());
        let fault = fault.lasting(lasts);
        plan.strikes.push(Strike { when, role, fault });
    }
    let weather = |strike: &Strike| matches!(strike.fault, Fault::Weather(_));
    if plan.strikes.iter().any(weather) {
        plan.load.singles = SINGLES_IN_WEATHER;
    }
    plan
}

/// The plan of a seed in which survivors have to go on: groups of one, two, three and five, in which
/// processes die at every step of an upgrade. If it is `reckless`, more may die than survivors may go
/// on without, now and then a majority at once, and hosts may lose their power: then the group must
/// wait.
pub fn survivors_plan(seed: u64, targets: &[Vec<Version>], reckless: bool) -> Plan {
    let mut random = Random::new(seed ^ 0x5afe_0000_0000);
    let members = *random.pick(&[1, 2, 2, 3, 5]).unwrap_or(&2);
    let mut after_ms = random.range(0, 300);
    let upgrades = random.pick(targets).into_iter().flatten().map(|to| {
        let upgrade = Upgrade {
            parallel: 1 + u32::from(random.chance(250)),
            attempts: 6,
            patience_ms: 1_000,
            ..Upgrade::to(to.clone(), after_ms)
        };
        after_ms = 100;
        upgrade
    });
    let mut plan = Plan {
        seed,
        members,
        hosts: members + 2,
        minimal: u32::from(members > 1),
        upgrades: upgrades.collect(),
        reckless,
        ..Plan::default()
    };
    for _ in 0..random.range(2, 7) {
        let when = if random.chance(700) {
            When::On(*random.pick(Phase::ALL).unwrap_or(&Phase::Swap))
        } else {
            When::At(random.range(0, 2_000))
        };
        let role = *random.pick(Role::ALL).unwrap_or(&Role::Leader);
        let fault = match random.range(0, 10) {
            0 if reckless => Fault::PowerOff,
            0..7 => Fault::Crash,
            7 => Fault::Pause(random.range(20, 900)),
            8 => Fault::Isolate(random.range(20, 900)),
            _ => Fault::Weather(500),
        };
        plan.strikes.push(Strike { when, role, fault });
    }
    if reckless && members > 2 && random.chance(500) {
        let when = When::At(random.range(0, 2_000));
        for number in 0..=members / 2 {
            let role = if number == 0 {
                Role::Leader
            } else {
                Role::Member
            };
            let fault = Fault::Crash;
            plan.strikes.push(Strike { when, role, fault });
        }
    }
    plan
}

/// A group that grows and shrinks in the middle of everything, and ends as it began.
fn wishes(seed: u64, members: u32, minimal: u32) -> Vec<Wish> {
    let mut random = Random::new(seed ^ 0x3157_0000_0000);
    let other = *random.pick(&[1, 2, 4, 5, 6]).unwrap_or(&4);
    let wish = |members: u32, at_ms| Wish {
        members,
        minimal: minimal.min(members - 1),
        at_ms,
    };
    let first = random.range(0, 1_500);
    vec![
        wish(other, first),
        wish(members, first + random.range(0, 800)),
    ]
}

/// A message that is overtaken matters to those that ask within the millisecond that it is late: two
/// clients hardly ever do.
const SINGLES_IN_WEATHER: u32 = 4;
/// How many cells of the table each seed aims at.
const AIMS: u64 = 4;
/// From here on seeds aim at one cell each. Nobody counts that far, and clocks do not go there.
const AIMED: u64 = 1 << 40;

/// Seeds whose plans aim at this cell alone, one after the other.
pub fn aimed_seeds(cell: (Fault, Role, Phase)) -> impl Iterator<Item = u64> {
    let at = cells().position(|known| known == cell);
    let count = cells().count() as u64;
    at.into_iter()
        .flat_map(move |at| (0..).map(move |turn| AIMED + at as u64 + turn * count))
}

fn recovers(phase: Phase) -> bool {
    matches!(
        phase,
        Phase::RecoveryStart | Phase::RecoveryTransfer | Phase::RecoveryCatchUp
    )
}

/// The smallest set of faults with which the plan still fails, by leaving out one after the other.
pub fn shrink(installation: &Installation, plan: &Plan) -> Plan {
    let mut smallest = plan.clone();
    let found = |plan: &Plan| run(installation, plan).fault.map(|fault| fault.checker);
    let checker = found(plan);
    let fails = |plan: &Plan| found(plan) == checker;
    let mut at = 0;
    while at < smallest.strikes.len() {
        let mut without = smallest.clone();
        without.strikes.remove(at);
        if fails(&without) {
            smallest = without;
        } else {
            at += 1;
        }
    }
    while smallest.upgrades.len() > 1 {
        let mut without = smallest.clone();
        without.upgrades.pop();
        if !fails(&without) {
            break;
        }
        smallest = without;
    }
    smallest
}
