//! Bytes that are no messages, from whoever dials: before a hello and after one, at once and byte by
//! byte. The connection is closed, and the member serves everybody else as before.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::wildcard_enum_match_arm,
    reason = "tests are a world of their own, and a panic is how they fail"
)]

mod world;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use wire::client::ClientRequest;
use wire::frame::{CLIENT_FRAME_MAX, FORMAT, HEADER, Kind, PEER_FRAME_MAX, encode, to_bytes};
use wire::hello::{Hello, Opener, Protocols, Welcome};
use wire::peer::PeerMessage;
use wire::{MemberId, Position};

use world::client::{Client, dial};
use world::installation::Installation;
use world::{GROUP, read_frame, write_frame};

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(20);

/// The largest first frame that is taken, and a little more.
const HELLO_TOO_LONG: usize = (64 << 10) + 1;

/// A frame whose length, format and kind are what they are.
fn frame(length: usize, format: u8, kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(length).unwrap().to_le_bytes();
    [&length[..], &[format, kind], body].concat()
}

fn whole(kind: u8, body: &[u8]) -> Vec<u8> {
    frame(HEADER - 4 + body.len(), FORMAT, kind, body)
}

/// Everything that is no frame of this kind, whose valid bodies are like this one; and which length
/// is one too long.
fn malformed(kind: Kind, body: &[u8], too_long: usize) -> Vec<(&'static str, Vec<u8>)> {
    let other = if kind == Kind::Welcome {
        Kind::Hello
    } else {
        Kind::Welcome
    } as u8;
    let kind = kind as u8;
    let announced = [body, &[0]].concat();
    vec![
        ("another protocol", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("too long", frame(too_long, FORMAT, kind, body)),
        (
            "far too long",
            [&[0xff; 4][..], &[FORMAT, kind], body].concat(),
        ),
        ("no room for a head", vec![0, 0, 0, 0]),
        ("half a head", vec![1, 0, 0, 0, FORMAT]),
        (
            "another format",
            frame(HEADER - 4 + body.len(), FORMAT + 1, kind, body),
        ),
        ("another kind", whole(other, body)),
        ("no kind", whole(99, body)),
        ("no body", whole(kind, b"")),
        ("no CBOR", whole(kind, b"\x1c\xff\xff")),
        ("a body that is cut", whole(kind, &body[..body.len() - 1])),
        ("bytes behind the body", whole(kind, &announced)),
        (
            "a variant that nobody knows",
            whole(kind, b"\x82\x19\x03\xe7\x80"),
        ),
        ("an announcement", whole(kind, b"\x9b\x10\0\0\0\0\0\0\0")),
        ("deep values", whole(kind, &b"\x9f".repeat(10_000))),
    ]
}

fn hello(opener: Opener) -> Vec<u8> {
    to_bytes(&Hello::new(GROUP, opener))
}

fn closes(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // Whatever was still said before.
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// How bytes are sent.
#[derive(Clone, Copy, Debug)]
enum Manner {
    AtOnce,
    /// Each byte in a segment of its own.
    ByteByByte,
}

fn send(stream: &mut TcpStream, bytes: &[u8], manner: Manner) {
    stream.set_nodelay(true).unwrap();
    let pieces = match manner {
        Manner::AtOnce => bytes.len(),
        Manner::ByteByByte => 1,
    };
    for piece in bytes.chunks(pieces) {
        // It may be closed before all is sent.
        if stream.write_all(piece).is_err() {
            return;
        }
    }
}

/// Sends each of them on a connection of its own, to which the opener was said; whoever else is
/// served stays served.
fn send_all(address: SocketAddr, bystander: &mut Client, opener: Option<&Opener>) {
    let inputs = match opener {
        None => malformed(Kind::Hello, &hello(Opener::Client), HELLO_TOO_LONG),
        Some(Opener::Client) => {
            let body = to_bytes(&ClientRequest::Status { token: 1 });
            malformed(Kind::ClientRequest, &body, CLIENT_FRAME_MAX + 1)
        }
        Some(_) => {
            let body = to_bytes(&PeerMessage::Probe { token: 1 });
            malformed(Kind::Peer, &body, PEER_FRAME_MAX + 1)
        }
    };
    for (name, bytes) in &inputs {
        for manner in [Manner::AtOnce, Manner::ByteByByte] {
            let mut stream = match opener {
                None => TcpStream::connect(address).unwrap(),
                Some(opener) => {
                    let (stream, welcome) = dial(address, opener.clone());
                    assert!(
                        matches!(welcome, Some(Welcome::Accepted { .. })),
                        "{opener:?}"
                    );
                    stream
                }
            };
            send(&mut stream, bytes, manner);
            assert!(closes(&mut stream), "{name}, {manner:?}, after {opener:?}");
        }
        bystander.add(1);
    }
}

#[test]
fn what_is_no_message_closes_its_connection_and_nothing_else() {
    let address = Installation::new(1).found(1);
    let mut bystander = Client::open(address);
    let incarnation = bystander.status().incarnation;
    let peer = Opener::Peer {
        incarnation,
        member: MemberId::new(7).unwrap(),
        view: Position(0),
    };
    let daemon = Opener::Daemon {
        host: "host0".to_owned(),
    };
    send_all(address, &mut bystander, None);
    for opener in [Opener::Client, peer, Opener::Joiner, daemon] {
        send_all(address, &mut bystander, Some(&opener));
    }
    let (count, _) = bystander.count();
    let number = bystander.number;
    assert_eq!(
        bystander.add(2),
        (number + 1, 1),
        "all that was asked was done once"
    );
    assert_eq!(count, number);
}

/// A frame that never becomes whole costs its sender a connection, and nobody anything.
#[test]
fn frames_that_end_early_are_waited_for_or_forgotten() {
    let address = Installation::new(1).found(1);
    let mut bystander = Client::open(address);
    let mut request = Vec::new();
    encode(&ClientRequest::Open { token: 4 }, &mut request);
    let mut waiting = Vec::new();
    for length in 1..request.len() {
        let (mut stream, _) = dial(address, Opener::Client);
        stream.write_all(&request[..length]).unwrap();
        bystander.add(1);
        if length % 2 == 0 {
            stream.shutdown(Shutdown::Write).unwrap();
            assert!(closes(&mut stream), "{length} bytes and no more");
        } else {
            waiting.push((length, stream));
        }
    }
    // Who only took its time is served like anybody.
    for (length, mut stream) in waiting {
        stream.write_all(&request[length..]).unwrap();
        let opened = std::iter::from_fn(|| read_frame(&mut stream))
            .any(|reply| matches!(reply, wire::client::ClientReply::Opened { token: 4, .. }));
        assert!(opened, "{length} bytes, and the rest later");
    }
    // Who does not say who it is is waited for only so long.
    let said = hello(Opener::Client);
    let mut slow = TcpStream::connect(address).unwrap();
    slow.write_all(&whole(Kind::Hello as u8, &said)[..9])
        .unwrap();
    assert!(closes(&mut slow));
    bystander.add(1);
}

#[test]
fn whoever_speaks_another_protocol_or_means_another_group_is_told_so() {
    let address = Installation::new(1).found(1);
    let mut bystander = Client::open(address);
    let refused = |hello: &Hello| {
        let mut stream = TcpStream::connect(address).unwrap();
        write_frame(&mut stream, hello);
        let welcome = read_frame::<Welcome>(&mut stream);
        assert!(closes(&mut stream));
        match welcome {
            Some(Welcome::Refused { why }) => why,
            other => panic!("instead of a refusal: {other:?}"),
        }
    };
    let newer = Hello {
        protocols: Protocols {
            lowest: 8,
            highest: 9,
        },
        ..Hello::new(GROUP, Opener::Joiner)
    };
    assert_eq!(
        refused(&newer),
        "this member speaks protocols 1 to 1, you 8 to 9: use neighbouring releases"
    );
    assert_eq!(
        refused(&Hello::new("another", Opener::Client)),
        "this is a member of group \"lists\", not of \"another\""
    );
    let ahead = Opener::Peer {
        incarnation: u64::MAX,
        member: MemberId::new(7).unwrap(),
        view: Position(0),
    };
    let why = refused(&Hello::new(GROUP, ahead));
    assert!(
        why.starts_with("the group \"lists\" lives in incarnation"),
        "{why}"
    );
    bystander.add(1);
}
