//! The world of a simulation: hosts with clocks, daemons and processes, a network, clients, and the
//! queue of what happens next. It stands where the host crate stands in production: the machines
//! are the same, and this carries out what they want.

mod clients;
mod daemons;
mod executors;
mod guests;
mod look;
mod processes;
mod strikes;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::SocketAddr;

use group::{Links, Now};
use replica::{Replica, Setup};
use wire::MemberId;
use wire::daemon::{Assignment, Foundation, HostRecord, Role};

use crate::checkers::Checkers;
use crate::client::Customer;
use crate::clock::HostClock;
use crate::edition::Edition;
use crate::network::{Arrival, Brought, ConnectionId, Network, Outcome, Parcel, Party, Place};
use crate::plan::Plan;
use crate::process::{Life, Member, Process};
use crate::queue::Queue;
use crate::random::Random;
use crate::table::Table;
use crate::trace::Trace;
use crate::workload::Workload;
use daemons::Host;
pub use guests::Unbearable;

/// The group's name.
pub(crate) const GROUP: &str = "group";
/// The group's seed for ordered randomness.
pub(crate) const GROUP_SEED: u64 = 7;

/// Something that happens at a moment.
#[derive(Debug)]
pub(crate) enum Event {
    /// Something arrives on a connection.
    Arrival(Arrival),
    /// Something is sent only now: a piece of a state.
    Send(ConnectionId, usize, Parcel),
    /// A process's loop takes its turn.
    Turn(usize),
    /// A process's executor has time.
    Execute(usize),
    /// A joiner has a process's state, or has not come for it.
    Exported(usize, MemberId, Result<(), String>),
    /// Whoever was dialled may still not have answered.
    Patience(usize, ConnectionId),
    /// A process dies of itself.
    Dies(usize),
    /// A daemon's driver has started a process, or could not.
    Spawned {
        host: usize,
        life: u32,
        start: u64,
        assignment: Box<Assignment>,
    },
    /// A daemon learns of a process's end.
    Exited {
        host: usize,
        life: u32,
        process: usize,
        how: String,
    },
    /// A daemon's deadline.
    DaemonTurn(usize, u32),
    /// A daemon is started again.
    DaemonStarts(usize),
    /// A daemon that does nothing for a while hears this now.
    DaemonHears(ConnectionId, usize, Brought),
    /// A client does its next thing.
    Client(usize),
    /// A client's sessions ask.
    Ask(usize),
    /// A fault of the plan has its time.
    Strike(usize),
    /// A host that is cut off now and then is, now.
    Flap(usize, u64),
    /// Something that only has to be looked at.
    Look,
}

/// What a run can be made with: the versions, and what clients do with them.
#[derive(Clone)]
pub struct Installation {
    /// What the hosts can start; the first is what the group is founded with.
    pub editions: Vec<Edition>,
    /// Makes what clients ask, from the run's seed.
    pub workload: fn() -> Box<dyn Workload>,
}

impl std::fmt::Debug for Installation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let binaries = self.editions.iter().map(|edition| &edition.binary);
        f.debug_list().entries(binaries).finish()
    }
}

pub(crate) struct World<'a> {
    pub(crate) installation: Cow<'a, Installation>,
    pub(crate) plan: Cow<'a, Plan>,
    pub(crate) now: u64,
    pub(crate) queue: Queue<Event>,
    pub(crate) random: Random,
    pub(crate) network: Network,
    pub(crate) hosts: Vec<Host>,
    pub(crate) processes: Vec<Process>,
    pub(crate) customers: Vec<Customer>,
    pub(crate) checkers: Checkers,
    pub(crate) trace: Trace,
    pub(crate) table: Table,
    /// The process whose ordered state is the furthest.
    pub(crate) newest: usize,
    /// Whether anybody's ordered state has changed since it was last looked at.
    pub(crate) news: bool,
    /// Until when something counts as going on.
    pub(crate) stirred_until: u64,
    /// Whether clients ask for more.
    pub(crate) load: bool,
    /// The last request in which a service panicked, as its member told it.
    pub(crate) panicked: Option<String>,
    /// When the faults of the plan are over.
    pub(crate) trouble_until: u64,
    /// Faults of the plan that have not come yet.
    pub(crate) pending: Vec<usize>,
    /// When the group was full: the plan's beginning.
    pub(crate) began: u64,
    pub(crate) requested: Requested,
    pub(crate) wished: Wished,
    /// Members that have lost their power: nobody holds their exit.
    pub(crate) lost: BTreeSet<MemberId>,
    /// Why nothing could be ordered when that was last looked at.
    pub(crate) waits: Option<String>,
    /// Why the run ended early: nothing will ever be ordered again, as it must be.
    pub(crate) ended: Option<String>,
    out: Vec<Arrival>,
}

/// How far the plan's upgrades are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Requested {
    /// How many were asked for.
    pub(crate) asked: usize,
    /// How many have ended.
    pub(crate) ended: usize,
    /// When the last ended, or when the group was full.
    pub(crate) since: u64,
}

/// How far the plan's wishes are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wished {
    /// How many were heard.
    pub(crate) heard: usize,
    /// Whether the next one is on its way.
    pub(crate) asked: bool,
    /// When it is asked again.
    pub(crate) next_at: u64,
}

/// Where a process listens.
pub(crate) fn process_address(process: usize) -> SocketAddr {
    let port = u16::try_from(10_000 + process).expect("a simulation has few processes");
    SocketAddr::from(([10, 0, 0, 1], port))
}

fn daemon_address(host: usize) -> SocketAddr {
    let port = u16::try_from(9_000 + host).expect("a simulation has few hosts");
    SocketAddr::from(([10, 0, 0, 1], port))
}

/// Where whoever knows a host's name finds the group's member there: what a registry will be.
fn registry_address(host: usize) -> SocketAddr {
    let port = u16::try_from(8_000 + host).expect("a simulation has few hosts");
    SocketAddr::from(([10, 0, 0, 1], port))
}

/// Where a host's processes are in the network.
pub(crate) fn place_of_host(host: usize) -> Place {
    2 * host
}

/// Where a host's daemon is.
pub(crate) fn place_of_daemon(host: usize) -> Place {
    2 * host + 1
}

/// A host's name.
pub(crate) fn host_name(host: usize) -> String {
    format!("host{host}")
}

impl<'a> World<'a> {
    pub(crate) fn new(installation: Cow<'a, Installation>, plan: Cow<'a, Plan>) -> World<'a> {
        let count = plan.hosts as usize;
        let records: Vec<HostRecord> = (0..count)
            .map(|host| HostRecord {
                name: host_name(host),
                daemon: daemon_address(host),
            })
            .collect();
        let mut world = World {
            now: 0,
            queue: Queue::new(),
            random: Random::new(plan.seed),
            network: Network::new(),
            hosts: (0..count).map(Host::new).collect(),
            processes: Vec::new(),
            customers: Vec::new(),
            checkers: Checkers::new(&plan, &installation),
            trace: Trace::new(),
            table: Table::default(),
            newest: 0,
            news: false,
            stirred_until: 0,
            load: true,
            panicked: None,
            trouble_until: 0,
            pending: Vec::new(),
            began: 0,
            requested: Requested::default(),
            wished: Wished::default(),
            lost: BTreeSet::new(),
            waits: None,
            ended: None,
            out: Vec::new(),
            installation,
            plan,
        };
        world.found(records);
        world.customers();
        world
    }

    fn found(&mut self, hosts: Vec<HostRecord>) {
        let foundation = Foundation {
            stack: replica::USUAL.to_owned(),
            initial: self.plan.members,
            minimal: self.plan.minimal,
            hosts: hosts.into(),
        };
        let setup = self.setup(0, 0, 0);
        let now = self.moment(0);
        let assignment = Assignment {
            group: GROUP.to_owned(),
            service: setup.program.description.service.clone(),
            version: setup.binary.version.clone(),
            build: Some(setup.binary.build),
            role: Role::Found(foundation.clone()),
        };
        let (replica, executor) = Replica::found(now, setup, GROUP, foundation, 1, GROUP_SEED)
            .expect("the usual stack is one");
        let links = Links::new(replica.me());
        self.checkers.order.begins(replica.me(), wire::Position(1));
        let life = Life::Member(Box::new(Member {
            replica,
            links,
            executor,
            jobs: std::collections::VecDeque::new(),
            images: std::collections::BTreeMap::new(),
            donations: std::collections::BTreeMap::new(),
            fingerprint: 0,
        }));
        let process = self.add_process(0, 0, life);
        self.founder_started(process, assignment);
    }

    fn setup(&self, host: usize, edition: usize, process: usize) -> Setup {
        let edition = &self.installation.editions[edition];
        Setup {
            program: std::sync::Arc::clone(&edition.program),
            host: host_name(host),
            address: process_address(process),
            process: pid(process),
            binary: edition.binary.clone(),
            layers: Vec::new(),
            watched: true,
        }
    }

    fn add_process(&mut self, host: usize, edition: usize, life: Life) -> usize {
        let number = self.processes.len();
        self.processes.push(Process {
            host,
            address: process_address(number),
            edition,
            life,
            inbox: Vec::new(),
            reports: Vec::new(),
            purposes: std::collections::BTreeMap::new(),
            turn_at: None,
            execute_at: None,
            paused_until: 0,
            slow_until: 0,
            busy_until: 0,
            executor_busy_until: 0,
            local: Err(self.now),
            remote: std::collections::BTreeMap::new(),
            told: None,
            purpose: None,
        });
        self.wake(number, self.now + 1);
        number
    }

    /// What a host's clocks show.
    pub(crate) fn moment(&self, host: usize) -> Now {
        self.clock(host).now(self.now)
    }

    pub(crate) fn clock(&self, host: usize) -> &HostClock {
        &self.hosts[host].clock
    }

    pub(crate) fn after(&mut self, delay: u64, event: Event) {
        self.queue.push(self.now + delay, event);
    }

    /// Lets the next thing happen.
    pub(crate) fn step(&mut self) {
        let Some((at, event)) = self.queue.pop() else {
            self.checkers
                .fail("nothing will ever happen again".to_owned());
            return;
        };
        self.now = self.now.max(at);
        match event {
            Event::Arrival(arrival) => self.arrival(arrival),
            Event::Send(connection, side, parcel) => self.send(connection, side, parcel),
            Event::Turn(process) => self.turn_due(process),
            Event::Execute(process) => self.execute_due(process),
            Event::Exported(process, joiner, result) => self.export_ends(process, joiner, result),
            Event::Patience(process, connection) => self.patience(process, connection),
            Event::Dies(process) => self.dies(process, "exit status: 1"),
            Event::Spawned {
                host,
                life,
                start,
                assignment,
            } => self.spawned(host, life, start, &assignment),
            Event::Exited {
                host,
                life,
                process,
                how,
            } => self.exited(host, life, process, &how),
            Event::DaemonTurn(host, life) => self.daemon_turn(host, life),
            Event::DaemonStarts(host) => self.daemon_starts(host),
            Event::DaemonHears(connection, side, what) => {
                self.daemon_brought(connection, side, what);
            }
            Event::Client(client) => self.client_turn(client),
            Event::Ask(client) => self.client_asks(client),
            Event::Strike(strike) => self.strike_due(strike),
            Event::Flap(host, until) => self.flap(host, until),
            Event::Look => {}
        }
    }

    // The network.

    /// Who listens at an address, and where that is in the network.
    fn listener(&self, address: SocketAddr) -> (Party, Place) {
        let port = usize::from(address.port());
        match port {
            10_000.. => {
                let process = port - 10_000;
                match self.processes.get(process) {
                    Some(known) => (Party::Process(process), place_of_host(known.host)),
                    None => (Party::Nobody, 0),
                }
            }
            9_000.. => {
                let host = port - 9_000;
                let party = Party::Daemon(host, self.hosts[host].life);
                (party, place_of_daemon(host))
            }
            _ => {
                let host = port - 8_000;
                let mut here = (0..self.processes.len())
                    .filter(|&number| self.processes[number].host == host)
                    .filter(|&number| self.processes[number].member().is_some());
                let party = here.next_back().map_or(Party::Nobody, Party::Process);
                (party, place_of_host(host))
            }
        }
    }

    /// Dials an address from a party's place.
    pub(crate) fn dial(&mut self, from: Party, place: Place, address: SocketAddr) -> ConnectionId {
        let (to, there) = self.listener(address);
        self.network.connect([from, to], [place, there])
    }

    pub(crate) fn send(&mut self, connection: ConnectionId, side: usize, parcel: Parcel) {
        let mut out = std::mem::take(&mut self.out);
        self.network.send(
            self.now,
            &mut self.random,
            connection,
            side,
            parcel,
            &mut out,
        );
        self.schedule(out);
    }

    /// Sends from a party's side.
    pub(crate) fn send_from(&mut self, party: Party, connection: ConnectionId, parcel: Parcel) {
        let side = self.network.side(connection, party);
        self.send(connection, side, parcel);
    }

    pub(crate) fn close_from(&mut self, party: Party, connection: ConnectionId) {
        let side = self.network.side(connection, party);
        let mut out = std::mem::take(&mut self.out);
        self.network
            .close(self.now, &mut self.random, connection, side, &mut out);
        self.schedule(out);
    }

    fn schedule(&mut self, mut out: Vec<Arrival>) {
        for arrival in out.drain(..) {
            self.queue.push(arrival.at, Event::Arrival(arrival));
        }
        self.out = out;
    }

    fn close_all(&mut self, party: Party) {
        let mut out = std::mem::take(&mut self.out);
        self.network
            .close_all(self.now, &mut self.random, party, &mut out);
        self.schedule(out);
    }

    fn break_off(&mut self, connection: ConnectionId) {
        let mut out = std::mem::take(&mut self.out);
        self.network
            .break_off(self.now, &mut self.random, connection, &mut out);
        self.schedule(out);
    }

    fn arrival(&mut self, arrival: Arrival) {
        match self.network.arrives(self.now, &mut self.random, arrival) {
            Outcome::Nothing => {}
            Outcome::Later(arrival) => self.queue.push(arrival.at, Event::Arrival(arrival)),
            Outcome::Arrives(connection, side, what) => {
                let party = self.network.party(connection, side);
                match party {
                    Party::Process(process) => {
                        self.trace.event(self.now, 1, process as u64);
                        self.brought(process, connection, side, what);
                    }
                    Party::Daemon(..) => {
                        self.trace.event(self.now, 2, connection);
                        self.daemon_brought(connection, side, what);
                    }
                    Party::Client(client) => {
                        self.trace.event(self.now, 3, client as u64);
                        self.client_brought(client, connection, what);
                    }
                    Party::Nobody => self.close_from(party, connection),
                }
            }
        }
    }

    // What is said.

    pub(crate) fn note(&mut self, process: usize, what: String) {
        let known = &self.processes[process];
        let who = known.me().map_or_else(
            || format!("p{}", pid(process)),
            |me| format!("p{} {me}", pid(process)),
        );
        self.trace.line(self.now, host_name(known.host), who, what);
    }

    pub(crate) fn note_of(&mut self, place: &str, who: &str, what: String) {
        self.trace
            .line(self.now, place.to_owned(), who.to_owned(), what);
    }
}

/// A process's number in its operating system.
pub(crate) fn pid(process: usize) -> u32 {
    u32::try_from(process + 1).unwrap_or(u32::MAX)
}

/// The process with this number.
pub(crate) fn process_of(pid: u32) -> usize {
    pid as usize - 1
}
