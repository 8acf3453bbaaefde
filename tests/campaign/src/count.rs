//! Many seeds at once: on all cores, counted, and told in one page.

#![allow(
    clippy::disallowed_methods,
    reason = "runs are spread over the machine's cores, and what they take is measured"
)]

use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use simulator::{Installation, Plan, Report, Table};

use remex::Version;

/// Client operations without which a seed does not count.
pub const OPERATIONS_MIN: u64 = 1_000;

/// Which seeds.
#[derive(Clone, Copy, Debug)]
pub struct Seeds {
    /// The first.
    pub from: u64,
    /// How many.
    pub count: u64,
    /// After how long no new one is begun.
    pub at_most: Option<Duration>,
}

/// What so many runs came to.
#[derive(Debug, Default)]
pub struct Total {
    /// Seeds that were run.
    pub seeds: u64,
    /// Those with enough operations, an upgrade that ended, and a fault during it.
    pub counted: u64,
    /// Requests that were answered.
    pub operations: u64,
    /// Events.
    pub events: u64,
    /// Virtual time.
    pub simulated: Duration,
    /// What the runs took of their cores.
    pub busy: Duration,
    /// Real time.
    pub took: Duration,
    /// Upgrades that ended in success, and all that ended.
    pub upgrades: (u64, u64),
    /// The longest that a group took to come to rest after its faults.
    pub longest_rest: Duration,
    /// The longest time without a reply to anybody, whatever happened, and the seed.
    pub longest_gap: (Duration, u64),
    /// The faults that came.
    pub table: Table,
    /// Seeds that were run beyond those, for cells of the table that none of them had reached.
    pub aimed: u64,
    /// Seeds that failed, with what was found.
    pub failed: Vec<(u64, String)>,
}

/// How many seeds aim at a cell of the table that no other seed reached.
const TRIES: usize = 24;

/// Runs the seeds on all cores.
pub fn run(
    installation: fn() -> Installation,
    plan: fn(u64, &[Vec<Version>]) -> Plan,
    targets: &[Vec<Version>],
    seeds: Seeds,
) -> Total {
    let begun = Instant::now();
    let mut total = Total::default();
    let wanted = seeds.from..seeds.from.saturating_add(seeds.count);
    let late = || seeds.at_most.is_some_and(|most| begun.elapsed() > most);
    each(installation, plan, targets, wanted, &late, |ran| {
        total.add(&ran);
    });
    total.took = begun.elapsed();
    total.failed.sort();
    total
}

/// Goes on with seeds that aim at what no seed reached, a few for each cell.
pub fn run_missing(
    installation: fn() -> Installation,
    plan: fn(u64, &[Vec<Version>]) -> Plan,
    targets: &[Vec<Version>],
    total: &mut Total,
) {
    let begun = Instant::now();
    let mut tries: Vec<_> = total
        .table
        .missing()
        .into_iter()
        .map(|cell| (cell, simulator::aimed_seeds(cell).take(TRIES)))
        .collect();
    loop {
        tries.retain(|((fault, role, phase), _)| total.table.of(*fault, *role, *phase) == 0);
        let next: Vec<u64> = tries
            .iter_mut()
            .filter_map(|(_, seeds)| seeds.next())
            .collect();
        if next.is_empty() {
            break;
        }
        each(installation, plan, targets, next, &|| false, |ran| {
            total.aimed += 1;
            total.table.add(&ran.report.table);
            total.fails(&ran);
        });
    }
    total.took += begun.elapsed();
    total.failed.sort();
}

/// One seed's run.
struct Ran {
    seed: u64,
    report: Report,
    /// What it took of its core.
    busy: Duration,
}

fn each(
    installation: fn() -> Installation,
    plan: fn(u64, &[Vec<Version>]) -> Plan,
    targets: &[Vec<Version>],
    seeds: impl IntoIterator<Item = u64, IntoIter: Send>,
    late: &(impl Fn() -> bool + Sync),
    mut told: impl FnMut(Ran),
) {
    let next = Mutex::new(seeds.into_iter());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let (tell, tales) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..cores {
            let (tell, next) = (tell.clone(), &next);
            scope.spawn(move || {
                let installation = installation();
                while !late() {
                    let seed = match next.lock() {
                        Ok(mut next) => next.next(),
                        Err(_) => None,
                    };
                    let Some(seed) = seed else { return };
                    let since = cpu_time();
                    let report = simulator::run(&installation, &plan(seed, targets));
                    let busy = cpu_time() - since;
                    if tell.send(Ran { seed, report, busy }).is_err() {
                        return;
                    }
                }
            });
        }
        drop(tell);
        for ran in tales {
            told(ran);
        }
    });
}

/// What this thread has had of its core: others use it too.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanos)
}

impl Total {
    fn add(&mut self, ran: &Ran) {
        let report = &ran.report;
        self.seeds += 1;
        self.operations += report.answered;
        self.events += report.events;
        self.simulated += Duration::from_micros(report.lasted_us);
        self.busy += ran.busy;
        let done = report.upgrades.iter().filter(|how| *how == "done").count();
        self.upgrades.0 += done as u64;
        self.upgrades.1 += report.upgrades.len() as u64;
        self.longest_rest = self.longest_rest.max(Duration::from_micros(report.rest_us));
        let gap = Duration::from_micros(report.longest_gap_us);
        self.longest_gap = self.longest_gap.max((gap, ran.seed));
        self.table.add(&report.table);
        let counts = report.answered >= OPERATIONS_MIN
            && report
                .upgrades
                .iter()
                .any(|how| !how.starts_with("refused"))
            && report.table.during_upgrade > 0;
        self.counted += u64::from(counts);
        self.fails(ran);
    }

    fn fails(&mut self, ran: &Ran) {
        if let Some(fault) = &ran.report.fault {
            self.failed.push((ran.seed, fault.to_string()));
        }
    }

    /// Virtual time per time of one core.
    pub fn speed(&self) -> f64 {
        self.simulated.as_secs_f64() / self.busy.as_secs_f64().max(1e-9)
    }
}
