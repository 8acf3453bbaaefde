//! Whatever comes as a state, as arguments, as a reply or as JSON is understood or refused.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(
    unreachable_pub,
    reason = "a service's methods are `pub`, wherever it lies"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use fuzz::Decoder;
use remex::{Call, Context, MethodId, OrderedTime, Position, Refusal, Service, Version};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A state with a little of everything that grows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Shelf {
    texts: Vec<String>,
    numbers: BTreeMap<String, Vec<u64>>,
    tree: Tree,
}

/// One thing in another, as deep as somebody wants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
enum Tree {
    #[default]
    Leaf,
    Twig(Box<Tree>),
    Branches(Vec<Tree>),
}

/// A page of something large, as a list in a request may announce many of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Page {
    lines: [u64; 4],
}

#[remex::service(name = "shelf", state_format = 1, version = "1.0.0")]
impl Shelf {
    pub fn put(&mut self, texts: Vec<String>, tree: Tree, pages: Vec<Page>) -> Vec<String> {
        self.tree = tree;
        self.texts = texts;
        self.texts.truncate(pages.len());
        self.texts.clone()
    }
}

fn leaves(depth: usize) -> Tree {
    (0..depth).fold(Tree::Leaf, |tree, _| Tree::Twig(Box::new(tree)))
}

fn shelf() -> Shelf {
    Shelf {
        texts: vec!["a".to_owned(), "word".to_owned()],
        numbers: BTreeMap::from([
            ("some".to_owned(), vec![1, 300]),
            ("none".to_owned(), vec![]),
        ]),
        tree: Tree::Branches(vec![leaves(3), Tree::Leaf]),
    }
}

/// A state comes as a stream, so that it cannot be looked at before it is decoded: its reader has a
/// buffer, and a list that is being read may reserve a mebibyte for what it only announces, serde's
/// own limit. Lists stand in each other here as deep as damage makes them, and no deeper than this.
const STREAMED: usize = (64 << 10) + (8 << 20);

/// Elements of lists are as dense as one byte here, and a text is 24 bytes in memory; a map has
/// places for eleven where it has one.
fn lists(decoder: Decoder) -> Decoder {
    decoder
        .list::<String>(1)
        .lists_of(11 * size_of::<(String, Vec<u64>)>(), 7)
}

#[test]
fn a_state_survives_whatever_comes() {
    let valid = [Shelf::default(), shelf()].map(|state| {
        let mut bytes = Vec::new();
        state.export(1, &mut bytes).unwrap();
        bytes
    });
    lists(Decoder::of("state", valid))
        .buffer(STREAMED)
        .survives(|mut bytes| Shelf::import(1, &mut bytes).is_ok());
}

/// All members execute the same request: one that exhausts the stack would end the whole group.
#[test]
fn arguments_that_stand_in_each_other_without_end_are_refused() {
    let mut twigs = b"\x81\xa4Twig".repeat(100_000);
    twigs.extend(b"\xa4Leaf");
    let arguments = [&b"\x83\xa5texts\x90\xa5pages\x90\xa4tree"[..], &twigs].concat();
    let call = Call {
        method: MethodId::of("put"),
        signature: signature(),
        arguments: &arguments,
    };
    let refused = Shelf::default().apply(&context(), call);
    assert_eq!(refused, Err(Refusal::Malformed));
}

fn arguments(json: &Value) -> Vec<u8> {
    Shelf::call_from_json("put", json).unwrap().arguments
}

fn signature() -> u32 {
    let none = json!([[], "Leaf", []]);
    Shelf::call_from_json("put", &none).unwrap().signature
}

fn context() -> Context {
    Context {
        time: OrderedTime(1),
        position: Position(1),
        index: 0,
        effective: Arc::new(Version::new(1, 0, 0)),
        seed: 9,
    }
}

#[test]
fn arguments_survive_whatever_comes() {
    let some = json!([["a", "word"], {"Twig": {"Twig": "Leaf"}}, [{"lines": [0, 0, 0, 0]}]]);
    let none = json!([[], "Leaf", []]);
    let (signature, context) = (signature(), context());
    lists(Decoder::of(
        "arguments",
        [arguments(&some), arguments(&none)],
    ))
    .buffer(4 << 10)
    .survives(|bytes| {
        let call = Call {
            method: MethodId::of("put"),
            signature,
            arguments: bytes,
        };
        let applied = Shelf::default().apply(&context, call);
        assert!(
            matches!(applied, Ok(_) | Err(Refusal::Malformed)),
            "{applied:?}"
        );
        applied.is_ok()
    });
}

#[test]
fn replies_survive_whatever_comes() {
    let reply = b"\x92\xa1a\xa4word".to_vec();
    lists(Decoder::of("reply", [reply]))
        .buffer(4 << 10)
        .survives(|bytes| Shelf::reply_to_json(MethodId::of("put"), bytes).is_ok());
}

#[test]
fn calls_by_name_survive_whatever_comes() {
    let valid = [
        json!([["a", "word"], {"Twig": "Leaf"}, []]),
        json!({"texts": [], "tree": "Leaf", "pages": [{"lines": [0, 0, 0, 0]}]}),
    ];
    Decoder::of("JSON", valid.map(|value| value.to_string().into_bytes()))
        // Values are 32 bytes in memory, twice while they become arguments; maps are as above.
        .lists_of(2 * size_of::<Value>(), 2)
        .lists_of(11 * 2 * size_of::<(String, Value)>(), 5)
        .buffer(4 << 10)
        .survives(|bytes| {
            serde_json::from_slice::<Value>(bytes)
                .is_ok_and(|value| Shelf::call_from_json("put", &value).is_ok())
        });
}
