//! Numbers, the acknowledged floor, and the window.

use wire::Position;
use wire::client::{ClientReply, Outcome};

use super::super::{Asked, Output};
use super::script::{READS, Script};
use crate::options::Kind;

/// How many requests left since the last look.
fn sent(script: &mut Script) -> usize {
    let mut sent = 0;
    for output in script.out.drain(..) {
        if let Output::Send {
            request: wire::client::ClientRequest::Calls { calls },
            ..
        } = output
        {
            let calls: Vec<wire::client::Call<'_>> = wire::frame::decode_body(&calls).unwrap();
            sent += calls.len();
        }
    }
    sent
}

fn json(script: &mut Script) -> u64 {
    let session = script.session;
    script.ask(Asked::Json {
        session,
        method: "set".to_owned(),
        arguments: "[]".to_owned(),
        deadline: None,
    })
}

#[test]
fn numbers_are_given_in_the_order_of_asking_and_leave_together() {
    let mut script = Script::connected("a");
    script.writes(3);
    script.wants(&["send 1 calls s1#1/0 s1#2/0 s1#3/0"]);
}

#[test]
fn the_floor_is_the_highest_number_up_to_which_all_are_resolved() {
    let mut script = Script::connected("a");
    script.writes(3);
    script.done(1, &[2]);
    script.writes(1);
    script.done(1, &[1]);
    script.writes(1);
    script.wants(&[
        "send 1 calls s1#1/0 s1#2/0 s1#3/0",
        "resolve 3 @9",
        "send 1 calls s1#4/0",
        "resolve 2 @9",
        "send 1 calls s1#5/2",
    ]);
}

#[test]
fn an_abandoned_request_does_not_hold_the_floor() {
    let mut script = Script::connected("a");
    script.call_within(Kind::Write, Some(40));
    script.writes(1);
    script.done(1, &[2]);
    script.wait(40);
    script.writes(1);
    script.wants(&[
        "send 1 calls s1#1/0 s1#2/0",
        "resolve 3 @9",
        "resolve 2 Deadline: maybe executed",
        "send 1 calls s1#3/2",
    ]);
    // Its reply comes too late.
    script.done(1, &[1]);
    script.wants(&[]);
}

#[test]
fn no_more_than_a_window_is_under_way() {
    let mut script = Script::connected("a");
    script.writes(300);
    assert_eq!(sent(&mut script), 256);
    script.done(1, &[2]);
    assert_eq!(sent(&mut script), 0, "the first one holds the window");
    script.done(1, &[1]);
    assert_eq!(sent(&mut script), 2);
}

#[test]
fn what_waits_too_long_for_the_window_never_left() {
    let mut script = Script::connected("a");
    script.writes(256);
    assert_eq!(sent(&mut script), 256);
    script.call_within(Kind::Write, Some(10));
    script.wait(10);
    script.wants(&["resolve 258 Unreached: not executed"]);
    // Its number is left out.
    script.done(1, &[1]);
    script.writes(1);
    script.wants(&["resolve 2 @9"]);
    script.done(1, &[2]);
    script.wants(&["resolve 3 @9", "send 1 calls s1#258/2"]);
}

#[test]
fn more_than_may_wait_is_overloaded() {
    let mut script = Script::connected("a");
    script.writes(256 + 4096);
    assert_eq!(sent(&mut script), 256);
    script.writes(1);
    script.wants(&["resolve 4354 Overloaded: not executed"]);
}

#[test]
fn reads_have_numbers_and_a_window_of_their_own() {
    let mut script = Script::connected("a");
    script.call(Kind::Read);
    script.call(Kind::Write);
    script.call(Kind::StaleRead);
    script.tick();
    script.done(1, &[READS | 2, READS | 1, 1]);
    script.wants(&[
        "send 1 calls s1#1/0",
        "send 1 reads s1#r1",
        "send 1 stale reads s1#r2",
        "resolve 4 @9",
        "resolve 2 @9",
        "resolve 3 @9",
    ]);
}

#[test]
fn a_call_by_name_waits_for_all_earlier_ones_and_later_ones_for_it() {
    let mut script = Script::connected("a");
    script.call(Kind::Write);
    let by_name = json(&mut script);
    script.writes(1);
    script.wants(&["send 1 calls s1#1/0"]);
    script.done(1, &[1]);
    script.wants(&["resolve 2 @9", "send 1 json s1#2", "send 1 calls s1#3/1"]);
    let reply = ClientReply::Json {
        call: super::script::call(2),
        position: Position(10),
        reply: "[]".to_owned(),
    };
    script.hear(1, reply);
    let text = "JsonReply { position: @10, text: \"[]\" }";
    script.wants(&[&format!("resolve {by_name} Json({text})")]);
}

#[test]
fn a_call_by_name_fails_as_any_other() {
    let mut script = Script::connected("a");
    json(&mut script);
    script.tick();
    script.done(1, &[1]);
    script.outcome(1, &[1], &Outcome::Panicked);
    script.wants(&["send 1 json s1#1", "resolve 2 Panicked: maybe executed"]);
}

#[test]
fn a_session_without_users_goes_with_its_last_request() {
    let mut script = Script::connected("a");
    script.writes(1);
    let session = script.session;
    script.input(super::super::Input::Forget { session });
    script.done(1, &[1]);
    script.wants(&["send 1 calls s1#1/0", "resolve 2 @9"]);
    // Nothing of it is left: a late reply finds nobody.
    script.done(1, &[1]);
    script.wants(&[]);
}

#[test]
fn large_arguments_leave_in_frames_that_members_accept() {
    let mut script = Script::connected("a");
    for _ in 0..5 {
        let mut request = super::script::request(Kind::Write, None);
        request.arguments = vec![0; 400 << 10].into();
        let session = script.session;
        script.ask(Asked::Call { session, request });
    }
    script.tick();
    script.wants(&[
        "send 1 calls s1#1/0 s1#2/0",
        "send 1 calls s1#3/0 s1#4/0",
        "send 1 calls s1#5/0",
    ]);
}
