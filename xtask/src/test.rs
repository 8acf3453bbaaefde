//! `cargo xtask test`: builds what the tests need and runs all of them.

use crate::tree::{cargo, has_cargo};
use crate::verdict::{Verdict, aloud, quietly};

/// Runs all tests; whether they passed.
pub(crate) fn run() -> bool {
    // Tests on real processes start binaries of other packages, and cargo builds only a package's
    // own binaries for its tests.
    if !aloud(&mut cargo(&["build", "--quiet", "--workspace", "--bins"])) {
        return false;
    }
    // Both kinds are always run, so that one failure does not hide the other.
    let ran = aloud(&mut cargo(runner(has_cargo("nextest"))));
    let documented = doc_tests().tell("doc tests");
    ran && documented
}

/// The arguments of the test runner: it prints failures and its closing lines, nothing else.
fn runner(nextest: bool) -> &'static [&'static str] {
    if nextest {
        &[
            "nextest",
            "run",
            "--workspace",
            "--no-fail-fast",
            "--cargo-quiet",
            "--hide-progress-bar",
            "--status-level=fail",
            "--final-status-level=slow",
        ]
    } else {
        &[
            "test",
            "--quiet",
            "--workspace",
            "--bins",
            "--lib",
            "--tests",
            "--no-fail-fast",
        ]
    }
}

/// The examples in the documentation, which nextest does not run.
fn doc_tests() -> Verdict {
    quietly(&mut cargo(&[
        "test",
        "--quiet",
        "--workspace",
        "--doc",
        "--no-fail-fast",
    ]))
}
