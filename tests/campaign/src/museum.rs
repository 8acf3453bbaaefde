//! The museum: each defect on its own, until a checker finds it.
//!
//! The report is a table: what is wrong, what it is about, who found it and after how many seeds. The
//! control runs the same build with no defect shown, and must find nothing: what finds everything
//! finds nothing.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a part of the command line, which shows defects on all cores"
)]

use clap::Args;

/// What to run.
#[derive(Debug, Args)]
pub struct Museum {
    /// Show the defects instead of running seeds.
    #[arg(long)]
    museum: bool,
    /// Show only this defect, by its name; again for more.
    #[arg(long, value_name = "NAME", requires = "museum")]
    only: Vec<String>,
}

impl Museum {
    /// Whether the museum is asked for.
    pub fn asked(&self) -> bool {
        self.museum
    }
}

/// Nothing to see: this build has no defects.
#[cfg(not(museum))]
pub fn run(_: &Museum, _: u64) -> std::process::ExitCode {
    eprintln!("this build cannot show defects: cargo xtask museum builds one that can");
    std::process::ExitCode::from(2)
}

#[cfg(museum)]
pub use shown::run;

#[cfg(museum)]
mod shown {
    use std::collections::BTreeMap;
    use std::process::ExitCode;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use museum::Defect;
    use simulator::{Finding, Installation, random_plan, survivors_plan};

    use super::Museum;

    /// Every so many seeds more members die than a majority bears as well.
    const SURVIVORS_EVERY: u64 = 3;

    /// Shows the defects over so many seeds each.
    pub fn run(arguments: &Museum, seeds: u64) -> ExitCode {
        let unknown = |name: &&String| Defect::ALL.iter().all(|defect| defect.name() != *name);
        if let Some(name) = arguments.only.iter().find(unknown) {
            eprintln!("there is no defect {name}");
            return ExitCode::from(2);
        }
        let wanted = |defect: &Defect| {
            arguments.only.is_empty() || arguments.only.iter().any(|name| name == defect.name())
        };
        let defects: Vec<Defect> = Defect::ALL.iter().copied().filter(wanted).collect();
        println!("| defect | about | found by | after seeds | what it is |");
        println!("| --- | --- | --- | --- | --- |");
        let mut missed = 0;
        for defect in defects {
            let found = show(Some(defect), seeds);
            let (by, after) = match &found.first {
                Some((seed, finding)) => (finding.checker, seed.to_string()),
                None => ("**nobody**", format!("not in {seeds}")),
            };
            let (name, about) = (defect.name(), defect.about().word());
            println!("| {name} | {about} | {by} | {after} | {} |", defect.what());
            if let Some((seed, finding)) = &found.first {
                eprintln!("{name}, seed {seed}: {}", first_line(finding));
            }
            if found.first.is_none() {
                missed += 1;
                for (checker, (count, finding)) in &found.others {
                    let line = first_line(finding);
                    eprintln!("{name}: {count} times, which does not count, {checker}: {line}");
                }
            }
        }
        let control = show(None, seeds);
        match &control.first {
            None => println!("\nWithout a defect {seeds} seeds find nothing."),
            Some((seed, finding)) => println!("\nWithout a defect seed {seed} finds: {finding}"),
        }
        if missed > 0 {
            println!("{missed} defects were not found.");
        }
        if missed == 0 && control.first.is_none() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    /// What the seeds found.
    #[derive(Default)]
    struct Found {
        /// The lowest seed with a finding that counts.
        first: Option<(u64, Finding)>,
        /// Findings that do not count, by who had them.
        others: BTreeMap<&'static str, (u64, Finding)>,
    }

    /// Runs seeds on all cores until one finds the defect. Seeds begin in their order, so the lowest
    /// that found it is the same in each run.
    fn show(defect: Option<Defect>, seeds: u64) -> Found {
        let (next, end) = (AtomicU64::new(1), AtomicU64::new(seeds));
        let found = Mutex::new(Found::default());
        let cores = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            for _ in 0..cores {
                scope.spawn(|| {
                    museum::show(defect);
                    let installation = crate::ledger();
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed > end.load(Ordering::Relaxed) {
                            return;
                        }
                        let Some(finding) = look(&installation, seed) else {
                            continue;
                        };
                        let mut found = found.lock().expect("nobody panics with it");
                        if defect.is_none_or(|defect| defect.finders().contains(&finding.checker)) {
                            end.fetch_min(seed, Ordering::Relaxed);
                            if found.first.as_ref().is_none_or(|(first, _)| seed < *first) {
                                found.first = Some((seed, finding));
                            }
                        } else {
                            let known = found.others.entry(finding.checker);
                            known.or_insert((0, finding)).0 += 1;
                        }
                    }
                });
            }
        });
        found.into_inner().expect("nobody panicked with it")
    }

    fn look(installation: &Installation, seed: u64) -> Option<Finding> {
        let plan = random_plan(seed, &crate::targets());
        let found = simulator::run(installation, &plan).fault;
        if found.is_some() || !seed.is_multiple_of(SURVIVORS_EVERY) {
            return found;
        }
        let reckless = seed.is_multiple_of(2 * SURVIVORS_EVERY);
        let targets = crate::survivors_targets();
        let plan = survivors_plan(seed / SURVIVORS_EVERY, &targets, reckless);
        simulator::run(installation, &plan).fault
    }

    fn first_line(finding: &Finding) -> String {
        let what = finding.to_string();
        let line = what.lines().next().unwrap_or_default();
        line.chars().take(300).collect()
    }
}
