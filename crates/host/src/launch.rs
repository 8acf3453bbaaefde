//! From what a process is started with to its driver: checks, the listener, the machine.

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use group::{Joining, Now};
use mio::net::TcpListener;
use mio::{Interest, Poll, Waker};
use replica::{Execute, Program, Replica, Setup, StartError};
use wire::Build;
use wire::daemon::{Assignment, DaemonRequest, Role};
use wire::member::Binary;
use wire::peer::Join;

use crate::Launch;
use crate::clock::{Clock, wall_ms};
use crate::connections::{Connections, SIGNAL, WAKER};
use crate::daemons::Daemons;
use crate::driver::{Driver, Parts};
use crate::executor::Executor;
use crate::life::{Asking, Life, Member};
use crate::notes::note;
use crate::signals;

/// Why a replica's process ends with exit code 1. Its last line says this.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(
        "this binary is {here}, the assignment is for {wanted}: put the binary of that version into \
         the versions directory and start the daemon again"
    )]
    Assignment { here: String, wanted: String },
    #[error("cannot listen on {ip}: {error}")]
    Listen { ip: IpAddr, error: io::Error },
    #[error("the operating system refuses {what}: {error}")]
    System {
        what: &'static str,
        error: io::Error,
    },
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{0}")]
    Joining(String),
    #[error("{0}")]
    Broken(String),
    #[error("ends itself: {0}")]
    Alone(String),
}

impl Failure {
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Failure {
        move |error| Failure::System { what, error }
    }
}

/// Prepares everything; nothing has been said to anybody yet.
pub(crate) fn launch(program: Program, launch: Launch) -> Result<Driver, Failure> {
    let Launch {
        assignment,
        daemon,
        host,
        ip,
        layers,
    } = launch;
    let program = Arc::new(program);
    let binary = binary(&program, &assignment)?;
    let clock = Clock::new();
    let now = clock.now();
    let poll = Poll::new().map_err(Failure::system("a poll"))?;
    let (listener, address) = listen(ip).map_err(|error| Failure::Listen { ip, error })?;
    let mut signal = signals::terminations().map_err(Failure::system("a signal's pipe"))?;
    poll.registry()
        .register(&mut signal, SIGNAL, Interest::READABLE)
        .map_err(Failure::system("a signal's pipe"))?;
    let waker = Waker::new(poll.registry(), WAKER).map_err(Failure::system("a waker"))?;
    let registry = poll.registry().try_clone();
    let connections = registry
        .and_then(|registry| Connections::new(registry, listener))
        .map_err(Failure::system("the listener in the poll"))?;
    let process = std::process::id();
    let register = DaemonRequest::Register {
        process,
        group: assignment.group.clone(),
        address,
    };
    let daemons = Daemons::new(now.time, host.clone(), daemon.map(|path| (path, register)));
    note(format_args!(
        "{} {binary} of group \"{}\" on {host}, {address}, process {process}",
        assignment.service, assignment.group
    ));
    let setup = Setup {
        program: Arc::clone(&program),
        host,
        address,
        process,
        binary,
        layers,
        watched: false,
    };
    let group = assignment.group;
    let (life, execute) = begin(now, setup, &group, assignment.role)?;
    let executor = Executor::start(program, execute, waker);
    Ok(Driver::new(Parts {
        clock,
        poll,
        signal,
        connections,
        daemons,
        executor: executor.map_err(Failure::system("a thread"))?,
        group,
        life,
    }))
}

fn begin(
    now: Now,
    setup: Setup,
    group: &str,
    role: Role,
) -> Result<(Life, Option<Box<dyn Execute>>), Failure> {
    match role {
        Role::Found(foundation) => {
            // A later life of the group has a higher incarnation, as long as clocks go forward.
            let incarnation = wall_ms();
            let seed = seed().map_err(Failure::system("random bytes for the group's seed"))?;
            let (replica, execute) =
                Replica::found(now, setup, group, foundation, incarnation, seed)?;
            note(format_args!(
                "founds the group in incarnation {incarnation}"
            ));
            Ok((Life::Member(Box::new(Member::new(replica))), Some(execute)))
        }
        Role::Join {
            incarnation: _,
            seat,
            attempt,
            contacts,
        } => {
            let join = Join {
                host: setup.host.clone(),
                address: setup.address,
                binary: setup.binary.clone(),
                service: setup.program.description.service.clone(),
                formats: setup.program.formats(),
                seat,
                attempt,
                process: setup.process,
            };
            let contacts = contacts.into_iter().map(|contact| contact.address);
            let joining = Joining::new(now.time, join, contacts.collect());
            Ok((Life::Joining(Box::new(Asking::new(joining, setup))), None))
        }
    }
}

/// What runs here. A daemon that names the build has verified it; otherwise we look at ourselves.
fn binary(program: &Program, assignment: &Assignment) -> Result<Binary, Failure> {
    let description = &program.description;
    if description.service != assignment.service || description.version != assignment.version {
        return Err(Failure::Assignment {
            here: format!("{} {}", description.service, description.version),
            wanted: format!("{} {}", assignment.service, assignment.version),
        });
    }
    let build = match assignment.build {
        Some(build) => build,
        None => own_build().map_err(Failure::system("a look at this process's own binary"))?,
    };
    Ok(Binary {
        version: assignment.version.clone(),
        build,
    })
}

fn own_build() -> io::Result<Build> {
    Ok(Build::of(&std::fs::read(std::env::current_exe()?)?))
}

fn listen(ip: IpAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(SocketAddr::new(ip, 0))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Drawn once by the founder; ordered state from then on.
fn seed() -> io::Result<u64> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}
