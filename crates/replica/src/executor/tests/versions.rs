//! Members of two versions: refused alike before the activation, new from it on (design 4.13).

use wire::client::{ClientReply, Decline, Outcome};

use super::tally::{COUNT, NOTE, NOTE_V2, TWICE};
use super::*;
use crate::ImportError;

/// An old member, a new one with its state, and a session of the old one's client.
fn mixed() -> (Member, Member, SessionId) {
    let mut old = Member::founds(&v1());
    let session = old.open();
    let new = old.joiner(&v2(), 2, 1);
    (old, new, session)
}

/// What comes of a call, at its contact `to`; both members are given it.
fn both(to: &mut Member, other: &mut Member, request: Made) -> Outcome {
    let origin = to.origin();
    let calls = batch(&[request]);
    assert_eq!(other.apply(vec![Executable::Calls { origin, calls }]), []);
    to.call(request)
}

#[test]
fn what_the_old_version_refuses_the_new_one_refuses_until_it_is_effective() {
    let (mut old, mut new, session) = mixed();
    for (number, method) in [(1, TWICE), (2, NOTE_V2), (3, NOTE)] {
        let request = call(session, number, method, 5);
        let outcome = both(&mut old, &mut new, request);
        assert_eq!(new.call(request), outcome, "of {}", method.name);
        old.position += 1;
    }
    let expected = [
        (TWICE, Outcome::UnknownMethod),
        (NOTE_V2, Outcome::Malformed),
    ];
    for (number, (method, outcome)) in (1..).zip(expected) {
        assert_eq!(new.call(call(session, number, method, 5)), outcome);
    }
}

#[test]
fn members_of_both_versions_keep_the_same_beside_their_states() {
    let (mut old, mut new, session) = mixed();
    for number in 1..5 {
        both(&mut old, &mut new, call(session, number, NOTE, number));
    }
    assert_eq!(old.execute.sessions(), new.execute.sessions());
}

#[test]
fn an_activation_adds_to_the_interface_and_takes_nothing_away() {
    let (_, mut new, session) = mixed();
    new.activate("2.0.0");
    for (number, method) in [(1, TWICE), (2, NOTE_V2), (3, NOTE)] {
        let outcome = new.call(call(session, number, method, 5));
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    }
}

#[test]
fn a_joiner_after_the_activation_knows_of_it() {
    let (_, mut new, session) = mixed();
    new.activate("2.0.0");
    let mut joiner = new.joiner(&v2(), 3, 2);
    assert_eq!(new.state(2), joiner.state(2));
    let outcome = joiner.call(call(session, 1, TWICE, 5));
    assert_eq!(outcome, Outcome::Done(Bytes::new()));
}

#[test]
fn an_old_member_stands_still_at_the_activation() {
    let (mut old, _, session) = mixed();
    old.call(call(session, 1, NOTE, 5));
    let kept = old.execute.sessions();
    old.activate("2.0.0");
    assert_ne!(old.execute.sessions(), kept, "it knows what is effective");

    let (_, state) = old.state(1);
    assert_eq!(old.calls(&[call(session, 2, NOTE, 5)]), []);
    assert_eq!(old.state(1).1, state);
    assert_eq!(
        old.execute.position(),
        Position(4),
        "but it follows the order"
    );

    let read = call(session, 3, COUNT, 0);
    let answers = old.reads(&[read]);
    let declined = ClientReply::Declined {
        calls: vec![CallId { session, number: 3 }].into(),
        reason: Decline::AskAnother,
    };
    assert_eq!(answers[0].reply, declined);
}

/// A group of one whose successor dies after the activation has only a member that stands still:
/// another successor takes its state, and what was ordered since.
#[test]
fn a_successor_has_from_a_member_that_stands_still_what_was_ordered_since() {
    let (mut old, mut new, session) = mixed();
    both(&mut old, &mut new, call(session, 1, NOTE, 5));
    old.activate("2.0.0");
    new.activate("2.0.0");
    for (number, method) in [(2, TWICE), (3, NOTE_V2), (4, NOTE)] {
        let request = call(session, number, method, 5);
        let origin = new.origin();
        let calls = batch(&[request]);
        assert_eq!(old.apply(vec![Executable::Calls { origin, calls }]), []);
        new.call(request);
    }
    let mut other = old.joiner(&v2(), 3, 1);
    assert_eq!(other.state(2), new.state(2));
    // The replies are kept too: what was executed is not executed again.
    let again = call(session, 2, TWICE, 5);
    assert_eq!(other.call(again), new.call(again));
    assert_eq!(other.state(2), new.state(2));
    let refused = v1().import(member(4), &old.head(1), &mut &old.state(1).1[..]);
    assert!(matches!(refused, Err(ImportError::Effective { .. })));
}

#[test]
fn a_member_that_has_held_back_too_much_gives_its_state_to_nobody() {
    let (mut old, _, _) = mixed();
    old.activate("2.0.0");
    let calls = Bytes::from(vec![0; 40 << 20]);
    for _ in 0..2 {
        let origin = old.origin();
        let calls = calls.clone();
        old.apply(vec![Executable::Calls { origin, calls }]);
    }
    let error = old.execute.export(1, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("stands still"), "{error}");
    assert!(
        old.execute.sessions().len() < 1 << 20,
        "and it is forgotten"
    );
}
