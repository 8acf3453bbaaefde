//! Clients: the real client's machine over simulated links, and sessions that ask.

use std::collections::BTreeMap;
use std::time::Duration;

use client::machine::{Answer, Asked, Input, Machine, Output};
use client::{CallError, Options};
use wire::Time;
use wire::hello::Opener;
use wire::log::{SpecifyRequest, UpgradeRequest};

use super::{Event, World, registry_address};
use crate::client::{Customer, Rhythm, Session, Ticket};
use crate::network::{Brought, ConnectionId, Parcel, Party, Place};

/// How soon an operator whose wish was refused asks again.
const WISH_AGAIN: u64 = 20_000;
/// How long a request may take: longer than any trouble lasts, so that none may fail.
const DEADLINE: Duration = Duration::from_secs(90);
/// A single client asks again so long after a reply, at most: while nothing changes, and while
/// something does, so that requests fall between the steps of whatever is going on.
const PAUSE_CALM: u64 = 160_000;
const PAUSE_STIRRED: u64 = 3_000;
/// How long it counts as going on after each of its steps.
const STIR: u64 = 15_000;

/// The mark of the request that comes in the middle of this upgrade of the plan.
pub(super) fn intruder(number: usize) -> u64 {
    1_000 + number as u64
}

impl World<'_> {
    /// The clients of the plan, and the operator, who is the first.
    pub(super) fn customers(&mut self) {
        let load = self.plan.load;
        self.add_customer(Rhythm::Operator, 0);
        for _ in 0..load.bursts {
            let every = load.every_ms * 1000;
            self.add_customer(Rhythm::Together { every }, load.sessions);
        }
        for _ in 0..load.singles {
            self.add_customer(Rhythm::NowAndThen, 1);
        }
        let first = self.checkers.replies.workload.first();
        if let Some(customer) = self.customers.last_mut()
            && !customer.sessions.is_empty()
        {
            customer.first = first;
        }
    }

    fn add_customer(&mut self, rhythm: Rhythm, sessions: u32) {
        let options = Options {
            deadline: DEADLINE,
            connect_within: DEADLINE,
            ..Options::default()
        };
        let number = self.add_customer_with(rhythm, sessions, options);
        self.after(1_000 + number as u64, Event::Ask(number));
    }

    pub(super) fn add_customer_with(
        &mut self,
        rhythm: Rhythm,
        sessions: u32,
        options: Options,
    ) -> usize {
        let number = self.customers.len();
        let contacts = (0..self.hosts.len()).map(registry_address).collect();
        let session = |_| Session {
            key: None,
            waits: None,
        };
        self.customers.push(Customer {
            machine: Machine::new(contacts, self.plan.seed ^ number as u64, options),
            links: BTreeMap::new(),
            of: BTreeMap::new(),
            rhythm,
            sessions: (0..sessions).map(session).collect(),
            tickets: BTreeMap::new(),
            next_ticket: 1,
            turn_at: None,
            first: Vec::new(),
            opened: Vec::new(),
            answers: Vec::new(),
        });
        number
    }

    pub(super) fn client_place(&self, client: usize) -> Place {
        2 * self.hosts.len() + client
    }

    fn client_now(&self) -> Time {
        Time(self.now + 1_000_000)
    }

    pub(super) fn client_brought(
        &mut self,
        client: usize,
        connection: ConnectionId,
        what: Brought,
    ) {
        let Some(&link) = self.customers[client].of.get(&connection) else {
            return;
        };
        let input = match what {
            Brought::Parcel(Parcel::Welcome(welcome)) => Input::Welcomed { link, welcome },
            Brought::Parcel(Parcel::Reply(reply)) => Input::Received { link, reply },
            Brought::Parcel(_) => return,
            Brought::End(why) => {
                self.customers[client].of.remove(&connection);
                self.customers[client].links.remove(&link);
                Input::Closed {
                    link,
                    why: why.to_owned(),
                }
            }
        };
        self.client_hears(client, input);
        self.client_wakes(client, self.now);
    }

    pub(super) fn client_wakes(&mut self, client: usize, at: u64) {
        let customer = &mut self.customers[client];
        if customer.turn_at.is_none_or(|turn| at < turn) {
            customer.turn_at = Some(at);
            self.queue.push(at, Event::Client(client));
        }
    }

    pub(super) fn client_turn(&mut self, client: usize) {
        if self.customers[client].turn_at != Some(self.now) {
            return;
        }
        self.customers[client].turn_at = None;
        self.client_hears(client, Input::Tick);
        if let Some(deadline) = self.customers[client].machine.deadline() {
            let at = deadline.0.saturating_sub(1_000_000).max(self.now + 1);
            self.client_wakes(client, at);
        }
    }

    pub(super) fn client_hears(&mut self, client: usize, input: Input) {
        let mut out = Vec::new();
        let now = self.client_now();
        self.customers[client].machine.handle(now, input, &mut out);
        for output in out {
            self.client_wants(client, output);
        }
    }

    fn client_wants(&mut self, client: usize, output: Output) {
        let party = Party::Client(client);
        match output {
            Output::Dial { link, address } => {
                let connection = self.dial(party, self.client_place(client), address);
                self.customers[client].links.insert(link, connection);
                self.customers[client].of.insert(connection, link);
                let hello = World::greeting(Opener::Client);
                self.send(connection, 0, Parcel::Hello(hello));
            }
            Output::Close { link } => {
                if let Some(connection) = self.customers[client].links.remove(&link) {
                    self.customers[client].of.remove(&connection);
                    self.close_from(party, connection);
                }
            }
            Output::Send { link, request } => {
                if let Some(&connection) = self.customers[client].links.get(&link) {
                    self.send(connection, 0, Parcel::Request(request));
                }
            }
            Output::Resolve { ticket, answer } => self.client_answered(client, ticket, answer),
        }
    }

    fn client_answered(&mut self, client: usize, ticket: u64, answer: Result<Answer, CallError>) {
        let Some(about) = self.customers[client].tickets.remove(&ticket) else {
            return;
        };
        match (about, answer) {
            (Ticket::Open(session), Ok(Answer::Opened(id, key))) => {
                self.customers[client].sessions[session].key = Some((id, key));
                self.customers[client].sessions[session].waits = None;
                if self.customers[client].rhythm == Rhythm::NowAndThen {
                    self.after(1_000, Event::Ask(client));
                }
            }
            (Ticket::Open(session), _) => {
                self.customers[client].sessions[session].waits = None;
                self.after(10_000, Event::Ask(client));
            }
            (Ticket::Call(session, entry), answer) => {
                self.customers[client].sessions[session].waits = None;
                match answer {
                    Ok(Answer::Reply(reply)) => {
                        self.checkers.answered(self.now, entry, &reply);
                    }
                    Ok(other) => self
                        .checkers
                        .fail(format!("a request was answered with {other:?}")),
                    Err(error) => self.checkers.failed(entry, &error),
                }
                if self.customers[client].rhythm == Rhythm::NowAndThen {
                    let stirred = self.now < self.stirred_until;
                    let up_to = if stirred { PAUSE_STIRRED } else { PAUSE_CALM };
                    let pause = self.random.range(100, up_to);
                    self.after(pause, Event::Ask(client));
                }
            }
            (Ticket::Upgrade(number), answer) => self.upgrade_answered(number, answer),
            (Ticket::Guest(entry), answer) => self.guest_answered(client, ticket, entry, answer),
            (Ticket::Wish, answer) => self.wish_answered(answer),
            (Ticket::Intruder, answer) => self.intruder_answered(answer),
        }
    }

    /// Something has changed in the group, or has been done to it.
    pub(super) fn stir(&mut self) {
        if self.now >= self.stirred_until {
            for client in 0..self.customers.len() {
                if self.customers[client].rhythm == Rhythm::NowAndThen {
                    self.after(1, Event::Ask(client));
                }
            }
        }
        self.stirred_until = self.stirred_until.max(self.now + STIR);
        self.news = true;
    }

    /// The sessions of a client that have nothing open ask.
    pub(super) fn client_asks(&mut self, client: usize) {
        if let Rhythm::Together { every } = self.customers[client].rhythm {
            self.after(every, Event::Ask(client));
        }
        for session in 0..self.customers[client].sessions.len() {
            if self.customers[client].sessions[session].waits.is_some() {
                continue;
            }
            let (about, asked) = match self.customers[client].sessions[session].key {
                None => (Ticket::Open(session), Asked::Open),
                Some((id, key)) => {
                    if !self.load {
                        continue;
                    }
                    let first = self.customers[client].first.pop();
                    let request = match first {
                        Some(request) => request,
                        None => self.checkers.replies.workload.next(&mut self.random, id.0),
                    };
                    let entry = self.checkers.asked(self.now, id, &request);
                    (
                        Ticket::Call(session, entry),
                        Asked::Call {
                            session: key,
                            request,
                        },
                    )
                }
            };
            let customer = &mut self.customers[client];
            let ticket = customer.next_ticket;
            customer.next_ticket += 1;
            customer.sessions[session].waits = Some(ticket);
            customer.tickets.insert(ticket, about);
            self.client_hears(client, Input::Ask { ticket, asked });
        }
        self.client_wakes(client, self.now);
    }

    /// The operator asks for the plan's next upgrade.
    pub(crate) fn ask_upgrade(&mut self, number: usize) {
        let wanted = self.plan.upgrades[number].clone();
        let edition = self
            .installation
            .editions
            .iter()
            .find(|edition| edition.binary.version == wanted.to);
        let Some(edition) = edition else {
            let to = &wanted.to;
            return self
                .checkers
                .fail(format!("the plan names {to}, and there is no such edition"));
        };
        let request = UpgradeRequest {
            target: edition.binary.clone(),
            parallel: wanted.parallel,
            attempts: wanted.attempts,
            patience_ms: wanted.patience_ms,
            token: number as u64 + 1,
        };
        self.note_of("", "operator", format!("asks for {}", wanted.to));
        self.requested.asked = number + 1;
        self.checkers.upgrade.requested(number);
        let customer = &mut self.customers[0];
        let ticket = customer.next_ticket;
        customer.next_ticket += 1;
        customer.tickets.insert(ticket, Ticket::Upgrade(number));
        let asked = Asked::Upgrade(Box::new(request));
        self.client_hears(0, Input::Ask { ticket, asked });
        self.client_wakes(0, self.now);
    }

    /// The operator asks for other numbers of members, if it is time and he waits for no answer.
    pub(crate) fn wish_if_due(&mut self) {
        let Some(wish) = self.plan.wishes.get(self.wished.heard).copied() else {
            return;
        };
        let due = self.now >= self.began + wish.at_ms * 1_000 && self.now >= self.wished.next_at;
        let Some((ordered, _)) = self.state().filter(|_| due && !self.wished.asked) else {
            return;
        };
        let request = SpecifyRequest {
            generation: ordered.generation() + 1,
            initial: wish.members,
            minimal: wish.minimal,
            hosts: ordered.foundation().hosts.clone(),
            token: self.wished.heard as u64 + 1,
        };
        self.wished.asked = true;
        let customer = &mut self.customers[0];
        let ticket = customer.next_ticket;
        customer.next_ticket += 1;
        customer.tickets.insert(ticket, Ticket::Wish);
        let asked = Asked::Specify(Box::new(request));
        self.client_hears(0, Input::Ask { ticket, asked });
        self.client_wakes(0, self.now);
    }

    fn wish_answered(&mut self, answer: Result<Answer, CallError>) {
        self.wished.asked = false;
        self.wished.next_at = self.now + WISH_AGAIN;
        match answer {
            Ok(Answer::Accepted(position)) => {
                let wish = self.plan.wishes[self.wished.heard];
                self.wished.heard += 1;
                let what = format!("{} members are wanted from {position} on", wish.members);
                self.note_of("", "operator", what);
            }
            // An upgrade runs, or what he saw was not the last.
            Ok(Answer::Refused(_)) | Err(_) => {}
            Ok(other) => self
                .checkers
                .fail(format!("a wish was answered with {other:?}")),
        }
    }

    /// Another operator asks for the first version, in the middle of the plan's upgrade (§2.1).
    fn intrude(&mut self, number: usize) {
        let request = UpgradeRequest {
            target: self.installation.editions[0].binary.clone(),
            parallel: 1,
            attempts: 6,
            patience_ms: 1_000,
            token: intruder(number),
        };
        let customer = &mut self.customers[0];
        let ticket = customer.next_ticket;
        customer.next_ticket += 1;
        customer.tickets.insert(ticket, Ticket::Intruder);
        let asked = Asked::Upgrade(Box::new(request));
        self.client_hears(0, Input::Ask { ticket, asked });
        self.client_wakes(0, self.now);
    }

    /// That two do not run at once is the checkers' to see: if the first has ended, this may begin.
    fn intruder_answered(&mut self, answer: Result<Answer, CallError>) {
        match answer {
            Ok(Answer::Accepted(position)) => {
                self.note_of("", "intruder", format!("it begins at {position}"));
            }
            Ok(Answer::Refused(why)) => {
                self.note_of("", "intruder", format!("it is refused: {why}"));
            }
            other => self
                .checkers
                .fail(format!("an intruder was answered with {other:?}")),
        }
    }

    fn upgrade_answered(&mut self, number: usize, answer: Result<Answer, CallError>) {
        match answer {
            Ok(Answer::Accepted(position)) => {
                self.note_of("", "operator", format!("it begins at {position}"));
                if self.plan.upgrades[number].contested {
                    self.intrude(number);
                }
            }
            Ok(Answer::Refused(why)) => {
                self.note_of("", "operator", format!("it is refused: {why}"));
                self.upgrade_over(number, format!("refused: {why}"));
            }
            Ok(other) => self
                .checkers
                .fail(format!("an upgrade was answered with {other:?}")),
            Err(error) => {
                let why = format!("the operator has no answer: {error}");
                self.checkers.fail(why);
            }
        }
    }
}
