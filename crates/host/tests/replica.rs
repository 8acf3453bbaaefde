//! One replica and whole groups of them over real sockets, against daemons, clients and peers that
//! the tests play.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::wildcard_enum_match_arm,
    reason = "tests are a world of their own, and a panic is how they fail"
)]

mod world;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use wire::Version;
use wire::client::{ClientReply, ClientRequest};
use wire::daemon::{DaemonReply, DaemonRequest};
use wire::hello::{Hello, Opener, Welcome};
use wire::log::UpgradeRequest;
use wire::member::Binary;

use world::client::{Client, add, dial, said};
use world::installation::{Installation, Seen, build};
use world::{GROUP, read_frame, write_frame};

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(20);

fn closes(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn a_group_of_one_serves_and_answers_pipelined_calls_together() {
    let address = Installation::new(1).found(1);
    let mut client = Client::open(address);
    assert_eq!(client.members.len(), 1);
    let session = client.session;
    let calls: Vec<ClientRequest> = (1..=200)
        .map(|number| add(session, number, 0, number))
        .collect();
    client.send(&calls);
    let frames = client.results(200);
    assert!(frames.len() < 100, "{} frames for 200 calls", frames.len());
    let places: Vec<u64> = frames.iter().flatten().map(|call| said(call).0).collect();
    assert_eq!(places, (1..=200).collect::<Vec<_>>());
    assert_eq!(client.count(), (200, 1));
    client.send(&calls[..1]);
    let again = client.results(1);
    assert_eq!(said(&again[0][0]), (1, 1), "the kept reply");
}

#[test]
fn whoever_breaks_the_rules_is_closed_and_nobody_else() {
    let address = Installation::new(1).found(1);
    let mut bystander = Client::open(address);

    let mut silent = TcpStream::connect(address).unwrap();
    let silent_since = Instant::now();

    let mut garbage = TcpStream::connect(address).unwrap();
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(closes(&mut garbage));

    let (mut talker, welcome) = dial(address, Opener::Client);
    assert!(matches!(welcome, Some(Welcome::Accepted { .. })));
    write_frame(&mut talker, &Hello::new(GROUP, Opener::Client));
    assert!(closes(&mut talker), "a hello is no request");

    let mut stranger = TcpStream::connect(address).unwrap();
    write_frame(&mut stranger, &Hello::new("another", Opener::Client));
    let welcome = read_frame::<Welcome>(&mut stranger);
    assert!(matches!(welcome, Some(Welcome::Refused { why }) if why.contains("another")));
    assert!(closes(&mut stranger));

    assert_eq!(bystander.add(9), (1, 1));
    assert!(closes(&mut silent));
    assert!(silent_since.elapsed() >= Duration::from_secs(2));
    assert_eq!(bystander.add(10), (2, 1));
}

#[test]
fn a_daemon_that_comes_back_is_told_again_and_can_end_the_replica() {
    let hosts = Installation::new(1);
    let address = hosts.found(1);
    let mut client = Client::open(address);
    client.add(1);
    let told = |seen: &[Seen]| {
        let mut names = seen.iter().map(|seen| match seen {
            Seen::Told {
                request: DaemonRequest::Register { address: at, .. },
                ..
            } if *at == address => "register",
            Seen::Told {
                request: DaemonRequest::Members { member, .. },
                ..
            } if member.number() == 1 => "members",
            _ => "other",
        });
        let register = names.position(|name| name == "register");
        register.and_then(|_| names.position(|name| name == "members"))
    };
    hosts.wait_for(|seen| told(seen));
    let before = hosts.count();
    hosts.cut_lines();
    hosts.wait_for(|seen| told(&seen[before..]));
    assert_eq!(client.add(2), (2, 1));
    hosts.say_to_all(&DaemonReply::Leave);
    let success = hosts.wait(|seen| match seen {
        Seen::Ended { success, .. } => Some(*success),
        _ => None,
    });
    assert!(success);
    assert!(client.reply().is_none(), "its connections are closed");
}

/// A group of three, and where its members listen.
fn three(hosts: &Installation) -> Vec<SocketAddr> {
    let first = hosts.found(3);
    let mut client = Client::connect(first);
    while client
        .members
        .iter()
        .filter(|member| member.takes_requests)
        .count()
        < 3
    {
        client.reply().unwrap();
    }
    client.members.iter().map(|member| member.address).collect()
}

#[test]
fn a_group_grows_to_three_and_every_member_answers() {
    let hosts = Installation::new(3);
    let members = three(&hosts);
    let mut expected = 0;
    for &member in &members {
        let mut client = Client::open(member);
        for tag in 0..20 {
            expected += 1;
            assert_eq!(client.add(tag), (expected, 1));
        }
    }
    for &member in &members {
        assert_eq!(Client::open(member).count(), (expected, 1));
    }
}

fn upgrade(client: &mut Client, patience: Duration) {
    let version = Version::new(2, 0, 0);
    client.send(&[ClientRequest::Upgrade {
        token: 8,
        request: UpgradeRequest {
            target: Binary {
                build: build(&version),
                version,
            },
            parallel: 1,
            attempts: 2,
            patience_ms: u64::try_from(patience.as_millis()).unwrap(),
            token: 1,
        },
    }]);
    loop {
        match client.reply() {
            Some(ClientReply::UpgradeAccepted { token: 8, .. }) => return,
            Some(ClientReply::Members { .. }) => {}
            other => panic!("instead of an upgrade: {other:?}"),
        }
    }
}

/// Adds a tag at whichever member takes it, under the same number until it is answered.
fn add_somewhere(client: &mut Client, tag: u64) -> (u64, u8) {
    let until = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < until, "nobody took {tag}");
        if let Some(answer) = client.try_add(tag) {
            return answer;
        }
        let addresses: Vec<SocketAddr> = client
            .members
            .iter()
            .filter(|member| member.takes_requests)
            .map(|member| member.address)
            .collect();
        for address in addresses {
            if TcpStream::connect(address).is_ok() {
                let mut next = Client::connect(address);
                next.reply();
                (next.session, next.number) = (client.session, client.number);
                *client = next;
                break;
            }
        }
    }
}

#[test]
fn a_group_is_upgraded_while_a_client_goes_on() {
    let hosts = Installation::new(3);
    let members = three(&hosts);
    let mut operator = Client::connect(members[1]);
    let mut client = Client::open(members[0]);
    assert_eq!(client.add(1), (1, 1));
    upgrade(&mut operator, Duration::from_secs(10));
    let mut place = 1;
    let mut mark = 1;
    while mark == 1 {
        place += 1;
        let (at, now) = add_somewhere(&mut client, place);
        assert_eq!(at, place);
        mark = now;
    }
    let ended = hosts.wait_for(|seen| {
        let ended = seen.iter().filter_map(|seen| match seen {
            Seen::Ended {
                version, success, ..
            } => Some((version.clone(), *success)),
            Seen::Told { .. } => None,
        });
        let ended: Vec<_> = ended.collect();
        (ended.len() >= 3).then_some(ended)
    });
    assert_eq!(ended, vec![(Version::new(1, 0, 0), true); 3]);
    place += 1;
    assert_eq!(add_somewhere(&mut client, place), (place, 2));
    let status = client.status();
    assert_eq!(status.effective, Version::new(2, 0, 0));
    assert_eq!(status.members.len(), 3);
}
