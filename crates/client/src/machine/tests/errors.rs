//! What became of a request that has no reply: definite or indefinite.

use std::time::Duration;

use wire::client::{ClientReply, Decline, Outcome};
use wire::log::UpgradeRequest;
use wire::member::Binary;
use wire::{Build, Position, Version};

use super::super::Asked;
use super::script::{READS, Script, request};
use crate::options::Kind;

fn overloaded() -> Decline {
    Decline::Overloaded {
        limit: "bytes that wait".to_owned(),
    }
}

#[test]
fn a_request_that_never_left_is_definitely_not_executed() {
    let mut script = Script::connected("a");
    script.breaks(1);
    script.call_within(Kind::Write, Some(40));
    script.tick();
    script.wait(40);
    script.wants(&["resolve 2 Unreached: not executed"]);
}

#[test]
fn a_request_that_left_may_have_been_executed() {
    let mut script = Script::connected("a");
    script.call_within(Kind::Write, Some(40));
    script.tick();
    script.wait(40);
    script.wants(&["send 1 calls s1#1/0", "resolve 2 Deadline: maybe executed"]);
}

#[test]
fn a_request_that_was_lost_with_its_link_may_have_been_executed() {
    let mut script = Script::connected("a");
    script.call_within(Kind::Write, Some(40));
    script.tick();
    script.breaks(1);
    script.wait(40);
    script.wants(&["send 1 calls s1#1/0", "resolve 2 Deadline: maybe executed"]);
}

#[test]
fn unavailable_everywhere_is_definite() {
    let mut script = Script::connected("a b");
    script.call_within(Kind::Write, Some(30));
    script.tick();
    let round = ["send 1 calls s1#1/0", "send 2 calls s1#1/0"];
    // The pauses grow: what has no majority has none for a while.
    for pause in [2, 4, 8] {
        script.declines(1, &[1], Decline::Unavailable);
        script.wants(&round);
        script.declines(2, &[1], Decline::Unavailable);
        script.wait(pause - 1);
        script.wants(&[]);
        script.wait(1);
    }
    script.declines(1, &[1], Decline::Unavailable);
    script.declines(2, &[1], Decline::Unavailable);
    script.wants(&round);
    script.wait(16);
    script.wants(&["resolve 2 Unavailable: not executed"]);
}

#[test]
fn unavailable_after_a_copy_was_lost_is_not() {
    let mut script = Script::connected("a b");
    script.call_within(Kind::Write, Some(30));
    script.tick();
    script.breaks(1);
    script.declines(2, &[1], Decline::Unavailable);
    script.wait(30);
    script.wants(&[
        "send 1 calls s1#1/0",
        "send 2 calls s1#1/0",
        "send 2 calls s1#1/0",
        "resolve 2 Deadline: maybe executed",
    ]);
}

#[test]
fn overloaded_is_definite_the_first_time() {
    let mut script = Script::connected("a b");
    script.writes(2);
    script.declines(1, &[1], overloaded());
    script.wants(&[
        "send 1 calls s1#1/0 s1#2/0",
        "resolve 2 Overloaded: not executed",
    ]);
    // The number is resolved: it does not hold the floor.
    script.done(1, &[2]);
    script.writes(1);
    script.wants(&["resolve 3 @9", "send 1 calls s1#3/2"]);
}

#[test]
fn overloaded_after_an_earlier_copy_is_tried_again_after_a_pause() {
    let mut script = Script::connected("a b");
    script.writes(1);
    script.breaks(1);
    script.declines(2, &[1], overloaded());
    script.wants(&["send 1 calls s1#1/0", "send 2 calls s1#1/0"]);
    script.wait(19);
    script.wants(&[]);
    script.wait(1);
    script.wants(&["send 2 calls s1#1/0"]);
    script.done(2, &[1]);
    script.wants(&["resolve 2 @9"]);
}

#[test]
fn overloaded_after_all_other_copies_were_declined_is_definite() {
    let mut script = Script::connected("a b");
    script.writes(1);
    script.declines(1, &[1], Decline::AskAnother);
    script.declines(2, &[1], overloaded());
    script.wants(&[
        "send 1 calls s1#1/0",
        "send 2 calls s1#1/0",
        "resolve 2 Overloaded: not executed",
    ]);
}

#[test]
fn the_decline_of_a_copy_that_was_given_up_counts() {
    let mut script = Script::connected("a b");
    script.writes(2);
    // Number 2 moves along with number 1, and is declined only then.
    script.declines(1, &[1], Decline::AskAnother);
    script.declines(1, &[2], Decline::AskAnother);
    script.declines(2, &[2], overloaded());
    script.wants(&[
        "send 1 calls s1#1/0 s1#2/0",
        "send 2 calls s1#1/0 s1#2/0",
        "resolve 3 Overloaded: not executed",
    ]);
}

#[test]
fn an_overloaded_read_is_always_definite() {
    let mut script = Script::connected("a b");
    script.call(Kind::StaleRead);
    script.tick();
    script.breaks(1);
    script.declines(2, &[READS | 1], overloaded());
    script.wants(&[
        "send 1 stale reads s1#r1",
        "send 2 stale reads s1#r1",
        "resolve 2 Overloaded: not executed",
    ]);
}

#[test]
fn a_wrong_request_is_definite() {
    let mut script = Script::connected("a");
    script.writes(1);
    let why = "no such method".to_owned();
    script.declines(1, &[1], Decline::Invalid { why });
    script.wants(&["send 1 calls s1#1/0", "resolve 2 Invalid: not executed"]);
}

#[test]
fn arguments_that_fit_no_frame_are_refused_at_once() {
    let mut script = Script::connected("a");
    let mut request = request(Kind::Write, None);
    request.arguments = vec![0; 4 << 20].into();
    let session = script.session;
    script.ask(Asked::Call { session, request });
    script.tick();
    script.wants(&["resolve 2 Invalid: not executed"]);
}

#[test]
fn outcomes_in_the_order_are_told_as_they_are() {
    let cases = [
        (Outcome::UnknownMethod, "UnknownMethod: not executed"),
        (Outcome::Malformed, "Malformed: not executed"),
        (Outcome::WrongKind, "WrongKind: not executed"),
        (Outcome::Panicked, "Panicked: maybe executed"),
        (Outcome::SessionExpired, "SessionExpired: not executed"),
        (Outcome::Acknowledged, "ReplyForgotten: maybe executed"),
        (Outcome::WindowFull, "WindowFull: not executed"),
    ];
    for (outcome, told) in cases {
        let mut script = Script::connected("a");
        script.writes(1);
        script.outcome(1, &[1], &outcome);
        script.wants(&["send 1 calls s1#1/0", &format!("resolve 2 {told}")]);
    }
}

#[test]
fn an_expired_session_is_indefinite_after_an_earlier_copy() {
    let mut script = Script::connected("a b");
    script.writes(1);
    script.breaks(1);
    script.outcome(2, &[1], &Outcome::SessionExpired);
    script.wants(&[
        "send 1 calls s1#1/0",
        "send 2 calls s1#1/0",
        "resolve 2 SessionExpired: maybe executed",
    ]);
}

#[test]
fn a_full_window_after_an_earlier_copy_is_tried_again() {
    let mut script = Script::connected("a b");
    script.writes(1);
    script.breaks(1);
    script.outcome(2, &[1], &Outcome::WindowFull);
    script.wait(20);
    script.wants(&[
        "send 1 calls s1#1/0",
        "send 2 calls s1#1/0",
        "send 2 calls s1#1/0",
    ]);
}

#[test]
fn the_default_deadline_holds_for_what_has_none() {
    let mut script = Script::connected("a");
    script.breaks(1);
    script.writes(1);
    script.ask(Asked::Status);
    script.wait(4999);
    let dialled = script.out.len();
    script.wait(1);
    let resolved = script.out.split_off(dialled);
    assert_eq!(resolved.len(), 2, "{resolved:?}");
}

#[test]
fn openings_status_and_upgrades_are_retried_and_answered_once() {
    let mut script = Script::connected("a b");
    let target = Binary {
        version: Version::new(2, 0, 0),
        build: Build([7; 32]),
    };
    script.ask(Asked::Open);
    script.ask(Asked::Status);
    script.ask(Asked::Upgrade(Box::new(UpgradeRequest {
        target,
        parallel: 1,
        attempts: 3,
        patience_ms: 1000,
        token: 5,
    })));
    script.tick();
    script.breaks(1);
    script.wants(&[
        "send 1 open 2",
        "send 1 status 3",
        "send 1 upgrade 4",
        "send 2 open 2",
        "send 2 status 3",
        "send 2 upgrade 4",
    ]);
    let document = "{}".to_owned();
    script.hear(2, ClientReply::Status { token: 3, document });
    let why = "another upgrade runs".to_owned();
    script.hear(2, ClientReply::UpgradeRefused { token: 4, why });
    let upgrade = Position(8);
    script.hear(2, ClientReply::UpgradeAccepted { token: 4, upgrade });
    script.wants(&[
        "resolve 3 Status(\"{}\")",
        "resolve 4 Refused(\"another upgrade runs\")",
    ]);
}

#[test]
fn a_declined_opening_goes_to_another_member() {
    let mut script = Script::connected("a b");
    script.ask(Asked::Open);
    script.tick();
    let opening = super::super::ask(2);
    let reason = Decline::AskAnother;
    script.hear(
        1,
        ClientReply::Declined {
            calls: vec![opening].into(),
            reason,
        },
    );
    script.wants(&["send 1 open 2", "send 2 open 2"]);
}

#[test]
fn connecting_takes_as_long_as_it_may() {
    let mut script = Script::new("a");
    let within = Duration::from_millis(600);
    script.ask(Asked::Ready { within });
    script.tick();
    script.wait(600);
    script.wants(&[
        "dial 1 a",
        "close 1",
        "dial 2 a",
        "resolve 1 Unreached: not executed",
    ]);
}

#[test]
fn an_upgrade_that_a_parted_member_declines_goes_to_another_member() {
    let mut script = Script::connected("a b");
    let target = Binary {
        version: Version::new(2, 0, 0),
        build: Build([7; 32]),
    };
    script.ask(Asked::Upgrade(Box::new(UpgradeRequest {
        target,
        parallel: 1,
        attempts: 3,
        patience_ms: 1000,
        token: 5,
    })));
    script.tick();
    script.hear(
        1,
        ClientReply::Declined {
            calls: vec![super::super::ask(2)].into(),
            reason: Decline::Unavailable,
        },
    );
    script.wants(&["send 1 upgrade 2", "send 2 upgrade 2"]);
}
