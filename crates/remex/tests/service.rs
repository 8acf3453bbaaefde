//! What `#[remex::service]` writes: requests, replies, kinds, `since`, evolution and JSON.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod counter;

use std::sync::Arc;

use remex::{
    Call, Context, JsonError, MethodId, OrderedTime, OwnedCall, Position, Refusal, Service, Version,
};
use serde::Serialize;
use serde_json::{Value, json};

use counter::{v1, v2, v3};

fn context(effective: &str) -> Context {
    Context {
        time: OrderedTime(5),
        position: Position(7),
        index: 0,
        effective: Arc::new(Version::parse(effective).unwrap()),
        seed: 1,
    }
}

fn call<'a>(method: &str, arguments: &'a [u8]) -> Call<'a> {
    Call {
        method: MethodId::of(method),
        signature: 0,
        arguments,
    }
}

fn apply<S: Service>(
    service: &mut S,
    effective: &str,
    method: &str,
    arguments: &impl Serialize,
) -> Result<Value, Refusal> {
    let arguments = rmp_serde::to_vec_named(arguments).unwrap();
    let reply = service.apply(&context(effective), call(method, &arguments))?;
    Ok(S::reply_to_json(MethodId::of(method), &reply).unwrap())
}

fn read<S: Service>(service: &S, effective: &str, method: &str) -> Result<Value, Refusal> {
    let arguments = rmp_serde::to_vec_named(&json!({})).unwrap();
    let reply = service.read(&context(effective), call(method, &arguments))?;
    Ok(S::reply_to_json(MethodId::of(method), &reply).unwrap())
}

#[test]
fn a_request_executes_the_method_that_it_names() {
    let mut counter = v1::Counter::initial();
    assert_eq!(
        apply(&mut counter, "1.0.0", "add", &json!({"by": 4})),
        Ok(json!({"Ok": 4}))
    );
    assert_eq!(
        apply(&mut counter, "1.0.0", "add", &json!({"by": 0})),
        Ok(json!({"Err": "Nothing"}))
    );
    assert_eq!(read(&counter, "1.0.0", "count"), Ok(json!(4)));
}

#[test]
fn the_context_reaches_the_method() {
    let mut counter = v1::Counter::initial();
    assert_eq!(
        apply(&mut counter, "1.0.0", "place", &json!({})),
        Ok(json!([7, 5, "1.0.0"]))
    );
}

#[test]
fn refusals_change_nothing_and_name_no_version() {
    let mut counter = v1::Counter::initial();
    let none = json!({});
    assert_eq!(
        apply(&mut counter, "1.0.0", "nothing", &none),
        Err(Refusal::UnknownMethod)
    );
    assert_eq!(
        apply(&mut counter, "1.0.0", "helper", &none),
        Err(Refusal::UnknownMethod)
    );
    assert_eq!(
        apply(&mut counter, "1.0.0", "add", &none),
        Err(Refusal::Malformed)
    );
    assert_eq!(
        apply(&mut counter, "1.0.0", "add", &json!({"by": "x"})),
        Err(Refusal::Malformed)
    );
    assert_eq!(
        apply(&mut counter, "1.0.0", "count", &none),
        Err(Refusal::WrongKind)
    );
    assert_eq!(read(&counter, "1.0.0", "add"), Err(Refusal::WrongKind));
    let mut bytes = rmp_serde::to_vec_named(&json!({"by": 1})).unwrap();
    bytes.push(0);
    let refused = counter.apply(&context("1.0.0"), call("add", &bytes));
    assert_eq!(refused, Err(Refusal::Malformed));
    let refused = counter.apply(&context("1.0.0"), call("add", &[0xc1]));
    assert_eq!(refused, Err(Refusal::Malformed));
    assert_eq!(counter, v1::Counter::initial());
}

#[test]
fn a_method_exists_from_its_version_on() {
    let mut counter = v2::Counter::initial();
    let arguments = json!({});
    assert_eq!(
        apply(&mut counter, "1.0.0", "reset", &arguments),
        Err(Refusal::UnknownMethod)
    );
    assert_eq!(
        read(&counter, "1.9.9", "reset"),
        Err(Refusal::UnknownMethod)
    );
    assert_eq!(read(&counter, "2.0.0", "reset"), Err(Refusal::WrongKind));
    assert_eq!(
        apply(&mut counter, "2.0.0", "reset", &arguments),
        Ok(json!(null))
    );
    assert_eq!(
        apply(&mut counter, "3.1.0", "reset", &arguments),
        Ok(json!(null))
    );
}

#[test]
fn what_an_old_client_sends_a_new_version_decodes() {
    let mut counter = v2::Counter::initial();
    assert_eq!(
        apply(&mut counter, "2.0.0", "add", &json!({"by": 4})),
        Ok(json!({"Ok": 4}))
    );
    let twice = json!({"by": 4, "times": 2});
    assert_eq!(
        apply(&mut counter, "2.0.0", "add", &twice),
        Ok(json!({"Ok": 12}))
    );
}

/// Members of both versions must refuse the same requests while the old behaviour holds.
#[test]
fn a_new_argument_is_refused_by_both_versions_until_it_exists() {
    for arguments in [
        json!({"by": 4, "times": 2}),
        json!({"by": 4, "times": null}),
        json!({"by": 4, "unheard": 1}),
        json!({"by": 4}),
        json!({"times": 1}),
        json!([4]),
        json!(null),
    ] {
        assert_eq!(
            apply(&mut v1::Counter::initial(), "1.0.0", "add", &arguments),
            apply(&mut v2::Counter::initial(), "1.0.0", "add", &arguments),
            "{arguments}"
        );
    }
}

#[test]
fn json_calls_come_by_position_and_by_name() {
    let by_name = v2::Counter::call_from_json("add", &json!({"by": 4})).unwrap();
    assert_eq!(
        v2::Counter::call_from_json("add", &json!([4])),
        Ok(by_name.clone())
    );
    assert_eq!(by_name.method, MethodId::of("add"));
    assert!(!by_name.read);
    // What is not given is not sent: an older version takes the call too.
    assert_eq!(
        by_name.arguments,
        rmp_serde::to_vec_named(&json!({"by": 4})).unwrap()
    );
    let count: OwnedCall = v2::Counter::call_from_json("count", &Value::Null).unwrap();
    assert!(count.read);
}

#[test]
fn json_faults_say_what_is_expected() {
    let why = |method, arguments| {
        let error: JsonError = v2::Counter::call_from_json(method, &arguments).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        why("ad", json!([])),
        "no method \"ad\"; there are: add, place, count, reset"
    );
    for (arguments, part) in [
        (json!([]), "missing field `by`"),
        (json!([1, 2, 3]), "3 arguments are too many"),
        (json!({"of": 1}), "unknown field `of`"),
        (json!(1), "an array (by position)"),
    ] {
        let text = why("add", arguments);
        assert!(
            text.contains(part) && text.ends_with("expected [by, times]"),
            "{text}"
        );
    }
    assert!(v2::Counter::reply_to_json(MethodId::of("add"), b"").is_err());
    assert!(v2::Counter::reply_to_json(MethodId::of("nothing"), b"").is_err());
}

#[test]
fn a_description_tells_methods_shapes_and_formats() {
    let description = v2::Counter::describe();
    assert_eq!(description.service, "counter");
    assert_eq!(description.version, Version::new(2, 0, 0));
    assert_eq!(description.state_format, 2);
    assert_eq!(description.state_shape, "{up: u64, down: u64}");
    let add = &description.methods[0];
    assert_eq!((add.name.as_str(), add.id), ("add", MethodId::of("add")));
    assert_eq!(add.arguments, ["by", "times"]);
    assert_eq!(add.arguments_shape, "{by: u32, times?: u32?}");
    assert_eq!(
        add.reply_shape,
        "<Ok: u32, Err: <Nothing, TooMuch: {most: u32}>>"
    );
    assert_eq!(add.signature, wire::fingerprint(&add.arguments_shape));
    let reset = &description.methods[3];
    assert_eq!(reset.since, Some(Version::new(2, 0, 0)));
    assert_eq!((reset.read, reset.reply_shape.as_str()), (false, "unit"));
}

#[test]
fn upgraded_is_the_authors_if_it_is_written() {
    let mut old = v1::Counter::initial();
    Service::upgraded(&mut old);
    assert_eq!(old, v1::Counter { count: u32::MAX });
    let mut new = v2::Counter::initial();
    Service::upgraded(&mut new);
    assert_eq!(new, v2::Counter::initial());
}

#[test]
fn names_travel_without_the_marks_of_the_language() {
    let mut counter = v3::Counter::initial();
    assert_eq!(
        apply(&mut counter, "3.0.0", "move", &json!({"type": 5})),
        Ok(json!(null))
    );
    assert_eq!(counter.count, 5);
    let call = v3::Counter::call_from_json("move", &json!({"type": 5}));
    assert_eq!(call.map(|call| call.method), Ok(MethodId::of("move")));
    assert_eq!(
        v3::Counter::describe().methods[1].arguments_shape,
        "{type: i128}"
    );
}
