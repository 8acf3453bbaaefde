//! The replica: composes the group, the ordered state, the layers and the service's executor.
//!
//! It decides nothing. Peers' messages go to the group, delivered positions to the ordered state
//! and (the requests among them) to the executor, events to the layers, and what the layers want
//! to the group, the daemons and the clients. It runs under the real host and in the simulator.
//! Paper: §4.1 (the stack between group communication and server).

use std::sync::Arc;

use group::{Admitted, Delivered, Greeting, Group, Now, Snapshot, SnapshotError};
use wire::client::ClientRequest;
use wire::daemon::{DaemonReply, DaemonRequest, Foundation, HostRecord};
use wire::hello::{Hello, Opener, PROTOCOL, Welcome};
use wire::log::Proposal;
use wire::member::{Binary, Member, Seat, Standing};
use wire::peer::{Contact, Join, PeerMessage, TransferHead};
use wire::{MemberId, OrderedTime, Position, Time};

use crate::clients::{Clients, Intake, Taken};
use crate::executor::{Executable, Execute, Founding, Program, Work};
use crate::layer::{Effect, Event, Layer, LayerContext};
use crate::ordered::{Happened, Ordered, OrderedError};
use crate::stack::{Stack, StackError};
use crate::status;

/// Rounds of one turn: deliveries lead to new proposals, which a group of one delivers at once.
const ROUNDS_MAX: usize = 8;

/// What a replica's process is.
#[derive(Debug)]
pub struct Setup {
    /// The service.
    pub program: Arc<Program>,
    /// The host's name.
    pub host: String,
    /// Where this process listens.
    pub address: std::net::SocketAddr,
    /// Its number in the operating system, for people.
    pub process: u32,
    /// What it runs.
    pub binary: Binary,
    /// Layers of the user's own that the stack may name.
    pub layers: Vec<Box<dyn Layer>>,
}

/// One replicated server's member.
#[derive(Debug)]
pub struct Replica {
    program: Arc<Program>,
    host: String,
    binary: Binary,
    group: Group,
    ordered: Ordered,
    stack: Stack,
    clients: Clients,
    /// The membership that others were last told of.
    contacts: Contacts,
    /// Whether the layers have something to look at.
    changed: bool,
    /// Who the export that was last announced is for.
    exporting: Option<(MemberId, Position)>,
    applied: Position,
    ended: bool,
}

/// Who takes clients' requests, as it was last told to clients and daemon.
#[derive(Debug, Default)]
struct Contacts {
    at: Position,
    list: Vec<Contact>,
}

/// What a replica wants from its driver. In one turn they come in this order of handling.
#[derive(Debug)]
pub enum Output {
    /// For a peer, if a link to it stands.
    Send {
        /// To whom.
        to: MemberId,
        /// What.
        message: PeerMessage,
    },
    /// For a joiner, on the link on which it asked.
    Answer {
        /// The driver's number of the link.
        link: u64,
        /// What.
        message: PeerMessage,
    },
    /// For a client.
    Client {
        /// The driver's number of the connection.
        connection: u64,
        /// What.
        reply: wire::client::ClientReply,
    },
    /// Whom to hold links to from now on.
    Peers(Vec<(MemberId, std::net::SocketAddr)>),
    /// The executor's next work.
    Work(Work),
    /// The executor's next work is to write the state for a joiner that dials for it.
    Export {
        /// Who.
        joiner: MemberId,
        /// The state of this position: exactly where the executor stands in its queue.
        position: Position,
        /// The state format to write.
        format: u32,
        /// The head, without the sessions, which only the executor has.
        head: TransferHead,
    },
    /// Nobody will dial for that state any more.
    CancelExport {
        /// Who would have.
        joiner: MemberId,
    },
    /// Ask a host's daemon; the answer comes with the token.
    Daemon {
        /// Comes back with every answer.
        token: u64,
        /// Whose daemon.
        host: HostRecord,
        /// What.
        request: DaemonRequest,
    },
    /// Tell our own daemon, now and whenever it is reached again.
    Tell(DaemonRequest),
    /// A sentence for the operator's log.
    Note(String),
    /// The process ends.
    End(End),
}

/// How a replica's life ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Another member has taken its place: `upgraded()` is called on the service.
    Replaced {
        /// The view without it.
        view: Position,
    },
    /// It was asked to leave.
    Left,
    /// It cannot go on as a correct member.
    Broken {
        /// Why.
        why: String,
    },
}

/// Why a replica does not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configured stack is none.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// The transferred membership.
    #[error("the transferred state cannot be used: {0}")]
    Membership(#[from] SnapshotError),
    /// The transferred seats and upgrade.
    #[error("the transferred state cannot be used: {0}")]
    Ordered(#[from] OrderedError),
    /// The state does not list this replica.
    #[error("the transferred state does not list {0} as a joiner")]
    NotListed(MemberId),
}

impl Replica {
    /// The first member of a new group, and its executor with the service's initial state.
    ///
    /// # Errors
    /// A stack that is none.
    pub fn found(
        now: Now,
        setup: Setup,
        group: &str,
        foundation: Foundation,
        incarnation: u64,
        seed: u64,
    ) -> Result<(Replica, Box<dyn Execute>), StartError> {
        let stack = Stack::parse(&foundation.stack, setup.layers)?;
        let founder = Member {
            id: MemberId::new(1).expect("one is not zero"),
            host: setup.host.clone(),
            address: setup.address,
            binary: setup.binary.clone(),
            formats: setup.program.formats(),
            seat: Seat(0),
            attempt: 0,
            standing: Standing::Serving,
        };
        let executor = setup.program.found(Founding {
            me: founder.id,
            seed,
        });
        let service = setup.program.description.service.clone();
        let membership =
            group::Membership::found(group.to_owned(), service, incarnation, founder.clone());
        let ordered = Ordered::found(foundation, setup.binary.clone(), &membership, now.wall);
        let group = Group::found(now, membership, founder.id);
        let replica = Replica {
            program: setup.program,
            host: setup.host,
            binary: setup.binary,
            group,
            ordered,
            stack,
            clients: Clients::default(),
            contacts: Contacts::default(),
            changed: true,
            exporting: None,
            applied: Position(1),
            ended: false,
        };
        Ok((replica, executor))
    }

    /// A joiner whose executor has taken the state that came with `head`.
    ///
    /// # Errors
    /// A state that cannot be used here.
    pub fn start(
        now: Now,
        setup: Setup,
        admitted: &Admitted,
        head: &TransferHead,
    ) -> Result<Replica, StartError> {
        let snapshot = Snapshot::from_bytes(&head.group)?;
        let ordered = Ordered::from_bytes(&head.replica)?;
        if snapshot.membership.joiner(admitted.member).is_none() {
            return Err(StartError::NotListed(admitted.member));
        }
        let stack = Stack::parse(&ordered.foundation().stack, setup.layers)?;
        let mut group = Group::start(now, snapshot, admitted.member, head.position, head.term);
        group.applied(head.position);
        Ok(Replica {
            program: setup.program,
            host: setup.host,
            binary: setup.binary,
            group,
            ordered,
            stack,
            clients: Clients::default(),
            contacts: Contacts::default(),
            changed: true,
            exporting: None,
            applied: head.position,
            ended: false,
        })
    }

    // Inputs: links.

    /// The answer to whoever opens a connection.
    pub fn greet(&self, hello: &Hello) -> Welcome {
        let membership = self.group.membership();
        let refused = |why: String| Welcome::Refused { why };
        let Some(protocol) = PROTOCOL.shared(hello.protocols) else {
            return refused(format!(
                "this member speaks protocols {} to {}, you {} to {}: use neighbouring releases",
                PROTOCOL.lowest, PROTOCOL.highest, hello.protocols.lowest, hello.protocols.highest
            ));
        };
        if hello.group != membership.group {
            return refused(format!(
                "this is a member of group \"{}\", not of \"{}\"",
                membership.group, hello.group
            ));
        }
        let greeting = match &hello.opener {
            Opener::Peer {
                incarnation,
                member,
                ..
            } => self.group.greet(*incarnation, *member),
            Opener::Bulk {
                incarnation,
                joiner,
                ..
            } => self.group.greet(*incarnation, *joiner),
            Opener::Client | Opener::Joiner | Opener::Daemon { .. } => Greeting::Welcome,
        };
        match greeting {
            Greeting::Welcome => Welcome::Accepted {
                protocol,
                member: Some(self.group.me()),
                view: membership.view.position,
            },
            Greeting::OtherIncarnation => refused(format!(
                "the group \"{}\" lives in incarnation {} by now",
                membership.group, membership.incarnation
            )),
            Greeting::Removed { view } => Welcome::Removed { view },
        }
    }

    /// Our own opening of a link to a peer.
    pub fn hello(&self) -> Hello {
        let membership = self.group.membership();
        Hello::new(
            &membership.group,
            Opener::Peer {
                incarnation: membership.incarnation,
                member: self.group.me(),
                view: membership.view.position,
            },
        )
    }

    /// This member.
    pub fn me(&self) -> MemberId {
        self.group.me()
    }

    /// A link to a peer stands.
    pub fn linked(&mut self, now: Now, peer: MemberId) {
        self.group.linked(now, peer);
        self.changed = true;
    }

    /// The link to a peer broke.
    pub fn unlinked(&mut self, now: Now, peer: MemberId) {
        self.group.unlinked(now, peer);
        self.changed = true;
    }

    /// A message from a linked peer. What it causes comes with the next turn, but for answers to
    /// probes.
    pub fn heard(&mut self, now: Now, peer: MemberId, message: PeerMessage, out: &mut Vec<Output>) {
        self.changed |= matches!(message, PeerMessage::Progress { .. });
        let mut group_out = Vec::new();
        self.group.heard(now, peer, message, &mut group_out);
        for output in group_out {
            self.take_from_group(now, output, out);
        }
    }

    /// A message from a joiner that is no peer yet.
    pub fn joiner_heard(
        &mut self,
        now: Now,
        link: u64,
        message: PeerMessage,
        out: &mut Vec<Output>,
    ) {
        self.changed = true;
        match message {
            PeerMessage::Join(join) => self.join(now, link, &join, out),
            progress @ PeerMessage::Progress { .. } => self.group.joiner_heard(now, link, progress),
            // Nothing else belongs on a joiner's link.
            PeerMessage::NotAdmitted { .. }
            | PeerMessage::Admitted { .. }
            | PeerMessage::Engine(_)
            | PeerMessage::Forward { .. }
            | PeerMessage::Overloaded { .. }
            | PeerMessage::Probe { .. }
            | PeerMessage::Alive { .. }
            | PeerMessage::Reach { .. }
            | PeerMessage::Died { .. }
            | PeerMessage::Left { .. } => {}
        }
    }

    fn join(&mut self, now: Now, link: u64, join: &Join, out: &mut Vec<Output>) {
        let refuse = |leader, why: String, retry| Output::Answer {
            link,
            message: PeerMessage::NotAdmitted { leader, why, retry },
        };
        if !self.group.leads_of_record() {
            let leader = self.group.leader_address();
            out.push(refuse(
                leader,
                "this member does not lead the group".to_owned(),
                true,
            ));
            return;
        }
        let membership = Arc::clone(self.group.membership());
        match crate::ordered::admission(&self.ordered, &membership, join) {
            Ok(crate::ordered::Admission::Known(member)) => self.group.attach(link, member),
            Ok(crate::ordered::Admission::New) => {
                let id = MemberId::new(membership.next_member).expect("ids begin at one");
                let member = Member {
                    id,
                    host: join.host.clone(),
                    address: join.address,
                    binary: join.binary.clone(),
                    formats: join.formats.clone(),
                    seat: join.seat,
                    attempt: join.attempt,
                    standing: Standing::Serving,
                };
                match self.group.change(now, wire::log::Change::Admit(member)) {
                    Ok(()) => {
                        self.group.attach(link, id);
                        out.push(Output::Note(format!(
                            "admit {} on {} for {} as {id}, process {}",
                            join.binary, join.host, join.seat, join.process
                        )));
                    }
                    Err(refusal) => out.push(refuse(None, refusal.to_string(), true)),
                }
            }
            Err(why) => {
                let retry = why.may_change();
                out.push(refuse(None, why.to_string(), retry));
            }
        }
    }

    // Inputs: clients.

    /// A client's connection stands: it hears who is in the group.
    pub fn client_opened(&mut self, connection: u64, out: &mut Vec<Output>) {
        self.clients.opened(connection);
        out.push(Output::Client {
            connection,
            reply: self.contacts.reply(),
        });
    }

    /// A client's connection is gone.
    pub fn client_closed(&mut self, connection: u64, out: &mut Vec<Output>) {
        self.clients.closed(connection);
        out.push(Output::Work(Work::Closed { connection }));
    }

    /// A client's request.
    pub fn client_heard(
        &mut self,
        now: Now,
        connection: u64,
        request: ClientRequest,
        out: &mut Vec<Output>,
    ) {
        if let ClientRequest::Status { token } = request {
            let document = status::document(&self.status());
            let reply = wire::client::ClientReply::Status { token, document };
            out.push(Output::Client { connection, reply });
            return;
        }
        let passes = self.passes(now);
        let lag = self.group.delivered().0.saturating_sub(self.applied.0);
        let intake = Intake {
            program: &self.program,
            group: &mut self.group,
            passes,
            lag,
        };
        match self.clients.take(intake, connection, request) {
            Taken::Ordered => {}
            Taken::Work(works) => out.extend(works.into_iter().map(Output::Work)),
            Taken::Reply(reply) => out.push(Output::Client { connection, reply }),
        }
    }

    fn passes(&self, now: Now) -> Result<(), wire::client::Decline> {
        let cx = context(now, &self.group, &self.ordered, &self.host);
        self.stack.layers().try_for_each(|layer| layer.passes(&cx))
    }

    // Inputs: daemons, the executor, the process.

    /// A daemon's answer to [`Output::Daemon`]; also `Failed` when it cannot be reached.
    pub fn daemon_heard(
        &mut self,
        now: Now,
        token: u64,
        reply: &DaemonReply,
        out: &mut Vec<Output>,
    ) {
        self.tell_layers(now, &Event::Daemon { token, reply }, out);
    }

    /// A daemon holds the exit of a member's process.
    pub fn died(&mut self, incarnation: u64, member: MemberId, how: String) {
        self.group.died(incarnation, member, how);
        self.changed = true;
    }

    /// A peer that we dialled says that we are out.
    pub fn removed(&mut self, view: Position) {
        self.group.removed(view);
    }

    /// This process is asked to leave.
    pub fn leave(&mut self, out: &mut Vec<Output>) {
        self.end(End::Left, out);
    }

    /// The executor has applied everything up to `position`.
    pub fn applied(&mut self, position: Position) {
        self.applied = position;
        self.group.applied(position);
    }

    /// An export is over.
    pub fn exported(
        &mut self,
        joiner: MemberId,
        result: Result<(), String>,
        out: &mut Vec<Output>,
    ) {
        if self.exporting.is_some_and(|(to, _)| to == joiner) {
            self.exporting = None;
        }
        out.push(Output::Note(match result {
            Ok(()) => format!("gave the state to {joiner}"),
            Err(why) => format!("could not give the state to {joiner}: {why}"),
        }));
    }

    // The turn.

    /// Runs everything that was given since the last turn.
    pub fn turn(&mut self, now: Now, out: &mut Vec<Output>) {
        for _ in 0..ROUNDS_MAX {
            if self.ended {
                return;
            }
            self.clients.start_reads(now, &mut self.group, out);
            let mut group_out = Vec::new();
            self.group.turn(now, &mut group_out);
            let mut again = false;
            for output in group_out {
                again |= !matches!(output, group::Output::Send { .. });
                self.take_from_group(now, output, out);
            }
            let due = self
                .layers_deadline()
                .is_some_and(|deadline| now.time >= deadline);
            if std::mem::take(&mut self.changed) || due {
                again |= self.tell_layers(now, &Event::Changed, out);
            }
            if !again {
                return;
            }
        }
    }

    /// When [`Replica::turn`] wants to be called at the latest.
    pub fn deadline(&self) -> Option<Time> {
        let group = self.group.deadline();
        [group, self.layers_deadline()].into_iter().flatten().min()
    }

    fn layers_deadline(&self) -> Option<Time> {
        self.stack.layers().filter_map(Layer::deadline).min()
    }

    fn take_from_group(&mut self, now: Now, output: group::Output, out: &mut Vec<Output>) {
        match output {
            group::Output::Send { to, message } => out.push(Output::Send { to, message }),
            group::Output::Answer { link, message } => out.push(Output::Answer { link, message }),
            group::Output::Peers(peers) => out.push(Output::Peers(peers)),
            group::Output::Delivered(delivered) => self.deliver(now, delivered, out),
            group::Output::Readable { token, position } => {
                let delivered = self.group.delivered();
                let works = self.clients.readable(token, position, delivered);
                out.extend(works.into_iter().map(Output::Work));
            }
            group::Output::Refused(proposals) => {
                let replies = self.clients.refused(&proposals);
                out.extend(
                    replies
                        .into_iter()
                        .map(|(connection, reply)| Output::Client { connection, reply }),
                );
            }
            group::Output::Leader { leader, term } => {
                self.changed = true;
                out.push(Output::Note(match leader {
                    Some(leader) => format!("{leader} leads in term {term}"),
                    None => format!("no leader in term {term}"),
                }));
            }
            group::Output::Suspicion { member, suspected } => {
                self.changed = true;
                let verb = if suspected {
                    "is silent"
                } else {
                    "answers again"
                };
                out.push(Output::Note(format!("{member} {verb}")));
            }
            group::Output::Broken { position, why } => {
                let why = format!("position {position} cannot be read by this build: {why}");
                self.end(End::Broken { why }, out);
            }
            group::Output::Ended { view } => self.end(End::Replaced { view }, out),
        }
    }

    fn end(&mut self, end: End, out: &mut Vec<Output>) {
        if !std::mem::replace(&mut self.ended, true) {
            out.push(Output::End(end));
        }
    }

    /// Applies one position: first to the ordered state, then (its requests) to the service.
    fn deliver(&mut self, now: Now, delivered: Delivered, out: &mut Vec<Output>) {
        let Delivered {
            position,
            term,
            time,
            proposals,
            change,
            membership,
        } = delivered;
        let mut happened = Vec::new();
        let mut requests = Vec::new();
        let mut transfers = Vec::new();
        let mut own = Vec::new();
        for proposal in proposals {
            happened.extend(self.ordered.apply(position, time, &proposal, &membership));
            match proposal {
                Proposal::Open { origin, token } => {
                    requests.push(Executable::Open { origin, token });
                }
                Proposal::Calls { origin, calls } => {
                    requests.push(Executable::Calls { origin, calls });
                }
                Proposal::Layer { layer, payload } => own.push((layer, payload)),
                Proposal::Transfer { joiner, donor } => transfers.push((joiner, donor)),
                Proposal::Leads { .. } | Proposal::Standing { .. } | Proposal::Ready { .. } => {
                    self.changed = true;
                }
                Proposal::Taken { .. }
                | Proposal::Passed { .. }
                | Proposal::Upgrade(_)
                | Proposal::Activate { .. } => self.changed = true,
            }
        }
        if let Some(change) = &change {
            self.changed = true;
            happened.extend(self.ordered.changed(position, time, change, &membership));
        }
        out.push(Output::Work(Work::Apply {
            position,
            time,
            requests,
        }));
        for what in &happened {
            self.happen(now, position, what, out);
        }
        for (joiner, donor) in transfers {
            self.changed = true;
            self.transfer(joiner, donor, position, term, time, &membership, out);
        }
        for (layer, payload) in own {
            self.tell_layer(
                now,
                &layer,
                &Event::Delivered {
                    position,
                    payload: &payload,
                },
                out,
            );
        }
        if self.changed {
            self.cancel_export(&membership, out);
            self.tell_contacts(position, &membership, out);
        }
        let works = self.clients.delivered(position);
        out.extend(works.into_iter().map(Output::Work));
    }

    fn happen(&mut self, now: Now, position: Position, what: &Happened, out: &mut Vec<Output>) {
        out.push(Output::Note(format!("{position} {what}")));
        if let Happened::Activated { version, .. } = what {
            out.push(Output::Work(Work::Activate {
                position,
                version: version.clone(),
            }));
        }
        let replies = self.clients.happened(what);
        out.extend(
            replies
                .into_iter()
                .map(|(connection, reply)| Output::Client { connection, reply }),
        );
        self.tell_layers(now, &Event::Happened { position, what }, out);
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "all that a state belongs to, at one place"
    )]
    fn transfer(
        &mut self,
        joiner: MemberId,
        donor: MemberId,
        position: Position,
        term: u64,
        time: OrderedTime,
        membership: &Arc<group::Membership>,
        out: &mut Vec<Output>,
    ) {
        let me = self.group.me();
        let Some(entry) = membership.joiner(joiner).filter(|_| donor == me) else {
            return;
        };
        let formats = self.program.formats();
        let Some(format) = crate::ordered::format_for(&formats, &entry.member.formats) else {
            out.push(Output::Note(format!(
                "{joiner} reads no state format that this member writes"
            )));
            return;
        };
        let head = TransferHead {
            position,
            term,
            service: membership.service.clone(),
            binary: self.binary.clone(),
            format,
            group: Snapshot::new(group::Membership::clone(membership), time)
                .to_bytes()
                .into(),
            replica: self.ordered.to_bytes().into(),
            sessions: bytes::Bytes::new(),
        };
        self.exporting = Some((joiner, position));
        out.push(Output::Export {
            joiner,
            position,
            format,
            head,
        });
    }

    fn cancel_export(&mut self, membership: &group::Membership, out: &mut Vec<Output>) {
        if let Some((joiner, position)) = self.exporting {
            let wanted = membership
                .joiner(joiner)
                .and_then(|entry| entry.transfer)
                .is_some_and(|transfer| transfer.position == position);
            if !wanted {
                self.exporting = None;
                out.push(Output::CancelExport { joiner });
            }
        }
    }

    /// Clients hear at once who takes requests, the daemon whom to tell of our death.
    fn tell_contacts(
        &mut self,
        position: Position,
        membership: &group::Membership,
        out: &mut Vec<Output>,
    ) {
        let answering = crate::ordered::answering(&self.ordered, membership);
        let list: Vec<Contact> = membership
            .view
            .members
            .iter()
            .map(|member| Contact {
                member: member.id,
                address: member.address,
                takes_requests: answering.contains(&member.id),
            })
            .collect();
        if list == self.contacts.list {
            return;
        }
        self.contacts = Contacts { at: position, list };
        for connection in self.clients.connections() {
            out.push(Output::Client {
                connection,
                reply: self.contacts.reply(),
            });
        }
        let me = self.group.me();
        out.push(Output::Tell(DaemonRequest::Members {
            incarnation: membership.incarnation,
            member: me,
            others: membership
                .everybody()
                .filter(|member| member.id != me)
                .map(|member| Contact {
                    member: member.id,
                    address: member.address,
                    takes_requests: answering.contains(&member.id),
                })
                .collect(),
        }));
    }

    // Layers.

    /// Gives an event to all layers and does what they want. Says whether they wanted anything of
    /// the group.
    fn tell_layers(&mut self, now: Now, event: &Event<'_>, out: &mut Vec<Output>) -> bool {
        self.tell(now, None, event, out)
    }

    fn tell_layer(&mut self, now: Now, name: &str, event: &Event<'_>, out: &mut Vec<Output>) {
        self.tell(now, Some(name), event, out);
    }

    fn tell(
        &mut self,
        now: Now,
        only: Option<&str>,
        event: &Event<'_>,
        out: &mut Vec<Output>,
    ) -> bool {
        let mut wants = Vec::new();
        let cx = context(now, &self.group, &self.ordered, &self.host);
        for layer in self.stack.layers_mut() {
            if only.is_none_or(|name| name == layer.name()) {
                let mut effects = Vec::new();
                layer.handle(&cx, event, &mut effects);
                wants.extend(effects.into_iter().map(|effect| (layer.name(), effect)));
            }
        }
        let mut moved = false;
        for (layer, effect) in wants {
            moved |= self.effect(now, layer, effect, out);
        }
        moved
    }

    fn effect(
        &mut self,
        now: Now,
        layer: &'static str,
        effect: Effect,
        out: &mut Vec<Output>,
    ) -> bool {
        match effect {
            Effect::Post(proposal) => self.group.post(proposal),
            // A refused change or hand-over is wanted again by the next look at the state.
            Effect::Change(change) => return self.group.change(now, change).is_ok(),
            Effect::HandOver { to } => return self.group.hand_over(now, to).is_ok(),
            Effect::Start {
                token,
                host,
                assignment,
            } => {
                let request = DaemonRequest::Start { token, assignment };
                out.push(Output::Daemon {
                    token,
                    host,
                    request,
                });
                return false;
            }
            Effect::Inventory { token, host } => {
                let request = DaemonRequest::Inventory { token };
                out.push(Output::Daemon {
                    token,
                    host,
                    request,
                });
                return false;
            }
            Effect::Meet { strangers } => {
                let mut peers = self.group.peers();
                peers.extend(strangers);
                out.push(Output::Peers(peers));
                return false;
            }
            Effect::Multicast { payload } => {
                self.group.post(Proposal::Layer {
                    layer: layer.to_owned(),
                    payload,
                });
            }
            Effect::Note(note) => {
                out.push(Output::Note(note));
                return false;
            }
        }
        true
    }

    /// The members as of the last delivered position.
    pub fn membership(&self) -> &group::Membership {
        self.group.membership()
    }

    /// The ordered state as of the last delivered position.
    pub fn ordered(&self) -> &Ordered {
        &self.ordered
    }

    /// What this member knows, and why things wait.
    pub fn status(&self) -> wire::status::GroupStatus {
        status::status(&self.group, &self.ordered)
    }
}

impl Contacts {
    fn reply(&self) -> wire::client::ClientReply {
        wire::client::ClientReply::Members {
            view: self.at,
            members: self.list.clone(),
        }
    }
}

fn context<'a>(
    now: Now,
    group: &'a Group,
    ordered: &'a Ordered,
    host: &'a str,
) -> LayerContext<'a> {
    LayerContext {
        now,
        group,
        ordered,
        host,
    }
}
