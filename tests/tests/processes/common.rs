//! What the end-to-end tests share: an installation of freshly built binaries, a load that keeps
//! its own books, and waiting for conditions.
#![allow(clippy::print_stderr, reason = "a failed test tells what it saw")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use installation::{Daemon, Group, Installation, process};
use ledger_v1::{LedgerBlockingClient, Reference};
use remex::{Version, blocking};
use rustix::process::{Pid, Signal};
use wire::log::UpgradeRequest;
use wire::member::Binary;
use wire::status::{GroupStatus, MemberStatus};

/// How long anything may take here: this machine may be busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// The directory of the built binaries, after they were brought up to date once.
pub(crate) fn binaries() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        // target/PROFILE/deps/THIS_TEST
        let test = std::env::current_exe().unwrap();
        let directory = test.parent().unwrap().parent().unwrap().to_owned();
        let mut command = Command::new(env!("CARGO"));
        command.args(["build", "--quiet", "-p", "remex-cli", "-p", "end-to-end"]);
        command.args(["-p", "ledger-v1", "-p", "ledger-v2", "-p", "ledger-v3"]);
        if directory.ends_with("release") {
            command.arg("--release");
        }
        assert!(
            command.status().unwrap().success(),
            "the binaries do not build"
        );
        directory
    })
}

/// An installation with a ledger on three members, and its load.
pub(crate) struct World {
    pub(crate) installation: Installation,
    pub(crate) group: Group,
    size: usize,
    load: Option<Load>,
    _directory: tempfile::TempDir,
}

impl World {
    /// Three hosts, the ledger's version 1 on three members, and load on it.
    pub(crate) fn with(versions: &[&str]) -> World {
        World::loaded(versions, 3)
    }

    /// The same on so many members.
    pub(crate) fn loaded(versions: &[&str], size: u32) -> World {
        let mut world = World::sized("ledger", versions, size);
        world.load = Some(Load::start(&world.group));
        world
    }

    /// Three hosts, and version 1 of a service on three members.
    pub(crate) fn of(service: &str, versions: &[&str]) -> World {
        World::sized(service, versions, 3)
    }

    /// Three hosts, and version 1 of a service on so many members.
    pub(crate) fn sized(service: &str, versions: &[&str], size: u32) -> World {
        let directory = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = versions.iter().map(|name| binaries().join(name)).collect();
        let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        let remex = binaries().join("remex");
        let at = directory.path().join("installation");
        let mut installation = Installation::start(&at, &remex, &files, 3).unwrap();
        let group = installation
            .found(service, service, &Version::new(1, 0, 0), size)
            .unwrap();
        World {
            installation,
            group,
            size: size as usize,
            load: None,
            _directory: directory,
        }
    }

    pub(crate) fn status(&mut self) -> GroupStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.group.status() {
                Ok(status) => return status,
                Err(error) => assert!(Instant::now() < until, "no member answers: {error}"),
            }
            // All whom we knew may have been replaced since: the daemons know who runs now.
            self.ask_daemons();
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn ask_daemons(&mut self) {
        let hosts = self.installation.hosts().iter();
        let inventories = hosts.filter_map(|host| Daemon::at(host.daemon).inventory().ok());
        let name = self.group.name().to_owned();
        let contacts: Vec<SocketAddr> = inventories
            .flat_map(|inventory| inventory.replicas)
            .filter(|replica| replica.group == name)
            .filter_map(|replica| replica.address)
            .collect();
        if !contacts.is_empty() {
            self.group = Group::at(&name, contacts);
        }
    }

    /// Looks until the group is as wanted.
    pub(crate) fn until(
        &mut self,
        what: &str,
        wanted: impl Fn(&GroupStatus) -> bool,
    ) -> GroupStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            let status = self.status();
            if wanted(&status) {
                return status;
            }
            assert!(Instant::now() < until, "not in time: {what}: {status:#?}");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Asks for an upgrade to the build that lies on the hosts.
    pub(crate) fn upgrade(&mut self, version: &str, attempts: u32, patience_ms: u64) {
        let version = Version::parse(version).unwrap();
        let inventory = Daemon::at(self.installation.hosts()[0].daemon)
            .inventory()
            .unwrap();
        let found = inventory
            .binaries
            .iter()
            .find(|record| record.binary.version == version);
        let target: Binary = found.unwrap().binary.clone();
        let token = u64::from(attempts) << 32 | version.0.major << 8 | version.0.minor;
        let request = UpgradeRequest {
            target,
            parallel: 1,
            attempts,
            patience_ms,
            token,
        };
        self.group.upgrade(&request).unwrap();
    }

    /// The upgrade's end, as the status says it.
    pub(crate) fn upgraded(&mut self) -> GroupStatus {
        let size = self.size;
        self.until("the upgrade ends", |status| {
            let state = status
                .upgrade
                .as_ref()
                .map(|upgrade| upgrade.state.as_str());
            state.is_some_and(|state| state != "running") && settles(status, size)
        })
    }

    /// The process of a member.
    pub(crate) fn process(&self, member: &MemberStatus) -> u32 {
        let until = Instant::now() + PATIENCE;
        loop {
            for host in self.installation.hosts() {
                let Ok(inventory) = Daemon::at(host.daemon).inventory() else {
                    continue;
                };
                let replica = inventory
                    .replicas
                    .iter()
                    .find(|r| r.address == Some(member.address));
                if let Some(replica) = replica {
                    return replica.process;
                }
            }
            assert!(Instant::now() < until, "no daemon knows {}", member.member);
        }
    }

    /// What a process printed, by line; its daemon keeps it.
    pub(crate) fn printed(&self, host: &str, process: u32) -> Vec<String> {
        self.installation.printed(host, process)
    }

    pub(crate) fn kill(&self, member: &MemberStatus) {
        process::kill(self.process(member)).unwrap();
    }

    /// Ends the load and judges it: nothing failed, nothing lost, nothing twice, the sum stands.
    pub(crate) fn judge(mut self) {
        let size = self.size;
        let status = self.until("all members serve", |status| settles(status, size));
        let load = self.load.take().unwrap();
        let contacts: Vec<_> = status.members.iter().map(|member| member.address).collect();
        load.judge(&contacts);
    }
}

/// A test that fails shows what the replicas wrote.
impl Drop for World {
    fn drop(&mut self) {
        if !thread::panicking() {
            return;
        }
        for host in self.installation.hosts() {
            let logs = self
                .installation
                .directory()
                .join("state")
                .join(&host.name)
                .join("logs");
            for log in std::fs::read_dir(logs).into_iter().flatten().flatten() {
                let text = std::fs::read_to_string(log.path()).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                let last = lines[lines.len().saturating_sub(60)..].join("\n");
                eprintln!("{}, {}:\n{last}\n", host.name, log.path().display());
            }
        }
    }
}

pub(crate) fn signal(process: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Three members serve and nothing is under way.
pub(crate) fn settled(status: &GroupStatus) -> bool {
    settles(status, 3)
}

/// So many members serve and nothing is under way.
pub(crate) fn settles(status: &GroupStatus, size: usize) -> bool {
    status.members.len() == size
        && status.joiners.is_empty()
        && status
            .members
            .iter()
            .all(|member| member.doing == "serving")
}

pub(crate) fn leader(status: &GroupStatus) -> MemberStatus {
    let leader = status
        .members
        .iter()
        .find(|member| Some(member.member) == status.leader);
    leader.unwrap().clone()
}

pub(crate) fn follower(status: &GroupStatus) -> MemberStatus {
    let follower = status
        .members
        .iter()
        .find(|member| Some(member.member) != status.leader);
    follower.unwrap().clone()
}

/// Clients that transfer back and forth, each with its own session and stream of references.
struct Load {
    stop: Arc<AtomicBool>,
    /// How many transfers each client has had acknowledged.
    moved: Vec<Arc<AtomicU64>>,
    clients: Vec<JoinHandle<(u32, u64)>>,
}

const CLIENTS: u32 = 8;
const INITIAL: u64 = 1_000_000;

impl Load {
    fn start(group: &Group) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let contacts = group.contacts().to_vec();
        let moved: Vec<Arc<AtomicU64>> = (0..CLIENTS).map(|_| Arc::default()).collect();
        let clients = (1..=CLIENTS)
            .zip(&moved)
            .map(|(stream, moved)| {
                let (stop, contacts) = (Arc::clone(&stop), contacts.clone());
                let moved = Arc::clone(moved);
                thread::spawn(move || transfers(stream, &contacts, &stop, &moved))
            })
            .collect();
        Load {
            stop,
            moved,
            clients,
        }
    }

    fn judge(self, contacts: &[std::net::SocketAddr]) {
        // Everybody has moved since whatever happened.
        let marks: Vec<u64> = self
            .moved
            .iter()
            .map(|moved| moved.load(Ordering::Relaxed))
            .collect();
        let until = Instant::now() + PATIENCE;
        while self
            .moved
            .iter()
            .zip(&marks)
            .any(|(now, then)| now.load(Ordering::Relaxed) < then + 20)
        {
            let ended = self.clients.iter().any(JoinHandle::is_finished);
            assert!(!ended && Instant::now() < until, "the load does not move");
            thread::sleep(Duration::from_millis(5));
        }
        self.stop.store(true, Ordering::Relaxed);
        let done: Vec<(u32, u64)> = self
            .clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect();
        let client = LedgerBlockingClient::connect("ledger", contacts).unwrap();
        assert_eq!(client.total().unwrap(), u64::from(CLIENTS) * 2 * INITIAL);
        for (stream, last) in done {
            let first = Reference { stream, number: 1 };
            let page = client.audit(first, 10).unwrap();
            assert_eq!(page.repeated, 0, "a transfer was executed twice");
            let run = page.runs.iter().find(|run| run.stream == stream).unwrap();
            assert_eq!((run.first, run.last), (1, last), "stream {stream} has gaps");
        }
    }
}

/// One client's life: every transfer must be acknowledged within its second.
fn transfers(
    stream: u32,
    contacts: &[std::net::SocketAddr],
    stop: &AtomicBool,
    moved: &AtomicU64,
) -> (u32, u64) {
    let client = blocking::Client::connect("ledger", contacts).unwrap();
    let session = client.session().unwrap();
    let ledger = LedgerBlockingClient::new(session).with_deadline(Duration::from_secs(1));
    let (a, b) = (format!("a{stream}"), format!("b{stream}"));
    ledger.open(a.clone(), INITIAL).unwrap().unwrap();
    ledger.open(b.clone(), INITIAL).unwrap().unwrap();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let (from, to) = if number % 2 == 0 { (&a, &b) } else { (&b, &a) };
        let reference = Reference { stream, number };
        let reply = ledger.transfer(from.clone(), to.clone(), 1, reference);
        reply
            .unwrap_or_else(|error| panic!("transfer {number} of {stream}: {error}"))
            .unwrap();
        moved.store(number, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(5));
    }
    (stream, number)
}
