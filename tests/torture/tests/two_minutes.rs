//! Two minutes of torture in every test run, from a fresh seed.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test of real processes starts them, and says which seed it was"
)]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::Path;
use std::process::{Command, Stdio};

/// After how long a request has failed here: other tests may have the machine meanwhile, and what is
/// lost is lost after ten seconds too. The demo, which has the machine for itself, takes one second.
const DEADLINE_MS: &str = "10000";

#[test]
fn two_minutes_of_kills_stops_and_upgrades_fail_no_request_and_lose_nothing() {
    let torture = Path::new(env!("CARGO_BIN_EXE_torture"));
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "-p", "remex-cli"]);
    build.args(["-p", "ledger-v1", "-p", "ledger-v2"]);
    if torture.parent().unwrap().ends_with("release") {
        build.arg("--release");
    }
    assert!(
        build.status().unwrap().success(),
        "the binaries do not build"
    );
    // What it leaves is there to be read after a failure.
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("torture");
    let output = Command::new(torture)
        .args([
            "--minutes",
            "2",
            "--deadline-ms",
            DEADLINE_MS,
            "--with-parent",
        ])
        .arg("--directory")
        .arg(&directory)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    // Shown only if the test fails.
    println!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {said}", output.status);
}
