//! Tests of the executor: the same order gives the same replies and the same state, once.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod fuzz;
mod golden;
mod invocation;
mod json;
mod limits;
mod order;
mod tally;
mod transfer;
mod versions;

use bytes::Bytes;
use wire::client::{Call, CallId, CallResult, ClientReply, Outcome};
use wire::frame::to_bytes;
use wire::log::Origin;
use wire::member::Binary;
use wire::peer::TransferHead;
use wire::{Build, MemberId, OrderedTime, Position, SessionId, Version};

use super::{Answer, Executable, Execute, Founding, Program, Work};
use tally::Tally;

/// The seed of all groups here.
const SEED: u64 = 7;

/// The connection of this member's own client.
const CONNECTION: u64 = 70;

fn member(number: u64) -> MemberId {
    MemberId::new(number).unwrap()
}

/// The request of this number in this session: `method` with a number as its argument.
fn call(session: SessionId, number: u64, method: tally::Named, argument: u64) -> Made {
    Made {
        session,
        number,
        acknowledged: 0,
        method,
        argument: argument.to_le_bytes(),
    }
}

/// A call that owns its argument.
#[derive(Clone, Copy, Debug)]
struct Made {
    session: SessionId,
    number: u64,
    acknowledged: u64,
    method: tally::Named,
    argument: [u8; 8],
}

impl Made {
    /// The client has the replies up to here.
    fn acknowledging(self, acknowledged: u64) -> Made {
        Made {
            acknowledged,
            ..self
        }
    }
}

/// A batch as it travels.
fn batch(calls: &[Made]) -> Bytes {
    let calls: Vec<Call<'_>> = calls
        .iter()
        .map(|made| Call {
            session: made.session,
            number: made.number,
            acknowledged: made.acknowledged,
            method: made.method.id(),
            signature: made.method.signature,
            arguments: &made.argument,
        })
        .collect();
    to_bytes(&calls).into()
}

/// One member's executor, and where its order stands.
struct Member {
    me: MemberId,
    execute: Box<dyn Execute>,
    position: u64,
    time: u64,
}

impl Member {
    fn founds(program: &Program) -> Member {
        Member::founds_as(program, 1)
    }

    /// The same beginning as the founder's, as if this member had been there.
    fn founds_as(program: &Program, me: u64) -> Member {
        let me = member(me);
        Member {
            me,
            execute: program.found(Founding { me, seed: SEED }),
            position: 1,
            time: 1_000_000,
        }
    }

    fn handle(&mut self, work: Work) -> Vec<Answer> {
        let mut out = Vec::new();
        self.execute.handle(work, &mut out);
        out
    }

    fn apply(&mut self, requests: Vec<Executable>) -> Vec<Answer> {
        self.position += 1;
        self.handle(Work::Apply {
            position: Position(self.position),
            time: OrderedTime(self.time),
            requests,
        })
    }

    fn activate(&mut self, version: &str) {
        let version = Version::parse(version).unwrap();
        let position = Position(self.position);
        assert_eq!(self.handle(Work::Activate { position, version }), []);
    }

    fn origin(&self) -> Origin {
        Origin {
            member: self.me,
            connection: CONNECTION,
            number: self.position,
        }
    }

    /// Opens a session for our own client.
    fn open(&mut self) -> SessionId {
        let origin = self.origin();
        let answers = self.apply(vec![Executable::Open { origin, token: 9 }]);
        let [Answer { connection, reply }] = &answers[..] else {
            panic!("one answer, not {answers:?}");
        };
        let ClientReply::Opened { token: 9, session } = reply else {
            panic!("a session opens, not {reply:?}");
        };
        assert_eq!(*connection, CONNECTION);
        *session
    }

    /// What comes of these calls of our own client, ordered at one position.
    fn calls(&mut self, calls: &[Made]) -> Vec<CallResult> {
        let origin = self.origin();
        let calls = batch(calls);
        results(self.apply(vec![Executable::Calls { origin, calls }]))
    }

    /// What comes of this call alone.
    fn call(&mut self, call: Made) -> Outcome {
        let results = self.calls(&[call]);
        let [result] = &results[..] else {
            panic!("one result, not {results:?}");
        };
        result.outcome.clone()
    }

    fn reads(&mut self, calls: &[Made]) -> Vec<Answer> {
        let calls = batch(calls);
        self.handle(Work::Reads {
            connection: CONNECTION,
            calls,
        })
    }

    /// The state as it would travel, and what travels beside it.
    fn state(&self, format: u32) -> (Bytes, Vec<u8>) {
        let mut bytes = Vec::new();
        self.execute.export(format, &mut bytes).unwrap();
        (self.execute.sessions(), bytes)
    }

    /// The head of a transfer from here.
    fn head(&self, format: u32) -> TransferHead {
        TransferHead {
            position: self.execute.position(),
            term: 1,
            service: "tally".to_owned(),
            binary: Binary {
                version: Version::new(1, 0, 0),
                build: Build::of(b"tally"),
            },
            format,
            group: Bytes::new(),
            replica: Bytes::new(),
            sessions: self.execute.sessions(),
        }
    }

    /// A joiner that takes this member's state over.
    fn joiner(&self, program: &Program, me: u64, format: u32) -> Member {
        let (_, bytes) = self.state(format);
        let me = member(me);
        let head = self.head(format);
        let execute = program.import(me, &head, &mut &bytes[..]).unwrap();
        assert_eq!(execute.position(), self.execute.position());
        Member {
            me,
            execute,
            position: self.position,
            time: self.time,
        }
    }
}

/// All results in these answers, which hold nothing else.
fn results(answers: Vec<Answer>) -> Vec<CallResult> {
    let results = answers.into_iter().flat_map(|answer| {
        let ClientReply::Results { results } = answer.reply else {
            panic!("results, not {:?}", answer.reply);
        };
        results
    });
    results.collect()
}

fn v1() -> Program {
    Program::of::<Tally<1>>()
}

fn v2() -> Program {
    Program::of::<Tally<2>>()
}
