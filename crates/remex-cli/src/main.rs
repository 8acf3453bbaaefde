//! `remex`: the execution daemon, a development installation, and the operator's commands.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage, 3 nobody reached, 4 refused, 5 not done in time.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the command line is at the edge: clocks, tasks and processes are its task"
)]

mod commands;
mod daemon;
mod installation;
mod lock;
mod outcome;
mod place;
mod screen;

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use outcome::Outcome;
use place::Place;
use screen::Screen;

/// Keeps replicated servers in the air while their code is replaced.
#[derive(Parser, Debug)]
#[command(name = "remex", version, about, long_about = None)]
struct Cli {
    /// How results are printed.
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(flatten)]
    installation: At,
    #[command(subcommand)]
    command: Command,
}

/// Where the installation is.
#[derive(Args, Debug, Clone)]
struct At {
    /// Daemons of the installation, HOST:PORT; several with commas. Without it the nearest
    /// `.remex/dev.json` says where they are.
    #[arg(long, global = true, env = "REMEX_AT", value_delimiter = ',')]
    at: Vec<Place>,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Runs this host's execution daemon, until it is told to end.
    Daemon(DaemonArgs),
    /// Runs a whole installation on this machine: several daemons, and a group if one is named.
    Dev(DevArgs),
    /// Creates a group.
    Create(CreateArgs),
    /// Creates a group as a specification says, or changes it as it runs.
    Apply(ApplyArgs),
    /// Shows what groups do, and why anything waits.
    Status {
        /// The group; all groups if absent.
        group: Option<String>,
    },
    /// Replaces a group's code, replica by replica.
    #[command(subcommand)]
    Upgrade(UpgradeCommand),
    /// Calls a method, with arguments as JSON.
    Call {
        /// The group.
        group: String,
        /// The method's name.
        method: String,
        /// An array by position, an object by name.
        arguments: Option<String>,
    },
    /// Lists the binaries that the daemons can start.
    Versions,
    /// Prints the last lines that a replica's process wrote.
    Logs {
        /// The process.
        process: u32,
        /// How many lines.
        #[arg(long, default_value_t = 50)]
        lines: u32,
    },
    /// Stops one replica, or all replicas of a group.
    Stop {
        /// The group.
        group: String,
        /// Only this process.
        #[arg(long)]
        process: Option<u32>,
    },
}

/// What a daemon is told.
#[derive(Args, Debug, Clone)]
struct DaemonArgs {
    /// The host's name.
    #[arg(long)]
    host: String,
    /// The address on which the daemon and its replicas listen.
    #[arg(long, default_value = "127.0.0.1")]
    ip: IpAddr,
    /// The daemon's port; 0 lets the system choose.
    #[arg(long, default_value_t = 7400)]
    port: u16,
    /// Where the binaries of all versions lie.
    #[arg(long)]
    versions: PathBuf,
    /// Where the daemon keeps what must outlive it.
    #[arg(long)]
    state: PathBuf,
}

/// What a development installation is told.
#[derive(Args, Debug)]
struct DevArgs {
    /// How many hosts, each a daemon.
    #[arg(long, default_value_t = 3)]
    hosts: u32,
    /// Where the binaries of all versions lie.
    #[arg(long, default_value = "versions")]
    versions: PathBuf,
    /// Where everything is kept.
    #[arg(long, default_value = ".remex")]
    state: PathBuf,
    /// A group to create at once.
    #[arg(long, requires = "service", requires = "service_version")]
    group: Option<String>,
    /// The group's service.
    #[arg(long)]
    service: Option<String>,
    /// The service's version.
    #[arg(long = "service-version")]
    service_version: Option<wire::Version>,
    /// How many members the group wants.
    #[arg(long, default_value_t = 3)]
    initial: u32,
    /// How many serving members must remain.
    #[arg(long, default_value_t = 1)]
    minimal: u32,
}

/// What a new group is.
#[derive(Args, Debug, Clone)]
struct CreateArgs {
    /// The group's name.
    group: String,
    /// The service that it runs.
    #[arg(long)]
    service: String,
    /// The service's version.
    #[arg(long = "service-version")]
    version: wire::Version,
    /// How many members it wants.
    #[arg(long, default_value_t = 3)]
    initial: u32,
    /// How many serving members must remain.
    #[arg(long, default_value_t = 1)]
    minimal: u32,
    /// The layers of each replica, from the group to the service.
    #[arg(long, default_value = replica::USUAL)]
    stack: String,
    /// How long to wait until all members serve, in seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(..=86_400))]
    wait: u64,
}

/// What a group shall be.
#[derive(Args, Debug, Clone)]
struct ApplyArgs {
    /// Its specification, in TOML or in the XML of the paper's Figure 3.
    file: PathBuf,
    /// Only say what would change.
    #[arg(long)]
    dry_run: bool,
    /// How long to wait until all members serve, in seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(..=86_400))]
    wait: u64,
}

#[derive(Subcommand, Debug)]
enum UpgradeCommand {
    /// Begins an upgrade.
    Start(UpgradeArgs),
    /// Shows the running or the last upgrade.
    Status {
        /// The group.
        group: String,
        /// Follow it until it ends.
        #[arg(long)]
        watch: bool,
    },
}

/// What an upgrade is told.
#[derive(Args, Debug, Clone)]
struct UpgradeArgs {
    /// The group.
    group: String,
    /// The version to run.
    version: wire::Version,
    /// The build to run, its SHA-256; needed only if several builds of the version lie there.
    #[arg(long)]
    build: Option<String>,
    /// How many seats are replaced at a time.
    #[arg(long, default_value_t = 1)]
    parallel: u32,
    /// How often a seat is tried before the upgrade is given up.
    #[arg(long, default_value_t = 3)]
    attempts: u32,
    /// How long a new replica may make no progress, in milliseconds.
    #[arg(long, default_value_t = 10_000)]
    patience: u64,
    /// Follow it until it ends.
    #[arg(long)]
    watch: bool,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            if error.use_stderr() && wants_json(std::env::args_os().skip(1)) {
                let outcome = Outcome::Usage(error.to_string().trim_end().to_owned());
                Screen::new(true).fault(&outcome);
                return ExitCode::from(outcome.code());
            }
            let code = if error.use_stderr() { 2 } else { 0 };
            // Nothing can be said if even this cannot be printed.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let mut screen = Screen::new(cli.output == Format::Json);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(run(cli, &mut screen));
            // Replicas outlive their daemon: nobody waits for the threads that wait for their ends.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(Outcome::Failed(format!(
            "no runtime could be made: {error}"
        ))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(outcome) => {
            screen.fault(&outcome);
            ExitCode::from(outcome.code())
        }
    }
}

/// Whether a command line that makes no sense asks for JSON nevertheless: scripts get a document
/// whatever is wrong.
fn wants_json(arguments: impl Iterator<Item = OsString>) -> bool {
    let mut before = OsString::new();
    for argument in arguments {
        let follows = before == "-o" || before == "--output";
        if (follows && argument == "json") || argument == "-ojson" || argument == "--output=json" {
            return true;
        }
        before = argument;
    }
    false
}

async fn run(cli: Cli, screen: &mut Screen) -> Result<(), Outcome> {
    match cli.command {
        Command::Daemon(args) => daemon::run(args, screen).await,
        Command::Dev(args) => commands::dev::run(args, screen).await,
        Command::Create(args) => commands::create::run(&cli.installation, args, screen).await,
        Command::Apply(args) => commands::apply::run(&cli.installation, args, screen).await,
        Command::Status { group } => {
            commands::status::run(&cli.installation, group.as_deref(), screen).await
        }
        Command::Upgrade(UpgradeCommand::Start(args)) => {
            commands::upgrade::start(&cli.installation, args, screen).await
        }
        Command::Upgrade(UpgradeCommand::Status { group, watch }) => {
            commands::upgrade::status(&cli.installation, &group, watch, screen).await
        }
        Command::Call {
            group,
            method,
            arguments,
        } => {
            let arguments = arguments.as_deref().unwrap_or("null");
            commands::call::run(&cli.installation, &group, &method, arguments, screen).await
        }
        Command::Versions => commands::versions::run(&cli.installation, screen).await,
        Command::Logs { process, lines } => {
            commands::logs::run(&cli.installation, process, lines, screen).await
        }
        Command::Stop { group, process } => {
            commands::stop::run(&cli.installation, &group, process, screen).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_command_line_is_told_in_json_where_that_is_asked_for() {
        let wants = |line: &str| wants_json(line.split(' ').map(OsString::from));
        for line in [
            "-o json call",
            "call -ojson",
            "call --output=json x",
            "--output json",
        ] {
            assert!(wants(line), "{line}");
        }
        for line in ["call json", "-o text call", "--output xml", "-o"] {
            assert!(!wants(line), "{line}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
