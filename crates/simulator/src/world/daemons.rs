//! Hosts: a clock, a disk, an execution daemon, and the processes that it starts.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use daemon::{Daemon, Output, Who};
use group::Joining;
use wire::daemon::{Assignment, BinaryRecord, Role};
use wire::hello::{Hello, Opener};
use wire::peer::{Join, PeerMessage};
use wire::{Build, MemberId};

use super::{Event, GROUP, World, host_name, pid, place_of_daemon, process_of};
use crate::clock::HostClock;
use crate::edition::Manner;
use crate::network::{Brought, ConnectionId, Parcel, Party};
use crate::process::{Asking, Life};

/// How much longer starting takes on a slow disk.
const DISK_SLOWNESS: u64 = 40;

/// One host.
pub(crate) struct Host {
    pub(crate) clock: HostClock,
    /// Its daemon, if that runs.
    pub(crate) daemon: Option<Daemon>,
    /// Which of the daemon's lives this is.
    pub(crate) life: u32,
    /// Without power, for ever.
    pub(crate) off: bool,
    /// What the daemon has written down of the processes it started.
    disk: BTreeMap<u32, Record>,
    pub(crate) disk_slow_until: u64,
    pub(crate) daemon_paused_until: u64,
}

/// What a daemon writes down of one process.
struct Record {
    assignment: Assignment,
    build: Build,
    who: Option<Who>,
}

impl Host {
    pub(crate) fn new(host: usize) -> Host {
        Host {
            clock: HostClock::new(host),
            daemon: Some(Daemon::new(&host_name(host))),
            life: 0,
            off: false,
            disk: BTreeMap::new(),
            disk_slow_until: 0,
            daemon_paused_until: 0,
        }
    }
}

impl World<'_> {
    /// The first daemon has started the founder, and has written that down.
    pub(super) fn founder_started(&mut self, process: usize, founder: Assignment) {
        let edition = &self.installation.editions[self.processes[process].edition];
        let build = edition.binary.build;
        let host = &mut self.hosts[self.processes[process].host];
        if let Some(daemon) = &mut host.daemon {
            daemon.adopt(pid(process), founder.clone(), build);
        }
        let record = Record {
            assignment: founder,
            build,
            who: None,
        };
        host.disk.insert(pid(process), record);
    }

    /// Whether a daemon has written down which member this process is.
    pub(super) fn written_down(&self, process: usize, member: MemberId, incarnation: u64) -> bool {
        let disk = &self.hosts[self.processes[process].host].disk;
        let who = disk
            .get(&pid(process))
            .and_then(|record| record.who.as_ref());
        who.is_some_and(|who| who.member == member && who.incarnation == incarnation)
    }

    fn with_daemon(&mut self, host: usize, act: impl FnOnce(&mut Daemon, &mut Vec<Output>)) {
        let mut out = Vec::new();
        let Some(daemon) = &mut self.hosts[host].daemon else {
            return;
        };
        act(daemon, &mut out);
        let deadline = daemon.deadline();
        for output in out {
            self.daemon_wants(host, output);
        }
        if let Some(deadline) = deadline {
            let at = self.clock(host).when(deadline).max(self.now + 1);
            let life = self.hosts[host].life;
            self.queue.push(at, Event::DaemonTurn(host, life));
        }
    }

    pub(super) fn daemon_brought(&mut self, connection: ConnectionId, side: usize, what: Brought) {
        let Party::Daemon(host, life) = self.network.party(connection, side) else {
            return;
        };
        let known = &self.hosts[host];
        if known.off {
            return;
        }
        if known.daemon.is_none() || known.life != life {
            return self.close_from(Party::Daemon(host, life), connection);
        }
        if known.daemon_paused_until > self.now {
            let until = known.daemon_paused_until;
            self.queue
                .push(until, Event::DaemonHears(connection, side, what));
            return;
        }
        let now = self.moment(host).time;
        match what {
            Brought::Parcel(Parcel::ToDaemon(request)) => {
                self.with_daemon(host, |daemon, out| {
                    daemon.heard(now, connection, request, out);
                });
            }
            Brought::Parcel(_) => {}
            Brought::End(_) => self.with_daemon(host, |daemon, _| daemon.closed(connection)),
        }
    }

    pub(super) fn daemon_turn(&mut self, host: usize, life: u32) {
        if self.hosts[host].life == life {
            let now = self.moment(host).time;
            self.with_daemon(host, |daemon, out| daemon.tick(now, out));
        }
    }

    fn daemon_wants(&mut self, host: usize, output: Output) {
        let life = self.hosts[host].life;
        let party = Party::Daemon(host, life);
        match output {
            Output::Reply { connection, reply } => {
                self.send_from(party, connection, Parcel::FromDaemon(reply));
            }
            Output::Spawn { start, assignment } => {
                let slow = self.hosts[host].disk_slow_until > self.now;
                let factor = if slow { DISK_SLOWNESS } else { 1 };
                let delay = self.random.range(1_000, 20_000) * factor;
                let assignment = Box::new(assignment);
                self.after(
                    delay,
                    Event::Spawned {
                        host,
                        life,
                        start,
                        assignment,
                    },
                );
            }
            Output::Terminate { process } => {
                let process = process_of(process);
                let mut out = Vec::new();
                if let Some(member) = self.processes[process].member_mut() {
                    member.replica.leave(&mut out);
                }
                self.dies(process, "it was asked to end");
            }
            Output::Kill { process } => self.dies(process_of(process), "signal: 9"),
            Output::Death {
                to,
                group,
                incarnation,
                member,
                how,
            } => self.tell_death(host, to, &group, incarnation, member, how),
            Output::Lines { .. } => {}
            Output::Inventory {
                connection,
                token,
                replicas,
            } => {
                let binaries = self
                    .installation
                    .editions
                    .iter()
                    .map(|edition| BinaryRecord {
                        service: edition.program.description.service.clone(),
                        binary: edition.binary.clone(),
                    });
                let reply =
                    daemon::inventory(&host_name(host), token, replicas, binaries.collect());
                self.send_from(party, connection, Parcel::FromDaemon(reply));
            }
            Output::Remember { process, who } => {
                if let Some(record) = self.hosts[host].disk.get_mut(&process) {
                    // It may be dead by now, and its daemon have heard late of who it was.
                    self.lost.remove(&who.member);
                    record.who = Some(who);
                }
            }
            Output::Forget { process } => {
                self.hosts[host].disk.remove(&process);
            }
        }
    }

    fn tell_death(
        &mut self,
        host: usize,
        to: SocketAddr,
        group: &str,
        incarnation: u64,
        member: wire::MemberId,
        how: String,
    ) {
        let party = Party::Daemon(host, self.hosts[host].life);
        let connection = self.dial(party, place_of_daemon(host), to);
        let opener = Opener::Daemon {
            host: host_name(host),
        };
        self.send(connection, 0, Parcel::Hello(Hello::new(group, opener)));
        let died = PeerMessage::Died {
            incarnation,
            member,
            how,
        };
        self.send(connection, 0, Parcel::Peer(died));
    }

    pub(super) fn spawned(&mut self, host: usize, life: u32, start: u64, wanted: &Assignment) {
        let known = &self.hosts[host];
        if known.off {
            return;
        }
        let here = known.daemon.is_some() && known.life == life;
        // A daemon that died meanwhile had forked already, or had not.
        if !here && self.random.chance(500) {
            return;
        }
        let found = self.installation.editions.iter().position(|edition| {
            edition.binary.version == wanted.version
                && wanted
                    .build
                    .is_none_or(|build| build == edition.binary.build)
        });
        let Some(edition) = found else {
            let why = format!("no binary of {} lies here", wanted.version);
            return self.with_daemon(host, |daemon, out| daemon.not_started(start, why, out));
        };
        let build = self.installation.editions[edition].binary.build;
        let process = self.start(host, edition, wanted);
        self.hosts[host].disk.insert(
            pid(process),
            Record {
                assignment: wanted.clone(),
                build,
                who: None,
            },
        );
        if here {
            let now = self.moment(host).time;
            self.with_daemon(host, |daemon, out| {
                daemon.started(now, start, pid(process), build, out);
            });
        }
        self.note(process, format!("is started with {}", wanted.version));
        match self.installation.editions[edition].manner {
            Manner::Runs | Manner::NeverJoins => {}
            Manner::Exits => self.after(500, Event::Dies(process)),
            Manner::DiesAfter(ms) => self.after(ms * 1000, Event::Dies(process)),
        }
    }

    fn start(&mut self, host: usize, edition: usize, wanted: &Assignment) -> usize {
        let Role::Join {
            seat,
            attempt,
            contacts,
            ..
        } = &wanted.role
        else {
            return self.add_process(host, edition, Life::Idle);
        };
        let number = self.processes.len();
        let setup = self.setup(host, edition, number);
        let join = Join {
            host: setup.host.clone(),
            address: setup.address,
            binary: setup.binary.clone(),
            service: setup.program.description.service.clone(),
            formats: setup.program.formats(),
            seat: *seat,
            attempt: *attempt,
            process: setup.process,
        };
        let contacts = contacts.iter().map(|contact| contact.address).collect();
        let joining = Joining::new(self.moment(host).time, join, contacts);
        let life = match self.installation.editions[edition].manner {
            Manner::NeverJoins => Life::Idle,
            Manner::Runs | Manner::Exits | Manner::DiesAfter(_) => {
                Life::Joining(Box::new(Asking {
                    joining,
                    setup: Some(setup),
                    links: BTreeMap::new(),
                    fetching: None,
                }))
            }
        };
        let process = self.add_process(host, edition, life);
        self.processes[process].purpose = Some((*seat, *attempt));
        self.news = true;
        process
    }

    pub(super) fn exited(&mut self, host: usize, life: u32, process: usize, how: &str) {
        if self.hosts[host].life == life && !self.hosts[host].off {
            if self.hosts[host].daemon_paused_until > self.now {
                let until = self.hosts[host].daemon_paused_until;
                let how = how.to_owned();
                self.queue.push(
                    until,
                    Event::Exited {
                        host,
                        life,
                        process,
                        how,
                    },
                );
                return;
            }
            self.with_daemon(host, |daemon, out| {
                daemon.ended(pid(process), how, "", out);
            });
        }
    }

    /// The daemon's process is gone; what it has written down stays, and replicas live on.
    pub(super) fn daemon_dies(&mut self, host: usize) {
        if self.hosts[host].daemon.take().is_none() {
            return;
        }
        let party = Party::Daemon(host, self.hosts[host].life);
        self.hosts[host].life += 1;
        self.close_all(party);
        self.note_of(&host_name(host), "daemon", "dies".to_owned());
    }

    /// A new daemon takes over what its predecessor has written down, as far as that still runs.
    pub(super) fn daemon_starts(&mut self, host: usize) {
        if self.hosts[host].off || self.hosts[host].daemon.is_some() {
            return;
        }
        let mut daemon = Daemon::new(&host_name(host));
        let disk = std::mem::take(&mut self.hosts[host].disk);
        for (process, record) in disk {
            if !self.processes[process_of(process)].is_dead() {
                daemon.adopt(process, record.assignment.clone(), record.build);
                self.hosts[host].disk.insert(process, record);
            } else if let Some(who) = record.who {
                daemon.gone(who, "it ended while no daemon ran");
            }
        }
        self.hosts[host].daemon = Some(daemon);
        self.note_of(&host_name(host), "daemon", "starts again".to_owned());
    }

    /// The host has lost its power, for ever: nobody says so.
    pub(super) fn power_off(&mut self, host: usize) {
        self.note_of(&host_name(host), "host", "loses its power".to_owned());
        let life = self.hosts[host].life;
        self.hosts[host].off = true;
        self.hosts[host].daemon = None;
        self.network.silence(Party::Daemon(host, life));
        for process in 0..self.processes.len() {
            if self.processes[process].host == host && !self.processes[process].is_dead() {
                self.lost.extend(self.processes[process].me());
                self.processes[process].life = Life::Ended;
                self.network.silence(Party::Process(process));
            }
        }
        self.news = true;
    }

    /// The group's name, for those that greet.
    pub(super) fn greeting(opener: Opener) -> Hello {
        Hello::new(GROUP, opener)
    }
}
