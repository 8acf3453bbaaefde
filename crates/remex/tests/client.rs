//! The typed clients: what the macro writes for callers.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod counter;

use counter::v2;
use remex::client::ConnectError;
use remex::{CallError, OpenError};

/// Compiled and never run: both clients have the methods, with the types of the service.
#[allow(dead_code, reason = "the types are the test")]
async fn both_clients_are_typed(
    client: v2::CounterClient,
    blocking: v2::CounterBlockingClient,
) -> Result<(), CallError> {
    let added: Result<u32, counter::Refused> = client.add(4, None).await?;
    assert_eq!(added, blocking.add(4, Some(2))?);
    let count: u32 = client.clone().with_stale_reads().count().await?;
    assert_eq!(count, blocking.count()?);
    client.reset().await
}

/// Callers move their clients and requests between threads.
#[allow(dead_code, reason = "the bounds are the test")]
fn requests_move_between_threads(client: v2::CounterClient) {
    fn moves<T: Send + 'static>(_: T) {}
    moves(async move { client.add(1, None).await });
}

#[test]
fn a_client_without_contacts_says_what_is_missing() {
    let error = v2::CounterBlockingClient::connect("counter", &[]).unwrap_err();
    assert_eq!(error, OpenError::Connect(ConnectError::NoContacts));
}
