//! Many seeds at once: on all cores, counted, and told in one page.

#![allow(
    clippy::disallowed_methods,
    reason = "runs are spread over the machine's cores, and what they take is measured"
)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
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
    /// The faults that came.
    pub table: Table,
    /// Seeds that failed, with what was found.
    pub failed: Vec<(u64, String)>,
}

/// Runs the seeds on all cores.
pub fn run(
    installation: fn() -> Installation,
    plan: fn(u64, &[Vec<Version>]) -> Plan,
    targets: &[Vec<Version>],
    seeds: Seeds,
) -> Total {
    let begun = Instant::now();
    let next = AtomicU64::new(seeds.from);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let (tell, told) = mpsc::channel::<(u64, Report, Duration)>();
    let mut total = Total::default();
    thread::scope(|scope| {
        for _ in 0..cores {
            let (tell, next) = (tell.clone(), &next);
            scope.spawn(move || {
                let installation = installation();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let late = seeds.at_most.is_some_and(|most| begun.elapsed() > most);
                    if seed >= seeds.from + seeds.count || late {
                        return;
                    }
                    let since = cpu_time();
                    let report = simulator::run(&installation, &plan(seed, targets));
                    if tell.send((seed, report, cpu_time() - since)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(tell);
        for (seed, report, took) in told {
            total.add(seed, &report, took);
        }
    });
    total.took = begun.elapsed();
    total.failed.sort();
    total
}

/// What this thread has had of its core: others use it too.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanos)
}

impl Total {
    fn add(&mut self, seed: u64, report: &Report, took: Duration) {
        self.seeds += 1;
        self.operations += report.answered;
        self.events += report.events;
        self.simulated += Duration::from_micros(report.lasted_us);
        self.busy += took;
        let done = report.upgrades.iter().filter(|how| *how == "done").count();
        self.upgrades.0 += done as u64;
        self.upgrades.1 += report.upgrades.len() as u64;
        self.longest_rest = self.longest_rest.max(Duration::from_micros(report.rest_us));
        self.table.add(&report.table);
        let counts = report.answered >= OPERATIONS_MIN
            && !report.upgrades.is_empty()
            && report.table.during_upgrade > 0;
        self.counted += u64::from(counts);
        if let Some(fault) = &report.fault {
            self.failed.push((seed, fault.to_string()));
        }
    }

    /// Virtual time per time of one core.
    pub fn speed(&self) -> f64 {
        self.simulated.as_secs_f64() / self.busy.as_secs_f64().max(1e-9)
    }
}
