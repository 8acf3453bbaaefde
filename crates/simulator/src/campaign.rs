//! Many runs: plans from seeds, and the smallest plan that still fails.

use wire::Version;

use crate::plan::{Fault, Phase, Plan, Role, Strike, Upgrade, When};
use crate::random::Random;
use crate::run::run;
use crate::table::cells;
use crate::world::Installation;

/// The plan of a seed: an upgrade or two among `targets`, and faults. Each seed aims at a few cells
/// of the table by turns, so that so many seeds reach all of them, and does more at random.
pub fn random_plan(seed: u64, targets: &[Vec<Version>]) -> Plan {
    // Apart from the run's own chance, which begins with the same seed.
    let mut random = Random::new(seed ^ 0x5eed_0000_0000);
    let path = random.pick(targets).cloned().unwrap_or_default();
    let mut after_ms = 200;
    let upgrades = path
        .into_iter()
        .map(|to| {
            let upgrade = Upgrade {
                parallel: 1 + u32::from(random.chance(250)),
                attempts: 6,
                patience_ms: 1_000,
                ..Upgrade::to(to, after_ms)
            };
            after_ms = random.range(50, 400);
            upgrade
        })
        .collect();
    let members = if random.chance(200) { 5 } else { 3 };
    let mut plan = Plan {
        seed,
        members,
        hosts: members + 2,
        upgrades,
        ..Plan::default()
    };
    let cells: Vec<(Fault, Role, Phase)> = cells().collect();
    for turn in 0..3 {
        let count = cells.len() as u64;
        let at = (seed + turn * (count / 3)) % count;
        let (fault, role, phase) = cells[usize::try_from(at).unwrap_or(0)];
        let recovers = matches!(
            phase,
            Phase::RecoveryStart | Phase::RecoveryTransfer | Phase::RecoveryCatchUp
        );
        if recovers {
            // There is nothing to recover before somebody is gone.
            let when = When::At(random.range(150, 300));
            let fault = Fault::Crash;
            let role = Role::Member;
            plan.strikes.push(Strike { when, role, fault });
        }
        let when = When::On(phase);
        plan.strikes.push(Strike { when, role, fault });
    }
    for _ in 0..random.range(0, 4) {
        let when = When::At(random.range(0, 2_500));
        let role = *random.pick(Role::ALL).unwrap_or(&Role::Leader);
        let fault = *random.pick(&Fault::ALL).unwrap_or(&Fault::Crash);
        let lasts = random.range(20, 1 + 2 * fault.lasts_ms());
        let fault = fault.lasting(lasts);
        plan.strikes.push(Strike { when, role, fault });
    }
    plan
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
