//! Version 3 beside versions 2 and 1: the mapping commutes with execution under each effective
//! version, sums stay, and the new behaviour begins where it is told to.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use ledger_v3::v2::v1;
use ledger_v3::{Ledger, v2};
use proptest::prelude::*;
use remex::{Call, Context, MethodId, OrderedTime, Position, Refusal, Service, Version};
use serde_json::{Value, json};

/// A request by name, with JSON arguments.
type Request = (&'static str, Value);

fn accounts() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["alice", "bob", "carol", "dave"])
}

/// Few accounts, streams and numbers, so that requests meet each other.
fn requests() -> impl Strategy<Value = Vec<Request>> {
    let open =
        (accounts(), 0..200u64).prop_map(|(account, initial)| ("open", json!([account, initial])));
    let transfer = (accounts(), accounts(), 0..60u64, 0..3u32, 0..12u64).prop_map(
        |(from, to, amount, stream, number)| {
            let reference = json!({"stream": stream, "number": number});
            ("transfer", json!([from, to, amount, reference]))
        },
    );
    let freeze = accounts().prop_map(|account| ("freeze", json!([account])));
    let unfreeze = accounts().prop_map(|account| ("unfreeze", json!([account])));
    let request = prop_oneof![2 => open, 8 => transfer, 1 => freeze, 1 => unfreeze];
    prop::collection::vec(request, 0..60)
}

fn context(effective: &str, position: u64) -> Context {
    Context {
        time: OrderedTime(position * 3),
        position: Position(position),
        index: 0,
        effective: Arc::new(Version::parse(effective).unwrap()),
        seed: 9,
    }
}

/// The bytes of the reply, as a member would give them.
fn apply<S: Service>(
    service: &mut S,
    effective: &str,
    position: u64,
    (method, arguments): &Request,
) -> Result<Vec<u8>, Refusal> {
    // The bytes are those of version 3's own client: older versions must take them or refuse alike.
    let call = Ledger::call_from_json(method, arguments).unwrap();
    let call = Call {
        method: MethodId::of(method),
        signature: call.signature,
        arguments: &call.arguments,
    };
    service.apply(&context(effective, position), call)
}

fn read<S: Service>(service: &S, effective: &str, method: &str) -> Result<Vec<u8>, Refusal> {
    let arguments = match method {
        "audit" => json!([{"stream": 1, "number": 3}, 2]),
        "accounts" => json!(["alice", 2]),
        "holders" => json!([10, 5]),
        "balance" | "statement" => json!(["alice"]),
        _ => json!([]),
    };
    let call = Ledger::call_from_json(method, &arguments).unwrap();
    let call = Call {
        method: call.method,
        signature: call.signature,
        arguments: &call.arguments,
    };
    service.read(&context(effective, 1), call)
}

fn export<S: Service>(state: &S, format: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    state.export(format, &mut bytes).unwrap();
    bytes
}

/// Executes on the old version up to `at`, maps, and goes on with both.
fn commutes<Old: Service>(
    effective: &str,
    requests: &[Request],
    at: usize,
) -> Result<(), TestCaseError> {
    let at = at.min(requests.len());
    let mut old = Old::initial();
    for (position, request) in requests[..at].iter().enumerate() {
        let _ = apply(&mut old, effective, position as u64, request);
    }
    let mapped = |old: &Old| {
        let bytes = export(old, Old::STATE_FORMAT);
        Ledger::import(Old::STATE_FORMAT, &mut bytes.as_slice()).unwrap()
    };
    let mut new = mapped(&old);
    for (position, request) in requests.iter().enumerate().skip(at) {
        let position = position as u64;
        let old_reply = apply(&mut old, effective, position, request);
        prop_assert_eq!(&old_reply, &apply(&mut new, effective, position, request));
    }
    for method in [
        "audit",
        "accounts",
        "balance",
        "total",
        "statement",
        "holders",
    ] {
        let (old, new) = (read(&old, effective, method), read(&new, effective, method));
        prop_assert_eq!(old, new, "{}", method);
    }
    prop_assert_eq!(export(&new, 3), export(&mapped(&old), 3));
    Ok(())
}

proptest! {
    /// §2.1: "version v + 1 produces the same output as version v, given some input acceptable to
    /// version v", and applying then mapping equals mapping then applying, wherever one maps.
    #[test]
    fn mapping_commutes_with_execution(requests in requests(), at in 0..60usize) {
        commutes::<v2::Ledger>("2.0.0", &requests, at)?;
    }

    /// Two steps at once: a group of version 1 may go to version 3.
    #[test]
    fn mapping_from_version_1_commutes_too(requests in requests(), at in 0..60usize) {
        commutes::<v1::Ledger>("1.0.0", &requests, at)?;
    }

    #[test]
    fn only_opening_changes_the_sum(requests in requests()) {
        let mut ledger = Ledger::default();
        for (position, request) in requests.iter().enumerate() {
            let _ = apply(&mut ledger, "3.0.0", position as u64, request);
            prop_assert_eq!(ledger.total(), ledger.issued);
        }
    }
}

fn transfer_to_nobody(effective: &str) -> Value {
    let mut ledger = Ledger::default();
    ledger.open("alice".to_owned(), 10).unwrap();
    let transfer = (
        "transfer",
        json!(["alice", "bob", 4, {"stream": 0, "number": 1}]),
    );
    let reply = apply(&mut ledger, effective, 5, &transfer).unwrap();
    assert_eq!(ledger.total(), 10);
    Ledger::reply_to_json(MethodId::of("transfer"), &reply).unwrap()
}

#[test]
fn a_transfer_opens_its_receiver_from_the_effective_version_on() {
    let unknown = json!({"Err": {"UnknownAccount": {"account": "bob"}}});
    assert_eq!(transfer_to_nobody("1.0.0"), unknown);
    assert_eq!(transfer_to_nobody("2.0.0"), unknown);
    assert_eq!(
        transfer_to_nobody("3.0.0"),
        json!({"Ok": {"sequence": 1, "balance": 6}})
    );
}

#[test]
fn a_profile_like_that_of_a_fresh_account_is_not_kept() {
    let mut ledger = Ledger::default();
    ledger.open("alice".to_owned(), 10).unwrap();
    let fresh = export(&ledger, 3);
    ledger.freeze("alice".to_owned()).unwrap();
    assert_ne!(export(&ledger, 3), fresh);
    ledger.unfreeze("alice".to_owned()).unwrap();
    assert_eq!(export(&ledger, 3), fresh);
}
