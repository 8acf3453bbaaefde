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
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use wire::client::{ClientReply, ClientRequest};
use wire::daemon::{DaemonReply, DaemonRequest, Role};
use wire::hello::{Hello, Opener, Welcome};
use wire::log::UpgradeRequest;
use wire::member::{Binary, Formats};
use wire::peer::{Join, PeerMessage, TransferHead};
use wire::{MemberId, Position, Version};

use world::client::{Client, add, dial, said, stale_counts};
use world::installation::{Installation, Seen, build};
use world::service::UNMAPPABLE;
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

#[test]
fn a_version_that_panics_in_its_mapping_leaves_the_group_as_it_was() {
    let hosts = Installation::new(1);
    let address = hosts.found(1);
    let mut client = Client::open(address);
    assert_eq!(client.add(UNMAPPABLE), (1, 1));
    upgrade(&mut client, Duration::from_secs(10));
    let ended = hosts.wait(|seen| match seen {
        Seen::Ended {
            version, success, ..
        } => Some((version.clone(), *success)),
        Seen::Told { .. } => None,
    });
    assert_eq!(ended, (Version::new(2, 0, 0), false));
    let until = Instant::now() + PATIENCE;
    let upgrade = loop {
        let upgrade = client.status().upgrade.unwrap();
        if upgrade.state != "running" {
            break upgrade;
        }
        assert!(Instant::now() < until, "still {upgrade:?}");
        assert!(client.add(0).1 == 1);
    };
    assert_eq!(upgrade.state, "failed");
    assert_eq!(client.add(0).1, 1);
}

/// Reads per request of a client that lets the replies pile up.
const BATCH: u64 = 1_000;
/// More reads than all buffers on the way hold, however large a system makes its own.
const PILE_MAX: u64 = 100_000_000;

#[test]
fn a_client_that_does_not_read_is_paused_and_then_gets_everything() {
    let address = Installation::new(1).found(1);
    let mut client = Client::open(address);
    let mut sender = client.sender();
    let session = client.session;
    let sent = Arc::new(AtomicU64::new(0));
    let enough = Arc::new(AtomicBool::new(false));
    let (progress, stop) = (Arc::clone(&sent), Arc::clone(&enough));
    let sending = thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            let count = progress.load(Ordering::Relaxed);
            assert!(count < PILE_MAX, "never paused");
            assert!(write_frame(&mut sender, &stale_counts(session, BATCH)));
            progress.store(count + BATCH, Ordering::Relaxed);
        }
    });
    let mut before = 0;
    loop {
        // A member that takes requests takes thousands in this time.
        thread::sleep(Duration::from_millis(300));
        let now = sent.load(Ordering::Relaxed);
        if now == before || sending.is_finished() {
            break;
        }
        before = now;
    }
    enough.store(true, Ordering::Relaxed);
    let mut other = Client::open(address);
    assert_eq!(other.add(1), (1, 1), "others are served meanwhile");
    let mut results = |count: u64| -> u64 {
        client
            .results(count as usize)
            .iter()
            .map(|frame| frame.len() as u64)
            .sum()
    };
    let mut came = results(before);
    sending.join().unwrap();
    let all = sent.load(Ordering::Relaxed);
    came += results(all - came);
    assert_eq!(came, all);
}

/// A joiner that the test plays, up to its state.
struct Played {
    member: MemberId,
    incarnation: u64,
    listener: TcpListener,
}

fn play_joiner(hosts: &Installation, founder: SocketAddr) -> Played {
    let assignment = hosts.wait(|seen| match seen {
        Seen::Told {
            request: DaemonRequest::Start { assignment, .. },
            ..
        } => Some(assignment.clone()),
        _ => None,
    });
    let Role::Join { seat, attempt, .. } = assignment.role else {
        panic!("a second founder");
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (mut link, welcome) = dial(founder, Opener::Joiner);
    assert!(matches!(welcome, Some(Welcome::Accepted { .. })));
    let join = Join {
        host: "host1".to_owned(),
        address: listener.local_addr().unwrap(),
        binary: Binary {
            version: assignment.version.clone(),
            build: assignment.build.unwrap(),
        },
        service: "list".to_owned(),
        formats: Formats {
            own: 1,
            reads: vec![1],
            writes: vec![1],
        },
        seat,
        attempt,
        process: 1,
    };
    write_frame(&mut link, &PeerMessage::Join(join));
    let Some(PeerMessage::Admitted {
        member,
        incarnation,
        donor_address,
        position,
        ..
    }) = read_frame(&mut link)
    else {
        panic!("not admitted");
    };
    let opener = Opener::Bulk {
        incarnation,
        joiner: member,
        position,
    };
    let (mut bulk, welcome) = dial(donor_address, opener);
    assert!(matches!(welcome, Some(Welcome::Accepted { .. })));
    let head: TransferHead = read_frame(&mut bulk).unwrap();
    assert_eq!(head.position, position);
    let mut state = Vec::new();
    bulk.read_to_end(&mut state).unwrap();
    assert!(state.len() >= 4 + 32, "at least the end and the digest");
    Played {
        member,
        incarnation,
        listener,
    }
}

impl Played {
    fn opener(&self) -> Opener {
        Opener::Peer {
            incarnation: self.incarnation,
            member: self.member,
            view: Position(0),
        }
    }

    /// The founder dials: the connection, and who it says it is.
    fn accept(&self) -> (TcpStream, Hello) {
        let (mut link, _) = self.listener.accept().unwrap();
        link.set_read_timeout(Some(PATIENCE)).unwrap();
        let hello = read_frame(&mut link).unwrap();
        (link, hello)
    }

    /// The answer of the played member to whoever dials it.
    fn welcome(&self, member: u64) -> Welcome {
        Welcome::Accepted {
            protocol: 1,
            member: MemberId::new(member),
            view: Position(0),
        }
    }
}

#[test]
fn a_link_that_breaks_is_made_again_by_either_side() {
    let hosts = Installation::with_played(2, &[1]);
    let founder = hosts.found(2);
    let played = play_joiner(&hosts, founder);
    assert_eq!(played.member.number(), 2);

    let (mut first, welcome) = dial(founder, played.opener());
    let id = MemberId::new(1);
    assert!(matches!(welcome, Some(Welcome::Accepted { member, .. }) if member == id));
    assert!(
        read_frame::<PeerMessage>(&mut first).is_some(),
        "the link is used"
    );

    let (mut second, _) = dial(founder, played.opener());
    assert!(closes(&mut first), "the newer link replaces the older");
    assert!(read_frame::<PeerMessage>(&mut second).is_some());

    drop(second);
    let broke = Instant::now();
    let (mut wrong, hello) = played.accept();
    assert!(
        broke.elapsed() >= Duration::from_millis(400),
        "the lower id waits"
    );
    assert!(matches!(hello.opener, Opener::Peer { member, .. } if Some(member) == id));
    write_frame(&mut wrong, &played.welcome(7));
    assert!(closes(&mut wrong), "somebody else listens there by now");

    let (mut third, _) = played.accept();
    write_frame(&mut third, &played.welcome(2));
    assert!(read_frame::<PeerMessage>(&mut third).is_some());

    third.write_all(&[0xff; 8]).unwrap();
    assert!(closes(&mut third), "malformed");
    assert_eq!(Client::open(founder).add(1), (1, 1));
}
