//! Tests of the records on disk: whatever stands there, a daemon starts.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use fuzz::Decoder;
use wire::Version;
use wire::daemon::{Foundation, HostRecord, Role};

use super::*;

fn assignment() -> Assignment {
    let hosts = ["alpha", "beta"].map(|name| HostRecord {
        name: name.to_owned(),
        daemon: "127.0.0.1:7400".parse().unwrap(),
    });
    Assignment {
        group: "ledger".to_owned(),
        service: "ledger".to_owned(),
        version: Version::new(1, 0, 0),
        build: Some(Build([7; 32])),
        role: Role::Found(Foundation {
            stack: replica::USUAL.to_owned(),
            initial: 3,
            minimal: 1,
            hosts: hosts.to_vec().into(),
        }),
    }
}

fn record(process: u32) -> Record {
    Record {
        schema: 1,
        process,
        started: started(process).unwrap_or(0),
        boot: boot(),
        build: Build([7; 32]),
        assignment: assignment(),
        who: MemberId::new(3).map(|member| RecordOfMember {
            group: "ledger".to_owned(),
            incarnation: 8,
            member,
        }),
    }
}

fn intent() -> Intent {
    Intent {
        schema: 1,
        boot: boot(),
        build: Build([7; 32]),
        assignment: assignment(),
    }
}

#[test]
fn records_survive_whatever_stands_on_the_disk() {
    Decoder::of("record", [serde_json::to_vec(&record(9)).unwrap()])
        .survives(|bytes| read::<Record>(bytes).is_some());
    Decoder::of("intent", [serde_json::to_vec(&intent()).unwrap()])
        .survives(|bytes| read::<Intent>(bytes).is_some());
}

#[test]
fn a_daemon_finds_its_replicas_among_files_that_are_none() {
    let directory = tempfile::tempdir().unwrap();
    let replicas = directory.path().join("replicas");
    std::fs::create_dir(&replicas).unwrap();
    let process = std::process::id();
    let good = serde_json::to_vec(&record(process)).unwrap();
    let half = &good[..good.len() / 2];
    for (name, bytes) in [
        ("1.json", &b""[..]),
        ("2.json", b"{}"),
        ("3.json", &[0xff; 100]),
        ("4.json", half),
        ("start-1-1-1.json", half),
        ("start-.json", b"[]"),
    ] {
        std::fs::write(replicas.join(name), bytes).unwrap();
    }
    std::fs::create_dir(replicas.join("5.json")).unwrap();
    std::fs::write(replicas.join(format!("{process}.json")), good).unwrap();
    let args = DaemonArgs {
        host: "alpha".to_owned(),
        ip: std::net::Ipv4Addr::LOCALHOST.into(),
        port: 0,
        versions: directory.path().to_owned(),
        state: directory.path().to_owned(),
    };
    let (news, _) = mpsc::unbounded_channel();
    let found = Processes::new(&args, directory.path(), directory.path(), news).found();
    let running = found.running.into_iter().map(|(process, _, _)| process);
    assert_eq!(running.collect::<Vec<u32>>(), [process]);
    assert!(
        found.gone.is_empty(),
        "nobody is declared dead for what cannot be read"
    );
}

#[test]
fn what_living_replicas_print_is_kept_however_many_have_ended() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path();
    for name in ["replicas", "logs"] {
        std::fs::create_dir(state.join(name)).unwrap();
    }
    let living = 7;
    std::fs::write(record_file(state, living), b"{}").unwrap();
    for process in (1..).take(LOGS_KEPT + 20) {
        std::fs::write(log_file(state, process), b"a line").unwrap();
    }
    let (news, _) = mpsc::unbounded_channel();
    let processes = Processes {
        host: "alpha".to_owned(),
        ip: std::net::Ipv4Addr::LOCALHOST.into(),
        state: state.to_owned(),
        socket: state.join("daemon.sock"),
        news,
    };
    processes.forget(3);
    assert!(processes.has_output(living));
    let kept = std::fs::read_dir(state.join("logs")).unwrap().count();
    assert_eq!(kept, LOGS_KEPT + 1);
}
