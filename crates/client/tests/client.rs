//! The client against a scripted group on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests speak to real sockets on real tasks, and a failure is a panic"
)]

mod group;

use std::time::Duration;

use bytes::Bytes;
use client::{CallError, Client, ConnectError, Kind, Options, Reply, Request, Session};
use group::{FakeGroup, Mode};
use wire::client::Decline;
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

async fn session(group: &FakeGroup) -> (Client, Session) {
    let client = Client::connect("ledger", &group.addresses).await.unwrap();
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
