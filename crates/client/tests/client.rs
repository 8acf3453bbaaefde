//! The client against a scripted group on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "these tests speak to real sockets on real tasks, and a failure is a panic"
)]

mod group;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use client::{CallError, Client, ConnectError, Kind, Options, Request, Session, WishError};
use group::{FakeGroup, Mode};
use wire::client::Decline;
use wire::log::UpgradeRequest;
use wire::{MethodId, Position};

fn write(arguments: impl Into<Bytes>) -> Request {
    Request {
        method: MethodId::of("set"),
        signature: 1,
        kind: Kind::Write,
        arguments: arguments.into(),
        deadline: None,
    }
}

/// A client that does not mistake a slow machine for a silent member.
async fn connect(group: &FakeGroup) -> Client {
    let patient = pausing(3000);
    let client = Client::connect_with("ledger", &group.addresses, patient).await;
    client.unwrap()
}

async fn session(group: &FakeGroup) -> (Client, Session) {
    let client = connect(group).await;
    let session = client.session().await.unwrap();
    (client, session)
}

#[tokio::test]
async fn calls_reads_and_calls_by_name_are_answered() {
    let group = FakeGroup::start(3).await;
    let (client, session) = session(&group).await;
    let reply = session.call(write("a")).await.unwrap();
    assert_eq!(reply.bytes, "a");
    assert_eq!(reply.position, Position(1));
    for kind in [Kind::Read, Kind::StaleRead] {
        let request = Request { kind, ..write("b") };
        assert_eq!(session.call(request).await.unwrap().bytes, "b");
    }
    let json = session.call_json("set", "[1]", None).await.unwrap();
    assert_eq!(json.text, "{\"set\":[1]}");
    let document = client.status_document().await.unwrap();
    assert_eq!(document, "{\"schema\":1}");
    let status = client.status().await.unwrap_err();
    assert!(matches!(status, CallError::ReplyMalformed { .. }));
    assert_eq!(client.members().len(), 3);
    assert_eq!(client.counters().retried, 0);
}

fn pausing(retry_after: u64) -> Options {
    Options {
        retry_after: Duration::from_millis(retry_after),
        ..Options::default()
    }
}

/// The member that this client's requests go to.
async fn member_of(group: &FakeGroup, session: &Session) -> SocketAddr {
    session.call(write("whose")).await.unwrap();
    group.executed().last().unwrap().by
}

/// Waits until the group sees what is wanted.
async fn until(what: &str, mut seen: impl FnMut() -> bool) {
    let waiting = async {
        while !seen() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let patience = Duration::from_secs(10);
    let waited = tokio::time::timeout(patience, waiting).await;
    assert!(waited.is_ok(), "not seen in {patience:?}: {what}");
}

/// Everything was executed once, in the order of its numbers.
fn assert_once_and_in_order(group: &FakeGroup, writes: usize) {
    let executed = group.executed();
    assert_eq!(executed.len(), writes);
    let mut last = std::collections::BTreeMap::new();
    for executed in executed {
        let before = last.insert(executed.call.session, executed.call.number);
        assert!(before < Some(executed.call.number), "in order");
        assert!(executed.acknowledged < executed.call.number);
    }
}

#[tokio::test]
async fn many_sessions_share_one_connection_and_pipeline() {
    let group = FakeGroup::start(3).await;
    let client = connect(&group).await;
    let mut calls = Vec::new();
    for at in 0..20_u32 {
        let session = client.session().await.unwrap();
        calls.push(tokio::spawn(async move {
            let asked = |number: u32| {
                let arguments = Bytes::from(format!("{at} {number}"));
                let call = session.call(write(arguments.clone()));
                async move { assert_eq!(call.await.unwrap().bytes, arguments) }
            };
            let calls: Vec<_> = (0..400).map(asked).collect();
            for call in calls {
                call.await;
            }
        }));
    }
    for call in calls {
        call.await.unwrap();
    }
    assert_once_and_in_order(&group, 20 * 400);
    // The one in use and the one that stands by.
    assert_eq!(group.connected().len(), 2);
    assert_eq!(client.counters().retried, 0);
    let requests = client.counters().requests;
    assert_eq!(requests, 20 * 400 + 20 + 1);
}

#[tokio::test]
async fn a_broken_connection_is_not_noticed() {
    let group = FakeGroup::start(3).await;
    let (client, session) = session(&group).await;
    let mut writes = 0;
    for _ in 0..10 {
        let member = member_of(&group, &session).await;
        writes += 1;
        // Executed, its reply lost with the connection: the other member knows it.
        group.set(member, Mode::Swallows);
        let call = session.call(write("lost"));
        until("the request is executed", || {
            group.executed().len() > writes
        })
        .await;
        group.break_off(member);
        assert_eq!(call.await.unwrap().bytes, "lost");
        group.set(member, Mode::Serves);
        writes += 1;
    }
    assert_once_and_in_order(&group, writes);
    assert!(client.counters().reconnected >= 10);
}

#[tokio::test]
async fn a_member_that_takes_no_requests_is_left_and_its_clients_go_along() {
    let group = FakeGroup::start(3).await;
    let (_client, session) = session(&group).await;
    let member = member_of(&group, &session).await;
    group.set(member, Mode::Declines(Decline::AskAnother));
    let call = session.call(write("declined")).await.unwrap();
    assert_eq!(call.bytes, "declined");
    let second = member_of(&group, &session).await;
    assert_ne!(member, second);
    group.set(member, Mode::Serves);
    // Told by a view, without a request that finds out.
    group.set(second, Mode::Swallows);
    let call = session.call(write("moved"));
    until("the request is executed", || {
        group.executed().last().unwrap().arguments == b"moved"
    })
    .await;
    group.takes_requests(second, false);
    assert_eq!(call.await.unwrap().bytes, "moved");
    assert_ne!(member_of(&group, &session).await, second);
    assert_once_and_in_order(&group, 5);
}

#[tokio::test]
async fn a_silent_member_costs_one_retry() {
    let group = FakeGroup::start(3).await;
    let client = Client::connect_with("ledger", &group.addresses, pausing(20))
        .await
        .unwrap();
    let session = client.session().await.unwrap();
    let member = member_of(&group, &session).await;
    group.set(member, Mode::Ignores);
    let calls: Vec<_> = (0..10).map(|_| session.call(write("silence"))).collect();
    for call in calls {
        assert_eq!(call.await.unwrap().bytes, "silence");
    }
    assert_once_and_in_order(&group, 11);
    assert!(client.counters().retried >= 10);
}

#[tokio::test]
async fn bytes_that_are_no_message_end_that_connection_only() {
    let group = FakeGroup::start(2).await;
    let (client, session) = session(&group).await;
    let member = member_of(&group, &session).await;
    group.set(member, Mode::Babbles);
    let reply = session.call(write("clear")).await.unwrap();
    assert_eq!(reply.bytes, "clear");
    assert_eq!(client.counters().reconnected, 1);
}

#[tokio::test]
async fn errors_say_what_became_of_the_request() {
    let group = FakeGroup::start(2).await;
    let (client, session) = session(&group).await;
    let all = |mode: Mode| {
        for &member in &group.addresses {
            group.set(member, mode.clone());
        }
    };
    let quick = || Request {
        deadline: Some(Duration::from_millis(30)),
        ..write("x")
    };
    all(Mode::Declines(Decline::Unavailable));
    let error = session.call(quick()).await.unwrap_err();
    assert_eq!(error, CallError::Unavailable);
    let limit = "bytes that wait".to_owned();
    all(Mode::Declines(Decline::Overloaded { limit }));
    let error = session.call(quick()).await.unwrap_err();
    assert!(matches!(error, CallError::Overloaded { .. }) && error.is_definite());
    all(Mode::Ignores);
    let error = session.call(quick()).await.unwrap_err();
    assert!(error == CallError::Deadline && !error.is_definite());
    all(Mode::Serves);
    // What was given up does not hold the floor: number 3 was, and 4 acknowledges it.
    session.call(write("x")).await.unwrap();
    assert_eq!(group.executed().last().unwrap().acknowledged, 3);
    let target = wire::member::Binary {
        version: wire::Version::new(2, 0, 0),
        build: wire::Build([0; 32]),
    };
    let refused = client.upgrade(UpgradeRequest {
        target,
        parallel: 1,
        attempts: 1,
        patience_ms: 1,
        token: 1,
    });
    let why = "another upgrade runs".to_owned();
    assert_eq!(refused.await, Err(WishError::Refused(why)));
}

#[tokio::test]
async fn nobody_to_connect_to_is_told_with_the_reason() {
    let nobody = Client::connect("ledger", &[]).await;
    assert_eq!(nobody.unwrap_err(), ConnectError::NoContacts);
    let group = FakeGroup::start(1).await;
    let options = Options {
        connect_within: Duration::from_millis(100),
        ..Options::default()
    };
    let error = Client::connect_with("kv", &group.addresses, options)
        .await
        .unwrap_err();
    let told = "this is a member of `ledger`, not of `kv`";
    assert!(error.to_string().contains(told), "{error}");
    // A listener that is gone: nobody answers there.
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let error = Client::connect_with("ledger", &[address], options)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("cannot be reached"), "{error}");
}

#[tokio::test]
async fn clients_of_one_process_spread_over_the_members() {
    let group = FakeGroup::start(3).await;
    let mut members = std::collections::BTreeSet::new();
    let mut clients = Vec::new();
    for _ in 0..24 {
        let (client, session) = session(&group).await;
        members.insert(member_of(&group, &session).await);
        clients.push((client, session));
    }
    assert_eq!(members.len(), 3);
}

#[tokio::test]
async fn a_client_ends_with_its_last_handle() {
    let group = FakeGroup::start(3).await;
    let (client, session) = session(&group).await;
    drop(client);
    session.call(write("still here")).await.unwrap();
    assert!(!group.connected().is_empty());
    drop(session);
    until("its connections are closed", || {
        group.connected().is_empty()
    })
    .await;
}

#[test]
fn a_client_whose_runtime_is_gone_is_shut_down() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (group, session) = runtime.block_on(async {
        let group = FakeGroup::start(1).await;
        let (_, session) = session(&group).await;
        (group, session)
    });
    drop(runtime);
    drop(group);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let reply = runtime.block_on(session.call(write("nobody hears this")));
    assert_eq!(reply, Err(CallError::ShutDown));
}

#[test]
fn the_blocking_client_does_the_same_on_threads() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let group = runtime.block_on(FakeGroup::start(3));
    let client = client::blocking::Client::connect_with("ledger", &group.addresses, pausing(3000));
    let client = client.unwrap();
    let session = client.session().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(session.call(write("thread")).unwrap().bytes, "thread");
                }
            });
        }
    });
    assert_once_and_in_order(&group, 200);
    let json = session.call_json("set", "[1]", None).unwrap();
    assert_eq!(json.text, "{\"set\":[1]}");
    assert_eq!(client.status_document().unwrap(), "{\"schema\":1}");
    assert_eq!(client.members().len(), 3);
    assert!(matches!(
        client.status(),
        Err(CallError::ReplyMalformed { .. })
    ));
    assert_eq!(client.counters().retried, 0);
}
