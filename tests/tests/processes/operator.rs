//! What operators and their scripts see: exit codes, one JSON document whatever comes, and reasons.

use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{PATIENCE, World};

/// `remex` with these arguments, told where the installation is.
pub(crate) fn remex(world: &World, arguments: &[&str]) -> Output {
    let daemons: Vec<String> = world
        .installation
        .hosts()
        .iter()
        .map(|host| host.daemon.to_string())
        .collect();
    Command::new(world.installation.directory().join("remex"))
        .env("REMEX_AT", daemons.join(","))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The exit code, and the one document on standard output.
pub(crate) fn json(world: &World, arguments: &[&str]) -> (i32, Value) {
    let output = remex(world, &[&["-o", "json"], arguments].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let document = serde_json::from_str(&text)
        .unwrap_or_else(|why| panic!("{arguments:?} printed no document ({why}): \"{text}\""));
    (output.status.code().unwrap(), document)
}

/// These arguments end with this code, and a reason that contains `why`.
pub(crate) fn fails(world: &World, arguments: &[&str], code: i32, why: &str) {
    let (found, document) = json(world, arguments);
    let told = document["why"].as_str().unwrap_or_default();
    assert_eq!(found, code, "{arguments:?}: {document}");
    assert!(told.contains(why), "{arguments:?}: {told}");
    // People get the same words, on standard error.
    let output = remex(world, arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    assert_eq!(output.stdout, b"", "{arguments:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains(why), "{arguments:?}: {told}");
}

pub(crate) fn succeeds(world: &World, arguments: &[&str]) -> Value {
    let (code, document) = json(world, arguments);
    assert_eq!(code, 0, "{arguments:?}: {document}");
    document
}

#[test]
fn every_command_says_what_came_of_it() {
    let world = World::of("ledger", &["ledger-v1", "ledger-v2"]);
    let call = ["call", "ledger"];
    let with = |rest: &[&'static str]| [&call, rest].concat();

    let opened = succeeds(&world, &with(&["open", r#"["ann", 100]"#]));
    assert_eq!(opened["reply"], serde_json::json!({"Ok": null}));
    let again = succeeds(
        &world,
        &with(&["open", r#"{"account": "ann", "initial": 1}"#]),
    );
    assert!(
        again["reply"]["Err"].is_object(),
        "the service's own no is a reply"
    );
    assert_eq!(
        succeeds(&world, &with(&["balance", r#"["ann"]"#]))["reply"],
        100
    );
    assert_eq!(succeeds(&world, &with(&["total"]))["reply"], 100);
    for (rest, code, why) in [
        (
            &["nothing"][..],
            4,
            "no method \"nothing\"; there are: open",
        ),
        (&["statement", r#"["ann"]"#], 4, "no method \"statement\""),
        (
            &["open"],
            4,
            "missing field `account`; expected [account, initial]",
        ),
        (
            &["open", r#"["ann", -1]"#],
            4,
            "invalid value: integer `-1`",
        ),
        (&["open", r#"["ann", 1, 2]"#], 4, "3 arguments are too many"),
        (&["open", "5"], 4, "an array (by position)"),
        (&["open", "{ann"], 2, "no JSON"),
    ] {
        fails(&world, &with(rest), code, why);
    }
    for (arguments, code, why) in [
        (&["call"][..], 2, "<GROUP>"),
        (
            &["create", "new", "--service", "ledger"],
            2,
            "--service-version",
        ),
        (
            &[
                "create",
                "../e",
                "--service",
                "ledger",
                "--service-version",
                "1.0.0",
            ],
            2,
            "\"../e\" is no name of a group",
        ),
        (&["dev", "--hosts", "0"], 2, "--hosts must be at least 1"),
        (&["stat"], 2, "unrecognized subcommand"),
        (&["--at", "ledger", "status"], 2, "HOST:PORT"),
        (
            &["--at", "127.0.0.1:1", "status"],
            3,
            "127.0.0.1:1 cannot be reached",
        ),
        (&["call", "other", "total"], 3, "there are: ledger"),
        (&["status", "other"], 3, "there are: ledger"),
        (&["stop", "other"], 1, "no such replica"),
        (&["logs", "1"], 1, "no output of a process 1"),
        (
            &["upgrade", "status", "ledger", "--watch"],
            1,
            "no upgrade runs",
        ),
        (&["upgrade", "start", "ledger", "2"], 2, "invalid value '2'"),
        (
            &["upgrade", "start", "ledger", "9.0.0"],
            4,
            "no host has such a build",
        ),
        (
            &["upgrade", "start", "ledger", "1.0.0"],
            4,
            "all members run 1.0.0",
        ),
        (
            &["upgrade", "start", "ledger", "1.0.0"],
            4,
            "name another version or build",
        ),
        (
            &["upgrade", "start", "ledger", "2.0.0", "--attempts", "0"],
            4,
            "0 attempts; ask for 1 to 100",
        ),
        (
            &["upgrade", "start", "ledger", "2.0.0", "--patience", "1"],
            4,
            "a patience of 1 ms; ask for 100 to 3600000",
        ),
        (
            &["upgrade", "start", "ledger", "2.0.0", "--build", "x"],
            2,
            "64 hexadecimal",
        ),
        (
            &["upgrade", "start", "ledger", "2.0.0", "--parallel", "0"],
            4,
            "at least 1",
        ),
        (
            &[
                "create",
                "ledger",
                "--service",
                "ledger",
                "--service-version",
                "1.0.0",
            ],
            4,
            "already",
        ),
        (
            &[
                "create",
                "new",
                "--service",
                "ledger",
                "--service-version",
                "1.0.0",
                "--stack",
                "X",
            ],
            2,
            "there are PGMS",
        ),
        (
            &[
                "create",
                "new",
                "--service",
                "ledger",
                "--service-version",
                "1.0.0",
                "--minimal",
                "4",
            ],
            2,
            "--minimal 4 is more",
        ),
    ] {
        fails(&world, arguments, code, why);
    }

    assert_eq!(succeeds(&world, &["versions"]).as_array().unwrap().len(), 2);
    let state = world.installation.directory().join("state");
    let state = state.to_str().unwrap();
    fails(&world, &["dev", "--state", state], 4, "runs in");
    let host = format!("{state}/host1");
    let daemon = [
        "daemon",
        "--host",
        "host1",
        "--port",
        "0",
        "--versions",
        "x",
        "--state",
        &host,
    ];
    fails(&world, &daemon, 4, "a daemon runs in");

    let done = succeeds(&world, &["upgrade", "start", "ledger", "2.0.0", "--watch"]);
    assert_eq!(done["upgrade"]["state"], "done");
    let told = succeeds(&world, &["upgrade", "status", "ledger"]);
    assert_eq!(told["upgrade"], done["upgrade"]);
    let statement = succeeds(&world, &with(&["statement", r#"["ann"]"#]));
    assert_eq!(statement["reply"]["balance"], 100);
    let status = succeeds(&world, &["status", "ledger"]);
    let process = status["members"][0]["process"].as_u64().unwrap();
    // Whoever names one daemon is told of all hosts: the group knows them.
    let one = world.installation.hosts()[0].daemon.to_string();
    let told = succeeds(&world, &["--at", &one, "status", "ledger"]);
    assert_eq!(told["members"], status["members"]);
    let logs = succeeds(&world, &["logs", &process.to_string(), "--lines", "2"]);
    assert_eq!(logs["lines"].as_array().unwrap().len(), 2);
    // One of its replicas is stopped; it is replaced like any that was lost.
    let stopped = succeeds(
        &world,
        &["stop", "ledger", "--process", &process.to_string()],
    );
    assert_eq!(stopped["stopped"], serde_json::json!([process]));
    let gone = &status["members"][0]["member"];
    let until = Instant::now() + PATIENCE;
    loop {
        let status = succeeds(&world, &["status", "ledger"]);
        let members = status["members"].as_array().unwrap();
        if members.len() == 3 && members.iter().all(|member| member["member"] != *gone) {
            break;
        }
        assert!(Instant::now() < until, "it is not replaced: {status}");
        thread::sleep(Duration::from_millis(20));
    }
    succeeds(&world, &["stop", "ledger"]);
    assert_eq!(succeeds(&world, &["status"]), serde_json::json!([]));
}

#[test]
fn there_is_no_way_down_without_a_reverse_mapping() {
    let world = World::of("herald", &["herald-v1", "herald-v2"]);
    let up = ["upgrade", "start", "herald", "2.0.0", "--watch"];
    assert_eq!(succeeds(&world, &up)["upgrade"]["state"], "done");
    let down = ["upgrade", "start", "herald", "1.0.0"];
    for part in [
        "1.0.0 (",
        "reads state formats [1], the members write [2]: there is no way back to it without a \
         reverse mapping; upgrade to a version that has one (Reversible) first",
    ] {
        fails(&world, &down, 4, part);
    }
    // Nothing began, and the group serves.
    let status = succeeds(&world, &["status", "herald"]);
    assert_eq!(status["effective"], "2.0.0");
    assert_eq!(status["upgrade"]["state"], "done");
    assert_eq!(succeeds(&world, &["call", "herald", "say"])["reply"], 1);
}
