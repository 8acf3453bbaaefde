//! The client's machine: sessions, numbers, retries, and which member to speak to. No sockets.
//!
//! It holds what makes a retry safe: each request's number, and where its copies went. The driver
//! hands in everything that happened in one turn and then an [`Input::Tick`]; what was asked in that
//! turn leaves together.

mod batches;
mod contacts;
mod events;
#[cfg(test)]
mod invariants;
mod lane;
mod links;
mod sending;
mod sessions;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use wire::client::{CallId, CallResult, ClientReply, Decline, Outcome};
use wire::hello::Welcome;
use wire::list::List;
use wire::peer::Contact;
use wire::{SessionId, Time};

use crate::error::CallError;
use crate::options::{Counters, JsonReply, Options, Reply};
use contacts::Contacts;
pub use events::{Answer, Asked, Input, LinkId, Output, SessionKey};
use lane::Body;
use links::Links;
use sending::NEVER;
use sessions::{Place, Sessions};

/// The pause before a request that met a limit, and may have been taken before, is sent again.
const PAUSE: Duration = Duration::from_millis(20);
/// A shorter patience than this is none: everything would be sent all the time.
const RETRY_AFTER_MIN: Duration = Duration::from_millis(1);

/// One client, for one group.
#[derive(Debug)]
pub struct Machine {
    options: Options,
    links: Links,
    sessions: Sessions,
    /// Who waits for a member to take requests, and until when.
    greeting: Vec<(u64, Time)>,
    /// When to look at all unresolved requests; never later than the first that needs it.
    look_at: Time,
    counters: Counters,
}

impl Machine {
    /// A client of the group behind `contacts`. The nonce spreads clients over members.
    pub fn new(contacts: Vec<SocketAddr>, nonce: u64, options: Options) -> Machine {
        let retry_after = options.retry_after.max(RETRY_AFTER_MIN);
        Machine {
            options: Options {
                retry_after,
                ..options
            },
            links: Links::new(Contacts::new(contacts, nonce)),
            sessions: Sessions::new(),
            greeting: Vec::new(),
            look_at: NEVER,
            counters: Counters::default(),
        }
    }

    /// Something happened; what follows from it goes to `out`.
    pub fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Ask { ticket, asked } => self.ask(now, ticket, asked, out),
            Input::Forget { session } => self.sessions.forget(session),
            Input::Welcomed { link, welcome } => self.welcomed(now, link, &welcome, out),
            Input::Received { link, reply } => self.received(now, link, reply, out),
            Input::Closed { link, why } => self.closed(now, link, &why),
            Input::Tick => self.tick(now, out),
        }
    }

    /// When the next tick is needed, if nothing else happens.
    pub fn deadline(&self) -> Option<Time> {
        let look = (self.look_at != NEVER).then_some(self.look_at);
        look.into_iter().chain(self.links.deadline()).min()
    }

    /// What this client has done so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The members as they were last heard of.
    pub fn members(&self) -> &[Contact] {
        self.links.contacts.members()
    }

    /// What went wrong last, for people.
    pub fn fault(&self) -> &str {
        &self.links.fault
    }

    // Asking.

    fn ask(&mut self, now: Time, ticket: u64, asked: Asked, out: &mut Vec<Output>) {
        self.counters.requests += 1;
        let (session, body, within) = match asked {
            Asked::Ready { within } => {
                self.look_at = self.look_at.min(now.after(within));
                self.greeting.push((ticket, now.after(within)));
                return;
            }
            Asked::Open => (SessionKey::NONE, Body::Open, None),
            Asked::Status => (SessionKey::NONE, Body::Status, None),
            Asked::Upgrade(request) => (SessionKey::NONE, Body::Upgrade(request), None),
            Asked::Specify(request) => (SessionKey::NONE, Body::Specify(request), None),
            Asked::Call { session, request } => {
                let deadline = request.deadline;
                (session, Body::Call(request), deadline)
            }
            Asked::Json {
                session,
                method,
                arguments,
                deadline,
            } => (session, Body::Json { method, arguments }, deadline),
        };
        let until = now.after(within.unwrap_or(self.options.deadline));
        self.look_at = self.look_at.min(until);
        if let Err(error) = self.sessions.add(session, ticket, until, body) {
            self.answer(ticket, Err(error), out);
        }
    }

    fn answer(&mut self, ticket: u64, answer: Result<Answer, CallError>, out: &mut Vec<Output>) {
        self.counters.resolved += 1;
        out.push(Output::Resolve { ticket, answer });
    }

    fn resolve(&mut self, place: Place, answer: Result<Answer, CallError>, out: &mut Vec<Output>) {
        if let Some(ticket) = self.sessions.take(place) {
            self.answer(ticket, answer, out);
        }
    }

    // Links.

    fn welcomed(&mut self, now: Time, link: LinkId, welcome: &Welcome, out: &mut Vec<Output>) {
        match welcome {
            Welcome::Accepted { .. } => {
                if self.links.address(link).is_some() && !self.links.is_ready(link) {
                    self.counters.connections += 1;
                    self.links.welcomed(now, link);
                }
            }
            Welcome::Refused { why } => {
                self.closed(now, link, why);
                out.push(Output::Close { link });
            }
            Welcome::Removed { view } => {
                self.closed(now, link, &format!("it is no member since the view {view}"));
                out.push(Output::Close { link });
            }
        }
    }

    /// What the link's member has not answered goes to another one.
    fn closed(&mut self, now: Time, link: LinkId, why: &str) {
        if self.links.address(link).is_some() {
            self.links.closed(now, link, why);
            self.sessions.lost(link);
        }
    }

    // Replies. The first one wins; later ones find nobody.

    fn received(&mut self, now: Time, link: LinkId, reply: ClientReply, out: &mut Vec<Output>) {
        if !self.links.is_ready(link) {
            return;
        }
        self.links.heard(now, link);
        match reply {
            ClientReply::Members { view, members } => {
                if self.links.contacts.learn(view, &members) {
                    self.links.members_changed();
                }
            }
            ClientReply::Opened { token, session } => self.opened(token, session, out),
            ClientReply::Results { results } => {
                for result in results {
                    self.result(now, link, result, out);
                }
            }
            ClientReply::Declined { calls, reason } => {
                self.declined(now, link, &calls, &reason, out);
            }
            ClientReply::Json {
                call,
                position,
                reply: text,
            } => {
                let is_json = |body: &Body| matches!(body, Body::Json { .. });
                if let Some(place) = self.find(call, is_json) {
                    let answer = Answer::Json(JsonReply { position, text });
                    self.resolve(place, Ok(answer), out);
                }
            }
            ClientReply::Status { token, document } => {
                let is_status = |body: &Body| matches!(body, Body::Status);
                if let Some(place) = self.find(ask(token), is_status) {
                    self.resolve(place, Ok(Answer::Status(document)), out);
                }
            }
            ClientReply::UpgradeAccepted {
                token,
                upgrade: position,
            }
            | ClientReply::Specified { token, position } => {
                if let Some(place) = self.find(ask(token), is_wish) {
                    self.resolve(place, Ok(Answer::Accepted(position)), out);
                }
            }
            ClientReply::UpgradeRefused { token, why }
            | ClientReply::SpecifyRefused { token, why } => {
                if let Some(place) = self.find(ask(token), is_wish) {
                    self.resolve(place, Ok(Answer::Refused(why)), out);
                }
            }
        }
    }

    /// Where this request stands, if it is unresolved and was asked as what is answered.
    fn find(&self, call: CallId, fits: impl Fn(&Body) -> bool) -> Option<Place> {
        let place = self.sessions.find(call)?;
        let entry = self.sessions.get(place)?;
        fits(&entry.body).then_some(place)
    }

    fn opened(&mut self, token: u64, session: SessionId, out: &mut Vec<Output>) {
        let is_open = |body: &Body| matches!(body, Body::Open);
        if let Some(place) = self.find(ask(token), is_open) {
            let key = self.sessions.open(session);
            self.resolve(place, Ok(Answer::Opened(session, key)), out);
        }
    }

    fn result(&mut self, now: Time, link: LinkId, result: CallResult, out: &mut Vec<Output>) {
        // A JSON call is answered as one; only its failures come as results.
        let done = matches!(result.outcome, Outcome::Done(_));
        let fits = |body: &Body| match body {
            Body::Call(_) => true,
            Body::Json { .. } => !done,
            Body::Open | Body::Status | Body::Upgrade(_) | Body::Specify(_) => false,
        };
        let Some(place) = self.find(result.call, fits) else {
            return;
        };
        let position = result.position;
        let answer = match result.outcome {
            Outcome::Done(bytes) => Ok(Answer::Reply(Reply { position, bytes })),
            Outcome::UnknownMethod => Err(CallError::UnknownMethod),
            Outcome::Malformed => Err(CallError::Malformed),
            Outcome::WrongKind => Err(CallError::WrongKind),
            Outcome::Panicked => Err(CallError::Panicked),
            Outcome::SessionExpired => {
                let sent_before = self.sessions.get_mut(place).is_some_and(|entry| {
                    entry.sending.declined(link);
                    entry.sending.may_be_taken()
                });
                Err(CallError::SessionExpired { sent_before })
            }
            Outcome::Acknowledged => Err(CallError::ReplyForgotten),
            Outcome::WindowFull => {
                self.refused(now, place, link, CallError::WindowFull, out);
                return;
            }
        };
        self.resolve(place, answer, out);
    }

    /// The request is refused for a reason of its own: an error if no other copy can have been
    /// executed, else a pause, since only an answer can tell.
    fn refused(
        &mut self,
        now: Time,
        place: Place,
        link: LinkId,
        error: CallError,
        out: &mut Vec<Output>,
    ) {
        let is_read = self.sessions.is_read(place);
        let Some(entry) = self.sessions.get_mut(place) else {
            return;
        };
        if !entry.sending.declined(link) || entry.sending.queued {
            return;
        }
        if is_read || !entry.sending.may_be_taken() {
            self.resolve(place, Err(error), out);
        } else if entry.sending.is_idle() {
            entry.sending.hold(now.after(PAUSE));
            self.look_at = self.look_at.min(now.after(PAUSE));
        }
    }

    fn declined(
        &mut self,
        now: Time,
        link: LinkId,
        calls: &List<CallId>,
        reason: &Decline,
        out: &mut Vec<Output>,
    ) {
        for call in calls {
            let Some(place) = self.sessions.find(call) else {
                continue;
            };
            self.counters.declined += 1;
            match reason {
                Decline::AskAnother => self.ask_another(place, link, false),
                Decline::Unavailable => self.ask_another(place, link, true),
                Decline::Overloaded { limit } => {
                    let limit = limit.clone();
                    self.refused(now, place, link, CallError::Overloaded { limit }, out);
                }
                Decline::Invalid { why } => {
                    let why = why.clone();
                    self.refused(now, place, link, CallError::Invalid { why }, out);
                }
            }
        }
        match reason {
            Decline::AskAnother | Decline::Unavailable => {
                self.links.declined(now, link);
                if self.links.current() == Some(link) {
                    self.sessions.lost(link);
                }
            }
            Decline::Overloaded { .. } | Decline::Invalid { .. } => {}
        }
    }

    fn ask_another(&mut self, place: Place, link: LinkId, unavailable: bool) {
        let Some(entry) = self.sessions.get_mut(place) else {
            return;
        };
        if entry.sending.declined(link) {
            entry.sending.unavailable |= unavailable;
            if entry.sending.is_idle() {
                self.sessions.queue(place);
            }
        }
    }

    // The turn.

    fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        if now >= self.look_at {
            self.look(now, out);
        }
        let tended = self.links.tend(now, out);
        for link in tended.lost {
            self.sessions.lost(link);
        }
        self.counters.reconnected += u64::from(tended.moved);
        let Some(current) = self.links.current() else {
            return;
        };
        for (ticket, _) in std::mem::take(&mut self.greeting) {
            self.answer(ticket, Ok(Answer::Ready), out);
        }
        if self.sessions.is_waiting() {
            let mut requests = Vec::new();
            let patience = self.options.retry_after;
            let (again, due) = self.sessions.send(now, current, patience, &mut requests);
            self.counters.retried += again;
            self.look_at = self.look_at.min(due);
            out.extend(requests.into_iter().map(|request| Output::Send {
                link: current,
                request,
            }));
        }
    }

    /// Resolves what has no time left, and sends again what was not answered.
    fn look(&mut self, now: Time, out: &mut Vec<Output>) {
        let current = self.links.current();
        let look = self.sessions.look(now, current);
        self.look_at = look.next.unwrap_or(NEVER);
        for place in look.expired {
            let error = self.sessions.get(place).map(|entry| {
                if entry.sending.may_be_taken() {
                    CallError::Deadline
                } else if entry.sending.unavailable {
                    CallError::Unavailable
                } else {
                    CallError::Unreached {
                        last: self.fault().to_owned(),
                    }
                }
            });
            if let Some(error) = error {
                self.resolve(place, Err(error), out);
            }
        }
        let (late, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.greeting)
            .into_iter()
            .partition(|&(_, until)| now >= until);
        self.greeting = waiting;
        for (ticket, _) in late {
            let last = self.fault().to_owned();
            self.answer(ticket, Err(CallError::Unreached { last }), out);
        }
        for &(_, until) in &self.greeting {
            self.look_at = self.look_at.min(until);
        }
        if let (Some(sent), Some(link)) = (look.late, current) {
            let until = now.after(self.options.retry_after);
            self.links.silent(link, until, sent);
        }
    }
}

/// A request that belongs to no session, by its token.
fn ask(token: u64) -> CallId {
    CallId {
        session: SessionId(0),
        number: token,
    }
}

fn is_wish(body: &Body) -> bool {
    matches!(body, Body::Upgrade(_) | Body::Specify(_))
}
