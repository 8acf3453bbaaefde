//! The world under torture: an installation, who is who in it, and how it is struck.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use installation::{Daemon, Group, Installation, StartError, process};
use wire::Version;
use wire::member::Binary;
use wire::status::{GroupStatus, MemberStatus};

/// The group, and the service that it runs.
pub(crate) const LEDGER: &str = "ledger";
/// How many members it has.
pub(crate) const MEMBERS: u32 = 3;

/// What it runs, back and forth: the older and the newer one.
pub(crate) fn versions() -> [Version; 2] {
    [Version::new(1, 0, 0), Version::new(2, 0, 0)]
}

/// Something that stands still.
#[derive(Clone, Debug)]
pub(crate) struct Stopped {
    process: u32,
    /// Who it is, for people.
    pub(crate) who: String,
    until: Instant,
}

/// The installation and what is being done to it.
#[derive(Debug)]
pub(crate) struct World {
    installation: Installation,
    group: Group,
    stopped: Vec<Stopped>,
    /// A daemon that is dead, and when it is started again.
    dead: Option<(String, Instant)>,
    /// Processes by the address where they listen: a daemon that is dead or silent does not say.
    processes: BTreeMap<SocketAddr, u32>,
}

impl World {
    /// Daemons, and the ledger on three members.
    pub(crate) fn start(directory: &Path, binaries: &Path) -> Result<World, StartError> {
        let files = [binaries.join("ledger-v1"), binaries.join("ledger-v2")];
        let files: Vec<&Path> = files.iter().map(std::path::PathBuf::as_path).collect();
        let remex = binaries.join("remex");
        let mut installation = Installation::start(directory, &remex, &files, MEMBERS)?;
        let group = installation.found(LEDGER, LEDGER, &versions()[0], MEMBERS)?;
        Ok(World {
            installation,
            group,
            stopped: Vec::new(),
            dead: None,
            processes: BTreeMap::new(),
        })
    }

    /// Where everything lies.
    pub(crate) fn directory(&self) -> &Path {
        self.installation.directory()
    }

    /// The group, to be asked.
    pub(crate) fn group(&mut self) -> &mut Group {
        &mut self.group
    }

    /// What the group is doing, if somebody answers.
    pub(crate) fn status(&mut self) -> Result<GroupStatus, String> {
        // Whoever stands still would hold us up, and others have to be let go in time.
        let awake = self.awake(self.group.contacts());
        if awake.len() < self.group.contacts().len() {
            self.group = Group::at(LEDGER, awake);
        }
        let failed = match self.group.status() {
            Ok(status) => return Ok(status),
            Err(why) => why.to_string(),
        };
        // All whom we knew may have been replaced since.
        self.learn();
        let known: Vec<SocketAddr> = self.processes.keys().copied().collect();
        let mut again = Group::at(LEDGER, self.awake(&known));
        let status = again.status().map_err(|_| failed)?;
        self.group = again;
        Ok(status)
    }

    /// Those of these addresses whose processes do not stand still.
    fn awake(&self, addresses: &[SocketAddr]) -> Vec<SocketAddr> {
        let asleep = |address: &&SocketAddr| {
            let process = self.processes.get(address);
            process.is_some_and(|process| self.stands_still(*process))
        };
        let awake = addresses.iter().filter(|address| !asleep(address));
        awake.copied().collect()
    }

    /// Whether all members say this of the group: the same view, and nobody is behind it.
    pub(crate) fn agree(&self, status: &GroupStatus) -> bool {
        status.members.iter().all(|member| {
            let said = Group::at(LEDGER, vec![member.address]).status();
            said.is_ok_and(|said| said.view == status.view && said.answered_by == member.member)
        })
    }

    /// The binary of a version, as the hosts have it.
    pub(crate) fn binary(&self, version: &Version) -> Option<Binary> {
        let records = self.reachable().find_map(|host| {
            let inventory = Daemon::at(host.daemon).inventory().ok()?;
            Some(inventory.binaries)
        });
        let found = records?
            .into_iter()
            .find(|record| record.binary.version == *version);
        found.map(|record| record.binary)
    }

    /// The process of a member or joiner, if one of the daemons knows or knew it.
    pub(crate) fn process(&mut self, member: &MemberStatus) -> Option<u32> {
        self.learn();
        let process = *self.processes.get(&member.address)?;
        self.is_ours(process).then_some(process)
    }

    /// The process of a host's daemon.
    pub(crate) fn daemon(&self, host: &str) -> Option<u32> {
        let process = self.installation.daemon_process(host).ok()?;
        self.is_ours(process).then_some(process)
    }

    /// The hosts' names.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let hosts = self.installation.hosts();
        hosts.iter().map(|host| host.name.clone()).collect()
    }

    /// Whether a daemon is dead or stands still.
    pub(crate) fn misses_a_daemon(&self) -> bool {
        let daemons = self.hosts();
        let silent = |host: &String| self.daemon(host).is_none_or(|at| self.stands_still(at));
        self.dead.is_some() || daemons.iter().any(silent)
    }

    /// Whether a process was stopped and not resumed yet.
    pub(crate) fn stands_still(&self, process: u32) -> bool {
        self.stopped
            .iter()
            .any(|stopped| stopped.process == process)
    }

    /// Kills a process; whether it was there.
    pub(crate) fn kill(&self, process: u32) -> bool {
        self.is_ours(process) && process::kill(process).is_ok()
    }

    /// Kills a host's daemon; another one is started after this time.
    pub(crate) fn kill_daemon(&mut self, host: &str, away: Duration) -> bool {
        let killed = self.daemon(host).is_some_and(|daemon| self.kill(daemon));
        if killed {
            self.dead = Some((host.to_owned(), Instant::now() + away));
        }
        killed
    }

    /// Stops a process for this time; whether it was there.
    pub(crate) fn stop(&mut self, process: u32, who: &str, lasts: Duration) -> bool {
        let stopped = self.is_ours(process) && process::pause(process).is_ok();
        if stopped {
            self.stopped.push(Stopped {
                process,
                who: who.to_owned(),
                until: Instant::now() + lasts,
            });
        }
        stopped
    }

    /// Lets those go on whose time has come; which.
    pub(crate) fn resume(&mut self) -> Vec<(u32, String)> {
        let now = Instant::now();
        self.resume_those(|stopped| stopped.until <= now)
    }

    /// Lets all go on.
    pub(crate) fn resume_all(&mut self) -> Vec<(u32, String)> {
        self.resume_those(|_| true)
    }

    fn resume_those(&mut self, wanted: impl Fn(&Stopped) -> bool) -> Vec<(u32, String)> {
        let (due, rest) = self.stopped.drain(..).partition(|stopped| wanted(stopped));
        self.stopped = rest;
        let due: Vec<Stopped> = due;
        for stopped in &due {
            // It may have been killed as it stood.
            let _ = process::resume(stopped.process);
        }
        due.into_iter()
            .map(|stopped| (stopped.process, stopped.who))
            .collect()
    }

    /// Starts the dead daemon again when its time has come, or at once; its host.
    pub(crate) fn revive(&mut self, at_once: bool) -> Result<Option<String>, StartError> {
        let due = |(_, until): &(String, Instant)| at_once || *until <= Instant::now();
        if !self.dead.as_ref().is_some_and(due) {
            return Ok(None);
        }
        let Some((host, _)) = self.dead.take() else {
            return Ok(None);
        };
        self.installation.start_daemon(&host)?;
        Ok(Some(host))
    }

    /// The running processes of this installation.
    pub(crate) fn running(&self) -> Vec<u32> {
        process::running_from(self.directory())
    }

    /// Ends everything; which processes had to be killed. If it is dropped instead everything ends
    /// too.
    pub(crate) fn end(mut self) -> Vec<u32> {
        self.resume_all();
        self.installation.stop()
    }

    /// Asks the daemons that can answer where their replicas listen.
    fn learn(&mut self) {
        let mut found = BTreeMap::new();
        for host in self.reachable() {
            let Ok(inventory) = Daemon::at(host.daemon).inventory() else {
                continue;
            };
            let replicas = inventory.replicas.iter();
            found.extend(replicas.filter_map(|r| Some((r.address?, r.process))));
        }
        self.processes.extend(found);
        self.processes.retain(|_, process| process::runs(*process));
    }

    fn reachable(&self) -> impl Iterator<Item = &wire::daemon::HostRecord> {
        let hosts = self.installation.hosts().iter();
        hosts.filter(|host| {
            let daemon = self.daemon(&host.name);
            daemon.is_some_and(|daemon| !self.stands_still(daemon))
        })
    }

    /// A number may be used again by a process that is none of ours.
    fn is_ours(&self, process: u32) -> bool {
        process::runs(process)
            && process::executable(process).is_some_and(|at| at.starts_with(self.directory()))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Who stands still cannot end by itself.
        self.resume_all();
    }
}
