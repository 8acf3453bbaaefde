//! `cargo run --release -p bench`: writes per second and their latency, of a group of three and of
//! a group of one, on real processes on this machine.
//!
//! Keys of 16 bytes, values of 64, closed loop: a client sends its next write when the last one is
//! answered. Clients, daemons and replicas share the machine, so that figures of two machines are
//! comparable only if both say how many processors they have.
//!
//! `cargo run --release -p bench -- transfer` measures the passing of a large state instead.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line speaks by printing"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a measurement is a part of the world: it has a clock and starts processes"
)]

mod measure;
mod results;
mod transfer;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::Parser;
use installation::{Installation, StartError};
use tokio::signal::unix::{SignalKind, signal};
use wire::Version;

use measure::{Connections, MeasureError, Setting, measure};
use results::{Row, head, json, line};
use transfer::TransferError;

/// How many clients wait for replies at a time.
const CLIENTS: [u32; 3] = [1, 64, 256];
/// Over one connection each, and over this many together.
const SHARED: u32 = 4;
/// The sizes of the groups that are measured.
const GROUPS: [u32; 2] = [3, 1];
/// The measured service's name, and its binary's.
const SERVICE: &str = "bench-store";
/// Its next version's binary.
const NEXT: &str = "bench-store-next";

/// Measures groups on this machine.
#[derive(Debug, Parser)]
#[command(name = "bench", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Other>,
    /// Write the results to this file, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// How many seconds each measurement lasts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
}

/// What is measured instead.
#[derive(Debug, clap::Subcommand)]
enum Other {
    /// A large state on its way to joiners, and what clients see meanwhile.
    Transfer(transfer::Arguments),
}

/// Why there are no results.
#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error("{what}: {why}")]
    System { what: String, why: std::io::Error },
    #[error("the binaries could not be built")]
    Build,
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Measure(#[from] MeasureError),
    #[error(transparent)]
    Transfer(#[from] TransferError),
    #[error("interrupted; everything that was started is stopped")]
    Interrupted,
}

fn main() -> ExitCode {
    let ran = run(&Arguments::parse());
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), BenchError> {
    let release = build()?;
    let directory = release.with_file_name("bench").join("run");
    let binaries = [release.join(SERVICE), release.join(NEXT)];
    let versions: Vec<&Path> = binaries.iter().map(PathBuf::as_path).collect();
    let hosts = GROUPS[0];
    let mut installation =
        Installation::start(&directory, &release.join("remex"), &versions, hosts)?;
    // One thread: it leaves the machine to the replicas.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("starting the runtime"))?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(system("hearing signals"))?;
        let mut terminate = signal(SignalKind::terminate()).map_err(system("hearing signals"))?;
        tokio::select! {
            measured = chosen(&mut installation, arguments) => measured,
            _ = interrupt.recv() => Err(BenchError::Interrupted),
            _ = terminate.recv() => Err(BenchError::Interrupted),
        }
    })?;
    installation.stop();
    Ok(())
}

async fn chosen(installation: &mut Installation, arguments: &Arguments) -> Result<(), BenchError> {
    if let Some(Other::Transfer(arguments)) = &arguments.command {
        return Ok(transfer::run(installation, arguments).await?);
    }
    let rows = all(installation, Duration::from_secs(arguments.seconds)).await?;
    if let Some(path) = &arguments.json {
        let what = format!("writing {}", path.display());
        fs::write(path, json(&rows)).map_err(system(&what))?;
    }
    Ok(())
}

/// All measurements; each is printed when it is there.
async fn all(installation: &mut Installation, duration: Duration) -> Result<Vec<Row>, BenchError> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{processors} processors, shared by clients, daemons and replicas");
    println!("{}", head());
    let mut rows = Vec::new();
    for members in GROUPS {
        let group = format!("group-of-{members}");
        let founded = installation.found(&group, SERVICE, &Version::new(1, 0, 0), members)?;
        for clients in CLIENTS {
            for connections in [Connections::Each, Connections::Shared(SHARED)] {
                let setting = Setting {
                    clients,
                    connections,
                    duration,
                };
                let found = measure(&group, founded.contacts(), setting).await?;
                let row = Row::new(members, setting, &found);
                println!("{}", line(&row));
                rows.push(row);
            }
        }
    }
    Ok(rows)
}

/// Builds what is measured, optimised; where it lies.
fn build() -> Result<PathBuf, BenchError> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    command.args(["build", "--release", "--bins"]);
    command.args(["--package", "remex-cli", "--package", "bench"]);
    let status = command.status().map_err(system("starting cargo"))?;
    if !status.success() {
        return Err(BenchError::Build);
    }
    // This binary lies in the target directory's `release` or `debug`.
    let here = std::env::current_exe().map_err(system("finding this binary"))?;
    let target = here.ancestors().nth(2).unwrap_or(Path::new("target"));
    Ok(target.join("release"))
}

fn system(what: &str) -> impl FnOnce(std::io::Error) -> BenchError {
    let what = what.to_owned();
    move |why| BenchError::System { what, why }
}
