//! The client's machine: sessions, numbers, retries, and which member to speak to. No sockets.

mod contacts;
mod outstanding;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use wire::client::{CallId, CallResult, ClientReply, ClientRequest, Decline, Outcome};
use wire::log::UpgradeRequest;
use wire::{Position, SessionId, Time};

use crate::error::CallError;
use crate::options::{Counters, Options, Reply, Request};
use contacts::Contacts;
use outstanding::{Asked, Outstanding};

/// How often requests under way are looked at: a deadline is kept this exactly.
const TICK: Duration = Duration::from_millis(5);
/// How long a link that is no longer used may still bring replies.
const DRAIN: Duration = Duration::from_secs(1);
/// The pause before a member that did not answer is dialled again.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a dial and its greeting may take.
const DIAL_PATIENCE: Duration = Duration::from_millis(500);

/// What the machine wants from its driver.
#[derive(Debug, PartialEq)]
pub(crate) enum Output {
    /// Connect there and greet as a client.
    Dial { link: u64, address: SocketAddr },
    /// The link is of no use any more.
    Close { link: u64 },
    /// Send this.
    Send { link: u64, request: ClientRequest },
    /// A request is resolved.
    Resolve {
        ticket: u64,
        answer: Result<Answer, CallError>,
    },
}

/// What a request came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Opened(SessionId),
    Reply(Reply),
    Json { position: Position, reply: String },
    Status(String),
    Accepted(Position),
    Refused(String),
}

#[derive(Debug)]
struct Link {
    address: SocketAddr,
    ready: bool,
    since: Time,
    /// Out of use since.
    drains: Option<Time>,
}

#[derive(Debug)]
pub(crate) struct Machine {
    options: Options,
    contacts: Contacts,
    links: BTreeMap<u64, Link>,
    next_link: u64,
    current: Option<u64>,
    standby: Option<u64>,
    outstanding: Outstanding,
    tick_at: Time,
    last_fault: String,
    pub(crate) counters: Counters,
}

impl Machine {
    pub(crate) fn new(contacts: Vec<SocketAddr>, nonce: u64, options: Options) -> Machine {
        Machine {
            options,
            contacts: Contacts::new(contacts, nonce),
            links: BTreeMap::new(),
            next_link: 1,
            current: None,
            standby: None,
            outstanding: Outstanding::default(),
            tick_at: Time(0),
            last_fault: "no member was reached yet".to_owned(),
            counters: Counters::default(),
        }
    }

    // Requests.

    pub(crate) fn open(&mut self, now: Time, ticket: u64, deadline: Option<Duration>) {
        self.ask(now, ticket, deadline, Asked::Open);
    }

    pub(crate) fn call(&mut self, now: Time, ticket: u64, session: SessionId, request: Request) {
        let Request {
            method,
            signature,
            kind,
            arguments,
            deadline,
        } = request;
        let asked = Asked::Call {
            session,
            number: 0,
            kind,
            method,
            signature,
            arguments,
        };
        self.ask(now, ticket, deadline, asked);
    }

    pub(crate) fn json(
        &mut self,
        now: Time,
        ticket: u64,
        session: SessionId,
        method: String,
        arguments: String,
        deadline: Option<Duration>,
    ) {
        let asked = Asked::Json {
            session,
            number: 0,
            method,
            arguments,
        };
        self.ask(now, ticket, deadline, asked);
    }

    pub(crate) fn status(&mut self, now: Time, ticket: u64) {
        self.ask(now, ticket, None, Asked::Status);
    }

    pub(crate) fn upgrade(&mut self, now: Time, ticket: u64, request: UpgradeRequest) {
        self.ask(now, ticket, None, Asked::Upgrade(request));
    }

    fn ask(&mut self, now: Time, ticket: u64, deadline: Option<Duration>, asked: Asked) {
        self.counters.requests += 1;
        let until = now.after(deadline.unwrap_or(self.options.deadline));
        if self.outstanding.is_empty() {
            self.tick_at = now.after(TICK);
        }
        self.outstanding.add(ticket, until, asked);
    }

    // Links.

    pub(crate) fn opened(&mut self, link: u64) {
        self.counters.connections += 1;
        if let Some(link) = self.links.get_mut(&link) {
            link.ready = true;
        }
    }

    pub(crate) fn closed(&mut self, now: Time, link: u64, why: &str) {
        let Some(closed) = self.links.remove(&link) else {
            return;
        };
        why.clone_into(&mut self.last_fault);
        self.contacts.failed(closed.address, now.after(PAUSE));
        if self.standby == Some(link) {
            self.standby = None;
        }
        if self.current == Some(link) {
            self.current = None;
        }
        self.outstanding.link_lost(link);
    }

    pub(crate) fn members(&self) -> Vec<SocketAddr> {
        self.contacts.all()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.current
            .is_some_and(|link| self.links.get(&link).is_some_and(|link| link.ready))
            && self.contacts.is_known()
    }

    pub(crate) fn last_fault(&self) -> &str {
        &self.last_fault
    }

    /// Another member than the present one, if there is one: the present link drains.
    fn leave(&mut self, now: Time) {
        if let Some(link) = self.current.take() {
            self.counters.switched += 1;
            if let Some(link) = self.links.get_mut(&link) {
                link.drains = Some(now.after(DRAIN));
                self.contacts.failed(link.address, now.after(PAUSE));
            }
        }
    }

    // Replies.

    pub(crate) fn received(
        &mut self,
        now: Time,
        link: u64,
        reply: ClientReply,
        out: &mut Vec<Output>,
    ) {
        match reply {
            ClientReply::Members { view, members } => self.contacts.learn(view, &members),
            ClientReply::Opened { token, session } => {
                self.resolve(token, Ok(Answer::Opened(session)), out);
            }
            ClientReply::Results { results } => {
                for result in results {
                    self.result(result, out);
                }
            }
            ClientReply::Declined { calls, reason } => {
                self.declined(now, link, &calls, &reason, out)
            }
            ClientReply::Json {
                call,
                position,
                reply,
            } => {
                if let Some(ticket) = self.outstanding.ticket(call) {
                    self.resolve(ticket, Ok(Answer::Json { position, reply }), out);
                }
            }
            ClientReply::Status { token, document } => {
                self.resolve(token, Ok(Answer::Status(document)), out);
            }
            ClientReply::UpgradeAccepted { token, upgrade } => {
                self.resolve(token, Ok(Answer::Accepted(upgrade)), out);
            }
            ClientReply::UpgradeRefused { token, why } => {
                self.resolve(token, Ok(Answer::Refused(why)), out);
            }
        }
    }

    fn resolve(&mut self, ticket: u64, answer: Result<Answer, CallError>, out: &mut Vec<Output>) {
        // The first reply wins; later ones find nobody.
        if self.outstanding.take(ticket) {
            out.push(Output::Resolve { ticket, answer });
        }
    }

    fn result(&mut self, result: CallResult, out: &mut Vec<Output>) {
        let Some(ticket) = self.outstanding.ticket(result.call) else {
            return;
        };
        let position = result.position;
        let answer = match result.outcome {
            Outcome::Done(bytes) => Ok(Answer::Reply(Reply { position, bytes })),
            Outcome::UnknownMethod => Err(CallError::UnknownMethod),
            Outcome::Malformed => Err(CallError::Malformed),
            Outcome::WrongKind => Err(CallError::WrongKind),
            Outcome::Panicked => Err(CallError::Panicked),
            Outcome::SessionExpired => Err(CallError::SessionExpired),
            // We never acknowledge what we wait for: another holder of this session did.
            Outcome::Acknowledged => Err(CallError::SessionExpired),
            Outcome::WindowFull => Err(CallError::Overloaded {
                limit: "the session has too many unacknowledged replies".to_owned(),
            }),
        };
        self.resolve(ticket, answer, out);
    }

    fn declined(
        &mut self,
        now: Time,
        link: u64,
        calls: &[CallId],
        reason: &Decline,
        out: &mut Vec<Output>,
    ) {
        for &call in calls {
            let ticket = if call.session == SessionId(0) {
                Some(call.number)
            } else {
                self.outstanding.ticket(call)
            };
            let Some(ticket) = ticket else { continue };
            self.counters.declined += 1;
            let definite = self.outstanding.declined(ticket);
            match reason {
                Decline::AskAnother => {
                    self.last_fault = "the member asked to try another".to_owned()
                }
                Decline::Overloaded { limit } => {
                    let limit = limit.clone();
                    if definite {
                        self.resolve(ticket, Err(CallError::Overloaded { limit }), out);
                    } else {
                        self.outstanding.hold(ticket, now.after(PAUSE));
                    }
                }
                Decline::Unavailable => self.outstanding.unavailable(ticket),
                Decline::Invalid { why } => {
                    self.resolve(ticket, Err(CallError::Invalid { why: why.clone() }), out);
                }
            }
        }
        match reason {
            Decline::AskAnother | Decline::Unavailable => {
                if self.current == Some(link) {
                    self.leave(now);
                }
            }
            Decline::Overloaded { .. } | Decline::Invalid { .. } => {}
        }
    }

    // The turn.

    pub(crate) fn turn(&mut self, now: Time, out: &mut Vec<Output>) {
        if !self.outstanding.is_empty() && now >= self.tick_at {
            self.tick_at = now.after(TICK);
            for (ticket, error) in self.outstanding.expired(now, &self.last_fault) {
                self.resolve(ticket, Err(error), out);
            }
            if self.outstanding.is_late(now, self.options.retry_after) {
                self.leave(now);
                self.outstanding.all_again();
            }
        }
        self.tend_links(now, out);
        if let Some(link) = self.current
            && self.links.get(&link).is_some_and(|link| link.ready)
        {
            let (requests, again) = self.outstanding.to_send(now, link);
            self.counters.retried += again;
            out.extend(
                requests
                    .into_iter()
                    .map(|request| Output::Send { link, request }),
            );
        }
    }

    /// Keeps one link to a member that takes requests, and one to another for when it ends.
    fn tend_links(&mut self, now: Time, out: &mut Vec<Output>) {
        let late: Vec<u64> = self
            .links
            .iter()
            .filter(|(_, link)| {
                let over = link.drains.is_some_and(|until| now >= until);
                over || (!link.ready && now >= link.since.after(DIAL_PATIENCE))
            })
            .map(|(&number, _)| number)
            .collect();
        for link in late {
            self.closed(now, link, "a member did not answer in time");
            out.push(Output::Close { link });
        }
        let takes = |machine: &Machine, link: u64| {
            machine
                .links
                .get(&link)
                .is_some_and(|link| machine.contacts.takes(link.address))
        };
        if let Some(current) = self.current
            && !takes(self, current)
            && self.contacts.somebody_takes()
        {
            self.leave(now);
        }
        if self.current.is_none()
            && let Some(standby) = self.standby
            && self.links.get(&standby).is_some_and(|link| link.ready)
            && takes(self, standby)
        {
            self.current = self.standby.take();
        }
        if self.current.is_none() {
            let avoid = self.standby.and_then(|link| self.address(link));
            self.current = self.dial(now, avoid, out);
        }
        if self
            .current
            .is_some_and(|link| self.links.get(&link).is_some_and(|link| link.ready))
            && let Some(current) = self.current.and_then(|link| self.address(link))
        {
            let useless = self.standby.is_some_and(|link| !takes(self, link));
            if useless && self.contacts.takers() > 1 {
                if let Some(link) = self.standby.take() {
                    self.links.remove(&link);
                    out.push(Output::Close { link });
                }
            }
            if self.standby.is_none() && self.contacts.takers() > 1 {
                self.standby = self.dial(now, Some(current), out);
            }
        }
    }

    fn address(&self, link: u64) -> Option<SocketAddr> {
        self.links.get(&link).map(|link| link.address)
    }

    fn dial(&mut self, now: Time, avoid: Option<SocketAddr>, out: &mut Vec<Output>) -> Option<u64> {
        let address = self.contacts.choose(now, avoid)?;
        let link = self.next_link;
        self.next_link += 1;
        self.links.insert(
            link,
            Link {
                address,
                ready: false,
                since: now,
                drains: None,
            },
        );
        out.push(Output::Dial { link, address });
        Some(link)
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        let tick = (!self.outstanding.is_empty()).then_some(self.tick_at);
        let dials = self
            .links
            .values()
            .filter_map(|link| match (link.ready, link.drains) {
                (_, Some(until)) => Some(until),
                (false, None) => Some(link.since.after(DIAL_PATIENCE)),
                (true, None) => None,
            });
        let pause = self
            .current
            .is_none()
            .then(|| self.contacts.next_try())
            .flatten();
        dials.chain(tick).chain(pause).min()
    }

    /// Everything under way ends.
    pub(crate) fn shut_down(&mut self, out: &mut Vec<Output>) {
        for ticket in self.outstanding.tickets() {
            self.resolve(ticket, Err(CallError::ShutDown), out);
        }
    }
}

/// Bytes of arguments that one frame may collect: far below what a member accepts.
const FRAME_BYTES: usize = 1 << 20;

fn encoded(calls: &[wire::client::Call<'_>]) -> Bytes {
    wire::frame::to_bytes(&calls).into()
}
