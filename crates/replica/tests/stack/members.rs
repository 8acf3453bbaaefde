//! Replicas in one thread with perfect links: what one wants is done to the others at once, and
//! time passes only when nothing more happens. What daemons are asked is written down; a test
//! starts the replica, or says that it could not be started.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use group::{Admitted, Now};
use replica::{
    Effect, End, Event, Execute, Layer, LayerContext, Output, Program, Replica, Setup, Work,
};
use wire::client::{ClientReply, ClientRequest};
use wire::daemon::{Assignment, DaemonReply, DaemonRequest, Foundation, HostRecord, Role};
use wire::log::UpgradeRequest;
use wire::member::Binary;
use wire::peer::{Join, PeerMessage, TransferHead};
use wire::{Build, MemberId, OrderedTime, Time, Version};

use crate::nothing::{First, Second};

/// Rounds of messages without time passing: far more than any change of the group takes.
const ROUNDS_MAX: usize = 1_000;

pub(crate) fn binary(version: u8) -> Binary {
    Binary {
        version: Version::new(u64::from(version), 0, 0),
        build: Build([version; 32]),
    }
}

/// A request to a daemon.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) by: MemberId,
    pub(crate) token: u64,
    pub(crate) host: String,
    pub(crate) assignment: Assignment,
}

/// What the layer of a test saw of one member, in order.
pub(crate) type Seen = Arc<Mutex<Vec<String>>>;

/// A layer at the end of the stack, where all that the upgrade layer hears passes as well.
#[derive(Debug)]
struct Watch {
    seen: Seen,
}

impl Layer for Watch {
    fn name(&self) -> &'static str {
        "Watch"
    }

    fn requires(&self) -> &'static [&'static str] {
        &["Upgrade"]
    }

    fn handle(&mut self, _: &LayerContext<'_>, event: &Event<'_>, _: &mut Vec<Effect>) {
        if let Event::Happened { what, .. } = event {
            self.seen.lock().unwrap().push(what.to_string());
        }
    }
}

/// A new replica that has its state and does not run yet.
pub(crate) struct Arrival {
    pub(crate) setup: Setup,
    seen: Seen,
    pub(crate) admitted: Admitted,
    pub(crate) head: TransferHead,
    bytes: Vec<u8>,
}

struct Member {
    id: MemberId,
    replica: Replica,
    executor: Box<dyn Execute>,
    wanted: Vec<MemberId>,
    /// Something was given to it since its last turn.
    touched: bool,
}

/// All replicas, what they want of the world, and the moment.
pub(crate) struct Members {
    members: Vec<Member>,
    ms: u64,
    hosts: Vec<HostRecord>,
    outputs: VecDeque<(MemberId, Output)>,
    states: BTreeMap<MemberId, (TransferHead, Vec<u8>)>,
    admitted: BTreeMap<u64, Admitted>,
    next_link: u64,
    pub(crate) seen: BTreeMap<MemberId, Seen>,
    pub(crate) asked: Vec<Asked>,
    pub(crate) replies: Vec<(MemberId, ClientReply)>,
    pub(crate) ended: Vec<(MemberId, End)>,
}

fn address(number: u64) -> SocketAddr {
    let port = 1_000 + u16::try_from(number).unwrap();
    SocketAddr::from(([127, 0, 0, 1], port))
}

pub(crate) fn setup(host: &str, number: u64, version: u8, seen: &Seen) -> Setup {
    let program = if version == 1 {
        Program::of::<First>()
    } else {
        Program::of::<Second>()
    };
    Setup {
        program: Arc::new(program),
        host: host.to_owned(),
        address: address(number),
        process: 1,
        binary: binary(version),
        layers: vec![Box::new(Watch {
            seen: Arc::clone(seen),
        })],
        watched: true,
    }
}

impl Members {
    /// The first member, on the second of three hosts, of a group that wants `initial` members.
    pub(crate) fn found(initial: u32, minimal: u32) -> Members {
        let hosts: Vec<HostRecord> = ["alpha", "beta", "gamma"]
            .map(|name| HostRecord {
                name: name.to_owned(),
                daemon: "127.0.0.1:1".parse().unwrap(),
            })
            .into();
        let foundation = Foundation {
            stack: format!("{}:Watch", replica::USUAL),
            initial,
            minimal,
            hosts: hosts.clone().into(),
        };
        let mut members = Members {
            members: Vec::new(),
            ms: 0,
            hosts,
            outputs: VecDeque::new(),
            states: BTreeMap::new(),
            admitted: BTreeMap::new(),
            next_link: 1,
            seen: BTreeMap::new(),
            asked: Vec::new(),
            replies: Vec::new(),
            ended: Vec::new(),
        };
        let seen = Seen::default();
        let setup = setup(&members.hosts[1].name, 1, 1, &seen);
        let (replica, executor) =
            Replica::found(members.now(), setup, "group", foundation, 1, 1).unwrap();
        members.seen.insert(replica.me(), seen);
        members.add(replica, executor);
        members.settle();
        members
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            time: Time(self.ms * 1_000),
            wall: OrderedTime(1_000_000 + self.ms),
        }
    }

    /// The moment, in milliseconds.
    pub(crate) fn ms(&self) -> u64 {
        self.ms
    }

    fn add(&mut self, replica: Replica, executor: Box<dyn Execute>) {
        self.members.push(Member {
            id: replica.me(),
            replica,
            executor,
            wanted: Vec::new(),
            touched: true,
        });
    }

    pub(crate) fn replica(&self, id: MemberId) -> &Replica {
        &self.member(id).unwrap().replica
    }

    fn member(&self, id: MemberId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    /// Something happens to one member; what follows from it happens too.
    fn act(&mut self, id: MemberId, act: impl FnOnce(&mut Replica, Now, &mut Vec<Output>)) {
        let now = self.now();
        let mut out = Vec::new();
        if let Some(member) = self.members.iter_mut().find(|member| member.id == id) {
            act(&mut member.replica, now, &mut out);
            member.touched = true;
        }
        self.outputs
            .extend(out.into_iter().map(|output| (id, output)));
    }

    /// Lets everything happen that needs no time. As a real loop does, it wakes a replica only
    /// when something was given to it, or when it wanted to be woken.
    pub(crate) fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let now = self.now().time;
            let due = |member: &&Member| {
                member.touched || member.replica.deadline().is_some_and(|at| now >= at)
            };
            let due: Vec<MemberId> = self.members.iter().filter(due).map(|m| m.id).collect();
            if due.is_empty() && self.outputs.is_empty() {
                return;
            }
            for id in due {
                self.act(id, |replica, now, out| replica.turn(now, out));
                let member = self.members.iter_mut().find(|member| member.id == id);
                member.unwrap().touched = false;
            }
            while let Some((id, output)) = self.outputs.pop_front() {
                self.carry_out(id, output);
            }
        }
        panic!("the replicas never come to rest");
    }

    /// Milliseconds pass until something is as wanted.
    pub(crate) fn until(&mut self, what: &str, wanted: impl Fn(&Members) -> bool) {
        for _ in 0..5_000 {
            if wanted(self) {
                return;
            }
            self.ms += 1;
            self.settle();
        }
        panic!("not within 5 s: {what}");
    }

    fn carry_out(&mut self, id: MemberId, output: Output) {
        match output {
            Output::Send { to, message } => {
                self.act(to, |replica, now, out| replica.heard(now, id, message, out));
            }
            Output::Answer { link, message } => {
                if let PeerMessage::Admitted {
                    member,
                    incarnation,
                    donor,
                    donor_address,
                    position,
                } = message
                {
                    let admitted = Admitted {
                        member,
                        incarnation,
                        donor,
                        donor_address,
                        position,
                    };
                    self.admitted.insert(link, admitted);
                }
            }
            Output::Client { reply, .. } => self.replies.push((id, reply)),
            Output::Peers(peers) => self.link(id, peers.into_iter().map(|(id, _)| id).collect()),
            Output::Work(work) => self.work(id, work),
            Output::Export {
                joiner,
                format,
                mut head,
                ..
            } => {
                let executor = &self.member(id).unwrap().executor;
                let mut bytes = Vec::new();
                executor.export(format, &mut bytes).unwrap();
                head.sessions = executor.sessions();
                self.states.insert(joiner, (head, bytes));
                self.act(id, |replica, _, out| replica.exported(joiner, Ok(()), out));
            }
            Output::Daemon {
                token,
                host,
                request: DaemonRequest::Start { assignment, .. },
            } => self.asked.push(Asked {
                by: id,
                token,
                host: host.name,
                assignment,
            }),
            Output::End(end) => {
                self.members.retain(|member| member.id != id);
                self.ended.push((id, end));
                for other in self
                    .members
                    .iter()
                    .map(|member| member.id)
                    .collect::<Vec<_>>()
                {
                    self.act(other, |replica, now, _| replica.unlinked(now, id));
                }
            }
            Output::Daemon { .. }
            | Output::Tell(_)
            | Output::CancelExport { .. }
            | Output::Note(_) => {}
        }
    }

    fn link(&mut self, id: MemberId, wanted: Vec<MemberId>) {
        let member = self.members.iter_mut().find(|member| member.id == id);
        let Some(member) = member else { return };
        let known = std::mem::replace(&mut member.wanted, wanted.clone());
        for peer in wanted {
            let there = self.member(peer).is_some();
            if there && !known.contains(&peer) {
                self.act(id, |replica, now, _| replica.linked(now, peer));
                self.act(peer, |replica, now, _| replica.linked(now, id));
            }
        }
    }

    fn work(&mut self, id: MemberId, work: Work) {
        let mut answers = Vec::new();
        let member = self.members.iter_mut().find(|member| member.id == id);
        let member = member.unwrap();
        member.executor.handle(work, &mut answers);
        let position = member.executor.position();
        member.replica.applied(position);
        self.replies
            .extend(answers.into_iter().map(|answer| (id, answer.reply)));
    }

    // What a test does.

    /// A client's request; what is answered at once or without any time passing.
    pub(crate) fn request(&mut self, id: MemberId, request: ClientRequest) -> Vec<ClientReply> {
        self.replies.clear();
        self.act(id, |replica, now, out| {
            replica.client_opened(7, out);
            replica.client_heard(now, 7, request, out);
        });
        self.settle();
        let replies = self.replies.drain(..);
        replies
            .filter(|(by, reply)| *by == id && !matches!(reply, ClientReply::Members { .. }))
            .map(|(_, reply)| reply)
            .collect()
    }

    /// An operator's request for version 2.
    pub(crate) fn upgrade(&mut self, at: MemberId) {
        let request = UpgradeRequest {
            target: binary(2),
            parallel: 1,
            attempts: 3,
            patience_ms: 1_000,
            token: 1,
        };
        let replies = self.request(at, ClientRequest::Upgrade { token: 1, request });
        let accepted = |reply: &ClientReply| matches!(reply, ClientReply::UpgradeAccepted { .. });
        assert!(replies.iter().any(accepted), "{replies:?}");
    }

    /// The daemon says that it cannot start what it was asked for.
    pub(crate) fn refuse(&mut self, asked: &Asked) {
        let why = "the disk is full".to_owned();
        let token = asked.token;
        self.answer(asked, DaemonReply::Failed { token, why });
    }

    /// The daemon has started the process, and that is all that is heard of it.
    pub(crate) fn runs(&mut self, asked: &Asked) {
        let reply = DaemonReply::Started {
            token: asked.token,
            process: 1,
            build: Build([1; 32]),
        };
        self.answer(asked, reply);
    }

    fn answer(&mut self, asked: &Asked, reply: DaemonReply) {
        let token = asked.token;
        self.act(asked.by, |replica, now, out| {
            replica.daemon_heard(now, token, &reply, out);
        });
        self.settle();
    }

    /// The daemon starts what it was asked for, and the new replica joins.
    pub(crate) fn start(&mut self, asked: &Asked) -> MemberId {
        let arrival = self.admit(asked);
        let Arrival {
            setup,
            seen,
            admitted,
            head,
            bytes,
        } = arrival;
        let program = Arc::clone(&setup.program);
        let executor = program
            .import(admitted.member, &head, &mut bytes.as_slice())
            .unwrap();
        let replica = Replica::start(self.now(), setup, &admitted, &head).unwrap();
        self.seen.insert(admitted.member, seen);
        self.add(replica, executor);
        let ids = |members: &Members| members.members.iter().map(|m| m.id).collect::<Vec<_>>();
        for other in ids(self) {
            if other != admitted.member {
                self.act(other, |replica, now, _| {
                    replica.linked(now, admitted.member)
                });
                self.act(admitted.member, |replica, now, _| {
                    replica.linked(now, other)
                });
            }
        }
        self.settle();
        admitted.member
    }

    /// The new replica asks to be admitted, and is given its state.
    pub(crate) fn admit(&mut self, asked: &Asked) -> Arrival {
        let Role::Join { seat, attempt, .. } = asked.assignment.role else {
            panic!("a group founds nobody");
        };
        let version = u8::try_from(asked.assignment.version.0.major).unwrap();
        let number = 1 + self.next_link;
        let seen = Seen::default();
        let setup = setup(&asked.host, number, version, &seen);
        let join = Join {
            host: setup.host.clone(),
            address: setup.address,
            binary: setup.binary.clone(),
            service: "nothing".to_owned(),
            formats: setup.program.formats(),
            seat,
            attempt,
            process: 1,
        };
        let link = self.next_link;
        self.next_link += 1;
        let leads = |member: &&Member| member.replica.status().leader == Some(member.id);
        let leader = self.members.iter().find(leads).unwrap().id;
        self.act(leader, |replica, now, out| {
            replica.joiner_heard(now, link, PeerMessage::Join(join), out);
        });
        self.until("the joiner is admitted and its state written", |members| {
            let admitted = members.admitted.get(&link);
            admitted.is_some_and(|admitted| members.states.contains_key(&admitted.member))
        });
        let admitted = self.admitted[&link];
        let (head, bytes) = self.states.remove(&admitted.member).unwrap();
        Arrival {
            setup,
            seen,
            admitted,
            head,
            bytes,
        }
    }
}
