//! What the machines want, carried out.

use std::sync::Arc;
use std::time::Duration;

use group::{JoiningOutput, Now};
use replica::{End, Output, Replica};
use wire::Time;
use wire::hello::{Hello, Opener};
use wire::peer::{PeerMessage, TransferHead};

use crate::connection::Purpose;
use crate::driver::Driver;
use crate::executor::Job;
use crate::launch::Failure;
use crate::life::{Fetching, Life, Member};
use crate::notes::note;
use crate::transfer::{Export, Fetch, FetchError, Ticket};

/// How long a member that we ask for admission may take to say welcome; the joining's own patience
/// is shorter.
const WELCOME_PATIENCE: Duration = Duration::from_secs(2);

impl Driver {
    /// One turn of the machine.
    pub(crate) fn turn(&mut self, now: Now) {
        match &mut self.life {
            Life::Member(member) => member.replica.turn(now, &mut self.out),
            Life::Joining(asking) => {
                if let Some(fetching) = &asking.fetching {
                    asking.joining.received(fetching.ticket.received());
                }
                let mut out = Vec::new();
                asking.joining.turn(now.time, &mut out);
                self.carry_out_joining(now, out);
            }
        }
    }

    // A member's.

    /// Carries out what the replica wants; what that leads to at once is carried out too.
    pub(crate) fn carry_out(&mut self, now: Now) {
        while !self.out.is_empty() {
            for output in std::mem::take(&mut self.out) {
                self.carry_out_one(now, output);
            }
        }
    }

    fn carry_out_one(&mut self, now: Now, output: Output) {
        let Life::Member(member) = &mut self.life else {
            return;
        };
        match output {
            Output::Send { to, message } => {
                if let Some(number) = member.links.link(to) {
                    self.connections.push(number, &message);
                }
            }
            Output::Answer { link, message } => self.connections.push(link, &message),
            Output::Client { connection, reply } => self.connections.push(connection, &reply),
            Output::Peers(peers) => {
                for peer in member.links.want(now.time, &peers) {
                    member.replica.linked(now, peer);
                    self.again = true;
                }
                self.again |= !member.links.due(now.time).is_empty();
            }
            Output::Work(work) => self.jobs.push(Job::Work(work)),
            Output::Export {
                joiner,
                position,
                format,
                head,
                alone,
            } => {
                let bulk = member.donations.announce(joiner, position);
                self.jobs.push(Job::Export(Box::new(Export {
                    joiner,
                    position,
                    format,
                    head,
                    alone,
                    bulk,
                })));
            }
            Output::CancelExport { joiner } => member.donations.cancel(joiner),
            Output::Daemon {
                token,
                host,
                request,
            } => {
                let connections = &mut self.connections;
                let failure = self
                    .daemons
                    .ask(now.time, connections, &host, token, &request);
                if let Some(failure) = failure {
                    let out = &mut self.out;
                    member.replica.daemon_heard(now, token, &failure, out);
                    self.again = true;
                }
            }
            Output::Tell(request) => self.daemons.tell(&mut self.connections, request),
            Output::Note(text) => note(text),
            Output::End(end) => self.carry_out_end(now, end),
        }
    }

    fn carry_out_end(&mut self, now: Now, end: End) {
        match end {
            End::Replaced { view } => {
                note(format_args!("{view} stands without this replica"));
                self.end(now, Ok("replaced: it has left the group"), Some(true));
            }
            End::Left => self.end(now, Ok("it has left the group"), Some(false)),
            End::Broken { why } => self.end(now, Err(Failure::Broken(why)), None),
        }
    }

    // A joiner's.

    pub(crate) fn joining_opened(&mut self, now: Now, link: u64) {
        if let Life::Joining(asking) = &mut self.life {
            let mut out = Vec::new();
            asking.joining.opened(now.time, link, &mut out);
            self.carry_out_joining(now, out);
        }
    }

    pub(crate) fn joining_heard(&mut self, now: Now, link: u64, message: PeerMessage) {
        if let Life::Joining(asking) = &mut self.life {
            let mut out = Vec::new();
            asking.joining.heard(now.time, link, message, &mut out);
            self.carry_out_joining(now, out);
        }
    }

    pub(crate) fn joining_closed(&mut self, now: Now, link: u64, why: &str) {
        if let Life::Joining(asking) = &mut self.life {
            asking.links.remove(&link);
            asking.joining.closed(now.time, link, why);
        }
    }

    fn carry_out_joining(&mut self, now: Now, out: Vec<JoiningOutput>) {
        for output in out {
            let Life::Joining(asking) = &mut self.life else {
                return;
            };
            match output {
                JoiningOutput::Dial { link, address } => {
                    let until: Time = now.time.after(WELCOME_PATIENCE);
                    match self.connections.dial(address, Purpose::Asking(link), until) {
                        Ok(number) => {
                            asking.links.insert(link, number);
                            let hello = Hello::new(&self.group, Opener::Joiner);
                            self.connections.push(number, &hello);
                        }
                        Err(error) => {
                            asking
                                .joining
                                .closed(now.time, link, &format!("{address}: {error}"));
                        }
                    }
                }
                JoiningOutput::Send { link, message } => {
                    if let Some(&number) = asking.links.get(&link) {
                        self.connections.push(number, &message);
                    }
                }
                JoiningOutput::Close { link } => {
                    if let Some(number) = asking.links.remove(&link) {
                        self.connections.close(number);
                    }
                }
                JoiningOutput::Fetch(admitted) => {
                    asking.cancel_fetch();
                    asking.fetches += 1;
                    let (number, ticket) = (asking.fetches, Arc::new(Ticket::default()));
                    note(format_args!(
                        "admitted as {}, fetches the state of {} from {}",
                        admitted.member, admitted.position, admitted.donor
                    ));
                    // Should it die before it is a member, its daemon knows who it was.
                    let known = admitted.announcement();
                    self.daemons.tell(&mut self.connections, known);
                    self.jobs.push(Job::Fetch(Fetch {
                        number,
                        group: self.group.clone(),
                        admitted,
                        ticket: Arc::clone(&ticket),
                    }));
                    asking.fetching = Some(Fetching {
                        number,
                        admitted,
                        ticket,
                    });
                }
                JoiningOutput::Failed { why } => {
                    asking.cancel_fetch();
                    self.end(now, Err(Failure::Joining(why)), None);
                }
            }
        }
    }

    /// A fetch is over. If it is the current one and the state is here, the replica begins.
    pub(crate) fn fetched(
        &mut self,
        now: Now,
        number: u64,
        result: Result<Box<TransferHead>, FetchError>,
    ) {
        let Life::Joining(asking) = &mut self.life else {
            return;
        };
        let Some(fetching) = asking
            .fetching
            .take_if(|fetching| fetching.number == number)
        else {
            return;
        };
        match result {
            Ok(head) => {
                note(format_args!(
                    "has the state of {}: {} bytes came",
                    head.position,
                    fetching.ticket.received()
                ));
                self.begin(now, &fetching, &head);
            }
            Err(FetchError::Broken(why)) => {
                note(format_args!("the state did not come: {why}"));
                asking.joining.broke(now.time, why);
            }
            Err(FetchError::Unusable(why)) => {
                let mut out = Vec::new();
                asking.joining.unusable(why, &mut out);
                self.carry_out_joining(now, out);
            }
        }
    }

    fn begin(&mut self, now: Now, fetching: &Fetching, head: &TransferHead) {
        if self.ending.is_some() {
            return;
        }
        let Life::Joining(asking) = &mut self.life else {
            return;
        };
        let setup = asking.setup.take().expect("a joiner begins once");
        match Replica::start(now, setup, &fetching.admitted, head) {
            Ok(replica) => {
                for number in std::mem::take(&mut asking.links).into_values() {
                    self.connections.close(number);
                }
                self.life = Life::Member(Box::new(Member::new(replica)));
            }
            Err(error) => {
                let mut out = Vec::new();
                asking.joining.unusable(error.to_string(), &mut out);
                self.carry_out_joining(now, out);
            }
        }
    }
}
