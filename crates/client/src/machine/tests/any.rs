//! Any interleaving: the machine never panics, and everything asked is resolved exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use wire::client::{Call, CallId, CallResult, ClientReply, ClientRequest, Decline, Outcome};
use wire::frame::decode_body;
use wire::hello::Welcome;
use wire::{Position, SessionId};

use super::super::{Answer, Asked, Input, LinkId, Output, SessionKey};
use super::script::{Script, contacts, request};
use crate::options::Kind;

#[derive(Clone, Debug)]
enum Step {
    Open,
    Status,
    Call {
        session: usize,
        kind: Kind,
        millis: u64,
    },
    Json {
        session: usize,
        millis: u64,
    },
    Forget {
        session: usize,
    },
    Wait {
        millis: u64,
    },
    Tick,
    Welcome {
        link: usize,
        accepted: bool,
    },
    Break {
        link: usize,
    },
    Members {
        link: usize,
        view: u64,
        members: &'static str,
    },
    /// The oldest unanswered request on this link is executed and answered, or only executed.
    Execute {
        link: usize,
        answered: bool,
    },
    Outcome {
        link: usize,
        outcome: Outcome,
    },
    Decline {
        link: usize,
        reason: Decline,
    },
    /// An answer to something that nobody asked.
    Strange {
        link: usize,
        session: u64,
        number: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let link = 0..4_usize;
    let session = 0..3_usize;
    let kind = prop_oneof![Just(Kind::Write), Just(Kind::Read), Just(Kind::StaleRead)];
    let lists = prop_oneof![
        Just("a b c"),
        Just("a- b c"),
        Just("b c d"),
        Just("c"),
        Just("a- b-"),
        Just("")
    ];
    let outcome = prop_oneof![
        Just(Outcome::Panicked),
        Just(Outcome::WindowFull),
        Just(Outcome::SessionExpired),
        Just(Outcome::Acknowledged),
        Just(Outcome::UnknownMethod),
    ];
    let reason = prop_oneof![
        3 => Just(Decline::AskAnother),
        1 => Just(Decline::Unavailable),
        1 => Just(Decline::Overloaded { limit: "bytes".to_owned() }),
        1 => Just(Decline::Invalid { why: "wrong".to_owned() }),
    ];
    prop_oneof![
        1 => Just(Step::Open),
        1 => Just(Step::Status),
        8 => (session.clone(), kind, 1..400_u64)
            .prop_map(|(session, kind, millis)| Step::Call { session, kind, millis }),
        1 => (session.clone(), 1..400_u64)
            .prop_map(|(session, millis)| Step::Json { session, millis }),
        1 => session.prop_map(|session| Step::Forget { session }),
        4 => (1..150_u64).prop_map(|millis| Step::Wait { millis }),
        2 => Just(Step::Tick),
        6 => (link.clone(), prop::bool::weighted(0.9))
            .prop_map(|(link, accepted)| Step::Welcome { link, accepted }),
        2 => link.clone().prop_map(|link| Step::Break { link }),
        4 => (link.clone(), 1..6_u64, lists)
            .prop_map(|(link, view, members)| Step::Members { link, view, members }),
        8 => (link.clone(), any::<bool>())
            .prop_map(|(link, answered)| Step::Execute { link, answered }),
        2 => (link.clone(), outcome).prop_map(|(link, outcome)| Step::Outcome { link, outcome }),
        3 => (link.clone(), reason).prop_map(|(link, reason)| Step::Decline { link, reason }),
        1 => (link, 0..3_u64, any::<u64>())
            .prop_map(|(link, session, number)| Step::Strange { link, session, number }),
    ]
}

/// The world around one machine: what lies on its links, and what the group has executed.
struct World {
    script: Script,
    /// Links that the machine dialled and that did not end; welcomed ones with what lies on them.
    links: BTreeMap<u64, (bool, Vec<ClientRequest>)>,
    sessions: Vec<SessionKey>,
    opened: u64,
    kept: BTreeMap<CallId, Outcome>,
    /// Writes by ticket are told apart by nothing but the machine; what it resolved:
    resolved: BTreeSet<u64>,
    asked: BTreeSet<u64>,
}

impl World {
    fn new() -> World {
        World {
            script: Script::new("a b c"),
            links: BTreeMap::new(),
            sessions: Vec::new(),
            opened: 0,
            kept: BTreeMap::new(),
            resolved: BTreeSet::new(),
            asked: BTreeSet::new(),
        }
    }

    fn link(&self, at: usize, welcomed: bool) -> Option<u64> {
        let mut links = self.links.iter().filter(|(_, (is, _))| *is == welcomed);
        links.nth(at).map(|(&link, _)| link)
    }

    fn ask(&mut self, asked: Asked) {
        let ticket = self.script.ask(asked);
        self.asked.insert(ticket);
    }

    fn input(&mut self, input: Input) {
        self.script.input(input);
        self.settle();
    }

    fn hear(&mut self, link: u64, reply: ClientReply) {
        let link = LinkId(link);
        self.input(Input::Received { link, reply });
    }

    /// Takes in what the machine wants.
    fn settle(&mut self) {
        for output in std::mem::take(&mut self.script.out) {
            match output {
                Output::Dial { link, .. } => {
                    let known = self.links.insert(link.0, (false, Vec::new()));
                    assert!(known.is_none(), "a link's number is never used again");
                }
                Output::Close { link } => {
                    self.links.remove(&link.0);
                }
                Output::Send { link, request } => {
                    let (welcomed, lies) = self.links.get_mut(&link.0).expect("a living link");
                    assert!(*welcomed, "only a greeted link carries requests");
                    lies.push(request);
                }
                Output::Resolve { ticket, answer } => {
                    assert!(
                        self.asked.contains(&ticket),
                        "only what was asked is resolved"
                    );
                    assert!(self.resolved.insert(ticket), "everything is resolved once");
                    if let Ok(Answer::Opened(_, key)) = answer {
                        self.sessions.push(key);
                    }
                }
            }
        }
    }

    /// The calls that lie on the link: taken off it in the order of sending.
    fn taken(&mut self, link: u64) -> Option<ClientRequest> {
        let (_, lies) = self.links.get_mut(&link)?;
        (!lies.is_empty()).then(|| lies.remove(0))
    }

    fn execute(&mut self, request: &ClientRequest, outcome: &Outcome) -> Option<ClientReply> {
        let result = |world: &mut World, call: CallId, write: bool| {
            let outcome = if write {
                world
                    .kept
                    .entry(call)
                    .or_insert_with(|| outcome.clone())
                    .clone()
            } else {
                outcome.clone()
            };
            CallResult {
                call,
                position: Position(9),
                outcome,
            }
        };
        match request {
            ClientRequest::Open { token } => {
                self.opened += 1;
                let session = SessionId(self.opened);
                let token = *token;
                Some(ClientReply::Opened { token, session })
            }
            ClientRequest::Calls { .. } | ClientRequest::Reads { .. } => {
                let write = matches!(request, ClientRequest::Calls { .. });
                let calls = ids(request);
                let results = calls.into_iter().map(|call| result(self, call, write));
                let results = results.collect();
                Some(ClientReply::Results { results })
            }
            ClientRequest::Json {
                session, number, ..
            } => Some(ClientReply::Json {
                call: CallId {
                    session: *session,
                    number: *number,
                },
                position: Position(9),
                reply: "[]".to_owned(),
            }),
            ClientRequest::Status { token } => Some(ClientReply::Status {
                token: *token,
                document: "{}".to_owned(),
            }),
            ClientRequest::Upgrade { .. } | ClientRequest::Specify { .. } => None,
        }
    }

    fn step(&mut self, step: Step) {
        let done = Outcome::Done(Bytes::from_static(b"y"));
        match step {
            Step::Open => self.ask(Asked::Open),
            Step::Status => self.ask(Asked::Status),
            Step::Call {
                session,
                kind,
                millis,
            } => {
                if let Some(&session) = self.sessions.get(session) {
                    let request = request(kind, Some(Duration::from_millis(millis)));
                    self.ask(Asked::Call { session, request });
                }
            }
            Step::Json { session, millis } => {
                if let Some(&session) = self.sessions.get(session) {
                    self.ask(Asked::Json {
                        session,
                        method: "set".to_owned(),
                        arguments: "[]".to_owned(),
                        deadline: Some(Duration::from_millis(millis)),
                    });
                }
            }
            Step::Forget { session } => {
                if session < self.sessions.len() {
                    let session = self.sessions.remove(session);
                    self.input(Input::Forget { session });
                }
            }
            Step::Wait { millis } => self.script.wait(millis),
            Step::Tick => self.script.tick(),
            Step::Welcome { link, accepted } => {
                if let Some(link) = self.link(link, false) {
                    let (welcome, id) = if accepted {
                        self.links.insert(link, (true, Vec::new()));
                        let welcome = Welcome::Accepted {
                            protocol: 1,
                            member: None,
                            view: Position(1),
                        };
                        (welcome, LinkId(link))
                    } else {
                        let why = "not now".to_owned();
                        (Welcome::Refused { why }, LinkId(link))
                    };
                    self.input(Input::Welcomed { link: id, welcome });
                }
            }
            Step::Break { link } => {
                let link = self.link(link, true).or_else(|| self.link(link, false));
                if let Some(link) = link {
                    self.links.remove(&link);
                    let (link, why) = (LinkId(link), "broken".to_owned());
                    self.input(Input::Closed { link, why });
                }
            }
            Step::Members {
                link,
                view,
                members,
            } => {
                if let Some(link) = self.link(link, true) {
                    let (view, members) = (Position(view), contacts(members));
                    self.hear(
                        link,
                        ClientReply::Members {
                            view,
                            members: members.into(),
                        },
                    );
                }
            }
            Step::Execute { link, answered } => self.answer(link, &done, answered),
            Step::Outcome { link, outcome } => self.answer(link, &outcome, true),
            Step::Decline { link, reason } => {
                if let Some(link) = self.link(link, true)
                    && let Some(request) = self.taken(link)
                {
                    let calls = ids(&request);
                    self.hear(
                        link,
                        ClientReply::Declined {
                            calls: calls.into(),
                            reason,
                        },
                    );
                }
            }
            Step::Strange {
                link,
                session,
                number,
            } => {
                if let Some(link) = self.link(link, true) {
                    let call = CallId {
                        session: SessionId(session),
                        number,
                    };
                    let (calls, reason) = (vec![call], Decline::Unavailable);
                    self.hear(
                        link,
                        ClientReply::Declined {
                            calls: calls.into(),
                            reason,
                        },
                    );
                }
            }
        }
        self.settle();
    }

    fn answer(&mut self, link: usize, outcome: &Outcome, answered: bool) {
        if let Some(link) = self.link(link, true)
            && let Some(request) = self.taken(link)
            && let Some(reply) = self.execute(&request, outcome)
            && answered
        {
            self.hear(link, reply);
        }
    }
}

fn ids(request: &ClientRequest) -> Vec<CallId> {
    let id = |session, number| CallId { session, number };
    match request {
        ClientRequest::Open { token } => vec![id(SessionId(0), *token)],
        ClientRequest::Calls { calls } | ClientRequest::Reads { calls, .. } => {
            let calls: Vec<Call<'_>> = decode_body(calls).unwrap();
            calls
                .iter()
                .map(|call| id(call.session, call.number))
                .collect()
        }
        ClientRequest::Json {
            session, number, ..
        } => vec![id(*session, *number)],
        ClientRequest::Status { .. }
        | ClientRequest::Upgrade { .. }
        | ClientRequest::Specify { .. } => Vec::new(),
    }
}

proptest! {
    #[test]
    fn everything_asked_is_resolved_exactly_once(steps in prop::collection::vec(step(), 1..150)) {
        let mut world = World::new();
        // Two sessions to begin with, so that most steps have something to act on.
        world.step(Step::Tick);
        world.step(Step::Welcome { link: 0, accepted: true });
        world.step(Step::Members { link: 0, view: 1, members: "a b c" });
        for _ in 0..2 {
            world.step(Step::Open);
            world.step(Step::Tick);
            world.step(Step::Execute { link: 0, answered: true });
        }
        for step in steps {
            world.step(step);
        }
        // Deadlines end whatever is left.
        world.step(Step::Wait { millis: 6000 });
        prop_assert_eq!(&world.resolved, &world.asked);
        let counters = world.script.machine.counters();
        prop_assert_eq!(counters.requests, counters.resolved);
    }
}

/// What was called definite was not executed, and is not later: every copy was declined.
#[derive(Clone, Debug)]
enum Fate {
    Executed,
    Lost,
    Declined(Decline),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        1 => Just(Fate::Executed),
        2 => Just(Fate::Lost),
        2 => Just(Fate::Declined(Decline::AskAnother)),
        1 => Just(Fate::Declined(Decline::Unavailable)),
        2 => Just(Fate::Declined(Decline::Overloaded { limit: "bytes".to_owned() })),
    ]
}

proptest! {
    #[test]
    fn a_definite_error_is_never_given_for_what_was_executed(
        fates in prop::collection::vec((fate(), 0..3_usize, 0..120_u64, any::<bool>()), 1..30),
    ) {
        let mut world = World::new();
        let mut executed = BTreeSet::new();
        let mut definite = BTreeSet::new();
        for step in [
            Step::Tick,
            Step::Welcome { link: 0, accepted: true },
            Step::Members { link: 0, view: 1, members: "a b c" },
            Step::Open,
            Step::Tick,
            Step::Execute { link: 0, answered: true },
        ] {
            world.step(step);
        }
        // One write after the other in one session: the ticket tells the number.
        let first = world.script.tickets;
        for (fate, link, millis, write) in fates {
            if write {
                world.step(Step::Call { session: 0, kind: Kind::Write, millis: 300 });
            }
            world.script.wait(millis);
            for output in &world.script.out {
                if let Output::Resolve { ticket, answer: Err(error) } = output
                    && error.is_definite()
                {
                    definite.insert(ticket - first);
                }
            }
            world.settle();
            while let Some(link) = world.link(0, false) {
                world.links.insert(link, (true, Vec::new()));
                let welcome = Welcome::Accepted {
                    protocol: 1,
                    member: None,
                    view: Position(1),
                };
                let link = LinkId(link);
                world.script.input(Input::Welcomed { link, welcome });
            }
            let Some(link) = world.link(link, true) else { continue };
            let Some(request) = world.taken(link) else { continue };
            match fate {
                // Executed, and the reply lost: only the deadline can tell.
                Fate::Executed => executed.extend(ids(&request).iter().map(|call| call.number)),
                Fate::Lost => {
                    let lost = world.links.remove(&link);
                    let (link, why) = (LinkId(link), "broken".to_owned());
                    world.script.input(Input::Closed { link, why });
                    // All that was on its way may have been executed all the same.
                    for request in lost.into_iter().flat_map(|(_, lies)| lies) {
                        executed.extend(ids(&request).iter().map(|call| call.number));
                    }
                    executed.extend(ids(&request).iter().map(|call| call.number));
                }
                Fate::Declined(reason) => {
                    let (link, calls) = (LinkId(link), ids(&request));
                    let reply = ClientReply::Declined { calls: calls.into(), reason };
                    world.script.input(Input::Received { link, reply });
                }
            }
            for output in &world.script.out {
                if let Output::Resolve { ticket, answer: Err(error) } = output
                    && error.is_definite()
                {
                    definite.insert(ticket - first);
                }
            }
            world.settle();
        }
        let both: Vec<_> = definite.intersection(&executed).collect();
        prop_assert!(both.is_empty(), "called definite and executed: {both:?}");
    }
}
