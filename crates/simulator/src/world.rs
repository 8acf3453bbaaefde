//! The world of a simulation: time, processes, links, daemons and clients as events in a queue.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use group::{Admitted, Joining, JoiningOutput, Now};
use replica::{End, Output, Program, Replica, Setup};
use wire::client::{ClientReply, ClientRequest};
use wire::daemon::{
    Assignment, DaemonReply, DaemonRequest, Foundation, HostRecord, ReplicaRecord, Role,
};
use wire::hello::{Hello, Opener, Welcome};
use wire::member::Binary;
use wire::peer::{Join, PeerMessage, TransferHead};
use wire::{Build, MemberId, OrderedTime, Position, Time, Version};

use crate::checker::Checker;
use crate::client::{Asked, Client, Heard};
use crate::node::{ExportJob, Job, Life, Node};
use crate::random::Random;
use crate::service::{ListV1, ListV2, tags};

/// The group's name.
const GROUP: &str = "list";
/// A client sends its request again after this long.
const RETRY_AFTER: u64 = 100_000;
/// An announced export waits this long for its joiner.
const EXPORT_PATIENCE: u64 = 2_000_000;

/// Something that happens at a moment.
#[derive(Debug)]
pub(crate) enum Event {
    /// A message arrives on a connection.
    Message {
        connection: u64,
        at_b: bool,
        payload: Payload,
    },
    /// A connection is closed, as this side learns.
    Closed { connection: u64, at_b: bool },
    /// A process takes its turn.
    Wake { node: usize },
    /// A process dials a peer that it wants.
    Dial {
        node: usize,
        peer: MemberId,
        address: SocketAddr,
    },
    /// A joining process's link.
    JoinDial {
        node: usize,
        link: u64,
        address: SocketAddr,
    },
    /// A state arrives whole.
    State {
        node: usize,
        admitted: Admitted,
        head: Box<TransferHead>,
        bytes: Vec<u8>,
    },
    /// The executor has time.
    Execute { node: usize },
    /// A daemon starts a process.
    Start {
        host: usize,
        assignment: Box<Assignment>,
        asker: usize,
        token: u64,
    },
    /// A daemon's answer.
    Daemon {
        node: usize,
        token: u64,
        reply: DaemonReply,
    },
    /// A daemon reports a death.
    Died {
        node: usize,
        incarnation: u64,
        member: MemberId,
    },
    /// A client does its next thing.
    Client { client: usize },
    /// A client looks whether its request is answered.
    Retry { client: usize, resolved: u64 },
    /// The scenario's next fault.
    Fault,
}

/// What travels on a connection.
#[derive(Debug, Clone)]
pub(crate) enum Payload {
    Peer(PeerMessage),
    Request(ClientRequest),
    Reply(ClientReply),
}

/// Who is at the ends of a connection.
#[derive(Clone, Copy, Debug)]
enum Ends {
    Peers {
        a: (usize, MemberId),
        b: (usize, MemberId),
    },
    Join {
        a: (usize, u64),
        b: usize,
    },
    Client {
        a: usize,
        b: usize,
    },
}

#[derive(Debug)]
struct Connection {
    ends: Ends,
    open: bool,
    /// The last arrival in each direction: messages keep their order.
    last: [u64; 2],
}

pub(crate) struct World {
    pub(crate) now: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, Event>,
    sequence: u64,
    pub(crate) random: Random,
    pub(crate) nodes: Vec<Node>,
    connections: BTreeMap<u64, Connection>,
    next_connection: u64,
    pub(crate) clients: Vec<Client>,
    pub(crate) checker: Checker,
    hosts: Vec<HostRecord>,
    programs: [Arc<Program>; 2],
    /// Faults per thousand messages and starts, while the scenario wants any.
    pub(crate) late_per_mille: u64,
    pub(crate) failed_starts_per_mille: u64,
    /// Whether clients ask for more.
    pub(crate) load: bool,
    pub(crate) notes: VecDeque<String>,
    starters: BTreeMap<usize, (usize, u64)>,
}

/// What a version's binary is called here.
pub(crate) fn binary(version: u64) -> Binary {
    let digit = u8::try_from(version).unwrap_or(0);
    Binary {
        version: Version::new(version, 0, 0),
        build: Build([digit; 32]),
    }
}

fn address(node: usize) -> SocketAddr {
    let port = u16::try_from(10_000 + node).expect("a simulation has few processes");
    SocketAddr::from(([127, 0, 0, 1], port))
}

impl World {
    pub(crate) fn new(seed: u64, hosts: usize, initial: u32) -> World {
        let host = |number: usize| HostRecord {
            name: format!("host{number}"),
            daemon: SocketAddr::from(([127, 0, 0, 1], 9_000)),
        };
        let mut world = World {
            now: 1_000_000,
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            sequence: 0,
            random: Random::new(seed),
            nodes: Vec::new(),
            connections: BTreeMap::new(),
            next_connection: 1,
            clients: Vec::new(),
            checker: Checker::default(),
            hosts: (0..hosts).map(host).collect(),
            programs: [
                Arc::new(Program::of::<ListV1>()),
                Arc::new(Program::of::<ListV2>()),
            ],
            late_per_mille: 0,
            failed_starts_per_mille: 0,
            load: true,
            notes: VecDeque::new(),
            starters: BTreeMap::new(),
        };
        world.found(initial);
        world
    }

    fn found(&mut self, initial: u32) {
        let foundation = Foundation {
            stack: replica::USUAL.to_owned(),
            initial,
            minimal: 1,
            hosts: self.hosts.clone(),
        };
        let setup = self.setup(0, &binary(1), 0);
        let (replica, executor) = Replica::found(self.moment(), setup, GROUP, foundation, 1, 7)
            .expect("the usual stack is one");
        let life = Life::Member {
            replica: Box::new(replica),
            executor,
            jobs: VecDeque::new(),
        };
        self.add_node(0, binary(1), life);
    }

    fn setup(&self, host: usize, binary: &Binary, node: usize) -> Setup {
        let program = usize::from(binary.version >= Version::new(2, 0, 0));
        Setup {
            program: Arc::clone(&self.programs[program]),
            host: self.hosts[host].name.clone(),
            address: address(node),
            process: u32::try_from(node).unwrap_or(0),
            binary: binary.clone(),
            layers: Vec::new(),
        }
    }

    fn add_node(&mut self, host: usize, binary: Binary, life: Life) -> usize {
        let number = self.nodes.len();
        self.nodes.push(Node {
            address: address(number),
            host,
            binary,
            life,
            links: BTreeMap::new(),
            wanted: Vec::new(),
            told: None,
            paused_until: 0,
            wake: None,
            started: self.now,
        });
        self.after(1, Event::Wake { node: number });
        number
    }

    pub(crate) fn moment(&self) -> Now {
        Now {
            time: Time(self.now),
            wall: OrderedTime(1_700_000_000_000 + self.now / 1000),
        }
    }

    // The queue.

    pub(crate) fn after(&mut self, delay: u64, event: Event) {
        self.at(self.now + delay, event);
    }

    fn at(&mut self, time: u64, event: Event) {
        self.sequence += 1;
        self.events.insert(self.sequence, event);
        self.queue.push(Reverse((time, self.sequence)));
    }

    /// Lets the next thing happen. False when nothing ever will again.
    pub(crate) fn step(&mut self) -> Option<Event> {
        let Reverse((time, sequence)) = self.queue.pop()?;
        let event = self.events.remove(&sequence)?;
        self.now = self.now.max(time);
        if let Some(node) = self.target(&event)
            && self.nodes[node].paused_until > self.now
        {
            // It keeps its place among the events of the paused process.
            self.events.insert(sequence, event);
            self.queue
                .push(Reverse((self.nodes[node].paused_until, sequence)));
            return self.step();
        }
        Some(event)
    }

    fn target(&self, event: &Event) -> Option<usize> {
        match event {
            Event::Message {
                connection, at_b, ..
            }
            | Event::Closed { connection, at_b } => {
                match (self.connections.get(connection)?.ends, at_b) {
                    (Ends::Peers { a, .. }, false) => Some(a.0),
                    (Ends::Peers { b, .. }, true) => Some(b.0),
                    (Ends::Join { a, .. }, false) => Some(a.0),
                    (Ends::Join { b, .. } | Ends::Client { b, .. }, true) => Some(b),
                    (Ends::Client { .. }, false) => None,
                }
            }
            Event::Wake { node }
            | Event::Dial { node, .. }
            | Event::JoinDial { node, .. }
            | Event::State { node, .. }
            | Event::Execute { node }
            | Event::Daemon { node, .. }
            | Event::Died { node, .. } => Some(*node),
            Event::Start { .. } | Event::Client { .. } | Event::Retry { .. } | Event::Fault => None,
        }
    }

    /// What an event does, all but the scenario's faults.
    pub(crate) fn happen(&mut self, event: Event) {
        match event {
            Event::Message {
                connection,
                at_b,
                payload,
            } => self.message(connection, at_b, payload),
            Event::Closed { connection, at_b } => self.closed(connection, at_b),
            Event::Wake { node } => {
                self.nodes[node].wake = None;
                self.drive(node);
            }
            Event::Dial {
                node,
                peer,
                address,
            } => self.dial(node, peer, address),
            Event::JoinDial {
                node,
                link,
                address,
            } => self.join_dial(node, link, address),
            Event::State {
                node,
                admitted,
                head,
                bytes,
            } => {
                self.state_arrives(node, admitted, &head, &bytes);
            }
            Event::Execute { node } => self.execute(node),
            Event::Start {
                host,
                assignment,
                asker,
                token,
            } => {
                self.start(host, &assignment, asker, token);
            }
            Event::Daemon { node, token, reply } => {
                let now = self.moment();
                self.with_replica(node, |replica, out| {
                    replica.daemon_heard(now, token, &reply, out)
                });
            }
            Event::Died {
                node,
                incarnation,
                member,
            } => {
                self.with_replica(node, |replica, _| {
                    replica.died(incarnation, member, "killed".to_owned());
                });
            }
            Event::Client { client } => self.client_acts(client),
            Event::Retry { client, resolved } => {
                if self.clients[client].resolved == resolved {
                    self.elsewhere(client);
                }
            }
            Event::Fault => {}
        }
    }

    // Processes.

    fn with_replica(&mut self, node: usize, act: impl FnOnce(&mut Replica, &mut Vec<Output>)) {
        let mut out = Vec::new();
        if let Some(replica) = self.nodes[node].replica_mut() {
            act(replica, &mut out);
        }
        self.take(node, out);
        self.drive(node);
    }

    /// The process's turn, and the next one's time.
    fn drive(&mut self, node: usize) {
        let now = self.moment();
        let mut out = Vec::new();
        let mut joining_out = Vec::new();
        match &mut self.nodes[node].life {
            Life::Member { replica, .. } => replica.turn(now, &mut out),
            Life::Joining { joining, .. } => joining.turn(now.time, &mut joining_out),
            Life::Dead => return,
        }
        self.take(node, out);
        self.take_joining(node, joining_out);
        let deadline = match &self.nodes[node].life {
            Life::Member { replica, .. } => replica.deadline(),
            Life::Joining { joining, .. } => joining.deadline(),
            Life::Dead => None,
        };
        if let Some(replica) = self.nodes[node].replica() {
            let membership = replica.membership();
            let members: Vec<MemberId> = membership.view.members.iter().map(|m| m.id).collect();
            let (me, position) = (replica.me(), membership.view.position);
            self.checker.view(me, position, &members);
        }
        if let Some(deadline) = deadline {
            let at = deadline.0.max(self.now + 1);
            if self.nodes[node].wake.is_none_or(|wake| at < wake) {
                self.nodes[node].wake = Some(at);
                self.at(at, Event::Wake { node });
            }
        }
    }

    fn take(&mut self, node: usize, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Send { to, message } => {
                    if let Some(&link) = self.nodes[node].links.get(&to) {
                        self.send(link, node, Payload::Peer(message));
                    }
                }
                Output::Answer { link, message } => self.send_b(link, Payload::Peer(message)),
                Output::Client { connection, reply } => {
                    self.send_b(connection, Payload::Reply(reply));
                }
                Output::Peers(peers) => {
                    self.nodes[node].wanted = peers.clone();
                    for (peer, address) in peers {
                        self.after(
                            1,
                            Event::Dial {
                                node,
                                peer,
                                address,
                            },
                        );
                    }
                }
                Output::Work(work) => self.queue_job(node, Job::Work(work)),
                Output::Export {
                    joiner,
                    position,
                    format,
                    head,
                } => {
                    let since = self.now;
                    let job = ExportJob {
                        joiner,
                        position,
                        format,
                        head,
                        since,
                    };
                    self.queue_job(node, Job::Export(Box::new(job)));
                }
                Output::CancelExport { joiner } => {
                    if let Life::Member { jobs, .. } = &mut self.nodes[node].life {
                        jobs.retain(|job| match job {
                            Job::Export(export) => export.joiner != joiner,
                            Job::Work(_) => true,
                        });
                    }
                }
                Output::Daemon {
                    token,
                    host,
                    request,
                } => self.daemon(node, token, &host, request),
                Output::Tell(request) => self.nodes[node].told = Some(request),
                Output::Note(note) => self.note(node, &note),
                Output::End(end) => {
                    self.note(node, &format!("ends: {end:?}"));
                    if let End::Broken { why } = &end {
                        self.checker.fail(why.clone());
                    }
                    self.crash(node, true);
                    return;
                }
            }
        }
    }

    fn queue_job(&mut self, node: usize, job: Job) {
        let me = self.nodes[node].replica().map(Replica::me);
        if let (Some(me), Job::Work(work)) = (me, &job) {
            self.checker.delivered(me, work);
        }
        let delay = self.random.range(5, 60);
        if let Life::Member { jobs, .. } = &mut self.nodes[node].life {
            jobs.push_back(job);
            if jobs.len() == 1 {
                self.after(delay, Event::Execute { node });
            }
        }
    }

    fn note(&mut self, node: usize, note: &str) {
        let who = self.nodes[node]
            .replica()
            .map_or("joining".to_owned(), |r| r.me().to_string());
        self.notes
            .push_back(format!("{:>10} p{node} {who}: {note}", self.now));
        if self.notes.len() > 3000 {
            self.notes.pop_front();
        }
    }

    /// The process is gone. A daemon that lives reports it.
    pub(crate) fn crash(&mut self, node: usize, reported: bool) {
        if self.nodes[node].is_dead() {
            return;
        }
        let me = self.nodes[node].replica().map(Replica::me);
        self.note(node, if reported { "is gone" } else { "falls silent" });
        self.nodes[node].life = Life::Dead;
        let connections: Vec<u64> = self.connections.keys().copied().collect();
        for connection in connections {
            if self.touches(connection, node) {
                self.break_connection(connection, reported);
            }
        }
        if !reported {
            return;
        }
        if let Some((asker, token)) = self.starters.remove(&node) {
            let reply = DaemonReply::Ended {
                token,
                how: "killed".to_owned(),
            };
            self.after(
                500,
                Event::Daemon {
                    node: asker,
                    token,
                    reply,
                },
            );
        }
        if let (
            Some(member),
            Some(DaemonRequest::Members {
                incarnation,
                others,
                ..
            }),
        ) = (me, self.nodes[node].told.clone())
        {
            for other in others {
                if let Some(node) = self.node_at(other.address) {
                    let delay = self.random.range(200, 3_000);
                    self.after(
                        delay,
                        Event::Died {
                            node,
                            incarnation,
                            member,
                        },
                    );
                }
            }
        }
    }

    fn node_at(&self, address: SocketAddr) -> Option<usize> {
        self.nodes.iter().position(|node| node.address == address)
    }

    // Connections.

    fn connect(&mut self, ends: Ends) -> u64 {
        let number = self.next_connection;
        self.next_connection += 1;
        self.connections.insert(
            number,
            Connection {
                ends,
                open: true,
                last: [0; 2],
            },
        );
        number
    }

    fn touches(&self, connection: u64, node: usize) -> bool {
        self.connections
            .get(&connection)
            .is_some_and(|connection| match connection.ends {
                Ends::Peers { a, b } => a.0 == node || b.0 == node,
                Ends::Join { a, b } => a.0 == node || b == node,
                Ends::Client { b, .. } => b == node,
            })
    }

    pub(crate) fn open_peer_links(&self) -> Vec<u64> {
        self.connections
            .iter()
            .filter(|(_, connection)| {
                connection.open && matches!(connection.ends, Ends::Peers { .. })
            })
            .map(|(&number, _)| number)
            .collect()
    }

    /// What is under way on it is lost; both sides learn of it, or none.
    pub(crate) fn break_connection(&mut self, connection: u64, noticed: bool) {
        let Some(known) = self.connections.get_mut(&connection) else {
            return;
        };
        if !std::mem::replace(&mut known.open, false) || !noticed {
            return;
        }
        for at_b in [false, true] {
            let delay = self.random.range(20, 200);
            self.after(delay, Event::Closed { connection, at_b });
        }
    }

    /// Sends from `node`'s side.
    fn send(&mut self, connection: u64, node: usize, payload: Payload) {
        let to_b = match self.connections.get(&connection).map(|c| c.ends) {
            Some(Ends::Peers { a, .. }) => a.0 == node,
            Some(Ends::Join { a, .. }) => a.0 == node,
            Some(Ends::Client { .. }) | None => false,
        };
        self.carry(connection, to_b, payload);
    }

    /// Sends from the accepting side.
    fn send_b(&mut self, connection: u64, payload: Payload) {
        self.carry(connection, false, payload);
    }

    fn carry(&mut self, connection: u64, at_b: bool, payload: Payload) {
        let mut delay = self.random.range(30, 200);
        if self.random.chance(self.late_per_mille) {
            delay = self.random.range(1_000, 20_000);
        }
        let now = self.now;
        let Some(known) = self.connections.get_mut(&connection).filter(|c| c.open) else {
            return;
        };
        let last = &mut known.last[usize::from(at_b)];
        *last = (*last).max(now + delay);
        let at = *last;
        self.at(
            at,
            Event::Message {
                connection,
                at_b,
                payload,
            },
        );
    }

    fn message(&mut self, connection: u64, at_b: bool, payload: Payload) {
        let Some(known) = self.connections.get(&connection).filter(|c| c.open) else {
            return;
        };
        let now = self.moment();
        match (known.ends, at_b, payload) {
            (Ends::Peers { a, b }, at_b, Payload::Peer(message)) => {
                let ((node, _), (_, from)) = if at_b { (b, a) } else { (a, b) };
                self.with_replica(node, |replica, out| replica.heard(now, from, message, out));
            }
            (Ends::Join { b, .. }, true, Payload::Peer(message)) => {
                self.with_replica(b, |replica, out| {
                    replica.joiner_heard(now, connection, message, out);
                });
            }
            (
                Ends::Join {
                    a: (node, link), ..
                },
                false,
                Payload::Peer(message),
            ) => {
                let mut out = Vec::new();
                if let Life::Joining { joining, .. } = &mut self.nodes[node].life {
                    joining.heard(now.time, link, message, &mut out);
                }
                self.take_joining(node, out);
                self.drive(node);
            }
            (Ends::Client { b, .. }, true, Payload::Request(request)) => {
                self.with_replica(b, |replica, out| {
                    replica.client_heard(now, connection, request, out);
                });
            }
            (Ends::Client { a, .. }, false, Payload::Reply(reply)) => {
                self.client_hears(a, connection, reply);
            }
            (Ends::Peers { .. } | Ends::Join { .. } | Ends::Client { .. }, _, _) => {}
        }
    }

    fn closed(&mut self, connection: u64, at_b: bool) {
        let Some(known) = self.connections.get(&connection) else {
            return;
        };
        let now = self.moment();
        match (known.ends, at_b) {
            (Ends::Peers { a, b }, at_b) => {
                let ((node, _), (_, peer)) = if at_b { (b, a) } else { (a, b) };
                if self.nodes[node].links.get(&peer) == Some(&connection) {
                    self.nodes[node].links.remove(&peer);
                    self.with_replica(node, |replica, _| replica.unlinked(now, peer));
                    self.redial(node, peer);
                }
            }
            (
                Ends::Join {
                    a: (node, link), ..
                },
                false,
            ) => {
                if let Life::Joining { joining, .. } = &mut self.nodes[node].life {
                    joining.closed(now.time, link, "the connection broke");
                }
                self.drive(node);
            }
            (Ends::Client { a, .. }, false) => {
                if self.clients[a].connection == Some(connection) {
                    self.elsewhere(a);
                }
            }
            (Ends::Client { b, .. }, true) => {
                self.with_replica(b, |replica, out| replica.client_closed(connection, out));
            }
            (Ends::Join { .. }, true) => {}
        }
    }

    fn redial(&mut self, node: usize, peer: MemberId) {
        let wanted = self.nodes[node]
            .wanted
            .iter()
            .find(|(wanted, _)| *wanted == peer)
            .copied();
        if let Some((peer, address)) = wanted {
            self.after(
                20_000,
                Event::Dial {
                    node,
                    peer,
                    address,
                },
            );
        }
    }

    /// Of two members the one with the higher id dials; the other waits half a second longer.
    fn dial(&mut self, node: usize, peer: MemberId, target: SocketAddr) {
        let Some(replica) = self.nodes[node].replica() else {
            return;
        };
        let wanted = self.nodes[node]
            .wanted
            .iter()
            .any(|(wanted, _)| *wanted == peer);
        if !wanted || self.nodes[node].links.contains_key(&peer) {
            return;
        }
        let me = replica.me();
        let hello = replica.hello();
        let again = if me > peer { 20_000 } else { 500_000 };
        let first = me < peer && self.random.chance(900);
        let there = self.node_at(target).filter(|&there| {
            !self.nodes[there].is_dead() && self.nodes[there].paused_until <= self.now
        });
        let welcome = there
            .filter(|_| !first)
            .and_then(|there| Some((there, self.nodes[there].replica()?.greet(&hello))));
        match welcome {
            Some((there, Welcome::Accepted { .. })) => {
                let link = self.connect(Ends::Peers {
                    a: (node, me),
                    b: (there, peer),
                });
                let now = self.moment();
                if let Some(old) = self.nodes[there].links.insert(me, link) {
                    self.break_connection(old, true);
                }
                self.nodes[node].links.insert(peer, link);
                self.with_replica(there, |replica, _| replica.linked(now, me));
                self.with_replica(node, |replica, _| replica.linked(now, peer));
            }
            Some((_, Welcome::Removed { view })) => {
                self.with_replica(node, |replica, _| replica.removed(view));
            }
            Some((_, Welcome::Refused { .. })) | None => {
                self.after(
                    again,
                    Event::Dial {
                        node,
                        peer,
                        address: target,
                    },
                );
            }
        }
    }

    // Joining.

    fn take_joining(&mut self, node: usize, out: Vec<JoiningOutput>) {
        for output in out {
            match output {
                JoiningOutput::Dial { link, address } => {
                    self.after(
                        100,
                        Event::JoinDial {
                            node,
                            link,
                            address,
                        },
                    );
                }
                JoiningOutput::Send { link, message } => {
                    let found = self.connections.iter().find(|(_, connection)| {
                        matches!(connection.ends, Ends::Join { a, .. } if a == (node, link))
                    });
                    if let Some((&connection, _)) = found {
                        self.send(connection, node, Payload::Peer(message));
                    }
                }
                JoiningOutput::Close { .. } => {}
                JoiningOutput::Fetch(admitted) => {
                    self.note(
                        node,
                        &format!("fetches {} from {}", admitted.position, admitted.donor),
                    );
                    if let Life::Joining { fetch, .. } = &mut self.nodes[node].life {
                        *fetch = Some(admitted);
                    }
                    if let Some(donor) = self.node_at(admitted.donor_address) {
                        self.after(100, Event::Execute { node: donor });
                    }
                }
                JoiningOutput::Failed { why } => {
                    self.note(node, &why);
                    self.crash(node, true);
                    return;
                }
            }
        }
    }

    fn join_dial(&mut self, node: usize, link: u64, target: SocketAddr) {
        let there = self.node_at(target).filter(|&there| {
            let greeted = self.nodes[there]
                .replica()
                .map(|replica| replica.greet(&Hello::new(GROUP, Opener::Joiner)));
            matches!(greeted, Some(Welcome::Accepted { .. }))
                && self.nodes[there].paused_until <= self.now
        });
        let now = self.moment();
        let mut out = Vec::new();
        if let Some(b) = there {
            self.connect(Ends::Join { a: (node, link), b });
        }
        if let Life::Joining { joining, .. } = &mut self.nodes[node].life {
            if there.is_some() {
                joining.opened(now.time, link, &mut out);
            } else {
                joining.closed(now.time, link, "nobody listens");
            }
        }
        self.take_joining(node, out);
        self.drive(node);
    }

    fn state_arrives(
        &mut self,
        node: usize,
        admitted: Admitted,
        head: &TransferHead,
        bytes: &[u8],
    ) {
        let now = self.moment();
        let wanted = match &self.nodes[node].life {
            Life::Joining { fetch, .. } => *fetch == Some(admitted),
            Life::Member { .. } | Life::Dead => false,
        };
        if !wanted {
            return;
        }
        let setup = self.setup(
            self.nodes[node].host,
            &self.nodes[node].binary.clone(),
            node,
        );
        let imported = setup.program.import(admitted.member, head, &mut &bytes[..]);
        match imported {
            Ok(executor) => match Replica::start(now, setup, &admitted, head) {
                Ok(replica) => {
                    self.checker.begins(admitted.member, head.position);
                    let replica = Box::new(replica);
                    self.nodes[node].life = Life::Member {
                        replica,
                        executor,
                        jobs: VecDeque::new(),
                    };
                    self.drive(node);
                }
                Err(error) => self
                    .checker
                    .fail(format!("a joiner does not start: {error}")),
            },
            Err(error) => self
                .checker
                .fail(format!("a state does not import: {error}")),
        }
    }

    // Executors.

    fn execute(&mut self, node: usize) {
        let now = self.now;
        let mut answers = Vec::new();
        let mut exported = None;
        let Life::Member { executor, jobs, .. } = &mut self.nodes[node].life else {
            return;
        };
        let mut budget = 16;
        while budget > 0 {
            budget -= 1;
            match jobs.pop_front() {
                Some(Job::Work(work)) => executor.handle(work, &mut answers),
                Some(Job::Export(job)) => {
                    exported = Some(job);
                    break;
                }
                None => break,
            }
        }
        let position = executor.position();
        if let Some(job) = exported {
            self.export(node, *job, now);
        }
        for answer in answers {
            self.send_b(answer.connection, Payload::Reply(answer.reply));
        }
        let more = match &self.nodes[node].life {
            Life::Member { jobs, .. } => !jobs.is_empty(),
            Life::Joining { .. } | Life::Dead => false,
        };
        if more {
            let delay = self.random.range(20, 200);
            self.after(delay, Event::Execute { node });
        }
        self.with_replica(node, |replica, _| replica.applied(position));
    }

    /// The executor is exactly at the export's position: it waits for the joiner, or writes.
    fn export(&mut self, node: usize, mut job: ExportJob, now: u64) {
        let joiner = self.nodes.iter().position(|other| match &other.life {
            Life::Joining {
                fetch: Some(admitted),
                ..
            } => admitted.member == job.joiner && admitted.position == job.position,
            Life::Joining { .. } | Life::Member { .. } | Life::Dead => false,
        });
        let Some(joiner_node) = joiner else {
            let (joiner, late) = (job.joiner, now > job.since + EXPORT_PATIENCE);
            if late {
                let result = Err("nobody dialled for it".to_owned());
                self.with_replica(node, |replica, out| replica.exported(joiner, result, out));
            } else if let Life::Member { jobs, .. } = &mut self.nodes[node].life {
                jobs.push_front(Job::Export(Box::new(job)));
            }
            return;
        };
        let Life::Member { executor, .. } = &self.nodes[node].life else {
            return;
        };
        let mut bytes = Vec::new();
        let result = executor
            .export(job.format, &mut bytes)
            .map_err(|error| error.to_string());
        job.head.sessions = executor.sessions();
        if executor.position() != job.position {
            let at = executor.position();
            self.checker.fail(format!(
                "a state of {at} was exported as that of {}",
                job.position
            ));
        }
        if let Life::Joining {
            fetch: Some(admitted),
            ..
        } = &self.nodes[joiner_node].life
        {
            let admitted = *admitted;
            let delay = self.random.range(500, 30_000);
            let head = Box::new(job.head);
            self.after(
                delay,
                Event::State {
                    node: joiner_node,
                    admitted,
                    head,
                    bytes,
                },
            );
        }
        let joiner = job.joiner;
        self.with_replica(node, |replica, out| replica.exported(joiner, result, out));
    }

    // Daemons.

    fn daemon(&mut self, node: usize, token: u64, host: &HostRecord, request: DaemonRequest) {
        if let DaemonRequest::Inventory { token } = request {
            return self.inventory(node, token, host);
        }
        let DaemonRequest::Start { assignment, .. } = request else {
            return;
        };
        let Some(host) = self.hosts.iter().position(|other| other.name == host.name) else {
            return;
        };
        if self.random.chance(self.failed_starts_per_mille) {
            let reply = DaemonReply::Failed {
                token,
                why: "no such binary here".to_owned(),
            };
            return self.after(1_000, Event::Daemon { node, token, reply });
        }
        let delay = self.random.range(2_000, 30_000);
        let assignment = Box::new(assignment);
        self.after(
            delay,
            Event::Start {
                host,
                assignment,
                asker: node,
                token,
            },
        );
    }

    fn inventory(&mut self, asker: usize, token: u64, host: &HostRecord) {
        let replicas = self
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| !node.is_dead() && self.hosts[node.host].name == host.name)
            .map(|(number, node)| ReplicaRecord {
                process: u32::try_from(number).unwrap_or(0),
                group: GROUP.to_owned(),
                binary: node.binary.clone(),
                service: "list".to_owned(),
                address: Some(node.address),
                member: node.replica().map(Replica::me),
            })
            .collect();
        let reply = DaemonReply::Inventory {
            token,
            host: host.name.clone(),
            replicas,
            binaries: Vec::new(),
        };
        let node = asker;
        self.after(1_000, Event::Daemon { node, token, reply });
    }

    fn start(&mut self, host: usize, assignment: &Assignment, asker: usize, token: u64) {
        let Role::Join {
            seat,
            attempt,
            contacts,
            ..
        } = &assignment.role
        else {
            return;
        };
        let number = self.nodes.len();
        let version = if assignment.version >= Version::new(2, 0, 0) {
            2
        } else {
            1
        };
        let binary = binary(version);
        let setup = self.setup(host, &binary, number);
        let join = Join {
            host: setup.host.clone(),
            address: setup.address,
            binary: binary.clone(),
            service: "list".to_owned(),
            formats: setup.program.formats(),
            seat: *seat,
            attempt: *attempt,
            process: setup.process,
        };
        let contacts = contacts.iter().map(|contact| contact.address).collect();
        let joining = Box::new(Joining::new(self.moment().time, join, contacts));
        let node = self.add_node(
            host,
            binary,
            Life::Joining {
                joining,
                fetch: None,
            },
        );
        self.starters.insert(node, (asker, token));
        let process = u32::try_from(node).unwrap_or(0);
        let reply = DaemonReply::Started {
            token,
            process,
            build: Build([0; 32]),
        };
        self.after(
            200,
            Event::Daemon {
                node: asker,
                token,
                reply,
            },
        );
    }

    // Clients.

    pub(crate) fn add_client(&mut self) {
        let number = self.clients.len();
        let contacts = vec![(address(0), true)];
        self.clients.push(Client::new(number as u64 + 1, contacts));
        self.after(1_000, Event::Client { client: number });
    }

    fn client_acts(&mut self, client: usize) {
        if self.clients[client].asked == Asked::Nothing {
            if !self.load {
                return;
            }
            let read = self.random.chance(300);
            let floor = self.checker.heard();
            self.clients[client].ask(read, floor);
        }
        if self.clients[client].connection.is_none() {
            self.client_connects(client);
        }
        let resolved = self.clients[client].resolved;
        let (connection, request) = (
            self.clients[client].connection,
            self.clients[client].request(),
        );
        if let (Some(connection), Some(request)) = (connection, request) {
            self.carry(connection, true, Payload::Request(request));
        }
        self.after(RETRY_AFTER, Event::Retry { client, resolved });
    }

    fn client_connects(&mut self, client: usize) {
        let taking: Vec<SocketAddr> = self.clients[client]
            .contacts
            .iter()
            .filter(|(_, takes)| *takes)
            .map(|(address, _)| *address)
            .collect();
        let all: Vec<SocketAddr> = self.clients[client]
            .contacts
            .iter()
            .map(|(address, _)| *address)
            .collect();
        let from = if taking.is_empty() || self.random.chance(200) {
            all
        } else {
            taking
        };
        let Some(address) = self.random.pick(&from).copied() else {
            return;
        };
        let there = self
            .node_at(address)
            .filter(|&node| self.nodes[node].replica().is_some());
        let Some(b) = there else {
            // Every member that this client knew may be gone: it asks a registry.
            let live: Vec<SocketAddr> = self
                .nodes
                .iter()
                .filter(|node| node.replica().is_some())
                .map(|node| node.address)
                .collect();
            self.clients[client]
                .contacts
                .extend(live.into_iter().map(|address| (address, true)));
            return;
        };
        let connection = self.connect(Ends::Client { a: client, b });
        self.clients[client].connection = Some(connection);
        self.with_replica(b, |replica, out| replica.client_opened(connection, out));
    }

    fn elsewhere(&mut self, client: usize) {
        if let Some(connection) = self.clients[client].connection.take() {
            self.break_connection(connection, true);
        }
        let delay = self.random.range(500, 5_000);
        self.after(delay, Event::Client { client });
    }

    fn client_hears(&mut self, client: usize, connection: u64, reply: ClientReply) {
        if self.clients[client].connection != Some(connection) {
            return;
        }
        let asked = self.clients[client].asked;
        match self.clients[client].hear(reply) {
            Heard::Answer(reply) => {
                match asked {
                    Asked::Add { tag } => self.checker.added(tag, &reply),
                    Asked::Count { floor } => self.checker.counted(floor, &reply),
                    Asked::Nothing | Asked::Open => {}
                }
                self.rest(client);
            }
            Heard::Opened => self.rest(client),
            Heard::Elsewhere => self.elsewhere(client),
            Heard::Fault(fault) => self.checker.fail(fault),
            Heard::Nothing => {}
        }
    }

    fn rest(&mut self, client: usize) {
        self.clients[client].asked = Asked::Nothing;
        self.clients[client].resolved += 1;
        let delay = self.random.range(100, 4_000);
        self.after(delay, Event::Client { client });
    }

    /// Asks a member for an upgrade, as an operator would.
    pub(crate) fn upgrade(&mut self, node: usize, version: u64, token: u64) {
        let request = wire::log::UpgradeRequest {
            target: binary(version),
            parallel: 1,
            attempts: 20,
            patience_ms: 3_000,
            token,
        };
        let now = self.moment();
        let request = ClientRequest::Upgrade { token, request };
        self.with_replica(node, |replica, out| {
            replica.client_heard(now, 0, request, out)
        });
    }

    /// Every live member's tags, at the end.
    pub(crate) fn judge_states(&mut self) {
        let mut states = Vec::new();
        // Who slept while it was replaced judges by an old view; its state is nobody's any more.
        let newest = self
            .nodes
            .iter()
            .filter_map(Node::replica)
            .max_by_key(|replica| replica.status().position)
            .map(|replica| replica.membership().view.clone());
        let serves = |member| newest.as_ref().is_some_and(|view| view.serves(member));
        for node in &self.nodes {
            if let Life::Member {
                replica, executor, ..
            } = &node.life
            {
                let mut bytes = Vec::new();
                let format = if node.binary == binary(1) { 1 } else { 2 };
                let exported = executor.export(format, &mut bytes).is_ok();
                if exported && serves(replica.me()) {
                    states.push((
                        replica.me(),
                        executor.position(),
                        tags(format, &unchunked(&bytes)),
                    ));
                }
            }
        }
        for (member, _, tags) in &states {
            self.checker.state(*member, tags);
        }
        let same = states
            .windows(2)
            .all(|pair| pair[0].1 != pair[1].1 || pair[0].2 == pair[1].2);
        if !same {
            self.checker
                .fail("members at the same position have different states".to_owned());
        }
    }

    pub(crate) fn position(&self) -> Position {
        let positions = self.nodes.iter().filter_map(Node::replica);
        positions
            .map(|replica| replica.status().position)
            .max()
            .unwrap_or_default()
    }
}

/// The service's bytes without the transfer's chunks.
fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        if length == 0 {
            break;
        }
        plain.extend_from_slice(&rest[..length]);
        bytes = &rest[length..];
    }
    plain
}
