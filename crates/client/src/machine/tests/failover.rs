//! Which member a client speaks to, and what happens to its requests when that changes.

use wire::Position;
use wire::client::{ClientReply, Decline, Outcome};
use wire::hello::Welcome;

use super::super::{Asked, Input, LinkId};
use super::script::{READS, Script, contacts};
use crate::options::Kind;
use std::time::Duration;

#[test]
fn it_dials_two_members_and_is_ready_when_one_has_named_the_members() {
    let mut script = Script::new("a b c");
    let within = Duration::from_secs(5);
    script.ask(Asked::Ready { within });
    script.tick();
    script.wants(&["dial 1 a", "dial 2 b"]);
    script.welcome(1);
    script.wants(&[]);
    script.members(1, 2, "a b c");
    script.wants(&["resolve 1 Ready"]);
}

#[test]
fn from_one_contact_it_goes_to_its_own_place_among_the_members() {
    let mut script = Script::new("c");
    script.ask(Asked::Open);
    script.tick();
    script.wants(&["dial 1 c"]);
    script.welcome(1);
    script.members(1, 2, "a b c");
    script.wants(&["dial 2 a"]);
    script.welcome(2);
    script.wants(&["send 2 open 1"]);
}

#[test]
fn a_first_choice_that_cannot_be_reached_is_not_waited_for() {
    let mut script = Script::new("c");
    script.ask(Asked::Open);
    script.tick();
    script.welcome(1);
    script.members(1, 2, "a b c");
    script.breaks(2);
    script.wants(&["dial 1 c", "dial 2 a", "dial 3 b"]);
    script.breaks(3);
    script.wants(&["send 1 open 1"]);
}

#[test]
fn a_member_that_stops_taking_requests_is_left_at_once_and_its_calls_go_along() {
    let mut script = Script::connected("a b c");
    script.writes(2);
    script.wants(&["send 1 calls s1#1/0 s1#2/0"]);
    script.members(1, 3, "a- b c");
    script.wants(&["dial 3 c", "send 2 calls s1#1/0 s1#2/0"]);
    // The first reply wins, whoever it is from.
    script.done(1, &[1]);
    script.wants(&["resolve 2 @9"]);
    script.done(2, &[1, 2]);
    script.wants(&["resolve 3 @9"]);
    // The old link had its time to bring late replies.
    script.welcome(3);
    script.wait(1000);
    script.wants(&["close 1"]);
    assert_eq!(script.machine.counters().reconnected, 1);
    assert_eq!(script.machine.counters().retried, 2);
}

#[test]
fn a_broken_link_costs_no_dial() {
    let mut script = Script::connected("a b c");
    script.writes(1);
    script.call(Kind::Read);
    script.tick();
    script.wants(&["send 1 calls s1#1/0", "send 1 reads s1#r1"]);
    script.breaks(1);
    script.wants(&["dial 3 c", "send 2 calls s1#1/0", "send 2 reads s1#r1"]);
    script.done(2, &[1, READS | 1]);
    script.wants(&["resolve 2 @9", "resolve 3 @9"]);
}

#[test]
fn requests_leave_in_the_order_of_their_numbers_after_a_failover() {
    let mut script = Script::connected("a b c");
    script.writes(2);
    script.done(1, &[1]);
    script.wants(&["send 1 calls s1#1/0 s1#2/0", "resolve 2 @9"]);
    // Asked in the turn in which the link breaks.
    script.call(Kind::Write);
    script.breaks(1);
    script.wants(&["dial 3 c", "send 2 calls s1#2/1 s1#3/1"]);
}

#[test]
fn silence_moves_everything_to_another_member() {
    let mut script = Script::connected("a b");
    script.writes(1);
    script.wait(60);
    script.writes(1);
    script.wants(&["send 1 calls s1#1/0", "send 1 calls s1#2/0"]);
    script.wait(39);
    script.wants(&[]);
    script.wait(1);
    script.wants(&["send 2 calls s1#1/0 s1#2/0"]);
    // A late reply of the silent member is as good as any.
    script.done(1, &[2]);
    script.wants(&["resolve 3 @9"]);
}

#[test]
fn a_silent_member_is_left_when_another_one_is_reached_at_last() {
    let mut script = Script::connected("a b");
    script.breaks(2);
    script.writes(2);
    script.wait(99);
    script.out.clear();
    script.wait(1);
    // Nobody else is greeted yet.
    script.wants(&["send 1 calls s1#1/0 s1#2/0"]);
    script.welcome(3);
    script.wants(&["send 3 calls s1#1/0 s1#2/0"]);
}

#[test]
fn a_member_that_answers_others_keeps_them() {
    let mut script = Script::connected("a b");
    script.writes(1);
    script.wait(60);
    script.writes(2);
    script.done(1, &[2]);
    script.wants(&[
        "send 1 calls s1#1/0",
        "send 1 calls s1#2/0 s1#3/0",
        "resolve 3 @9",
    ]);
    script.wait(40);
    script.wants(&["send 2 calls s1#1/0"]);
    // What the old member still has not answered in its own time goes, too.
    script.wait(60);
    script.wants(&["send 2 calls s1#3/0"]);
}

#[test]
fn with_nobody_else_it_asks_the_same_member_again_and_with_more_patience_each_time() {
    let mut script = Script::connected("a");
    script.writes(1);
    let sent = "send 1 calls s1#1/0";
    script.wait(99);
    script.wants(&[sent]);
    for pause in [1, 100, 200, 400, 800, 800] {
        script.wait(pause - 1);
        script.wants(&[]);
        script.wait(1);
        script.wants(&[sent]);
    }
    assert_eq!(script.machine.counters().reconnected, 0);
    assert_eq!(script.machine.counters().retried, 6);
}

#[test]
fn a_member_that_says_ask_another_is_not_asked_for_a_while() {
    let mut script = Script::connected("a b");
    script.writes(1);
    script.declines(1, &[1], Decline::AskAnother);
    script.wants(&["send 1 calls s1#1/0", "send 2 calls s1#1/0"]);
    script.declines(2, &[1], Decline::AskAnother);
    script.wants(&[]);
    script.wait(20);
    script.wants(&["send 1 calls s1#1/0"]);
    assert_eq!(script.machine.counters().declined, 2);
}

#[test]
fn one_decline_moves_what_else_the_member_has() {
    let mut script = Script::connected("a b");
    script.writes(1);
    script.writes(1);
    script.declines(1, &[1], Decline::AskAnother);
    script.wants(&[
        "send 1 calls s1#1/0",
        "send 1 calls s1#2/0",
        "send 2 calls s1#1/0 s1#2/0",
    ]);
    // Its second decline finds the request elsewhere.
    script.declines(1, &[2], Decline::AskAnother);
    script.wants(&[]);
}

#[test]
fn a_new_view_forgives_those_that_declined() {
    let mut script = Script::connected("a b");
    script.writes(1);
    script.declines(1, &[1], Decline::AskAnother);
    script.declines(2, &[1], Decline::AskAnother);
    script.wants(&["send 1 calls s1#1/0", "send 2 calls s1#1/0"]);
    script.members(2, 3, "b a");
    script.wants(&["send 2 calls s1#1/0"]);
}

#[test]
fn an_older_list_of_members_does_not_replace_a_later_one() {
    let mut script = Script::connected("a b c");
    script.members(1, 5, "a b");
    script.members(2, 4, "b c");
    assert_eq!(script.machine.members(), contacts("a b"));
    // Whether a member takes requests may change within a view.
    script.members(2, 5, "a- b");
    assert_eq!(script.machine.members(), contacts("a- b"));
    script.members(2, 5, "");
    assert_eq!(script.machine.members(), contacts("a- b"));
}

#[test]
fn a_group_that_began_anew_is_believed_once_nobody_else_is_connected() {
    let mut script = Script::connected("a b");
    script.members(1, 50, "a b");
    script.writes(1);
    script.breaks(1);
    script.breaks(2);
    script.wants(&["send 1 calls s1#1/0", "send 2 calls s1#1/0"]);
    script.wait(50);
    script.wants(&["dial 3 a", "dial 4 b"]);
    script.breaks(4);
    script.welcome(3);
    script.members(3, 2, "a d");
    script.wants(&["send 3 calls s1#1/0", "dial 5 d"]);
}

#[test]
fn failed_members_are_dialled_again_with_growing_pauses() {
    let mut script = Script::new("a");
    script.tick();
    script.wants(&["dial 1 a"]);
    let mut link = 1;
    for pause in [50, 100, 200, 400, 500, 500] {
        script.breaks(link);
        link += 1;
        script.wait(pause - 1);
        script.wants(&[]);
        script.wait(1);
        script.wants(&[&format!("dial {link} a")]);
    }
}

#[test]
fn a_dial_that_is_not_welcomed_in_time_is_given_up() {
    let mut script = Script::new("a b c");
    script.tick();
    script.wants(&["dial 1 a", "dial 2 b"]);
    script.wait(500);
    script.wants(&["close 1", "close 2", "dial 3 c"]);
}

#[test]
fn a_refusal_ends_the_link_and_is_told_when_nobody_else_answers() {
    let mut script = Script::new("a");
    let within = Duration::from_millis(30);
    script.ask(Asked::Ready { within });
    script.tick();
    let why = "this is a member of `kv`".to_owned();
    let welcome = Welcome::Refused { why };
    let link = LinkId(1);
    script.input(Input::Welcomed { link, welcome });
    script.wants(&["dial 1 a", "close 1"]);
    assert!(script.machine.fault().contains("this is a member of `kv`"));
    script.wait(30);
    script.wants(&["resolve 1 Unreached: not executed"]);
}

#[test]
fn a_removed_member_is_left() {
    let mut script = Script::new("a b");
    script.tick();
    let view = Position(7);
    let (link, welcome) = (LinkId(1), Welcome::Removed { view });
    script.input(Input::Welcomed { link, welcome });
    script.wants(&["dial 1 a", "dial 2 b", "close 1"]);
}

#[test]
fn a_member_that_left_the_view_is_left() {
    let mut script = Script::connected("a b c");
    script.writes(1);
    script.members(2, 3, "b c d");
    script.wants(&["send 1 calls s1#1/0", "dial 3 c", "send 2 calls s1#1/0"]);
}

#[test]
fn beside_the_only_one_that_takes_requests_another_member_stands_by_for_news() {
    let mut script = Script::connected("a b c");
    script.members(1, 3, "a b- c-");
    script.writes(1);
    script.breaks(1);
    // It is asked, since nobody else is there; it knows the new view already.
    script.wants(&["send 1 calls s1#1/0", "dial 3 c", "send 2 calls s1#1/0"]);
    script.declines(2, &[1], Decline::AskAnother);
    script.wants(&[]);
    script.members(2, 4, "b c");
    script.wants(&["send 2 calls s1#1/0"]);
}

#[test]
fn with_nobody_who_takes_requests_the_member_stays() {
    let mut script = Script::connected("a");
    script.members(1, 3, "a-");
    script.writes(1);
    script.wants(&["send 1 calls s1#1/0"]);
}

#[test]
fn replies_without_a_greeting_and_strange_answers_change_nothing() {
    let mut script = Script::connected("a b");
    script.writes(1);
    script.wants(&["send 1 calls s1#1/0"]);
    // A link that is not known, a number that was not given, an answer of another kind.
    script.done(9, &[1]);
    script.done(1, &[2, 700, 0, READS | 1]);
    script.hear(
        1,
        ClientReply::Json {
            call: super::script::call(1),
            position: Position(3),
            reply: "1".to_owned(),
        },
    );
    let document = "null".to_owned();
    script.hear(1, ClientReply::Status { token: 1, document });
    script.outcome(1, &[2], &Outcome::Panicked);
    script.wants(&[]);
    script.done(1, &[1, 1]);
    script.done(2, &[1]);
    script.wants(&["resolve 2 @9"]);
}

#[test]
fn early_and_repeated_ticks_do_nothing() {
    let mut script = Script::connected("a b");
    script.writes(1);
    script.wants(&["send 1 calls s1#1/0"]);
    for _ in 0..3 {
        script.tick();
    }
    script.wants(&[]);
}
