//! Load on a ledger, in an open loop: what its clients see, and what the ledger made of it.
//!
//! Requests are sent at times that were fixed beforehand, however slow the replies are, and latency
//! counts from those times. Afterwards the load's own record is held against the ledger's state.
//! What it says on its standard output are [`events`], one line of JSON each; what became of each
//! request goes to the [`record`]. It knows version 1 of the ledger only, and must be served by all
//! later ones.

#![allow(
    clippy::print_stderr,
    reason = "a command line says there why it failed"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the load is a part of the world: it has a clock and a thread that waits for it"
)]

mod audit;
mod events;
mod ledger;
mod load;
mod record;
mod schedule;
mod stop;
mod ticker;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use audit::Audit;
use events::Event;
use load::LoadError;

/// Sends transfers and reads to a ledger at a fixed rate, then audits it.
#[derive(Clone, Debug, Parser)]
#[command(name = "ledger-load", version)]
pub(crate) struct Arguments {
    /// The group that serves the ledger; nobody must have used it before.
    #[arg(long, default_value = "ledger")]
    group: String,
    /// Members, HOST:PORT; several with commas. Connections are spread over them.
    #[arg(long, required = true, value_delimiter = ',')]
    contacts: Vec<SocketAddr>,
    /// Requests per second.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// How many requests of a hundred are transfers; the others are reads.
    #[arg(long, default_value_t = 80, value_parser = clap::value_parser!(u32).range(0..=100))]
    writes: u32,
    /// Sessions. Each numbers its transfers in a stream of its own.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    sessions: u32,
    /// Connections that the sessions share.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Accounts.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(2..))]
    accounts: u32,
    /// After how many milliseconds a request counts as failed.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    limit_ms: u32,
    /// For how many seconds. Without it until SIGTERM, SIGINT, the line `stop` on the standard
    /// input, or its end.
    #[arg(long)]
    duration: Option<u64>,
    /// Where what became of each request is written.
    #[arg(long)]
    record: PathBuf,
}

impl Arguments {
    fn limit(&self) -> Duration {
        Duration::from_millis(u64::from(self.limit_ms))
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // One thread: it carries several times this rate, and leaves the machine to the replicas.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ran = runtime
        .map_err(LoadError::Runtime)
        .and_then(|runtime| runtime.block_on(run(&arguments)));
    match ran {
        Ok(audit) if audit.is_clean() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("ledger-load: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<Audit, LoadError> {
    let ledger = ledger::prepare(arguments).await?;
    let stop = stop::asked(arguments.duration.map(Duration::from_secs))?;
    let done = load::run(arguments, &ledger, stop).await?;
    record::write(&arguments.record, &done).map_err(|why| LoadError::Record {
        path: arguments.record.clone(),
        why,
    })?;
    let audit = audit::audit(&ledger, &done).await?;
    events::tell(&Event::Audited(audit.clone()));
    Ok(audit)
}
