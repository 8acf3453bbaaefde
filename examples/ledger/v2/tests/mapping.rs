//! Version 2 beside version 1: the mapping commutes with execution, sums stay, and the way back
//! leads where it came from.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use ledger_v2::{Ledger, v1};
use proptest::prelude::*;
use remex::{
    Call, Context, MethodId, OrderedTime, Position, Refusal, Reversible, Service, Successor,
    Version,
};
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
    // The bytes are those of version 2's own client: version 1 must take them or refuse alike.
    let call = Ledger::call_from_json(method, arguments).unwrap();
    let call = Call {
        method: MethodId::of(method),
        signature: call.signature,
        arguments: &call.arguments,
    };
    service.apply(&context(effective, position), call)
}

fn read<S: Service>(service: &S, method: &str) -> Result<Vec<u8>, Refusal> {
    let arguments = match method {
        "audit" => json!([{"stream": 1, "number": 3}, 2]),
        "accounts" => json!(["alice", 2]),
        "balance" | "statement" => json!(["alice"]),
        _ => json!([]),
    };
    let call = Ledger::call_from_json(method, &arguments).unwrap();
    let call = Call {
        method: call.method,
        signature: call.signature,
        arguments: &call.arguments,
    };
    service.read(&context("1.0.0", 1), call)
}

fn export<S: Service>(state: &S, format: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    state.export(format, &mut bytes).unwrap();
    bytes
}

proptest! {
    /// §2.1: "version v + 1 produces the same output as version v, given some input acceptable to
    /// version v", and applying then mapping equals mapping then applying, wherever one maps.
    #[test]
    fn mapping_commutes_with_execution(requests in requests(), at in 0..60usize) {
        let at = at.min(requests.len());
        let mut old = v1::Ledger::default();
        for (position, request) in requests[..at].iter().enumerate() {
            let _ = apply(&mut old, "1.0.0", position as u64, request);
        }
        let mut new = Ledger::import(1, &mut export(&old, 1).as_slice()).unwrap();
        for (position, request) in requests.iter().enumerate().skip(at) {
            let position = position as u64;
            let old_reply = apply(&mut old, "1.0.0", position, request);
            prop_assert_eq!(&old_reply, &apply(&mut new, "1.0.0", position, request));
        }
        for method in ["audit", "accounts", "balance", "total", "statement"] {
            prop_assert_eq!(read(&old, method), read(&new, method), "{}", method);
        }
        prop_assert_eq!(export(&new, 2), export(&Ledger::map(old).unwrap(), 2));
    }

    /// Mapping back after mapping is the same state, to the byte.
    #[test]
    fn the_way_back_leads_where_it_came_from(requests in requests()) {
        let mut old = v1::Ledger::default();
        for (position, request) in requests.iter().enumerate() {
            let _ = apply(&mut old, "1.0.0", position as u64, request);
        }
        let bytes = export(&old, 1);
        let new = Ledger::map(old.clone()).unwrap();
        prop_assert_eq!(new.map_back().unwrap(), old);
        prop_assert_eq!(export(&new, 1), bytes);
    }

    /// Also where the new behaviour holds: what version 1 would know is what comes back.
    #[test]
    fn a_state_that_was_used_maps_back_unless_something_is_frozen(requests in requests()) {
        let mut new = Ledger::default();
        for (position, request) in requests.iter().enumerate() {
            let _ = apply(&mut new, "2.0.0", position as u64, request);
        }
        let frozen = new.accounts.values().any(|holding| holding.frozen);
        match new.map_back() {
            Ok(old) => {
                prop_assert!(!frozen);
                prop_assert_eq!(old.total(), new.total());
                prop_assert_eq!(Ledger::map(old.clone()).unwrap().map_back().unwrap(), old);
            }
            Err(why) => prop_assert!(frozen, "{}", why),
        }
    }

    #[test]
    fn only_opening_changes_the_sum(requests in requests()) {
        let mut old = v1::Ledger::default();
        let mut new = Ledger::default();
        for (position, request) in requests.iter().enumerate() {
            let _ = apply(&mut old, "1.0.0", position as u64, request);
            let _ = apply(&mut new, "2.0.0", position as u64, request);
            prop_assert_eq!(old.total(), old.issued);
            prop_assert_eq!(new.total(), new.issued);
        }
    }
}

#[test]
fn a_frozen_account_pays_nobody() {
    let mut ledger = Ledger::default();
    ledger.open("alice".to_owned(), 10).unwrap();
    ledger.open("bob".to_owned(), 0).unwrap();
    ledger.freeze("alice".to_owned()).unwrap();
    let transfer = (
        "transfer",
        json!(["alice", "bob", 1, {"stream": 0, "number": 1}]),
    );
    let reply = apply(&mut ledger, "2.0.0", 5, &transfer).unwrap();
    let reply = Ledger::reply_to_json(MethodId::of("transfer"), &reply).unwrap();
    assert_eq!(
        reply,
        json!({"Err": {"Denied": {"why": "the account is frozen"}}})
    );
    ledger.unfreeze("alice".to_owned()).unwrap();
    apply(&mut ledger, "2.0.0", 6, &transfer).unwrap();
    let statement = ledger.statement("alice".to_owned()).unwrap();
    assert_eq!(
        (statement.balance, statement.sent, statement.received),
        (9, 1, 0)
    );
}

#[test]
fn a_client_of_version_1_understands_what_version_2_refuses() {
    let mut ledger = Ledger::default();
    ledger.open("alice".to_owned(), 10).unwrap();
    ledger.freeze("alice".to_owned()).unwrap();
    let arguments = json!(["alice", "bob", 1, {"stream": 0, "number": 1}]);
    let reply = apply(&mut ledger, "2.0.0", 5, &("transfer", arguments)).unwrap();
    let old = v1::Ledger::reply_to_json(MethodId::of("transfer"), &reply).unwrap();
    assert_eq!(
        old,
        json!({"Err": {"Denied": {"why": "the account is frozen"}}})
    );
}
