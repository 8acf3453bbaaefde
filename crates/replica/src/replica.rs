//! The replica: composes the group, the ordered state, the layers and the service's executor.
//!
//! It decides nothing. Peers' messages go to the group, delivered positions to the ordered state
//! and (the requests among them) to the executor, events to the layers, and what the layers want
//! to the group, the daemons and the clients. It runs under the real host and in the simulator.
//! Paper: §4.1 (the stack between group communication and server).

mod deliver;
mod layers;
mod links;
mod output;
mod watch;

use std::sync::Arc;

use group::{Admitted, Group, Now, Snapshot};
use wire::client::ClientRequest;
use wire::daemon::{DaemonReply, Foundation};
use wire::member::{Binary, Member, Seat, Standing};
use wire::peer::TransferHead;
use wire::{MemberId, Position, Time};

use crate::clients::{Clients, Intake, Taken};
use crate::executor::{Execute, Founding, Program, Work};
use crate::layer::{Event, Layer};
use crate::ordered::Ordered;
use crate::stack::{Stack, StackError};
use crate::status;
use deliver::Contacts;
use layers::context;

pub use output::{End, Output, StartError};
use watch::Watch;

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
    /// Whether the invariants of the ordered state are looked at after every position: tests and
    /// the simulator do, and the replica ends as broken if one does not hold.
    pub watched: bool,
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
    watch: Option<Watch>,
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
            clients: Clients::new(Position(1)),
            contacts: Contacts::default(),
            changed: true,
            exporting: None,
            applied: Position(1),
            ended: false,
            watch: setup.watched.then(Watch::default),
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
        let tail = snapshot.tail.as_ref();
        if tail.is_some_and(|tail| !tail.ends_at(head.position, head.term)) {
            return Err(StartError::Log(head.position));
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
            clients: Clients::new(head.position),
            contacts: Contacts::default(),
            changed: true,
            exporting: None,
            applied: head.position,
            ended: false,
            watch: setup.watched.then(Watch::default),
        })
    }

    /// All layers begin anew, these of the user's among them: what they kept besides the ordered
    /// state is gone, and must not be needed (self-stabilising, Abstract).
    ///
    /// # Errors
    /// The stack names a layer that is not there; the layers are as before.
    pub fn renew_layers(&mut self, own: Vec<Box<dyn Layer>>) -> Result<(), StackError> {
        self.stack = Stack::parse(&self.ordered.foundation().stack, own)?;
        self.changed = true;
        Ok(())
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
                let works = self.clients.readable(token, position);
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

    // What others may know.

    /// This member.
    pub fn me(&self) -> MemberId {
        self.group.me()
    }

    /// Up to where the order is delivered.
    pub fn delivered(&self) -> Position {
        self.group.delivered()
    }

    /// What the log holds in memory.
    pub fn log_bytes(&self) -> u64 {
        self.group.log_bytes()
    }

    /// Batches of requests that this member took and that are neither delivered nor refused yet.
    pub fn undelivered(&self) -> usize {
        self.group.undelivered()
    }

    /// The members as of the last delivered position.
    pub fn membership(&self) -> &group::Membership {
        self.group.membership()
    }

    /// The ordered state as of the last delivered position.
    pub fn ordered(&self) -> &Ordered {
        &self.ordered
    }

    /// This member's part in the group.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// What this member knows, and why things wait.
    pub fn status(&self) -> wire::status::GroupStatus {
        status::status(&self.group, &self.ordered)
    }
}
