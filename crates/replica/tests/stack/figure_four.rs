//! The interactions of Figure 4: what the upgrade layer hears, and what it asks of the invocation
//! layer and of the daemon.

use wire::client::{CallId, ClientReply, ClientRequest, Decline};
use wire::{MemberId, SessionId};

use crate::members::Members;

fn id(number: u64) -> MemberId {
    MemberId::new(number).unwrap()
}

/// Two members that serve, the first leading.
fn two() -> Members {
    let mut members = Members::found(2, 1);
    members.until("a second member is asked for", |members| {
        !members.asked.is_empty()
    });
    let asked = members.asked.remove(0);
    members.start(&asked);
    members.until("both are members", |members| {
        members.replica(id(1)).membership().view.members.len() == 2
    });
    members
}

/// §4.2: "the upgrade layer will listen for viewChange() events from the PGMS": each of them, in
/// order, at its own place among what else happens.
#[test]
fn each_view_is_told_to_the_upgrade_layer() {
    let mut members = two();
    members.upgrade(id(1));
    let asked = members.asked.remove(0);
    members.start(&asked);
    members.until("the first turn is over", |members| {
        members.ended.iter().any(|(ended, _)| *ended == id(2))
    });
    let seen = members.seen[&id(1)].lock().unwrap().clone();
    let views: Vec<&str> = seen
        .iter()
        .filter_map(|what| what.split_once("; members: "))
        .map(|(_, members)| members)
        .collect();
    let expected = [
        "1v1.0.0 2v1.0.0",
        "1v1.0.0 2v1.0.0 3v2.0.0",
        "1v1.0.0 3v2.0.0",
    ];
    assert_eq!(views, expected, "{seen:#?}");
}

/// §4.2: "the upgrade layer interacts with the EGMI layer, as indicated by the stopRequests()
/// method": once it holds the turn a member takes nothing, and the others go on.
#[test]
fn the_upgrade_layer_stops_requests_at_the_invocation_layer() {
    let mut members = two();
    let open = |token| ClientRequest::Open { token };
    let opened = |replies: &[ClientReply]| matches!(replies, [ClientReply::Opened { .. }]);
    for member in [1, 2] {
        let replies = members.request(id(member), open(1));
        assert!(opened(&replies), "{replies:?}");
    }
    members.upgrade(id(1));
    assert_eq!(members.asked[0].by, id(2), "the leader goes last");
    let replies = members.request(id(2), open(2));
    let stopped = ClientReply::Declined {
        calls: vec![CallId {
            session: SessionId(0),
            number: 2,
        }]
        .into(),
        reason: Decline::AskAnother,
    };
    assert_eq!(replies, [stopped]);
    let replies = members.request(id(1), open(3));
    assert!(opened(&replies), "{replies:?}");
    // upgrading -failure; resume requests-> idle_upgrade
    let asked = members.asked.remove(0);
    members.refuse(&asked);
    let replies = members.request(id(2), open(4));
    assert!(opened(&replies), "{replies:?}");
}

/// §3.3: "The enabling condition is evaluated periodically": at each view, without any time
/// passing, and when the pause after a failure is over, without anything else happening.
#[test]
fn the_turn_is_evaluated_at_each_view_and_at_a_deadline() {
    let mut members = two();
    members.upgrade(id(1));
    for pause in [200, 400] {
        let asked = members.asked.remove(0);
        assert_eq!(asked.by, id(2));
        members.refuse(&asked);
        assert!(members.asked.is_empty(), "a failure is followed by a pause");
        let since = members.ms();
        members.until("the pause is over", |members| !members.asked.is_empty());
        assert_eq!(members.ms() - since, pause);
    }
    let last = members.asked.remove(0);
    members.start(&last);
    members.until("a view names the next turn", |members| {
        !members.asked.is_empty()
    });
    let next = &members.asked[0];
    assert_eq!(next.by, id(1));
    let seen = members.seen[&id(1)].lock().unwrap().clone();
    let view = seen
        .iter()
        .position(|what| what.contains("1v1.0.0 3v2.0.0"));
    let turn = seen.iter().position(|what| what.contains("turn of m1"));
    assert!(view.is_some() && view < turn, "{seen:#?}");
}
