//! `torture`: a ledger on real daemons and replicas under load, while its processes are killed and
//! stopped and its code is replaced back and forth.
//!
//! Chance comes from a printed seed: whom it hits, when, and for how long. What the processes make
//! of it depends on the machine, so a seed gives another run of the same kind, and not the same run.
//! Everything that clients saw is judged: histories by the simulator's checkers, the end by an audit,
//! the processes by what the kernel says of their memory and files.
//!
//! Reading order: `strike.rs` (what can happen), `course.rs` (when it happens), `world.rs` (how),
//! `load.rs` (what clients do), `history.rs` and `audit.rs` (what must hold), `usage.rs`, `report.rs`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line speaks by printing"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "this is the world: it has clocks and threads, and signals real processes"
)]

mod audit;
mod course;
mod history;
mod judge;
mod load;
mod report;
mod strike;
mod tally;
mod upgrade;
mod usage;
mod world;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use course::{Course, CourseError};
use report::Report;

/// A ledger on real processes that are killed, stopped and upgraded back and forth under load.
#[derive(Clone, Debug, Parser)]
#[command(name = "cargo xtask torture")]
struct Arguments {
    /// For how many minutes.
    #[arg(long, default_value_t = 2.0)]
    minutes: f64,
    /// Where all chance comes from; a new one if absent.
    #[arg(long)]
    seed: Option<u64>,
    /// Write the figures to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// After how many milliseconds a request counts as failed.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    deadline_ms: u64,
    /// Where processes keep what they write; `torture` beside the binaries' directory if absent.
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// End when the process that started this one ends, however that happens.
    #[arg(long)]
    with_parent: bool,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
enum TortureError {
    #[error("{what}: {why}")]
    System { what: String, why: io::Error },
    #[error(transparent)]
    Course(#[from] CourseError),
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("There is no report: {why}");
            ExitCode::from(2)
        }
    }
}

/// Runs; whether everything was verified.
fn run(arguments: &Arguments) -> Result<bool, TortureError> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let registered = signal_hook::flag::register(signal, Arc::clone(&interrupted));
        registered.map_err(system("hearing signals"))?;
    }
    if arguments.with_parent {
        let set =
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM));
        set.map_err(|why| system("hearing of the parent's end")(why.into()))?;
    }
    let binaries = std::env::current_exe().map_err(system("finding the binaries"))?;
    let binaries = binaries.parent().unwrap_or(Path::new(".")).to_owned();
    let directory = arguments.directory.clone();
    let directory = directory.unwrap_or_else(|| binaries.with_file_name("torture"));
    fs::create_dir_all(&directory).map_err(system(&format!("creating {}", directory.display())))?;
    let seed = arguments.seed.unwrap_or_else(fresh_seed);
    println!(
        "seed {seed}: {} minutes, requests fail after {} ms; what happens is told in {}",
        arguments.minutes,
        arguments.deadline_ms,
        directory.join("course.log").display()
    );
    let course = Course {
        seed,
        lasts: Duration::from_secs_f64(60.0 * arguments.minutes.clamp(0.0, 1e6)),
        deadline: Duration::from_millis(arguments.deadline_ms),
        binaries,
        directory,
    };
    let report = course.run(&interrupted)?;
    tell(arguments, &report)?;
    Ok(report.faults.is_empty())
}

fn tell(arguments: &Arguments, report: &Report) -> Result<(), TortureError> {
    if let Some(file) = &arguments.json {
        let text = serde_json::to_string_pretty(report).map_err(io::Error::from);
        text.and_then(|text| fs::write(file, text))
            .map_err(system(&format!("writing {}", file.display())))?;
    }
    println!("{report}");
    for fault in &report.faults {
        println!("FAILED   {fault}");
    }
    if !report.faults.is_empty() {
        println!(
            "again: cargo xtask torture --minutes {} --seed {}",
            arguments.minutes, report.seed
        );
    }
    Ok(())
}

fn system(what: &str) -> impl FnOnce(io::Error) -> TortureError {
    let what = what.to_owned();
    move |why| TortureError::System { what, why }
}

fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}
