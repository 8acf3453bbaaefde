//! Any order, with any repetition: executed once, answered alike, the same on all members.

use std::collections::BTreeMap;

use proptest::prelude::*;
use wire::client::Outcome;

use super::tally::{COUNT, FILL, NOTE, Named, PANIC};
use super::*;

/// Sessions that the clients use; the last one is never opened.
const SESSIONS: u64 = 4;
/// Members that take requests.
const CONTACTS: u64 = 3;

/// One thing that is ordered.
#[derive(Clone, Debug)]
struct Ordered {
    contact: u64,
    /// Session, number, acknowledged.
    calls: Vec<(u64, u64, u64)>,
    opens: bool,
}

/// One position.
#[derive(Clone, Debug)]
struct Delivered {
    wait: u64,
    ordered: Vec<Ordered>,
}

/// The same number is the same request, whoever sends it.
fn request(&(session, number, acknowledged): &(u64, u64, u64)) -> Made {
    let unknown = Named {
        name: "unknown",
        signature: 1,
    };
    let method = match (session + number) % 8 {
        0 => PANIC,
        1 => unknown,
        2 => FILL,
        3 => COUNT,
        _ => NOTE,
    };
    call(SessionId(session), number, method, session * 1000 + number).acknowledging(acknowledged)
}

fn position() -> impl Strategy<Value = Delivered> {
    let call = (1..=SESSIONS, 0..12_u64, 0..10_u64);
    let ordered = (
        1..=CONTACTS,
        prop::collection::vec(call, 0..6),
        prop::bool::weighted(0.1),
    );
    let ordered = ordered.prop_map(|(contact, calls, opens)| Ordered {
        contact,
        calls,
        opens,
    });
    // Now and then a silence that sessions do not survive.
    let wait = prop_oneof![20 => 0..3000_u64, 1 => 500_000..900_000_u64];
    (wait, prop::collection::vec(ordered, 0..4))
        .prop_map(|(wait, ordered)| Delivered { wait, ordered })
}

fn deliver(member: &mut Member, delivered: &Delivered) -> Vec<Answer> {
    member.time += delivered.wait;
    let requests = delivered.ordered.iter().map(|ordered| {
        let origin = Origin {
            member: super::member(ordered.contact),
            connection: CONNECTION + ordered.contact,
            number: 1,
        };
        if ordered.opens {
            return Executable::Open { origin, token: 1 };
        }
        let calls: Vec<Made> = ordered.calls.iter().map(request).collect();
        let calls = batch(&calls);
        Executable::Calls { origin, calls }
    });
    member.apply(requests.collect())
}

/// The numbers that the service was given, from its exported state.
fn noted(state: &[u8]) -> Vec<u64> {
    let chunk = &state[4..state.len() - 36];
    let numbers = chunk.chunks_exact(8).skip(1);
    numbers
        .map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()))
        .collect()
}

/// What clients were told of each request that was executed.
#[derive(Debug, Default)]
struct Told {
    replies: BTreeMap<CallId, (Position, Outcome)>,
}

impl Told {
    /// The same as anybody was told before.
    fn hear(&mut self, answers: Vec<Answer>) -> Result<(), TestCaseError> {
        for answer in answers {
            let ClientReply::Results { results } = answer.reply else {
                continue;
            };
            for result in results {
                if let Outcome::Done(_) | Outcome::Panicked = result.outcome {
                    let reply = (result.position, result.outcome);
                    let before = self.replies.entry(result.call);
                    prop_assert_eq!(&*before.or_insert(reply.clone()), &reply);
                }
            }
        }
        Ok(())
    }
}

/// A group whose members have opened the sessions but the last.
fn group(program: &Program) -> Vec<Member> {
    let mut members: Vec<Member> = (1..=CONTACTS)
        .map(|me| Member::founds_as(program, me))
        .collect();
    let opens = Ordered {
        contact: 9,
        calls: Vec::new(),
        opens: true,
    };
    let delivered = Delivered {
        wait: 0,
        ordered: vec![opens; usize::try_from(SESSIONS - 1).unwrap()],
    };
    for member in &mut members {
        deliver(member, &delivered);
    }
    members
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// One member more has the state of another at some position, and answers for the last.
    #[test]
    fn members_agree_and_execute_once(
        order in prop::collection::vec(position(), 1..40),
        joins in 0..40_usize,
    ) {
        let program = v1();
        let mut members = group(&program);
        let mut told = Told::default();
        for (at, delivered) in order.iter().enumerate() {
            if at == joins {
                let joiner = members[0].joiner(&program, CONTACTS, 1);
                members.push(joiner);
            }
            for member in &mut members {
                told.hear(deliver(member, delivered))?;
            }
            let state = members[0].state(1);
            for member in &members {
                prop_assert_eq!(&member.state(1), &state, "{} at {}", member.me, at);
            }
        }
        let mut numbers = noted(&members[0].state(1).1);
        let count = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        prop_assert_eq!(numbers.len(), count, "no request is executed twice");
    }
}
