//! What was tried: faults by kind, role and phase.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use crate::plan::{Fault, Phase, Role};

/// Counts per fault, role and phase.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    counts: BTreeMap<(&'static str, Role, Phase), u64>,
    /// Faults that came while an upgrade ran.
    pub during_upgrade: u64,
}

impl Table {
    pub(crate) fn count(&mut self, fault: Fault, role: Role, phase: Phase) {
        *self.counts.entry((fault.word(), role, phase)).or_default() += 1;
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Table) {
        for (cell, count) in &other.counts {
            *self.counts.entry(*cell).or_default() += count;
        }
        self.during_upgrade += other.during_upgrade;
    }

    /// How often this was tried.
    pub fn of(&self, fault: Fault, role: Role, phase: Phase) -> u64 {
        let cell = (fault.word(), role, phase);
        self.counts.get(&cell).copied().unwrap_or_default()
    }

    /// Everything that can be tried and was not.
    pub fn missing(&self) -> Vec<(Fault, Role, Phase)> {
        cells()
            .filter(|&(fault, role, phase)| self.of(fault, role, phase) == 0)
            .collect()
    }
}

/// Whether somebody can have this role in this phase.
pub fn exists(role: Role, phase: Phase) -> bool {
    use Phase::{
        After, HandOver, Leaving, Mixed, RecoveryCatchUp, RecoveryStart, RecoveryTransfer, Steady,
        Swap, TurnCatchUp, TurnReady, TurnStart, TurnTransfer,
    };
    match role {
        Role::Leader | Role::Daemon => true,
        Role::Member => !matches!(phase, TurnTransfer),
        Role::Old => matches!(
            phase,
            TurnStart | TurnTransfer | TurnCatchUp | TurnReady | Swap | Leaving
        ),
        Role::New => matches!(
            phase,
            TurnStart | TurnTransfer | TurnCatchUp | TurnReady | Swap | HandOver | After
        ),
        Role::Joiner => matches!(phase, RecoveryStart | RecoveryTransfer | RecoveryCatchUp),
        Role::Donor => match phase {
            TurnTransfer | TurnCatchUp | RecoveryTransfer | RecoveryCatchUp => true,
            Steady | TurnStart | TurnReady | Swap | Leaving | HandOver | Mixed | RecoveryStart
            | After => false,
        },
    }
}

/// Everything that can be tried.
pub fn cells() -> impl Iterator<Item = (Fault, Role, Phase)> {
    Phase::ALL.iter().flat_map(|&phase| {
        let roles = Role::ALL.iter().filter(move |role| exists(**role, phase));
        roles.flat_map(move |&role| Fault::ALL.iter().map(move |&fault| (fault, role, phase)))
    })
}

impl fmt::Display for Table {
    /// A row per phase and role, a column per fault; `.` where the role does not exist.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut head = format!("{:<18} {:<7}", "phase", "role");
        for fault in Fault::ALL {
            let _ = write!(head, " {:>11}", fault.word());
        }
        writeln!(f, "{head}")?;
        for &phase in Phase::ALL {
            for &role in Role::ALL.iter().filter(|role| exists(**role, phase)) {
                write!(f, "{:<18} {:<7}", phase.word(), role.word())?;
                for fault in Fault::ALL {
                    write!(f, " {:>11}", self.of(fault, role, phase))?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}
