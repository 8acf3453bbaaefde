//! Golden bytes: what was written once is read for ever.
//!
//! `golden/messages.txt` holds one line per message, `name: bytes in hexadecimal`. Each is decoded
//! and compared with the value that it stands for, and the value is encoded and compared with the
//! bytes. A new variant does not compile until it has a name here, and has no line until
//! `REMEX_GOLDEN=write cargo test -p wire` has added one; lines that exist are never changed.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(
    clippy::disallowed_methods,
    reason = "golden lines stand in a file, and are added on demand"
)]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fmt::Write as _;
use std::path::PathBuf;

use bytes::Bytes;
use wire::client::{Call, CallId, CallResult, ClientReply, ClientRequest, Decline, Outcome};
use wire::daemon::{
    Assignment, BinaryRecord, DaemonReply, DaemonRequest, Fate, Foundation, HostRecord,
    ReplicaRecord, Role,
};
use wire::engine::{EngineChange, EngineKind, EngineMessage, EngineStep, LogEntry, LogEntryKind};
use wire::frame::{Frame, Message, decode_body, encode, split, to_bytes};
use wire::hello::{Hello, Opener, Protocols, Welcome};
use wire::list::List;
use wire::log::{Change, ChangeEntry, Entry, Origin, Proposal, SpecifyRequest, UpgradeRequest};
use wire::member::{Binary, Formats, Member, Seat, Standing};
use wire::peer::{Contact, Join, PeerMessage, TransferHead};
use wire::{Build, MemberId, MethodId, OrderedTime, Position, SessionId, Version};

/// Whether bytes decode to what they should, or what is wrong.
type Decodes = Box<dyn Fn(&[u8]) -> Result<(), String>>;

/// One line: its name, the bytes that this build writes, and whether bytes decode to the value.
struct Line {
    name: String,
    bytes: Vec<u8>,
    decodes: Decodes,
}

fn framed<M: Message + Clone + PartialEq + Debug + 'static>(name: &str, message: M) -> Line {
    let mut bytes = Vec::new();
    encode(&message, &mut bytes);
    let decodes = move |bytes: &[u8]| {
        let frame: Frame<'_> = split(bytes, 1 << 20)
            .map_err(|e| e.to_string())?
            .ok_or("short")?;
        let decoded: M = frame.decode().map_err(|e| e.to_string())?;
        same(&decoded, &message)
    };
    Line {
        name: name.to_owned(),
        bytes,
        decodes: Box::new(decodes),
    }
}

fn bare<T>(name: &str, value: T) -> Line
where
    T: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()> + PartialEq + Debug + 'static,
{
    let bytes = to_bytes(&value);
    let decodes = move |bytes: &[u8]| {
        let decoded: T = decode_body(bytes).map_err(|e| e.to_string())?;
        same(&decoded, &value)
    };
    Line {
        name: name.to_owned(),
        bytes,
        decodes: Box::new(decodes),
    }
}

fn same<T: PartialEq + Debug>(decoded: &T, expected: &T) -> Result<(), String> {
    if decoded == expected {
        Ok(())
    } else {
        Err(format!("decodes to {decoded:?}, not to {expected:?}"))
    }
}

fn id(number: u64) -> MemberId {
    MemberId::new(number).unwrap()
}

fn address(port: u16) -> std::net::SocketAddr {
    format!("127.0.0.1:{port}").parse().unwrap()
}

fn binary() -> Binary {
    Binary {
        version: Version::new(1, 2, 3),
        build: Build([7; 32]),
    }
}

fn formats() -> Formats {
    Formats {
        own: 2,
        reads: vec![1, 2],
        writes: vec![2],
    }
}

fn member() -> Member {
    Member {
        id: id(4),
        host: "alpha".to_owned(),
        address: address(4000),
        binary: binary(),
        formats: formats(),
        seat: Seat(1),
        attempt: 3,
        standing: Standing::Suspected,
    }
}

fn contact() -> Contact {
    Contact {
        member: id(4),
        address: address(4000),
        takes_requests: true,
    }
}

fn origin() -> Origin {
    Origin {
        member: id(2),
        number: 9,
        connection: 5,
    }
}

fn blob() -> Bytes {
    Bytes::from_static(b"\x00\x01bytes")
}

fn request() -> UpgradeRequest {
    UpgradeRequest {
        target: binary(),
        parallel: 1,
        attempts: 3,
        patience_ms: 10_000,
        token: 77,
    }
}

fn wish() -> SpecifyRequest {
    SpecifyRequest {
        generation: 2,
        initial: 5,
        minimal: 2,
        hosts: hosts(),
        token: 78,
    }
}

fn call() -> CallId {
    CallId {
        session: SessionId(6),
        number: 12,
    }
}

fn engine() -> EngineMessage {
    EngineMessage {
        kind: EngineKind::Append,
        from: 1,
        to: 2,
        term: 3,
        log_term: 3,
        index: 10,
        commit: 9,
        commit_term: 3,
        reject: false,
        reject_hint: 0,
        priority: 0,
        context: Bytes::new(),
        entries: vec![LogEntry {
            kind: LogEntryKind::Change,
            term: 3,
            index: 11,
            data: blob(),
            context: Bytes::new(),
        }]
        .into(),
    }
}

fn assignment(role: Role) -> Assignment {
    Assignment {
        group: "group".to_owned(),
        service: "ledger".to_owned(),
        version: Version::new(2, 0, 0),
        build: Some(Build([9; 32])),
        role,
    }
}

fn found() -> Role {
    Role::Found(Foundation {
        stack: "PGMS:EGMI:Recovery:Upgrade".to_owned(),
        initial: 3,
        minimal: 1,
        hosts: hosts(),
    })
}

fn ready() -> Proposal {
    Proposal::Ready {
        joiner: id(4),
        position: Position(31),
    }
}

fn hosts() -> List<HostRecord> {
    let alpha = HostRecord {
        name: "alpha".to_owned(),
        daemon: address(7400),
    };
    vec![alpha].into()
}

fn join_role() -> Role {
    Role::Join {
        incarnation: 8,
        seat: Seat(2),
        attempt: 1,
        contacts: vec![contact()].into(),
    }
}

fn proposals() -> Vec<(&'static str, Proposal)> {
    use Proposal as P;
    let name = |proposal: &P| match proposal {
        P::Leads { .. } => "leads",
        P::Open { .. } => "open",
        P::Calls { .. } => "calls",
        P::Standing { .. } => "standing",
        P::Transfer { .. } => "transfer",
        P::Ready { .. } => "ready",
        P::Taken { .. } => "taken",
        P::Passed { .. } => "passed",
        P::Upgrade(_) => "upgrade",
        P::Activate { .. } => "activate",
        P::Layer { .. } => "layer",
        P::Specify(_) => "specify",
    };
    let all = vec![
        P::Leads { member: id(3) },
        P::Open {
            origin: origin(),
            token: 1,
        },
        P::Calls {
            origin: origin(),
            calls: blob(),
        },
        P::Standing {
            member: id(3),
            standing: Standing::Serving,
        },
        P::Transfer {
            joiner: id(4),
            donor: id(3),
        },
        ready(),
        P::Taken {
            seat: Seat(1),
            attempt: 2,
            by: id(3),
        },
        P::Passed {
            seat: Seat(1),
            attempt: 2,
            reason: "late".to_owned(),
        },
        P::Upgrade(request()),
        P::Activate {
            upgrade: Position(40),
        },
        P::Layer {
            layer: "Audit".to_owned(),
            payload: blob(),
        },
        P::Specify(wish()),
    ];
    assert_eq!(all.len(), 12, "one of each");
    all.into_iter()
        .map(|proposal| (name(&proposal), proposal))
        .collect()
}

fn log() -> Vec<Line> {
    let mut lines = Vec::new();
    for (name, proposal) in proposals() {
        let entry = Entry {
            format: 1,
            time: OrderedTime(1_700_000_000_000),
            floor: Position(17),
            proposals: vec![proposal].into(),
        };
        lines.push(bare(&format!("entry/{name}"), entry));
    }
    let name = |change: &Change| match change {
        Change::Admit(_) => "admit",
        Change::Promote { .. } => "promote",
        Change::Settle => "settle",
        Change::Remove { .. } => "remove",
    };
    let changes = [
        Change::Admit(member()),
        Change::Promote {
            joiner: id(4),
            replaces: Some(id(1)),
        },
        Change::Settle,
        Change::Remove {
            member: id(1),
            reason: "it died".to_owned(),
        },
    ];
    for change in changes {
        let name = format!("change/{}", name(&change));
        let time = OrderedTime(1_700_000_000_000);
        lines.push(bare(
            &name,
            ChangeEntry {
                format: 1,
                time,
                change,
            },
        ));
    }
    lines.push(bare(
        "engine-change/swap",
        EngineChange {
            explicit: true,
            steps: vec![
                EngineStep::Voter(4),
                EngineStep::Out(1),
                EngineStep::Learner(5),
            ],
        },
    ));
    lines
}

fn hello() -> Vec<Line> {
    let name = |opener: &Opener| match opener {
        Opener::Client => "client",
        Opener::Peer { .. } => "peer",
        Opener::Joiner => "joiner",
        Opener::Bulk { .. } => "bulk",
        Opener::Daemon { .. } => "daemon",
    };
    let openers = [
        Opener::Client,
        Opener::Peer {
            incarnation: 8,
            member: id(2),
            view: Position(33),
        },
        Opener::Joiner,
        Opener::Bulk {
            incarnation: 8,
            joiner: id(4),
            position: Position(34),
        },
        Opener::Daemon {
            host: "alpha".to_owned(),
        },
    ];
    let mut lines: Vec<Line> = openers
        .into_iter()
        .map(|opener| {
            let name = format!("hello/{}", name(&opener));
            let protocols = Protocols {
                lowest: 1,
                highest: 1,
            };
            framed(
                &name,
                Hello {
                    protocols,
                    group: "group".to_owned(),
                    opener,
                },
            )
        })
        .collect();
    let name = |welcome: &Welcome| match welcome {
        Welcome::Accepted { .. } => "accepted",
        Welcome::Refused { .. } => "refused",
        Welcome::Removed { .. } => "removed",
    };
    for welcome in [
        Welcome::Accepted {
            protocol: 1,
            member: Some(id(2)),
            view: Position(33),
        },
        Welcome::Refused {
            why: "another group".to_owned(),
        },
        Welcome::Removed { view: Position(35) },
    ] {
        lines.push(framed(&format!("welcome/{}", name(&welcome)), welcome));
    }
    lines
}

fn peer() -> Vec<Line> {
    use PeerMessage as P;
    let name = |message: &P| match message {
        P::Join(_) => "join",
        P::NotAdmitted { .. } => "not-admitted",
        P::Admitted { .. } => "admitted",
        P::Progress { .. } => "progress",
        P::Engine(_) => "engine",
        P::Forward { .. } => "forward",
        P::Overloaded { .. } => "overloaded",
        P::Probe { .. } => "probe",
        P::Alive { .. } => "alive",
        P::Reach { .. } => "reach",
        P::Died { .. } => "died",
        P::Left { .. } => "left",
        P::Survives { .. } => "survives",
    };
    let all = vec![
        P::Join(Join {
            host: "alpha".to_owned(),
            address: address(4000),
            binary: binary(),
            service: "ledger".to_owned(),
            formats: formats(),
            seat: Seat(1),
            attempt: 2,
            process: 99,
        }),
        P::NotAdmitted {
            leader: Some(address(4001)),
            why: "no leader".to_owned(),
            retry: true,
        },
        P::Admitted {
            member: id(4),
            incarnation: 8,
            donor: id(2),
            donor_address: address(4001),
            position: Position(34),
        },
        P::Progress {
            received: 1 << 20,
            applied: Position(35),
            failed: None,
        },
        P::Engine(engine()),
        P::Forward {
            proposals: vec![ready()].into(),
        },
        P::Overloaded {
            numbers: vec![1, 2, 300].into(),
        },
        P::Probe { token: 5 },
        P::Alive { token: 5 },
        P::Reach {
            last_term: 3,
            last_index: 40,
            term: 4,
        },
        P::Died {
            incarnation: 8,
            member: id(1),
            how: "signal 9".to_owned(),
        },
        P::Left { view: Position(36) },
        P::Survives {
            last_term: 3,
            last_index: 40,
            term: 4,
            stands_back: true,
        },
    ];
    assert_eq!(all.len(), 13, "one of each");
    let mut lines: Vec<Line> = all
        .into_iter()
        .map(|message| framed(&format!("peer/{}", name(&message)), message))
        .collect();
    lines.push(framed(
        "transfer/head",
        TransferHead {
            position: Position(34),
            term: 3,
            service: "ledger".to_owned(),
            binary: binary(),
            format: 2,
            group: blob(),
            replica: blob(),
            sessions: blob(),
        },
    ));
    lines
}

fn clients() -> Vec<Line> {
    use {ClientReply as R, ClientRequest as Q};
    let name = |request: &Q| match request {
        Q::Open { .. } => "open",
        Q::Calls { .. } => "calls",
        Q::Reads { .. } => "reads",
        Q::Json { .. } => "json",
        Q::Status { .. } => "status",
        Q::Upgrade { .. } => "upgrade",
        Q::Specify { .. } => "specify",
    };
    let calls = Bytes::from(to_bytes(&vec![Call {
        session: SessionId(6),
        number: 12,
        acknowledged: 11,
        method: MethodId::of("transfer"),
        signature: 0xdead_beef,
        arguments: b"arguments",
    }]));
    let mut lines: Vec<Line> = [
        Q::Open { token: 3 },
        Q::Calls {
            calls: calls.clone(),
        },
        Q::Reads { calls, stale: true },
        Q::Json {
            session: SessionId(6),
            number: 12,
            method: "balance".to_owned(),
            arguments: "[\"a\"]".to_owned(),
        },
        Q::Status { token: 4 },
        Q::Upgrade {
            token: 5,
            request: request(),
        },
        Q::Specify {
            token: 6,
            request: wish(),
        },
    ]
    .into_iter()
    .map(|request| framed(&format!("request/{}", name(&request)), request))
    .collect();
    let name = |reply: &R| match reply {
        R::Members { .. } => "members",
        R::Opened { .. } => "opened",
        R::Results { .. } => "results",
        R::Declined { .. } => "declined",
        R::Json { .. } => "json",
        R::Status { .. } => "status",
        R::UpgradeAccepted { .. } => "upgrade-accepted",
        R::UpgradeRefused { .. } => "upgrade-refused",
        R::Specified { .. } => "specified",
        R::SpecifyRefused { .. } => "specify-refused",
    };
    for reply in [
        R::Members {
            view: Position(33),
            members: vec![contact()].into(),
        },
        R::Opened {
            token: 3,
            session: SessionId(6),
        },
        R::Results {
            results: results().into(),
        },
        R::Declined {
            calls: vec![call()].into(),
            reason: Decline::Overloaded {
                limit: "bytes".to_owned(),
            },
        },
        R::Json {
            call: call(),
            position: Position(50),
            reply: "5".to_owned(),
        },
        R::Status {
            token: 4,
            document: "{}".to_owned(),
        },
        R::UpgradeAccepted {
            token: 5,
            upgrade: Position(40),
        },
        R::UpgradeRefused {
            token: 5,
            why: "one runs".to_owned(),
        },
        R::Specified {
            token: 6,
            position: Position(41),
        },
        R::SpecifyRefused {
            token: 6,
            why: "too late".to_owned(),
        },
    ] {
        lines.push(framed(&format!("reply/{}", name(&reply)), reply));
    }
    for reason in [
        Decline::AskAnother,
        Decline::Unavailable,
        Decline::Invalid {
            why: "x".to_owned(),
        },
    ] {
        let name = match &reason {
            Decline::AskAnother => "ask-another",
            Decline::Overloaded { .. } => "overloaded",
            Decline::Unavailable => "unavailable",
            Decline::Invalid { .. } => "invalid",
        };
        lines.push(bare(&format!("decline/{name}"), reason));
    }
    lines
}

fn results() -> Vec<CallResult> {
    let name = |outcome: &Outcome| match outcome {
        Outcome::Done(_) => 0,
        Outcome::UnknownMethod => 1,
        Outcome::Malformed => 2,
        Outcome::WrongKind => 3,
        Outcome::Panicked => 4,
        Outcome::SessionExpired => 5,
        Outcome::Acknowledged => 6,
        Outcome::WindowFull => 7,
    };
    let all = [
        Outcome::Done(blob()),
        Outcome::UnknownMethod,
        Outcome::Malformed,
        Outcome::WrongKind,
        Outcome::Panicked,
        Outcome::SessionExpired,
        Outcome::Acknowledged,
        Outcome::WindowFull,
    ];
    assert!(all.iter().map(name).eq(0..8), "one of each");
    all.into_iter()
        .map(|outcome| CallResult {
            call: call(),
            position: Position(50),
            outcome,
        })
        .collect()
}

fn daemons() -> Vec<Line> {
    use {DaemonReply as R, DaemonRequest as Q};
    let name = |request: &Q| match request {
        Q::Register { .. } => "register",
        Q::Members { .. } => "members",
        Q::Start { .. } => "start",
        Q::Stop { .. } => "stop",
        Q::Inventory { .. } => "inventory",
        Q::Output { .. } => "output",
        Q::Fate { .. } => "fate",
    };
    let mut lines: Vec<Line> = [
        Q::Register {
            process: 99,
            group: "group".to_owned(),
            address: address(4000),
        },
        Q::Members {
            incarnation: 8,
            member: id(4),
            others: vec![contact()].into(),
        },
        Q::Start {
            token: 1,
            assignment: assignment(join_role()),
        },
        Q::Stop {
            token: 2,
            process: 99,
        },
        Q::Inventory { token: 3 },
        Q::Output {
            token: 4,
            process: 99,
            lines: 10,
        },
        Q::Fate {
            token: 5,
            group: "group".to_owned(),
            incarnation: 8,
            member: id(4),
        },
    ]
    .into_iter()
    .map(|request| framed(&format!("daemon/{}", name(&request)), request))
    .collect();
    lines.push(framed(
        "daemon/start-founder",
        Q::Start {
            token: 1,
            assignment: assignment(found()),
        },
    ));
    let name = |reply: &R| match reply {
        R::Registered { .. } => "registered",
        R::Started { .. } => "started",
        R::Failed { .. } => "failed",
        R::Ended { .. } => "ended",
        R::Leave => "leave",
        R::Inventory { .. } => "inventory",
        R::Output { .. } => "output",
        R::Stopped { .. } => "stopped",
        R::Fate { .. } => "fate",
    };
    for reply in [
        R::Registered {
            host: "alpha".to_owned(),
        },
        R::Started {
            token: 1,
            process: 99,
            build: Build([9; 32]),
        },
        R::Failed {
            token: 1,
            why: "no such binary".to_owned(),
        },
        R::Ended {
            token: 1,
            how: "exit code 7".to_owned(),
        },
        R::Leave,
        R::Inventory {
            token: 3,
            host: "alpha".to_owned(),
            replicas: vec![ReplicaRecord {
                process: 99,
                group: "group".to_owned(),
                binary: binary(),
                service: "ledger".to_owned(),
                address: Some(address(4000)),
                member: Some(id(4)),
            }]
            .into(),
            binaries: vec![BinaryRecord {
                service: "ledger".to_owned(),
                binary: binary(),
            }]
            .into(),
        },
        R::Output {
            token: 4,
            lines: vec!["a line".to_owned()].into(),
        },
        R::Stopped { token: 2 },
        R::Fate {
            token: 5,
            fate: Fate::Ended {
                how: "signal 9".to_owned(),
            },
        },
    ] {
        lines.push(framed(&format!("daemon-reply/{}", name(&reply)), reply));
    }
    for (name, fate) in [("unknown", Fate::Unknown), ("runs", Fate::Runs)] {
        let reply = R::Fate { token: 5, fate };
        lines.push(framed(&format!("daemon-reply/fate-{name}"), reply));
    }
    lines
}

fn lines() -> Vec<Line> {
    [log(), hello(), peer(), clients(), daemons()]
        .into_iter()
        .flatten()
        .collect()
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/messages.txt")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn golden() -> BTreeMap<String, Vec<u8>> {
    let text = std::fs::read_to_string(file()).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, bytes)| (name.to_owned(), unhex(bytes)))
        .collect()
}

#[test]
fn what_was_written_once_is_read_for_ever() {
    let mut golden = golden();
    if std::env::var("REMEX_GOLDEN").is_ok_and(|wish| wish == "write") {
        for line in lines() {
            golden.entry(line.name).or_insert(line.bytes);
        }
        let text: String = golden
            .iter()
            .map(|(name, bytes)| format!("{name}: {}\n", hex(bytes)))
            .collect();
        std::fs::write(file(), text).unwrap();
    }
    for line in lines() {
        let name = line.name;
        let Some(bytes) = golden.remove(&name) else {
            panic!("{name} has no golden line; REMEX_GOLDEN=write adds it");
        };
        (line.decodes)(&bytes).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(
            hex(&line.bytes),
            hex(&bytes),
            "{name} is written in another way now"
        );
    }
    assert!(golden.is_empty(), "lines of nothing: {:?}", golden.keys());
}

#[test]
fn a_field_that_is_not_known_is_skipped_and_a_variant_that_is_not_fails() {
    // Probe { token: 5 } with a field 9 that this build does not have.
    let with_more = [
        0x82, 0x07, 0x8a, 5, 0xf6, 0xf6, 0xf6, 0xf6, 0xf6, 0xf6, 0xf6, 0xf6, 0x61, b'x',
    ];
    assert_eq!(
        decode_body::<PeerMessage>(&with_more).unwrap(),
        PeerMessage::Probe { token: 5 }
    );
    let unknown = [0x82, 0x18, 99, 0x80];
    assert!(decode_body::<PeerMessage>(&unknown).is_err());
}

#[test]
fn a_frame_of_another_kind_or_format_fails_loudly() {
    let mut bytes = Vec::new();
    encode(&PeerMessage::Probe { token: 5 }, &mut bytes);
    let frame = split(&bytes, 1024).unwrap().unwrap();
    assert!(
        frame
            .decode::<ClientRequest>()
            .unwrap_err()
            .to_string()
            .contains("kind 3")
    );
    bytes[4] = 2;
    assert!(
        split(&bytes, 1024)
            .unwrap_err()
            .to_string()
            .contains("format 2")
    );
}

proptest::proptest! {
    /// Bytes of any kind are refused or understood; they never panic.
    #[test]
    fn any_bytes_are_refused_or_understood(bytes: Vec<u8>) {
        if let Ok(Some(frame)) = split(&bytes, 1 << 16) {
            let _ = frame.decode::<PeerMessage>();
        }
        let _ = decode_body::<PeerMessage>(&bytes);
        let _ = decode_body::<ClientRequest>(&bytes);
        let _ = decode_body::<ClientReply>(&bytes);
        let _ = decode_body::<DaemonRequest>(&bytes);
        let _ = decode_body::<DaemonReply>(&bytes);
        let _ = decode_body::<TransferHead>(&bytes);
        let _ = decode_body::<Hello>(&bytes);
        let _ = decode_body::<Welcome>(&bytes);
        let _ = decode_body::<Entry>(&bytes);
        let _ = decode_body::<ChangeEntry>(&bytes);
    }

    /// Real messages with one byte changed, which come further than arbitrary bytes.
    #[test]
    fn a_damaged_message_is_refused_or_another_one(which: usize, at: usize, to: u8) {
        let lines = lines();
        let line = &lines[which % lines.len()];
        let mut bytes = line.bytes.clone();
        let at = at % bytes.len();
        bytes[at] = to;
        let _ = (line.decodes)(&bytes);
    }
}
