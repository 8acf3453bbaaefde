//! A script: a machine, its clock, and everything it wanted, in words.
//!
//! Members are called `a`, `b`, `c`, links by their numbers. A sent call is `s1#2/1`: number 2 of
//! session 1, acknowledging 1; reads are `s1#r2`.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use wire::client::{Call, CallId, CallResult, ClientReply, ClientRequest, Decline, Outcome};
use wire::frame::decode_body;
use wire::hello::Welcome;
use wire::peer::Contact;
use wire::{MemberId, MethodId, Position, SessionId, Time};

use super::super::{Answer, Asked, Input, LinkId, Machine, Output, SessionKey};
use crate::error::CallError;
use crate::options::{Kind, Options, Request};

pub(super) const READS: u64 = 1 << 63;

pub(super) struct Script {
    pub(super) machine: Machine,
    pub(super) now: Time,
    pub(super) out: Vec<Output>,
    pub(super) tickets: u64,
    pub(super) session: SessionKey,
}

pub(super) fn address(name: &str) -> SocketAddr {
    let name = name.as_bytes()[0];
    SocketAddr::from(([127, 0, 0, 1], u16::from(name)))
}

fn name(address: SocketAddr) -> String {
    char::from(u8::try_from(address.port()).unwrap()).to_string()
}

/// `"a b- c"`: three members, of which `b` takes no requests.
pub(super) fn contacts(names: &str) -> Vec<Contact> {
    names
        .split_whitespace()
        .map(|name| Contact {
            member: MemberId::new(u64::from(name.as_bytes()[0])).unwrap(),
            address: address(name),
            takes_requests: !name.ends_with('-'),
        })
        .collect()
}

pub(super) fn request(kind: Kind, deadline: Option<Duration>) -> Request {
    Request {
        method: MethodId::of("set"),
        signature: 1,
        kind,
        arguments: Bytes::from_static(b"x"),
        deadline,
    }
}

impl Script {
    /// A client that knows only these contacts, and has done nothing.
    pub(super) fn new(names: &str) -> Script {
        let contacts = contacts(names).iter().map(|c| c.address).collect();
        Script {
            machine: Machine::new(contacts, 0, Options::default()),
            now: Time(1_000_000),
            out: Vec::new(),
            tickets: 0,
            session: SessionKey::NONE,
        }
    }

    /// A client of these members with session 1 open: link 1 to `a` is current, link 2 to `b` stands
    /// by.
    pub(super) fn connected(names: &str) -> Script {
        let mut script = Script::new(names);
        script.tick();
        for link in 1..=script.machine.links.contacts.usable().len().min(2) {
            script.welcome(link as u64);
            script.members(link as u64, 2, names);
        }
        script.ask(Asked::Open);
        script.tick();
        script.hear(
            1,
            ClientReply::Opened {
                token: 1,
                session: SessionId(1),
            },
        );
        let opened = script.out.drain(..).find_map(|output| match output {
            Output::Resolve {
                answer: Ok(Answer::Opened(_, key)),
                ..
            } => Some(key),
            Output::Resolve { .. }
            | Output::Dial { .. }
            | Output::Close { .. }
            | Output::Send { .. } => None,
        });
        script.session = opened.unwrap();
        script
    }

    pub(super) fn input(&mut self, input: Input) {
        self.machine.handle(self.now, input, &mut self.out);
        self.machine.check_invariants();
    }

    pub(super) fn tick(&mut self) {
        self.input(Input::Tick);
    }

    /// Lets time pass as a driver does: a tick at each deadline on the way.
    pub(super) fn wait(&mut self, millis: u64) {
        let end = self.now.after(Duration::from_millis(millis));
        while let Some(deadline) = self.machine.deadline().filter(|&deadline| deadline <= end) {
            assert!(
                deadline > self.now,
                "a tick at its deadline leaves a later one: {deadline:?} at {:?}",
                self.now
            );
            self.now = deadline;
            self.tick();
        }
        self.now = end;
        self.tick();
    }

    pub(super) fn ask(&mut self, asked: Asked) -> u64 {
        self.tickets += 1;
        let ticket = self.tickets;
        self.input(Input::Ask { ticket, asked });
        ticket
    }

    pub(super) fn call(&mut self, kind: Kind) -> u64 {
        self.call_within(kind, None)
    }

    pub(super) fn call_within(&mut self, kind: Kind, millis: Option<u64>) -> u64 {
        let session = self.session;
        let request = request(kind, millis.map(Duration::from_millis));
        self.ask(Asked::Call { session, request })
    }

    /// So many writes, asked in one turn.
    pub(super) fn writes(&mut self, count: usize) {
        for _ in 0..count {
            self.call(Kind::Write);
        }
        self.tick();
    }

    pub(super) fn welcome(&mut self, link: u64) {
        let welcome = Welcome::Accepted {
            protocol: 1,
            member: None,
            view: Position(2),
        };
        let link = LinkId(link);
        self.input(Input::Welcomed { link, welcome });
        self.tick();
    }

    pub(super) fn hear(&mut self, link: u64, reply: ClientReply) {
        let link = LinkId(link);
        self.input(Input::Received { link, reply });
        self.tick();
    }

    pub(super) fn members(&mut self, link: u64, view: u64, names: &str) {
        let (view, members) = (Position(view), contacts(names));
        self.hear(
            link,
            ClientReply::Members {
                view,
                members: members.into(),
            },
        );
    }

    /// The writes with these numbers are executed, at position 9.
    pub(super) fn done(&mut self, link: u64, numbers: &[u64]) {
        self.outcome(link, numbers, &Outcome::Done(Bytes::from_static(b"y")));
    }

    pub(super) fn outcome(&mut self, link: u64, numbers: &[u64], outcome: &Outcome) {
        let result = |&number: &u64| CallResult {
            call: call(number),
            position: Position(9),
            outcome: outcome.clone(),
        };
        let results = numbers.iter().map(result).collect();
        self.hear(link, ClientReply::Results { results });
    }

    pub(super) fn declines(&mut self, link: u64, numbers: &[u64], reason: Decline) {
        let calls = numbers.iter().map(|&number| call(number)).collect();
        self.hear(link, ClientReply::Declined { calls, reason });
    }

    pub(super) fn breaks(&mut self, link: u64) {
        let (link, why) = (LinkId(link), "broken".to_owned());
        self.input(Input::Closed { link, why });
        self.tick();
    }

    /// Everything the machine wanted since the last time, one thing a line.
    #[track_caller]
    pub(super) fn wants(&mut self, expected: &[&str]) {
        let said: Vec<String> = self.out.drain(..).map(|output| words(&output)).collect();
        assert_eq!(said, expected);
    }
}

pub(super) fn call(number: u64) -> CallId {
    let session = SessionId(1);
    CallId { session, number }
}

fn words(output: &Output) -> String {
    match output {
        Output::Dial { link, address } => format!("dial {} {}", link.0, name(*address)),
        Output::Close { link } => format!("close {}", link.0),
        Output::Send { link, request } => format!("send {} {}", link.0, sent(request)),
        Output::Resolve { ticket, answer } => match answer {
            Ok(Answer::Reply(reply)) => format!("resolve {ticket} {}", reply.position),
            Ok(answer) => format!("resolve {ticket} {answer:?}"),
            Err(error) => format!("resolve {ticket} {}", failed(error)),
        },
    }
}

/// The variant and whether it is definite.
fn failed(error: &CallError) -> String {
    let text = format!("{error:?}");
    let variant = text.split([' ', '{']).next().unwrap();
    let definite = if error.is_definite() {
        "not executed"
    } else {
        "maybe executed"
    };
    format!("{variant}: {definite}")
}

fn sent(request: &ClientRequest) -> String {
    match request {
        ClientRequest::Open { token } => format!("open {token}"),
        ClientRequest::Calls { calls } => format!("calls{}", listed(calls)),
        ClientRequest::Reads { calls, stale } => {
            format!(
                "{}reads{}",
                if *stale { "stale " } else { "" },
                listed(calls)
            )
        }
        ClientRequest::Json {
            session, number, ..
        } => format!("json {session}#{number}"),
        ClientRequest::Status { token } => format!("status {token}"),
        ClientRequest::Upgrade { token, .. } => format!("upgrade {token}"),
        ClientRequest::Specify { token, .. } => format!("specify {token}"),
    }
}

fn listed(calls: &[u8]) -> String {
    let calls: Vec<Call<'_>> = decode_body(calls).unwrap();
    let words = |call: &Call<'_>| {
        if call.number & READS == 0 {
            format!(" {}#{}/{}", call.session, call.number, call.acknowledged)
        } else {
            format!(" {}#r{}", call.session, call.number & !READS)
        }
    };
    calls.iter().map(words).collect()
}
