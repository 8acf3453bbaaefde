//! One upgrade of a flight: commanded, struck if a kill is wanted, awaited, and proven.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use installation::{Daemon, process};
use wire::Version;
use wire::daemon::ReplicaRecord;
use wire::log::UpgradeRequest;
use wire::member::Binary;
use wire::status::GroupStatus;

use super::super::proof;
use super::super::report::Kill;
use super::super::strike::{Role, turn};
use super::{Flight, FlightError, LEDGER, Upgraded};

/// How long one upgrade may take. It takes seconds; with more the demo would last too long.
const PATIENCE: Duration = Duration::from_secs(25);
/// How often the group is looked at meanwhile: a turn lasts some milliseconds.
const LOOK: Duration = Duration::from_millis(1);
/// How long after a turn began the kill waits for its successor to appear: it should fall into the
/// middle, and must not come too late.
const STRIKE_AFTER: Duration = Duration::from_millis(40);

impl Flight<'_> {
    pub(super) fn upgrade(&mut self, to: &Version, role: Option<Role>) -> Result<(), FlightError> {
        let before = self.must_look("before the upgrade")?;
        let old = self.processes();
        self.faults
            .extend(proof::not_yet(&mut self.group, to).err());
        let target = self.binary(to)?;
        let command = UpgradeRequest {
            target: target.clone(),
            parallel: 1,
            attempts: 3,
            patience_ms: 10_000,
            token: self.now_us(),
        };
        let from_us = self.now_us();
        self.group.upgrade(&command)?;
        self.screen.say(&format!(
            "{:8.3} s  upgrade to {to} commanded",
            from_us as f64 / 1e6
        ));
        let mut strike = role.map(Strike::new);
        let ended = self.await_end(&target, &old, strike.as_mut());
        let to_us = self.now_us();
        let took = (to_us - from_us) as f64 / 1e3;
        let at = to_us as f64 / 1e6;
        self.screen
            .say(&format!("{at:8.3} s  upgrade to {to} over, {took:.0} ms"));
        if strike.as_ref().is_some_and(|strike| strike.hit.is_none()) {
            self.faults
                .push(format!("no replica was killed in the upgrade to {to}"));
        }
        let now = self.processes();
        let (proofs, faults) = proof::upgraded(&mut self.group, &old, &now, &target);
        self.faults.extend(faults);
        self.flown.push(Upgraded {
            from: before.effective,
            to: to.clone(),
            from_us,
            to_us,
            killed: strike.and_then(|strike| strike.hit),
            replacements: self.watch.take_replacements(self.began_us),
            proofs,
        });
        ended
    }

    /// Waits until all seats run the target and no old process is left, and strikes meanwhile.
    fn await_end(
        &mut self,
        target: &Binary,
        old: &[ReplicaRecord],
        mut strike: Option<&mut Strike>,
    ) -> Result<(), FlightError> {
        let phase = format!("upgrade to {}", target.version);
        let until = Instant::now() + PATIENCE;
        let mut waits = "nobody answers".to_owned();
        while Instant::now() < until {
            if let Some(status) = self.look(&phase)? {
                if let Some(strike) = &mut strike {
                    self.strike(strike, &status);
                }
                if let Some(ended) = over(&status, target) {
                    if let Err(why) = ended {
                        return Err(FlightError::Fault(why));
                    }
                    if old.iter().all(|old| !process::runs(old.process)) {
                        return Ok(());
                    }
                }
                waits = status.waits.join("; ");
            }
            thread::sleep(LOOK);
        }
        Err(FlightError::Fault(format!(
            "the {phase} was not over within {PATIENCE:?}: {waits}"
        )))
    }

    /// Kills the player of the role, if a turn runs and it is time.
    fn strike(&mut self, strike: &mut Strike, status: &GroupStatus) {
        let Some(turn) = turn(status).filter(|_| strike.hit.is_none()) else {
            return;
        };
        let since = *strike.turn_seen.get_or_insert_with(Instant::now);
        let replicas = self.processes();
        let started = turn.player(Role::Successor, &replicas).is_some();
        if !started && since.elapsed() < STRIKE_AFTER {
            return;
        }
        let holder = turn.player(Role::Holder, &replicas);
        let victim = turn.player(strike.role, &replicas);
        let (Some(holder), Some(victim)) = (holder, victim) else {
            return;
        };
        let killed = process::kill(victim.process);
        let at_us = self.now_us();
        // The turn's `upgraded()` is called when its holder ends: as long as that one runs, or was
        // killed itself, it was not called.
        let in_turn = holder == victim || process::runs(holder.process);
        let (role, who) = (strike.role.to_string(), victim.who);
        let at = at_us as f64 / 1e6;
        match killed {
            Ok(()) => {
                self.screen
                    .say(&format!("{at:8.3} s  killed the {role}: {who}"));
                strike.hit = Some(Kill { at_us, role, who });
                if !in_turn {
                    let late = "the kill fell after the turn: its holder had left already";
                    self.faults.push(late.to_owned());
                }
            }
            // It ended by itself in this moment; the next turn will do.
            Err(_) => self
                .screen
                .say(&format!("{at:8.3} s  the {role} was gone already: {who}")),
        }
    }

    /// The replicas of the group that the daemons know and that run by the kernel's word: a daemon
    /// hears of an end a moment later.
    fn processes(&mut self) -> Vec<ReplicaRecord> {
        let inventories = self.daemons.iter_mut().map(Daemon::inventory);
        let replicas = inventories
            .flatten()
            .flat_map(|inventory| inventory.replicas);
        let ours = replicas.filter(|replica| replica.group == LEDGER);
        ours.filter(|replica| process::runs(replica.process))
            .collect()
    }

    /// The binary of this version that all daemons have.
    fn binary(&mut self, version: &Version) -> Result<Binary, FlightError> {
        let mut found = BTreeSet::new();
        for daemon in &mut self.daemons {
            let binaries = daemon.inventory()?.binaries.into_iter();
            let wanted = binaries.filter(|b| b.service == LEDGER && b.binary.version == *version);
            found.extend(wanted.map(|record| record.binary));
        }
        let count = found.len();
        found.pop_first().filter(|_| count == 1).ok_or_else(|| {
            FlightError::Fault(format!(
                "the daemons have {count} builds of {LEDGER} {version}"
            ))
        })
    }
}

/// A kill that is wanted.
struct Strike {
    role: Role,
    turn_seen: Option<Instant>,
    hit: Option<Kill>,
}

impl Strike {
    fn new(role: Role) -> Strike {
        Strike {
            role,
            turn_seen: None,
            hit: None,
        }
    }
}

/// Whether the upgrade to this target is over, and whether well: all seats are filled and settled.
fn over(status: &GroupStatus, target: &Binary) -> Option<Result<(), String>> {
    let upgrade = status
        .upgrade
        .as_ref()
        .filter(|upgrade| upgrade.to == *target)?;
    let serving = status
        .members
        .iter()
        .filter(|member| member.doing == "serving");
    let whole = serving.count() == status.initial as usize
        && status.members.len() == status.initial as usize
        && status.joiners.is_empty();
    match upgrade.state.as_str() {
        "done" => whole.then_some(Ok(())),
        "failed" => {
            let why = upgrade.reason.as_deref().unwrap_or("it does not say why");
            Some(Err(format!(
                "the upgrade to {} failed: {why}",
                target.version
            )))
        }
        _ => None,
    }
}
