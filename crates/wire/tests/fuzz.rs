//! Every decoder of the wire survives whatever comes: the golden bytes are what it understands.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::disallowed_methods, reason = "golden lines stand in a file")]

use std::collections::BTreeMap;

use bytes::Bytes;
use fuzz::Decoder;
use wire::client::{Call, CallId, CallResult, ClientReply, ClientRequest, Decline, Outcome};
use wire::daemon::{
    Assignment, BinaryRecord, DaemonReply, DaemonRequest, Foundation, HostRecord, ReplicaRecord,
    Role,
};
use wire::engine::{EngineChange, EngineKind, EngineMessage, EngineStep, LogEntry, LogEntryKind};
use wire::frame::{FrameError, Kind, Message, decode_body, encode, split, to_bytes};
use wire::hello::{Hello, Welcome};
use wire::list::Values;
use wire::log::{Change, ChangeEntry, Entry, Proposal};
use wire::member::{Binary, Formats, Member, Seat, Standing};
use wire::peer::{Contact, Join, PeerMessage, TransferHead};
use wire::status::{GroupStatus, HistoryRecord, HostStatus, MemberStatus, TransferStatus};
use wire::{Build, MemberId, MethodId, OrderedTime, Position, SessionId, Version};

/// Above all golden bytes and damaged ones.
const FRAME_MAX: usize = 1 << 20;

/// The golden bytes by the part of their names before the slash.
fn golden() -> BTreeMap<String, Vec<Vec<u8>>> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/messages.txt");
    let mut kinds: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for line in std::fs::read_to_string(file).unwrap().lines() {
        let (name, digits) = line.split_once(": ").unwrap();
        let (kind, _) = name.split_once('/').unwrap();
        let pairs = digits.as_bytes().chunks(2);
        let bytes =
            pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
        kinds
            .entry(kind.to_owned())
            .or_default()
            .push(bytes.collect());
    }
    kinds
}

fn framed<M: Message>(bytes: &[u8]) -> bool {
    matches!(split(bytes, FRAME_MAX), Ok(Some(frame)) if frame.decode::<M>().is_ok())
}

fn bare<T: for<'b> minicbor::Decode<'b, ()>>(bytes: &[u8]) -> bool {
    decode_body::<T>(bytes).is_ok()
}

/// Elements of the lists below: what they take in memory is seen beside everything else.
const MANY: usize = 3000;

fn many<T: Clone, L: FromIterator<T>>(element: T) -> L {
    std::iter::repeat_n(element, MANY).collect()
}

fn in_frame<M: Message>(message: &M) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(message, &mut bytes);
    bytes
}

/// The shortest elements that its lists may have, many of them: what is written is as dense as it
/// may be.
fn dense(kind: &str) -> Vec<Vec<u8>> {
    let (member, binary) = (MemberId::new(1).unwrap(), binary());
    let contact = Contact {
        member,
        address: "[::]:1".parse().unwrap(),
        takes_requests: false,
    };
    let call = CallId {
        session: SessionId(1),
        number: 1,
    };
    let formats = Formats {
        own: 1,
        reads: many(1),
        writes: many(1),
    };
    let ready = Proposal::Ready {
        joiner: member,
        position: Position(1),
    };
    match kind {
        "entry" => vec![to_bytes(&Entry {
            format: 1,
            time: OrderedTime(1),
            floor: Position(1),
            proposals: many(ready),
        })],
        "change" => vec![to_bytes(&ChangeEntry {
            format: 1,
            time: OrderedTime(1),
            change: Change::Admit(Member {
                id: member,
                host: String::new(),
                address: contact.address,
                binary,
                formats,
                seat: Seat(0),
                attempt: 1,
                standing: Standing::Serving,
            }),
        })],
        "engine-change" => vec![to_bytes(&EngineChange {
            explicit: false,
            steps: many(EngineStep::Out(1)),
        })],
        "peer" => vec![
            in_frame(&PeerMessage::Forward {
                proposals: many(ready),
            }),
            in_frame(&PeerMessage::Overloaded { numbers: many(1) }),
            in_frame(&PeerMessage::Engine(EngineMessage {
                kind: EngineKind::Append,
                from: 1,
                to: 1,
                term: 1,
                log_term: 1,
                index: 1,
                commit: 1,
                commit_term: 1,
                reject: false,
                reject_hint: 0,
                priority: 0,
                context: Bytes::new(),
                entries: many(LogEntry {
                    kind: LogEntryKind::Normal,
                    term: 1,
                    index: 1,
                    data: Bytes::new(),
                    context: Bytes::new(),
                }),
            })),
            in_frame(&PeerMessage::Join(Join {
                host: String::new(),
                address: contact.address,
                binary,
                service: String::new(),
                formats,
                seat: Seat(0),
                attempt: 1,
                process: 1,
            })),
        ],
        "reply" => vec![
            in_frame(&ClientReply::Members {
                view: Position(1),
                members: many(contact),
            }),
            in_frame(&ClientReply::Results {
                results: many(CallResult {
                    call,
                    position: Position(1),
                    outcome: Outcome::Malformed,
                }),
            }),
            in_frame(&ClientReply::Declined {
                calls: many(call),
                reason: Decline::AskAnother,
            }),
        ],
        "daemon" => {
            let start = |role| DaemonRequest::Start {
                token: 1,
                assignment: Assignment {
                    group: String::new(),
                    service: String::new(),
                    version: Version::new(1, 0, 0),
                    build: None,
                    role,
                },
            };
            let host = HostRecord {
                name: String::new(),
                daemon: contact.address,
            };
            vec![
                in_frame(&DaemonRequest::Members {
                    incarnation: 1,
                    member,
                    others: many(contact.clone()),
                }),
                in_frame(&start(Role::Join {
                    incarnation: 1,
                    seat: Seat(0),
                    attempt: 1,
                    contacts: many(contact),
                })),
                in_frame(&start(Role::Found(Foundation {
                    stack: String::new(),
                    initial: 1,
                    minimal: 1,
                    hosts: many(host),
                }))),
            ]
        }
        "daemon-reply" => vec![
            in_frame(&DaemonReply::Inventory {
                token: 1,
                host: String::new(),
                replicas: many(ReplicaRecord {
                    process: 1,
                    group: String::new(),
                    binary: binary.clone(),
                    service: String::new(),
                    address: None,
                    member: None,
                }),
                binaries: many(BinaryRecord {
                    service: String::new(),
                    binary,
                }),
            }),
            in_frame(&DaemonReply::Output {
                token: 1,
                lines: many(String::new()),
            }),
        ],
        // No lists in them.
        "hello" | "welcome" | "transfer" | "request" | "decline" => Vec::new(),
        _ => panic!("{kind} has no arm here: give it one, with its lists if it has some"),
    }
}

fn binary() -> Binary {
    Binary {
        version: Version::new(1, 0, 0),
        build: Build([7; 32]),
    }
}

/// Feeds the decoder of the golden lines of this name.
fn feed(kind: &str, mut valid: Vec<Vec<u8>>) {
    valid.extend(dense(kind));
    let decoder = Decoder::of(kind, valid);
    match kind {
        "entry" => decoder.survives(bare::<Entry>),
        "change" => decoder.survives(bare::<ChangeEntry>),
        "engine-change" => decoder.survives(bare::<EngineChange>),
        "hello" => decoder.survives(framed::<Hello>),
        "welcome" => decoder.survives(framed::<Welcome>),
        "peer" => decoder.survives(framed::<PeerMessage>),
        "transfer" => decoder.survives(framed::<TransferHead>),
        "request" => decoder.survives(framed::<ClientRequest>),
        "reply" => decoder.survives(framed::<ClientReply>),
        "decline" => decoder.survives(bare::<Decline>),
        "daemon" => decoder.survives(framed::<DaemonRequest>),
        "daemon-reply" => decoder.survives(framed::<DaemonReply>),
        _ => panic!("{kind} is not fed to its decoder: give it an arm here"),
    }
}

#[test]
fn every_message_survives_whatever_comes() {
    for (kind, valid) in golden() {
        feed(&kind, valid);
    }
}

/// The kind after this one, so that all of them are met: a new kind does not compile without a place.
fn after(kind: Option<Kind>) -> Option<Kind> {
    match kind {
        None => Some(Kind::Hello),
        Some(Kind::Hello) => Some(Kind::Welcome),
        Some(Kind::Welcome) => Some(Kind::Peer),
        Some(Kind::Peer) => Some(Kind::ClientRequest),
        Some(Kind::ClientRequest) => Some(Kind::ClientReply),
        Some(Kind::ClientReply) => Some(Kind::DaemonRequest),
        Some(Kind::DaemonRequest) => Some(Kind::DaemonReply),
        Some(Kind::DaemonReply) => Some(Kind::Transfer),
        Some(Kind::Transfer) => None,
    }
}

#[test]
fn no_kind_of_frame_is_forgotten() {
    let all = golden();
    let fed: Vec<u8> = all
        .values()
        .flatten()
        .filter_map(|bytes| split(bytes, FRAME_MAX).ok()?.map(|frame| frame.kind))
        .collect();
    let mut kind = after(None);
    while let Some(this) = kind {
        assert!(fed.contains(&(this as u8)), "{this:?} has no golden line");
        kind = after(kind);
    }
}

#[test]
fn a_field_that_is_not_known_is_skipped_without_holding_it() {
    let hello = Hello::new("group", wire::hello::Opener::Client);
    let body = to_bytes(&hello);
    let (&head, fields) = body.split_first().unwrap();
    let with_field = |field: &[u8]| [&[head + 1], fields, field].concat();
    let known = [&b"\x00"[..], b"\x84\x9f\xff\xa1\x00\x61x\x00\x81\x81\x00"];
    Decoder::of("unknown", known.map(with_field)).survives(bare::<Hello>);
    // Behind an end that belongs to nothing, which the decoder steps over.
    let behind = [&b"\x83\xff"[..], &b"\x84\x9f\xff\xa1\x00".repeat(1_000)].concat();
    let bytes = with_field(&behind);
    let held = fuzz::held(|| assert!(!bare::<Hello>(&bytes)));
    assert!(held <= bytes.len(), "{held} bytes");
    for nested in [&b"\x9f"[..], b"\x81", b"\x82\x00\x9f", b"\xbf\x00"] {
        let bytes = with_field(&nested.repeat(10_000));
        let held = fuzz::held(|| assert!(!bare::<Hello>(&bytes)));
        assert!(held <= bytes.len(), "{held} bytes for {nested:02x?}");
    }
}

#[test]
fn calls_as_they_stand_in_the_order_survive() {
    let call = |number| Call {
        session: SessionId(6),
        number,
        acknowledged: number - 1,
        method: MethodId::of("transfer"),
        signature: 0xdead_beef,
        arguments: b"arguments",
    };
    let valid =
        [0, 1, 3, MANY as u64].map(|count| to_bytes(&(1..=count).map(call).collect::<Vec<_>>()));
    Decoder::of("calls", valid)
        .survives(|bytes| decode_body::<Values<'_, Call<'_>>>(bytes).is_ok());
}

#[test]
fn parts_that_stand_alone_survive() {
    let formats = Formats {
        own: 2,
        reads: vec![1, 2],
        writes: vec![2],
    };
    Decoder::of("formats", [to_bytes(&formats)]).survives(bare::<Formats>);
    let engine = golden().remove("peer").unwrap();
    let engine = engine.iter().filter_map(|bytes| {
        let message = split(bytes, FRAME_MAX).unwrap().unwrap().decode().unwrap();
        let PeerMessage::Engine(message) = message else {
            return None;
        };
        Some(to_bytes(&message))
    });
    Decoder::of("engine", engine.collect::<Vec<_>>()).survives(bare::<EngineMessage>);
}

/// What crosses as JSON: the assignment on a replica's command line, and what a group says of itself.
#[test]
fn documents_survive_whatever_stands_in_them() {
    let contact = Contact {
        member: MemberId::new(4).unwrap(),
        address: "127.0.0.1:4000".parse().unwrap(),
        takes_requests: true,
    };
    let assignment = Assignment {
        group: "group".to_owned(),
        service: "ledger".to_owned(),
        version: Version::new(2, 0, 0),
        build: Some(Build([9; 32])),
        role: Role::Join {
            incarnation: 8,
            seat: Seat(2),
            attempt: 1,
            contacts: vec![contact].into(),
        },
    };
    Decoder::of("assignment", [serde_json::to_vec(&assignment).unwrap()])
        .survives(|bytes| serde_json::from_slice::<Assignment>(bytes).is_ok());
    let member = MemberStatus {
        member: MemberId::new(4).unwrap(),
        host: "alpha".to_owned(),
        address: "127.0.0.1:4000".parse().unwrap(),
        binary: Binary {
            version: Version::new(1, 2, 3),
            build: Build([7; 32]),
        },
        seat: Seat(1),
        doing: "joining".to_owned(),
        takes_requests: false,
        transfer: Some(TransferStatus {
            donor: MemberId::new(2).unwrap(),
            position: Position(34),
            received: Some(5),
        }),
    };
    let status = GroupStatus {
        schema: 1,
        group: "group".to_owned(),
        service: "ledger".to_owned(),
        incarnation: 8,
        answered_by: MemberId::new(2).unwrap(),
        position: Position(40),
        view: Position(33),
        leader: MemberId::new(2),
        available: true,
        effective: Version::new(1, 2, 3),
        initial: 3,
        minimal: 1,
        generation: 1,
        stack: "PGMS:EGMI:Recovery:Upgrade".to_owned(),
        members: vec![member.clone()],
        joiners: vec![member],
        upgrade: None,
        waits: vec!["a seat is vacant".to_owned()],
        hosts: vec![HostStatus {
            host: "alpha".to_owned(),
            daemon: "127.0.0.1:7400".parse().unwrap(),
        }],
        history: vec![HistoryRecord {
            position: Position(33),
            time: OrderedTime(9),
            what: "it began".to_owned(),
            members: vec!["1v1.0.0".to_owned()],
        }],
    };
    Decoder::of("status", [serde_json::to_vec(&status).unwrap()])
        .survives(|bytes| serde_json::from_slice::<GroupStatus>(bytes).is_ok());
}

#[test]
fn names_written_as_text_survive() {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).map(str::to_owned);
    let versions = ["1.2.3", "1.0.0-rc.1+build.5"].map(|text| text.as_bytes().to_vec());
    Decoder::of("version", versions)
        .survives(|bytes| text(bytes).is_ok_and(|text| Version::parse(&text).is_ok()));
    Decoder::of("build", [Build([7; 32]).to_string().into_bytes()])
        .survives(|bytes| text(bytes).is_ok_and(|text| Build::parse(&text).is_some()));
}

/// The frames in a stream that comes in pieces that end at these places, and how it ends.
fn cut(stream: &[u8], places: &[usize]) -> (Vec<(u8, Vec<u8>)>, Option<FrameError>) {
    let mut frames = Vec::new();
    let mut start = 0;
    for &place in places.iter().chain([&stream.len()]) {
        loop {
            match split(&stream[start..place.max(start)], FRAME_MAX) {
                Ok(Some(frame)) => {
                    frames.push((frame.kind, frame.body.to_vec()));
                    start += frame.length;
                }
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

proptest::proptest! {
    /// Where a stream is cut is the network's business.
    #[test]
    fn pieces_of_any_length_give_the_same_frames(
        tokens in proptest::collection::vec(0..1000_u64, 0..8),
        tail in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..20),
        places in proptest::collection::vec(proptest::prelude::any::<proptest::sample::Index>(), 0..40),
    ) {
        let mut stream = Vec::new();
        for token in tokens {
            encode(&ClientRequest::Open { token }, &mut stream);
        }
        stream.extend(tail);
        let mut places: Vec<usize> =
            places.iter().map(|place| place.index(stream.len() + 1)).collect();
        places.sort_unstable();
        proptest::prop_assert_eq!(cut(&stream, &places), cut(&stream, &[]));
    }
}
