//! The course of a run: what happens when, until the time is over and everything is whole again.

mod strikes;

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use installation::StartError;
use simulator::Random;
use wire::status::GroupStatus;

use crate::judge::Judge;
use crate::load::{self, Load, LoadError, Terms};
use crate::report::{self, Report, Seen};
use crate::strike::{Role, Strike, settled, whole};
use crate::tally::Tally;
use crate::upgrade::Upgrades;
use crate::usage::Usage;
use crate::world::{LEDGER, World};
use strikes::Hit;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);
/// Between two looks for somebody whose role lasts some milliseconds on a quiet machine.
const LOOK_FOR_ROLE: Duration = Duration::from_millis(1);
/// Between two looks at memory and files.
const USAGE_EVERY: Duration = Duration::from_secs(1);
/// Between two lines of progress.
const TELL_EVERY: Duration = Duration::from_secs(20);
/// How long the group may take to be whole after a strike, and a process to end that nobody needs any
/// more. It takes a second or two; the machine may be building something else.
const PATIENCE: Duration = Duration::from_secs(60);
/// Of every two minutes some seconds are calm, and two of every ten minutes, so that some replicas
/// grow old: neither strikes nor upgrades begin. Periods, and what of each is calm, in seconds.
const CALMS: [(f64, Range<f64>); 2] = [(120.0, 60.0..85.0), (600.0, 420.0..540.0)];
/// From so many failed requests on the run is lost, and more of it tells nothing.
const FAILED_MAX: u64 = 200;

/// What is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    pub(crate) seed: u64,
    pub(crate) lasts: Duration,
    pub(crate) deadline: Duration,
    /// Where the binaries lie.
    pub(crate) binaries: PathBuf,
    /// Where everything is written.
    pub(crate) directory: PathBuf,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CourseError {
    /// It did not begin, or a daemon did not come back.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The load.
    #[error("the load: {0}")]
    Load(#[from] LoadError),
    /// The file that tells what happens.
    #[error("{path}: {why}")]
    Log { path: PathBuf, why: io::Error },
    /// Somebody pressed Ctrl-C.
    #[error("interrupted; everything that was started is stopped")]
    Interrupted,
}

/// What ends a run.
enum Stop {
    /// Something is not as it must be: what was seen until then is reported.
    Fault(String),
    Error(CourseError),
}

impl From<StartError> for Stop {
    fn from(why: StartError) -> Stop {
        Stop::Error(why.into())
    }
}

impl Course {
    /// Runs. Whatever happens, everything that was started is stopped.
    pub(crate) fn run(&self, interrupted: &AtomicBool) -> Result<Report, CourseError> {
        let log = self.directory.join("course.log");
        let opened = File::create(&log).map_err(|why| CourseError::Log { path: log, why })?;
        let mut world = World::start(&self.directory.join("run"), &self.binaries)?;
        let judge = Judge::start(&self.directory);
        let tally = Arc::new(Tally::new());
        let terms = Terms {
            group: LEDGER.to_owned(),
            contacts: world.group().contacts().to_vec(),
            seed: self.seed,
            deadline: self.deadline,
        };
        let load = Load::start(terms, Arc::clone(&tally), judge.takes());
        let mut running = Running {
            world,
            tally: &tally,
            judge: &judge,
            load: &load,
            interrupted,
            log: opened,
            random: Random::new(self.seed),
            upgrades: Upgrades::new(self.seed),
            usage: Usage::default(),
            hit: None,
            wanted: None,
            next_at: Instant::now(),
            ending: Vec::new(),
            seen: Seen::default(),
            looked_at: None,
            told_at: Instant::now(),
            silent_since: None,
        };
        let ended = running.whole_course(self.lasts);
        let mut faults = match ended {
            Ok(()) => Vec::new(),
            Err(Stop::Fault(fault)) => vec![fault],
            Err(Stop::Error(why)) => return Err(why),
        };
        let ran_s = running.now_s();
        let taken = running.usage.taken(0.0, ran_s);
        let Running {
            world,
            upgrades,
            seen,
            ..
        } = running;
        let ended = load.end();
        let killed = world.end();
        if !killed.is_empty() {
            faults.push(format!(
                "processes {killed:?} did not end by themselves and were killed"
            ));
        }
        let judged = judge.end();
        let ended = match ended {
            Ok(ended) => Some(ended),
            // What went wrong first is what is told.
            Err(why) if faults.is_empty() => return Err(why.into()),
            Err(why) => {
                faults.push(format!("the load: {why}"));
                None
            }
        };
        let outcome = report::Outcome {
            seed: self.seed,
            lasted_s: ran_s,
            seen,
            upgrades: upgrades.done,
            counts: tally.counts(),
            judged,
            ended,
            sum: load::SUM,
            taken,
        };
        Ok(outcome.report(faults))
    }
}

/// A run while it goes on.
struct Running<'a> {
    world: World,
    tally: &'a Tally,
    judge: &'a Judge,
    load: &'a Load,
    interrupted: &'a AtomicBool,
    log: File,
    random: Random,
    upgrades: Upgrades,
    usage: Usage,
    hit: Option<Hit>,
    /// The strike that waits for its role, and since when.
    wanted: Option<(Strike, Instant)>,
    next_at: Instant,
    /// Processes that slept, and must end if the group went on without them, until when.
    ending: Vec<(u32, String, Instant)>,
    seen: Seen,
    looked_at: Option<Instant>,
    told_at: Instant,
    /// Since when nobody says what the group does.
    silent_since: Option<Instant>,
}

impl Running<'_> {
    fn whole_course(&mut self, lasts: Duration) -> Result<(), Stop> {
        // Clients that begin know one member each: it must not be replaced before they have met.
        let until = Instant::now() + PATIENCE;
        while self.tally.counts().answered() == 0
            && !self.load.has_ended()
            && Instant::now() < until
        {
            thread::sleep(LOOK);
        }
        let until = Instant::now() + lasts;
        while Instant::now() < until {
            if let Some(status) = self.look()? {
                let now_s = self.now_s();
                let calm = CALMS
                    .iter()
                    .any(|(period, of)| of.contains(&(now_s % period)));
                self.step(&status, !calm)?;
                if !calm {
                    self.strike_if_due(&status)?;
                }
            }
            let role = self.wanted.map(|(strike, _)| strike.role);
            thread::sleep(match role {
                Some(Role::Holder | Role::Joiner) => LOOK_FOR_ROLE,
                Some(Role::Leader | Role::Follower | Role::Daemon | Role::Host) | None => LOOK,
            });
        }
        // Everything that was done is undone, and what runs comes to its end.
        let woken = self.world.resume_all();
        self.woke(woken);
        self.revive(true)?;
        let mut since = None;
        loop {
            if let Some(status) = self.look()? {
                self.step(&status, false)?;
                let rests = self.upgrades.rests() && self.hit.is_none() && self.ending.is_empty();
                if rests && settled(&status) && self.only(&status) {
                    return Ok(());
                }
                // Upgrades have a patience of their own.
                if self.upgrades.rests() {
                    let since: Instant = *since.get_or_insert_with(Instant::now);
                    self.patient(since, || {
                        format!("the group does not come to rest in the end: {status:?}")
                    })?;
                }
            }
            thread::sleep(LOOK);
        }
    }

    /// Looks at everything once; what the group says, if somebody answers.
    fn look(&mut self) -> Result<Option<GroupStatus>, Stop> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(Stop::Error(CourseError::Interrupted));
        }
        if self.load.has_ended() {
            return Err(Stop::Fault("the load ended by itself".to_owned()));
        }
        let failed = self.tally.counts().failed;
        if failed > FAILED_MAX {
            return Err(Stop::Fault(format!(
                "{failed} requests failed; the run is lost"
            )));
        }
        if self.looked_at.is_none_or(|at| at.elapsed() >= USAGE_EVERY) {
            self.looked_at = Some(Instant::now());
            self.usage.look(self.now_s(), &self.world.running());
        }
        if self.told_at.elapsed() >= TELL_EVERY {
            self.told_at = Instant::now();
            self.tell();
        }
        let woken = self.world.resume();
        self.woke(woken);
        self.revive(false)?;
        match self.world.status() {
            Ok(status) => {
                self.silent_since = None;
                Ok(Some(status))
            }
            Err(why) => {
                let since = *self.silent_since.get_or_insert_with(Instant::now);
                self.patient(since, || format!("nobody says what the group does: {why}"))?;
                Ok(None)
            }
        }
    }

    /// What goes on besides strikes.
    fn step(&mut self, status: &GroupStatus, may: bool) -> Result<(), Stop> {
        let news = self.upgrades.go_on(&mut self.world, status, may);
        if let Some(news) = news.map_err(Stop::Fault)? {
            self.say(&news);
        }
        self.recovered(status)?;
        self.ended(status)
    }

    fn woke(&mut self, woken: Vec<(u32, String)>) {
        for (process, who) in woken {
            self.say(&format!("resumed: {who}"));
            if !who.starts_with("the daemon") {
                self.ending.push((process, who, Instant::now() + PATIENCE));
            }
        }
    }

    /// Who was resumed is a member or joiner still, or ends.
    fn ended(&mut self, status: &GroupStatus) -> Result<(), Stop> {
        if self.ending.is_empty() || !whole(status) {
            return Ok(());
        }
        let mut wanted = Vec::new();
        for member in status.members.iter().chain(&status.joiners) {
            wanted.extend(self.world.process(member));
        }
        let running = self.world.running();
        self.ending
            .retain(|(process, _, _)| running.contains(process) && !wanted.contains(process));
        let late = self
            .ending
            .iter()
            .find(|(_, _, until)| *until <= Instant::now());
        match late {
            Some((_, who, _)) => Err(Stop::Fault(format!(
                "{who} slept while the group went on without it, and does not end"
            ))),
            None => Ok(()),
        }
    }

    /// Whether the members' processes are the only replicas that run.
    fn only(&mut self, status: &GroupStatus) -> bool {
        let members = status.members.len();
        let daemons = self.world.hosts().len();
        // The last one is the command that started the daemons.
        self.world.running().len() == members + daemons + 1
    }

    fn revive(&mut self, at_once: bool) -> Result<(), Stop> {
        if let Some(host) = self.world.revive(at_once)? {
            self.say(&format!("started again: the daemon of {host}"));
        }
        Ok(())
    }

    fn patient(&self, since: Instant, what: impl FnOnce() -> String) -> Result<(), Stop> {
        if since.elapsed() > PATIENCE {
            return Err(Stop::Fault(what()));
        }
        Ok(())
    }

    fn now_s(&self) -> f64 {
        self.tally.now_us() as f64 / 1e6
    }

    /// A line in the file that tells what happens.
    fn say(&mut self, line: &str) {
        // A run is worth more than its log.
        let _ = writeln!(self.log, "{:9.3} s  {line}", self.now_s());
    }

    /// A line for whoever watches.
    fn tell(&mut self) {
        let counts = self.tally.counts();
        let (judged, wrong) = self.judge.so_far();
        let strikes: u64 = self.seen.strikes.values().map(|came| came.count).sum();
        let done = &self.upgrades.done;
        println!(
            "{:6.0} s: {} answered, {} failed, {strikes} strikes, {} upgrades, {} given up, {judged} \
             histories, {wrong} wrong, longest gap {:.0} ms",
            self.now_s(),
            counts.answered(),
            counts.failed,
            done.forth + done.back,
            done.failed.len(),
            counts.gap_us as f64 / 1e3,
        );
    }
}
