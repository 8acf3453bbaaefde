//! The world of one replica process: clocks, sockets, threads, signals. It drives the machines and
//! decides nothing.
//!
//! One thread owns all sockets and the machines (`driver`): it waits for readiness, reads each
//! socket, hands the messages to the machine, runs one turn of it, and writes once per connection.
//! The service runs on another thread (`executor`), fed by a queue in the order of the group, so a
//! slow request is no silence. Transfers of state (`transfer`) are blocking streams on that thread.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the host is the world: clocks, threads and sockets are its task"
)]

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use replica::{Layer, Program};
use wire::daemon::Assignment;

mod buffer;
mod clock;
mod connection;
mod connections;
mod daemons;
mod donations;
mod driver;
mod executor;
mod inputs;
mod launch;
mod life;
mod notes;
mod outputs;
mod signals;
mod transfer;

/// What a replica's process is started with.
#[derive(Debug)]
pub struct Launch {
    /// What to do in which group.
    pub assignment: Assignment,
    /// The local socket of the host's execution daemon. A replica that has one ends itself when it
    /// is without it for long; one that has none (in tests) does not.
    pub daemon: Option<PathBuf>,
    /// The host's name.
    pub host: String,
    /// The address to listen on, at a port that the system chooses.
    pub ip: IpAddr,
    /// Layers of the user's own that the stack may name.
    pub layers: Vec<Box<dyn Layer>>,
}

/// Runs a replica of `program` until it leaves its group.
///
/// The exit code is 0 if it left as it should, replaced by a successor or asked to leave; otherwise
/// 1, and the last line on standard error says why.
pub fn run(program: Program, launch: Launch) -> ExitCode {
    match launch::launch(program, launch).and_then(|mut driver| driver.run()) {
        Ok(farewell) => {
            notes::note(farewell);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            notes::note(failure);
            ExitCode::FAILURE
        }
    }
}
