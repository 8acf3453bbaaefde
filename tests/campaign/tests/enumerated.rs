//! Every fault on every role at every step of an upgrade and of a recovery, in groups of three and
//! five: enumerated, not sampled.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use campaign::ledger;
use remex::Version;
use simulator::{Fault, Installation, Load, Phase, Plan, Role, Strike, Upgrade, When, exists};

/// What everybody must bear at every step.
const FAULTS: [Fault; 5] = [
    Fault::Crash,
    Fault::Pause(700),
    Fault::Isolate(700),
    Fault::Slow(500),
    Fault::Forget,
];

/// A step may be over between two looks at it: then the same is done with other chance.
const TRIES: u64 = 12;

fn plan(members: u32, fault: Fault, role: Role, phase: Phase, seed: u64) -> Plan {
    let mut strikes = Vec::new();
    if matches!(
        phase,
        Phase::RecoveryStart | Phase::RecoveryTransfer | Phase::RecoveryCatchUp
    ) {
        // There is nothing to recover before somebody is gone.
        strikes.push(Strike {
            when: When::At(100),
            role: Role::Member,
            fault: Fault::Crash,
        });
    }
    strikes.push(Strike {
        when: When::On(phase),
        role,
        fault,
    });
    Plan {
        seed,
        members,
        hosts: members + 2,
        minimal: u32::from(members > 1),
        load: Load {
            bursts: 1,
            sessions: 4,
            every_ms: 25,
            singles: 1,
        },
        upgrades: vec![Upgrade {
            patience_ms: 1_000,
            ..Upgrade::to(Version::new(2, 0, 0), 200)
        }],
        wishes: Vec::new(),
        strikes,
        reckless: false,
    }
}

/// Whether this step was ever hit so; nothing may be found, hit or not.
fn tried(
    installation: &Installation,
    members: u32,
    (fault, role, phase): (Fault, Role, Phase),
) -> bool {
    (1..=TRIES).any(|seed| {
        let plan = plan(members, fault, role, phase, seed);
        let report = simulator::run(installation, &plan);
        if let Some(found) = &report.fault {
            panic!("{found}\nafter:\n{plan}");
        }
        report.table.of(fault, role, phase) > 0
    })
}

/// What cannot be tried in a group of so many.
fn impossible(members: u32, role: Role, phase: Phase) -> bool {
    // Of the two that are left one leads, and the other gives its state away.
    members == 3 && phase == Phase::RecoveryCatchUp && role == Role::Member
}

fn check(members: u32) {
    let installation = ledger();
    let mut wrong = Vec::new();
    for &phase in Phase::ALL {
        for &role in Role::ALL.iter().filter(|role| exists(**role, phase)) {
            for fault in FAULTS {
                let possible = !impossible(members, role, phase);
                if tried(&installation, members, (fault, role, phase)) != possible {
                    wrong.push(format!("{fault} {role} in {phase}"));
                }
            }
        }
    }
    let text = wrong.join("\n");
    assert!(
        wrong.is_empty(),
        "never tried, or thought impossible:\n{text}"
    );
}

#[test]
fn a_group_of_three_bears_every_fault_at_every_step() {
    check(3);
}

#[test]
fn a_group_of_five_bears_every_fault_at_every_step() {
    check(5);
}
