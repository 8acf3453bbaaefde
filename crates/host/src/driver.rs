//! The loop: waits, reads, lets the machine take its turn, writes.

use std::io;
use std::time::Duration;

use group::Now;
use mio::net::UnixStream;
use mio::{Events, Poll};
use replica::Output;
use wire::Time;

use crate::clock::Clock;
use crate::connections::{Connections, LISTENER, SIGNAL, WAKER};
use crate::daemons::Daemons;
use crate::executor::{Executor, Job, Report};
use crate::launch::Failure;
use crate::life::Life;
use crate::notes::note;

/// Events taken from the system at once.
const EVENTS: usize = 1024;
/// How long the last replies may take to go out when the process ends: clients that have not got
/// them by then ask another member.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long a replaced service may take over its graceful shutdown (§4.2). Nobody waits for it.
const UPGRADED_PATIENCE: Duration = Duration::from_secs(10);

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

    fn flush(&mut self, now: Now) {
        for (number, why) in self.connections.flush() {
            self.closed(now, number, why.as_deref().unwrap_or("it was refused"));
        }
        if !self.jobs.is_empty() {
            self.executor.send(std::mem::take(&mut self.jobs));
        }
    }

    // The end.

    pub(crate) fn asked_to_leave(&mut self, by: &str) {
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
        self.connections.stop_accepting();
        let patience = match upgraded {
            Some(true) => UPGRADED_PATIENCE,
            Some(false) | None => FAREWELL,
        };
        self.ending = Some(Ending {
            result: Some(result),
            until: now.time.after(patience),
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
