//! Replies as JSON, for clients that asked for that.

use wire::client::{ClientReply, Outcome};

use super::tally::{COUNT, FILL, NOTE, Named, PANIC};
use super::*;

fn expect(member: &mut Member, connection: u64, request: Made) {
    let work = Work::ExpectJson {
        connection,
        call: id(request),
        method: request.method.id(),
    };
    assert_eq!(member.handle(work), []);
}

fn id(request: Made) -> CallId {
    CallId {
        session: request.session,
        number: request.number,
    }
}

/// What the client of a call that is wanted as JSON is told.
fn told(member: &mut Member, request: Made) -> Vec<ClientReply> {
    expect(member, CONNECTION, request);
    let origin = member.origin();
    let calls = batch(&[request]);
    let answers = member.apply(vec![Executable::Calls { origin, calls }]);
    answers.into_iter().map(|answer| answer.reply).collect()
}

#[test]
fn an_expected_reply_goes_out_as_json_and_others_as_they_are() {
    let mut member = Member::founds(&v1());
    let session = member.open();
    let (plain, json) = (call(session, 1, NOTE, 5), call(session, 2, NOTE, 5));
    expect(&mut member, CONNECTION, json);
    let origin = member.origin();
    let calls = batch(&[plain, json]);
    let answers = member.apply(vec![Executable::Calls { origin, calls }]);
    let [first, second] = &answers[..] else {
        panic!("two answers, not {answers:?}");
    };
    let reply = ClientReply::Json {
        call: id(json),
        position: Position(3),
        reply: "2".to_owned(),
    };
    assert_eq!(first.reply, reply);
    assert_eq!(results(vec![second.clone()])[0].call, id(plain));
}

#[test]
fn a_retry_is_told_the_same_again() {
    let mut member = Member::founds(&v1());
    let session = member.open();
    let request = call(session, 1, NOTE, 5);
    let first = told(&mut member, request);
    assert!(matches!(first[..], [ClientReply::Json { .. }]));
    assert_eq!(told(&mut member, request), first);
}

#[test]
fn reads_too() {
    let mut member = Member::founds(&v1());
    let session = member.open();
    let read = call(session, 1, COUNT, 0);
    expect(&mut member, CONNECTION, read);
    let answers = member.reads(&[read]);
    let reply = ClientReply::Json {
        call: id(read),
        position: Position(2),
        reply: "0".to_owned(),
    };
    assert_eq!(answers[0].reply, reply);
}

#[test]
fn what_is_not_executed_or_no_json_travels_as_a_result() {
    let unknown = Named {
        name: "unknown",
        signature: 1,
    };
    let cases = [
        (PANIC, Outcome::Panicked),
        (unknown, Outcome::UnknownMethod),
        (FILL, Outcome::Done([0; 5][..].into())),
    ];
    let mut member = Member::founds(&v1());
    let session = member.open();
    for (number, (method, outcome)) in (1..).zip(cases) {
        let told = told(&mut member, call(session, number, method, 5));
        let [ClientReply::Results { results }] = &told[..] else {
            panic!("a result, not {told:?}");
        };
        assert_eq!(results.iter().next().unwrap().outcome, outcome);
    }
}

#[test]
fn what_a_lost_connection_or_another_one_expected_is_not_expected() {
    let mut member = Member::founds(&v1());
    let session = member.open();
    let request = call(session, 1, NOTE, 5);
    expect(&mut member, CONNECTION, request);
    expect(&mut member, CONNECTION + 1, request);
    let connection = CONNECTION;
    assert_eq!(member.handle(Work::Closed { connection }), []);
    assert_eq!(member.calls(&[request]).len(), 1);
}

#[test]
fn the_oldest_of_too_many_is_forgotten() {
    let mut member = Member::founds(&v1());
    let session = member.open();
    let first = call(session, 1, NOTE, 5);
    for number in 1..=1025 {
        expect(&mut member, CONNECTION, call(session, number, NOTE, 5));
    }
    assert_eq!(member.calls(&[first]).len(), 1, "as a result");
}
