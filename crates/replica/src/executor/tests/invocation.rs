//! One session's life: once, the same reply again, the window, refusals, panics, expiry.

use wire::client::{ClientReply, Outcome};
use wire::log::Origin;
use wire::{OrderedTime, Position, SessionId};

use super::super::session::WINDOW;
use super::tally::{COUNT, FILL, NOTE, Named, PANIC};
use super::*;

/// The numbers in a reply.
fn numbers(outcome: &Outcome) -> Vec<u64> {
    let Outcome::Done(reply) = outcome else {
        panic!("a reply, not {outcome:?}");
    };
    let numbers = reply.chunks_exact(8);
    numbers
        .map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()))
        .collect()
}

/// The first number in a reply: how many were noted.
fn first(outcome: &Outcome) -> u64 {
    numbers(outcome)[0]
}

fn count(member: &mut Member) -> u64 {
    let read = call(SessionId(1), 1, COUNT, 0);
    first(&results(member.reads(&[read]))[0].outcome)
}

#[test]
fn a_repeated_number_gets_the_same_reply_from_the_same_position() {
    let mut member = Member::founds(&v1());
    let session = member.open();
    let request = call(session, 1, NOTE, 5);
    let executed = member.calls(&[request]);
    assert_eq!(executed[0].position, Position(3));
    member.time += 1;
    assert_eq!(member.calls(&[request]), executed);
    assert_eq!(
        member.calls(&[request, request]),
        [&executed[..]; 2].concat()
    );
    assert_eq!(count(&mut member), 1);
}

#[test]
fn the_context_says_where_a_request_stands() {
    let mut member = Member::founds(&v1());
    let session = member.open();
    let calls = [1, 2].map(|number| call(session, number, NOTE, 5));
    let contexts: Vec<Vec<u64>> = member
        .calls(&calls)
        .iter()
        .map(|result| numbers(&result.outcome)[1..].to_vec())
        .collect();
    assert_eq!(contexts[0][..3], [1_000_000, 3, 0], "time, position, index");
    assert_eq!(contexts[1][..3], [1_000_000, 3, 1]);
    assert_ne!(
        contexts[0][3], contexts[1][3],
        "each has its own random number"
    );
}

#[test]
fn numbers_may_come_out_of_order() {
    let mut member = Member::founds(&v1());
    let session = member.open();
    for number in [3, 1, 2, 3, 2, 1] {
        member.call(call(session, number, NOTE, number));
    }
    assert_eq!(count(&mut member), 3);
    let again = [1, 2, 3].map(|number| first(&member.call(call(session, number, NOTE, number))));
    assert_eq!(again, [2, 3, 1], "each has its own reply");
}

#[test]
fn an_acknowledged_number_is_not_executed_again() {
    let mut member = Member::founds(&v1());
    let session = member.open();
    member.call(call(session, 1, NOTE, 5));
    member.call(call(session, 2, NOTE, 5).acknowledging(1));
    assert_eq!(
        member.call(call(session, 1, NOTE, 5)),
        Outcome::Acknowledged
    );
    assert_eq!(
        member.call(call(session, 0, NOTE, 5)),
        Outcome::Acknowledged
    );
    assert_eq!(count(&mut member), 2);
}

#[test]
fn a_request_does_not_acknowledge_itself() {
    let mut member = Member::founds(&v1());
    let session = member.open();
    let request = call(session, 3, NOTE, 5).acknowledging(u64::MAX);
    let executed = member.calls(&[request]);
    assert_eq!(member.calls(&[request]), executed);
    let before = call(session, 2, NOTE, 5);
    assert_eq!(member.call(before), Outcome::Acknowledged);
}

#[test]
fn a_full_window_refuses_until_the_client_acknowledges() {
    let mut member = Member::founds(&v1());
    let session = member.open();
    let window = WINDOW as u64;
    for number in 1..=window {
        member.call(call(session, number, NOTE, number));
    }
    let next = call(session, window + 1, NOTE, 5);
    assert_eq!(member.call(next), Outcome::WindowFull);
    let last = call(session, window, NOTE, window);
    assert_eq!(
        first(&member.call(last)),
        window,
        "what was executed is known"
    );
    assert_eq!(count(&mut member), window);
    assert_eq!(first(&member.call(next.acknowledging(1))), window + 1);
}

#[test]
fn a_session_may_keep_so_many_bytes() {
    let mut member = Member::founds(&v1());
    let session = member.open();
    member.call(call(session, 1, FILL, 1 << 20));
    let next = call(session, 2, FILL, 1);
    assert_eq!(member.call(next), Outcome::WindowFull);
    assert_eq!(
        member.call(next.acknowledging(1)),
        Outcome::Done([0][..].into())
    );
}

#[test]
fn a_session_that_was_never_opened_has_expired() {
    let mut member = Member::founds(&v1());
    for session in [0, 1, u64::MAX] {
        let request = call(SessionId(session), 1, NOTE, 5);
        assert_eq!(member.call(request), Outcome::SessionExpired);
    }
    assert_eq!(count(&mut member), 0);
}

#[test]
fn a_silent_session_is_forgotten_and_its_id_not_given_again() {
    let mut member = Member::founds(&v1());
    let (silent, busy) = (member.open(), member.open());
    for number in 1..=2 {
        member.time += 5 * 60 * 1000 + 1;
        member.call(call(busy, number, NOTE, 5));
    }
    assert_eq!(
        member.call(call(silent, 1, NOTE, 5)),
        Outcome::SessionExpired
    );
    assert!(member.open() > busy);
    member.call(call(busy, 3, NOTE, 5));
    assert_eq!(count(&mut member), 3);
}

/// Design 4.22: "an entry's own requests refresh first".
#[test]
fn a_session_that_is_heard_after_a_long_silence_of_all_goes_on() {
    let mut member = Member::founds(&v1());
    let (heard, silent) = (member.open(), member.open());
    member.time += 60 * 60 * 1000;
    assert_eq!(first(&member.call(call(heard, 1, NOTE, 5))), 1);
    assert_eq!(
        member.call(call(silent, 1, NOTE, 5)),
        Outcome::SessionExpired
    );
}

#[test]
fn only_the_contact_answers() {
    let mut member = Member::founds(&v1());
    let elsewhere = Origin {
        member: super::member(2),
        connection: CONNECTION,
        number: 1,
    };
    let open = Executable::Open {
        origin: elsewhere,
        token: 1,
    };
    assert_eq!(member.apply(vec![open]), []);
    let request = call(SessionId(1), 1, NOTE, 5);
    let calls = Executable::Calls {
        origin: elsewhere,
        calls: batch(&[request]),
    };
    assert_eq!(member.apply(vec![calls]), []);
    assert_eq!(
        first(&member.call(request)),
        1,
        "a retry at another contact"
    );
    assert_eq!(count(&mut member), 1);
}

#[test]
fn replies_of_one_position_to_one_connection_share_a_frame() {
    let mut member = Member::founds(&v1());
    let session = member.open();
    let origin = member.origin();
    let requests = [1, 2].map(|number| Executable::Calls {
        origin,
        calls: batch(&[call(session, number, NOTE, number)]),
    });
    let answers = member.apply(requests.to_vec());
    assert_eq!(answers.len(), 1);
    assert_eq!(results(answers).len(), 2);
}

#[test]
fn what_does_not_decode_does_nothing() {
    let mut member = Member::founds(&v1());
    let session = member.open();
    let whole = batch(&[call(session, 1, NOTE, 5), call(session, 2, NOTE, 5)]);
    let origin = member.origin();
    for length in 0..whole.len() {
        let calls = whole.slice(..length);
        let reads = Work::Reads {
            connection: CONNECTION,
            calls: calls.clone(),
        };
        assert_eq!(member.apply(vec![Executable::Calls { origin, calls }]), []);
        assert_eq!(member.handle(reads), []);
    }
    assert_eq!(count(&mut member), 0);
}

#[test]
fn what_the_interface_does_not_have_is_refused_and_that_is_kept() {
    let mut member = Member::founds(&v1());
    let session = member.open();
    let unknown = Named {
        name: "unknown",
        signature: 1,
    };
    let shaped = Named {
        signature: 3,
        ..NOTE
    };
    let cases = [
        (unknown, Outcome::UnknownMethod),
        (shaped, Outcome::Malformed),
        (COUNT, Outcome::WrongKind),
    ];
    for (number, (method, outcome)) in (1..).zip(cases) {
        let request = call(session, number, method, 5);
        let refused = member.calls(&[request]);
        assert_eq!(refused[0].outcome, outcome);
        assert_eq!(member.calls(&[request]), refused);
    }
    let written = member.reads(&[call(session, 9, NOTE, 5)]);
    assert_eq!(results(written)[0].outcome, Outcome::WrongKind);
    assert_eq!(count(&mut member), 0);
}

#[test]
fn a_panic_is_answered_once_and_the_service_goes_on() {
    let mut member = Member::founds(&v1());
    let session = member.open();
    let request = call(session, 1, PANIC, 5);
    assert_eq!(member.call(request), Outcome::Panicked);
    assert_eq!(member.call(request), Outcome::Panicked);
    assert_eq!(count(&mut member), 1, "as the panic left it, and only once");
    assert_eq!(first(&member.call(call(session, 2, NOTE, 5))), 2);
    let read = call(session, 3, COUNT, 99);
    assert_eq!(results(member.reads(&[read]))[0].outcome, Outcome::Panicked);
    let notes = member.execute.notes();
    assert_eq!(
        notes,
        [
            "the service panicked in \"panic\" at @3 (request 1 of session s1)",
            "the service panicked in \"count\" at @5 (request 3 of session s1)",
        ]
    );
    assert!(member.execute.notes().is_empty());
}

#[test]
fn notes_of_panics_are_bounded() {
    let mut member = Member::founds(&v1());
    let session = member.open();
    for number in 1..=200 {
        member.call(call(session, number, PANIC, 5));
    }
    assert!(member.execute.notes().len() < 100);
}

#[test]
fn reads_see_the_position_before_them_and_need_no_session() {
    let mut member = Member::founds(&v1());
    let session = member.open();
    member.call(call(session, 1, NOTE, 5));
    let read = call(SessionId(77), 1, COUNT, 0);
    let answers = member.reads(&[read, read]);
    let [Answer { connection, reply }] = &answers[..] else {
        panic!("one answer, not {answers:?}");
    };
    assert_eq!(*connection, CONNECTION);
    let ClientReply::Results { results } = reply else {
        panic!("results, not {reply:?}");
    };
    assert_eq!(results.len(), 2);
    assert_eq!(results.iter().next().unwrap().position, Position(3));
    assert_eq!(first(&results.iter().next().unwrap().outcome), 1);
}

#[test]
#[should_panic(expected = "@2 is given behind @2")]
fn a_position_is_not_given_twice() {
    let mut member = Member::founds(&v1());
    for _ in 0..2 {
        member.handle(Work::Apply {
            position: Position(2),
            time: OrderedTime(1),
            requests: Vec::new(),
        });
    }
}
