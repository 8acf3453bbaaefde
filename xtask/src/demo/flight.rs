//! One flight: the ledger on three replicas under load, upgraded twice, with a replica killed in
//! the middle of the first upgrade. Here is what happens in which order; what came of it is
//! computed afterwards, from what was seen ([`Flown`]) and from the load's record.

mod upgrade;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use installation::{Daemon, Group, Installation, LineError, StartError};
use wire::Version;
use wire::status::{GroupStatus, MemberStatus};

use super::binaries::Binaries;
use super::load::{Event, Heard, Load, Progress};
use super::proof;
use super::report::{Audit, Kill, Replacement, View};
use super::screen::Screen;
use super::strike::Role;
use super::watch::Watch;

/// The group, and the service that it runs.
pub(super) const LEDGER: &str = "ledger";
/// How many members it has.
pub(super) const MEMBERS: u32 = 3;
/// Undisturbed load before the first upgrade and after the last: ten seconds are left when the
/// edges are cut and the second that is still charged to the upgrade.
const STEADY: Duration = Duration::from_millis(11_500);
/// Undisturbed load between the upgrades: enough to see that the first left nothing behind.
const BETWEEN: Duration = Duration::from_secs(6);
/// How long the load may take to prepare its sessions and accounts, and to audit.
const LOAD_PATIENCE: Duration = Duration::from_secs(15);
/// How often the group is looked at while nothing happens.
const CALM: Duration = Duration::from_millis(50);

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
    /// Something took too long or went wrong. Under load it ends the flight, and is reported with
    /// what was seen until then.
    #[error("{0}")]
    Fault(String),
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
            Err(FlightError::Fault(why)) if self.began_us > 0 => self.faults.push(why),
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
                return Err(FlightError::Fault(late));
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

    /// Looks at everything once; what the group says, if somebody answers.
    fn look(&mut self, phase: &str) -> Result<Option<GroupStatus>, FlightError> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(FlightError::Interrupted);
        }
        self.hear()?;
        let status = self.group.status().ok();
        if let Some(status) = &status {
            let at_us = self.now_us();
            for news in self.watch.look(since_1970(), status) {
                if self.began_us > 0 {
                    self.screen
                        .say(&format!("{:8.3} s  {news}", at_us as f64 / 1e6));
                }
            }
            let member = |m: &MemberStatus| format!("{}v{}", m.member, m.binary.version);
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
        status.ok_or_else(|| FlightError::Fault(format!("nobody answered {when}")))
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

    /// Microseconds since the load began.
    fn now_us(&self) -> u64 {
        since_1970().saturating_sub(self.began_us)
    }
}

/// Microseconds since 1970.
fn since_1970() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(now.unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
}
