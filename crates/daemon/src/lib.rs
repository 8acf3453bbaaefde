//! The execution daemon's machine: one per host, it starts, watches and stops replicas (§4).
//!
//! It chooses nothing: whoever asks says what to start, and a death is reported as it is. Processes,
//! files and sockets are its driver's; here stands what is known of each replica and who must hear
//! what. Replicas outlive the daemon: a new one adopts what it finds.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use museum::Defect;
use wire::daemon::{
    Assignment, BinaryRecord, DaemonReply, DaemonRequest, Fate, ReplicaRecord, Role,
};
use wire::member::Binary;
use wire::{Build, MemberId, Time};

/// How long a replica that was asked to leave may take before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// How long a started process may take to register. One that has not by then hangs: nobody would ever
/// hear of it. Longer than any start that works, and than an attempt's usual patience.
const REGISTER_PATIENCE: Duration = Duration::from_secs(60);

/// How many ends are remembered: those of the last hours, unless something ends all the time.
const ENDS_MAX: usize = 256;

/// One connection of the driver, local or remote.
pub type Connection = u64;

/// What the daemon wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Answer on a connection.
    Reply {
        /// Which.
        connection: Connection,
        /// What.
        reply: DaemonReply,
    },
    /// Start this binary; [`Daemon::started`] or [`Daemon::not_started`] follows.
    Spawn {
        /// The number of the start.
        start: u64,
        /// What.
        assignment: Assignment,
    },
    /// Ask the process to end.
    Terminate {
        /// Its number.
        process: u32,
    },
    /// End the process.
    Kill {
        /// Its number.
        process: u32,
    },
    /// Tell a member of a group that another one's process is gone.
    Death {
        /// Whom.
        to: SocketAddr,
        /// The group's name.
        group: String,
        /// Its incarnation.
        incarnation: u64,
        /// Who died.
        member: MemberId,
        /// How.
        how: String,
    },
    /// Answer with the last lines that a process printed.
    Lines {
        /// Where.
        connection: Connection,
        /// The request's token.
        token: u64,
        /// Whose.
        process: u32,
        /// How many at most.
        lines: u32,
    },
    /// Answer with what runs and with the binaries that lie here.
    Inventory {
        /// Where.
        connection: Connection,
        /// The request's token.
        token: u64,
        /// What runs.
        replicas: Vec<ReplicaRecord>,
    },
    /// Write down who the process is by now, so that its end can be told even if it comes while no
    /// daemon watches.
    Remember {
        /// Its number.
        process: u32,
        /// Who.
        who: Who,
    },
    /// A process is forgotten: its record can go.
    Forget {
        /// Its number.
        process: u32,
    },
}

/// One member of one life of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// The group's name.
    pub group: String,
    /// Its incarnation.
    pub incarnation: u64,
    /// The member.
    pub member: MemberId,
}

#[derive(Clone, Debug)]
struct Replica {
    group: String,
    service: String,
    binary: Option<Binary>,
    /// The assignment, unless it was only met at its registration.
    assignment: Option<Assignment>,
    address: Option<SocketAddr>,
    /// Its own connection to us.
    local: Option<Connection>,
    /// When it is ended if it has not registered by then.
    register_by: Option<Time>,
    /// Who had it started, and hears of its end.
    asker: Option<(Connection, u64)>,
    incarnation: u64,
    member: Option<MemberId>,
    others: Vec<SocketAddr>,
    stopping: Option<Stopping>,
}

#[derive(Clone, Debug)]
struct Stopping {
    asker: (Connection, u64),
    kill_at: Option<Time>,
}

#[derive(Clone, Debug)]
struct Start {
    asker: (Connection, u64),
    assignment: Assignment,
}

/// One host's daemon.
#[derive(Debug)]
pub struct Daemon {
    host: String,
    replicas: BTreeMap<u32, Replica>,
    starts: BTreeMap<u64, Start>,
    next_start: u64,
    /// Members whose processes are gone, and how: the last ones.
    ends: VecDeque<(Who, String)>,
}

impl Daemon {
    /// A daemon that knows nothing yet.
    pub fn new(host: &str) -> Daemon {
        Daemon {
            host: host.to_owned(),
            replicas: BTreeMap::new(),
            starts: BTreeMap::new(),
            next_start: 1,
            ends: VecDeque::new(),
        }
    }

    /// The host's name.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// A process that an earlier daemon of this host started and that still runs.
    pub fn adopt(&mut self, process: u32, assignment: Assignment, build: Build) {
        let replica = Replica::new(assignment, build, None);
        self.replicas.insert(process, replica);
    }

    /// A process that an earlier daemon of this host had started does not run any more: its end is as
    /// certain as if we had seen it.
    pub fn gone(&mut self, who: Who, how: &str) {
        if self.ends.len() >= ENDS_MAX {
            self.ends.pop_front();
        }
        self.ends.push_back((who, how.to_owned()));
    }

    fn fate(&self, asked: &Who) -> Fate {
        let ended = self.ends.iter().rev().find(|(who, _)| who == asked);
        if let Some((_, how)) = ended {
            let how = how.clone();
            return Fate::Ended { how };
        }
        let runs = self.replicas.values().any(|replica| {
            let who = replica.who();
            who.as_ref() == Some(asked)
        });
        if runs { Fate::Runs } else { Fate::Unknown }
    }

    /// Whether this process is known.
    pub fn knows(&self, process: u32) -> bool {
        self.replicas.contains_key(&process)
    }

    /// Processes that are known.
    pub fn processes(&self) -> impl Iterator<Item = u32> {
        self.replicas.keys().copied()
    }

    /// A connection is gone.
    pub fn closed(&mut self, connection: Connection) {
        for replica in self.replicas.values_mut() {
            if replica.local == Some(connection) {
                replica.local = None;
            }
            if replica.asker.is_some_and(|(asker, _)| asker == connection) {
                replica.asker = None;
            }
        }
    }

    /// A request on a connection.
    pub fn heard(
        &mut self,
        now: Time,
        connection: Connection,
        request: DaemonRequest,
        out: &mut Vec<Output>,
    ) {
        match request {
            DaemonRequest::Register {
                process,
                group,
                address,
            } => {
                let known = self.replicas.get(&process);
                if museum::on(Defect::ReturnTakenForDeath)
                    && known.is_some_and(|known| known.member.is_some())
                {
                    self.ended(process, "another has its number", "", out);
                }
                let replica = self
                    .replicas
                    .entry(process)
                    .or_insert_with(|| Replica::met(&group));
                replica.group = group;
                replica.address = Some(address);
                replica.local = Some(connection);
                replica.register_by = None;
                let reply = DaemonReply::Registered {
                    host: self.host.clone(),
                };
                out.push(Output::Reply { connection, reply });
            }
            DaemonRequest::Members {
                incarnation,
                member,
                others,
            } => {
                let mine = self
                    .replicas
                    .iter_mut()
                    .find(|(_, replica)| replica.local == Some(connection));
                if let Some((&process, replica)) = mine {
                    let known = replica.who();
                    replica.incarnation = incarnation;
                    replica.member = Some(member);
                    replica.others = others.into_iter().map(|other| other.address).collect();
                    if let Some(who) = replica.who()
                        && known.as_ref() != Some(&who)
                    {
                        out.push(Output::Remember { process, who });
                    }
                }
            }
            DaemonRequest::Start { token, assignment } => {
                self.start(connection, token, assignment, out);
            }
            DaemonRequest::Stop { token, process } => {
                self.stop(now, connection, token, process, out)
            }
            DaemonRequest::Inventory { token } => out.push(Output::Inventory {
                connection,
                token,
                replicas: self.records(),
            }),
            DaemonRequest::Fate {
                token,
                group,
                incarnation,
                member,
            } => {
                let fate = self.fate(&Who {
                    group,
                    incarnation,
                    member,
                });
                let reply = DaemonReply::Fate { token, fate };
                out.push(Output::Reply { connection, reply });
            }
            DaemonRequest::Output {
                token,
                process,
                lines,
            } => {
                out.push(Output::Lines {
                    connection,
                    token,
                    process,
                    lines,
                });
            }
        }
    }

    /// The same attempt is started once: whoever asks again hears of the same process.
    fn start(
        &mut self,
        connection: Connection,
        token: u64,
        assignment: Assignment,
        out: &mut Vec<Output>,
    ) {
        let asker = (connection, token);
        let same = self.replicas.iter_mut().find(|(_, replica)| {
            replica
                .assignment
                .as_ref()
                .is_some_and(|known| same_attempt(known, &assignment))
        });
        if let Some((&process, replica)) = same {
            replica.asker = Some(asker);
            if let Some(binary) = &replica.binary {
                let reply = DaemonReply::Started {
                    token,
                    process,
                    build: binary.build,
                };
                out.push(Output::Reply { connection, reply });
            }
            return;
        }
        let under_way = self
            .starts
            .values_mut()
            .find(|start| same_attempt(&start.assignment, &assignment));
        if let Some(start) = under_way {
            start.asker = asker;
            return;
        }
        let start = self.next_start;
        self.next_start += 1;
        self.starts.insert(
            start,
            Start {
                asker,
                assignment: assignment.clone(),
            },
        );
        out.push(Output::Spawn { start, assignment });
    }

    /// The driver has started a process.
    pub fn started(
        &mut self,
        now: Time,
        start: u64,
        process: u32,
        build: Build,
        out: &mut Vec<Output>,
    ) {
        let Some(Start { asker, assignment }) = self.starts.remove(&start) else {
            return;
        };
        // It may have registered before we heard of it.
        let met = self.replicas.remove(&process);
        let mut replica = Replica::new(assignment, build, Some(asker));
        replica.register_by = Some(now.after(REGISTER_PATIENCE));
        if let Some(met) = met {
            replica.register_by = None;
            replica.address = met.address;
            replica.local = met.local;
            replica.member = met.member;
            replica.others = met.others;
            replica.incarnation = met.incarnation;
        }
        if let Some(who) = replica.who() {
            out.push(Output::Remember { process, who });
        }
        self.replicas.insert(process, replica);
        let reply = DaemonReply::Started {
            token: asker.1,
            process,
            build,
        };
        out.push(Output::Reply {
            connection: asker.0,
            reply,
        });
    }

    /// The driver could not start it.
    pub fn not_started(&mut self, start: u64, why: String, out: &mut Vec<Output>) {
        if let Some(Start {
            asker: (connection, token),
            ..
        }) = self.starts.remove(&start)
        {
            let reply = DaemonReply::Failed { token, why };
            out.push(Output::Reply { connection, reply });
        }
    }

    fn stop(
        &mut self,
        now: Time,
        connection: Connection,
        token: u64,
        process: u32,
        out: &mut Vec<Output>,
    ) {
        let Some(replica) = self.replicas.get_mut(&process) else {
            let why = format!("no replica with process {process} runs on {}", self.host);
            let reply = DaemonReply::Failed { token, why };
            return out.push(Output::Reply { connection, reply });
        };
        let asker = (connection, token);
        replica.stopping = Some(Stopping {
            asker,
            kill_at: Some(now.after(GRACE)),
        });
        if let Some(local) = replica.local {
            out.push(Output::Reply {
                connection: local,
                reply: DaemonReply::Leave,
            });
        }
        out.push(Output::Terminate { process });
    }

    /// A process has ended: whoever should know hears of it at once.
    pub fn ended(&mut self, process: u32, how: &str, tail: &str, out: &mut Vec<Output>) {
        let Some(replica) = self.replicas.remove(&process) else {
            return;
        };
        if let Some(who) = replica.who() {
            self.gone(who, how);
        }
        if let Some(member) = replica.member {
            for to in replica.others {
                out.push(Output::Death {
                    to,
                    group: replica.group.clone(),
                    incarnation: replica.incarnation,
                    member,
                    how: how.to_owned(),
                });
            }
        }
        if let Some((connection, token)) = replica.asker {
            let how = if tail.is_empty() {
                how.to_owned()
            } else {
                format!("{how}; it said: {tail}")
            };
            let reply = DaemonReply::Ended { token, how };
            out.push(Output::Reply { connection, reply });
        }
        if let Some(Stopping {
            asker: (connection, token),
            ..
        }) = replica.stopping
        {
            let reply = DaemonReply::Stopped { token };
            out.push(Output::Reply { connection, reply });
        }
        out.push(Output::Forget { process });
    }

    /// Early or repeated ticks do nothing.
    pub fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        for (&process, replica) in &mut self.replicas {
            if let Some(stopping) = &mut replica.stopping
                && stopping.kill_at.take_if(|at| now >= *at).is_some()
            {
                out.push(Output::Kill { process });
            }
            if replica.register_by.take_if(|at| now >= *at).is_some() {
                out.push(Output::Kill { process });
            }
        }
    }

    /// When [`Daemon::tick`] wants to be called at the latest.
    pub fn deadline(&self) -> Option<Time> {
        self.replicas
            .values()
            .flat_map(|replica| {
                let stopping = replica.stopping.as_ref();
                [
                    stopping.and_then(|stopping| stopping.kill_at),
                    replica.register_by,
                ]
            })
            .flatten()
            .min()
    }

    /// What runs here.
    pub fn records(&self) -> Vec<ReplicaRecord> {
        self.replicas
            .iter()
            .filter_map(|(&process, replica)| {
                Some(ReplicaRecord {
                    process,
                    group: replica.group.clone(),
                    binary: replica.binary.clone()?,
                    service: replica.service.clone(),
                    address: replica.address,
                    member: replica.member,
                })
            })
            .collect()
    }
}

impl Replica {
    fn new(assignment: Assignment, build: Build, asker: Option<(Connection, u64)>) -> Replica {
        Replica {
            group: assignment.group.clone(),
            service: assignment.service.clone(),
            binary: Some(Binary {
                version: assignment.version.clone(),
                build,
            }),
            assignment: Some(assignment),
            address: None,
            local: None,
            register_by: None,
            asker,
            incarnation: 0,
            member: None,
            others: Vec::new(),
            stopping: None,
        }
    }

    /// Which member it is, once it is one.
    fn who(&self) -> Option<Who> {
        Some(Who {
            group: self.group.clone(),
            incarnation: self.incarnation,
            member: self.member?,
        })
    }

    /// Known only by its registration: its record was lost.
    fn met(group: &str) -> Replica {
        Replica {
            group: group.to_owned(),
            service: String::new(),
            binary: None,
            assignment: None,
            address: None,
            local: None,
            register_by: None,
            asker: None,
            incarnation: 0,
            member: None,
            others: Vec::new(),
            stopping: None,
        }
    }
}

/// Whether two requests mean the same replica.
fn same_attempt(a: &Assignment, b: &Assignment) -> bool {
    match (&a.role, &b.role) {
        (
            Role::Join {
                incarnation,
                seat,
                attempt,
                ..
            },
            Role::Join {
                incarnation: other_incarnation,
                seat: other_seat,
                attempt: other,
                ..
            },
        ) => {
            a.group == b.group
                && (incarnation, seat, attempt) == (other_incarnation, other_seat, other)
        }
        (Role::Found(_) | Role::Join { .. }, _) => false,
    }
}

/// What a daemon answers to an inventory.
pub fn inventory(
    host: &str,
    token: u64,
    replicas: Vec<ReplicaRecord>,
    binaries: Vec<BinaryRecord>,
) -> DaemonReply {
    DaemonReply::Inventory {
        token,
        host: host.to_owned(),
        replicas: replicas.into(),
        binaries: binaries.into(),
    }
}

#[cfg(test)]
mod tests;
