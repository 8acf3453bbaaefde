//! Tests of the daemon's machine: situations as sequences of inputs.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use wire::Version;
use wire::member::Seat;
use wire::peer::Contact;

use super::*;

const NOW: Time = Time(1_000_000);

fn assignment(attempt: u32) -> Assignment {
    Assignment {
        group: "g".to_owned(),
        service: "s".to_owned(),
        version: Version::new(1, 0, 0),
        build: None,
        role: Role::Join {
            incarnation: 1,
            seat: Seat(0),
            attempt,
            contacts: Vec::new().into(),
        },
    }
}

fn hear(daemon: &mut Daemon, connection: Connection, request: DaemonRequest) -> Vec<Output> {
    let mut out = Vec::new();
    daemon.heard(NOW, connection, request, &mut out);
    out
}

fn start(daemon: &mut Daemon, connection: Connection, attempt: u32) -> Vec<Output> {
    let request = DaemonRequest::Start {
        token: 7,
        assignment: assignment(attempt),
    };
    hear(daemon, connection, request)
}

fn running() -> Daemon {
    let mut daemon = Daemon::new("alpha");
    let out = start(&mut daemon, 1, 1);
    assert!(matches!(out[..], [Output::Spawn { start: 1, .. }]));
    daemon.started(Time(0), 1, 500, Build([1; 32]), &mut Vec::new());
    let address = "127.0.0.1:1".parse().unwrap();
    hear(
        &mut daemon,
        2,
        DaemonRequest::Register {
            process: 500,
            group: "g".to_owned(),
            address,
        },
    );
    let others = vec![Contact {
        member: MemberId::new(9).unwrap(),
        address: "127.0.0.1:9".parse().unwrap(),
        takes_requests: true,
    }];
    let member = MemberId::new(3).unwrap();
    hear(
        &mut daemon,
        2,
        DaemonRequest::Members {
            incarnation: 4,
            member,
            others: others.into(),
        },
    );
    daemon
}

#[test]
fn the_same_attempt_is_started_once() {
    let mut daemon = running();
    let out = start(&mut daemon, 8, 1);
    assert!(matches!(
        out[..],
        [Output::Reply {
            connection: 8,
            reply: DaemonReply::Started { process: 500, .. }
        }]
    ));
    assert!(matches!(
        start(&mut daemon, 8, 2)[..],
        [Output::Spawn { .. }]
    ));
}

#[test]
fn a_death_is_told_to_the_members_and_to_who_asked() {
    let mut daemon = running();
    let mut out = Vec::new();
    daemon.ended(500, "killed by signal 9", "last words", &mut out);
    assert!(
        matches!(&out[0], Output::Death { incarnation: 4, member, .. } if member.number() == 3)
    );
    assert!(matches!(
        &out[1],
        Output::Reply { connection: 1, reply: DaemonReply::Ended { token: 7, how } }
            if how.contains("signal 9") && how.contains("last words")
    ));
    assert!(!daemon.knows(500));
}

#[test]
fn a_replica_that_does_not_leave_is_killed_after_the_grace() {
    let mut daemon = running();
    let out = hear(
        &mut daemon,
        5,
        DaemonRequest::Stop {
            token: 1,
            process: 500,
        },
    );
    assert_eq!(
        out[0],
        Output::Reply {
            connection: 2,
            reply: DaemonReply::Leave
        }
    );
    assert_eq!(out[1], Output::Terminate { process: 500 });
    let deadline = daemon.deadline().unwrap();
    let mut out = Vec::new();
    daemon.tick(Time(deadline.0 - 1), &mut out);
    assert_eq!(out, []);
    daemon.tick(deadline, &mut out);
    assert_eq!(out, [Output::Kill { process: 500 }]);
    out.clear();
    daemon.ended(500, "killed", "", &mut out);
    assert!(out.contains(&Output::Reply {
        connection: 5,
        reply: DaemonReply::Stopped { token: 1 }
    }));
}

#[test]
fn an_unknown_process_is_refused_with_its_number() {
    let mut daemon = Daemon::new("alpha");
    let out = hear(
        &mut daemon,
        5,
        DaemonRequest::Stop {
            token: 1,
            process: 77,
        },
    );
    assert!(matches!(
        &out[..],
        [Output::Reply { reply: DaemonReply::Failed { why, .. }, .. }] if why.contains("77")
    ));
}

#[test]
fn an_adopted_replica_is_reported_like_any_other() {
    let mut daemon = Daemon::new("alpha");
    daemon.adopt(500, assignment(1), Build([1; 32]));
    assert_eq!(daemon.records().len(), 1);
    let mut out = Vec::new();
    daemon.ended(500, "gone", "", &mut out);
    assert_eq!(out, [Output::Forget { process: 500 }]);
}

#[test]
fn a_process_that_never_registers_is_ended() {
    let mut daemon = Daemon::new("alpha");
    let mut out = start(&mut daemon, 1, 1);
    assert!(matches!(out[..], [Output::Spawn { start: 1, .. }]));
    daemon.started(Time(5), 1, 500, Build([1; 32]), &mut out);
    let deadline = daemon.deadline().unwrap();
    assert_eq!(deadline, Time(5).after(REGISTER_PATIENCE));
    out.clear();
    daemon.tick(Time(deadline.0 - 1), &mut out);
    assert_eq!(out, []);
    daemon.tick(deadline, &mut out);
    assert_eq!(out, [Output::Kill { process: 500 }]);
    assert_eq!(running().deadline(), None, "who has registered may stay");
}

fn who(incarnation: u64, member: u64) -> Who {
    Who {
        group: "g".to_owned(),
        incarnation,
        member: MemberId::new(member).unwrap(),
    }
}

fn fate(daemon: &mut Daemon, of: Who) -> Fate {
    let request = DaemonRequest::Fate {
        token: 6,
        group: of.group,
        incarnation: of.incarnation,
        member: of.member,
    };
    match &hear(daemon, 8, request)[..] {
        [
            Output::Reply {
                connection: 8,
                reply: DaemonReply::Fate { token: 6, fate },
            },
        ] => fate.clone(),
        other => panic!("one answer, not {other:?}"),
    }
}

#[test]
fn what_became_of_a_member_is_said_to_whoever_asks() {
    let mut daemon = running();
    assert_eq!(fate(&mut daemon, who(4, 3)), Fate::Runs);
    assert_eq!(fate(&mut daemon, who(5, 3)), Fate::Unknown, "another life");
    assert_eq!(fate(&mut daemon, who(4, 2)), Fate::Unknown, "never here");
    daemon.ended(500, "signal 9", "", &mut Vec::new());
    let how = "signal 9".to_owned();
    assert_eq!(fate(&mut daemon, who(4, 3)), Fate::Ended { how });
    assert_eq!(fate(&mut daemon, who(5, 3)), Fate::Unknown);
}

#[test]
fn who_a_process_is_is_written_down_and_told_by_the_next_daemon() {
    let mut daemon = Daemon::new("alpha");
    start(&mut daemon, 1, 1);
    daemon.started(NOW, 1, 500, Build([1; 32]), &mut Vec::new());
    let address = "127.0.0.1:1".parse().unwrap();
    let register = DaemonRequest::Register {
        process: 500,
        group: "g".to_owned(),
        address,
    };
    hear(&mut daemon, 2, register);
    let members = |incarnation| DaemonRequest::Members {
        incarnation,
        member: MemberId::new(3).unwrap(),
        others: Vec::new().into(),
    };
    let remember = |incarnation| Output::Remember {
        process: 500,
        who: who(incarnation, 3),
    };
    assert_eq!(hear(&mut daemon, 2, members(4)), [remember(4)]);
    assert_eq!(hear(&mut daemon, 2, members(4)), [], "once");
    assert_eq!(hear(&mut daemon, 2, members(5)), [remember(5)]);

    let mut next = Daemon::new("alpha");
    next.gone(who(5, 3), "it ended while no daemon ran");
    assert!(matches!(fate(&mut next, who(5, 3)), Fate::Ended { .. }));
}

#[test]
fn ends_are_remembered_within_bounds() {
    let mut daemon = Daemon::new("alpha");
    for member in 1..=1_000 {
        daemon.gone(who(1, member), "gone");
    }
    assert_eq!(fate(&mut daemon, who(1, 1)), Fate::Unknown);
    assert!(matches!(
        fate(&mut daemon, who(1, 1_000)),
        Fate::Ended { .. }
    ));
    assert_eq!(daemon.ends.len(), ENDS_MAX);
}
