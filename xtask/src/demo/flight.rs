//! One flight: the ledger on three replicas under load, upgraded twice, with a replica killed in
//! the middle of the first upgrade. Here is what happens in which order; what came of it is
//! computed afterwards, from what was seen ([`Flown`]) and from the load's record.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use installation::{Daemon, Group, Installation, LineError, StartError, process};
use wire::daemon::ReplicaRecord;
use wire::log::UpgradeRequest;
use wire::member::Binary;
use wire::status::GroupStatus;
use wire::{MemberId, Version};

use super::binaries::Binaries;
use super::load::{Event, Heard, Load, Progress};
use super::proof;
use super::report::{Audit, Kill, Replacement, View};
use super::screen::Screen;
use super::strike::{Role, turn};
use super::watch::Watch;

/// The group, and the service that it runs.
pub(super) const LEDGER: &str = "ledger";
/// How many members it has.
pub(super) const MEMBERS: u32 = 3;
/// Undisturbed load before the first upgrade and after the last: ten seconds and some margin, so
/// that ten are left when the edges are cut.
const STEADY: Duration = Duration::from_millis(10_500);
/// Undisturbed load between the upgrades: enough to see that the first left nothing behind.
const BETWEEN: Duration = Duration::from_secs(5);
/// How long one upgrade may take. It takes seconds; with more the demo would last too long.
const UPGRADE_PATIENCE: Duration = Duration::from_secs(25);
/// How long the load may take to prepare its sessions and accounts, and to audit.
const LOAD_PATIENCE: Duration = Duration::from_secs(15);
/// How often the group is looked at while nothing happens, and while something does: a turn lasts
/// some tens of milliseconds.
const CALM: Duration = Duration::from_millis(50);
const EXCITED: Duration = Duration::from_millis(2);
/// How long after a turn began the kill waits for its successor to appear: it should fall into the
/// middle, and must not come too late.
const STRIKE_AFTER: Duration = Duration::from_millis(40);

/// What is wanted of a flight.
#[derive(Debug)]
pub(crate) struct Plan {
    /// A directory of its own.
    pub(crate) directory: PathBuf,
    /// Where the load's record goes.
    pub(crate) record: PathBuf,
    /// Requests per second.
    pub(crate) rate: u32,
    /// The load's sessions.
    pub(crate) sessions: u32,
    /// Who is killed.
    pub(crate) role: Role,
}

/// What was seen.
#[derive(Debug)]
pub(crate) struct Flown {
    /// When the load began, in microseconds since 1970.
    pub(crate) began_us: u64,
    /// When it was asked to stop, in microseconds since it began.
    pub(crate) stopped_us: u64,
    /// The upgrades that were made.
    pub(crate) upgrades: Vec<Upgraded>,
    /// The group's history.
    pub(crate) views: Vec<View>,
    /// The load's audit.
    pub(crate) audit: Result<Audit, String>,
    /// What was not as it must be.
    pub(crate) faults: Vec<String>,
}

/// One upgrade that was made.
#[derive(Debug)]
pub(crate) struct Upgraded {
    pub(crate) from: Version,
    pub(crate) to: Version,
    /// When it was commanded and when it was over, in microseconds since the load began.
    pub(crate) from_us: u64,
    pub(crate) to_us: u64,
    pub(crate) killed: Option<Kill>,
    pub(crate) replacements: Vec<Replacement>,
    pub(crate) proofs: Vec<String>,
}

/// Why a flight has no report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FlightError {
    /// It did not take off.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Nobody answers.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The load.
    #[error("the load ended too early: {0}")]
    Load(String),
    /// The system.
    #[error("{what}: {why}")]
    System {
        /// What was attempted.
        what: String,
        /// What the system says.
        why: std::io::Error,
    },
    /// Somebody pressed Ctrl-C.
    #[error("interrupted; everything that was started is stopped")]
    Interrupted,
    /// Something took too long.
    #[error("{0}")]
    Late(String),
}

/// Flies once. Whatever happens, everything that was started is stopped.
pub(crate) fn fly(
    plan: &Plan,
    binaries: &Binaries,
    screen: &mut Screen,
    interrupted: &Arc<AtomicBool>,
) -> Result<Flown, FlightError> {
    let versions = binaries.versions();
    let versions: Vec<&Path> = versions.iter().map(PathBuf::as_path).collect();
    screen.say("Starting three daemons and the ledger 1.0.0 on three replicas");
    let mut installation =
        Installation::start(&plan.directory, &binaries.remex(), &versions, MEMBERS)?;
    let first = Version::new(1, 0, 0);
    let group = installation.found(LEDGER, LEDGER, &first, MEMBERS)?;
    let daemons = installation
        .hosts()
        .iter()
        .map(|host| Daemon::at(host.daemon))
        .collect();
    let load = start_load(plan, binaries, &group, installation.directory())?;
    let mut flight = Flight {
        daemons,
        group,
        load,
        screen,
        interrupted,
        watch: Watch::default(),
        progress: None,
        audit: None,
        members: String::new(),
        began_us: 0,
        flown: Vec::new(),
        faults: Vec::new(),
    };
    let ended = flight.whole(plan.role);
    let flown = flight.land(ended);
    let killed = installation.stop();
    let mut flown = flown?;
    if !killed.is_empty() {
        let fault = format!("processes {killed:?} did not end by themselves and were killed");
        flown.faults.push(fault);
    }
    Ok(flown)
}

fn start_load(
    plan: &Plan,
    binaries: &Binaries,
    group: &Group,
    directory: &Path,
) -> Result<Load, FlightError> {
    let contacts = group.contacts().iter().map(ToString::to_string);
    let arguments = [
        ("--group", LEDGER.to_owned()),
        ("--contacts", contacts.collect::<Vec<_>>().join(",")),
        ("--rate", plan.rate.to_string()),
        ("--sessions", plan.sessions.to_string()),
        ("--record", plan.record.display().to_string()),
    ];
    let started = Load::start(&binaries.load(), &arguments, &directory.join("load.log"));
    started.map_err(|why| FlightError::System {
        what: "starting the load".to_owned(),
        why,
    })
}

/// A flight in the air.
pub(super) struct Flight<'a> {
    daemons: Vec<Daemon>,
    pub(super) group: Group,
    load: Load,
    screen: &'a mut Screen,
    interrupted: &'a Arc<AtomicBool>,
    watch: Watch,
    progress: Option<Progress>,
    audit: Option<Audit>,
    /// The members, for the changing line.
    members: String,
    began_us: u64,
    flown: Vec<Upgraded>,
    pub(super) faults: Vec<String>,
}

impl Flight<'_> {
    /// Everything from the first request to the last.
    fn whole(&mut self, role: Role) -> Result<(), FlightError> {
        self.await_load("sessions and accounts", |flight| flight.began_us > 0)?;
        self.steady("steady, 1.0.0", STEADY)?;
        self.upgrade(&Version::new(2, 0, 0), Some(role))?;
        self.steady("steady, 2.0.0", BETWEEN)?;
        self.upgrade(&Version::new(3, 0, 0), None)?;
        self.steady("steady, 3.0.0", STEADY)
    }

    /// Stops the load and takes its audit, also after a fault in the air.
    fn land(&mut self, ended: Result<(), FlightError>) -> Result<Flown, FlightError> {
        match ended {
            Ok(()) => {
                let ends = proof::ends(&mut self.group);
                self.faults.extend(ends.err());
            }
            Err(FlightError::Late(why)) if self.began_us > 0 => self.faults.push(why),
            Err(why) => return Err(why),
        }
        let stopped_us = self.now_us();
        self.load.stop();
        let audited = self.await_load("audit", |flight| flight.audit.is_some());
        let audit = match (self.audit.take(), audited) {
            (Some(audit), _) => Ok(audit),
            (None, Err(FlightError::Interrupted)) => return Err(FlightError::Interrupted),
            (None, Err(why)) => Err(why.to_string()),
            (None, Ok(())) => Err("the load did not say what it found".to_owned()),
        };
        self.screen.clear();
        Ok(Flown {
            began_us: self.began_us,
            stopped_us,
            upgrades: std::mem::take(&mut self.flown),
            views: self.watch.views(self.began_us),
            audit,
            faults: std::mem::take(&mut self.faults),
        })
    }

    fn await_load(&mut self, what: &str, there: impl Fn(&Self) -> bool) -> Result<(), FlightError> {
        let until = Instant::now() + LOAD_PATIENCE;
        while !there(self) {
            if Instant::now() >= until {
                let late = format!("the load's {what} took longer than {LOAD_PATIENCE:?}");
                return Err(FlightError::Late(late));
            }
            self.look(what)?;
            thread::sleep(CALM);
        }
        Ok(())
    }

    fn steady(&mut self, phase: &str, duration: Duration) -> Result<(), FlightError> {
        let until = Instant::now() + duration;
        while Instant::now() < until {
            self.look(phase)?;
            thread::sleep(CALM);
        }
        Ok(())
    }

    fn upgrade(&mut self, to: &Version, role: Option<Role>) -> Result<(), FlightError> {
        let before = self.must_look("before the upgrade")?;
        let old = self.processes();
        self.faults
            .extend(proof::not_yet(&mut self.group, to).err());
        let target = self.binary(to)?;
        let phase = format!("upgrade to {to}");
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
        let until = Instant::now() + UPGRADE_PATIENCE;
        loop {
            if let Some(status) = self.look(&phase)? {
                if let Some(strike) = &mut strike {
                    self.strike(strike, &status);
                }
                if let Some(ended) = over(&status, &target) {
                    self.faults.extend(ended.err());
                    if old.iter().all(|process| !process::runs(process.process)) {
                        break;
                    }
                }
                if Instant::now() >= until {
                    let waits = status.waits.join("; ");
                    let late = format!("the upgrade to {to} was not over in time: {waits}");
                    return Err(FlightError::Late(late));
                }
            } else if Instant::now() >= until {
                let late = format!("nobody answers in the upgrade to {to}");
                return Err(FlightError::Late(late));
            }
            thread::sleep(EXCITED);
        }
        let to_us = self.now_us();
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
            replacements: self.watch.take_replacements(),
            proofs,
        });
        let took = (to_us - from_us) as f64 / 1e3;
        self.screen.say(&format!(
            "{:8.3} s  upgrade to {to} over, {took:.0} ms",
            to_us as f64 / 1e6
        ));
        Ok(())
    }

    /// Kills the player of the role, if a turn runs and it is time.
    fn strike(&mut self, strike: &mut Strike, status: &GroupStatus) {
        let Some(turn) = turn(status).filter(|_| strike.hit.is_none()) else {
            return;
        };
        let since = *strike.turn_seen.get_or_insert_with(Instant::now);
        let middle = turn.successor.is_some() || since.elapsed() >= STRIKE_AFTER;
        let Some(player) = turn.player(strike.role).filter(|_| middle) else {
            return;
        };
        let processes = self.processes();
        let number = |member: MemberId| {
            let known = processes
                .iter()
                .find(|replica| replica.member == Some(member))?;
            Some(known.process)
        };
        let (Some(victim), Some(holder)) = (number(player.member), number(turn.holder.member))
        else {
            return;
        };
        let killed = process::kill(victim);
        let at_us = self.now_us();
        // The turn's `upgraded()` is called when its holder ends: as long as that one runs, or was
        // killed itself, it was not called.
        let in_turn = holder == victim || process::runs(holder);
        let who = format!(
            "{} ({}) on {}, process {victim}",
            player.member, player.binary.version, player.host
        );
        match killed {
            Ok(()) => {
                let role = strike.role.to_string();
                self.screen.say(&format!(
                    "{:8.3} s  killed the {role}: {who}",
                    at_us as f64 / 1e6
                ));
                strike.hit = Some(Kill { at_us, role, who });
                if !in_turn {
                    let late = "the kill fell after the turn: its holder had left already";
                    self.faults.push(late.to_owned());
                }
            }
            Err(why) => self
                .screen
                .say(&format!("process {victim} could not be killed: {why}")),
        }
    }

    /// Looks at everything once; what the group says, if somebody answers.
    fn look(&mut self, phase: &str) -> Result<Option<GroupStatus>, FlightError> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(FlightError::Interrupted);
        }
        self.hear()?;
        let status = self.group.status().ok();
        if let Some(status) = &status {
            let at_us = self.now_us();
            for news in self.watch.look(at_us, status) {
                if self.began_us > 0 {
                    self.screen
                        .say(&format!("{:8.3} s  {news}", at_us as f64 / 1e6));
                }
            }
            let member =
                |m: &wire::status::MemberStatus| format!("{}v{}", m.member, m.binary.version);
            self.members = status
                .members
                .iter()
                .map(member)
                .collect::<Vec<_>>()
                .join(" ");
        }
        self.screen
            .progress(phase, self.progress.as_ref(), &self.members);
        Ok(status)
    }

    /// As [`Flight::look`], where somebody must answer.
    fn must_look(&mut self, when: &str) -> Result<GroupStatus, FlightError> {
        let status = self.look(when)?;
        status.ok_or_else(|| FlightError::Late(format!("nobody answered {when}")))
    }

    fn hear(&mut self) -> Result<(), FlightError> {
        loop {
            match self.load.hear() {
                Heard::Silence => return Ok(()),
                Heard::Event(Event::Began { began_us }) => self.began_us = began_us,
                Heard::Event(Event::Progress(progress)) => self.progress = Some(progress),
                Heard::Event(Event::Audited(audit)) => self.audit = Some(audit),
                // It goes when it has said what it found.
                Heard::Gone(_) if self.audit.is_some() => return Ok(()),
                Heard::Gone(words) => return Err(FlightError::Load(words)),
            }
        }
    }

    /// The replicas of the group that the daemons run.
    fn processes(&mut self) -> Vec<ReplicaRecord> {
        let inventories = self.daemons.iter_mut().map(Daemon::inventory);
        let replicas = inventories
            .flatten()
            .flat_map(|inventory| inventory.replicas);
        replicas.filter(|replica| replica.group == LEDGER).collect()
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
            FlightError::Late(format!(
                "the daemons have {count} builds of {LEDGER} {version}"
            ))
        })
    }

    /// Microseconds since the load began.
    fn now_us(&self) -> u64 {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now_us = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        now_us.saturating_sub(self.began_us)
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
