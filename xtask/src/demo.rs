//! `cargo xtask demo`: the main job on real processes, under load, with a report.
//!
//! Three daemons, the ledger's version 1 on three replicas, an upgrade to version 2 in the middle
//! of which a replica is killed, and one to version 3, all of it under load and within two minutes.
//! It is a success only if no request failed and the final state holds every acknowledged transfer
//! exactly once.

mod binaries;
mod compose;
mod flight;
mod load;
mod medians;
mod picture;
mod proof;
mod record;
mod report;
mod screen;
mod statistics;
mod strike;
mod watch;

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use binaries::Binaries;
pub(crate) use binaries::target_directory;
use flight::{FlightError, Plan, fly};
use record::{Record, RecordError};
use report::Report;
use screen::Screen;
use strike::Role;

/// What the demo is to do.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Write the figures to this file, as JSON; of several runs, a list.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write the picture to this file (SVG).
    #[arg(long)]
    picture: Option<PathBuf>,
    /// Whom to kill; without it the roles take turns.
    #[arg(long, value_enum)]
    kill: Option<Role>,
    /// Requests per second.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Sessions of the load.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    sessions: u32,
    /// How many demos, one after the other.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error("{0}")]
    Build(String),
    #[error(transparent)]
    Flight(#[from] FlightError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("{path}: {why}")]
    File { path: PathBuf, why: io::Error },
}

/// Runs the demo; whether it was a success.
pub(crate) fn run(arguments: Arguments) -> bool {
    match demos(&arguments) {
        Ok(green) => green,
        Err(why) => {
            eprintln!("\nThe demo has no report: {why}");
            false
        }
    }
}

fn demos(arguments: &Arguments) -> Result<bool, DemoError> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let registered = signal_hook::flag::register(signal, Arc::clone(&interrupted));
        registered.map_err(|why| DemoError::Build(format!("signals cannot be heard: {why}")))?;
    }
    let binaries = Binaries::build().map_err(DemoError::Build)?;
    let directory = target_directory().map_err(DemoError::Build)?.join("demo");
    fs::create_dir_all(&directory).map_err(|why| unusable(&directory, why))?;
    let picture = arguments
        .picture
        .clone()
        .unwrap_or_else(|| directory.join("demo.svg"));
    let first = seconds_since_1970();
    let mut reports = Vec::new();
    for number in 0..u64::from(arguments.runs) {
        let plan = Plan {
            directory: directory.join("run"),
            record: directory.join("record.jsonl"),
            rate: arguments.rate,
            sessions: arguments.sessions,
            role: arguments.kill.unwrap_or_else(|| Role::of(first + number)),
        };
        let (report, drawn) = one(&plan, &binaries, &interrupted)?;
        write(&picture, &drawn)?;
        println!("\n{report}");
        println!("Picture: {}", picture.display());
        println!("Record:  {}", plan.record.display());
        for fault in report.faults() {
            println!("FAILED   {fault}");
        }
        reports.push(report);
        if let Some(path) = &arguments.json {
            write(path, &report::json(&reports))?;
        }
    }
    if reports.len() > 1 {
        println!("\n{}", medians::table(&reports));
    }
    Ok(reports.iter().all(|report| report.faults().is_empty()))
}

/// One demo: its report and its picture.
fn one(
    plan: &Plan,
    binaries: &Binaries,
    interrupted: &Arc<AtomicBool>,
) -> Result<(Report, String), DemoError> {
    // A record of an earlier demo must not be taken for this one's.
    match fs::remove_file(&plan.record) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => {
            return Err(unusable(&plan.record, why));
        }
        Ok(()) | Err(_) => {}
    }
    let flown = fly(plan, binaries, &mut Screen::new(), interrupted)?;
    let opened = File::open(&plan.record).map_err(|why| unusable(&plan.record, why))?;
    let record = Record::read(BufReader::new(opened))?;
    let report = compose::report(flown, &record);
    let drawn = picture::draw(&record, &report);
    Ok((report, drawn))
}

fn write(path: &Path, text: &str) -> Result<(), DemoError> {
    fs::write(path, text).map_err(|why| unusable(path, why))
}

fn unusable(path: &Path, why: io::Error) -> DemoError {
    DemoError::File {
        path: path.to_owned(),
        why,
    }
}

fn seconds_since_1970() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}
