//! `remex daemon`: the driver of the daemon's machine: sockets, processes and files.
//!
//! One task owns the machine; each connection has a task that moves frames, each process one that
//! waits for its exit. Nothing here decides.

mod catalogue;
mod connections;
mod processes;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::daemon::{Connection, Daemon, Output};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, mpsc};
use wire::daemon::{DaemonReply, DaemonRequest};
use wire::{Build, Time};

use crate::DaemonArgs;
use crate::installation::write_whole;
use crate::lock::Lock;
use crate::outcome::{Outcome, told};
use crate::screen::Screen;
use catalogue::Catalogue;
use processes::Processes;

/// What a daemon says of itself in its state directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DaemonFile {
    /// 1.
    pub(crate) schema: u32,
    /// The host's name.
    pub(crate) host: String,
    /// Where it listens.
    pub(crate) daemon: SocketAddr,
    /// Its process.
    pub(crate) process: u32,
}

impl DaemonFile {
    /// The file's name.
    pub(crate) const NAME: &'static str = "daemon.json";
}

/// What the tasks tell the one that owns the machine.
#[derive(Debug)]
pub(crate) enum News {
    /// A connection, with the way back.
    Opened(Connection, mpsc::UnboundedSender<Vec<u8>>),
    /// A request on it.
    Heard(Connection, DaemonRequest),
    /// It is gone.
    Closed(Connection),
    /// A binary runs.
    Started(u64, u32, Build),
    /// It does not.
    NotStarted(u64, String),
    /// A process has ended.
    Ended(u32, String),
    /// An answer is ready.
    Answer(Connection, DaemonReply),
}

struct Driver {
    machine: Daemon,
    connections: BTreeMap<Connection, mpsc::UnboundedSender<Vec<u8>>>,
    processes: Processes,
    catalogue: Arc<Mutex<Catalogue>>,
    news: mpsc::UnboundedSender<News>,
    start: Instant,
}

pub(crate) async fn run(args: DaemonArgs, screen: &Screen) -> Result<(), Outcome> {
    let fault = |what: &str| {
        let what = what.to_owned();
        move |error: std::io::Error| Outcome::Failed(format!("{what}: {}", told(&error)))
    };
    let in_state = format!("the state directory {}", args.state.display());
    std::fs::create_dir_all(&args.state).map_err(fault(&in_state))?;
    let state = args.state.canonicalize().map_err(fault(&in_state))?;
    let _lock = Lock::take(&state, "a daemon")?;
    let socket = state.join("daemon.sock");
    // A socket that an earlier daemon left would refuse us.
    let _ = std::fs::remove_file(&socket);
    let local = UnixListener::bind(&socket)
        .map_err(fault(&format!("the local socket {}", socket.display())))?;
    let address = SocketAddr::new(args.ip, args.port);
    let remote = TcpListener::bind(address)
        .await
        .map_err(fault(&format!("port {address}")))?;
    let listens = remote.local_addr().map_err(fault("the port"))?;
    let (news, mut heard) = mpsc::unbounded_channel();
    let processes = Processes::new(&args, &state, &socket, news.clone());
    let mut driver = Driver {
        machine: Daemon::new(&args.host),
        connections: BTreeMap::new(),
        processes,
        catalogue: Arc::new(Mutex::new(Catalogue::new(
            args.versions.clone(),
            state.clone(),
        ))),
        news: news.clone(),
        start: Instant::now(),
    };
    driver.adopt(screen);
    connections::accept(local, remote, news);
    let file = DaemonFile {
        schema: 1,
        host: args.host.clone(),
        daemon: listens,
        process: std::process::id(),
    };
    let text = serde_json::to_string(&file).map_err(|e| Outcome::Failed(e.to_string()))?;
    write_whole(&state.join(DaemonFile::NAME), &text)?;
    screen.line(&format!("{} listens at {listens}", args.host));
    let mut terminate = signal(SignalKind::terminate()).map_err(fault("signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fault("signals"))?;
    loop {
        let sleep = driver.machine.deadline().map(|at| at.since(driver.now()));
        tokio::select! {
            news = heard.recv() => {
                if let Some(news) = news {
                    driver.take(news);
                }
            }
            () = pause(sleep) => {
                let mut out = Vec::new();
                driver.machine.tick(driver.now(), &mut out);
                driver.carry_out(out);
            }
            // The replicas stay: another daemon adopts them.
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
    }
}

async fn pause(for_how_long: Option<Duration>) {
    match for_how_long {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

impl Driver {
    fn now(&self) -> Time {
        Time(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// Takes over what an earlier daemon of this host started.
    fn adopt(&mut self, screen: &Screen) {
        let found = self.processes.found();
        for who in found.gone {
            screen.line(&format!(
                "{} of group {} ended while no daemon ran",
                who.member, who.group
            ));
            self.machine.gone(who, "it ended while no daemon ran");
        }
        for (process, assignment, build) in found.running {
            screen.line(&format!(
                "adopted process {process} of group {}",
                assignment.group
            ));
            self.machine.adopt(process, assignment, build);
            self.processes.watch(process);
        }
    }

    fn take(&mut self, news: News) {
        let mut out = Vec::new();
        match news {
            News::Opened(connection, writer) => {
                self.connections.insert(connection, writer);
            }
            News::Heard(connection, request) => {
                let met = match &request {
                    DaemonRequest::Register { process, .. } if !self.machine.knows(*process) => {
                        Some(*process)
                    }
                    DaemonRequest::Register { .. }
                    | DaemonRequest::Members { .. }
                    | DaemonRequest::Start { .. }
                    | DaemonRequest::Stop { .. }
                    | DaemonRequest::Inventory { .. }
                    | DaemonRequest::Output { .. }
                    | DaemonRequest::Fate { .. } => None,
                };
                self.machine
                    .heard(self.now(), connection, request, &mut out);
                // A process whose record was lost is watched from its registration on.
                if let Some(process) = met {
                    self.processes.watch_met(process);
                }
            }
            News::Closed(connection) => {
                self.connections.remove(&connection);
                self.machine.closed(connection);
            }
            News::Started(start, process, build) => {
                self.processes.watch(process);
                let now = self.now();
                self.machine.started(now, start, process, build, &mut out);
            }
            News::NotStarted(start, why) => self.machine.not_started(start, why, &mut out),
            News::Ended(process, how) => {
                let tail = self.processes.lines(process, 3).join(" | ");
                self.machine.ended(process, &how, &tail, &mut out);
            }
            News::Answer(connection, reply) => self.reply(connection, &reply),
        }
        self.carry_out(out);
    }

    fn carry_out(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Reply { connection, reply } => self.reply(connection, &reply),
                Output::Spawn { start, assignment } => {
                    self.processes
                        .spawn(start, assignment, Arc::clone(&self.catalogue));
                }
                Output::Terminate { process } => processes::terminate(process),
                Output::Kill { process } => processes::kill(process),
                Output::Death {
                    to,
                    group,
                    incarnation,
                    member,
                    how,
                } => {
                    let host = self.machine.host().to_owned();
                    tokio::spawn(connections::tell_death(
                        to,
                        group,
                        host,
                        incarnation,
                        member,
                        how,
                    ));
                }
                Output::Lines {
                    connection,
                    token,
                    process,
                    lines,
                } => {
                    let reply = if self.processes.has_output(process) {
                        let lines = self.processes.lines(process, lines as usize);
                        DaemonReply::Output {
                            token,
                            lines: lines.into(),
                        }
                    } else {
                        let why = format!(
                            "no output of a process {process} is kept on {}",
                            self.machine.host()
                        );
                        DaemonReply::Failed { token, why }
                    };
                    self.reply(connection, &reply);
                }
                Output::Inventory {
                    connection,
                    token,
                    replicas,
                } => {
                    let catalogue = Arc::clone(&self.catalogue);
                    let news = self.news.clone();
                    let host = self.machine.host().to_owned();
                    tokio::spawn(async move {
                        let binaries = Catalogue::look(catalogue).await;
                        let reply = ::daemon::inventory(&host, token, replicas, binaries);
                        // The daemon may be ending.
                        let _ = news.send(News::Answer(connection, reply));
                    });
                }
                Output::Remember { process, who } => self.processes.remember(process, who),
                Output::Forget { process } => self.processes.forget(process),
            }
        }
    }

    fn reply(&self, connection: Connection, reply: &DaemonReply) {
        if let Some(writer) = self.connections.get(&connection) {
            let mut bytes = Vec::new();
            wire::frame::encode(reply, &mut bytes);
            // The connection may have ended a moment ago; its end is on its way to us.
            let _ = writer.send(bytes);
        }
    }
}

/// Where a process's output is kept.
fn log_file(state: &std::path::Path, process: u32) -> PathBuf {
    state.join("logs").join(format!("{process}.log"))
}
