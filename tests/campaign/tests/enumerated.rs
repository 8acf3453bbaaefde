//! Every fault on every role at every step of an upgrade and of a recovery, in groups of one, two,
//! three and five: enumerated, not sampled.
//!
//! Each ends as it must: it is borne, or more is gone than anybody may go on without, and then nothing
//! is acknowledged any more. What cannot be tried is said, and shown to be impossible.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use campaign::ledger;
use remex::Version;
use simulator::{
    Fault, Installation, Load, Phase, Plan, Report, Role, Strike, Upgrade, When, exists,
};

/// A step may be over between two looks at it: then the same is done with other chance.
const TRIES: u64 = 12;
/// How long a group that cannot go on is looked at, at the least, in virtual microseconds.
const WAITING_US: u64 = 1_900_000;

/// How a fault on a role at a step ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// The group has all its members again, and every request is answered.
    Borne,
    /// Nobody may go on, and nobody does.
    Lost,
    /// Nobody has this role at this step.
    Nobody,
}

type Cell = (Fault, Role, Phase);

fn recovers(phase: Phase) -> bool {
    matches!(
        phase,
        Phase::RecoveryStart | Phase::RecoveryTransfer | Phase::RecoveryCatchUp
    )
}

/// Whether a fault takes something away for good.
fn takes(fault: Fault) -> bool {
    matches!(fault, Fault::Crash | Fault::PowerOff)
}

fn plan(members: u32, (fault, role, phase): Cell, seed: u64, reckless: bool) -> Plan {
    let mut strikes = Vec::new();
    if recovers(phase) {
        // There is nothing to recover before somebody is gone. Of a group of one that is its
        // successor, after the activation: then its member has stopped.
        let (when, role) = match members {
            1 => (When::On(Phase::Swap), Role::New),
            _ => (When::At(100), Role::Member),
        };
        strikes.push(Strike {
            when,
            role,
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
        reckless,
    }
}

/// The first run in which this step is hit so; nothing may be found, hit or not.
fn hit(installation: &Installation, members: u32, cell: Cell, reckless: bool) -> Option<Report> {
    (1..=TRIES).find_map(|seed| {
        let plan = plan(members, cell, seed, reckless);
        let report = simulator::run(installation, &plan);
        if let Some(found) = &report.fault {
            panic!("{found}\nafter:\n{plan}");
        }
        let (fault, role, phase) = cell;
        (report.table.of(fault, role, phase) > 0).then_some(report)
    })
}

/// How it ends: first with faults that leave enough to go on, as the simulator sees it from outside;
/// where none comes, with any.
fn ending(installation: &Installation, members: u32, cell: Cell) -> Result<Ending, String> {
    if let Some(report) = hit(installation, members, cell, false) {
        return match report.lost {
            None => Ok(Ending::Borne),
            Some(why) => Err(format!("nobody goes on, though enough is left: {why}")),
        };
    }
    let reckless = takes(cell.0).then(|| hit(installation, members, cell, true));
    let Some(report) = reckless.flatten() else {
        return Ok(Ending::Nobody);
    };
    match report.lost {
        None => Err("it is borne, though too little is left".to_owned()),
        Some(_) if report.silent_us >= WAITING_US => Ok(Ending::Lost),
        Some(why) => Err(format!(
            "somebody is answered, though nobody goes on: {why}"
        )),
    }
}

/// How it must end.
fn must(members: u32, (fault, role, phase): Cell) -> Ending {
    if nobody(members, role, phase) {
        return Ending::Nobody;
    }
    // The other member in the swap of a group of one is its successor.
    let role = match (members, role) {
        (1, Role::Member) => Role::New,
        _ => role,
    };
    let voters = match recovers(phase) && members > 1 {
        true => members - 1,
        false => members,
    };
    let lost = match fault {
        // A daemon tells: any of them may go on without a majority, but not without anybody.
        Fault::Crash => voters == 1 && is_voter(role, phase),
        // Nobody tells: only a majority may go on.
        Fault::PowerOff => voters <= 2 && is_beside_a_voter(members, role, phase),
        Fault::Pause(_)
        | Fault::Isolate(_)
        | Fault::Deafen(_)
        | Fault::Mute(_)
        | Fault::Flap(_)
        | Fault::Slow(_)
        | Fault::SlowDisk(_)
        | Fault::WrongClock
        | Fault::Cut
        | Fault::Forget
        | Fault::Weather(_) => false,
    };
    if lost { Ending::Lost } else { Ending::Borne }
}

/// What a group of so many never has.
fn nobody(members: u32, role: Role, phase: Phase) -> bool {
    let other = role == Role::Member;
    match members {
        // Alone it agrees with itself at once: as soon as its successor is ready it is in, and when it
        // is in, its predecessor is out. There is nobody to hand over to, and no other member.
        1 => {
            matches!(phase, Phase::TurnReady | Phase::Leaving | Phase::HandOver)
                || (other && phase != Phase::Swap)
        }
        // One leads, and the turn is the other's; or one leads, and the other is gone.
        2 => {
            let turn = matches!(
                phase,
                Phase::TurnStart | Phase::TurnCatchUp | Phase::TurnReady
            );
            other && (turn || recovers(phase))
        }
        // Of the two that are left one leads, and the other gives its state away.
        3 => other && phase == Phase::RecoveryCatchUp,
        _ => false,
    }
}

/// Whether the group's decisions need whoever has this role, a successor in the swap aside: what was
/// decided there its predecessor has too.
fn is_voter(role: Role, phase: Phase) -> bool {
    match role {
        Role::Leader | Role::Donor | Role::Member => true,
        Role::Old => phase != Phase::Leaving,
        Role::New => matches!(phase, Phase::HandOver | Phase::After),
        Role::Joiner | Role::Daemon => false,
    }
}

/// Whether a voter always runs on the host of whoever has this role.
fn is_beside_a_voter(members: u32, role: Role, phase: Phase) -> bool {
    match role {
        Role::Leader | Role::Donor | Role::Member => true,
        // A successor is first tried where its predecessor runs.
        Role::Old | Role::New => true,
        // A replacement is first tried where the lost one ran; in a group of one its member is there.
        Role::Joiner => members == 1,
        // The daemon that starts somebody, or that of any host.
        Role::Daemon => match phase {
            Phase::TurnStart | Phase::TurnTransfer | Phase::TurnCatchUp | Phase::TurnReady => true,
            Phase::RecoveryStart | Phase::RecoveryTransfer | Phase::RecoveryCatchUp => members == 1,
            Phase::Steady
            | Phase::Swap
            | Phase::Leaving
            | Phase::HandOver
            | Phase::Mixed
            | Phase::After => false,
        },
    }
}

fn check(members: u32) {
    let installation = ledger();
    let mut wrong = Vec::new();
    for &phase in Phase::ALL {
        for &role in Role::ALL.iter().filter(|role| exists(**role, phase)) {
            // Where nobody has the role it makes no difference what would have hit it.
            let faults = match nobody(members, role, phase) {
                true => &[Fault::Crash][..],
                false => &Fault::ALL,
            };
            for &fault in faults {
                let cell = (fault, role, phase);
                let (must, is) = (must(members, cell), ending(&installation, members, cell));
                if is != Ok(must) {
                    wrong.push(format!(
                        "{fault} {role} in {phase}: {is:?}, must be {must:?}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_group_of_one_bears_every_fault_at_every_step_or_waits() {
    check(1);
}

#[test]
fn a_group_of_two_bears_every_fault_at_every_step_or_waits() {
    check(2);
}

#[test]
fn a_group_of_three_bears_every_fault_at_every_step_or_waits() {
    check(3);
}

#[test]
fn a_group_of_five_bears_every_fault_at_every_step() {
    check(5);
}
