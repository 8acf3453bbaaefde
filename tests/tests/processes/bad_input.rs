//! What operators and the world get wrong: each error names the thing, says why, and what to do; and
//! bytes that are no messages harm nobody.
#![allow(clippy::print_stderr, reason = "a test that cannot run here says so")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use installation::Daemon;
use ledger_v1::LedgerBlockingClient;
use remex::blocking;
use wire::SessionId;
use wire::client::{ClientReply, ClientRequest};
use wire::frame::{CLIENT_FRAME_MAX, FORMAT, HEADER, Kind, Message, encode, split};
use wire::hello::{Hello, Opener, Welcome};

use crate::common::{PATIENCE, World, binaries};

/// `remex` with these arguments, for the installation of these daemons.
fn remex(daemons: &[SocketAddr], arguments: &[&str]) -> Output {
    let daemons: Vec<String> = daemons.iter().map(SocketAddr::to_string).collect();
    Command::new(binaries().join("remex"))
        .env("REMEX_AT", daemons.join(","))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// It ends with this code, and tells people all of these parts.
fn fails(output: &Output, code: i32, parts: &[&str]) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{told}");
    for part in parts {
        assert!(told.contains(part), "no \"{part}\" in: {told}");
    }
}

fn at(world: &World) -> Vec<SocketAddr> {
    world
        .installation
        .hosts()
        .iter()
        .map(|host| host.daemon)
        .collect()
}

/// A group of this service, version and stack.
fn create(world: &World, service: &str, version: &str, more: &[&str]) -> Output {
    let arguments = [
        "create",
        "new",
        "--service",
        service,
        "--service-version",
        version,
    ];
    remex(&at(world), &[&arguments[..], more].concat())
}

#[test]
fn what_cannot_be_started_says_why_and_what_to_do() {
    let world = World::of("ledger", &["ledger-v1", "ledger-panics"]);
    let versions = world.installation.directory().join("versions");
    let second = versions.join("second");
    fs::copy(binaries().join("ledger-v2"), &second).unwrap();
    fs::set_permissions(&second, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(versions.join("script"), "#!/bin/sh\nexit 3\n").unwrap();
    fs::set_permissions(versions.join("script"), fs::Permissions::from_mode(0o755)).unwrap();

    let missing = create(&world, "ledger", "2.0.0", &[]);
    fails(
        &missing,
        1,
        &[
            "ledger 2.0.0 does not lie below",
            "there are: ledger 1.0.0 (",
            "second: it is not executable; chmod +x makes it so",
            "script: --describe ends with exit status: 3",
            "Put the binary there",
        ],
    );
    let other = create(&world, "other", "1.0.0", &[]);
    fails(
        &other,
        1,
        &[
            "other 1.0.0 does not lie below",
            "there are: ledger 1.0.0 (",
        ],
    );
    for (stack, parts) in [
        (
            "PGMS:Egmi",
            [
                "no layer is named \"Egmi\"",
                "there are PGMS, EGMI, Recovery, Upgrade",
            ],
        ),
        (
            "EGMI:PGMS",
            [
                "layer EGMI needs PGMS before it",
                "the usual stack is PGMS:EGMI:Recovery:Upgrade",
            ],
        ),
        (
            "PGMS:EGMI:PGMS",
            ["layer PGMS stands twice", "name it once"],
        ),
    ] {
        fails(
            &create(&world, "ledger", "1.0.0", &["--stack", stack]),
            2,
            &parts,
        );
    }
    fails(
        &create(&world, "ledger", "1.0.0", &["--initial", "0"]),
        2,
        &["--initial must be at least 1"],
    );
    fails(
        &create(&world, "ledger", "1.0.0", &["--minimal", "4"]),
        2,
        &[
            "--minimal 4 is more than the members that the group wants (--initial 3)",
            "lower",
        ],
    );
    let upgrade = [
        "upgrade",
        "start",
        "ledger",
        "1.9.0",
        "--attempts",
        "1",
        "--watch",
    ];
    fails(
        &remex(&at(&world), &upgrade),
        1,
        &[
            "the upgrade failed: seat",
            "the mapping met an account that it did not expect",
            "the group goes on and behaves as 1.0.0: mend the version and upgrade again",
        ],
    );
    // A binary that is started for what it is not.
    let assignment = r#"{"group":"g","service":"other","version":"1.0.0","build":null,
        "role":{"Join":{"incarnation":1,"seat":0,"attempt":1,"contacts":[]}}}"#;
    let replica = Command::new(binaries().join("ledger-v1"))
        .args([
            "--assignment",
            assignment,
            "--host",
            "h",
            "--ip",
            "127.0.0.1",
        ])
        .args(["--daemon", "/nowhere"])
        .output()
        .unwrap();
    fails(
        &replica,
        1,
        &[
            "this binary is ledger 1.0.0, the assignment is for other 1.0.0",
            "put the binary",
        ],
    );
}

/// A daemon that is to keep its state here.
fn daemon(state: &Path, versions: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(binaries().join("remex"));
    command
        .args(["daemon", "--host", "alpha", "--versions"])
        .arg(versions)
        .arg("--state")
        .arg(state)
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

#[test]
fn a_daemon_that_cannot_listen_or_write_says_why_and_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let port = address.port().to_string();
    let output = daemon(&state, directory.path(), &["--port", &port])
        .output()
        .unwrap();
    let named = format!("port {address}: Address already in use");
    fails(&output, 1, &[&named, "end it, or name another --port"]);

    // An address that is given to nobody (RFC 5737).
    let output = daemon(&state, directory.path(), &["--ip", "192.0.2.1"])
        .output()
        .unwrap();
    fails(
        &output,
        1,
        &[
            "port 192.0.2.1:7400",
            "this host has no such address: name another --ip",
        ],
    );

    let file = directory.path().join("file");
    fs::write(&file, "no directory").unwrap();
    let output = daemon(&file, directory.path(), &["--port", "0"])
        .output()
        .unwrap();
    let named = format!("the state directory {}", file.display());
    fails(&output, 1, &[&named, "name another place"]);
}

/// A disk of a few kibibytes, as long as it is needed.
struct Disk {
    directory: tempfile::TempDir,
}

impl Disk {
    /// `None` where this user may mount nothing.
    fn mounted() -> Option<Disk> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
            .arg(directory.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Disk { directory }),
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr);
                eprintln!("skipped: no disk can be mounted here: {why}");
                None
            }
            Err(why) => {
                eprintln!("skipped: no disk can be mounted here: {why}");
                None
            }
        }
    }

    fn filler(&self) -> PathBuf {
        self.directory.path().join("filler")
    }

    fn fill(&self) {
        let mut file = File::create(self.filler()).unwrap();
        while file.write_all(&[0; 1024]).is_ok() {}
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A test that failed may have left a process there: the disk goes with the last of them.
        let _ = Command::new("umount")
            .arg("-l")
            .arg(self.directory.path())
            .output();
    }
}

/// A daemon that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_full_disk_is_named_where_it_is_met() {
    let Some(disk) = Disk::mounted() else {
        return;
    };
    let versions = tempfile::tempdir().unwrap();
    fs::copy(binaries().join("ledger-v1"), versions.path().join("first")).unwrap();
    let state = disk.directory.path().join("state");
    disk.fill();
    let output = daemon(&state, versions.path(), &["--port", "0"])
        .output()
        .unwrap();
    let full = "No space left on device (os error 28); make room there, or name another place with \
                --state";
    fails(&output, 1, &[disk.directory.path().to_str().unwrap(), full]);

    // The same where it is filled later: nothing is started, and the daemon goes on.
    fs::remove_file(disk.filler()).unwrap();
    let _daemon = Running(
        daemon(&state, versions.path(), &["--port", "0"])
            .spawn()
            .unwrap(),
    );
    let until = Instant::now() + PATIENCE;
    let address = loop {
        let said = fs::read_to_string(state.join("daemon.json")).unwrap_or_default();
        if let Ok(said) = serde_json::from_str::<serde_json::Value>(&said) {
            break said["daemon"]
                .as_str()
                .unwrap()
                .parse::<SocketAddr>()
                .unwrap();
        }
        assert!(Instant::now() < until, "no daemon appears");
        thread::sleep(Duration::from_millis(10));
    };
    disk.fill();
    let arguments = [
        "create",
        "new",
        "--service",
        "ledger",
        "--service-version",
        "1.0.0",
    ];
    let output = remex(&[address], &arguments);
    fails(&output, 1, &["ledger 1.0.0 does not lie below", full]);
    assert!(Daemon::at(address).inventory().unwrap().replicas.is_empty());
}

/// Sends bytes, and waits until the other side ends the connection.
fn ends(address: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut rest = Vec::new();
    if let Err(why) = stream.read_to_end(&mut rest) {
        assert_eq!(
            why.kind(),
            std::io::ErrorKind::ConnectionReset,
            "{address}: {bytes:02x?}"
        );
    }
}

#[test]
fn bytes_that_are_no_messages_harm_no_member_and_no_daemon() {
    let mut world = World::with(&["ledger-v1"]);
    let members = world.status().members;
    let kinds = [Kind::Hello, Kind::DaemonRequest].map(|kind| kind as u8);
    for (daemon, kind) in [(false, kinds[0]), (true, kinds[1])] {
        let addresses = if daemon {
            at(&world)
        } else {
            members.iter().map(|member| member.address).collect()
        };
        for address in addresses {
            ends(address, b"GET / HTTP/1.1\r\n\r\n");
            ends(address, &[0xff; 100]);
            ends(address, &[0, 0, 0, 0]);
            ends(address, &[3, 0, 0, 0, FORMAT + 1, kind, 0x80]);
            ends(address, &[3, 0, 0, 0, FORMAT, 99, 0x80]);
            ends(address, &[3, 0, 0, 0, FORMAT, kind, 0x80]);
        }
    }
    let now = world.status().members;
    assert_eq!(now.len(), 3);
    let ids = |members: &[wire::status::MemberStatus]| -> Vec<_> {
        members.iter().map(|member| member.member).collect()
    };
    assert_eq!(ids(&now), ids(&members), "the same members as before");
    world.judge();
}

/// A connection of somebody who speaks the protocol without a client's machine.
struct Raw(TcpStream);

impl Raw {
    fn dial(address: SocketAddr) -> Raw {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut raw = Raw(stream);
        raw.say(&Hello::new("ledger", Opener::Client));
        let welcome: Welcome = raw.hear();
        assert!(matches!(welcome, Welcome::Accepted { .. }), "{welcome:?}");
        raw
    }

    fn say<M: Message>(&mut self, message: &M) {
        let mut bytes = Vec::new();
        encode(message, &mut bytes);
        self.0.write_all(&bytes).unwrap();
    }

    fn hear<M: Message>(&mut self) -> M {
        let mut bytes = vec![0; HEADER];
        self.0.read_exact(&mut bytes).unwrap();
        let length = u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
        bytes.resize(4 + length, 0);
        self.0.read_exact(&mut bytes[HEADER..]).unwrap();
        let frame = split(&bytes, CLIENT_FRAME_MAX).unwrap().unwrap();
        frame.decode().unwrap()
    }

    /// What comes of `open` under this number of a session, as text.
    fn opens(&mut self, session: SessionId, number: u64, account: &str) -> String {
        self.say(&ClientRequest::Json {
            session,
            number,
            method: "open".to_owned(),
            arguments: format!("[\"{account}\", 5]"),
        });
        loop {
            let heard = self.hear();
            if let ClientReply::Json { call, reply, .. } = heard {
                assert_eq!(call.number, number);
                return reply;
            }
            if let ClientReply::Results { results } = heard {
                let result = results.into_iter().next().unwrap();
                assert_eq!(result.call.number, number);
                return format!("{:?}", result.outcome);
            }
            assert!(matches!(heard, ClientReply::Members { .. }), "{heard:?}");
        }
    }
}

/// Two who share a session, against the rules: none of them is executed twice or takes the other's
/// reply for its own unnoticed.
#[test]
fn numbers_of_a_session_that_are_used_again_are_noticed() {
    let mut world = World::of("ledger", &["ledger-v1"]);
    let address = world.status().members[0].address;
    let client = blocking::Client::connect("ledger", &[address]).unwrap();
    let session = client.session().unwrap();
    let id = session.id();
    let ledger = LedgerBlockingClient::new(session);
    let balance = |account: &str| ledger.balance(account.to_owned()).unwrap();
    ledger.open("ann".to_owned(), 100).unwrap().unwrap();

    let mut other = Raw::dial(address);
    let done = "{\"Ok\":null}";
    assert_eq!(other.opens(id, 1, "bob"), done, "the first one's reply");
    assert_eq!(balance("bob"), None, "and nothing is executed");
    // It goes on, and acknowledges what the first one has not asked yet.
    assert_eq!(other.opens(id, 3, "cid"), done);
    assert_eq!(balance("cid"), Some(5));
    let told = ledger.open("dan".to_owned(), 1).unwrap_err().to_string();
    assert_eq!(
        told,
        "not executed now, and perhaps before: somebody else uses this session's numbers too and \
         has acknowledged this one; open a session for each user"
    );
    assert_eq!(balance("dan"), None);
    assert_eq!(other.opens(id, 1, "eve"), "Acknowledged");
    assert_eq!(balance("eve"), None);
    assert_eq!(balance("ann"), Some(100));
}
