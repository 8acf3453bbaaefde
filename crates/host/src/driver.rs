//! The loop: waits, reads, lets the machine take its turn, writes.

use std::io;
use std::time::Duration;

use group::Now;
use mio::net::UnixStream;
use mio::{Events, Poll};
use replica::Output;
use wire::Time;
use wire::daemon::DaemonReply;
use wire::hello::{Hello, Opener, Welcome};
use wire::peer::PeerMessage;

use crate::clock::Clock;
use crate::connection::{Incoming, Purpose, Stream};
use crate::connections::{Connections, LISTENER, SIGNAL, WAKER};
use crate::daemons::{Daemon, Daemons};
use crate::executor::{Executor, Job, Report};
use crate::launch::Failure;
use crate::life::Life;
use crate::notes::note;
use crate::transfer::Bulk;

/// Events taken from the system at once.
const EVENTS: usize = 1024;
/// How long whoever dials us may take to say who it is.
const HELLO_PATIENCE: Duration = Duration::from_secs(2);
/// How long a refusal may take to go out before the connection is closed anyway.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(1);
/// How long the last replies may take to go out when the process ends: clients that have not got
/// them by then ask another member.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a driver is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) clock: Clock,
    pub(crate) poll: Poll,
    pub(crate) signal: UnixStream,
    pub(crate) connections: Connections,
    pub(crate) daemons: Daemons,
    pub(crate) executor: Executor,
    pub(crate) group: String,
    pub(crate) life: Life,
}

/// One replica's process.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) clock: Clock,
    pub(crate) poll: Poll,
    /// Closed, it would lose the signals.
    pub(crate) _signal: UnixStream,
    pub(crate) connections: Connections,
    pub(crate) daemons: Daemons,
    pub(crate) executor: Executor,
    pub(crate) group: String,
    pub(crate) life: Life,
    /// What the replica wants and has not got yet.
    pub(crate) out: Vec<Output>,
    /// The executor's jobs of this turn.
    pub(crate) jobs: Vec<Job>,
    pub(crate) ending: Option<Ending>,
    /// The machine was told something after its turn: it takes another one at once.
    pub(crate) again: bool,
}

/// The process ends once the last words are out.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) result: Option<Result<&'static str, Failure>>,
    pub(crate) until: Time,
    /// Whether the executor has still something to do.
    pub(crate) executor: bool,
}

impl Driver {
    pub(crate) fn new(parts: Parts) -> Driver {
        Driver {
            clock: parts.clock,
            poll: parts.poll,
            _signal: parts.signal,
            connections: parts.connections,
            daemons: parts.daemons,
            executor: parts.executor,
            group: parts.group,
            life: parts.life,
            out: Vec::new(),
            jobs: Vec::new(),
            ending: None,
            again: true,
        }
    }

    /// Runs until the process ends. `Ok` says how it left.
    pub(crate) fn run(&mut self) -> Result<&'static str, Failure> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            self.wait(&mut events)?;
            let now = self.clock.now();
            self.notice(&events);
            self.reports(now);
            self.hear(now);
            self.tend(now);
            if self.ending.is_none() {
                self.turn(now);
            }
            self.carry_out(now);
            self.flush(now);
            if let Some(result) = self.ended(now) {
                return result;
            }
        }
    }

    fn wait(&mut self, events: &mut Events) -> Result<(), Failure> {
        let timeout = if std::mem::take(&mut self.again) || self.connections.is_ready() {
            Some(Duration::ZERO)
        } else {
            let now = self.clock.now().time;
            self.deadline().map(|deadline| deadline.since(now))
        };
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            waited => waited.map_err(Failure::system("to wait for readiness")),
        }
    }

    fn deadline(&self) -> Option<Time> {
        let machine = match (&self.ending, &self.life) {
            (Some(ending), _) => Some(ending.until),
            (None, Life::Joining(asking)) => asking.joining.deadline(),
            (None, Life::Member(member)) => [
                member.replica.deadline(),
                member.links.deadline(),
                member.donations.deadline(),
            ]
            .into_iter()
            .flatten()
            .min(),
        };
        let world = [self.connections.deadline(), self.daemons.deadline()];
        world.into_iter().chain([machine]).flatten().min()
    }

    fn notice(&mut self, events: &Events) {
        for event in events {
            match event.token() {
                WAKER => {}
                SIGNAL => self.asked_to_leave("SIGTERM"),
                LISTENER => self.connections.notice(event),
                _ => self.connections.notice(event),
            }
        }
    }

    /// What has become due.
    fn tend(&mut self, now: Now) {
        for number in self.connections.overdue(now.time) {
            self.closed(now, number, "no answer in time");
        }
        if let Some(why) = self.daemons.tend(now.time, &mut self.connections) {
            note(why);
        }
        if let Some(why) = self.daemons.alone_too_long(now.time) {
            self.end(now, Err(Failure::Alone(why)), None);
        }
        if let Life::Member(member) = &mut self.life {
            member.donations.expire(now.time);
            for number in member.links.expired(now.time) {
                self.closed(now, number, "it has left the view");
            }
        }
        self.dial_peers(now);
    }

    // The executor.

    fn reports(&mut self, now: Now) {
        let reports: Vec<Report> = self.executor.reports().collect();
        for report in reports {
            match report {
                Report::Applied { position, frames } => {
                    for (connection, frames) in frames {
                        self.connections.push_frames(connection, &frames);
                    }
                    if let Life::Member(member) = &mut self.life {
                        member.replica.applied(position);
                    }
                }
                Report::Exported {
                    joiner,
                    position,
                    result,
                } => {
                    let result = result.map_err(|error| error.to_string());
                    if let Life::Member(member) = &mut self.life
                        && member.donations.done(joiner, position)
                    {
                        member.replica.exported(joiner, result, &mut self.out);
                    }
                }
                Report::Fetched { number, result } => self.fetched(now, number, result),
                Report::Ended => {
                    if let Some(ending) = &mut self.ending {
                        ending.executor = false;
                    }
                }
            }
        }
    }

    // Connections.

    fn hear(&mut self, now: Now) {
        if self.ending.is_some() {
            return;
        }
        let until = now.time.after(HELLO_PATIENCE);
        if let Some(why) = self.connections.accept(now.time, until) {
            note(why);
        }
        for number in self.connections.take_ready() {
            let read = self.connections.read(number);
            loop {
                match self.connections.next(number) {
                    Ok(None) => break,
                    Ok(Some(message)) => self.dispatch(now, number, message),
                    Err(error) => {
                        note(format_args!("connection {number} ends: {error}"));
                        self.closed(now, number, &error.to_string());
                    }
                }
            }
            if let Err(error) = read {
                self.closed(now, number, &error.to_string());
            }
        }
    }

    fn dispatch(&mut self, now: Now, number: u64, message: Incoming) {
        let Some(purpose) = self.connections.purpose(number) else {
            return;
        };
        match message {
            Incoming::Hello(hello) => self.hello(now, number, &hello),
            Incoming::Welcome(welcome) => self.welcome(now, number, purpose, welcome),
            Incoming::Client(request) => {
                if let Life::Member(member) = &mut self.life {
                    let out = &mut self.out;
                    member.replica.client_heard(now, number, request, out);
                }
            }
            Incoming::Peer(message) => self.peer_message(now, number, purpose, message),
            Incoming::Daemon(reply) => {
                if let Purpose::Daemon(daemon) = purpose {
                    self.daemon_reply(now, daemon, &reply);
                }
            }
        }
    }

    /// Somebody who dialled us says who it is.
    fn hello(&mut self, now: Now, number: u64, hello: &Hello) {
        let welcome = self.life.greet(hello);
        self.connections.push(number, &welcome);
        let (Welcome::Accepted { .. }, Life::Member(member)) = (&welcome, &mut self.life) else {
            let until = now.time.after(REFUSAL_PATIENCE);
            return self.connections.close_after_flush(number, until);
        };
        match hello.opener {
            Opener::Client => {
                self.connections.set_purpose(number, Purpose::Client);
                member.replica.client_opened(number, &mut self.out);
            }
            Opener::Peer { member: peer, .. } => {
                self.connections.set_purpose(number, Purpose::Peer(peer));
                self.linked(now, peer, number);
            }
            Opener::Joiner => self.connections.set_purpose(number, Purpose::Joiner),
            Opener::Daemon { .. } => self.connections.set_purpose(number, Purpose::News),
            Opener::Bulk {
                joiner, position, ..
            } => {
                let Some((Stream::Tcp(stream), unsent)) = self.connections.take(number) else {
                    return;
                };
                match Bulk::new(stream.into(), unsent) {
                    Ok(bulk) => member.donations.arrived(now.time, joiner, position, bulk),
                    Err(error) => note(format_args!("the connection of {joiner}: {error}")),
                }
            }
        }
    }

    /// The answer to our own hello.
    fn welcome(&mut self, now: Now, number: u64, purpose: Purpose, welcome: Welcome) {
        match (purpose, welcome) {
            (Purpose::Asking(link), Welcome::Accepted { .. }) => {
                self.connections.set_purpose(number, Purpose::Asked(link));
                self.joining_opened(now, link);
            }
            (Purpose::Dialled(peer), Welcome::Accepted { member, .. }) if member == Some(peer) => {
                self.connections.set_purpose(number, Purpose::Peer(peer));
                self.linked(now, peer, number);
            }
            (Purpose::Dialled(peer), welcome) => {
                if let Life::Member(member) = &mut self.life {
                    member.links.refused(peer);
                    if let Welcome::Removed { view } = welcome {
                        note(format_args!("{peer} says that {view} stands without us"));
                        member.replica.removed(view);
                    }
                }
                self.closed(now, number, "not welcome there");
            }
            (_, Welcome::Refused { why }) => self.closed(now, number, &why),
            (_, Welcome::Removed { view }) => {
                self.closed(now, number, &format!("{view} stands without this replica"));
            }
            (_, Welcome::Accepted { .. }) => self.closed(now, number, "an unexpected welcome"),
        }
    }

    fn peer_message(&mut self, now: Now, number: u64, purpose: Purpose, message: PeerMessage) {
        if let Purpose::Asked(link) = purpose {
            return self.joining_heard(now, link, message);
        }
        let Life::Member(member) = &mut self.life else {
            return;
        };
        match (purpose, message) {
            (Purpose::Peer(peer), message) => {
                // A connection that a newer one has replaced is closed and says nothing more.
                member.replica.heard(now, peer, message, &mut self.out);
            }
            (Purpose::Joiner, message) => {
                let out = &mut self.out;
                member.replica.joiner_heard(now, number, message, out);
            }
            (
                Purpose::News,
                PeerMessage::Died {
                    incarnation,
                    member: dead,
                    how,
                },
            ) => {
                note(format_args!("a daemon reports the end of {dead}: {how}"));
                member.replica.died(incarnation, dead, how);
            }
            (_, _) => self.closed(now, number, "a message that does not belong here"),
        }
    }

    fn linked(&mut self, now: Now, peer: wire::MemberId, number: u64) {
        let Life::Member(member) = &mut self.life else {
            return;
        };
        if let Some((old, was_link)) = member.links.up(now.time, peer, number) {
            self.connections.close(old);
            if was_link {
                member.replica.unlinked(now, peer);
            }
        }
        member.replica.linked(now, peer);
    }

    fn dial_peers(&mut self, now: Now) {
        let Life::Member(member) = &mut self.life else {
            return;
        };
        for (peer, address) in member.links.due(now.time) {
            let until = now.time.after(HELLO_PATIENCE);
            match self
                .connections
                .dial(address, Purpose::Dialled(peer), until)
            {
                Ok(number) => {
                    member.links.dialling(peer, number);
                    self.connections.push(number, &member.replica.hello());
                }
                Err(_) => {
                    member.links.down(now.time, peer, None);
                }
            }
        }
    }

    fn daemon_reply(&mut self, now: Now, daemon: Daemon, reply: &DaemonReply) {
        if let Some(token) = self.daemons.heard(daemon, reply) {
            if let Life::Member(member) = &mut self.life {
                let out = &mut self.out;
                member.replica.daemon_heard(now, token, reply, out);
            }
        } else if daemon == Daemon::Local && *reply == DaemonReply::Leave {
            self.asked_to_leave("its daemon");
        }
    }

    /// A connection is gone, or is closed for a reason: whoever cares is told.
    pub(crate) fn closed(&mut self, now: Now, number: u64, why: &str) {
        let Some(purpose) = self.connections.close(number) else {
            return;
        };
        self.again = true;
        if let Purpose::Asking(link) | Purpose::Asked(link) = purpose {
            return self.joining_closed(now, link, why);
        }
        if let Purpose::Daemon(daemon) = purpose {
            let failures = self.daemons.closed(now.time, daemon, number, why);
            if let Life::Member(member) = &mut self.life {
                for (token, reply) in failures {
                    let out = &mut self.out;
                    member.replica.daemon_heard(now, token, &reply, out);
                }
            }
            return;
        }
        let Life::Member(member) = &mut self.life else {
            return;
        };
        match purpose {
            Purpose::Client => member.replica.client_closed(number, &mut self.out),
            Purpose::Peer(peer) => {
                if member.links.down(now.time, peer, Some(number)) {
                    note(format_args!("the link to {peer} ends: {why}"));
                    member.replica.unlinked(now, peer);
                }
            }
            Purpose::Dialled(peer) => {
                member.links.down(now.time, peer, Some(number));
            }
            Purpose::Unknown
            | Purpose::Joiner
            | Purpose::News
            | Purpose::Asking(_)
            | Purpose::Asked(_)
            | Purpose::Daemon(_) => {}
        }
    }

    fn flush(&mut self, now: Now) {
        for (number, why) in self.connections.flush() {
            self.closed(now, number, why.as_deref().unwrap_or("it was refused"));
        }
        if !self.jobs.is_empty() {
            self.executor.send(std::mem::take(&mut self.jobs));
        }
    }

    // The end.

    fn asked_to_leave(&mut self, by: &str) {
        note(format_args!("{by} asks this replica to leave"));
        let now = self.clock.now();
        match &mut self.life {
            Life::Member(member) => member.replica.leave(&mut self.out),
            Life::Joining(_) => self.end(now, Ok("left before it was admitted"), None),
        }
    }

    /// Nothing more is heard; what is written goes out. A member's executor finishes its queue and
    /// is told whether it is `upgraded`.
    pub(crate) fn end(
        &mut self,
        now: Now,
        result: Result<&'static str, Failure>,
        upgraded: Option<bool>,
    ) {
        if self.ending.is_some() {
            return;
        }
        self.jobs
            .extend(upgraded.map(|upgraded| Job::End { upgraded }));
        self.ending = Some(Ending {
            result: Some(result),
            until: now.time.after(FAREWELL),
            executor: upgraded.is_some(),
        });
    }

    fn ended(&mut self, now: Now) -> Option<Result<&'static str, Failure>> {
        let ending = self.ending.as_mut()?;
        let done = !ending.executor && self.connections.is_flushed();
        if !done && now.time < ending.until {
            return None;
        }
        ending.result.take()
    }
}
