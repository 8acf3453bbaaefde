//! `campaign`: the ledger in the simulator, from the command line.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line speaks by printing"
)]

use std::process::ExitCode;
use std::time::Duration;

use campaign::count::{self, Seeds, Total};
use campaign::scenario::{Scenario, ScenarioError};
use clap::Parser;
use simulator::{Plan, Report};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The ledger in the simulator.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask simulate")]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 500)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Begin no seed after so many minutes.
    #[arg(long)]
    minutes: Option<u64>,
    /// One seed, or a plan from a file: print what happened, in columns.
    #[arg(long)]
    transcript: bool,
    /// Run the plan in this file instead of seeds.
    #[arg(long, value_name = "FILE")]
    plan: Option<std::path::PathBuf>,
    /// Play the scenarios of this folder instead, and say where something else happens.
    #[arg(long, value_name = "FOLDER")]
    scenarios: Option<std::path::PathBuf>,
    /// With `--scenarios`: what happens becomes what is expected.
    #[arg(long, requires = "scenarios")]
    rewrite: bool,
    #[command(flatten)]
    museum: campaign::museum::Museum,
}

/// From so many seeds on everything must have been tried.
const FULL_TABLE_FROM: u64 = 400;

fn main() -> ExitCode {
    // Services that panic on purpose are part of the runs; what a machine panics with is a finding.
    std::panic::set_hook(Box::new(|_| {}));
    let arguments = Arguments::parse();
    if let Some(folder) = &arguments.scenarios {
        return match play(folder, arguments.rewrite) {
            Ok(code) => code,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::from(2)
            }
        };
    }
    if arguments.museum.asked() {
        return campaign::museum::run(&arguments.museum, arguments.seeds);
    }
    if let Some(file) = &arguments.plan {
        let plan = match std::fs::read_to_string(file) {
            Ok(text) => text.parse::<Plan>().map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        return match plan {
            Ok(plan) => one(&plan, true),
            Err(why) => {
                eprintln!("{}: {why}", file.display());
                ExitCode::from(2)
            }
        };
    }
    if arguments.seeds == 1 {
        let plan = simulator::random_plan(arguments.from, &campaign::targets());
        return one(&plan, arguments.transcript);
    }
    let seeds = Seeds {
        from: arguments.from,
        count: arguments.seeds,
        at_most: arguments
            .minutes
            .map(|minutes| Duration::from_secs(60 * minutes)),
    };
    let mut total = count::run(
        campaign::ledger,
        simulator::random_plan,
        &campaign::targets(),
        seeds,
    );
    // So few seeds are asked for to see just them.
    if total.seeds >= FULL_TABLE_FROM {
        count::run_missing(
            campaign::ledger,
            simulator::random_plan,
            &campaign::targets(),
            &mut total,
        );
    }
    tell(&total)
}

fn play(folder: &std::path::Path, rewrite: bool) -> Result<ExitCode, ScenarioError> {
    let mut code = ExitCode::SUCCESS;
    for scenario in Scenario::all(folder)? {
        let happened = scenario.play()?;
        if happened == scenario.expected {
            continue;
        }
        if rewrite {
            scenario.rewrite(&happened)?;
            println!("written  {}", scenario.name);
        } else {
            println!("differs  {}\n{happened}", scenario.name);
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

/// One run, told in full.
fn one(plan: &Plan, transcript: bool) -> ExitCode {
    let report = simulator::run(&campaign::ledger(), plan);
    print!("{plan}");
    if transcript {
        for line in &report.lines {
            println!("{line}");
        }
    }
    println!("{}", summary(&report));
    match &report.fault {
        None => ExitCode::SUCCESS,
        Some(fault) => {
            println!("{fault}");
            let smallest = simulator::shrink(&campaign::ledger(), plan);
            println!("the smallest plan that fails:\n{smallest}");
            ExitCode::FAILURE
        }
    }
}

fn summary(report: &Report) -> String {
    format!(
        "{} requests answered, {} views, upgrades {:?} ({:?} of at most ms), longest gap {} ms, \
         {} ms simulated, {} events, log at most {} bytes, rest after {} ms, digest {:016x}",
        report.answered,
        report.views,
        report.upgrades,
        report.upgrades_ms,
        report.longest_gap_us / 1000,
        report.lasted_us / 1000,
        report.events,
        report.log_bytes,
        report.rest_us / 1000,
        report.digest
    )
}

fn tell(total: &Total) -> ExitCode {
    println!("{}", total.table);
    let per_core = total.busy.as_secs_f64().max(1e-9);
    println!(
        "{} seeds and {} more aimed at what they had not tried in {:.1} s ({:.0} per minute), \
         {} counted; {:.0} times real time per core, \
         {:.0} events and {:.0} requests per second of a core, {:.0} requests per simulated second; \
         {} of {} upgrades done; at rest after at most {:.1} s; nobody was answered for at most {:.0} ms (seed {})",
        total.seeds,
        total.aimed,
        total.took.as_secs_f64(),
        (total.seeds + total.aimed) as f64 * 60.0 / total.took.as_secs_f64(),
        total.counted,
        total.speed(),
        total.events as f64 / per_core,
        total.operations as f64 / per_core,
        total.operations as f64 / total.simulated.as_secs_f64().max(1e-9),
        total.upgrades.0,
        total.upgrades.1,
        total.longest_rest.as_secs_f64(),
        total.longest_gap.0.as_secs_f64() * 1e3,
        total.longest_gap.1,
    );
    let missing = if total.seeds >= FULL_TABLE_FROM {
        total.table.missing()
    } else {
        Vec::new()
    };
    if !missing.is_empty() {
        let cells: Vec<String> = missing
            .iter()
            .map(|(fault, role, phase)| format!("{fault} {role} in {phase}"))
            .collect();
        println!("never tried: {}", cells.join(", "));
    }
    for (seed, what) in &total.failed {
        let first: Vec<&str> = what.lines().take(3).collect();
        println!("seed {seed}: {}", first.join(" | "));
    }
    if let Some((seed, _)) = total.failed.first() {
        println!(
            "{} seeds failed; again: cargo xtask simulate --seeds 1 --from {seed} --transcript",
            total.failed.len()
        );
    }
    if total.failed.is_empty() && missing.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
