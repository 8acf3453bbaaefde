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

/// What a value of a service's own type takes in memory is its author's choice, and it is made of all
/// of it at once: a text of no letters is one byte when it is written and 24 here, and a list that
/// grows holds its old place beside the new one.
const OWN_TYPES: usize = 3 * size_of::<String>();

/// A map has places for eleven where it has one.
const MAP: usize = 4 << 10;

/// As many as they come in one byte each.
fn dense() -> Shelf {
    Shelf {
        texts: vec![String::new(); 3000],
        numbers: BTreeMap::from([(String::new(), vec![0; 3000])]),
        tree: Tree::Branches(vec![Tree::Branches(vec![]); 3000]),
    }
}

#[test]
fn a_state_survives_whatever_comes() {
    let valid = [Shelf::default(), shelf(), dense()].map(|state| {
        let mut bytes = Vec::new();
        state.export(1, &mut bytes).unwrap();
        bytes
    });
    Decoder::of("state", valid)
        .times(OWN_TYPES)
        .buffer(STREAMED)
        .survives(|mut bytes| Shelf::import(1, &mut bytes).is_ok());
}

/// What is deeper than a thread's stack bears, and what announces in each list more than there is.
#[test]
fn a_state_that_stands_in_itself_without_end_is_refused() {
    let head = &b"\x83\xa5texts\x90\xa7numbers\x80\xa4tree"[..];
    let twigs = [head, &b"\x81\xa4Twig".repeat(100_000), b"\xa4Leaf"].concat();
    let branches = b"\x81\xa8Branches\xdd\xff\xff\xff\xff".repeat(100_000);
    for bytes in [twigs, [head, &branches].concat()] {
        let mut told = String::new();
        let held = fuzz::held(|| {
            told = Shelf::import(1, &mut &bytes[..]).unwrap_err().to_string();
        });
        assert!(
            told.contains("its values stand more than 256 deep in each other; keep what is deeper"),
            "{told}"
        );
        assert!(held < (64 << 10) + 128 * (1 << 20), "{held} bytes");
    }
    let shelf = |depth| Shelf {
        tree: leaves(depth),
        ..Shelf::default()
    };
    let export = |depth| shelf(depth).export(1, &mut Vec::new());
    // In the shelf, whose tree is one deep.
    assert!(export(255).is_ok());
    let told = export(256).unwrap_err().to_string();
    assert!(told.contains("more than 256 deep"), "{told}");
    let mut bytes = Vec::new();
    shelf(255).export(1, &mut bytes).unwrap();
    assert_eq!(Shelf::import(1, &mut &bytes[..]).unwrap(), shelf(255));
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
    let many = json!([vec![""; 3000], "Leaf", []]);
    Decoder::of("arguments", [some, none, many].map(|json| arguments(&json)))
        .times(OWN_TYPES)
        .buffer(MAP)
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
    let many = [&b"\xdc\x0b\xb8"[..], &[0xa0; 3000]].concat();
    // As a text and as JSON's value, which is larger.
    let times = OWN_TYPES + 3 * size_of::<Value>();
    Decoder::of("reply", [reply, many])
        .times(times)
        .buffer(MAP)
        .survives(|bytes| Shelf::reply_to_json(MethodId::of("put"), bytes).is_ok());
}

#[test]
fn calls_by_name_survive_whatever_comes() {
    let valid = [
        json!([["a", "word"], {"Twig": "Leaf"}, []]),
        json!({"texts": [], "tree": "Leaf", "pages": [{"lines": [0, 0, 0, 0]}]}),
    ];
    Decoder::of("JSON", valid.map(|value| value.to_string().into_bytes()))
        // Every map has places for eleven, is five bytes or more when it is written, and stands in
        // memory twice while it becomes arguments.
        .times((2 * 11 * size_of::<(String, Value)>()).div_ceil(5))
        .buffer(MAP)
        .survives(|bytes| {
            serde_json::from_slice::<Value>(bytes)
                .is_ok_and(|value| Shelf::call_from_json("put", &value).is_ok())
        });
}
